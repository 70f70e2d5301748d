//! Scenarios 103 to 106: what the API server refuses.

use serde_json::{Value, json};

use super::table;
use super::world::{Keeper, World, set, with_claims};

table![
    s103_of_a_set_s_spec_only_seven_fields_may_change,
    s104_a_name_of_53_characters_is_taken_and_no_pod_is_made,
    s105_a_service_name_that_is_none_is_refused,
    s106_a_status_that_cannot_be_is_refused,
];

/// The code of a refusal, or none.
fn code(outcome: kube::Result<Value>) -> Option<u16> {
    match outcome {
        Ok(_) => None,
        Err(kube::Error::Api(status)) => Some(status.code),
        Err(error) => panic!("{error}"),
    }
}

async fn s103_of_a_set_s_spec_only_seven_fields_may_change(world: &mut World) {
    world.start(with_claims(1)).await;
    for spec in [
        json!({"serviceName": "other"}),
        json!({"selector": {"matchLabels": {"app": "y"}}}),
        json!({"podManagementPolicy": "Parallel"}),
        json!({"volumeClaimTemplates": []}),
    ] {
        let refused = world
            .try_patch("StatefulSet", "x", json!({"spec": spec}))
            .await;
        assert_eq!(code(refused), Some(422), "{spec}");
    }
    for spec in [
        json!({"replicas": 2}),
        json!({"ordinals": {"start": 1}}),
        json!({"template": {"metadata": {"annotations": {"a": "b"}}}}),
        json!({"updateStrategy": {"rollingUpdate": {"partition": 1}}}),
        json!({"revisionHistoryLimit": 3}),
        json!({"persistentVolumeClaimRetentionPolicy": {"whenScaled": "Delete"}}),
        json!({"minReadySeconds": 1}),
    ] {
        let taken = world
            .try_patch("StatefulSet", "x", json!({"spec": spec}))
            .await;
        assert_eq!(code(taken), None, "{spec}");
    }
}

async fn s104_a_name_of_53_characters_is_taken_and_no_pod_is_made(world: &mut World) {
    let mut object = set(1);
    object["metadata"]["name"] = "n".repeat(53).into();
    world.create(object).await;
    // Upstream tries and is refused, for ever.
    let (reason, wanted) = match world.keeper {
        Keeper::Ours => (
            "NameTooLong",
            "no Pod can be made: its label controller-revision-hash would be",
        ),
        Keeper::Upstream => ("FailedCreate", "must be no more than 63"),
    };
    let said = world.event(reason).await;
    assert!(said.contains(wanted), "{said}");
    assert_eq!(world.all("Pod").len(), 0);
}

async fn s105_a_service_name_that_is_none_is_refused(world: &mut World) {
    let mut object = set(1);
    object["spec"]["serviceName"] = "Not_A_Name".into();
    assert_eq!(code(world.try_create(object).await), Some(422));
}

async fn s106_a_status_that_cannot_be_is_refused(world: &mut World) {
    world.create(set(0)).await;
    world.observed().await;
    world
        .patch(
            "StatefulSet",
            "x/status",
            json!({"status": {"collisionCount": 5}}),
        )
        .await;
    for status in [
        json!({"collisionCount": 4}),
        json!({"replicas": 1, "readyReplicas": 2}),
        json!({"replicas": 2, "readyReplicas": 1, "availableReplicas": 2}),
        json!({"replicas": -1}),
        json!({"currentReplicas": 1}),
        json!({"updatedReplicas": 1}),
    ] {
        let refused = world
            .try_patch("StatefulSet", "x/status", json!({"status": status}))
            .await;
        assert_eq!(code(refused), Some(422), "{status}");
    }
}
