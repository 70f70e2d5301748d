//! The whole of it: a cluster, the reconciler, and names that follow Pods.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use headless_dns::sandbox::{Options, Sandbox};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use support::dns::{ask, data};

const SET: &str = "redis.default.svc.cluster.local.";
const REDIS_1: &str = "redis-1.redis.default.svc.cluster.local.";

async fn sandbox() -> Sandbox {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.ready().await.unwrap();
    sandbox
}

async fn addresses(sandbox: &Sandbox, qname: &str) -> Vec<String> {
    data(&ask(sandbox.dns(), qname, RecordType::A).await)
}

fn pods(sandbox: &Sandbox) -> Api<Pod> {
    Api::namespaced(sandbox.client(), "default")
}

/// Waits until the set is scaled to `replicas` Pods that are all Ready.
async fn scaled(sandbox: &Sandbox, replicas: i64) {
    let set = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis", "namespace": "default"}});
    let done = |set: &Value| {
        let count = |field: &str| set["status"][field].as_i64().unwrap_or_default();
        set["spec"]["replicas"] == replicas
            && count("replicas") == replicas
            && count("readyReplicas") == replicas
    };
    sandbox
        .cluster()
        .wait_until(|cluster| cluster.present(&set).is_some_and(|set| done(&set)))
        .await;
}

async fn scale(sandbox: &Sandbox, replicas: i64) {
    let sets: Api<k8s_openapi::api::apps::v1::StatefulSet> =
        Api::namespaced(sandbox.client(), "default");
    let patch = json!({"spec": {"replicas": replicas}});
    sets.patch_scale("redis", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
    scaled(sandbox, replicas).await;
}

#[tokio::test]
async fn each_pod_of_the_set_has_a_name_the_set_has_all_and_each_address_has_its_name() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let names = sandbox.ready().await.unwrap();
    assert_eq!(
        names,
        [0, 1, 2].map(|i| format!("redis-{i}.redis.default.svc.cluster.local"))
    );
    assert_eq!(addresses(&sandbox, REDIS_1).await, ["10.244.0.3"]);
    assert_eq!(
        addresses(&sandbox, SET).await,
        ["10.244.0.2", "10.244.0.3", "10.244.0.4"]
    );
    let srv = ask(
        sandbox.dns(),
        "_redis._tcp.redis.default.svc.cluster.local.",
        RecordType::SRV,
    )
    .await;
    assert_eq!(
        data(&srv),
        [0, 1, 2].map(|i| format!("0 33 6379 redis-{i}.{SET}"))
    );
    assert_eq!(srv.additionals.len(), 3);
    let ptr = ask(sandbox.dns(), "3.0.244.10.in-addr.arpa.", RecordType::PTR).await;
    assert_eq!(data(&ptr), [REDIS_1]);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_deleted_pod_s_name_goes_before_the_pod_and_comes_back_with_the_new_address_and_the_same_claim()
 {
    let sandbox = sandbox().await;
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(sandbox.client(), "default");
    let claim = claims.get("redis-data-redis-1").await.unwrap().metadata.uid;
    let old = pods(&sandbox).get("redis-1").await.unwrap();
    pods(&sandbox)
        .delete("redis-1", &DeleteParams::default())
        .await
        .unwrap();
    // Ask on until the successor answers; from the moment the API shows the Pod gone, never the old address.
    loop {
        let present = pods(&sandbox).get_opt("redis-1").await.unwrap();
        let gone = present.is_none_or(|pod| pod.metadata.uid != old.metadata.uid);
        let before = addresses(&sandbox, REDIS_1).await;
        let set = addresses(&sandbox, SET).await;
        let after = addresses(&sandbox, REDIS_1).await;
        if gone {
            assert!(
                !before.contains(&"10.244.0.3".to_owned()),
                "the old address outlives the Pod"
            );
        }
        if before == after {
            let of_redis_1: Vec<_> = set
                .iter()
                .filter(|ip| !["10.244.0.2", "10.244.0.4"].contains(&ip.as_str()))
                .cloned()
                .collect();
            assert_eq!(
                of_redis_1, after,
                "the set disagrees with the Pod's own record"
            );
        }
        if after.first().is_some_and(|ip| ip != "10.244.0.3") {
            break;
        }
    }
    let new = pods(&sandbox).get("redis-1").await.unwrap();
    assert_ne!(new.metadata.uid, old.metadata.uid);
    assert_eq!(
        addresses(&sandbox, REDIS_1).await,
        [new.status.unwrap().pod_ip.unwrap()]
    );
    assert_eq!(
        claims.get("redis-data-redis-1").await.unwrap().metadata.uid,
        claim
    );
}

#[tokio::test]
async fn names_come_and_go_with_the_scale_and_claims_stay() {
    let sandbox = sandbox().await;
    scale(&sandbox, 5).await;
    while addresses(&sandbox, SET).await.len() < 5 {}
    scale(&sandbox, 1).await;
    while addresses(&sandbox, SET).await.len() > 1 {}
    let gone = ask(sandbox.dns(), REDIS_1, RecordType::A).await;
    assert_eq!(gone.metadata.response_code, ResponseCode::NXDomain);
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(sandbox.client(), "default");
    assert_eq!(
        claims.list(&Default::default()).await.unwrap().items.len(),
        5
    );
}

#[tokio::test]
async fn a_manifest_that_is_wrong_is_refused_with_file_line_and_field() {
    for (text, wanted) in [
        (
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: a\nspec:\n  ports:\n    - port: 0\n      targetPort: http\n",
            "m.yaml:7: Service \"a\" is invalid: spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers: []\n",
            "m.yaml:6: Pod \"a\" is invalid: spec.containers: Required value",
        ),
        (
            "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: a\n",
            "m.yaml:1: Job.batch \"a\" is invalid: [spec.template.spec.containers: Required value, spec.template.spec.restartPolicy: \
             Required value: valid values: \"OnFailure\", \"Never\"]",
        ),
    ] {
        let options = Options {
            manifests: vec![("m.yaml".into(), text.into())],
            ..Options::default()
        };
        let Err(error) = Sandbox::start(options).await else {
            panic!("{text} was taken")
        };
        assert!(error.to_string().starts_with(wanted), "{error}");
    }
}

#[tokio::test]
async fn nothing_is_left_of_a_sandbox_that_has_stopped() {
    let sandbox = sandbox().await;
    let (dns, api) = (sandbox.dns(), sandbox.api());
    sandbox.stop().await.unwrap();
    assert!(std::net::TcpListener::bind(dns).is_ok() && std::net::UdpSocket::bind(dns).is_ok());
    assert!(std::net::TcpListener::bind(api).is_ok());
}
