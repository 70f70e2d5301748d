//! Ephemeral containers, which `kubectl debug` adds to a Pod that is there.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/send.rs"]
mod send;

use headless_cluster::{Cluster, Delays};
use http::Method;
use send::send;
use serde_json::{Value, json};

const POD: &str = "/api/v1/namespaces/default/pods/p";
const DEBUG: &str = "/api/v1/namespaces/default/pods/p/ephemeralcontainers";

/// A cluster with a Pod that has one ephemeral container, and that Pod.
async fn debugged() -> (Cluster, Value) {
    let cluster = Cluster::start(Delays::default());
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let pods = POD.strip_suffix("/p").unwrap();
    let (_, mut pod) = send(&cluster, Method::POST, pods, &pod).await;
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    pod["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let look = json!([{"name": "look", "image": "busybox", "targetContainerName": "c"}]);
    pod["spec"]["ephemeralContainers"] = look;
    let (code, refused) = send(&cluster, Method::PUT, POD, &pod).await;
    assert_eq!(
        (code, &refused["details"]["causes"][0]["field"]),
        (422, &json!("spec"))
    );
    let (code, pod) = send(&cluster, Method::PUT, DEBUG, &pod).await;
    assert_eq!(code, 200);
    (cluster, pod)
}

#[tokio::test(start_paused = true)]
async fn an_ephemeral_container_is_added_by_its_own_path_alone_and_runs() {
    let (cluster, pod) = debugged().await;
    assert_eq!(pod["metadata"]["generation"], 2);
    let added = &pod["spec"]["ephemeralContainers"][0];
    assert_eq!(added["terminationMessagePolicy"], "File");
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let (_, pod) = send(&cluster, Method::GET, DEBUG, &json!({})).await;
    let status = &pod["status"]["ephemeralContainerStatuses"][0];
    assert!(status["state"]["running"].is_object(), "{pod}");
    assert_eq!(
        (&status["ready"], &pod["status"]["phase"]),
        (&json!(false), &json!("Running"))
    );
}

#[tokio::test(start_paused = true)]
async fn no_ephemeral_container_changes_goes_or_has_what_others_have() {
    let (cluster, mut pod) = debugged().await;
    pod["metadata"]
        .as_object_mut()
        .unwrap()
        .remove("resourceVersion");
    let look = pod["spec"]["ephemeralContainers"][0].clone();
    let mut other = look.clone();
    other["image"] = "other".into();
    let list = "spec.ephemeralContainers";
    let never = "Forbidden: cannot be set for an Ephemeral Container";
    let new = |field: &str, value: Value| {
        let mut new = json!({"name": "new", "image": "i"});
        new[field] = value;
        json!([look, new])
    };
    for (containers, field, message) in [
        (
            json!([]),
            list.into(),
            "Forbidden: existing ephemeral containers \"look\" may not be removed\n",
        ),
        (
            json!([other]),
            list.into(),
            "Forbidden: existing ephemeral containers \"look\" may not be changed\n",
        ),
        (
            new("name", json!("c")),
            format!("{list}[1].name"),
            "Duplicate value: \"c\"",
        ),
        (
            new("targetContainerName", json!("x")),
            format!("{list}[1].targetContainerName"),
            "Not found: \"x\"",
        ),
        (
            new("ports", json!([{"containerPort": 1}])),
            format!("{list}[1].ports"),
            never,
        ),
        (
            new("readinessProbe", json!({"exec": {"command": ["a"]}})),
            format!("{list}[1].readinessProbe"),
            never,
        ),
    ] {
        pod["spec"]["ephemeralContainers"] = containers;
        let (code, refused) = send(&cluster, Method::PUT, DEBUG, &pod).await;
        let cause = &refused["details"]["causes"][0];
        let said = (code, &cause["field"], &cause["message"]);
        assert_eq!(said, (422, &json!(field), &json!(message)));
    }
}
