//! Scenarios 80 to 88: ownership and deletion.

use serde_json::{Value, json};

use super::table;
use super::world::{World, set, stray};

table![
    s80_of_orphans_only_those_that_fit_are_adopted_and_not_restarted,
    s81_an_owned_pod_that_loses_its_labels_is_released_and_adopted_when_they_are_back,
    s83_a_set_that_is_being_deleted_gets_a_status_and_nothing_is_made,
    s84_a_pod_of_an_owner_with_our_name_and_another_uid_is_left_alone_and_its_name_is_taken,
    s87_an_orphaned_revision_that_the_selector_matches_is_adopted,
];

fn owner(pod: &Value) -> &Value {
    &pod["metadata"]["ownerReferences"][0]["uid"]
}

/// Deletes the set and leaves what it made.
async fn orphaned(world: &mut World) {
    world
        .delete("StatefulSet", "x", json!({"propagationPolicy": "Orphan"}))
        .await;
    world
        .until("all are orphans", |world| {
            let pods = world.all("Pod").into_iter().all(|pod| owner(pod).is_null());
            let revisions = world
                .all("ControllerRevision")
                .into_iter()
                .all(|r| owner(r).is_null());
            pods && revisions && world.object("StatefulSet", "x").is_none()
        })
        .await;
}

async fn s80_of_orphans_only_those_that_fit_are_adopted_and_not_restarted(world: &mut World) {
    world.start(set(2)).await;
    orphaned(world).await;
    let first = world.uid("Pod", "x-0");
    world
        .patch(
            "Pod",
            "x-1",
            json!({"metadata": {"labels": {"app": "other"}}}),
        )
        .await;
    let stranger = stray("y-0", json!({"app": "x"}));
    world.create(stranger).await;
    world
        .until("the stranger", |world| world.object("Pod", "y-0").is_some())
        .await;
    world.create(set(1)).await;
    world
        .until("x-0 is adopted", |world| !owner(world.pod("x-0")).is_null())
        .await;
    world.observed().await;
    assert_eq!(
        (
            world.uid("Pod", "x-0"),
            owner(world.pod("x-0")).as_str().map(str::to_owned)
        ),
        (first, Some(world.uid("StatefulSet", "x")))
    );
    assert_eq!(
        [owner(world.pod("x-1")), owner(world.pod("y-0"))],
        [&Value::Null; 2]
    );
}

async fn s81_an_owned_pod_that_loses_its_labels_is_released_and_adopted_when_they_are_back(
    world: &mut World,
) {
    world.start(set(2)).await;
    let uid = world.uid("Pod", "x-1");
    world
        .patch(
            "Pod",
            "x-1",
            json!({"metadata": {"labels": {"app": "other"}}}),
        )
        .await;
    world
        .until("it is released", |world| owner(world.pod("x-1")).is_null())
        .await;
    world
        .patch("Pod", "x-1", json!({"metadata": {"labels": {"app": "x"}}}))
        .await;
    world
        .until("it is adopted", |world| !owner(world.pod("x-1")).is_null())
        .await;
    world.settled(0..2).await;
    assert_eq!((world.uid("Pod", "x-1"), world.log()), (uid, Vec::new()));
}

async fn s83_a_set_that_is_being_deleted_gets_a_status_and_nothing_is_made(world: &mut World) {
    world.start(set(2)).await;
    world.hold("StatefulSet", "x").await;
    world
        .delete(
            "StatefulSet",
            "x",
            json!({"propagationPolicy": "Foreground"}),
        )
        .await;
    world
        .until("the Pods are gone", |world| world.all("Pod").is_empty())
        .await;
    world
        .until("that is counted", |world| {
            let status = &world.set()["status"];
            status["replicas"] == 0
                && status["observedGeneration"] == world.set()["metadata"]["generation"]
        })
        .await;
    let mut log = world.log();
    log.sort();
    assert_eq!(log, ["delete x-0", "delete x-1"]);
    world.let_go("StatefulSet", "x").await;
    world
        .until("the set is gone", |world| {
            world.object("StatefulSet", "x").is_none()
        })
        .await;
}

async fn s84_a_pod_of_an_owner_with_our_name_and_another_uid_is_left_alone_and_its_name_is_taken(
    world: &mut World,
) {
    world.start(set(1)).await;
    // The Pod outlives its set, and holds its name.
    world.hold("Pod", "x-0").await;
    let old = world.uid("Pod", "x-0");
    world
        .delete(
            "StatefulSet",
            "x",
            json!({"propagationPolicy": "Background"}),
        )
        .await;
    world
        .until("the collector deletes it", |world| {
            world.pod("x-0")["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    world.create(set(1)).await;
    world.observed().await;
    assert_eq!(world.uid("Pod", "x-0"), old);
    world.let_go("Pod", "x-0").await;
    world.settled([0]).await;
    assert_ne!(world.uid("Pod", "x-0"), old);
}

async fn s87_an_orphaned_revision_that_the_selector_matches_is_adopted(world: &mut World) {
    world.start(set(1)).await;
    let before: Vec<String> = world
        .names("ControllerRevision")
        .into_iter()
        .map(str::to_owned)
        .collect();
    orphaned(world).await;
    world.create(set(1)).await;
    world
        .until("it is adopted", |world| {
            !owner(world.all("ControllerRevision")[0]).is_null()
        })
        .await;
    world.settled([0]).await;
    assert_eq!(
        (before.len(), world.names("ControllerRevision")),
        (1, before.iter().map(String::as_str).collect())
    );
}
