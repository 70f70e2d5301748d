//! Conversion webhooks: objects are read, listed, watched, written, applied and deleted in each version of their definition.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/hook.rs"]
mod hook;

use ask::ask;
use headless_cluster::Cluster;
use hook::{Hook, base64};
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const V1: &str = "/apis/example.com/v1/namespaces/a/widgets";
const V2: &str = "/apis/example.com/v2/namespaces/a/widgets";
const MERGE: &str = "application/merge-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// What `size` of v1 is, v2 calls `width`.
fn converted(object: &Value, desired: &Value) -> Value {
    let mut object = object.clone();
    let spec = object["spec"].as_object_mut().unwrap();
    let (from, to) = if *desired == "example.com/v2" {
        ("size", "width")
    } else {
        ("width", "size")
    };
    if let Some(value) = spec.shift_remove(from) {
        spec.insert(to.into(), value);
    }
    object["apiVersion"] = desired.clone();
    object["metadata"]["labels"] = json!({"seen": "yes"});
    object
}

async fn converter() -> Hook {
    Hook::start(Box::new(|request| {
        let objects = request["objects"].as_array().unwrap().iter();
        if objects
            .clone()
            .any(|object| object["metadata"]["name"] == "bad")
        {
            return json!({"result": {"status": "Failed", "message": "it is bad"}});
        }
        let objects = objects.map(|object| converted(object, &request["desiredAPIVersion"]));
        json!({"result": {"status": "Success"}, "convertedObjects": objects.collect::<Vec<_>>()})
    }))
    .await
}

fn definition(client: &Value) -> Value {
    let version = |name: &str, field: &str| {
        let spec = json!({"type": "object", "properties": {field: {"type": "integer"}, "mode": {"type": "string", "default": name}}});
        let schema = json!({"type": "object", "properties": {"spec": spec, "status": {"type": "object", "properties": {
            "ready": {"type": "boolean"}}}}});
        json!({
            "name": name, "served": true, "storage": name == "v1", "schema": {"openAPIV3Schema": schema}, "subresources": {"status": {}},
        })
    };
    let webhook = json!({"clientConfig": client, "conversionReviewVersions": ["v2", "v1"]});
    json!({"metadata": {"name": "widgets.example.com"}, "spec": {
        "group": "example.com", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget"},
        "versions": [version("v1", "size"), version("v2", "width")], "conversion": {"strategy": "Webhook", "webhook": webhook},
    }})
}

struct World(Cluster);

impl World {
    async fn new(client: &Value) -> Self {
        let world = Self(Cluster::holding(&[]));
        let namespace = json!({"metadata": {"name": "a"}});
        world.post("/api/v1/namespaces", &namespace).await;
        let (code, answer) = world.post(DEFINITIONS, &definition(client)).await;
        assert_eq!(code, 201, "{answer}");
        world
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        (media_type, body): (&str, &Value),
    ) -> (u16, Value) {
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", media_type);
        let (head, body) = ask(&self.0, request, text).await;
        (head.status.as_u16(), serde_json::from_slice(&body).unwrap())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.send(Method::GET, path, ("", &Value::Null)).await
    }

    async fn post(&self, path: &str, object: &Value) -> (u16, Value) {
        self.send(Method::POST, path, ("application/json", object))
            .await
    }

    /// The first events of a watch.
    async fn watch(&self, path: &str, count: usize) -> Vec<Value> {
        let request = Request::builder().uri(path);
        let request = request.body(Full::new(bytes::Bytes::new())).unwrap();
        let mut body = self.0.api().call(request).await.into_body();
        let mut events = Vec::new();
        while events.len() < count {
            let frame = body.frame().await.unwrap().unwrap();
            events.push(serde_json::from_slice(&frame.into_data().unwrap()).unwrap());
        }
        events
    }
}

fn v2(name: &str, width: i64) -> Value {
    json!({"apiVersion": "example.com/v2", "kind": "Widget", "metadata": {"name": name}, "spec": {"width": width}})
}

fn v1(name: &str, size: i64) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": size}})
}

#[tokio::test]
async fn an_object_is_kept_in_one_version_and_shown_in_each() {
    let hook = converter().await;
    let world = World::new(&hook.client).await;
    let (code, made) = world.post(V2, &v2("one", 3)).await;
    assert_eq!(
        (code, &made["apiVersion"], &made["spec"]),
        (
            201,
            &json!("example.com/v2"),
            &json!({"width": 3, "mode": "v2"})
        )
    );
    // What is kept is v1: it is read without a call.
    let calls = hook.heard().len();
    let path = format!("{V1}/one");
    let (_, kept) = world.get(&path).await;
    assert_eq!(
        (
            &kept["apiVersion"],
            &kept["spec"],
            &kept["metadata"]["labels"]
        ),
        (
            &json!("example.com/v1"),
            &json!({"mode": "v2", "size": 3}),
            &json!({"seen": "yes"})
        )
    );
    assert_eq!(hook.heard().len(), calls);
    assert_eq!(
        kept["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    world.post(V1, &v1("two", 5)).await;
    let (_, list) = world.get(V2).await;
    let widths = list["items"].as_array().unwrap().iter();
    let widths: Vec<_> = widths.map(|one| &one["spec"]["width"]).collect();
    assert_eq!(
        (list["apiVersion"].as_str(), widths),
        (Some("example.com/v2"), vec![&json!(3), &json!(5)])
    );
    let asked = hook.heard().pop().unwrap();
    let names = asked["objects"].as_array().unwrap().iter();
    let names: Vec<_> = names
        .map(|one| (&one["metadata"]["name"], &one["apiVersion"]))
        .collect();
    let of = json!("example.com/v1");
    assert_eq!(names, [(&json!("one"), &of), (&json!("two"), &of)]);
    assert_eq!(asked["desiredAPIVersion"], "example.com/v2");
}

#[tokio::test]
async fn updates_patches_applies_and_deletes_are_of_the_version_of_their_request() {
    let hook = converter().await;
    let world = World::new(&hook.client).await;
    let (_, made) = world.post(V1, &v1("one", 1)).await;
    let path = format!("{V2}/one");
    let patch = json!({"spec": {"width": 2}});
    let (code, patched) = world.send(Method::PATCH, &path, (MERGE, &patch)).await;
    assert_eq!(
        (code, &patched["spec"]),
        (200, &json!({"mode": "v1", "width": 2}))
    );
    assert_ne!(
        patched["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    let mut object = patched.clone();
    object["spec"]["width"] = 4.into();
    let (code, updated) = world
        .send(Method::PUT, &path, ("application/json", &object))
        .await;
    assert_eq!((code, &updated["spec"]["width"]), (200, &json!(4)));
    // The revision that it came with is the one that was there.
    let (code, _) = world
        .send(Method::PUT, &path, ("application/json", &object))
        .await;
    assert_eq!(code, 409);
    let status = json!({"status": {"ready": true}});
    let (code, shown) = world
        .send(Method::PATCH, &format!("{path}/status"), (MERGE, &status))
        .await;
    assert_eq!(
        (code, &shown["status"], &shown["spec"]["width"]),
        (200, &json!({"ready": true}), &json!(4))
    );
    let query = format!("{path}?fieldManager=me&force=true");
    let (code, applied) = world
        .send(Method::PATCH, &query, (APPLY, &v2("one", 6)))
        .await;
    assert_eq!((code, &applied["spec"]["width"]), (200, &json!(6)));
    let (_, kept) = world.get(&format!("{V1}/one")).await;
    assert_eq!(
        (&kept["spec"]["size"], &kept["status"]),
        (&json!(6), &json!({"ready": true}))
    );
    let dry = world
        .send(
            Method::PATCH,
            &format!("{path}?dryRun=All"),
            (MERGE, &patch),
        )
        .await;
    assert_eq!((dry.0, &dry.1["spec"]["width"]), (200, &json!(2)));
    let held = json!({"metadata": {"finalizers": ["example.com/stays"]}});
    world.send(Method::PATCH, &path, (MERGE, &held)).await;
    let (_, ending) = world.send(Method::DELETE, &path, ("", &Value::Null)).await;
    assert!(ending["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(
        (&ending["apiVersion"], &ending["spec"]["width"]),
        (&json!("example.com/v2"), &json!(6))
    );
}

#[tokio::test]
async fn a_watch_shows_what_is_there_and_what_happens_in_its_version() {
    let hook = converter().await;
    // As `envtest` has it: the bundle is the webhook's own certificate.
    let mut client = hook.client.clone();
    client["caBundle"] = base64(&hook.certificate).into();
    let world = World::new(&client).await;
    let (_, made) = world.post(V1, &v1("one", 1)).await;
    let revision = made["metadata"]["resourceVersion"].as_str().unwrap();
    let patch = json!({"spec": {"size": 2}});
    world
        .send(Method::PATCH, &format!("{V1}/one"), (MERGE, &patch))
        .await;
    world
        .send(Method::DELETE, &format!("{V1}/one"), ("", &Value::Null))
        .await;
    world.post(V2, &v2("two", 7)).await;
    let shown = |events: Vec<Value>| -> Vec<String> {
        let one = |event: &Value| {
            let object = &event["object"];
            format!(
                "{} {} {}",
                event["type"], object["apiVersion"], object["spec"]["width"]
            )
        };
        events.iter().map(one).collect()
    };
    let watch = format!("{V2}?watch=true");
    assert_eq!(
        shown(world.watch(&watch, 1).await),
        ["\"ADDED\" \"example.com/v2\" 7"]
    );
    let watch = format!("{watch}&resourceVersion={revision}");
    assert_eq!(
        shown(world.watch(&watch, 3).await),
        [
            "\"MODIFIED\" \"example.com/v2\" 2",
            "\"DELETED\" \"example.com/v2\" 2",
            "\"ADDED\" \"example.com/v2\" 7",
        ]
    );
}

#[tokio::test]
async fn a_webhook_that_fails_fails_what_needs_it_in_the_api_server_s_words() {
    let hook = converter().await;
    let world = World::new(&hook.client).await;
    world.post(V1, &v1("bad", 1)).await;
    let words = "conversion webhook for example.com/v1, Kind=Widget failed: it is bad";
    let path = format!("{V2}/bad");
    let patch = json!({"spec": {"width": 2}});
    for answer in [
        world.get(&path).await,
        world.get(V2).await,
        world.send(Method::PATCH, &path, (MERGE, &patch)).await,
        world.send(Method::DELETE, &path, ("", &Value::Null)).await,
    ] {
        assert_eq!((answer.0, answer.1["message"].as_str()), (500, Some(words)));
    }
    let events = world.watch(&format!("{V2}?watch=true"), 1).await;
    assert_eq!(
        (&events[0]["type"], events[0]["object"]["message"].as_str()),
        (&json!("ERROR"), Some(words))
    );
    assert_eq!(world.get(&format!("{V1}/bad")).await.0, 200);
    let nowhere = json!({"service": {"namespace": "a", "name": "nobody", "path": "/convert"}});
    let world = World::new(&nowhere).await;
    let (code, answer) = world.post(V2, &v2("one", 1)).await;
    let words = "conversion webhook for example.com/v2, Kind=Widget failed: Post \
        \"https://nobody.a.svc:443/convert?timeout=30s\": service \"nobody\" not found";
    assert_eq!((code, answer["message"].as_str()), (500, Some(words)));
}

#[tokio::test]
async fn a_definition_says_where_its_webhook_is() {
    let world = World::new(&json!({"url": "https://example.com/"})).await;
    for (conversion, words) in [
        (
            json!({"strategy": "Webhook"}),
            "[spec.conversion.webhookClientConfig: Required value: required when strategy is set to Webhook, \
             spec.conversion.conversionReviewVersions: Required value]",
        ),
        (
            json!({"strategy": "Webhook", "webhook": {"clientConfig": {}, "conversionReviewVersions": ["v3"]}}),
            "[spec.conversion.webhookClientConfig: Required value: exactly one of url or service is required, \
             spec.conversion.conversionReviewVersions: Invalid value: [\"v3\"]: must include at least one of v1, v1beta1]",
        ),
        (
            json!({"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}),
            "spec.conversion.conversionReviewVersions: Forbidden: should not be set when strategy is not set to Webhook",
        ),
        (
            json!({"strategy": "Some"}),
            "spec.conversion.strategy: Unsupported value: \"Some\": supported values: \"None\", \"Webhook\"",
        ),
    ] {
        let mut other = definition(&Value::Null);
        other["spec"]["conversion"] = conversion;
        other["spec"]["names"]["plural"] = "others".into();
        other["metadata"]["name"] = "others.example.com".into();
        let (code, answer) = world.post(DEFINITIONS, &other).await;
        let said = format!(
            "CustomResourceDefinition.apiextensions.k8s.io \"others.example.com\" is invalid: {words}"
        );
        assert_eq!((code, answer["message"].as_str()), (422, Some(&*said)));
    }
}
