//! Scenarios 29 to 36: Pods that fail.

use super::table;
use super::world::{Keeper, World, asking, asks, parallel, set};

table![
    s29_a_pod_that_failed_is_deleted_and_made_again_under_its_name,
    s30_a_pod_that_succeeded_is_replaced_like_one_that_failed,
    s31_in_a_parallel_set_one_pod_that_does_not_end_keeps_none_of_the_others_from_being_replaced,
    s36_a_pod_that_fails_whenever_it_is_made_is_replaced_less_and_less_often,
];

async fn ended(world: &mut World, phase: &str) {
    world.start(set(2)).await;
    let uid = world.uid("Pod", "x-0");
    world.patch("Pod", "x-0", asks("phase", phase)).await;
    world
        .until("another takes its place", |world| {
            world
                .object("Pod", "x-0")
                .is_some_and(|pod| pod["metadata"]["uid"] != uid.as_str())
        })
        .await;
    world.settled(0..2).await;
    assert_eq!(world.log(), ["delete x-0", "create x-0"]);
}

async fn s29_a_pod_that_failed_is_deleted_and_made_again_under_its_name(world: &mut World) {
    ended(world, "Failed").await;
}

async fn s30_a_pod_that_succeeded_is_replaced_like_one_that_failed(world: &mut World) {
    ended(world, "Succeeded").await;
}

async fn s31_in_a_parallel_set_one_pod_that_does_not_end_keeps_none_of_the_others_from_being_replaced(
    world: &mut World,
) {
    world.start(parallel(3)).await;
    world.hold("Pod", "x-0").await;
    world.delete_pod("x-0").await;
    let (held, first, second) = (
        world.uid("Pod", "x-0"),
        world.uid("Pod", "x-1"),
        world.uid("Pod", "x-2"),
    );
    world.patch("Pod", "x-1", asks("phase", "Failed")).await;
    world.patch("Pod", "x-2", asks("phase", "Succeeded")).await;
    let is_new = |world: &World, pod: &str, old: &str| {
        let pod = world.object("Pod", pod);
        pod.is_some_and(|pod| pod["metadata"]["uid"] != old && super::world::is_ready(pod))
    };
    world
        .until("two are replaced", |world| {
            is_new(world, "x-1", &first) && is_new(world, "x-2", &second)
        })
        .await;
    assert_eq!(world.uid("Pod", "x-0"), held);
    world.let_go("Pod", "x-0").await;
    world.settled(0..3).await;
    let mut log = world.log();
    log.sort();
    let wanted = [
        "create x-0",
        "create x-1",
        "create x-2",
        "delete x-0",
        "delete x-1",
        "delete x-2",
    ];
    assert_eq!(log, wanted);
}

async fn s36_a_pod_that_fails_whenever_it_is_made_is_replaced_less_and_less_often(
    world: &mut World,
) {
    // Upstream makes it again without a pause.
    if world.keeper == Keeper::Upstream {
        return;
    }
    let object = asking(set(1), "phase", "Failed");
    world.create(object).await;
    let mut made: Vec<(String, jiff::Timestamp)> = Vec::new();
    while made.len() < 4 {
        world
            .until("the next Pod has failed", |world| {
                let pod = world.object("Pod", "x-0");
                pod.is_some_and(|pod| {
                    let known = made
                        .iter()
                        .any(|(uid, _)| pod["metadata"]["uid"] == uid.as_str());
                    pod["status"]["phase"] == "Failed" && !known
                })
            })
            .await;
        let time = world.pod("x-0")["metadata"]["creationTimestamp"].as_str();
        made.push((world.uid("Pod", "x-0"), time.unwrap().parse().unwrap()));
    }
    let pause = |pair: &[(String, jiff::Timestamp)]| pair[1].1.duration_since(pair[0].1).as_secs();
    let pauses: Vec<_> = made.windows(2).map(pause).collect();
    // Times are whole seconds; the pauses are to be 0, 1 and 2 seconds.
    assert!(
        pauses[1] >= 1 && pauses[2] >= 1 && pauses[1] + pauses[2] >= 2,
        "{pauses:?}"
    );
}
