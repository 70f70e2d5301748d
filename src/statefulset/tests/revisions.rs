//! Scenarios 69 to 79: revisions and status.

use super::*;

#[test]
fn s69_a_revision_is_made_for_each_template_and_only_then() {
    let mut world = World::new(0);
    assert_eq!(world.sync(), ["revision 1"]);
    assert_eq!(world.sync(), NOTHING);
    world.image(2);
    assert_eq!(world.sync(), ["revision 2"]);
    assert_eq!(world.observed.revisions.len(), 2);
}

/// Many updates of a set with this limit, which all end; the most revisions there were.
fn most(limit: i64, mut write_status: impl FnMut(&mut World, Value)) -> usize {
    let mut world = World::new(0);
    world.spec("revisionHistoryLimit", limit);
    let mut most = 0;
    for image in 1..20 {
        world.image(image);
        for _ in 0..3 {
            let plan = world.plan();
            for action in plan.actions {
                world.perform(action);
            }
            write_status(&mut world, plan.status);
            most = most.max(world.observed.revisions.len());
        }
    }
    most
}

#[test]
fn s70_of_old_revisions_no_more_are_kept_than_the_limit() {
    for limit in [0, 1, 3] {
        let kept = most(limit, |world, status| world.set()["status"] = status);
        assert_eq!(i64::try_from(kept).unwrap(), limit + 2);
    }
}

#[test]
fn s71_old_revisions_go_also_when_the_status_cannot_be_written() {
    // Without a status the current revision is the newest.
    assert_eq!(most(2, |_, _| {}), 3);
}

#[test]
fn s72_a_revision_that_a_pod_still_has_is_kept() {
    let mut world = World::new(2);
    world.spec("updateStrategy", json!({"type": "OnDelete"}));
    world.spec("revisionHistoryLimit", 0);
    world.run();
    let first = identity_name(&world.observed.revisions[0]).to_owned();
    for image in 2..5 {
        world.image(image);
        world.sync();
    }
    world.gone("x-1");
    world.run();
    let kept: Vec<_> = world
        .observed
        .revisions
        .iter()
        .map(|r| r["revision"].as_i64().unwrap())
        .collect();
    assert!(
        world
            .observed
            .revisions
            .iter()
            .any(|r| identity_name(r) == first)
    );
    assert_eq!(kept, [1, 4]);
}

#[test]
fn s73_a_name_that_another_template_has_is_passed_over_and_one_with_the_same_data_is_used() {
    let made = World::settled(0).observed.revisions[0].clone();
    let mut taken = Value::clone(&made);
    taken["metadata"]["ownerReferences"][0]["uid"] = "another".into();
    let mut world = World::new(0);
    world.observed.revisions.push(taken.clone().into());
    assert_eq!(world.sync(), NOTHING);
    assert_eq!(
        world.set()["status"]["updateRevision"],
        taken["metadata"]["name"]
    );

    taken["data"] = json!({"spec": {"template": {"$patch": "replace"}}});
    let mut world = World::new(0);
    world.observed.revisions.push(taken.clone().into());
    assert_eq!(world.sync(), ["revision 1"]);
    let mine = world.observed.revisions[1].clone();
    assert_ne!(mine["metadata"]["name"], taken["metadata"]["name"]);
    assert_eq!(
        (world.status("collisionCount"), &mine["data"]),
        (1, &made["data"])
    );
    assert_eq!(world.sync(), NOTHING);
}

#[test]
fn s75_a_change_of_an_annotation_of_the_template_is_observed() {
    let mut world = World::settled(1);
    let mut template = world.set()["spec"]["template"].clone();
    template["metadata"]["annotations"] = json!({"restartedAt": "now"});
    world.spec("template", template);
    world.run();
    assert_eq!(world.status("observedGeneration"), 2);
}

#[test]
fn s76_pods_are_counted_as_there_ready_and_available() {
    let mut world = World::parallel(4);
    world.run();
    world.now += 7200;
    world.spec("minReadySeconds", 3600);
    world.unready("x-0");
    world.ready("x-1");
    world.sync();
    let counts = ["replicas", "readyReplicas", "availableReplicas"];
    assert_eq!(counts.map(|field| world.status(field)), [4, 3, 2]);
}

#[test]
fn s77_available_pods_are_counted_anew_when_min_ready_seconds_changes() {
    let mut world = World::settled(2);
    world.now += 60;
    for (seconds, available) in [(30, 2), (3600, 0), (0, 2)] {
        world.spec("minReadySeconds", seconds);
        assert_eq!(world.sync(), NOTHING);
        assert_eq!(world.status("availableReplicas"), available, "{seconds} s");
    }
}

#[test]
fn s79_a_condition_that_somebody_else_wrote_stays() {
    let mut world = World::settled(2);
    let conditions = json!([
        {"type": "Backed-Up", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"},
        {"type": "Stalled", "status": "False", "reason": "Theirs", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]);
    world.set()["status"]["conditions"] = conditions.clone();
    world.image(2);
    world.run();
    assert_eq!(world.set()["status"]["conditions"], conditions);
}

/// Values of every type, most of them wrong for any field.
fn odd() -> [Value; 7] {
    [
        json!(null),
        json!(true),
        json!(-1),
        json!("x"),
        json!([]),
        json!([null, "x"]),
        json!({"x": 5}),
    ]
}

/// An API server refuses such sets. If one serves such a set all the same, there is a plan: other sets must not suffer.
#[test]
fn a_field_of_another_type_ends_no_plan() {
    let places = "metadata metadata/annotations spec spec/replicas spec/template spec/template/metadata \
        spec/template/metadata/labels spec/template/spec spec/template/spec/containers \
        spec/template/spec/containers/0 spec/template/spec/volumes spec/updateStrategy \
        spec/updateStrategy/rollingUpdate spec/updateStrategy/rollingUpdate/partition spec/selector \
        spec/selector/matchLabels spec/volumeClaimTemplates spec/volumeClaimTemplates/0 \
        spec/volumeClaimTemplates/0/metadata spec/volumeClaimTemplates/0/spec spec/ordinals \
        spec/persistentVolumeClaimRetentionPolicy spec/minReadySeconds spec/revisionHistoryLimit spec/serviceName \
        status status/conditions status/collisionCount";
    let mut world = World::with_claims(2).settle();
    let mut set = Value::clone(&world.observed.set);
    for field in [
        "ordinals",
        "persistentVolumeClaimRetentionPolicy",
        "minReadySeconds",
    ] {
        set["spec"][field] = json!({});
    }
    set["spec"]["template"]["spec"]["volumes"] = json!([]);
    set["metadata"]["annotations"] = json!({});
    for place in places.split_whitespace() {
        for value in odd() {
            let mut set = set.clone();
            if let Some(field) = set.pointer_mut(&format!("/{place}")) {
                *field = value;
            }
            world.observed.set = set.into();
            let _plan = world.plan();
        }
    }
}

#[test]
fn a_revision_of_another_form_makes_pods_all_the_same() {
    let mut world = World::with_claims(2).settle();
    let whole = Value::clone(&world.observed.revisions[0]);
    world.observed.pods = Vec::new();
    for place in [
        "data",
        "data/spec",
        "data/spec/template",
        "data/spec/template/spec",
        "revision",
        "metadata/labels",
    ] {
        for value in odd() {
            let mut revision = whole.clone();
            *revision.pointer_mut(&format!("/{place}")).unwrap() = value;
            world.observed.revisions = vec![revision.into()];
            let actions = world.plan().actions;
            let makes = |action: &Action| matches!(action, Action::CreatePod { .. });
            assert!(actions.iter().any(makes), "{place}: {actions:?}");
        }
    }
}
