//! Requests that no client of Kubernetes sends: the embedded API answers each, and goes on.
//! `ODD_REQUESTS=100000` sends as many.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a test"
)]

#[path = "support/ask.rs"]
mod ask;

use ask::ask;
use headless_cluster::{Cluster, Delays};
use http::{Method, Request};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

/// Requests of one run.
const REQUESTS: u64 = 4000;

/// An object of each kind that has behaviour, with as many fields as anybody writes.
fn objects() -> Vec<(&'static str, Value)> {
    let template = json!({
        "metadata": {"labels": {"a": "b"}, "annotations": {"embedded.headless-dns/fail": "x"}},
        "spec": {
            "restartPolicy": "Always", "terminationGracePeriodSeconds": 1, "tolerations": [], "hostname": "h", "subdomain": "redis",
            "containers": [{
                "name": "c", "image": "i", "ports": [{"containerPort": 80, "name": "x", "protocol": "TCP"}],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}},
                "readinessProbe": {"periodSeconds": 1, "tcpSocket": {"port": "x"}},
            }],
            "initContainers": [{"name": "i", "image": "i", "restartPolicy": "Always"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "x"}}],
        },
    });
    let claim = json!({
        "accessModes": ["ReadWriteOnce"], "storageClassName": "x", "volumeName": "", "resources": {"requests": {"storage": "1Gi"}},
    });
    let set = json!({
        "replicas": 2, "serviceName": "redis", "podManagementPolicy": "Parallel", "revisionHistoryLimit": 3, "minReadySeconds": 0,
        "selector": {"matchLabels": {"a": "b"}, "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]},
        "ordinals": {"start": 1}, "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete", "whenScaled": "Delete"},
        "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": "20%"}},
        "template": template, "volumeClaimTemplates": [{"metadata": {"name": "v"}, "spec": claim}],
    });
    let service = json!({
        "type": "ClusterIP", "clusterIP": "None", "clusterIPs": ["None"], "ipFamilies": ["IPv4"], "selector": {"a": "b"},
        "externalIPs": ["1.2.3.4"], "ports": [{"name": "x", "port": 80, "targetPort": "x", "protocol": "TCP", "nodePort": 0}],
    });
    let status = json!({
        "phase": "Running", "podIP": "1.1.1.1", "podIPs": [{"ip": "1.1.1.1"}], "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "c", "restartCount": 1, "state": {"running": {}}}],
    });
    let meta = json!({
        "name": "m", "labels": {"a": "b"}, "annotations": {"x": "y"}, "finalizers": [],
        "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "Other", "name": "m", "uid": "u", "controller": true}],
    });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": meta, "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.1.1"], "hostname": "h", "conditions": {"ready": true}}], "ports": [{"name": "x", "port": 80}],
    });
    let core = |kind: &str, spec: &Value| json!({"apiVersion": "v1", "kind": kind, "metadata": meta, "spec": spec, "status": status});
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta, "spec": set, "status": {"replicas": 1}});
    vec![
        ("/apis/apps/v1/namespaces/default/statefulsets", set),
        (
            "/api/v1/namespaces/default/services",
            core("Service", &service),
        ),
        (
            "/api/v1/namespaces/default/pods",
            core("Pod", &template["spec"]),
        ),
        (
            "/api/v1/namespaces/default/persistentvolumeclaims",
            core("PersistentVolumeClaim", &claim),
        ),
        (
            "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
            slice,
        ),
    ]
}

/// The value with parts of it replaced by what is odd, left out, or doubled.
fn mutated(random: &mut StdRng, value: Value) -> Value {
    if random.random_bool(0.03) {
        let odd = [
            json!(null),
            json!(0),
            json!(-1),
            json!(1e308),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(""),
            json!("x".repeat(5000)),
            json!([]),
            json!({}),
            json!(true),
            json!("é\0\n"),
            json!([null]),
            json!({"": null}),
            json!("None"),
            json!("1.1.1.1"),
            json!("9999999999h"),
            json!("10Zi"),
        ];
        return odd.choose(random).unwrap().clone();
    }
    match value {
        Value::Object(fields) => {
            let kept: Vec<_> = fields
                .into_iter()
                .filter(|_| random.random_bool(0.97))
                .collect();
            kept.into_iter()
                .map(|(key, value)| (key, mutated(random, value)))
                .collect()
        }
        Value::Array(items) => {
            let times = if random.random_bool(0.25) { 2 } else { 1 };
            let items: Vec<Value> = items
                .into_iter()
                .map(|item| mutated(random, item))
                .collect();
            vec![items; times].concat().into()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// Sends a request; the code of the reply.
/// Whether the server broke: it says 500 of its own accord too, where the API server does.
async fn broke(
    cluster: &Cluster,
    method: Method,
    (path, media): (&str, &str),
    body: String,
) -> bool {
    let request = Request::builder().method(method).uri(path);
    let (head, answer) = ask(cluster, request.header("content-type", media), body).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    head.status == 500 && answer["reason"] == "InternalError"
}

#[tokio::test(start_paused = true)]
async fn no_odd_request_breaks_the_server_or_a_controller() {
    const JSON: &str = "application/json";
    const PATCHES: [&str; 2] = [
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];
    let cluster = Cluster::start(Delays::default());
    let objects = objects();
    let requests = std::env::var("ODD_REQUESTS").map_or(REQUESTS, |n| n.parse().unwrap());
    let mut slowest = std::time::Duration::ZERO;
    for seed in 0..requests {
        let random = &mut StdRng::seed_from_u64(seed);
        let (objects_path, mut object) = objects.choose(random).unwrap().clone();
        let name = format!("m{}", random.random_range(0..6));
        object["metadata"]["name"] = name.as_str().into();
        let one = format!("{objects_path}/{name}");
        let mut body = mutated(random, object.clone());
        // Mostly it says what it is, or nothing further would be looked at.
        if body["metadata"].is_object() && random.random_bool(0.9) {
            for field in ["kind", "apiVersion"] {
                body[field] = object[field].clone();
            }
            body["metadata"]["name"] = name.into();
        }
        let (method, path, media) = match random.random_range(0..5) {
            0 => {
                let now = r#"{"gracePeriodSeconds":0}"#.to_owned();
                broke(&cluster, Method::DELETE, (&one, JSON), now).await;
                (Method::POST, objects_path.to_owned(), JSON)
            }
            1 => (Method::PUT, one, JSON),
            2 => (Method::PUT, format!("{one}/status"), JSON),
            3 => (Method::PATCH, one, PATCHES[random.random_range(0..2)]),
            _ => (Method::PATCH, format!("{one}/status"), PATCHES[0]),
        };
        if method != Method::POST {
            broke(
                &cluster,
                Method::POST,
                (objects_path, JSON),
                object.to_string(),
            )
            .await;
        }
        let body = body.to_string();
        let began = std::time::Instant::now();
        let broke = broke(&cluster, method.clone(), (&path, media), body.clone()).await;
        assert!(!broke, "seed {seed}: {method} {path} {body}");
        slowest = slowest.max(began.elapsed());
        // The controllers have their turn.
        tokio::task::yield_now().await;
    }
    println!("{requests} requests, the slowest in {slowest:?}");
    // One takes a few milliseconds; the rest is for a machine that is busy.
    assert!(slowest < std::time::Duration::from_secs(5), "{slowest:?}");
    // Everybody is still there.
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: good}\nspec: {containers: [{name: a, image: a}]}\n";
    let pod = cluster.apply("good.yaml", pod).unwrap().remove(0);
    let runs = |cluster: &Cluster| cluster.present(&pod).unwrap()["status"]["phase"] == "Running";
    let patience = std::time::Duration::from_secs(60);
    let waited = tokio::time::timeout(patience, cluster.wait_until(runs)).await;
    waited.unwrap();
}
