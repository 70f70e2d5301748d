use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::Value;

use super::*;

struct Caller {
    cluster: Cluster,
}

impl Caller {
    fn new() -> Self {
        Self {
            cluster: Cluster::start(Delays::default()),
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
        let media_type = if method == Method::PATCH {
            "application/merge-patch+json"
        } else {
            "application/json"
        };
        let body = if body.is_null() {
            bytes::Bytes::new()
        } else {
            body.to_string().into()
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media_type)
            .body(Full::new(body))
            .unwrap();
        let response = self.cluster.api.call(request).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (
            status,
            serde_json::from_slice(&bytes)
                .unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into()),
        )
    }

    async fn get(&self, path: &str) -> Value {
        self.call(Method::GET, path, Value::Null).await.1
    }

    /// A watch's events, of which there are at least `n`.
    async fn watch(&self, path: &str, n: usize) -> Vec<Value> {
        let request = Request::builder()
            .uri(path)
            .body(Full::new(bytes::Bytes::new()))
            .unwrap();
        let mut body = self.cluster.api.call(request).await.into_body();
        let mut events = Vec::new();
        while events.len() < n {
            let Some(frame) = body.frame().await else {
                break;
            };
            events.push(serde_json::from_slice(&frame.unwrap().into_data().unwrap()).unwrap());
        }
        events
    }
}

const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": {"app": name}}, "data": {"k": "1"}})
}

#[tokio::test]
async fn objects_are_created_read_patched_and_deleted() {
    let caller = Caller::new();
    assert_eq!(
        caller.call(Method::POST, CONFIG_MAPS, map("a")).await.0,
        StatusCode::CREATED
    );
    assert_eq!(
        caller.call(Method::POST, CONFIG_MAPS, map("a")).await.1["reason"],
        "AlreadyExists"
    );
    let path = format!("{CONFIG_MAPS}/a");
    let (_, patched) = caller
        .call(Method::PATCH, &path, json!({"data": {"k": "2"}}))
        .await;
    assert_eq!(patched["data"]["k"], "2");
    let stale = json!({"metadata": {"resourceVersion": "1"}, "data": {"k": "3"}});
    assert_eq!(
        caller.call(Method::PATCH, &path, stale).await.0,
        StatusCode::CONFLICT
    );
    assert_eq!(
        caller.call(Method::DELETE, &path, Value::Null).await.1["status"],
        "Success"
    );
    assert_eq!(
        caller.call(Method::GET, &path, Value::Null).await.0,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_list_comes_in_pages_and_by_selector() {
    let caller = Caller::new();
    for name in ["a", "b", "c"] {
        caller.call(Method::POST, CONFIG_MAPS, map(name)).await;
    }
    let names = |list: &Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|o| o["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = caller.get(&format!("{CONFIG_MAPS}?limit=2")).await;
    // Beside the third there is what every namespace has: kube-root-ca.crt.
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a".into(), "b".into()], &json!(2))
    );
    let next = caller
        .get(&format!(
            "{CONFIG_MAPS}?limit=2&continue={}",
            first["metadata"]["continue"].as_str().unwrap()
        ))
        .await;
    assert_eq!(names(&next), ["c", "kube-root-ca.crt"]);
    let selected = format!("{CONFIG_MAPS}?limit=1&labelSelector=app");
    let selected = caller.get(&selected).await;
    assert_eq!(
        (
            names(&selected),
            &selected["metadata"]["remainingItemCount"]
        ),
        (vec!["a".into()], &Value::Null)
    );
    assert!(selected["metadata"]["continue"].is_string());
    assert_eq!(
        names(
            &caller
                .get(&format!("{CONFIG_MAPS}?labelSelector=app%3Db"))
                .await
        ),
        ["b"]
    );
    assert_eq!(
        names(
            &caller
                .get(&format!("{CONFIG_MAPS}?fieldSelector=metadata.name%21%3Db"))
                .await
        ),
        ["a", "c", "kube-root-ca.crt"]
    );
    assert_eq!(
        caller.get(&format!("{CONFIG_MAPS}?continue=x")).await["code"],
        400
    );
}

#[tokio::test]
async fn a_watch_streams_what_is_there_then_what_happens_and_410_when_it_is_too_late() {
    let caller = Caller::new();
    caller.call(Method::POST, CONFIG_MAPS, map("a")).await;
    let query = "watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan";
    let query = format!("{query}&fieldSelector=metadata.name%3Da");
    let events = caller.watch(&format!("{CONFIG_MAPS}?{query}"), 2).await;
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ADDED", "BOOKMARK"]);
    assert_eq!(
        events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
}

#[tokio::test]
async fn a_watch_goes_on_from_a_revision_and_gets_410_where_that_is_gone() {
    let caller = Caller::new();
    let (_, made) = caller.call(Method::POST, CONFIG_MAPS, map("a")).await;
    let path = format!("{CONFIG_MAPS}/a");
    let label = json!({"metadata": {"labels": {"app": "z"}}});
    caller.call(Method::PATCH, &path, label).await;
    caller.call(Method::DELETE, &path, Value::Null).await;
    let from = made["metadata"]["resourceVersion"].as_str().unwrap();
    let watch = format!("{CONFIG_MAPS}?watch=true&resourceVersion={from}");
    let kinds = |events: Vec<Value>| {
        events
            .iter()
            .map(|e| e["type"].to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        kinds(caller.watch(&watch, 2).await),
        ["\"MODIFIED\"", "\"DELETED\""]
    );
    // An object that no longer fits the selector is gone for this watch.
    let selected = format!("{watch}&labelSelector=app%3Da");
    assert_eq!(kinds(caller.watch(&selected, 1).await), ["\"DELETED\""]);

    caller.cluster.compact();
    let gone = caller.watch(&watch, 2).await;
    assert_eq!(
        (gone.len(), &gone[0]["type"], &gone[0]["object"]["code"]),
        (1, &json!("ERROR"), &json!(410))
    );
}

#[tokio::test]
async fn what_is_not_served_is_said() {
    let caller = Caller::new();
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    caller
        .call(Method::POST, "/api/v1/namespaces/default/pods", pod)
        .await;
    let exec = caller.get("/api/v1/namespaces/default/pods/p/exec").await;
    assert_eq!(
        exec["message"],
        "exec is not served: the Pods of this cluster have names and addresses, but no containers that run; those of `headless-dns sandbox --run` do"
    );
    assert_eq!(caller.get("/apis/apps/v1/jobs").await["code"], 404);
    assert_eq!(
        caller.call(Method::PUT, CONFIG_MAPS, map("a")).await.0,
        StatusCode::METHOD_NOT_ALLOWED
    );
    assert_eq!(
        caller
            .call(Method::POST, CONFIG_MAPS, json!({"kind": "Pod"}))
            .await
            .1["code"],
        400
    );
    assert_eq!(caller.get("/healthz").await, "ok");
}

#[tokio::test]
async fn kube_s_own_client_lists_and_watches_it() {
    use futures::StreamExt;
    use kube::runtime::watcher;
    let caller = Caller::new();
    let api: kube::Api<k8s_openapi::api::core::v1::ConfigMap> =
        kube::Api::namespaced(caller.cluster.client(), "default");
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let name = format!("m{}", caller.cluster.api.shared.read().objects.revision());
        let mut stream = watcher(api.clone(), config).boxed();
        while !matches!(
            stream.next().await.unwrap().unwrap(),
            watcher::Event::InitDone
        ) {}
        caller.call(Method::POST, CONFIG_MAPS, map(&name)).await;
        let watcher::Event::Apply(seen) = stream.next().await.unwrap().unwrap() else {
            panic!("not the object")
        };
        assert_eq!(seen.metadata.name, Some(name));
    }
}

#[tokio::test]
async fn what_is_on_its_way_out_takes_no_new_finalizer() {
    let caller = Caller::new();
    let path = "/api/v1/namespaces/default/configmaps";
    let object = json!({"metadata": {"name": "c", "finalizers": ["test/a"]}});
    caller.call(Method::POST, path, object).await;
    let one = format!("{path}/c");
    caller.call(Method::DELETE, &one, Value::Null).await;
    let patch = |finalizers: Value| json!({"metadata": {"finalizers": finalizers}});
    let (code, refused) = caller
        .call(Method::PATCH, &one, patch(json!(["test/a", "test/b"])))
        .await;
    let message = "ConfigMap \"c\" is invalid: metadata.finalizers: Forbidden: no new finalizers can be added if the object is \
        being deleted, found new finalizers []string{\"test/b\"}";
    assert_eq!((code.as_u16(), &refused["message"]), (422, &json!(message)));
    let (code, _) = caller.call(Method::PATCH, &one, patch(json!([]))).await;
    assert_eq!(code, StatusCode::OK);
    assert_eq!(caller.get(&one).await["code"], 404);
}

#[tokio::test]
async fn a_part_that_breaks_is_noticed_and_a_request_that_does_is_answered() {
    let mut cluster = Cluster::start(Delays::default());
    let answer = cluster
        .api
        .shared
        .guard("GET /", || -> Result<(), _> { panic!("as told") });
    assert_eq!(answer.unwrap_err().code, 500);
    cluster.spawn("a part", async { panic!("as told") });
    assert_eq!(
        cluster.broken().await,
        "a part of the embedded cluster broke"
    );
}
