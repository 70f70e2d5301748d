//! Metadata alone (`PartialObjectMetadata`): of an object, a list and a watch, as metadata informers ask for them.
#![expect(clippy::unwrap_used, reason = "a test")]

use headless_cluster::{Cluster, Delays};
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};

const ACCEPT: &str = "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,\
                      application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json";

/// The documents of an answer: `lines` of them, as a watch has no end.
async fn ask(cluster: &Cluster, path: &str, lines: usize) -> Vec<Value> {
    let request = Request::get(path)
        .header("accept", ACCEPT)
        .body(Full::<bytes::Bytes>::default())
        .unwrap();
    let mut body = cluster.api().call(request).await.into_body();
    let (mut text, mut found) = (String::new(), Vec::new());
    while found.len() < lines {
        let frame = body.frame().await.unwrap().unwrap();
        text += std::str::from_utf8(&frame.into_data().unwrap()).unwrap();
        let documents = text.lines().map(serde_json::from_str);
        found = documents.collect::<Result<_, _>>().unwrap();
    }
    found
}

#[tokio::test]
async fn metadata_are_shown_without_the_rest() {
    let cluster = Cluster::start(Delays::default());
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "labels": {"x": "y"}}, "data": {"k": "v"}});
    cluster.apply("a.yaml", &map.to_string()).unwrap();
    let path = "/api/v1/namespaces/default/configmaps";
    let one = ask(&cluster, &format!("{path}/a"), 1).await.remove(0);
    assert_eq!(one["kind"], "PartialObjectMetadata");
    assert_eq!(
        (&one["metadata"]["labels"]["x"], &one["data"]),
        (&json!("y"), &Value::Null)
    );
    let list = ask(&cluster, &format!("{path}?labelSelector=x"), 1)
        .await
        .remove(0);
    assert_eq!(list["kind"], "PartialObjectMetadataList");
    assert_eq!(list["items"], json!([one]));
    let watch = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = ask(&cluster, &format!("{path}?labelSelector=x&{watch}"), 2).await;
    let kinds: Vec<_> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["ADDED", "BOOKMARK"]);
    assert_eq!(events[0]["object"], one);
    assert_eq!(events[1]["object"]["kind"], "PartialObjectMetadata");
    let end = &events[1]["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"];
    assert_eq!(end, "true");
}
