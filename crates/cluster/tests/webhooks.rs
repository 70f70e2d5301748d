//! Admission webhooks: called over TLS, with what they may change and refuse, and what becomes of a write without an answer.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;
#[path = "support/hook.rs"]
mod hook;

use ask::ask;
use headless_cluster::Cluster;
use headless_cluster::authority::Authority;
use hook::{Hook, base64};
use http::{Method, Request};
use serde_json::{Value, json};
use tokio::net::TcpListener;

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

async fn send(
    cluster: &Cluster,
    method: Method,
    path: &str,
    object: &Value,
) -> (u16, Value, Vec<String>) {
    let request = Request::builder().method(method.clone()).uri(path);
    let media_type = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = request.header("content-type", media_type);
    let text = if object.is_null() {
        String::new()
    } else {
        object.to_string()
    };
    let (head, body) = ask(cluster, request, text).await;
    let warnings = head.headers.get_all("warning").iter();
    let warnings = warnings.map(|value| value.to_str().unwrap().to_owned());
    (
        head.status.as_u16(),
        serde_json::from_slice(&body).unwrap(),
        warnings.collect(),
    )
}

/// A cluster with the namespace `a`, and one webhook of this kind of configuration for ConfigMaps.
async fn world(kind: &str, client: &Value, more: &Value) -> Cluster {
    let cluster = Cluster::holding(&[]);
    let namespace = json!({"metadata": {"name": "a", "labels": {"watched": "yes"}}});
    send(&cluster, Method::POST, "/api/v1/namespaces", &namespace).await;
    let rule = json!({"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]});
    let mut hook = json!({
        "name": "maps.example.com", "clientConfig": client, "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 5,
    });
    for (field, value) in more.as_object().into_iter().flatten() {
        hook[field] = value.clone();
    }
    let configuration = json!({"metadata": {"name": "maps"}, "webhooks": [hook]});
    let path = format!("/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations");
    let (code, answer, _) = send(&cluster, Method::POST, &path, &configuration).await;
    assert_eq!(code, 201, "{answer}");
    cluster
}

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name}, "data": {"a": "b"}})
}

#[tokio::test]
async fn a_webhook_changes_what_is_written_and_sees_what_a_real_one_sees() {
    let hook = Hook::start(Box::new(|_| {
        let patch = json!([{"op": "add", "path": "/data/added", "value": "yes"}]);
        json!({"allowed": true, "patchType": "JSONPatch", "patch": base64(&patch.to_string()), "warnings": ["mind this"]})
    }))
    .await;
    let cluster = world("mutating", &hook.client, &Value::Null).await;
    let (code, made, warnings) = send(&cluster, Method::POST, MAPS, &map("one")).await;
    assert_eq!(
        (code, &made["data"]),
        (201, &json!({"a": "b", "added": "yes"}))
    );
    assert_eq!(warnings, ["299 - \"mind this\""]);
    let mut request = hook.heard().remove(0);
    let uid = request["uid"].take();
    assert_eq!(uid.as_str().map(str::len), Some(36));
    let kind = json!({"group": "", "version": "v1", "kind": "ConfigMap"});
    let resource = json!({"group": "", "version": "v1", "resource": "configmaps"});
    let object = json!({"metadata": {"name": "one", "namespace": "a"}, "data": {"a": "b"}, "apiVersion": "v1", "kind": "ConfigMap"});
    let wanted = json!({
        "uid": null, "kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource, "name": "one",
        "namespace": "a", "operation": "CREATE", "object": object, "oldObject": null, "dryRun": false,
        "userInfo": {"username": "kubernetes-admin", "groups": ["system:masters", "system:authenticated"]},
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": ""},
    });
    assert_eq!(request, wanted);
    let path = format!("{MAPS}/one");
    let (_, patched, _) = send(
        &cluster,
        Method::PATCH,
        &path,
        &json!({"data": {"added": "no"}}),
    )
    .await;
    assert_eq!(patched["data"]["added"], "yes");
    send(&cluster, Method::DELETE, &path, &Value::Null).await;
    let heard = hook.heard();
    let operations: Vec<_> = heard.iter().map(|request| &request["operation"]).collect();
    // What may be changed may not be where nothing is left of it: that delete is refused.
    assert_eq!(operations, ["CREATE", "UPDATE", "DELETE"]);
    assert_eq!(heard[1]["oldObject"]["data"]["added"], "yes");
    assert_eq!(heard[2]["object"], Value::Null);
}

#[tokio::test]
async fn a_webhook_refuses_in_its_own_words_and_nothing_is_written() {
    let hook = Hook::start(Box::new(|request| {
        let wrong = request["object"]["data"]["bad"].is_string() || request["operation"] == "DELETE";
        json!({"allowed": !wrong, "status": {"code": 403, "reason": "Forbidden", "message": "not so"}})
    }))
    .await;
    let cluster = world("validating", &hook.client, &Value::Null).await;
    let (code, _, _) = send(&cluster, Method::POST, MAPS, &map("one")).await;
    assert_eq!(code, 201);
    let path = format!("{MAPS}/one");
    let bad = json!({"data": {"bad": "x"}});
    for (method, body) in [(Method::PATCH, &bad), (Method::DELETE, &Value::Null)] {
        let (code, answer, _) = send(&cluster, method, &path, body).await;
        let words = "admission webhook \"maps.example.com\" denied the request: not so";
        assert_eq!(
            (code, answer["message"].as_str(), answer["reason"].as_str()),
            (403, Some(words), Some("Forbidden"))
        );
    }
    let (_, kept, _) = send(&cluster, Method::GET, &path, &Value::Null).await;
    assert_eq!(kept["data"], json!({"a": "b"}));
    // The object that is looked at is complete: it has the uid that it is written with.
    let first = hook.heard().remove(0);
    assert_eq!(first["object"]["metadata"]["uid"], kept["metadata"]["uid"]);
}

#[tokio::test]
async fn a_call_without_answer_refuses_or_is_passed_over_as_the_policy_says() {
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let client = json!({"url": format!("https://127.0.0.1:{port}/")});
    let cluster = world("validating", &client, &Value::Null).await;
    let (code, answer, _) = send(&cluster, Method::POST, MAPS, &map("one")).await;
    let said = answer["message"].as_str().unwrap();
    let begin = format!(
        "Internal error occurred: failed calling webhook \"maps.example.com\": failed to call webhook: Post \
         \"https://127.0.0.1:{port}/?timeout=5s\": dial tcp 127.0.0.1:{port}: "
    );
    assert!(code == 500 && said.starts_with(&begin), "{said}");
    let cluster = world("validating", &client, &json!({"failurePolicy": "Ignore"})).await;
    let (code, _, _) = send(&cluster, Method::POST, MAPS, &map("one")).await;
    assert_eq!(code, 201);
}

#[tokio::test]
async fn selectors_side_effects_and_authorities_are_obeyed() {
    let hook = Hook::start(Box::new(|_| json!({"allowed": false}))).await;
    let other = json!({"namespaceSelector": {"matchLabels": {"watched": "no"}}});
    let cluster = world("validating", &hook.client, &other).await;
    assert_eq!(send(&cluster, Method::POST, MAPS, &map("one")).await.0, 201);
    let labelled = json!({"objectSelector": {"matchLabels": {"a": "b"}}});
    let cluster = world("validating", &hook.client, &labelled).await;
    assert_eq!(send(&cluster, Method::POST, MAPS, &map("one")).await.0, 201);
    let path = format!("{MAPS}/one");
    let label = json!({"metadata": {"labels": {"a": "b"}}});
    assert_eq!(send(&cluster, Method::PATCH, &path, &label).await.0, 400);
    assert_eq!(hook.heard().len(), 1);
    let dry = format!("{MAPS}?dryRun=All");
    let cluster = world("validating", &hook.client, &Value::Null).await;
    assert_eq!(send(&cluster, Method::POST, &dry, &map("one")).await.0, 400);
    assert_eq!(hook.heard()[1]["dryRun"], true);
    let mut stranger = hook.client.clone();
    stranger["caBundle"] = base64(&Authority::new().unwrap().certificate()).into();
    let cluster = world("validating", &stranger, &Value::Null).await;
    let (code, answer, _) = send(&cluster, Method::POST, MAPS, &map("one")).await;
    assert!(
        code == 500 && answer.to_string().contains("tls: "),
        "{answer}"
    );
    assert_eq!(hook.heard().len(), 2);
    // As `envtest` has it: the bundle is the webhook's own certificate.
    let mut own = hook.client.clone();
    own["caBundle"] = base64(&hook.certificate).into();
    let cluster = world("validating", &own, &Value::Null).await;
    assert_eq!(send(&cluster, Method::POST, MAPS, &map("one")).await.0, 400);
    assert_eq!(hook.heard().len(), 3);
}

/// A configuration's webhooks, each by its name, URL and what more is said of it, in their order.
fn configuration(name: &str, hooks: &[(&str, &Value, Value)]) -> Value {
    let rule = json!({"operations": ["*"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]});
    let hooks = hooks.iter().map(|(name, client, more)| {
        let mut hook = json!({
            "name": name, "clientConfig": client, "rules": [rule], "sideEffects": "None", "admissionReviewVersions": ["v1"],
        });
        for (field, value) in more.as_object().into_iter().flatten() {
            hook[field] = value.clone();
        }
        hook
    });
    json!({"metadata": {"name": name}, "webhooks": hooks.collect::<Vec<_>>()})
}

/// A webhook that sets a label, but where it is set already.
async fn labelling(label: &'static str) -> Hook {
    Hook::start(Box::new(move |request| {
        let is_set = request["object"]["metadata"]["labels"][label].is_string();
        let path = format!("/metadata/labels/{label}");
        let patch = json!([{"op": "add", "path": path, "value": "yes"}]);
        match is_set {
            true => json!({"allowed": true}),
            false => json!({"allowed": true, "patchType": "JSONPatch", "patch": base64(&patch.to_string())}),
        }
    }))
    .await
}

#[tokio::test]
async fn a_later_webhook_sees_the_labels_of_an_earlier_one_and_who_asks_for_it_is_called_again() {
    let (first, second, third) = (
        labelling("first").await,
        labelling("second").await,
        labelling("third").await,
    );
    let cluster = Cluster::holding(&[]);
    let namespace = json!({"metadata": {"name": "a"}});
    send(&cluster, Method::POST, "/api/v1/namespaces", &namespace).await;
    let only = |label: &str| json!({"objectSelector": {"matchLabels": {label: "yes"}}});
    let path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations";
    let hooks = [
        ("third.example.com", &third.client, only("second")),
        ("early.example.com", &third.client, only("never")),
    ];
    for (name, hooks) in [
        ("b", &hooks[..]),
        (
            "a",
            &[
                (
                    "first.example.com",
                    &first.client,
                    json!({"reinvocationPolicy": "IfNeeded"}),
                ),
                ("second.example.com", &second.client, only("first")),
            ],
        ),
    ] {
        let (code, answer, _) =
            send(&cluster, Method::POST, path, &configuration(name, hooks)).await;
        assert_eq!(code, 201, "{answer}");
    }
    let mut object = map("one");
    object["metadata"]["labels"] = json!({"app": "a"});
    let (code, made, _) = send(&cluster, Method::POST, MAPS, &object).await;
    let labels = json!({"app": "a", "first": "yes", "second": "yes", "third": "yes"});
    assert_eq!((code, &made["metadata"]["labels"]), (201, &labels));
    let counts = [&first, &second, &third].map(|hook| hook.heard().len());
    // The first asks to be called again where others change the object; the others do not.
    assert_eq!(counts, [2, 1, 1]);
    let last = first.heard().pop().unwrap();
    assert_eq!(last["object"]["metadata"]["labels"], labels);
}

#[tokio::test]
async fn a_webhook_is_asked_about_each_object_of_a_collection_once() {
    let hook = Hook::start(Box::new(
        |request| json!({"allowed": request["name"] != "three", "warnings": [request["name"]]}),
    ))
    .await;
    let rules = json!([{"operations": ["DELETE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}]);
    let cluster = world("validating", &hook.client, &json!({"rules": rules})).await;
    for name in ["one", "two", "three", "zero"] {
        let mut object = map(name);
        object["metadata"]["finalizers"] = json!(["example.com/stays"]);
        assert_eq!(send(&cluster, Method::POST, MAPS, &object).await.0, 201);
    }
    let selected = format!("{MAPS}?fieldSelector=metadata.name%21%3Dkube-root-ca.crt");
    let (code, answer, warnings) = send(&cluster, Method::DELETE, &selected, &Value::Null).await;
    assert_eq!(code, 400, "{answer}");
    let asked = hook
        .heard()
        .into_iter()
        .map(|mut request| request["name"].take());
    assert_eq!(asked.collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(warnings, ["299 - \"one\"", "299 - \"three\""]);
    let (_, kept, _) = send(&cluster, Method::GET, MAPS, &Value::Null).await;
    let ending = kept["items"].as_array().unwrap().iter();
    let ending = ending.filter(|one| one["metadata"]["deletionTimestamp"].is_string());
    let ending: Vec<_> = ending.map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(ending, ["one"]);
}

/// A Job's selector and labels hold its uid, which is not shown to webhooks that may change it.
#[tokio::test]
async fn a_job_that_a_webhook_changes_keeps_its_selector_and_can_be_changed_again() {
    let hook = Hook::start(Box::new(|_| {
        let patch =
            json!([{"op": "add", "path": "/metadata/annotations", "value": {"seen": "yes"}}]);
        json!({"allowed": true, "patchType": "JSONPatch", "patch": base64(&patch.to_string())})
    }))
    .await;
    let rule = json!({"operations": ["CREATE"], "apiGroups": ["batch"], "apiVersions": ["v1"], "resources": ["jobs"]});
    let cluster = world("mutating", &hook.client, &json!({"rules": [rule]})).await;
    let template =
        json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "x:1"}]}});
    let job = json!({"metadata": {"generateName": "j-"}, "spec": {"template": template}});
    let jobs = "/apis/batch/v1/namespaces/a/jobs";
    let (code, made, _) = send(&cluster, Method::POST, jobs, &job).await;
    assert_eq!(
        (code, &made["metadata"]["annotations"]["seen"]),
        (201, &json!("yes"))
    );
    assert!(hook.heard()[0]["name"].is_null(), "it has none yet");
    let (uid, name) = (&made["metadata"]["uid"], &made["metadata"]["name"]);
    let selector = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": uid}});
    assert_eq!(made["spec"]["selector"], selector);
    let labels = json!({
        "batch.kubernetes.io/controller-uid": uid, "controller-uid": uid, "batch.kubernetes.io/job-name": name, "job-name": name,
    });
    assert_eq!(made["spec"]["template"]["metadata"]["labels"], labels);
    let path = format!("{jobs}/{}", name.as_str().unwrap());
    let labelled = json!({"metadata": {"labels": {"x": "y"}}});
    let (code, answer, _) = send(&cluster, Method::PATCH, &path, &labelled).await;
    assert_eq!(code, 200, "{answer}");
}
