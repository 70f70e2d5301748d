//! Scenarios 90 to 101: claims.

use super::*;

const SET: &str = "set-uid";

/// A reference of the set or of a Pod, as their controller.
fn controller(kind: &str, name: &str, uid: &str) -> Value {
    let version = if kind == "Pod" { "v1" } else { "apps/v1" };
    json!({"apiVersion": version, "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true})
}

fn policy(world: &mut World, deleted: &str, scaled: &str) {
    let policy = json!({"whenDeleted": deleted, "whenScaled": scaled});
    world.spec("persistentVolumeClaimRetentionPolicy", policy);
}

#[test]
fn s90_no_pod_is_made_on_a_claim_that_is_on_its_way_out() {
    let mut world = World::with_claims(1);
    let claim =
        json!({"metadata": {"name": "data-x-0", "deletionTimestamp": "1970-01-01T00:00:00Z"}});
    world.observed.claims = vec![claim.into()];
    assert_eq!(world.sync(), ["revision 1"]);
    let warning = Warning {
        reason: "FailedCreate",
        message: "create Pod x-0 in StatefulSet x failed error: pvc data-x-0 is being deleted"
            .into(),
    };
    assert_eq!(world.plan().warnings, [warning]);
    world.observed.claims.clear();
    assert_eq!(world.sync(), ["claim data-x-0", "create x-0"]);
}

/// The owners of a claim after a plan, for a policy, a Pod in range or not, and the owners it had.
fn owned((deleted, scaled): (&str, &str), in_range: bool, had: &[Value]) -> Vec<Value> {
    let mut world = World::with_claims(2).settle();
    policy(&mut world, deleted, scaled);
    let uid = world.pod("x-1")["metadata"]["uid"].clone();
    let had: Vec<Value> = had
        .iter()
        .map(|owner| {
            let mut owner = owner.clone();
            if owner["uid"] == "the Pod" {
                owner["uid"] = uid.clone();
            }
            owner
        })
        .collect();
    world.claim("data-x-1")["metadata"]["ownerReferences"] = had.into();
    if !in_range {
        world.spec("replicas", 1);
    }
    let actions = world.sync();
    if let Some(at) = actions.iter().position(|a| a == "delete x-1") {
        assert!(
            !actions[at..].contains(&"own data-x-1".into()),
            "what goes with a Pod is its before it goes"
        );
    }
    let owners = world.claim("data-x-1")["metadata"]["ownerReferences"].clone();
    let owners = owners.as_array().cloned().unwrap_or_default();
    let named = |mut owner: Value| {
        if owner["uid"] == uid {
            owner["uid"] = "the Pod".into();
        }
        owner
    };
    owners.into_iter().map(named).collect()
}

#[test]
fn s92_a_claim_s_owners_are_exactly_those_of_the_policy_and_everybody_else_s() {
    let set = controller("StatefulSet", "x", SET);
    let pod = controller("Pod", "x-1", "the Pod");
    let plain = |owner: &Value| {
        let mut owner = owner.clone();
        owner.as_object_mut().unwrap().remove("controller");
        owner
    };
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "backup", "uid": "b"});
    let present = [
        vec![],
        vec![set.clone()],
        vec![pod.clone()],
        vec![set.clone(), pod.clone()],
        vec![plain(&set)],
        vec![plain(&pod)],
        vec![foreign.clone()],
        vec![foreign.clone(), set.clone()],
        vec![pod.clone(), foreign.clone()],
    ];
    let wanted = |deleted: &str, scaled: &str, in_range: bool| match (deleted, scaled, in_range) {
        ("Delete", _, true) | ("Delete", "Retain", false) => Some(set.clone()),
        (_, "Delete", false) => Some(pod.clone()),
        _ => None,
    };
    let mut cases = 0;
    for deleted in ["Retain", "Delete"] {
        for scaled in ["Retain", "Delete"] {
            for in_range in [true, false] {
                for had in &present {
                    let kept = had
                        .iter()
                        .filter(|owner| owner["kind"] == "ConfigMap")
                        .cloned();
                    let wanted: Vec<_> = kept.chain(wanted(deleted, scaled, in_range)).collect();
                    let mut got = owned((deleted, scaled), in_range, had);
                    got.sort_by_key(|owner| owner["kind"] != "ConfigMap");
                    let case = format!("{deleted} {scaled} {in_range} {had:?}");
                    assert_eq!(got, wanted, "{case}");
                    cases += 1;
                }
            }
        }
    }
    assert_eq!(cases, 72);
    // Of an incarnation that is gone: the collector is about to delete the claim, and nobody touches it.
    let earlier = controller("Pod", "x-1", "earlier");
    assert_eq!(
        owned(("Delete", "Delete"), true, std::slice::from_ref(&earlier)),
        [earlier]
    );
}

#[test]
fn a_new_claim_belongs_to_the_set_from_the_start_where_it_is_to_go_with_it() {
    let mut world = World::with_claims(1);
    policy(&mut world, "Delete", "Retain");
    world.sync();
    let owners = &world.claim("data-x-0")["metadata"]["ownerReferences"];
    assert_eq!(*owners, json!([controller("StatefulSet", "x", SET)]));
}

#[test]
fn s96_a_claim_that_goes_with_the_last_pod_is_waited_for() {
    let mut world = World::with_claims(3);
    policy(&mut world, "Retain", "Delete");
    world.run();
    world.spec("replicas", 2);
    assert_eq!(world.run(), ["own data-x-2", "delete x-2"]);
    let stale = world.claim("data-x-2").clone();
    world.spec("replicas", 3);
    assert_eq!(world.sync(), NOTHING);
    assert_eq!(*world.claim("data-x-2"), stale);
    assert_eq!(world.pods(), ["x-0", "x-1"]);
    world
        .observed
        .claims
        .retain(|c| identity_name(c) != "data-x-2");
    assert_eq!(world.sync(), ["claim data-x-2", "create x-2"]);
}

#[test]
fn s97_a_policy_that_changes_takes_the_references_away_and_sets_them_again() {
    let mut world = World::with_claims(1);
    policy(&mut world, "Delete", "Retain");
    world.run();
    policy(&mut world, "Retain", "Retain");
    assert_eq!(world.run(), ["own data-x-0"]);
    assert_eq!(
        world.claim("data-x-0")["metadata"]["ownerReferences"],
        json!([])
    );
    policy(&mut world, "Delete", "Retain");
    assert_eq!(world.run(), ["own data-x-0"]);
    let owners = world.claim("data-x-0")["metadata"]["ownerReferences"].clone();
    assert_eq!(owners, json!([controller("StatefulSet", "x", SET)]));
}

#[test]
fn s98_a_claim_that_another_controls_is_left_to_it_and_that_is_said() {
    let foreign = controller("Backup", "nightly", "b");
    for had in [
        vec![foreign.clone()],
        vec![controller("StatefulSet", "x", SET), foreign.clone()],
    ] {
        let mut world = World::with_claims(1).settle();
        world.claim("data-x-0")["metadata"]["ownerReferences"] = had.into();
        policy(&mut world, "Delete", "Delete");
        let warning = Warning {
            reason: "ConflictingController",
            message: "Claim data-x-0 has an owner that is its controller: it is left alone, whatever the retention policy says".into(),
        };
        assert_eq!(world.plan().warnings, [warning]);
        world.run();
        assert_eq!(
            world.claim("data-x-0")["metadata"]["ownerReferences"],
            json!([foreign])
        );
    }
}

#[test]
fn s99_a_claim_has_the_labels_of_its_template_and_of_match_labels_which_win() {
    let mut world = World::with_claims(1);
    let mut templates = world.set()["spec"]["volumeClaimTemplates"].clone();
    templates[0]["metadata"]["labels"] = json!({"app": "other", "tier": "fast"});
    templates[0]["metadata"]["annotations"] = json!({"a": "b"});
    world.spec("volumeClaimTemplates", templates);
    let expression = json!({"key": "zone", "operator": "Exists"});
    world.spec(
        "selector",
        json!({"matchLabels": {"app": "x"}, "matchExpressions": [expression]}),
    );
    world.sync();
    let meta = json!({
        "name": "data-x-0", "namespace": "default", "uid": "uid-1", "labels": {"app": "x", "tier": "fast"}, "annotations": {"a": "b"},
    });
    assert_eq!(world.claim("data-x-0")["metadata"], meta);
}

#[test]
fn s100_a_claim_that_was_deleted_is_made_again_for_the_pod_that_waits_for_it() {
    let mut world = World::with_claims(1);
    world.sync();
    let uid = world.pod("x-0")["metadata"]["uid"].clone();
    world.observed.claims.clear();
    assert_eq!(world.sync(), ["claim data-x-0"]);
    assert_eq!(world.pod("x-0")["metadata"]["uid"], uid);
}

#[test]
fn s101_a_claim_that_was_made_beforehand_is_used_as_it_is() {
    let mut world = World::with_claims(1);
    let claim = json!({"metadata": {"name": "data-x-0", "labels": {"mine": "yes"}}, "spec": {"storageClassName": "slow"}});
    world.observed.claims = vec![claim.clone().into()];
    assert_eq!(world.sync(), ["revision 1", "create x-0"]);
    assert_eq!(*world.claim("data-x-0"), claim);
}
