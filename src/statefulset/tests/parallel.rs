//! Scenarios 17, 18, 31: sets of policy Parallel.

use super::*;

#[test]
fn s17_a_parallel_set_is_scaled_at_once_whether_its_pods_are_ready_or_not() {
    let mut world = World::parallel(1);
    world.sync();
    world.spec("replicas", 3);
    assert_eq!(world.sync(), ["create x-1", "create x-2"]);
    world.spec("replicas", 0);
    assert_eq!(world.sync(), ["delete x-2", "delete x-1", "delete x-0"]);
}

/// What one plan does: creates and deletes, and whether it may be done at the same time.
fn counts(from: i64, to: i64) -> (usize, usize, bool) {
    let mut world = World::parallel(from);
    world.run();
    world.spec("replicas", to);
    let plan = world.plan();
    let count = |fits: fn(&Action) -> bool| plan.actions.iter().filter(|a| fits(a)).count();
    let creates = count(|a| matches!(a, Action::CreatePod { .. }));
    let deletes = count(|a| matches!(a, Action::DeletePod { .. }));
    (creates, deletes, plan.parallel)
}

#[test]
fn s18_a_parallel_set_is_scaled_by_exact_counts_in_batches_of_500() {
    assert_eq!(counts(3, 30), (27, 0, true));
    assert_eq!(counts(10, 1), (0, 9, true));
    assert_eq!(counts(501, 0), (0, 500, true));
    assert_eq!(counts(0, 1000), (1000, 0, true));
}

#[test]
fn s31_in_a_parallel_set_one_pod_that_does_not_end_keeps_none_of_the_others_from_being_replaced() {
    let mut world = World::parallel(3);
    world.run();
    world.ends("x-0");
    world.phase("x-1", "Failed");
    world.phase("x-2", "Succeeded");
    assert_eq!(world.sync(), ["delete x-1", "delete x-2"]);
    world.gone("x-1");
    world.gone("x-2");
    assert_eq!(world.sync(), ["create x-1", "create x-2"]);
    assert_eq!(world.pods(), ["x-0", "x-1", "x-2"]);
    assert_eq!(world.sync(), NOTHING);
    world.gone("x-0");
    assert_eq!(world.sync(), ["create x-0"]);
}
