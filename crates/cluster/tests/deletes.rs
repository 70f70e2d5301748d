//! Deletes: what they ask for is read strictly, where it stands, and counts in one namespace.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::Cluster;
use http::{Method, Request};
use serde_json::{Value, json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

async fn send(cluster: &Cluster, method: Method, path: &str, body: &str) -> (u16, Value) {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let (head, body) = ask(cluster, request, body.to_owned()).await;
    (head.status.as_u16(), serde_json::from_slice(&body).unwrap())
}

/// A cluster in which nothing works beside the API, with a map `m` in two namespaces.
async fn world() -> Cluster {
    let cluster = Cluster::holding(&[]);
    for ns in ["default", "other"] {
        let namespace = json!({"metadata": {"name": ns}}).to_string();
        send(&cluster, Method::POST, "/api/v1/namespaces", &namespace).await;
        let path = format!("/api/v1/namespaces/{ns}/configmaps");
        let (code, _) = send(
            &cluster,
            Method::POST,
            &path,
            r#"{"metadata": {"name": "m"}}"#,
        )
        .await;
        assert_eq!(code, 201);
    }
    cluster
}

#[tokio::test]
async fn options_that_are_none_delete_nothing() {
    let cluster = world().await;
    let path = format!("{MAPS}/m");
    for (query, body, code, words) in [
        (
            "",
            r#"{"dryRun": ["Some"]}"#,
            422,
            "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\"",
        ),
        (
            "",
            r#"{"dryRun": "All"}"#,
            400,
            "json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string",
        ),
        (
            "",
            r#"{"propagationPolicy": ""}"#,
            422,
            "propagationPolicy: Unsupported value: \"\"",
        ),
        (
            "",
            r#"{"kind": "X", "apiVersion": "v1"}"#,
            400,
            "no kind \"X\" is registered for version \"v1\"",
        ),
        (
            "",
            "[]",
            400,
            "couldn't get version/kind; json parse error: json: cannot unmarshal array",
        ),
        (
            "?propagationPolicy=Orphan&orphanDependents=true",
            "",
            422,
            "orphanDependents and deletionPropagation cannot be both set",
        ),
        (
            "?gracePeriodSeconds=x",
            "",
            400,
            "strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
    ] {
        let (status, answer) =
            send(&cluster, Method::DELETE, &format!("{path}{query}"), body).await;
        let message = answer["message"].as_str().unwrap_or_default();
        assert!(
            status == code && message.contains(words),
            "{body}{query}: {answer}"
        );
    }
    let (code, _) = send(&cluster, Method::GET, &path, "").await;
    assert_eq!(code, 200);
    // With a body the query does not count.
    let dry = format!("{path}?dryRun=All");
    assert_eq!(send(&cluster, Method::DELETE, &dry, "").await.0, 200);
    assert_eq!(send(&cluster, Method::DELETE, &dry, "{}").await.0, 200);
    assert_eq!(send(&cluster, Method::GET, &path, "").await.0, 404);
}

#[tokio::test]
async fn what_is_in_all_namespaces_and_what_a_cluster_needs_is_not_deleted() {
    let cluster = world().await;
    let everywhere = "/api/v1/configmaps";
    for method in [Method::DELETE, Method::POST] {
        let (code, answer) = send(
            &cluster,
            method,
            everywhere,
            r#"{"metadata": {"name": "n"}}"#,
        )
        .await;
        assert_eq!((code, &answer["details"]), (405, &json!({})), "{answer}");
    }
    let (_, all) = send(&cluster, Method::GET, everywhere, "").await;
    let maps = all["items"].as_array().unwrap().iter();
    let left = maps.filter(|map| map["metadata"]["name"] == "m");
    assert_eq!(left.count(), 2);
    let (code, answer) = send(&cluster, Method::DELETE, "/api/v1/namespaces/default", "").await;
    let words = "namespaces \"default\" is forbidden: this namespace may not be deleted";
    assert_eq!((code, answer["message"].as_str()), (403, Some(words)));
}

#[tokio::test]
async fn what_goes_later_has_a_new_generation_once_and_is_shown_by_a_dry_run() {
    let cluster = world().await;
    let deployments = "/apis/apps/v1/namespaces/default/deployments";
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "x:1"}]}});
    let held = json!({
        "metadata": {"name": "d", "finalizers": ["example.org/hold"]},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    });
    assert_eq!(
        send(&cluster, Method::POST, deployments, &held.to_string())
            .await
            .0,
        201
    );
    let path = format!("{deployments}/d");
    let (_, shown) = send(&cluster, Method::DELETE, &format!("{path}?dryRun=All"), "").await;
    assert!(
        shown["metadata"]["deletionTimestamp"].is_string(),
        "{shown}"
    );
    let (_, kept) = send(&cluster, Method::GET, &path, "").await;
    assert_eq!(
        (
            &kept["metadata"]["generation"],
            &kept["metadata"]["deletionTimestamp"]
        ),
        (&json!(1), &Value::Null)
    );
    for _ in 0..2 {
        let (_, ending) = send(&cluster, Method::DELETE, &path, "").await;
        assert_eq!(ending["metadata"]["generation"], 2);
    }
}

#[tokio::test]
async fn bodies_and_answers_are_of_media_types_that_there_are() {
    let cluster = world().await;
    let said =
        |method: Method, header: &'static str, media_type: &'static str, body: &'static str| {
            let request = Request::builder()
                .method(method)
                .uri(MAPS)
                .header(header, media_type);
            let cluster = &cluster;
            async move {
                let (head, _) = ask(cluster, request, body.to_owned()).await;
                head.status.as_u16()
            }
        };
    let body = r#"{"metadata": {"name": "n"}}"#;
    assert_eq!(
        said(Method::POST, "content-type", "text/plain", body).await,
        415
    );
    for (accept, code) in [
        ("text/html", 406),
        ("application/json;as=Bogus;v=v1;g=meta.k8s.io", 406),
        ("application/json;as=Table", 406),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", 200),
        ("text/html, */*", 200),
    ] {
        assert_eq!(
            said(Method::GET, "accept", accept, "").await,
            code,
            "{accept}"
        );
    }
}
