//! Scenarios 1 to 12: identity and creation.

use super::*;

#[test]
fn s01_pods_are_made_in_order_each_after_its_predecessor_is_available() {
    let mut world = World::with_claims(3);
    assert_eq!(world.sync(), ["revision 1", "claim data-x-0", "create x-0"]);
    assert_eq!(world.sync(), NOTHING, "x-0 is not Ready");
    world.ready("x-0");
    assert_eq!(world.sync(), ["claim data-x-1", "create x-1"]);
    world.ready("x-1");
    assert_eq!(world.sync(), ["claim data-x-2", "create x-2"]);
    world.ready("x-2");
    assert_eq!(world.sync(), NOTHING);
    let revision = world.observed.revisions[0]["metadata"]["name"].clone();
    let status = json!({
        "observedGeneration": 2, "replicas": 3, "readyReplicas": 3, "availableReplicas": 3, "currentReplicas": 3,
        "updatedReplicas": 3, "currentRevision": revision, "updateRevision": revision, "collisionCount": 0,
    });
    assert_eq!(world.set()["status"], status);
}

#[test]
fn s02_a_pod_has_name_labels_hostname_subdomain_volume_and_one_owner() {
    let mut world = World::with_claims(1);
    world.sync();
    let pod = world.pod("x-0").clone();
    let revision = world.observed.revisions[0]["metadata"]["name"].clone();
    let labels = json!({
        "app": "x", "statefulset.kubernetes.io/pod-name": "x-0", "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": revision,
    });
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": "set-uid", "controller": true,
        "blockOwnerDeletion": true,
    });
    let meta = json!({
        "name": "x-0", "generateName": "x-", "namespace": "default", "uid": "uid-2", "labels": labels,
        "ownerReferences": [owner],
    });
    let spec = json!({
        "containers": [{"name": "c", "image": "i:1"}], "hostname": "x-0", "subdomain": "x",
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data-x-0"}}],
    });
    assert_eq!((&pod["metadata"], &pod["spec"]), (&meta, &spec));
}

#[test]
fn s03_ordinals_begin_at_their_start() {
    let mut world = World::new(3);
    world.spec("ordinals", json!({"start": 2}));
    assert_eq!(world.run(), ["create x-2", "create x-3", "create x-4"]);
    for (pod, index) in [("x-2", "2"), ("x-3", "3"), ("x-4", "4")] {
        assert_eq!(
            world.pod(pod)["metadata"]["labels"]["apps.kubernetes.io/pod-index"],
            index
        );
    }
}

/// A settled set of two from an ordinal on; what is done when the start, and the replicas, change.
fn moved(from: i64, to: Option<i64>, replicas: i64) -> (Vec<String>, Vec<String>) {
    let mut world = World::new(2);
    world.spec("ordinals", json!({"start": from}));
    world.run();
    world.spec("replicas", replicas);
    world.spec(
        "ordinals",
        to.map_or(Value::Null, |start| json!({"start": start})),
    );
    let done = world.run();
    (done, world.pods().into_iter().map(str::to_owned).collect())
}

#[test]
fn s04_a_start_that_moves_up_has_new_ordinals_made_before_old_ones_go() {
    let (done, pods) = moved(0, Some(2), 3);
    let wanted = [
        "create x-2",
        "create x-3",
        "create x-4",
        "delete x-1",
        "delete x-0",
    ];
    assert_eq!(done, wanted);
    assert_eq!(pods, ["x-2", "x-3", "x-4"]);
}

#[test]
fn s05_ordinals_2_and_3_become_4_and_5() {
    assert_eq!(moved(2, Some(4), 2).1, ["x-4", "x-5"]);
}

#[test]
fn s06_ordinals_3_and_4_become_2_and_3() {
    let (done, pods) = moved(3, Some(2), 2);
    assert_eq!(done, ["create x-2", "delete x-4"]);
    assert_eq!(pods, ["x-2", "x-3"]);
}

#[test]
fn s07_without_ordinals_they_begin_at_0() {
    assert_eq!(moved(3, None, 2).1, ["x-0", "x-1"]);
}

#[test]
fn s08_scaled_to_one_from_start_4_only_ordinal_4_is_left() {
    let mut world = World::new(4);
    world.spec("ordinals", json!({"start": 4}));
    world.run();
    world.spec("replicas", 1);
    assert_eq!(world.run(), ["delete x-7", "delete x-6", "delete x-5"]);
    assert_eq!(world.pods(), ["x-4"]);
}

#[test]
fn s09_a_label_that_was_taken_away_is_put_back_in_place() {
    let mut world = World::settled(2);
    let labels = world.pod("x-1")["metadata"]["labels"]
        .as_object_mut()
        .unwrap();
    labels.remove("statefulset.kubernetes.io/pod-name");
    labels.remove("apps.kubernetes.io/pod-index");
    let uid = world.pod("x-1")["metadata"]["uid"].clone();
    assert_eq!(world.sync(), ["repair x-1"]);
    let meta = world.pod("x-1")["metadata"].clone();
    let labels = [
        &meta["labels"]["statefulset.kubernetes.io/pod-name"],
        &meta["labels"]["apps.kubernetes.io/pod-index"],
    ];
    assert_eq!((labels, &meta["uid"]), ([&json!("x-1"), &json!("1")], &uid));
    assert_eq!(world.sync(), NOTHING);
}

#[test]
fn s10_an_orphan_is_its_own_set_s_and_not_that_of_a_set_with_a_shorter_name() {
    let mut orphan = World::settled(1).pod("x-0").clone();
    orphan["metadata"]["name"] = "x-1-0".into();
    orphan["metadata"]["ownerReferences"] = json!([]);
    let mut shorter = World::new(0);
    shorter.observed.pods.push(orphan.clone().into());
    assert_eq!(shorter.sync(), ["revision 1"]);
    let mut longer = World::new(0);
    longer.set()["metadata"]["name"] = "x-1".into();
    longer.observed.pods.push(orphan.into());
    assert_eq!(longer.sync(), ["adopt x-1-0"]);
}

#[test]
fn s12_without_a_service_name_pods_are_made_and_have_no_subdomain() {
    let mut world = World::new(1);
    world.spec("serviceName", "");
    world.sync();
    let spec = &world.pod("x-0")["spec"];
    assert_eq!(
        (&spec["hostname"], &spec["subdomain"]),
        (&json!("x-0"), &Value::Null)
    );
}

#[test]
fn only_the_canonical_spelling_is_an_ordinal() {
    let of = |pod| ordinal_of("web", pod);
    assert_eq!([of("web-0"), of("web-12")], [Some(0), Some(12)]);
    let others = [
        "web-01",
        "web-1-0",
        "web",
        "web-x",
        "web--1",
        "webb-1",
        "web-99999999999",
    ];
    assert_eq!(others.map(of), [None; 7]);
}

/// The condition and the warning of a set whose Pods cannot be made.
fn too_long(world: &mut World) -> (String, Vec<Warning>) {
    let plan = world.plan();
    let creates = plan
        .actions
        .iter()
        .any(|a| matches!(a, Action::CreatePod { .. }));
    assert!(!creates, "{:?}", plan.actions);
    let condition = &plan.status["conditions"][0];
    let text = |field: &str| condition[field].as_str().unwrap().to_owned();
    let said = format!(
        "{}={} {}: {}",
        text("type"),
        text("status"),
        text("reason"),
        text("message")
    );
    (said, plan.warnings)
}

#[test]
fn s104_a_name_that_is_too_long_for_pods_is_said_in_a_condition_and_a_warning() {
    let mut world = World::new(1);
    world.set()["metadata"]["name"] = "n".repeat(53).into();
    let revision = {
        let plan = world.plan();
        plan.status["updateRevision"].as_str().unwrap().to_owned()
    };
    let message = format!(
        "no Pod can be made: its label controller-revision-hash would be {revision:?}, longer than 63 characters"
    );
    let warning = Warning {
        reason: "NameTooLong",
        message: message.clone(),
    };
    assert_eq!(
        too_long(&mut world),
        (
            format!("Stalled=True NameTooLong: {message}"),
            vec![warning]
        )
    );
    world.set()["metadata"]["name"] = "n".repeat(62).into();
    let (said, _) = too_long(&mut world);
    assert!(
        said.contains("its label statefulset.kubernetes.io/pod-name would be"),
        "{said}"
    );
}
