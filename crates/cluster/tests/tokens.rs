//! Tokens of service accounts: whom they stand for, and until when.
#![expect(clippy::unwrap_used, reason = "a test")]

#[path = "support/send.rs"]
mod send;

use headless_cluster::{Cluster, Delays};
use http::Method;
use send::send;
use serde_json::{Value, json};

const API: &str = "https://kubernetes.default.svc.cluster.local";

async fn post(cluster: &Cluster, path: &str, object: &Value) -> (u16, Value) {
    send(cluster, Method::POST, path, object).await
}

async fn ask(cluster: &Cluster, spec: Value) -> (u16, Value) {
    const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/x/token";
    post(cluster, TOKEN, &json!({"spec": spec})).await
}

async fn token(cluster: &Cluster, spec: Value) -> String {
    let (code, made) = ask(cluster, spec).await;
    assert_eq!(code, 201, "{made}");
    made["status"]["token"].as_str().unwrap().to_owned()
}

/// What the API says of a token.
async fn review(cluster: &Cluster, token: &str, audiences: Value) -> Value {
    const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
    let spec = json!({"token": token, "audiences": audiences});
    let (code, answer) = post(cluster, REVIEWS, &json!({"spec": spec})).await;
    assert_eq!(code, 201, "{answer}");
    answer["status"].clone()
}

/// A cluster with the account `x`, its Pod `p`, a Pod `q` of another, and the Secret `s`.
async fn cluster() -> Cluster {
    let cluster = Cluster::start(Delays::default());
    let pod = |name: &str, account: &str| {
        let containers = json!([{"name": "a", "image": "a"}]);
        let spec =
            json!({"serviceAccountName": account, "nodeName": "n", "containers": containers});
        json!({"metadata": {"name": name}, "spec": spec})
    };
    for (kind, object) in [
        ("serviceaccounts", json!({"metadata": {"name": "x"}})),
        ("secrets", json!({"metadata": {"name": "s"}})),
        ("pods", pod("p", "x")),
        ("pods", pod("q", "default")),
    ] {
        let path = format!("/api/v1/namespaces/default/{kind}");
        let (code, made) = post(&cluster, &path, &object).await;
        assert_eq!(code, 201, "{made}");
    }
    cluster
}

async fn delete(cluster: &Cluster, path: &str) {
    let path = format!("/api/v1/namespaces/default/{path}");
    let now = json!({"gracePeriodSeconds": 0});
    let (code, _) = send(cluster, Method::DELETE, &path, &now).await;
    assert_eq!(code, 200, "{path}");
}

async fn uid(cluster: &Cluster, path: &str) -> Value {
    let path = format!("/api/v1/namespaces/default/{path}");
    let (_, object) = send(cluster, Method::GET, &path, &json!({})).await;
    object["metadata"]["uid"].clone()
}

fn bound_to(kind: &str, name: &str) -> Value {
    json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": name}})
}

fn refused(why: &str) -> Value {
    json!({"user": {}, "error": format!("[invalid bearer token, {why}]")})
}

#[tokio::test(start_paused = true)]
async fn a_token_stands_for_its_account_and_says_what_it_is_bound_to() {
    let cluster = cluster().await;
    let token = token(&cluster, bound_to("Pod", "p")).await;
    let mut said = review(&cluster, &token, Value::Null).await;
    let id = "authentication.kubernetes.io/credential-id";
    let id = said["user"]["extra"][id].take();
    assert!(id[0].as_str().unwrap().starts_with("JTI="), "{id}");
    assert_eq!(
        said,
        json!({
            "authenticated": true, "audiences": [API],
            "user": {
                "username": "system:serviceaccount:default:x", "uid": uid(&cluster, "serviceaccounts/x").await,
                "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
                "extra": {
                    "authentication.kubernetes.io/credential-id": null,
                    "authentication.kubernetes.io/node-name": ["n"],
                    "authentication.kubernetes.io/pod-name": ["p"],
                    "authentication.kubernetes.io/pod-uid": [uid(&cluster, "pods/p").await],
                },
            },
        })
    );
    let unknown = json!({"user": {}, "error": "invalid bearer token"});
    assert_eq!(review(&cluster, "x", Value::Null).await, unknown);
}

#[tokio::test(start_paused = true)]
async fn a_token_is_good_only_for_whom_it_is() {
    let cluster = cluster().await;
    let other = token(&cluster, json!({"audiences": ["vault"]})).await;
    let why = format!("token audiences [\"vault\"] is invalid for the target audiences [{API:?}]");
    let said = review(&cluster, &other, Value::Null).await;
    assert_eq!(said, refused(&why));
    let said = review(&cluster, &other, json!(["a", "vault"])).await;
    assert_eq!(
        (&said["authenticated"], &said["audiences"]),
        (&json!(true), &json!(["vault"]))
    );
}

#[tokio::test(start_paused = true)]
async fn a_token_ends_with_its_time_its_account_and_what_it_is_bound_to() {
    const GONE: &str = "service account token has been invalidated";
    let cluster = cluster().await;
    let short = token(&cluster, json!({"expirationSeconds": 600})).await;
    let long = token(&cluster, json!({"expirationSeconds": 6000})).await;
    let of_pod = token(&cluster, bound_to("Pod", "p")).await;
    let of_secret = token(&cluster, bound_to("Secret", "s")).await;
    let all = [&short, &long, &of_pod, &of_secret];
    for token in all {
        let said = review(&cluster, token, Value::Null).await;
        assert_eq!(said["authenticated"], true, "{said}");
    }
    tokio::time::sleep(std::time::Duration::from_secs(600)).await;
    let said = review(&cluster, &short, Value::Null).await;
    assert_eq!(said, refused("service account token has expired"));
    for (path, token) in [("pods/p", &of_pod), ("secrets/s", &of_secret)] {
        delete(&cluster, path).await;
        assert_eq!(
            review(&cluster, token, Value::Null).await,
            refused(GONE),
            "{path}"
        );
    }
    let before = uid(&cluster, "serviceaccounts/x").await;
    delete(&cluster, "serviceaccounts/x").await;
    let said = review(&cluster, &long, Value::Null).await;
    assert_eq!(said, refused("serviceaccounts \"x\" not found"));
    let again = json!({"metadata": {"name": "x"}});
    post(
        &cluster,
        "/api/v1/namespaces/default/serviceaccounts",
        &again,
    )
    .await;
    let now = uid(&cluster, "serviceaccounts/x").await;
    let why = format!(
        "service account UID ({}) does not match claim ({})",
        now.as_str().unwrap(),
        before.as_str().unwrap()
    );
    assert_eq!(review(&cluster, &long, Value::Null).await, refused(&why));
}

#[tokio::test(start_paused = true)]
async fn a_token_is_bound_only_to_what_is_there_and_may_be() {
    let cluster = cluster().await;
    let mut other = bound_to("Secret", "s");
    other["boundObjectRef"]["uid"] = "u".into();
    let cases = [
        (
            bound_to("ConfigMap", "a"),
            400,
            "cannot bind token to object of type /v1, Kind=ConfigMap",
        ),
        (bound_to("Pod", "a"), 404, "pods \"a\" not found"),
        (
            bound_to("Pod", "q"),
            400,
            "cannot bind token for serviceaccount \"x\" to pod running with different serviceaccount name.",
        ),
        (
            other,
            409,
            "Operation cannot be fulfilled on Secret \"s\": the UID in the bound object reference (u) does not match the UID in record. \
             The object might have been deleted and then recreated",
        ),
    ];
    for (spec, code, why) in cases {
        let (answered, answer) = ask(&cluster, spec).await;
        assert_eq!((answered, answer["message"].as_str()), (code, Some(why)));
    }
    let path = "/api/v1/namespaces/default/serviceaccounts/x/token";
    let asked = json!({"metadata": {"name": "y"}, "spec": {}});
    let why = "TokenRequest.authentication.k8s.io \"x\" is invalid: metadata.name: Invalid value: \"y\": must match the service account \
               name if specified";
    let (code, answer) = post(&cluster, path, &asked).await;
    assert_eq!((code, answer["message"].as_str()), (422, Some(why)));
}
