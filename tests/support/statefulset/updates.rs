//! Scenarios 37 to 79: updates, revisions, status.

use serde_json::{Value, json};

use super::table;
use super::world::{Keeper, World, asking, asks, image, parallel, set};

table![
    s37_an_image_change_replaces_one_pod_at_a_time_from_the_highest,
    s38_an_image_change_with_a_scale_up_ends_with_all_at_the_new_image,
    s39_an_image_change_with_a_scale_down_scales_first,
    s40_a_parallel_set_is_updated_one_pod_at_a_time_too,
    s41_pods_below_the_partition_come_back_old_and_those_above_it_new,
    s42_a_partition_above_all_pods_records_the_revision_and_touches_none,
    s43_a_partition_that_is_lowered_lets_the_update_go_on,
    s44_below_the_partition_a_pod_that_failed_comes_back_old,
    s45_scaling_to_none_ends_the_update_in_spite_of_the_partition,
    s46_with_on_delete_only_pods_that_are_made_are_new,
    s47_with_on_delete_the_update_is_over_when_all_were_replaced,
    s48_a_template_that_was_before_raises_its_revision_and_makes_none,
    s49_the_forced_rollback_trap_is_said_and_healed_only_where_that_is_asked_for,
    s50_in_a_parallel_set_the_broken_pod_is_replaced_when_the_template_is_put_back,
    s51_a_first_revision_that_never_worked_stays_until_somebody_deletes_its_pod,
    s52_two_may_be_unavailable_and_the_next_batch_waits_for_the_whole_of_the_last,
    s53_in_a_parallel_set_the_next_goes_as_soon_as_one_of_the_batch_is_available,
    s64_an_update_waits_for_min_ready_seconds,
    s65_successors_are_made_min_ready_seconds_after_their_predecessor_is_ready,
    s68_an_old_pod_that_dies_in_an_update_comes_back_old_without_the_block_and_new_with_it,
    s69_a_revision_is_made_for_each_template_and_only_then,
    s70_of_old_revisions_no_more_are_kept_than_the_limit,
    s72_a_revision_that_a_pod_still_has_is_kept,
    s73_a_name_that_another_template_has_is_passed_over,
    s75_a_change_of_an_annotation_of_the_template_is_observed,
    s77_available_pods_are_counted_anew_when_min_ready_seconds_changes,
    s79_a_condition_that_somebody_else_wrote_stays,
];

const ONE_BY_ONE: [&str; 6] = [
    "delete x-2",
    "create x-2",
    "delete x-1",
    "create x-1",
    "delete x-0",
    "create x-0",
];

async fn s37_an_image_change_replaces_one_pod_at_a_time_from_the_highest(world: &mut World) {
    world.start(set(3)).await;
    world.edit(image(2)).await;
    world.updated(0..3).await;
    assert_eq!(world.log(), ONE_BY_ONE);
    assert_eq!(world.images(), ["i:2"; 3]);
}

/// Image and replicas, changed at once.
fn image_and_replicas(replicas: i64) -> Value {
    let mut patch = image(2);
    patch["spec"]["replicas"] = replicas.into();
    patch
}

async fn s38_an_image_change_with_a_scale_up_ends_with_all_at_the_new_image(world: &mut World) {
    world.start(set(3)).await;
    world.edit(image_and_replicas(5)).await;
    world.updated(0..5).await;
    assert_eq!(world.images(), ["i:2"; 5]);
}

async fn s39_an_image_change_with_a_scale_down_scales_first(world: &mut World) {
    world.start(set(5)).await;
    world.edit(image_and_replicas(3)).await;
    world.updated(0..3).await;
    assert_eq!(world.log()[..2], ["delete x-4", "delete x-3"]);
    assert_eq!(world.images(), ["i:2"; 3]);
}

async fn s40_a_parallel_set_is_updated_one_pod_at_a_time_too(world: &mut World) {
    world.start(parallel(3)).await;
    world.edit(image(2)).await;
    world.updated(0..3).await;
    assert_eq!(world.log(), ONE_BY_ONE);
}

fn partition(n: i64) -> Value {
    json!({"spec": {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": n}}}})
}

/// Waits until this many Pods have the update revision, and all are Ready.
async fn halted(world: &mut World, replicas: i64, updated: i64) {
    world.observed().await;
    world
        .until("as many are updated as the partition allows", |world| {
            let status = &world.set()["status"];
            status["updatedReplicas"].as_i64().unwrap_or_default() == updated
                && status["updateRevision"] != status["currentRevision"]
        })
        .await;
    world.settled(0..replicas).await;
}

/// A set of three of which only x-2 is at the new image.
async fn partitioned(world: &mut World) {
    world.start(set(3)).await;
    world.edit(partition(2)).await;
    world.edit(image(2)).await;
    halted(world, 3, 1).await;
    assert_eq!(world.log(), ["delete x-2", "create x-2"]);
}

async fn s41_pods_below_the_partition_come_back_old_and_those_above_it_new(world: &mut World) {
    partitioned(world).await;
    world.delete_pod("x-0").await;
    world.delete_pod("x-2").await;
    halted(world, 3, 1).await;
    assert_eq!(world.images(), ["i:1", "i:1", "i:2"]);
}

async fn s42_a_partition_above_all_pods_records_the_revision_and_touches_none(world: &mut World) {
    world.start(set(3)).await;
    world.edit(partition(3)).await;
    world.edit(image(2)).await;
    halted(world, 3, 0).await;
    assert_eq!((world.log(), world.images()), (Vec::new(), vec!["i:1"; 3]));
    revisions(world, &[1, 2]).await;
}

async fn s43_a_partition_that_is_lowered_lets_the_update_go_on(world: &mut World) {
    partitioned(world).await;
    world.edit(partition(1)).await;
    halted(world, 3, 2).await;
    assert_eq!(world.log(), ["delete x-1", "create x-1"]);
    world.edit(partition(0)).await;
    world.updated(0..3).await;
    assert_eq!(world.log(), ["delete x-0", "create x-0"]);
}

async fn s44_below_the_partition_a_pod_that_failed_comes_back_old(world: &mut World) {
    world.start(set(2)).await;
    world.edit(partition(1)).await;
    world.edit(image(2)).await;
    halted(world, 2, 1).await;
    world.hold("Pod", "x-0").await;
    world.patch("Pod", "x-0", asks("phase", "Failed")).await;
    world
        .until("it is deleted", |world| {
            world.pod("x-0")["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    world.let_go("Pod", "x-0").await;
    world
        .until("it is gone", |world| {
            world.log.iter().any(|l| l == "delete x-0")
        })
        .await;
    halted(world, 2, 1).await;
    assert_eq!(world.images(), ["i:1", "i:2"]);
}

async fn s45_scaling_to_none_ends_the_update_in_spite_of_the_partition(world: &mut World) {
    world.start(set(4)).await;
    world.edit(partition(2)).await;
    world.edit(image(2)).await;
    halted(world, 4, 2).await;
    world.scale(0).await;
    world.updated([]).await;
    world.scale(2).await;
    world.settled(0..2).await;
    assert_eq!(world.images(), ["i:2"; 2]);
}

/// A set of three with OnDelete, after a change of the image that has touched none.
async fn on_delete(world: &mut World) {
    let mut object = set(3);
    object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    world.start(object).await;
    world.edit(image(2)).await;
    halted(world, 3, 0).await;
    assert_eq!(world.log(), [""; 0]);
}

async fn s46_with_on_delete_only_pods_that_are_made_are_new(world: &mut World) {
    on_delete(world).await;
    world.delete_pod("x-1").await;
    world.scale(4).await;
    halted(world, 4, 2).await;
    assert_eq!(world.images(), ["i:1", "i:2", "i:1", "i:2"]);
}

async fn s47_with_on_delete_the_update_is_over_when_all_were_replaced(world: &mut World) {
    on_delete(world).await;
    for (updated, pod) in [(1, "x-0"), (2, "x-1")] {
        world.delete_pod(pod).await;
        halted(world, 3, updated).await;
    }
    world.delete_pod("x-2").await;
    world.updated(0..3).await;
    assert_eq!(world.images(), ["i:2"; 3]);
}

async fn s48_a_template_that_was_before_raises_its_revision_and_makes_none(world: &mut World) {
    world.start(set(2)).await;
    for number in [2, 3, 2] {
        world.edit(image(number)).await;
        world.updated(0..2).await;
    }
    assert_eq!(world.images(), ["i:2"; 2]);
    revisions(world, &[1, 3, 4]).await;
}

/// Waits until the revisions have these numbers.
async fn revisions(world: &mut World, wanted: &[i64]) {
    world
        .until(&format!("the revisions {wanted:?}"), |world| {
            let revisions = world.all("ControllerRevision").into_iter();
            let mut numbers: Vec<_> = revisions.filter_map(|r| r["revision"].as_i64()).collect();
            numbers.sort_unstable();
            numbers == wanted
        })
        .await;
}

/// An update that got stuck at x-2, which never is Ready, and whose template was put back.
async fn trapped(world: &mut World, object: Value) {
    world.start(object).await;
    let broken = asking(image(2), "ready", "false");
    world.edit(broken).await;
    world
        .until("the broken Pod runs", |world| {
            let pod = world.object("Pod", "x-2");
            pod.is_some_and(|pod| {
                pod["spec"]["containers"][0]["image"] == "i:2"
                    && pod["status"]["phase"] == "Running"
            })
        })
        .await;
    world.log();
    let mut restored = image(1);
    restored["spec"]["template"]["metadata"] = json!({"annotations": null});
    world.edit(restored).await;
}

async fn s49_the_forced_rollback_trap_is_said_and_healed_only_where_that_is_asked_for(
    world: &mut World,
) {
    trapped(world, set(3)).await;
    world.observed().await;
    assert_eq!(
        (world.log(), world.images()),
        (Vec::new(), vec!["i:1", "i:1", "i:2"])
    );
    if world.keeper == Keeper::Upstream {
        world.delete_pod("x-2").await;
    } else {
        let said = world.event("RolloutBlocked").await;
        assert!(
            said.starts_with("Pod x-2 is of an older revision than x-"),
            "{said}"
        );
        world
            .until("the condition is there", |world| {
                let condition = &world.set()["status"]["conditions"][0];
                condition["type"] == "Stalled" && condition["reason"] == "RolloutBlocked"
            })
            .await;
        let heal = json!({"metadata": {"annotations": {"headless-dns/heal-rollout": "true"}}});
        world.edit(heal).await;
    }
    world.updated(0..3).await;
    assert_eq!(
        (world.log(), world.images()),
        (
            vec!["delete x-2".to_owned(), "create x-2".to_owned()],
            vec!["i:1"; 3]
        )
    );
    assert_eq!(world.set()["status"]["conditions"], Value::Null);
}

async fn s50_in_a_parallel_set_the_broken_pod_is_replaced_when_the_template_is_put_back(
    world: &mut World,
) {
    trapped(world, parallel(3)).await;
    world.updated(0..3).await;
    assert_eq!(world.images(), ["i:1"; 3]);
}

async fn s51_a_first_revision_that_never_worked_stays_until_somebody_deletes_its_pod(
    world: &mut World,
) {
    let object = asking(set(1), "ready", "false");
    world.create(object).await;
    world
        .until("it runs", |world| {
            world
                .object("Pod", "x-0")
                .is_some_and(|pod| pod["status"]["phase"] == "Running")
        })
        .await;
    let mut fixed = image(2);
    fixed["spec"]["template"]["metadata"] = json!({"annotations": null});
    world.edit(fixed).await;
    world.observed().await;
    assert_eq!(world.images(), ["i:1"]);
    world.delete_pod("x-0").await;
    world.updated([0]).await;
    assert_eq!(world.images(), ["i:2"]);
}

fn two_at_a_time() -> Value {
    json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 3, "maxUnavailable": 2}})
}

async fn s52_two_may_be_unavailable_and_the_next_batch_waits_for_the_whole_of_the_last(
    world: &mut World,
) {
    let mut object = set(6);
    object["spec"]["updateStrategy"] = two_at_a_time();
    world.create(object).await;
    world.settled(0..6).await;
    world.log();
    world.edit(image(2)).await;
    halted(world, 6, 3).await;
    let wanted = [
        "delete x-5",
        "delete x-4",
        "create x-4",
        "create x-5",
        "delete x-3",
        "create x-3",
    ];
    assert_eq!(world.log(), wanted);
    assert_eq!(world.images(), ["i:1", "i:1", "i:1", "i:2", "i:2", "i:2"]);
}

async fn s53_in_a_parallel_set_the_next_goes_as_soon_as_one_of_the_batch_is_available(
    world: &mut World,
) {
    let mut object = parallel(6);
    object["spec"]["updateStrategy"] = two_at_a_time();
    world.start(object).await;
    world.edit(image(2)).await;
    halted(world, 6, 3).await;
    let mut log = world.log();
    assert_eq!(log[..2], ["delete x-5", "delete x-4"]);
    log.sort();
    let wanted = [
        "create x-3",
        "create x-4",
        "create x-5",
        "delete x-3",
        "delete x-4",
        "delete x-5",
    ];
    assert_eq!(log, wanted);
    assert_eq!(world.images(), ["i:1", "i:1", "i:1", "i:2", "i:2", "i:2"]);
}

/// When a Pod became Ready, and when it was made; whole seconds.
fn times(world: &World, pod: &str) -> (jiff::Timestamp, jiff::Timestamp) {
    let pod = world.pod(pod);
    let time = |value: &Value| value.as_str().unwrap().parse().unwrap();
    let conditions = pod["status"]["conditions"].as_array().unwrap();
    let ready = conditions.iter().find(|c| c["type"] == "Ready").unwrap();
    (
        time(&ready["lastTransitionTime"]),
        time(&pod["metadata"]["creationTimestamp"]),
    )
}

async fn s64_an_update_waits_for_min_ready_seconds(world: &mut World) {
    let mut object = parallel(2);
    object["spec"]["minReadySeconds"] = 2.into();
    world.start(object).await;
    world
        .until("all are available", |world| {
            world.set()["status"]["availableReplicas"] == 2
        })
        .await;
    world.edit(image(2)).await;
    world.updated(0..2).await;
    assert_eq!(
        world.log(),
        ["delete x-1", "create x-1", "delete x-0", "create x-0"]
    );
    let gap = times(world, "x-0")
        .1
        .duration_since(times(world, "x-1").0)
        .as_secs();
    assert!((2..5).contains(&gap), "{gap} s");
}

async fn s65_successors_are_made_min_ready_seconds_after_their_predecessor_is_ready(
    world: &mut World,
) {
    let mut object = set(2);
    object["spec"]["minReadySeconds"] = 2.into();
    world.start(object).await;
    let gap = times(world, "x-1")
        .1
        .duration_since(times(world, "x-0").0)
        .as_secs();
    assert!((2..4).contains(&gap), "{gap} s");
}

async fn s68_an_old_pod_that_dies_in_an_update_comes_back_old_without_the_block_and_new_with_it(
    world: &mut World,
) {
    let broken = asking(image(2), "ready", "false");
    for (strategy, wanted) in [
        (json!({"type": "RollingUpdate"}), "i:1"),
        (
            json!({"type": "RollingUpdate", "rollingUpdate": {"partition": 0}}),
            "i:2",
        ),
    ] {
        let mut object = set(3);
        object["spec"]["updateStrategy"] = strategy;
        world.start(object).await;
        world.edit(broken.clone()).await;
        world
            .until("the update is at x-2", |world| {
                let new = world.object("Pod", "x-2");
                let counted = world.set()["status"]["currentReplicas"] == 2
                    && world.set()["status"]["updatedReplicas"] == 1;
                counted && new.is_some_and(|pod| pod["status"]["phase"] == "Running")
            })
            .await;
        let old = world.uid("Pod", "x-0");
        world.delete_pod("x-0").await;
        world
            .until("x-0 is back", |world| {
                world
                    .object("Pod", "x-0")
                    .is_some_and(|pod| pod["metadata"]["uid"] != old.as_str())
            })
            .await;
        assert_eq!(world.images(), [wanted, "i:1", "i:2"]);
        world.delete("StatefulSet", "x", json!({})).await;
        world
            .until("all are gone", |world| {
                world.all("Pod").is_empty() && world.all("ControllerRevision").is_empty()
            })
            .await;
    }
}

async fn s69_a_revision_is_made_for_each_template_and_only_then(world: &mut World) {
    world.start(set(0)).await;
    revisions(world, &[1]).await;
    world.edit(json!({"spec": {"minReadySeconds": 1}})).await;
    world.observed().await;
    revisions(world, &[1]).await;
    world.edit(image(2)).await;
    world.observed().await;
    revisions(world, &[1, 2]).await;
}

async fn s72_a_revision_that_a_pod_still_has_is_kept(world: &mut World) {
    let mut object = set(2);
    object["spec"]["updateStrategy"] = json!({"type": "OnDelete"});
    object["spec"]["revisionHistoryLimit"] = 0.into();
    world.start(object).await;
    for number in 2..5 {
        world.edit(image(number)).await;
        world.observed().await;
    }
    world.delete_pod("x-1").await;
    halted(world, 2, 1).await;
    revisions(world, &[1, 4]).await;
}

async fn s73_a_name_that_another_template_has_is_passed_over(world: &mut World) {
    world.start(set(0)).await;
    revisions(world, &[1]).await;
    let name = world.names("ControllerRevision")[0].to_owned();
    world.delete("StatefulSet", "x", json!({})).await;
    world
        .until("all is gone", |world| {
            world.all("ControllerRevision").is_empty()
        })
        .await;
    let other = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}});
    let uid = world.create(other).await["metadata"]["uid"].clone();
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "other", "uid": uid, "controller": true});
    let taken = json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 7,
        "metadata": {"name": name, "ownerReferences": [owner]},
        "data": {"spec": {"template": {"$patch": "replace"}}},
    });
    world.create(taken).await;
    world.create(set(0)).await;
    world
        .until("another name is found", |world| {
            world.set()["status"]["collisionCount"] == 1
                && world.set()["status"]["updateRevision"] != name.as_str()
        })
        .await;
    revisions(world, &[1, 7]).await;
}

async fn s70_of_old_revisions_no_more_are_kept_than_the_limit(world: &mut World) {
    let mut object = set(1);
    object["spec"]["revisionHistoryLimit"] = 1.into();
    world.start(object).await;
    for number in 2..6 {
        world.edit(image(number)).await;
        world.updated([0]).await;
    }
    revisions(world, &[4, 5]).await;
}

async fn s75_a_change_of_an_annotation_of_the_template_is_observed(world: &mut World) {
    world.start(set(1)).await;
    let annotations = json!({"restartedAt": "now"});
    world
        .edit(json!({"spec": {"template": {"metadata": {"annotations": annotations}}}}))
        .await;
    world.updated([0]).await;
    assert_eq!(world.set()["status"]["observedGeneration"], 2);
    assert_eq!(world.pod("x-0")["metadata"]["annotations"], annotations);
}

async fn s77_available_pods_are_counted_anew_when_min_ready_seconds_changes(world: &mut World) {
    world.start(set(2)).await;
    for (seconds, available) in [(3600, 0), (0, 2)] {
        world
            .edit(json!({"spec": {"minReadySeconds": seconds}}))
            .await;
        world.observed().await;
        world
            .until("they are counted", |world| {
                world.set()["status"]["availableReplicas"] == available
            })
            .await;
    }
    assert_eq!(world.log(), [""; 0]);
}

async fn s79_a_condition_that_somebody_else_wrote_stays(world: &mut World) {
    world.start(set(1)).await;
    let condition =
        json!({"type": "BackedUp", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    world
        .patch(
            "StatefulSet",
            "x/status",
            json!({"status": {"conditions": [condition]}}),
        )
        .await;
    world.scale(2).await;
    world.settled(0..2).await;
    // Upstream's status drops conditions that others wrote.
    if world.keeper == Keeper::Ours {
        assert_eq!(world.set()["status"]["conditions"], json!([condition]));
    }
}
