//! Scenarios 80 to 87: ownership and deletion.

use super::*;

/// Takes the owners of an object away, as a delete of its set with `--cascade=orphan` does.
fn orphan(object: &mut Arc<Value>) {
    Arc::make_mut(object)["metadata"]["ownerReferences"] = json!([]);
}

/// Whether the plan makes this Pod.
fn creates(world: &mut World, name: &str) -> bool {
    let plan = world.plan();
    matches!(&plan.actions[..], [Action::CreatePod { pod, .. }] if pod["metadata"]["name"] == name)
}

#[test]
fn s80_of_orphans_only_those_that_fit_are_adopted_and_not_restarted() {
    let mut world = World::settled(2);
    world.observed.pods.iter_mut().for_each(orphan);
    world.pod("x-1")["metadata"]["labels"]["app"] = "other".into();
    let mut stranger = world.pod("x-0").clone();
    stranger["metadata"]["name"] = "cache-0".into();
    world.observed.pods.push(stranger.into());
    let before = world.pod("x-0")["metadata"]["uid"].clone();
    assert_eq!(world.sync(), ["adopt x-0"]);
    let adopted = world.pod("x-0")["metadata"].clone();
    assert_eq!(adopted["uid"], before);
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "set-uid", "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(adopted["ownerReferences"], json!([owner]));
}

#[test]
fn s81_an_owned_pod_that_loses_its_labels_is_released_and_adopted_when_they_are_back() {
    let mut world = World::settled(2);
    world.pod("x-1")["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(world.sync(), ["release x-1"]);
    assert_eq!(world.pod("x-1")["metadata"]["ownerReferences"], json!([]));
    // The name is still taken, so the API server will refuse the new Pod.
    assert!(creates(&mut world, "x-1"));
    world.pod("x-1")["metadata"]["labels"]["app"] = "x".into();
    assert_eq!(world.sync(), ["adopt x-1"]);
    assert_eq!(world.sync(), NOTHING);
}

#[test]
fn s83_a_set_that_is_being_deleted_gets_a_status_and_nothing_is_made_adopted_or_released() {
    let mut world = World::settled(2);
    world.set()["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    orphan(&mut world.observed.pods[0]);
    orphan(&mut world.observed.revisions[0]);
    world.pod("x-1")["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(world.sync(), NOTHING);
    world.observed.pods.clear();
    assert_eq!(world.sync(), NOTHING);
    assert_eq!(world.status("replicas"), 0);
}

#[test]
fn s84_a_pod_of_an_owner_with_our_name_and_another_uid_is_left_alone_and_its_name_is_taken() {
    let mut world = World::settled(2);
    world.pod("x-1")["metadata"]["ownerReferences"][0]["uid"] = "earlier-uid".into();
    assert!(creates(&mut world, "x-1"));
}

#[test]
fn s87_an_orphaned_revision_that_the_selector_matches_is_adopted() {
    let mut world = World::settled(2);
    orphan(&mut world.observed.revisions[0]);
    assert_eq!(world.sync(), ["adopt revision"]);
    assert_eq!(world.sync(), NOTHING);
    assert_eq!(world.observed.revisions.len(), 1);
}

#[test]
fn s88_a_delete_names_the_incarnation_that_was_seen() {
    let mut world = World::settled(3);
    world.spec("replicas", 2);
    let uid = world.pod("x-2")["metadata"]["uid"]
        .as_str()
        .unwrap()
        .to_owned();
    let name = "x-2".to_owned();
    assert_eq!(world.plan().actions, [Action::DeletePod { name, uid }]);
}

/// What these managers wrote, at these times.
fn written(managers: &[(&str, &str, &str)]) -> Value {
    let entry = |(manager, subresource, time): &(&str, &str, &str)| {
        let fields = if subresource.is_empty() {
            "f:spec"
        } else {
            "f:status"
        };
        json!({
            "manager": manager, "operation": "Update", "subresource": subresource, "time": time, "fieldsV1": {fields: {}},
        })
    };
    managers.iter().map(entry).collect()
}

#[test]
fn a_set_is_another_s_where_kube_controller_manager_wrote_its_status_or_made_a_pod_after_we_began()
{
    let began: Timestamp = "2026-01-01T00:00:10Z".parse().unwrap();
    let (before, after) = ("2026-01-01T00:00:09Z", "2026-01-01T00:00:11Z");
    let kcm = "kube-controller-manager";
    for (set, pod, wanted) in [
        (vec![], vec![], false),
        (vec![(kcm, "status", after)], vec![], true),
        (
            vec![("headless-dns", "status", after), (kcm, "status", after)],
            vec![],
            true,
        ),
        (
            vec![(kcm, "status", before)],
            vec![(kcm, "", before)],
            false,
        ),
        (
            vec![("kubectl", "status", after), (kcm, "", after)],
            vec![],
            false,
        ),
        (vec![], vec![(kcm, "", after)], true),
        (
            vec![],
            vec![(kcm, "status", after), ("headless-dns", "", after)],
            false,
        ),
    ] {
        let mut world = World::settled(1);
        world.set()["metadata"]["managedFields"] = written(&set);
        world.pod("x-0")["metadata"]["managedFields"] = written(&pod);
        let another = is_kept_by_another(&world.observed, began);
        assert_eq!(another, wanted, "{set:?} {pod:?}");
        orphan(&mut world.observed.pods[0]);
        let set_alone = is_kept_by_another(&world.observed, began);
        assert_eq!(
            set_alone,
            wanted && pod.is_empty(),
            "a Pod that is not ours says nothing"
        );
    }
}
