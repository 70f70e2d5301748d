//! Scenarios 1 to 25 and 28: creation and scaling.

use http::Method;
use serde_json::{Value, json};

use super::table;
use super::world::{World, asking, asks, is_ready, parallel, set, stray, with_claims};
use crate::support::kubelet::{call, collection};
use headless_cluster::kinds::KindId;

table![
    s01_pods_are_made_in_order_each_after_its_predecessor_is_available,
    s02_a_pod_has_name_labels_hostname_subdomain_volume_and_one_owner,
    s03_ordinals_begin_at_their_start,
    s04_a_start_that_moves_up_has_new_ordinals_made_before_old_ones_go,
    s05_ordinals_2_and_3_become_4_and_5,
    s06_ordinals_3_and_4_become_2_and_3,
    s07_without_ordinals_they_begin_at_0,
    s08_scaled_to_one_from_start_4_only_ordinal_4_is_left,
    s09_a_label_that_was_taken_away_is_put_back_in_place,
    s10_an_orphan_is_its_own_set_s_and_not_that_of_a_set_with_a_shorter_name,
    s11_pods_that_are_made_again_find_their_own_claims,
    s12_without_a_service_name_pods_are_made_and_have_no_subdomain,
    s13_one_more_replica_is_one_more_pod,
    s14_to_none_they_go_from_the_highest_each_after_the_former_is_gone,
    s15_nothing_is_added_while_a_pod_is_not_ready,
    s16_nothing_is_taken_away_while_the_pods_in_range_are_not_ready,
    s17_a_parallel_set_is_scaled_at_once_whether_its_pods_are_ready_or_not,
    s18_a_parallel_set_is_scaled_by_exact_counts,
    s19_pods_that_end_already_are_not_deleted_again,
    s20_a_pod_that_ends_is_made_again_before_higher_ones_are_made,
    s21_pods_that_vanish_are_made_again_from_the_lowest,
    s22_a_lower_pod_is_made_again_though_a_higher_one_is_never_ready,
    s23_the_one_pod_that_is_not_ready_goes_when_it_is_out_of_range,
    s24_of_two_pods_out_of_range_that_are_not_ready_the_higher_one_blocks,
    s25_a_pod_that_is_ready_and_not_yet_available_goes_at_once,
    s28_the_scale_subresource_is_read_replaced_and_patched,
];

async fn s01_pods_are_made_in_order_each_after_its_predecessor_is_available(world: &mut World) {
    let object = asking(set(3), "ready", "false");
    world.create(object).await;
    for n in 0..3 {
        let name = format!("x-{n}");
        world
            .until("the next Pod", |world| world.names("Pod").len() == n + 1)
            .await;
        world
            .until("it runs", |world| {
                world.pod(&name)["status"]["phase"] == "Running"
            })
            .await;
        world
            .until("it is counted", |world| {
                world.set()["status"]["replicas"] == n + 1
            })
            .await;
        assert_eq!(world.names("Pod").len(), n + 1);
        world.patch("Pod", &name, asks("ready", Value::Null)).await;
    }
    world.settled(0..3).await;
    assert_eq!(world.log(), ["create x-0", "create x-1", "create x-2"]);
    let counts = [
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "currentReplicas",
        "updatedReplicas",
    ];
    world
        .until("the counts", |world| {
            counts.iter().all(|field| world.set()["status"][field] == 3)
        })
        .await;
}

async fn s02_a_pod_has_name_labels_hostname_subdomain_volume_and_one_owner(world: &mut World) {
    world.start(with_claims(1)).await;
    let pod = world.pod("x-0");
    let labels = json!({
        "app": "x", "statefulset.kubernetes.io/pod-name": "x-0", "apps.kubernetes.io/pod-index": "0",
        "controller-revision-hash": world.set()["status"]["updateRevision"],
    });
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "x", "uid": world.uid("StatefulSet", "x"),
        "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(
        (
            &pod["metadata"]["labels"],
            &pod["metadata"]["ownerReferences"]
        ),
        (&labels, &json!([owner]))
    );
    assert_eq!(
        [&pod["spec"]["hostname"], &pod["spec"]["subdomain"]],
        ["x-0", "x"]
    );
    let volume = json!({"name": "data", "persistentVolumeClaim": {"claimName": "data-x-0"}});
    assert_eq!(pod["spec"]["volumes"][0], volume);
}

async fn s03_ordinals_begin_at_their_start(world: &mut World) {
    world.start(from(2, 3)).await;
    assert_eq!(world.names("Pod"), ["x-2", "x-3", "x-4"]);
    let index = |pod: &Value| pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"].clone();
    let indices: Vec<_> = world.all("Pod").into_iter().map(index).collect();
    assert_eq!(indices, ["2", "3", "4"]);
}

/// A set whose ordinals begin there.
fn from(start: i64, replicas: i64) -> Value {
    let mut object = set(replicas);
    object["spec"]["ordinals"] = json!({"start": start});
    object
}

fn start(start: i64) -> Value {
    json!({"spec": {"ordinals": {"start": start}}})
}

async fn s04_a_start_that_moves_up_has_new_ordinals_made_before_old_ones_go(world: &mut World) {
    world.start(set(2)).await;
    world
        .edit(json!({"spec": {"replicas": 3, "ordinals": {"start": 2}}}))
        .await;
    world.settled(2..5).await;
    let wanted = [
        "create x-2",
        "create x-3",
        "create x-4",
        "delete x-1",
        "delete x-0",
    ];
    assert_eq!(world.log(), wanted);
}

async fn s05_ordinals_2_and_3_become_4_and_5(world: &mut World) {
    world.start(from(2, 2)).await;
    world.edit(start(4)).await;
    world.settled(4..6).await;
}

async fn s06_ordinals_3_and_4_become_2_and_3(world: &mut World) {
    world.start(from(3, 2)).await;
    world.edit(start(2)).await;
    world.settled(2..4).await;
    assert_eq!(world.log(), ["create x-2", "delete x-4"]);
}

async fn s07_without_ordinals_they_begin_at_0(world: &mut World) {
    world.start(from(3, 2)).await;
    world.edit(json!({"spec": {"ordinals": null}})).await;
    world.settled(0..2).await;
}

async fn s08_scaled_to_one_from_start_4_only_ordinal_4_is_left(world: &mut World) {
    world.start(from(4, 4)).await;
    world.scale(1).await;
    world.settled([4]).await;
    assert_eq!(world.log(), ["delete x-7", "delete x-6", "delete x-5"]);
}

async fn s09_a_label_that_was_taken_away_is_put_back_in_place(world: &mut World) {
    world.start(set(2)).await;
    let uid = world.uid("Pod", "x-1");
    let label = "statefulset.kubernetes.io/pod-name";
    world
        .patch("Pod", "x-1", json!({"metadata": {"labels": {label: null}}}))
        .await;
    world
        .until("it is gone", |world| {
            world.pod("x-1")["metadata"]["labels"][label].is_null()
        })
        .await;
    world
        .until("it is back", |world| {
            world.pod("x-1")["metadata"]["labels"][label] == "x-1"
        })
        .await;
    assert_eq!((world.uid("Pod", "x-1"), world.log()), (uid, Vec::new()));
}

async fn s10_an_orphan_is_its_own_set_s_and_not_that_of_a_set_with_a_shorter_name(
    world: &mut World,
) {
    let orphan = stray("x-1-0", json!({"app": "x"}));
    world.create(orphan).await;
    world.create(set(0)).await;
    world.observed().await;
    let owners = |world: &World| world.pod("x-1-0")["metadata"]["ownerReferences"].clone();
    assert_eq!(owners(world), Value::Null);
    let mut longer = set(1);
    longer["metadata"]["name"] = "x-1".into();
    world.create(longer).await;
    let adopted = |world: &World| owners(world)[0]["name"] == "x-1";
    world.until("it is adopted", adopted).await;
    assert_eq!(world.log(), ["create x-1-0"]);
}

async fn s11_pods_that_are_made_again_find_their_own_claims(world: &mut World) {
    world.start(with_claims(3)).await;
    let claims = |world: &World| -> Vec<_> {
        let of = |claim: &Value| {
            [
                claim["metadata"]["uid"].clone(),
                claim["spec"]["volumeName"].clone(),
            ]
        };
        world
            .all("PersistentVolumeClaim")
            .into_iter()
            .map(of)
            .collect()
    };
    let before = claims(world);
    for pod in ["x-0", "x-1", "x-2"] {
        world.delete_pod(pod).await;
    }
    world.settled(0..3).await;
    assert_eq!((before.len(), claims(world)), (3, before));
}

async fn s12_without_a_service_name_pods_are_made_and_have_no_subdomain(world: &mut World) {
    let mut object = set(1);
    object["spec"]
        .as_object_mut()
        .unwrap()
        .remove("serviceName");
    world.start(object).await;
    let spec = &world.pod("x-0")["spec"];
    assert_eq!(
        [&spec["hostname"], &spec["subdomain"]],
        [&json!("x-0"), &Value::Null]
    );
}

async fn s13_one_more_replica_is_one_more_pod(world: &mut World) {
    world.start(set(3)).await;
    world.scale(4).await;
    world.settled(0..4).await;
    assert_eq!(world.log(), ["create x-3"]);
}

async fn s14_to_none_they_go_from_the_highest_each_after_the_former_is_gone(world: &mut World) {
    world.start(set(3)).await;
    // The Pod is gone only when the test lets it go.
    world.hold("Pod", "x-2").await;
    world.scale(0).await;
    world.observed().await;
    world
        .until("it ends", |world| {
            world.pod("x-2")["metadata"]["deletionTimestamp"].is_string()
        })
        .await;
    world
        .until("that is counted", |world| {
            world.set()["status"]["currentReplicas"] == 2
        })
        .await;
    assert_eq!(world.log(), ["delete x-2"]);
    world.let_go("Pod", "x-2").await;
    world.settled([]).await;
    assert_eq!(world.log(), ["delete x-1", "delete x-0"]);
}

async fn s15_nothing_is_added_while_a_pod_is_not_ready(world: &mut World) {
    world.start(set(1)).await;
    world.ready("x-0", false).await;
    world.scale(3).await;
    world.observed().await;
    assert_eq!(world.log(), [""; 0]);
    world.ready("x-0", true).await;
    world.settled(0..3).await;
    assert_eq!(world.log(), ["create x-1", "create x-2"]);
}

async fn s16_nothing_is_taken_away_while_the_pods_in_range_are_not_ready(world: &mut World) {
    world.start(set(3)).await;
    for pod in ["x-0", "x-1", "x-2"] {
        world.ready(pod, false).await;
    }
    world.scale(0).await;
    world.observed().await;
    assert_eq!(world.log(), [""; 0]);
    for pod in ["x-2", "x-1", "x-0"] {
        world.patch("Pod", pod, asks("ready", Value::Null)).await;
    }
    world.settled([]).await;
    assert_eq!(world.log(), ["delete x-2", "delete x-1", "delete x-0"]);
}

async fn s17_a_parallel_set_is_scaled_at_once_whether_its_pods_are_ready_or_not(world: &mut World) {
    let object = asking(parallel(1), "ready", "false");
    world.create(object).await;
    world
        .until("the first", |world| world.names("Pod") == ["x-0"])
        .await;
    world.scale(3).await;
    world
        .until("all three", |world| {
            world.names("Pod") == ["x-0", "x-1", "x-2"]
        })
        .await;
    world.scale(0).await;
    world.settled([]).await;
}

async fn s18_a_parallel_set_is_scaled_by_exact_counts(world: &mut World) {
    world.start(parallel(3)).await;
    for (replicas, change) in [(9, 6), (2, 7), (0, 2)] {
        world.scale(replicas).await;
        world.settled(0..replicas).await;
        assert_eq!(world.log().len(), change);
    }
}

async fn s19_pods_that_end_already_are_not_deleted_again(world: &mut World) {
    world.start(set(4)).await;
    let uid = world.uid("Pod", "x-3");
    world.hold("Pod", "x-3").await;
    world.scale(2).await;
    let ends = |world: &World| world.pod("x-3")["metadata"]["deletionTimestamp"].is_string();
    world.until("it ends", ends).await;
    world.edit(json!({"spec": {"minReadySeconds": 1}})).await;
    world.observed().await;
    assert_eq!(
        (world.log(), world.uid("Pod", "x-3")),
        (vec!["delete x-3".to_owned()], uid)
    );
    world.let_go("Pod", "x-3").await;
    world.settled(0..2).await;
    assert_eq!(world.log(), ["delete x-2"]);
}

async fn s20_a_pod_that_ends_is_made_again_before_higher_ones_are_made(world: &mut World) {
    world.start(set(3)).await;
    world.hold("Pod", "x-0").await;
    world.delete_pod("x-0").await;
    // Pods and sets come by watches of their own: whoever keeps the set may hear of its scale first.
    world
        .until("the set knows that it ends", |world| {
            world.set()["status"]["readyReplicas"] == 2
        })
        .await;
    world.scale(5).await;
    world.observed().await;
    assert_eq!(world.log(), ["delete x-0"]);
    world.let_go("Pod", "x-0").await;
    world.settled(0..5).await;
    assert_eq!(world.log(), ["create x-0", "create x-3", "create x-4"]);
}

async fn s21_pods_that_vanish_are_made_again_from_the_lowest(world: &mut World) {
    world.start(set(5)).await;
    let now = json!({"gracePeriodSeconds": 0});
    for pod in ["x-4", "x-2", "x-0"] {
        world.delete("Pod", pod, now.clone()).await;
    }
    world.settled(0..5).await;
    // They vanish one after another, and x-0 last: those above it may be made before.
    let mut made = world.log();
    made.retain(|line| line.starts_with("create"));
    made.sort();
    assert_eq!(made, ["create x-0", "create x-2", "create x-4"]);
}

async fn s22_a_lower_pod_is_made_again_though_a_higher_one_is_never_ready(world: &mut World) {
    world.start(set(2)).await;
    world.ready("x-1", false).await;
    let old = world.uid("Pod", "x-0");
    world.delete_pod("x-0").await;
    world
        .until("it is back", |world| {
            let pod = world.object("Pod", "x-0");
            pod.is_some_and(|pod| is_ready(pod) && pod["metadata"]["uid"] != old.as_str())
        })
        .await;
    assert_eq!(world.log(), ["delete x-0", "create x-0"]);
}

async fn s23_the_one_pod_that_is_not_ready_goes_when_it_is_out_of_range(world: &mut World) {
    world.start(set(3)).await;
    world.ready("x-2", false).await;
    world.scale(2).await;
    world.settled(0..2).await;
}

async fn s24_of_two_pods_out_of_range_that_are_not_ready_the_higher_one_blocks(world: &mut World) {
    world.start(set(3)).await;
    world.ready("x-1", false).await;
    world.ready("x-2", false).await;
    world.scale(1).await;
    world.observed().await;
    assert_eq!(world.log(), [""; 0]);
    world.ready("x-2", true).await;
    world.settled([0]).await;
    assert_eq!(world.log(), ["delete x-2", "delete x-1"]);
}

async fn s25_a_pod_that_is_ready_and_not_yet_available_goes_at_once(world: &mut World) {
    world.start(set(2)).await;
    // x-1 becomes Ready only after `minReadySeconds` is set, so it is not yet available when the set is scaled.
    world.ready("x-1", false).await;
    world.edit(json!({"spec": {"minReadySeconds": 1}})).await;
    world
        .until("x-0 is available", |world| {
            world.set()["status"]["availableReplicas"] == 1
        })
        .await;
    world.ready("x-1", true).await;
    world.scale(1).await;
    world.settled([0]).await;
    assert_eq!(world.log(), ["delete x-1"]);
}

async fn s28_the_scale_subresource_is_read_replaced_and_patched(world: &mut World) {
    world.start(set(1)).await;
    let path = format!(
        "{}/x/scale",
        collection(KindId::named("StatefulSet"), &world.ns)
    );
    let mut scale = call(&world.client, Method::GET, &path, &json!({}))
        .await
        .unwrap();
    assert_eq!(
        [&scale["spec"], &scale["status"]],
        [
            &json!({"replicas": 1}),
            &json!({"replicas": 1, "selector": "app=x"})
        ]
    );
    scale["spec"]["replicas"] = 2.into();
    call(&world.client, Method::PUT, &path, &scale)
        .await
        .unwrap();
    world.settled(0..2).await;
    let patch = json!({"spec": {"replicas": 3}});
    call(&world.client, Method::PATCH, &path, &patch)
        .await
        .unwrap();
    world.settled(0..3).await;
    let scale = call(&world.client, Method::GET, &path, &json!({}))
        .await
        .unwrap();
    assert_eq!(scale["status"], json!({"replicas": 3, "selector": "app=x"}));
}
