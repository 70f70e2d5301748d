use serde_json::{Value, json};

use super::*;

/// A set with its Pods, to which plans are applied.
struct World {
    observed: Observed,
    uids: u32,
}

fn set(name: &str, replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "default", "uid": "set-uid", "generation": 1},
        "spec": {
            "replicas": replicas, "serviceName": name, "podManagementPolicy": "OrderedReady",
            "selector": {"matchLabels": {"app": name}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
            "volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}],
        },
    })
}

impl World {
    fn new(replicas: i64) -> Self {
        Self {
            observed: Observed {
                set: set("redis", replicas).into(),
                ..Observed::default()
            },
            uids: 0,
        }
    }

    /// Plans, does it, and says what was done.
    fn sync(&mut self) -> Vec<String> {
        let Plan {
            actions, status, ..
        } = plan(&self.observed, Timestamp::UNIX_EPOCH);
        self.set()["status"] = status;
        actions
            .into_iter()
            .map(|action| self.perform(action))
            .collect()
    }

    fn perform(&mut self, action: Action) -> String {
        match action {
            Action::AdoptPod { name, patch } => {
                json_patch::merge(self.pod(&name), &patch);
                format!("adopt {name}")
            }
            Action::AdoptRevision { name, patch } => {
                let mut revisions = self.observed.revisions.iter_mut();
                let found = revisions.find(|r| r["metadata"]["name"] == name.as_str());
                json_patch::merge(Arc::make_mut(found.unwrap()), &patch);
                "adopt revision".into()
            }
            Action::ReleasePod { name, patch } => {
                json_patch::merge(self.pod(&name), &patch);
                format!("release {name}")
            }
            Action::CreateClaim { claim, .. } => {
                let name = claim["metadata"]["name"].as_str().unwrap().to_owned();
                self.observed.claims.push((name.clone(), false));
                format!("claim {name}")
            }
            Action::CreatePod(mut pod) => {
                self.uids += 1;
                pod["metadata"]["uid"] = format!("uid-{}", self.uids).into();
                pod["status"] = json!({"phase": "Pending"});
                let name = pod["metadata"]["name"].as_str().unwrap().to_owned();
                self.observed.pods.push(pod.into());
                format!("create {name}")
            }
            Action::CreateRevision(revision) => {
                let said = format!("revision {}", revision["revision"]);
                self.observed.revisions.push(revision.into());
                said
            }
            Action::DeletePod { name, uid } => {
                let pod = self.pod(&name);
                assert_eq!(pod["metadata"]["uid"], uid.as_str());
                pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:30Z".into();
                format!("delete {name}")
            }
            Action::DeleteRevision(name) => {
                self.observed
                    .revisions
                    .retain(|r| r["metadata"]["name"] != name.as_str());
                "delete revision".into()
            }
            Action::RaiseRevision { name, revision } => {
                let found = self
                    .observed
                    .revisions
                    .iter_mut()
                    .find(|r| r["metadata"]["name"] == name.as_str())
                    .unwrap();
                Arc::make_mut(found)["revision"] = revision.into();
                format!("raise to {revision}")
            }
            Action::RepairPod { name, labels } => {
                json_patch::merge(&mut self.pod(&name)["metadata"]["labels"], &labels);
                format!("repair {name}")
            }
        }
    }

    fn set(&mut self) -> &mut Value {
        Arc::make_mut(&mut self.observed.set)
    }

    fn pod(&mut self, name: &str) -> &mut Value {
        Arc::make_mut(
            self.observed
                .pods
                .iter_mut()
                .find(|p| p["metadata"]["name"] == name)
                .unwrap(),
        )
    }

    fn is_current(&self) -> bool {
        self.observed.set["status"]["currentRevision"]
            == self.observed.set["status"]["updateRevision"]
    }

    fn ready(&mut self, name: &str) {
        let condition = json!([{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}]);
        self.pod(name)["status"] = json!({"phase": "Running", "conditions": condition});
    }

    fn unready(&mut self, name: &str) {
        self.pod(name)["status"]["conditions"][0]["status"] = "False".into();
    }

    fn gone(&mut self, name: &str) {
        self.observed.pods.retain(|p| p["metadata"]["name"] != name);
    }

    /// A set whose Pods are all Ready and whose status says so.
    fn settled(replicas: i64) -> Self {
        let mut world = Self::new(replicas);
        for _ in 0..replicas {
            world.sync();
            let name = world.observed.pods.last().unwrap()["metadata"]["name"]
                .as_str()
                .unwrap()
                .to_owned();
            world.ready(&name);
        }
        assert!(world.sync().is_empty());
        world
    }

    /// Lets every plan come true until there is nothing to do; what was done to Pods, in order.
    fn run(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            let names: Vec<String> = self
                .observed
                .pods
                .iter()
                .map(|p| p["metadata"]["name"].as_str().unwrap().to_owned())
                .collect();
            for name in names {
                if self.pod(&name)["metadata"]["deletionTimestamp"].is_string() {
                    self.gone(&name)
                } else {
                    self.ready(&name)
                }
            }
            let actions = self.sync();
            if actions.is_empty() {
                return done;
            }
            done.extend(
                actions
                    .into_iter()
                    .filter(|a| !a.contains("revision") && !a.starts_with("claim")),
            );
        }
    }
}

#[test]
fn pods_are_made_in_order_each_after_its_predecessor_is_ready() {
    let mut world = World::new(3);
    assert_eq!(
        world.sync(),
        ["revision 1", "claim data-redis-0", "create redis-0"]
    );
    assert!(world.sync().is_empty(), "redis-0 is not Ready");
    world.ready("redis-0");
    assert_eq!(world.sync(), ["claim data-redis-1", "create redis-1"]);
    world.ready("redis-1");
    assert_eq!(world.sync(), ["claim data-redis-2", "create redis-2"]);
    world.ready("redis-2");
    assert!(world.sync().is_empty());
    let status = &world.set()["status"];
    let counts = [
        "replicas",
        "readyReplicas",
        "availableReplicas",
        "currentReplicas",
        "updatedReplicas",
    ]
    .map(|f| status[f].as_i64());
    assert_eq!(
        (counts, &status["observedGeneration"]),
        ([Some(3); 5], &json!(1))
    );
    assert_eq!(status["currentRevision"], status["updateRevision"]);
}

#[test]
fn a_pod_has_name_labels_hostname_subdomain_volume_and_one_owner() {
    let mut world = World::new(1);
    world.sync();
    let pod = &world.observed.pods[0];
    let revision = world.observed.revisions[0]["metadata"]["name"].clone();
    assert_eq!(
        pod["metadata"]["labels"],
        json!({"app": "redis", "statefulset.kubernetes.io/pod-name": "redis-0", "apps.kubernetes.io/pod-index": "0", "controller-revision-hash": revision})
    );
    assert_eq!(
        (&pod["spec"]["hostname"], &pod["spec"]["subdomain"]),
        (&json!("redis-0"), &json!("redis"))
    );
    assert_eq!(
        pod["spec"]["volumes"],
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-redis-0"}}])
    );
    let owner = json!([{"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "redis", "uid": "set-uid", "controller": true, "blockOwnerDeletion": true}]);
    assert_eq!(pod["metadata"]["ownerReferences"], owner);
}

#[test]
fn a_pod_that_is_gone_comes_back_under_its_name_with_its_claim() {
    let mut world = World::settled(3);
    let old = world.pod("redis-1")["metadata"]["uid"].clone();
    world.pod("redis-1")["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    assert!(
        world.sync().is_empty(),
        "its name is taken until it is gone"
    );
    world.gone("redis-1");
    assert_eq!(world.sync(), ["create redis-1"]);
    assert_ne!(world.pod("redis-1")["metadata"]["uid"], old);
}

#[test]
fn scale_down_goes_from_the_highest_each_after_the_former_is_gone_and_keeps_claims() {
    let mut world = World::settled(3);
    world.set()["spec"]["replicas"] = 0.into();
    assert_eq!(world.sync(), ["delete redis-2"]);
    assert!(world.sync().is_empty());
    world.gone("redis-2");
    assert_eq!(world.run(), ["delete redis-1", "delete redis-0"]);
    assert_eq!(world.observed.claims.len(), 3);
    assert_eq!(world.set()["status"]["replicas"], 0);
}

#[test]
fn nothing_is_scaled_while_a_pod_in_range_is_not_ready() {
    let mut world = World::settled(3);
    world.unready("redis-0");
    for replicas in [5, 2] {
        world.set()["spec"]["replicas"] = replicas.into();
        assert!(world.sync().is_empty());
    }
    world.ready("redis-0");
    assert_eq!(world.sync(), ["delete redis-2"]);
}

#[test]
fn a_lower_ordinal_comes_back_before_higher_ones_are_made() {
    let mut world = World::settled(3);
    world.set()["spec"]["replicas"] = 5.into();
    world.gone("redis-0");
    assert_eq!(
        world.run(),
        ["create redis-0", "create redis-3", "create redis-4"]
    );
}

#[test]
fn a_pod_that_failed_is_deleted_and_made_again() {
    let mut world = World::settled(2);
    world.pod("redis-0")["status"]["phase"] = "Failed".into();
    assert_eq!(world.sync(), ["delete redis-0"]);
    assert!(world.sync().is_empty());
    world.gone("redis-0");
    assert_eq!(world.sync(), ["create redis-0"]);
}

#[test]
fn no_pod_is_made_on_a_claim_that_is_on_its_way_out() {
    let mut world = World::new(1);
    world.observed.claims = vec![("data-redis-0".into(), true)];
    assert_eq!(world.sync(), ["revision 1"]);
    world.observed.claims.clear();
    assert_eq!(world.sync(), ["claim data-redis-0", "create redis-0"]);
}

#[test]
fn ordinals_may_start_elsewhere_and_move() {
    let mut world = World::settled(2);
    world.set()["spec"]["ordinals"] = json!({"start": 2});
    world.set()["spec"]["replicas"] = 3.into();
    assert_eq!(
        world.run(),
        [
            "create redis-2",
            "create redis-3",
            "create redis-4",
            "delete redis-1",
            "delete redis-0"
        ]
    );
}

#[test]
fn an_update_replaces_one_pod_at_a_time_down_to_the_partition() {
    let mut world = World::settled(3);
    world.set()["spec"]["template"]["spec"]["containers"][0]["image"] = "i:2".into();
    world.set()["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 1.into();
    assert_eq!(
        world.run(),
        [
            "delete redis-2",
            "create redis-2",
            "delete redis-1",
            "create redis-1"
        ]
    );
    assert!(!world.is_current());
    world.set()["spec"]["updateStrategy"]["rollingUpdate"]["partition"] = 0.into();
    assert_eq!(world.run(), ["delete redis-0", "create redis-0"]);
    assert!(world.is_current());
}

#[test]
fn a_parallel_set_is_made_and_scaled_at_once() {
    let mut world = World::new(3);
    world.set()["spec"]["podManagementPolicy"] = "Parallel".into();
    world.set()["spec"]["volumeClaimTemplates"] = json!([]);
    assert_eq!(
        world.sync(),
        [
            "revision 1",
            "create redis-0",
            "create redis-1",
            "create redis-2"
        ]
    );
    world.set()["spec"]["replicas"] = 1.into();
    assert_eq!(world.sync(), ["delete redis-2", "delete redis-1"]);
}

#[test]
fn availability_takes_min_ready_seconds_and_the_plan_says_when() {
    let mut world = World::new(2);
    world.set()["spec"]["minReadySeconds"] = 30.into();
    world.sync();
    world.ready("redis-0");
    let at = |seconds| Timestamp::from_second(seconds).unwrap();
    let early = plan(&world.observed, at(10));
    assert_eq!((early.actions.len(), early.wake), (0, Some(at(30))));
    assert_eq!(
        plan(&world.observed, at(30)).actions.len(),
        2,
        "claim and Pod"
    );
}

#[test]
fn a_set_on_its_way_out_gets_a_status_and_nothing_else() {
    let mut world = World::new(3);
    world.sync();
    world.gone("redis-0");
    world.set()["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    assert!(world.sync().is_empty());
}

#[test]
fn a_name_too_long_for_a_pod_is_said() {
    let mut world = World::new(1);
    world.set()["metadata"]["name"] = "x".repeat(62).into();
    let plan = plan(&world.observed, Timestamp::UNIX_EPOCH);
    assert_eq!(
        plan.blocked,
        Some(format!(
            "pod name {}-0 would be longer than 63 characters",
            "x".repeat(62)
        ))
    );
}

#[test]
fn only_the_canonical_spelling_is_an_ordinal() {
    let of = |pod| ordinal_of("web", pod);
    assert_eq!([of("web-0"), of("web-12")], [Some(0), Some(12)]);
    for pod in [
        "web-01",
        "web-1-0",
        "web",
        "web-x",
        "web--1",
        "webb-1",
        "web-99999999999",
    ] {
        assert_eq!(of(pod), None, "{pod}");
    }
}

/// Takes the owners of an object away, as a delete of its set with `--cascade=orphan` does.
fn orphan(object: &mut Arc<Value>) {
    Arc::make_mut(object)["metadata"]["ownerReferences"] = json!([]);
}

/// A set of two that rests.
fn settled() -> World {
    let mut world = World::new(2);
    for name in ["redis-0", "redis-1"] {
        while !world.sync().contains(&format!("create {name}")) {}
        world.ready(name);
    }
    while !world.sync().is_empty() {}
    world
}

#[test]
fn s80_of_orphans_only_those_that_fit_are_adopted_and_not_restarted() {
    let mut world = settled();
    world.observed.pods.iter_mut().for_each(orphan);
    world.pod("redis-1")["metadata"]["labels"]["app"] = "other".into();
    let mut stranger = world.pod("redis-0").clone();
    stranger["metadata"]["name"] = "cache-0".into();
    world.observed.pods.push(stranger.into());
    let before = world.pod("redis-0")["metadata"]["uid"].clone();
    assert_eq!(world.sync(), ["adopt redis-0"]);
    let adopted = world.pod("redis-0")["metadata"].clone();
    assert_eq!(adopted["uid"], before);
    let owner = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": "redis", "uid": "set-uid", "controller": true, "blockOwnerDeletion": true,
    });
    assert_eq!(adopted["ownerReferences"], json!([owner]));
}

#[test]
fn s81_an_owned_pod_that_loses_its_labels_is_released_and_adopted_when_they_are_back() {
    let mut world = settled();
    world.pod("redis-1")["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(world.sync(), ["release redis-1"]);
    assert_eq!(
        world.pod("redis-1")["metadata"]["ownerReferences"],
        json!([])
    );
    // Its name stays taken, which the API server says to who tries.
    let plan = plan(&world.observed, Timestamp::UNIX_EPOCH);
    let created = matches!(&plan.actions[..], [Action::CreatePod(pod)] if pod["metadata"]["name"] == "redis-1");
    assert!(created, "{:?}", plan.actions);
    world.pod("redis-1")["metadata"]["labels"]["app"] = "redis".into();
    assert_eq!(world.sync(), ["adopt redis-1"]);
    assert_eq!(world.sync(), Vec::<String>::new());
}

#[test]
fn s83_a_set_that_is_being_deleted_creates_adopts_and_releases_nothing() {
    let mut world = settled();
    world.set()["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:00Z".into();
    orphan(&mut world.observed.pods[0]);
    orphan(&mut world.observed.revisions[0]);
    world.pod("redis-1")["metadata"]["labels"]["app"] = "other".into();
    assert_eq!(world.sync(), Vec::<String>::new());
}

#[test]
fn s84_a_pod_of_an_owner_with_our_name_and_another_uid_is_left_alone_and_its_name_is_taken() {
    let mut world = settled();
    world.pod("redis-1")["metadata"]["ownerReferences"][0]["uid"] = "earlier-uid".into();
    let plan = plan(&world.observed, Timestamp::UNIX_EPOCH);
    let created = matches!(&plan.actions[..], [Action::CreatePod(pod)] if pod["metadata"]["name"] == "redis-1");
    assert!(created, "{:?}", plan.actions);
}

#[test]
fn s87_an_orphaned_revision_that_the_selector_matches_is_adopted() {
    let mut world = settled();
    orphan(&mut world.observed.revisions[0]);
    assert_eq!(world.sync(), ["adopt revision"]);
    assert_eq!(world.sync(), Vec::<String>::new());
    assert_eq!(world.observed.revisions.len(), 1);
}
