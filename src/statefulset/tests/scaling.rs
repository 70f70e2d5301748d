//! Scenarios 13 to 26: scaling.

use super::*;

/// The status's counts of Pods.
const COUNTS: [&str; 5] = [
    "replicas",
    "readyReplicas",
    "availableReplicas",
    "currentReplicas",
    "updatedReplicas",
];

#[test]
fn s13_one_more_replica_is_one_more_pod() {
    let mut world = World::settled(3);
    world.spec("replicas", 4);
    assert_eq!(world.run(), ["create x-3"]);
    assert_eq!(COUNTS.map(|field| world.status(field)), [4; 5]);
}

#[test]
fn s14_to_none_they_go_from_the_highest_each_after_the_former_is_gone() {
    let mut world = World::with_claims(3).settle();
    world.spec("replicas", 0);
    assert_eq!(world.sync(), ["delete x-2"]);
    assert_eq!(world.sync(), NOTHING);
    world.gone("x-2");
    assert_eq!(world.run(), ["delete x-1", "delete x-0"]);
    assert_eq!(COUNTS.map(|field| world.status(field)), [0; 5]);
    assert_eq!(world.observed.claims.len(), 3);
}

#[test]
fn s15_nothing_is_added_while_a_pod_is_not_ready() {
    let mut world = World::settled(1);
    world.unready("x-0");
    world.spec("replicas", 3);
    world.now += 10;
    assert_eq!(world.sync(), NOTHING);
    world.ready("x-0");
    assert_eq!(world.run(), ["create x-1", "create x-2"]);
}

#[test]
fn s16_nothing_is_taken_away_while_the_pods_in_range_are_not_ready() {
    let mut world = World::settled(3);
    for pod in ["x-0", "x-1", "x-2"] {
        world.unready(pod);
    }
    world.spec("replicas", 0);
    assert_eq!(world.sync(), NOTHING);
    for pod in ["x-0", "x-1", "x-2"] {
        world.ready(pod);
    }
    assert_eq!(world.run(), ["delete x-2", "delete x-1", "delete x-0"]);
}

#[test]
fn s19_pods_that_end_already_are_not_deleted_again() {
    let mut world = World::settled(5);
    world.spec("replicas", 3);
    world.ends("x-3");
    world.ends("x-4");
    assert_eq!(world.sync(), NOTHING);
}

#[test]
fn s20_a_pod_that_ends_is_made_again_before_higher_ones_are_made() {
    let mut world = World::settled(3);
    world.ends("x-0");
    world.spec("replicas", 5);
    assert_eq!(world.sync(), NOTHING);
    world.gone("x-0");
    assert_eq!(world.run(), ["create x-0", "create x-3", "create x-4"]);
}

#[test]
fn s21_pods_that_vanish_are_made_again_from_the_lowest() {
    let mut world = World::settled(5);
    for pod in ["x-0", "x-2", "x-4"] {
        world.gone(pod);
    }
    assert_eq!(world.run(), ["create x-0", "create x-2", "create x-4"]);
}

#[test]
fn s22_a_lower_pod_is_made_again_though_a_higher_one_is_never_ready() {
    let mut world = World::settled(2);
    world.unready("x-1");
    world.gone("x-0");
    assert_eq!(world.sync(), ["create x-0"]);
}

#[test]
fn s23_the_one_pod_that_is_not_ready_goes_when_it_is_out_of_range() {
    let mut world = World::settled(3);
    world.unready("x-2");
    world.spec("replicas", 2);
    assert_eq!(world.sync(), ["delete x-2"]);
}

#[test]
fn s24_of_two_pods_out_of_range_that_are_not_ready_the_higher_one_blocks() {
    let mut world = World::settled(3);
    world.unready("x-1");
    world.unready("x-2");
    world.spec("replicas", 1);
    assert_eq!(world.sync(), NOTHING);
}

#[test]
fn pods_out_of_range_that_have_ended_are_not_waited_for() {
    let mut world = World::settled(3);
    world.phase("x-1", "Failed");
    world.phase("x-2", "Failed");
    world.spec("replicas", 1);
    assert_eq!(world.run(), ["delete x-2", "delete x-1"]);
}

#[test]
fn s25_a_pod_that_is_ready_and_not_yet_available_goes_at_once() {
    let mut world = World::new(2);
    world.spec("minReadySeconds", 30);
    world.sync();
    world.ready("x-0");
    world.now += 30;
    world.sync();
    world.ready("x-1");
    world.spec("replicas", 1);
    assert_eq!(world.sync(), ["delete x-1"]);
}
