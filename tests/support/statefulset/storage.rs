//! Scenarios 92 to 102: claims.

use serde_json::{Value, json};

use super::table;
use super::world::{Keeper, World, asks, with_claims};

table![
    s90_no_pod_is_made_on_a_claim_that_is_on_its_way_out,
    s93_the_claims_of_a_set_go_with_it_where_the_policy_says_so,
    s94_the_claims_of_pods_that_are_scaled_away_go_with_them,
    s95_they_go_also_where_a_pod_was_orphaned_before,
    s96_a_claim_that_goes_with_the_last_pod_is_waited_for,
    s97_a_policy_that_changes_takes_the_references_away_and_sets_them_again,
    s98_a_claim_that_another_controls_is_left_to_it,
    s99_a_claim_has_the_labels_of_its_template_and_of_match_labels_which_win,
    s100_a_claim_that_was_deleted_is_made_again_for_the_pod_that_waits_for_it,
    s101_a_claim_that_was_made_beforehand_is_used_as_it_is,
    s102_a_set_with_claim_templates_is_written_back_unchanged,
];

const CLAIM: &str = "PersistentVolumeClaim";

fn policy(deleted: &str, scaled: &str) -> Value {
    json!({"spec": {"persistentVolumeClaimRetentionPolicy": {"whenDeleted": deleted, "whenScaled": scaled}}})
}

/// Three Pods with claims, and this policy in force.
async fn kept(world: &mut World, deleted: &str, scaled: &str) {
    let mut object = with_claims(3);
    object["spec"]["persistentVolumeClaimRetentionPolicy"] =
        policy(deleted, scaled)["spec"]["persistentVolumeClaimRetentionPolicy"].clone();
    world.start(object).await;
    let owners = usize::from(deleted == "Delete");
    world
        .until("every claim is owned as it shall be", |world| {
            let claims = world.all(CLAIM);
            claims.len() == 3 && claims.iter().all(|claim| owners_of(claim).len() == owners)
        })
        .await;
}

fn owners_of(claim: &Value) -> Vec<&Value> {
    let owners = claim["metadata"]["ownerReferences"].as_array();
    owners
        .into_iter()
        .flatten()
        .map(|owner| &owner["kind"])
        .collect()
}

fn claim(meta: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": CLAIM, "metadata": meta,
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "3Mi"}}},
    })
}

async fn s90_no_pod_is_made_on_a_claim_that_is_on_its_way_out(world: &mut World) {
    world
        .create(claim(
            json!({"name": "data-x-0", "finalizers": ["test/held"]}),
        ))
        .await;
    world.delete(CLAIM, "data-x-0", json!({})).await;
    world.create(with_claims(1)).await;
    let said = world.event("FailedCreate").await;
    assert!(said.contains("data-x-0 is being deleted"), "{said}");
    assert_eq!(world.names("Pod"), [""; 0]);
    world.let_go(CLAIM, "data-x-0").await;
    world.settled([0]).await;
}

async fn s93_the_claims_of_a_set_go_with_it_where_the_policy_says_so(world: &mut World) {
    kept(world, "Delete", "Retain").await;
    world.delete("StatefulSet", "x", json!({})).await;
    world
        .until("all are gone", |world| {
            world.all(CLAIM).is_empty() && world.all("Pod").is_empty()
        })
        .await;
}

async fn s94_the_claims_of_pods_that_are_scaled_away_go_with_them(world: &mut World) {
    kept(world, "Retain", "Delete").await;
    world.scale(1).await;
    world.settled([0]).await;
    world
        .until("only the first is left", |world| {
            world.names(CLAIM) == ["data-x-0"]
        })
        .await;
}

async fn s95_they_go_also_where_a_pod_was_orphaned_before(world: &mut World) {
    kept(world, "Delete", "Delete").await;
    world
        .patch("Pod", "x-2", json!({"metadata": {"ownerReferences": null}}))
        .await;
    world.scale(2).await;
    world
        .until("the third claim is gone", |world| {
            world.names(CLAIM) == ["data-x-0", "data-x-1"]
        })
        .await;
    world
        .patch("Pod", "x-1", json!({"metadata": {"ownerReferences": null}}))
        .await;
    world.delete("StatefulSet", "x", json!({})).await;
    world
        .until("all are gone", |world| {
            let ends = |claim: &&Value| claim["metadata"]["deletionTimestamp"].is_string();
            world.all(CLAIM).iter().all(ends)
        })
        .await;
}

async fn s96_a_claim_that_goes_with_the_last_pod_is_waited_for(world: &mut World) {
    kept(world, "Retain", "Delete").await;
    // It stays for a while after its Pod.
    world.hold(CLAIM, "data-x-2").await;
    let old = world.uid(CLAIM, "data-x-2");
    world.scale(2).await;
    world.settled(0..2).await;
    world
        .until("it is to go", |world| {
            world.object(CLAIM, "data-x-2").unwrap()["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    world.log();
    world.scale(3).await;
    world.observed().await;
    assert_eq!(
        (world.log(), world.uid(CLAIM, "data-x-2")),
        (Vec::new(), old.clone())
    );
    world.let_go(CLAIM, "data-x-2").await;
    if world.keeper == Keeper::Upstream {
        // It does not watch claims.
        let gone = |world: &World| world.object(CLAIM, "data-x-2").is_none();
        world.until("the claim is gone", gone).await;
        world.patch("Pod", "x-0", asks("reason", "Woken")).await;
    }
    world.settled(0..3).await;
    assert_ne!(world.uid(CLAIM, "data-x-2"), old);
}

async fn s97_a_policy_that_changes_takes_the_references_away_and_sets_them_again(
    world: &mut World,
) {
    kept(world, "Delete", "Retain").await;
    for (deleted, owners) in [("Retain", vec![]), ("Delete", vec!["StatefulSet"])] {
        world.edit(policy(deleted, "Retain")).await;
        world
            .until("the references follow", |world| {
                world
                    .all(CLAIM)
                    .iter()
                    .all(|claim| owners_of(claim) == owners)
            })
            .await;
    }
}

async fn s98_a_claim_that_another_controls_is_left_to_it(world: &mut World) {
    world.start(with_claims(1)).await;
    let account = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "backup"}});
    let backup = world.create(account).await;
    let owner = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "name": "backup", "uid": backup["metadata"]["uid"], "controller": true,
    });
    world
        .patch(
            CLAIM,
            "data-x-0",
            json!({"metadata": {"ownerReferences": [owner]}}),
        )
        .await;
    world
        .until("it is another's", |world| {
            owners_of(world.object(CLAIM, "data-x-0").unwrap()) == ["ConfigMap"]
        })
        .await;
    world.edit(policy("Delete", "Delete")).await;
    world.observed().await;
    // 1.37.2 says nothing of it.
    if world.keeper == Keeper::Ours {
        world.event("ConflictingController").await;
    }
    assert_eq!(
        world.object(CLAIM, "data-x-0").unwrap()["metadata"]["ownerReferences"],
        json!([owner])
    );
}

async fn s99_a_claim_has_the_labels_of_its_template_and_of_match_labels_which_win(
    world: &mut World,
) {
    let mut object = with_claims(1);
    object["spec"]["volumeClaimTemplates"][0]["metadata"]["labels"] =
        json!({"app": "other", "tier": "fast"});
    object["spec"]["selector"]["matchExpressions"] = json!([{"key": "app", "operator": "Exists"}]);
    world.start(object).await;
    let labels = &world.object(CLAIM, "data-x-0").unwrap()["metadata"]["labels"];
    assert_eq!(*labels, json!({"app": "x", "tier": "fast"}));
}

async fn s100_a_claim_that_was_deleted_is_made_again_for_the_pod_that_waits_for_it(
    world: &mut World,
) {
    // A Pod that waits for its volume: nobody provides one of this class.
    let mut object = with_claims(1);
    object["spec"]["volumeClaimTemplates"][0]["spec"]["storageClassName"] = "nobody".into();
    world.create(object).await;
    world
        .until("the Pod waits", |world| {
            world.object("Pod", "x-0").is_some() && world.object(CLAIM, "data-x-0").is_some()
        })
        .await;
    world.observed().await;
    let (pod, claim) = (world.uid("Pod", "x-0"), world.uid(CLAIM, "data-x-0"));
    world.delete(CLAIM, "data-x-0", json!({})).await;
    // This fails where the controller that protects claims in use was faster.
    let let_go = json!({"metadata": {"finalizers": null}});
    let _gone_already = world.try_patch(CLAIM, "data-x-0", let_go).await;
    // Upstream does not watch claims: something else must wake it.
    world.patch("Pod", "x-0", asks("reason", "Woken")).await;
    world
        .until("another claim", |world| {
            let now = world.object(CLAIM, "data-x-0");
            now.is_some_and(|now| now["metadata"]["uid"] != claim.as_str())
        })
        .await;
    assert_eq!(world.uid("Pod", "x-0"), pod);
}

async fn s101_a_claim_that_was_made_beforehand_is_used_as_it_is(world: &mut World) {
    let claim = claim(json!({"name": "data-x-0", "labels": {"mine": "yes"}}));
    let made = world.create(claim).await;
    world.start(with_claims(1)).await;
    let used = world.object(CLAIM, "data-x-0").unwrap();
    assert_eq!(
        [&used["metadata"]["uid"], &used["metadata"]["labels"]],
        [&made["metadata"]["uid"], &json!({"mine": "yes"})]
    );
}

async fn s102_a_set_with_claim_templates_is_written_back_unchanged(world: &mut World) {
    world.start(with_claims(1)).await;
    let before = world.set().clone();
    world
        .patch("StatefulSet", "x", json!({"spec": before["spec"]}))
        .await;
    let mut templates = before["spec"]["volumeClaimTemplates"].clone();
    templates[0]["status"] = Value::Null;
    let after = world
        .patch(
            "StatefulSet",
            "x",
            json!({"spec": {"volumeClaimTemplates": templates}}),
        )
        .await;
    assert_eq!(
        after["metadata"]["generation"],
        before["metadata"]["generation"]
    );
    assert_eq!(after["spec"], before["spec"]);
}
