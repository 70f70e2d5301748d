//! The scenarios of StatefulSets on a real control plane: with our reconciler in place of its own, and with its own,
//! which is the check of the scenarios. And two things that only a real one shows: who wrote a set's status, and the
//! rights of `deploy/`.

use std::panic::AssertUnwindSafe;

use futures::{FutureExt, StreamExt};
use headless_dns::cluster::Delays;
use headless_dns::controller;
use jiff::Timestamp;

use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::support::kubelet::TestKubelet;
use crate::support::report;
use crate::support::statefulset::world::{Keeper, World};
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
        tokio::spawn(controller::run(plane.client.clone(), Timestamp::now));
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
