//! The scenarios of StatefulSets on a real control plane: with our reconciler in place of its own, and with its own,
//! which is the check of the scenarios. And two things that only a real one shows: who wrote a set's status, and the
//! rights of `deploy/`.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use headless_cluster::Delays;
use headless_dns::api::Client;
use headless_dns::reconciler;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::names::service_account;
use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::support::kubelet::TestKubelet;
use crate::support::names::eventually;
use crate::support::report;
use crate::support::statefulset::world::{Keeper, World, image, set, with_claims};
use crate::support::statefulset::{Scenario, scenarios};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "every_scenario_that_a_black_box_can_see_holds_with_our_reconciler",
        needs: Needs::Controllers,
        run: |p| all(p, Keeper::Ours).boxed_local(),
    },
    Test {
        name: "every_scenario_that_a_black_box_can_see_holds_with_kube_controller_manager",
        needs: Needs::Controllers,
        run: |p| all(p, Keeper::Upstream).boxed_local(),
    },
    Test {
        name: "a_set_whose_status_kube_controller_manager_writes_is_left_alone",
        needs: Needs::Controllers,
        run: |p| left_alone(p).boxed_local(),
    },
    Test {
        name: "of_two_reconcilers_with_the_account_of_deploy_one_works_and_the_other_takes_over",
        needs: Needs::Controllers,
        run: |p| two(p).boxed_local(),
    },
];

/// Scenarios at a time: each has a namespace of its own.
const AT_A_TIME: usize = 6;

/// A control plane whose sets are looked after by this one, and a kubelet.
async fn start(programs: &Programs, keeper: Keeper) -> (ControlPlane, TestKubelet) {
    let options = Options {
        controllers: Some(match keeper {
            Keeper::Ours => "*,-statefulset-controller",
            Keeper::Upstream => "*",
        }),
        ..Options::default()
    };
    let plane = ControlPlane::start(programs, options).await;
    let kubelet = TestKubelet::start(&plane.client, Delays::default()).await;
    (plane, kubelet)
}

async fn all(programs: Programs, keeper: Keeper) {
    let (plane, _kubelet) = start(&programs, keeper).await;
    if keeper == Keeper::Ours {
        tokio::spawn(reconciler::run(plane.client.clone(), Timestamp::now));
    }
    let run = async |(name, scenario): Scenario| {
        let ns = name.split('_').next().unwrap();
        let test = async {
            let mut world = World::new(plane.client.clone(), ns, keeper).await;
            scenario(&mut world).await;
        };
        // What has failed has said so itself.
        AssertUnwindSafe(test)
            .catch_unwind()
            .await
            .err()
            .map(|_| name)
    };
    let outcomes = futures::stream::iter(scenarios())
        .map(run)
        .buffer_unordered(AT_A_TIME);
    let outcomes: Vec<_> = outcomes.collect().await;
    let failed: Vec<_> = outcomes.iter().flatten().collect();
    report(&format!(
        "{keeper:?}: {} scenarios, {} failed",
        outcomes.len(),
        failed.len()
    ));
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Who wrote a part of an object.
fn managers<'a>(object: &'a Value, subresource: &str) -> Vec<&'a str> {
    let fields = object["metadata"]["managedFields"].as_array();
    let of = fields
        .into_iter()
        .flatten()
        .filter(|entry| match subresource {
            "" => entry["subresource"].is_null(),
            wanted => entry["subresource"] == wanted,
        });
    of.filter_map(|entry| entry["manager"].as_str()).collect()
}

/// A client whose requests take a while: whoever else writes is first.
fn slow(client: &Client) -> Client {
    let client = client.clone();
    let service = tower::service_fn(move |request| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(200)).await;
            client.send(request).await
        }
    });
    Client::new(service, "default")
}

async fn left_alone(programs: Programs) {
    let (plane, _kubelet) = start(&programs, Keeper::Upstream).await;
    tokio::spawn(reconciler::run(slow(&plane.client), Timestamp::now));
    let mut world = World::new(plane.client.clone(), "test", Keeper::Upstream).await;
    // It takes some seconds, for times are whole ones.
    let mut object = set(2);
    object["spec"]["minReadySeconds"] = 2.into();
    world.start(object).await;
    world.scale(3).await;
    world.settled(0..3).await;
    let said = world.event("LeftAlone").await;
    assert_eq!(
        said,
        "kube-controller-manager looks after this set: headless-dns leaves it alone until that runs with --controllers=*,-statefulset-controller and this reconciler is started again"
    );
    assert!(managers(world.set(), "status").contains(&"kube-controller-manager"));
    // From now on everything is the other's doing.
    world.scale(0).await;
    world.settled([]).await;
    world.scale(3).await;
    world.settled(0..3).await;
    for pod in world.all("Pod") {
        assert_eq!(managers(pod, ""), ["kube-controller-manager"]);
    }
}

/// A reconciler in a process of its own.
struct Reconciler {
    child: Child,
    log: PathBuf,
}

impl Reconciler {
    fn start(plane: &ControlPlane, kubeconfig: &Path, name: &str) -> Self {
        let log = plane.path(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        command.args([
            "reconcile",
            "--lease",
            "kube-system/headless-dns-reconciler",
            "--kubeconfig",
        ]);
        let file = std::fs::File::create(&log).unwrap();
        let child = command.arg(kubeconfig).stderr(file).spawn().unwrap();
        Self { child, log }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until it says this.
    async fn says(&self, words: &str) {
        eventually(words, async || self.said().contains(words).then_some(())).await;
    }

    /// Ends it as Kubernetes does; it ends well.
    fn stop(&mut self) {
        let id = nix::unistd::Pid::from_raw(self.child.id().try_into().unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success(), "{}", self.said());
    }
}

impl Drop for Reconciler {
    fn drop(&mut self) {
        let _ended_already = self.child.kill();
        let _status = self.child.wait();
    }
}

async fn two(programs: Programs) {
    let options = Options {
        controllers: Some("*,-statefulset-controller"),
        ..Options::default()
    };
    let plane = ControlPlane::start(&programs, options).await;
    let _kubelet = TestKubelet::start(&plane.client, Delays::default()).await;
    let account = service_account(&plane, "reconciler", "headless-dns-reconciler");
    let mut first = Reconciler::start(&plane, &account, "first.log");
    first.says("leading").await;
    let mut second = Reconciler::start(&plane, &account, "second.log");
    let mut world = World::new(plane.client.clone(), "test", Keeper::Ours).await;
    let mut object = with_claims(2);
    object["spec"]["persistentVolumeClaimRetentionPolicy"] =
        json!({"whenDeleted": "Delete", "whenScaled": "Delete"});
    world.start(object).await;
    assert!(!second.said().contains("leading"), "{}", second.said());

    first.stop();
    second.says("leading").await;
    world.edit(image(2)).await;
    world.updated(0..2).await;
    // What a reconcile may have to write: labels, owners, adoptions, revisions.
    world
        .patch(
            "Pod",
            "x-1",
            json!({"metadata": {"labels": {"statefulset.kubernetes.io/pod-name": null}}}),
        )
        .await;
    world
        .patch("Pod", "x-0", json!({"metadata": {"ownerReferences": null}}))
        .await;
    world.scale(1).await;
    world.settled([0]).await;
    world
        .until("the claim goes with its Pod", |world| {
            world.names("PersistentVolumeClaim") == ["data-x-0"]
        })
        .await;
    world.edit(image(1)).await;
    world.updated([0]).await;
    let holder = plane.kubectl(&[
        "get",
        "lease",
        "-n",
        "kube-system",
        "headless-dns-reconciler",
        "-o",
        "jsonpath={.spec.leaseTransitions}",
    ]);
    assert_eq!(String::from_utf8(holder.stdout).unwrap(), "1");
    second.stop();
    for said in [first.said(), second.said()] {
        assert!(!said.contains("WARN") && !said.contains("ERROR"), "{said}");
    }
}
