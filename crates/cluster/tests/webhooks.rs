//! Admission webhooks: called over TLS, with what they may change and refuse, and what becomes of a write without an answer.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/ask.rs"]
mod ask;

use std::sync::{Arc, Mutex};

use ask::ask;
use base64::Engine as _;
use headless_cluster::Cluster;
use headless_cluster::authority::Authority;
use http::{Method, Request};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

const MAPS: &str = "/api/v1/namespaces/a/configmaps";

fn base64(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// What a webhook makes of an `AdmissionRequest`.
type Answers = Box<dyn Fn(&Value) -> Value + Send + Sync>;

/// A webhook that answers, and keeps the requests that it was sent.
struct Hook {
    /// `clientConfig`.
    client: Value,
    /// Its own, PEM.
    certificate: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

impl Hook {
    async fn start(answers: Answers) -> Self {
        let authority = Authority::new().unwrap();
        let identity = authority.server(&[[127, 0, 0, 1].into()]).unwrap();
        let chain = vec![CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let kept = Arc::clone(&heard);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let Ok(mut stream) = acceptor.accept(stream).await else {
                    continue;
                };
                let review = body(&mut stream).await;
                let mut response = answers(&review["request"]);
                response["uid"] = review["request"]["uid"].clone();
                kept.lock().unwrap().push(review["request"].clone());
                let review = json!({"apiVersion": review["apiVersion"], "kind": "AdmissionReview", "response": response});
                let text = review.to_string();
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", text.len());
                stream.write_all((head + &text).as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
        });
        let client = json!({
            "url": format!("https://127.0.0.1:{port}/admit"), "caBundle": base64(&authority.certificate()),
        });
        Self {
            client,
            certificate: identity.certificate,
            heard,
        }
    }

    fn heard(&self) -> Vec<Value> {
        self.heard.lock().unwrap().clone()
    }
}

/// The JSON of one HTTP request.
async fn body(stream: &mut (impl AsyncReadExt + Unpin)) -> Value {
    let mut text = Vec::new();
    let mut piece = [0; 4096];
    loop {
        let read = stream.read(&mut piece).await.unwrap();
        text.extend_from_slice(&piece[..read]);
        let all = String::from_utf8_lossy(&text).into_owned();
        let parsed = all
            .split_once("\r\n\r\n")
            .map(|(_, body)| serde_json::from_str(body));
        if let Some(Ok(value)) = parsed {
            return value;
        }
        assert!(read > 0, "the request ended early");
    }
}

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
