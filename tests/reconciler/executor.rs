//! Scenarios 26 to 91 of which the executor and its caches decide: what fails is tried again, and nothing is done twice.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use headless_cluster::{Cluster, Delays};
use headless_dns::reconciler;
use http::Method;
use serde_json::{Value, json};

use crate::Test;
use crate::support::api::{FakeApi, Fate};
use crate::support::statefulset::world::{
    Keeper, World, asks, image, parallel, set, stray, with_claims,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "s26_a_delete_that_fails_is_tried_again_until_none_is_left",
        || deletes_fail().boxed_local(),
    ),
    (
        "s27_where_only_two_pods_are_admitted_two_are_counted_and_the_rest_is_tried_again",
        || two_admitted().boxed_local(),
    ),
    (
        "s32_a_failed_pod_whose_delete_fails_is_deleted_the_next_time",
        || failed_delete().boxed_local(),
    ),
    (
        "s33_a_create_that_fails_is_tried_again_and_makes_no_second_pod",
        || create_fails().boxed_local(),
    ),
    (
        "s33_a_create_whose_reply_is_lost_makes_no_second_pod",
        || reply_lost().boxed_local(),
    ),
    ("s34_a_name_that_is_taken_is_an_error_and_no_event", || {
        name_taken().boxed_local()
    }),
    ("s35_the_status_is_written_whatever_fails", || {
        status_in_every_case().boxed_local()
    }),
    (
        "s63_current_replicas_fall_only_when_a_delete_succeeds",
        || current_replicas().boxed_local(),
    ),
    (
        "s78_a_status_that_conflicts_is_counted_anew_and_written_again",
        || status_conflicts().boxed_local(),
    ),
    (
        "s82_a_set_that_the_api_server_says_is_being_deleted_adopts_nothing",
        || live_read().boxed_local(),
    ),
    ("s88_a_delete_does_not_hit_another_pod_of_that_name", || {
        uid_precondition().boxed_local()
    }),
    (
        "s89_where_a_claim_cannot_be_made_no_pod_is_and_both_are_said",
        || claim_fails().boxed_local(),
    ),
    ("s91_nothing_is_planned_before_the_claims_are_known", || {
        claims_unknown().boxed_local()
    }),
    ("a_reconcile_that_breaks_is_tried_again", || {
        breaks().boxed_local()
    }),
    ("a_delete_s_reply_that_is_late_brings_no_pod_back", || {
        late_reply().boxed_local()
    }),
    (
        "a_set_of_a_thousand_pods_is_reconciled_without_a_list",
        || a_thousand().boxed_local(),
    ),
    ("the_clock_is_moved_on_by_an_annotation", || {
        clock().boxed_local()
    }),
];

/// A cluster whose API server fails towards the reconciler, and a namespace of it.
async fn start() -> (FakeApi, World, Cluster) {
    let cluster = Cluster::start(Delays::default());
    let api = FakeApi::new(&cluster);
    tokio::spawn(reconciler::run(api.client(), cluster.clock()));
    let world = World::new(cluster.client(), "test", Keeper::Ours).await;
    (api, world, cluster)
}

async fn deletes_fail() {
    let (api, mut world, _cluster) = start().await;
    world.start(set(3)).await;
    api.first(3, Method::DELETE, "", Fate::RefuseAs(500, "InternalError"));
    world.scale(0).await;
    world.settled([]).await;
    assert_eq!(world.log(), ["delete x-2", "delete x-1", "delete x-0"]);
    let said = world.event("FailedDelete").await;
    assert_eq!(
        said,
        "Delete Pod x-2 in StatefulSet x failed error: as told"
    );
}

async fn two_admitted() {
    let (api, mut world, _cluster) = start().await;
    let mut admitted = 0;
    api.rule(move |asked| {
        if !asked.is(&Method::POST, "/pods") {
            return Fate::Serve;
        }
        admitted += 1;
        if admitted <= 2 {
            Fate::Serve
        } else {
            Fate::RefuseAs(403, "Forbidden")
        }
    });
    world.create(parallel(4)).await;
    world
        .until("two are counted", |world| {
            world.set()["status"]["replicas"] == 2
        })
        .await;
    world.observed().await;
    world.event("FailedCreate").await;
    let pods = |world: &World| world.names("Pod").len();
    world.until("two are there", |world| pods(world) == 2).await;
    api.all(Fate::Serve);
    world.settled(0..4).await;
}

async fn failed_delete() {
    let (api, mut world, _cluster) = start().await;
    world.start(set(1)).await;
    let old = world.uid("Pod", "x-0");
    api.first(
        1,
        Method::DELETE,
        "/x-0",
        Fate::RefuseAs(500, "InternalError"),
    );
    world.patch("Pod", "x-0", asks("phase", "Failed")).await;
    world
        .until("another takes its place", |world| {
            world
                .object("Pod", "x-0")
                .is_some_and(|pod| pod["metadata"]["uid"] != old.as_str())
        })
        .await;
    world.event("FailedDelete").await;
}

async fn create_fails() {
    let (api, mut world, _cluster) = start().await;
    let mut seen = 0;
    api.rule(move |asked| {
        let pod = asked.is(&Method::POST, "/pods");
        seen += usize::from(pod);
        if pod && (2..5).contains(&seen) {
            Fate::RefuseAs(500, "InternalError")
        } else {
            Fate::Serve
        }
    });
    world.create(set(3)).await;
    world.settled(0..3).await;
    assert_eq!(world.log(), ["create x-0", "create x-1", "create x-2"]);
}

async fn reply_lost() {
    let (api, mut world, _cluster) = start().await;
    api.first(2, Method::POST, "/pods", Fate::Lose);
    world.create(with_claims(3)).await;
    world.settled(0..3).await;
    assert_eq!(world.log(), ["create x-0", "create x-1", "create x-2"]);
}

async fn name_taken() {
    let (api, mut world, _cluster) = start().await;
    let stranger = stray("x-0", json!({}));
    world.create(stranger).await;
    world.create(set(1)).await;
    world.observed().await;
    // It is tried more than once.
    let mut tried = 0;
    while tried < 2 {
        tried += api.calls().get("POST pods").copied().unwrap_or_default();
        tokio::task::yield_now().await;
    }
    world.delete("Pod", "x-0", json!({})).await;
    world.settled([0]).await;
    let reasons: Vec<_> = world
        .all("Event")
        .into_iter()
        .map(|event| event["reason"].clone())
        .collect();
    assert!(!reasons.contains(&json!("FailedCreate")), "{reasons:?}");
}

async fn status_in_every_case() {
    let (api, mut world, _cluster) = start().await;
    world.start(set(2)).await;
    // The work fails: the status says that the change is seen.
    api.first(
        3,
        Method::POST,
        "/pods",
        Fate::RefuseAs(500, "InternalError"),
    );
    world.scale(3).await;
    world.observed().await;
    world.settled(0..3).await;
    // The status fails: the work is done.
    api.first(
        5,
        Method::PATCH,
        "/x/status",
        Fate::RefuseAs(500, "InternalError"),
    );
    world.scale(4).await;
    world
        .until("the Pod is made", |world| world.names("Pod").len() == 4)
        .await;
    world.settled(0..4).await;
    // Both fail.
    let mut left = 6;
    api.rule(move |asked| {
        let hit = left > 0 && (asked.path.ends_with("/status") || asked.is(&Method::POST, "/pods"));
        left -= i32::from(hit);
        if hit {
            Fate::RefuseAs(500, "InternalError")
        } else {
            Fate::Serve
        }
    });
    world.scale(5).await;
    world.settled(0..5).await;
}

async fn current_replicas() {
    let (api, mut world, _cluster) = start().await;
    world.start(set(3)).await;
    // It ends only when we say so.
    world.hold("Pod", "x-2").await;
    api.rule(|asked| {
        if asked.method == Method::DELETE {
            Fate::RefuseAs(500, "InternalError")
        } else {
            Fate::Serve
        }
    });
    world.edit(image(2)).await;
    world.observed().await;
    world.event("FailedDelete").await;
    assert_eq!(world.set()["status"]["currentReplicas"], 3);
    api.all(Fate::Serve);
    world
        .until("it falls", |world| {
            world.set()["status"]["currentReplicas"] == 2
        })
        .await;
    let deleted = |world: &World| world.log == ["delete x-2"];
    world.until("it is deleted", deleted).await;
    world.let_go("Pod", "x-2").await;
    world.updated(0..3).await;
}

async fn status_conflicts() {
    let (api, mut world, _cluster) = start().await;
    world.start(set(1)).await;
    api.first(
        4,
        Method::PATCH,
        "/x/status",
        Fate::RefuseAs(409, "Conflict"),
    );
    world.scale(2).await;
    world.settled(0..2).await;
    let status = &world.set()["status"];
    assert_eq!([&status["replicas"], &status["currentReplicas"]], [2, 2]);
    // Somebody else writes in between, for real: what they wrote stays.
    let condition =
        json!({"type": "BackedUp", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    world
        .patch(
            "StatefulSet",
            "x/status",
            json!({"status": {"conditions": [condition]}}),
        )
        .await;
    world.scale(1).await;
    world.settled([0]).await;
    assert_eq!(world.set()["status"]["conditions"], json!([condition]));
}

async fn live_read() {
    let (api, mut world, _cluster) = start().await;
    let mut object = set(1);
    object["spec"]["template"]["metadata"]["labels"]["tier"] = "a".into();
    world.start(object).await;
    let orphan = json!({"metadata": {"ownerReferences": null}});
    // What is read live says that the set is another one by now.
    api.rule(|asked| {
        if asked.is(&Method::GET, "/statefulsets/x") {
            Fate::RefuseAs(404, "NotFound")
        } else {
            Fate::Serve
        }
    });
    api.calls();
    world.patch("Pod", "x-0", orphan.clone()).await;
    let revision = world.names("ControllerRevision")[0].to_owned();
    world.patch("ControllerRevision", &revision, orphan).await;
    world.scale(2).await;
    let mut asked = 0;
    while asked < 3 {
        asked += api
            .calls()
            .get("GET statefulsets")
            .copied()
            .unwrap_or_default();
        tokio::task::yield_now().await;
    }
    let owners: Vec<_> = ["Pod", "ControllerRevision"]
        .into_iter()
        .flat_map(|kind| world.all(kind))
        .map(|o| &o["metadata"]["ownerReferences"])
        .collect();
    assert_eq!(
        (owners, world.names("Pod")),
        (vec![&Value::Null; 2], vec!["x-0"])
    );
    api.all(Fate::Serve);
    world.settled(0..2).await;
    assert_eq!(world.log(), ["create x-1"]);
}

async fn uid_precondition() {
    let (_api, world, cluster) = start().await;
    let pod = stray("x-2", json!({}));
    world.try_create(pod).await.unwrap();
    let path = "/api/v1/namespaces/test/pods/x-2";
    let options = json!({"preconditions": {"uid": "that-of-the-one-before"}});
    let refused =
        crate::support::kubelet::call(&cluster.client(), Method::DELETE, path, &options).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
}

async fn claim_fails() {
    let (api, mut world, _cluster) = start().await;
    api.rule(|asked| {
        let claim = asked.is(&Method::POST, "/persistentvolumeclaims");
        if claim {
            Fate::RefuseAs(403, "Forbidden")
        } else {
            Fate::Serve
        }
    });
    world.create(with_claims(1)).await;
    world
        .until("both are said", |world| {
            let of = |message: &str| {
                let messages = world
                    .all("Event")
                    .into_iter()
                    .map(|event| event["message"].as_str().unwrap());
                messages.into_iter().any(|m| m.starts_with(message))
            };
            of("Create Claim data-x-0 Pod x-0 in StatefulSet x failed error")
                && of("Create Pod x-0 in StatefulSet x failed error")
        })
        .await;
    assert_eq!(world.names("Pod"), [""; 0]);
    api.all(Fate::Serve);
    world.settled([0]).await;
}

async fn claims_unknown() {
    let cluster = Cluster::start(Delays::default());
    let api = FakeApi::new(&cluster);
    let asked = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&asked);
    api.rule(move |asked| {
        if !asked.path.ends_with("/persistentvolumeclaims") {
            return Fate::Serve;
        }
        *counted.lock().unwrap() += 1;
        Fate::RefuseAs(500, "InternalError")
    });
    let mut world = World::new(cluster.client(), "test", Keeper::Ours).await;
    world.create(set(1)).await;
    tokio::spawn(reconciler::run(api.client(), cluster.clock()));
    while *asked.lock().unwrap() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(
        (
            world.set()["status"]["observedGeneration"].clone(),
            api.calls().get("POST pods")
        ),
        (Value::Null, None)
    );
    api.all(Fate::Serve);
    world.settled([0]).await;
}

async fn breaks() {
    let (api, mut world, _cluster) = start().await;
    api.first(2, Method::POST, "/pods", Fate::Panic);
    world.create(set(2)).await;
    world.settled(0..2).await;
}

async fn late_reply() {
    // The reply to a delete, told of only when the watch has shown the end of the Pod and nobody is there any more.
    let cluster = Cluster::start(Delays::default());
    let api = FakeApi::new(&cluster);
    let held = api.hold(Method::DELETE, "/x-1");
    tokio::spawn(reconciler::run(api.client(), cluster.clock()));
    let mut world = World::new(cluster.client(), "test", Keeper::Ours).await;
    world.start(set(2)).await;
    world.scale(1).await;
    world
        .until("it is gone", |world| world.names("Pod") == ["x-0"])
        .await;
    // The reconciler has seen that, for it sees what comes after it.
    world
        .patch(
            "Pod",
            "x-0",
            json!({"metadata": {"labels": {"seen": "yes"}}}),
        )
        .await;
    let mut other = set(1);
    other["metadata"]["name"] = "y".into();
    other["spec"]["selector"]["matchLabels"]["app"] = "y".into();
    other["spec"]["template"]["metadata"]["labels"]["app"] = "y".into();
    world.create(other).await;
    world
        .until("another set settles meanwhile", |world| {
            world
                .object("Pod", "y-0")
                .is_some_and(crate::support::statefulset::world::is_ready)
        })
        .await;
    held.notify_one();
    world.delete("StatefulSet", "y", json!({})).await;
    world
        .until("its Pod goes", |world| world.object("Pod", "y-0").is_none())
        .await;
    world.settled([0]).await;
    world.scale(2).await;
    world.settled(0..2).await;
}

async fn a_thousand() {
    let (api, mut world, _cluster) = start().await;
    let mut object = parallel(1000);
    object["spec"]["replicas"] = 0.into();
    world.start(object).await;
    let first: Vec<_> = api
        .calls()
        .into_iter()
        .filter(|(call, _)| call.starts_with("WATCH") || call.starts_with("LIST"))
        .collect();
    let watches = [
        "controllerrevisions",
        "persistentvolumeclaims",
        "pods",
        "statefulsets",
    ];
    assert_eq!(
        first,
        watches.map(|resource| (format!("WATCH {resource}"), 1))
    );
    world.scale(1000).await;
    world
        .until("all are Ready", |world| {
            world.set()["status"]["readyReplicas"] == 1000
        })
        .await;
    let mut calls = api.calls();
    assert!(calls.remove("PATCH statefulsets/status").is_some());
    calls.retain(|call, _| !call.starts_with("WATCH"));
    // Ten Events that differ, then one that stands for all, until too much has been said.
    let wanted = [
        ("PATCH events".to_owned(), 15),
        ("POST events".to_owned(), 10),
        ("POST pods".to_owned(), 1000),
    ];
    assert_eq!(calls, wanted.into());
    world.scale(0).await;
    world
        .until("all are gone", |world| {
            world.set()["status"]["replicas"] == 0
        })
        .await;
    let calls = api.calls();
    assert_eq!(
        (
            calls.get("DELETE pods"),
            calls
                .keys()
                .find(|call| call.starts_with("LIST") || call.starts_with("GET"))
        ),
        (Some(&1000), None)
    );
}

async fn clock() {
    let (_api, mut world, _cluster) = start().await;
    let mut object = set(2);
    object["spec"]["minReadySeconds"] = 3600.into();
    world.create(object).await;
    world
        .until("the first is Ready", |world| {
            world.set()["status"]["readyReplicas"] == 1
        })
        .await;
    assert_eq!(world.names("Pod"), ["x-0"]);
    world.patch("Pod", "x-0", asks("advance-clock", "1h")).await;
    world
        .until("its successor is made", |world| {
            world.names("Pod") == ["x-0", "x-1"]
        })
        .await;
    let meta = &world.pod("x-0")["metadata"];
    assert_eq!(meta["annotations"], Value::Null);
    let time = |pod: &str| -> jiff::Timestamp {
        world.pod(pod)["metadata"]["creationTimestamp"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap()
    };
    assert!(time("x-1").duration_since(time("x-0")).as_secs() >= 3600);
}
