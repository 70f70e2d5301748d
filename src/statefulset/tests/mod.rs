//! The scenarios that the plan alone decides. Each is named after its number and sentence in the list of 106 in
//! `docs/statefulset.md`.

mod failing;
mod fixture;
mod identity;
mod ownership;
mod parallel;
mod revisions;
mod scaling;
mod storage;
mod updates;

use serde_json::{Value, json};

use super::*;

/// A set with its Pods, to which plans are applied.
struct World {
    observed: Observed,
    now: i64,
    uids: u32,
}

/// A set whose strategy has the block `rollingUpdate`, and no claims.
fn set(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "x", "namespace": "default", "uid": "set-uid", "generation": 1},
        "spec": {
            "replicas": replicas, "serviceName": "x", "podManagementPolicy": "OrderedReady", "revisionHistoryLimit": 10,
            "selector": {"matchLabels": {"app": "x"}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        },
    })
}

impl World {
    fn new(replicas: i64) -> Self {
        Self {
            observed: Observed {
                set: set(replicas).into(),
                ..Observed::default()
            },
            now: 1000,
            uids: 0,
        }
    }

    fn parallel(replicas: i64) -> Self {
        let mut world = Self::new(replicas);
        world.spec("podManagementPolicy", "Parallel");
        world
    }

    fn with_claims(replicas: i64) -> Self {
        let mut world = Self::new(replicas);
        let claim =
            json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}});
        world.spec("volumeClaimTemplates", json!([claim]));
        world
    }

    /// A set whose Pods are all Available and whose status says so.
    fn settled(replicas: i64) -> Self {
        Self::new(replicas).settle()
    }

    fn settle(mut self) -> Self {
        self.run();
        self
    }

    fn plan(&mut self) -> Plan {
        let now = self.time();
        self.observed.failures.note(now, &self.observed.pods);
        plan(&self.observed, now)
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_second(self.now).unwrap()
    }

    /// Plans, does it, and says what was done.
    fn sync(&mut self) -> Vec<String> {
        let plan = self.plan();
        self.set()["status"] = plan.status;
        let done = plan.actions.into_iter().flat_map(|a| self.perform(a));
        done.collect()
    }

    fn perform(&mut self, action: Action) -> Vec<String> {
        let said = match action {
            Action::AdoptPod { name, patch } => {
                json_patch::merge(self.pod(&name), &patch);
                format!("adopt {name}")
            }
            Action::AdoptRevision { name, patch } => {
                json_patch::merge(self.revision(&name), &patch);
                "adopt revision".into()
            }
            Action::ReleasePod { name, patch } => {
                json_patch::merge(self.pod(&name), &patch);
                format!("release {name}")
            }
            Action::CreateClaim { claim, .. } => self.create_claim(claim),
            Action::CreatePod { mut pod, claims } => {
                let mut said: Vec<_> = claims.into_iter().map(|c| self.create_claim(c)).collect();
                pod["metadata"]["uid"] = self.uid().into();
                pod["status"] = json!({"phase": "Pending"});
                said.push(format!(
                    "create {}",
                    pod["metadata"]["name"].as_str().unwrap()
                ));
                self.observed.pods.push(pod.into());
                return said;
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
            Action::DeleteRevision { name, .. } => {
                let revisions = &mut self.observed.revisions;
                revisions.retain(|r| r["metadata"]["name"] != name.as_str());
                "trim revision".into()
            }
            Action::OwnClaim { name, patch } => {
                json_patch::merge(self.claim(&name), &patch);
                format!("own {name}")
            }
            Action::RaiseRevision { name, revision } => {
                self.revision(&name)["revision"] = revision.into();
                format!("raise revision to {revision}")
            }
            Action::RepairPod { name, labels } => {
                json_patch::merge(&mut self.pod(&name)["metadata"]["labels"], &labels);
                format!("repair {name}")
            }
        };
        vec![said]
    }

    fn create_claim(&mut self, mut claim: Value) -> String {
        let said = format!("claim {}", claim["metadata"]["name"].as_str().unwrap());
        claim["metadata"]["uid"] = self.uid().into();
        self.observed.claims.push(claim.into());
        said
    }

    fn uid(&mut self) -> String {
        self.uids += 1;
        format!("uid-{}", self.uids)
    }

    fn set(&mut self) -> &mut Value {
        Arc::make_mut(&mut self.observed.set)
    }

    fn spec(&mut self, field: &str, value: impl Into<Value>) {
        self.set()["spec"][field] = value.into();
        let generation = &mut self.set()["metadata"]["generation"];
        *generation = (generation.as_i64().unwrap() + 1).into();
    }

    fn rolling(&mut self, field: &str, value: impl Into<Value>) {
        let mut strategy = self.set()["spec"]["updateStrategy"].clone();
        strategy["rollingUpdate"][field] = value.into();
        self.spec("updateStrategy", strategy);
    }

    /// Changes the template: its image has this number.
    fn image(&mut self, number: u32) {
        let mut template = self.set()["spec"]["template"].clone();
        template["spec"]["containers"][0]["image"] = format!("i:{number}").into();
        self.spec("template", template);
    }

    fn pod(&mut self, name: &str) -> &mut Value {
        find(&mut self.observed.pods, name)
    }

    fn claim(&mut self, name: &str) -> &mut Value {
        find(&mut self.observed.claims, name)
    }

    fn revision(&mut self, name: &str) -> &mut Value {
        find(&mut self.observed.revisions, name)
    }

    /// The names of the Pods that are there, sorted.
    fn pods(&self) -> Vec<&str> {
        let mut names: Vec<_> = self
            .observed
            .pods
            .iter()
            .map(|p| identity_name(p))
            .collect();
        names.sort_unstable();
        names
    }

    /// The image of each Pod, by name.
    fn images(&self) -> Vec<&str> {
        let mut pods: Vec<_> = self.observed.pods.iter().collect();
        pods.sort_by_key(|p| identity_name(p));
        pods.into_iter().map(|pod| image_of(pod)).collect()
    }

    fn status(&self, field: &str) -> i64 {
        self.observed.set["status"][field]
            .as_i64()
            .unwrap_or_default()
    }

    fn is_current(&self) -> bool {
        let status = &self.observed.set["status"];
        status["currentRevision"] == status["updateRevision"]
    }

    fn ready(&mut self, name: &str) {
        let condition = json!([{"type": "Ready", "status": "True", "lastTransitionTime": self.time().to_string()}]);
        self.pod(name)["status"] = json!({"phase": "Running", "conditions": condition});
    }

    fn unready(&mut self, name: &str) {
        let time = self.time().to_string();
        let condition = json!([{"type": "Ready", "status": "False", "lastTransitionTime": time}]);
        self.pod(name)["status"] = json!({"phase": "Running", "conditions": condition});
    }

    fn ends(&mut self, name: &str) {
        self.pod(name)["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:30Z".into();
    }

    fn phase(&mut self, name: &str, phase: &str) {
        self.pod(name)["status"] = json!({"phase": phase});
    }

    fn gone(&mut self, name: &str) {
        self.observed.pods.retain(|p| p["metadata"]["name"] != name);
    }

    /// What a healthy node does: Pods that end are gone, those that wait become Ready.
    fn node(&mut self) {
        let names: Vec<String> = self.pods().into_iter().map(str::to_owned).collect();
        for name in names {
            let pod = self.pod(&name);
            if pod["metadata"]["deletionTimestamp"].is_string() {
                self.gone(&name);
            } else if pod["status"]["phase"] == "Pending" {
                self.ready(&name);
            }
        }
    }

    /// Lets every plan come true until there is nothing to do; what was done to Pods, in order.
    fn run(&mut self) -> Vec<String> {
        let mut done = Vec::new();
        loop {
            self.node();
            let actions = self.sync();
            if actions.is_empty() {
                return done;
            }
            let of_pods = |a: &String| !a.contains("revision") && !a.starts_with("claim");
            done.extend(actions.into_iter().filter(of_pods));
        }
    }
}

fn find<'a>(objects: &'a mut [Arc<Value>], name: &str) -> &'a mut Value {
    let found = objects.iter_mut().find(|o| o["metadata"]["name"] == name);
    Arc::make_mut(found.unwrap())
}

fn identity_name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap()
}

fn image_of(pod: &Value) -> &str {
    pod["spec"]["containers"][0]["image"].as_str().unwrap()
}

/// No actions.
const NOTHING: [&str; 0] = [];
