//! Scenarios 29 to 36: Pods that fail.

use super::*;

#[test]
fn s29_a_pod_that_failed_is_deleted_and_made_again_under_its_name() {
    let mut world = World::settled(2);
    let old = world.pod("x-0")["metadata"]["uid"].clone();
    world.phase("x-0", "Failed");
    assert_eq!(world.sync(), ["delete x-0"]);
    assert_eq!(world.sync(), NOTHING, "its name is taken until it is gone");
    world.gone("x-0");
    assert_eq!(world.sync(), ["create x-0"]);
    assert_ne!(world.pod("x-0")["metadata"]["uid"], old);
}

#[test]
fn s30_a_pod_that_succeeded_is_replaced_like_one_that_failed() {
    let mut world = World::settled(1);
    world.phase("x-0", "Succeeded");
    assert_eq!(world.sync(), ["delete x-0"]);
    world.gone("x-0");
    assert_eq!(world.sync(), ["create x-0"]);
}

/// Lets x-0 fail as soon as it is made, for that many seconds; when it was replaced.
fn replaced(world: &mut World, seconds: i64) -> Vec<i64> {
    let mut times = Vec::new();
    let (from, mut steps) = (world.now, 0);
    loop {
        world.phase("x-0", "Failed");
        let done = world.sync();
        if done == ["delete x-0"] {
            times.push(world.now - from);
            world.gone("x-0");
            assert_eq!(world.sync(), ["create x-0"]);
            continue;
        }
        assert_eq!(done, NOTHING);
        let wake = world.plan().wake.unwrap().as_second();
        assert!(wake > world.now, "it would be looked at for ever");
        if wake - from > seconds {
            return times;
        }
        world.now = wake;
        steps += 1;
        assert!(steps < 100);
    }
}

#[test]
fn s36_a_pod_that_fails_whenever_it_is_made_is_replaced_less_and_less_often() {
    let mut world = World::settled(1);
    let wanted = [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 811, 1111, 1411, 1711];
    assert_eq!(replaced(&mut world, 1800), wanted);
}

#[test]
fn a_pod_that_has_run_for_ten_minutes_is_replaced_at_once_again() {
    let mut world = World::settled(1);
    assert_eq!(replaced(&mut world, 10).len(), 4);
    world.ready("x-0");
    world.now += 601;
    assert_eq!(world.sync(), NOTHING);
    world.phase("x-0", "Failed");
    assert_eq!(world.sync(), ["delete x-0"]);
}
