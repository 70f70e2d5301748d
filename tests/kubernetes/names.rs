//! The whole path: names follow Pods on a real control plane, whoever reconciles the set.

use std::collections::BTreeMap;

use futures::FutureExt;
use headless_cluster::Delays;
use headless_dns::reconciler;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use jiff::Timestamp;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::ListParams;
use serde_json::json;

use crate::support::control_plane::{ControlPlane, Options, Programs, write_kubeconfig};
use crate::support::kubelet::TestKubelet;
use crate::support::names::{Names, eventually};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "names_follow_the_pods_that_kube_controller_manager_keeps",
        needs: Needs::Controllers,
        run: |p| follow(p, Reconciler::KubeControllerManager).boxed_local(),
    },
    Test {
        name: "names_follow_the_pods_that_our_reconciler_keeps",
        needs: Needs::Controllers,
        run: |p| follow(p, Reconciler::Ours).boxed_local(),
    },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reconciler {
    KubeControllerManager,
    Ours,
}

/// A cluster with a set of three, and a server with the account and the rights that `deploy/` gives.
struct World {
    plane: ControlPlane,
    names: Names,
    _kubelet: TestKubelet,
}

const SET: &str = "redis.default.svc.cluster.local.";

impl World {
    async fn start(programs: &Programs, reconciler: Reconciler) -> Self {
        let controllers = match reconciler {
            Reconciler::KubeControllerManager => "*",
            Reconciler::Ours => "*,-statefulset-controller",
        };
        let options = Options {
            controllers: Some(controllers),
            ..Options::default()
        };
        let plane = ControlPlane::start(programs, options).await;
        if reconciler == Reconciler::Ours {
            tokio::spawn(reconciler::run(plane.client.clone(), Timestamp::now));
        }
        let kubelet = TestKubelet::start(&plane.client, Delays::default()).await;
        let names = Names::serve(&service_account(&plane, "beside", "headless-dns")).await;
        Self {
            plane,
            names,
            _kubelet: kubelet,
        }
    }

    fn kubectl(&self, arguments: &[&str]) -> String {
        kubectl(&self.plane, arguments).0
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.plane.client.clone(), "default")
    }

    /// Waits until the set has this many Pods, all Ready and of the same revision; their addresses by name.
    async fn settled(&self, replicas: i32) -> BTreeMap<String, Vec<String>> {
        let sets: Api<StatefulSet> = Api::namespaced(self.plane.client.clone(), "default");
        eventually("a settled set", async || {
            let set = sets.get("redis").await.unwrap();
            let status = set.status.unwrap_or_default();
            let all = [
                Some(status.replicas),
                status.ready_replicas,
                status.updated_replicas,
            ];
            let done = all == [Some(replicas); 3]
                && status.observed_generation == set.metadata.generation
                && status.current_revision == status.update_revision;
            done.then_some(())
        })
        .await;
        let labels = ListParams::default().labels("app=redis");
        let pods = self.pods().list(&labels).await.unwrap().items;
        let addresses = |pod: Pod| {
            let ips = pod.status.unwrap().pod_ips.unwrap();
            let ips: Vec<_> = ips.into_iter().map(|ip| ip.ip).collect();
            (pod.metadata.name.unwrap(), ips)
        };
        pods.into_iter().map(addresses).collect()
    }

    /// Waits until the names are those of these Pods: each Pod's, the set's in both families, the ports'.
    async fn named(&self, pods: &BTreeMap<String, Vec<String>>) {
        for (qtype, family) in [(RecordType::A, 0), (RecordType::AAAA, 1)] {
            for (pod, addresses) in pods {
                let wanted = [addresses[family].clone()];
                self.names
                    .until(&format!("{pod}.{SET}"), qtype, &wanted)
                    .await;
            }
            let mut all: Vec<_> = pods.values().map(|ips| ips[family].clone()).collect();
            all.sort();
            self.names.until(SET, qtype, &all).await;
        }
        let found = self
            .names
            .ask(&format!("_redis._tcp.{SET}"), RecordType::SRV)
            .await;
        // One record for each endpoint, and one each for its two families.
        let weight = 100 / (2 * pods.len());
        let of = |pod| format!("0 {weight} 6379 {pod}.{SET}");
        let wanted: Vec<_> = pods.keys().map(of).collect();
        assert_eq!(found, (ResponseCode::NoError, wanted));
    }
}

/// What kubectl prints, on its standard output and beside it; it succeeds.
pub(crate) fn kubectl(plane: &ControlPlane, arguments: &[&str]) -> (String, String) {
    let output = plane.kubectl(arguments);
    let [out, said] = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(output.status.success(), "kubectl {arguments:?}: {said}");
    (out, said)
}

/// A folder of `deploy/`.
pub(crate) fn folder(name: &str) -> String {
    format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A kubeconfig for the account of a folder of `deploy/`, which is applied.
pub(crate) fn service_account(
    plane: &ControlPlane,
    overlay: &str,
    account: &str,
) -> std::path::PathBuf {
    kubectl(plane, &["apply", "-k", &folder(overlay)]);
    token_of(plane, "kube-system", account)
}

/// A kubeconfig for an account, whose token stands in a file as it does in a Pod.
pub(crate) fn token_of(plane: &ControlPlane, ns: &str, account: &str) -> std::path::PathBuf {
    let (token, _) = kubectl(plane, &["create", "token", account, "-n", ns]);
    let file = plane.path("token");
    std::fs::write(&file, token).unwrap();
    write_kubeconfig(
        &plane.path("service-account.kubeconfig"),
        plane.address().port(),
        &plane.path("ca.crt"),
        &json!({"tokenFile": file}),
    )
}

async fn follow(programs: Programs, reconciler: Reconciler) {
    let world = World::start(&programs, reconciler).await;
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/redis.yaml");
    world.kubectl(&["apply", "-f", manifest]);
    let first = world.settled(3).await;
    world.named(&first).await;

    let claims: Api<PersistentVolumeClaim> = Api::namespaced(world.plane.client.clone(), "default");
    let claim = claims.get("data-redis-1").await.unwrap().metadata.uid;
    world.kubectl(&["delete", "pod", "redis-1"]);
    let second = world.settled(3).await;
    assert_eq!(first["redis-0"], second["redis-0"]);
    assert_ne!(first["redis-1"], second["redis-1"]);
    let kept = claims.get("data-redis-1").await.unwrap().metadata.uid;
    assert_eq!(kept, claim);
    world.named(&second).await;

    world.kubectl(&["scale", "statefulset", "redis", "--replicas=5"]);
    world.named(&world.settled(5).await).await;
    world.kubectl(&["scale", "statefulset", "redis", "--replicas=2"]);
    let two = world.settled(2).await;
    world.named(&two).await;
    let gone = world
        .names
        .ask(&format!("redis-2.{SET}"), RecordType::A)
        .await;
    assert_eq!(gone, (ResponseCode::NXDomain, Vec::new()));

    world.kubectl(&["set", "image", "statefulset/redis", "redis=redis:8.1"]);
    let updated = world.settled(2).await;
    assert!(
        updated.iter().all(|(pod, ips)| two[pod] != *ips),
        "{two:?} {updated:?}"
    );
    world.named(&updated).await;

    not_ready(&world, &updated).await;
    let alias = world
        .names
        .ask("elsewhere.default.svc.cluster.local.", RecordType::CNAME)
        .await;
    assert_eq!(
        alias,
        (ResponseCode::NoError, vec!["example.org.".to_owned()])
    );
    world.names.stop().await;
}

/// A Pod that is not Ready has its name only where a Service publishes such Pods.
async fn not_ready(world: &World, pods: &BTreeMap<String, Vec<String>>) {
    world.kubectl(&[
        "annotate",
        "pod",
        "redis-1",
        "embedded.headless-dns/ready=false",
    ]);
    let ready = [pods["redis-0"][0].clone()];
    world.names.until(SET, RecordType::A, &ready).await;
    let mut all: Vec<_> = pods.values().map(|ips| ips[0].clone()).collect();
    all.sort();
    let peers = "peers.default.svc.cluster.local.";
    world.names.until(peers, RecordType::A, &all).await;
}
