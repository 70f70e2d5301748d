//! Scenarios 37 to 68: updates.

use super::*;
use crate::statefulset::member::Member;
use crate::statefulset::spec::Spec;
use crate::statefulset::update::replaced as update_step;

#[test]
fn s37_an_image_change_replaces_one_pod_at_a_time_from_the_highest() {
    let mut world = World::settled(3);
    world.image(2);
    assert_eq!(world.sync(), ["revision 2", "delete x-2"]);
    assert_eq!(world.sync(), NOTHING);
    world.gone("x-2");
    assert_eq!(world.sync(), ["create x-2"]);
    assert_eq!(world.sync(), NOTHING, "x-2 is not Available yet");
    let rest = ["delete x-1", "create x-1", "delete x-0", "create x-0"];
    assert_eq!(world.run(), rest);
    assert_eq!(world.images(), ["i:2"; 3]);
    assert!(world.is_current());
}

/// Image and replicas are changed at once.
fn changed(mut world: World, replicas: i64) -> (Vec<String>, Vec<String>) {
    world.run();
    world.image(2);
    world.spec("replicas", replicas);
    let done = world.run();
    assert!(world.is_current());
    (
        done,
        world.images().into_iter().map(str::to_owned).collect(),
    )
}

#[test]
fn s38_an_image_change_with_a_scale_up_ends_with_all_at_the_new_image() {
    let (done, images) = changed(World::new(3), 5);
    assert_eq!(done[..2], ["create x-3", "create x-4"]);
    assert_eq!(images, ["i:2"; 5]);
}

#[test]
fn s39_an_image_change_with_a_scale_down_scales_first() {
    let (done, images) = changed(World::new(5), 3);
    assert_eq!(done[..3], ["delete x-4", "delete x-3", "delete x-2"]);
    assert_eq!(images, ["i:2"; 3]);
}

#[test]
fn s40_a_parallel_set_is_updated_one_pod_at_a_time_too() {
    let (done, images) = changed(World::parallel(3), 3);
    let one_by_one = [
        "delete x-2",
        "create x-2",
        "delete x-1",
        "create x-1",
        "delete x-0",
        "create x-0",
    ];
    assert_eq!(
        (done, images),
        (
            one_by_one.map(String::from).to_vec(),
            vec!["i:2".to_owned(); 3]
        )
    );
    assert_eq!(changed(World::parallel(3), 5).1, ["i:2"; 5]);
    let (done, images) = changed(World::parallel(5), 3);
    assert_eq!(done[..3], ["delete x-4", "delete x-3", "delete x-2"]);
    assert_eq!(images, ["i:2"; 3]);
}

/// A set of three of which only x-2 is at the new image, by a partition.
fn halted() -> World {
    let mut world = World::settled(3);
    world.rolling("partition", 2);
    world.image(2);
    assert_eq!(world.run(), ["delete x-2", "create x-2"]);
    world
}

#[test]
fn s41_pods_below_the_partition_come_back_old_and_those_above_it_new() {
    let mut world = halted();
    world.gone("x-0");
    world.gone("x-2");
    assert_eq!(world.run(), ["create x-0", "create x-2"]);
    assert_eq!(world.images(), ["i:1", "i:1", "i:2"]);
    assert!(!world.is_current());
}

#[test]
fn s42_a_partition_above_all_pods_records_the_revision_and_touches_none() {
    let mut world = World::settled(3);
    world.rolling("partition", 3);
    world.image(2);
    assert_eq!(world.sync(), ["revision 2"]);
    assert_eq!(world.run(), NOTHING);
    assert_eq!(world.images(), ["i:1"; 3]);
    assert!(!world.is_current());
}

#[test]
fn s43_a_partition_that_is_lowered_lets_the_update_go_on() {
    let mut world = halted();
    world.rolling("partition", 1);
    assert_eq!(world.run(), ["delete x-1", "create x-1"]);
    world.rolling("partition", 0);
    assert_eq!(world.run(), ["delete x-0", "create x-0"]);
    assert!(world.is_current());
}

#[test]
fn s44_below_the_partition_a_pod_that_failed_comes_back_old() {
    let mut world = World::settled(2);
    world.rolling("partition", 1);
    world.image(2);
    world.run();
    world.phase("x-0", "Failed");
    assert_eq!(world.sync(), ["delete x-0"]);
    assert_eq!(world.sync(), NOTHING, "a finalizer holds it");
    world.gone("x-0");
    assert_eq!(world.run(), ["create x-0"]);
    assert_eq!(world.images(), ["i:1", "i:2"]);
}

#[test]
fn s45_scaling_to_none_ends_the_update_in_spite_of_the_partition() {
    let mut world = World::settled(4);
    world.rolling("partition", 2);
    world.image(2);
    world.run();
    assert_eq!(world.images(), ["i:1", "i:1", "i:2", "i:2"]);
    world.spec("replicas", 0);
    world.run();
    world.spec("replicas", 2);
    world.run();
    assert_eq!(world.images(), ["i:2"; 2]);
}

/// A set of three whose Pods are replaced only when somebody deletes them, after a change of the image.
fn on_delete() -> World {
    let mut world = World::new(3);
    world.spec("updateStrategy", json!({"type": "OnDelete"}));
    world.run();
    world.image(2);
    assert_eq!(world.run(), NOTHING);
    world
}

#[test]
fn s46_with_on_delete_only_pods_that_are_made_are_new() {
    let mut world = on_delete();
    world.gone("x-1");
    world.spec("replicas", 4);
    assert_eq!(world.run(), ["create x-1", "create x-3"]);
    assert_eq!(world.images(), ["i:1", "i:2", "i:1", "i:2"]);
    assert!(!world.is_current());
}

#[test]
fn s47_with_on_delete_the_update_is_over_when_all_were_replaced() {
    let mut world = on_delete();
    for pod in ["x-0", "x-1", "x-2"] {
        world.gone(pod);
    }
    world.run();
    assert_eq!(world.images(), ["i:2"; 3]);
    assert!(world.is_current());
}

#[test]
fn s48_a_template_that_was_before_raises_its_revision_and_makes_none() {
    let mut world = World::settled(2);
    for image in [2, 3] {
        world.image(image);
        world.run();
    }
    world.image(2);
    assert_eq!(world.sync(), ["raise revision to 4", "delete x-1"]);
    world.run();
    assert_eq!(world.images(), ["i:2"; 2]);
    let mut numbers: Vec<_> = world
        .observed
        .revisions
        .iter()
        .map(|r| r["revision"].as_i64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 3, 4]);
}

/// A set whose update got stuck at its highest Pod, and whose template was put back.
fn trapped(mut world: World) -> World {
    world.run();
    world.image(2);
    world.sync();
    world.gone("x-2");
    assert_eq!(world.sync(), ["create x-2"]);
    world.unready("x-2");
    assert_eq!(world.sync(), NOTHING);
    world.image(1);
    world
}

#[test]
fn s49_the_forced_rollback_trap_is_said_and_healed_only_where_that_is_asked_for() {
    let mut world = trapped(World::new(3));
    assert_eq!(world.sync(), ["raise revision to 3"]);
    let early = world.plan();
    let patience = Timestamp::from_second(world.now + 10).unwrap();
    assert_eq!(
        (early.warnings, early.wake),
        (Vec::new(), Some(patience)),
        "it may still start"
    );
    world.now += 10;
    let plan = world.plan();
    assert_eq!(plan.actions, []);
    let revision = plan.status["updateRevision"].as_str().unwrap();
    let message = format!(
        "Pod x-2 is of an older revision than {revision} and not available, and OrderedReady waits for it: \
         kubectl delete pod x-2 -n default, or annotate the set with headless-dns/heal-rollout=true"
    );
    let condition = json!({
        "type": "Stalled", "status": "True", "reason": "RolloutBlocked", "message": message,
        "lastTransitionTime": "1970-01-01T00:16:50Z",
    });
    assert_eq!(plan.status["conditions"], json!([condition]));
    assert_eq!(
        plan.warnings,
        [Warning {
            reason: "RolloutBlocked",
            message
        }]
    );
    world.sync();
    world.now += 5;
    assert_eq!(
        world.plan().status["conditions"],
        json!([condition]),
        "its time stays"
    );

    let mut by_hand = World {
        observed: world.observed.clone(),
        ..world
    };
    by_hand.gone("x-2");
    assert_eq!(by_hand.run(), ["create x-2"]);
    assert_eq!(by_hand.images(), ["i:1"; 3]);
    assert_eq!(by_hand.set()["status"]["conditions"], Value::Null);

    by_hand = trapped(World::new(3));
    by_hand.set()["metadata"]["annotations"] = json!({HEAL: "true"});
    by_hand.sync();
    by_hand.now += 10;
    assert_eq!(by_hand.run(), ["delete x-2", "create x-2"]);
    assert_eq!(by_hand.images(), ["i:1"; 3]);
    assert!(by_hand.is_current());
}

#[test]
fn s50_in_a_parallel_set_the_broken_pod_is_replaced_when_the_template_is_put_back() {
    let mut world = trapped(World::parallel(3));
    assert_eq!(world.sync(), ["raise revision to 3", "delete x-2"]);
    assert_eq!(world.run(), ["create x-2"]);
    assert_eq!(world.images(), ["i:1"; 3]);
}

#[test]
fn s51_a_first_revision_that_never_worked_stays_until_somebody_deletes_its_pod() {
    let mut world = World::new(1);
    world.sync();
    world.unready("x-0");
    world.image(2);
    assert_eq!(world.sync(), ["revision 2"]);
    world.now += 3600;
    let plan = world.plan();
    assert_eq!(
        (plan.actions, plan.warnings[0].reason),
        (Vec::new(), "RolloutBlocked")
    );
    world.gone("x-0");
    assert_eq!(world.run(), ["create x-0"]);
    assert_eq!(world.images(), ["i:2"]);
}

/// A set of six with partition 3 and two that may be unavailable, at the start of an update.
fn two_at_a_time(mut world: World) -> World {
    world.rolling("partition", 3);
    world.rolling("maxUnavailable", 2);
    world.run();
    world.image(2);
    assert_eq!(world.sync(), ["revision 2", "delete x-5", "delete x-4"]);
    assert_eq!(world.sync(), NOTHING);
    world.gone("x-5");
    world.gone("x-4");
    world
}

#[test]
fn s52_two_may_be_unavailable_and_the_next_batch_waits_for_the_whole_of_the_last() {
    let mut world = two_at_a_time(World::new(6));
    assert_eq!(world.sync(), ["create x-4"]);
    assert_eq!(world.sync(), NOTHING);
    world.ready("x-4");
    assert_eq!(world.sync(), ["create x-5"]);
    assert_eq!(world.sync(), NOTHING);
    assert_eq!(world.run(), ["delete x-3", "create x-3"]);
    assert_eq!(world.images(), ["i:1", "i:1", "i:1", "i:2", "i:2", "i:2"]);
}

#[test]
fn s53_in_a_parallel_set_the_next_goes_as_soon_as_one_of_the_batch_is_available() {
    let mut world = two_at_a_time(World::parallel(6));
    assert_eq!(world.sync(), ["create x-4", "create x-5"]);
    assert_eq!(world.sync(), NOTHING);
    world.ready("x-5");
    assert_eq!(world.sync(), ["delete x-3"]);
    world.run();
    assert_eq!(world.images(), ["i:1", "i:1", "i:1", "i:2", "i:2", "i:2"]);
}

/// What the update step alone would delete.
fn step(world: &mut World) -> Vec<String> {
    world.image(2);
    let revisions = revision::revisions(&world.observed.set, &world.observed.revisions, &[]);
    let spec = Spec::of(&world.observed.set);
    let mut members: Vec<_> = world
        .observed
        .pods
        .iter()
        .filter_map(|pod| Member::of(spec.name, pod, (world.time(), spec.min_ready)))
        .collect();
    members.sort_by_key(|m| m.ordinal);
    let update = identity_name(&revisions.update);
    update_step(&spec, &members, update)
        .iter()
        .map(|m| m.name.to_owned())
        .collect()
}

#[test]
fn s54_as_many_are_deleted_as_the_budget_leaves_wherever_the_unavailable_ones_are() {
    for bad in [
        vec![],
        vec!["x-5"],
        vec!["x-0"],
        vec!["x-0", "x-4"],
        vec!["x-0", "x-1", "x-2"],
    ] {
        let mut world = World::settled(6);
        world.rolling("maxUnavailable", 2);
        world.rolling("partition", 1);
        bad.iter().for_each(|pod| world.unready(pod));
        let deleted = step(&mut world);
        assert_eq!(
            deleted.len(),
            2_usize.saturating_sub(bad.len()),
            "{bad:?}: {deleted:?}"
        );
    }
}

/// The first step of an update of a Parallel set: budget, partition, Pods that are not Ready, Pods that end.
fn parallel(
    replicas: i64,
    (budget, partition): (i64, i64),
    bad: &[&str],
    ends: &[&str],
) -> Vec<String> {
    let mut world = World::parallel(replicas);
    world.rolling("maxUnavailable", budget);
    world.rolling("partition", partition);
    world.run();
    bad.iter().for_each(|pod| world.unready(pod));
    ends.iter().for_each(|pod| world.ends(pod));
    world.image(2);
    let done = world.sync();
    done.into_iter()
        .filter(|a| !a.contains("revision"))
        .collect()
}

#[test]
fn s55_a_parallel_set_s_one_pod_that_is_old_and_not_ready_is_deleted() {
    assert_eq!(parallel(1, (1, 0), &["x-0"], &[]), ["delete x-0"]);
}

#[test]
fn s56_broken_pods_use_up_the_budget_and_go_first() {
    assert_eq!(
        parallel(4, (2, 0), &["x-0", "x-1"], &[]),
        ["delete x-1", "delete x-0"]
    );
}

#[test]
fn s57_what_broken_pods_leave_of_the_budget_goes_to_the_highest() {
    let wanted = ["delete x-1", "delete x-0", "delete x-4"];
    assert_eq!(parallel(5, (3, 0), &["x-0", "x-1"], &[]), wanted);
}

#[test]
fn s58_a_pod_that_ends_counts_and_is_not_deleted_again() {
    assert_eq!(
        parallel(5, (3, 0), &["x-3"], &["x-4"]),
        ["delete x-3", "delete x-2"]
    );
}

#[test]
fn s59_a_broken_pod_below_the_partition_uses_up_the_budget() {
    assert_eq!(parallel(5, (1, 2), &["x-1"], &[]), NOTHING);
}

#[test]
fn s60_a_broken_pod_above_the_partition_goes_and_the_highest_stays() {
    assert_eq!(parallel(5, (1, 2), &["x-2"], &[]), ["delete x-2"]);
}

#[test]
fn s61_in_a_parallel_set_a_pod_that_is_not_yet_available_is_replaced_and_in_an_ordered_one_waited_for()
 {
    for (mut world, wanted) in [
        (World::parallel(3), vec!["revision 2", "delete x-2"]),
        (World::new(3), vec!["revision 2"]),
    ] {
        world.run();
        world.now += 60;
        world.spec("minReadySeconds", 30);
        world.ready("x-2");
        world.image(2);
        assert_eq!(world.sync(), wanted);
    }
}

#[test]
fn s64_an_update_waits_for_min_ready_seconds_and_never_has_more_unavailable_than_the_budget() {
    let mut world = World::parallel(3);
    world.run();
    world.now += 60;
    world.spec("minReadySeconds", 30);
    world.image(2);
    assert_eq!(world.sync(), ["revision 2", "delete x-2"]);
    world.gone("x-2");
    assert_eq!(world.sync(), ["create x-2"]);
    world.ready("x-2");
    let due = world.now + 30;
    while world.now < due {
        let plan = world.plan();
        assert_eq!(
            (plan.actions, plan.wake),
            (Vec::new(), Some(Timestamp::from_second(due).unwrap()))
        );
        assert_eq!(plan.status["availableReplicas"], 2);
        world.now += 10;
    }
    assert_eq!(world.sync(), ["delete x-1"]);
}

#[test]
fn s65_successors_are_made_exactly_min_ready_seconds_after_their_predecessor_is_ready() {
    let mut world = World::new(2);
    world.spec("minReadySeconds", 10);
    world.sync();
    world.now += 3;
    world.ready("x-0");
    let wake = world.plan().wake.unwrap();
    assert_eq!(wake.as_second(), world.now + 10);
    world.now += 9;
    assert_eq!(world.sync(), NOTHING);
    world.now += 1;
    assert_eq!(world.sync(), ["create x-1"]);
}

#[test]
fn s66_recreate_deletes_all_old_pods_at_once_and_makes_new_ones_when_none_is_left() {
    let mut world = World::with_claims(3).settle();
    world.spec("updateStrategy", json!({"type": "Recreate"}));
    assert_eq!(
        world.sync(),
        NOTHING,
        "a change of the strategy alone starts nothing"
    );
    world.unready("x-1");
    world.image(2);
    assert_eq!(
        world.sync(),
        ["revision 2", "delete x-0", "delete x-1", "delete x-2"]
    );
    let reason = |world: &mut World| world.set()["status"]["conditions"][0]["reason"].clone();
    assert_eq!(reason(&mut world), "RecreateInProgress");
    world.gone("x-0");
    world.gone("x-2");
    assert_eq!(world.sync(), NOTHING, "x-1 is still there");
    world.gone("x-1");
    assert_eq!(world.run(), ["create x-0", "create x-1", "create x-2"]);
    assert_eq!(
        (world.images(), world.observed.claims.len()),
        (vec!["i:2"; 3], 3)
    );
    assert!(world.is_current());
    assert_eq!(reason(&mut world), "RecreateComplete");
}

#[test]
fn s67_a_difference_in_defaults_or_spelling_alone_makes_no_revision() {
    let mut world = World::settled(2);
    let mut template = world.set()["spec"]["template"].clone();
    template["metadata"]["creationTimestamp"] = Value::Null;
    template["spec"]["restartPolicy"] = "Always".into();
    template["spec"]["securityContext"] = json!({});
    template["spec"]["volumes"] = json!([]);
    template["spec"]["containers"][0]["imagePullPolicy"] = "IfNotPresent".into();
    world.spec("template", template.clone());
    assert_eq!(world.sync(), NOTHING);
    assert!(world.is_current());
    template["spec"]["containers"][0]["imagePullPolicy"] = "Always".into();
    world.spec("template", template);
    assert_eq!(world.sync(), ["revision 2", "delete x-1"]);
}

#[test]
fn s68_an_old_pod_that_dies_in_an_update_comes_back_old_without_the_block_and_new_with_it() {
    for (strategy, wanted) in [
        (json!({"type": "RollingUpdate"}), "i:1"),
        (
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
            "i:2",
        ),
    ] {
        let mut world = World::new(3);
        world.spec("updateStrategy", strategy);
        world.run();
        world.image(2);
        assert_eq!(world.sync(), ["revision 2", "delete x-2"]);
        world.gone("x-2");
        world.sync();
        world.gone("x-0");
        world.ready("x-2");
        assert_eq!(world.sync(), ["create x-0"]);
        assert_eq!(world.images(), [wanted, "i:1", "i:2"]);
    }
}
