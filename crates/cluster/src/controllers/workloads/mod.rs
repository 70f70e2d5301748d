//! What makes Pods beside StatefulSets: ReplicaSets, ReplicationControllers, Deployments, DaemonSets and Jobs.

mod claim;
mod daemon_set;
mod deployment;
mod job;
mod ranking;
mod replicas;
mod rollout;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headless_objects::object::{array, condition, controller, is_ready, name, ns, uid};
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{self, event};
use super::{Action, Step, about, touched};
use crate::kinds::{self, KindId};
use crate::objects::Key;
use crate::state::{Part, State};

/// ReplicaSet.
const REPLICA_SET: KindId = KindId::named("ReplicaSet");
/// ReplicationController.
const REPLICATION_CONTROLLER: KindId = KindId::named("ReplicationController");
/// Deployment.
const DEPLOYMENT: KindId = KindId::named("Deployment");
/// DaemonSet.
const DAEMON_SET: KindId = KindId::named("DaemonSet");
/// ControllerRevision.
const REVISION: KindId = KindId::named("ControllerRevision");
/// Job.
const JOB: KindId = KindId::named("Job");

/// The kinds that are looked at here.
const KINDS: [KindId; 5] = [
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    DEPLOYMENT,
    DAEMON_SET,
    JOB,
];

/// The kinds of what they control.
const DEPENDENTS: [KindId; 3] = [kinds::POD, REPLICA_SET, REVISION];

/// How many Pods one look makes or deletes (Kubernetes' `BurstReplicas`).
const BURST: usize = 500;

/// When Pods are tried again that the API server has refused.
const AGAIN: Duration = Duration::from_secs(1);

/// What these controllers remember: whom to look at again, and when.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    again: BTreeMap<Key, Timestamp>,
}

/// What is to be done about one object now, and when to look at it again if nothing changes.
#[derive(Debug, Default, PartialEq)]
struct Decided {
    actions: Vec<Action>,
    wake: Option<Timestamp>,
}

impl Decided {
    fn to(actions: Vec<Action>) -> Self {
        Self {
            actions,
            wake: None,
        }
    }
}

impl Workloads {
    pub(super) fn step(&mut self, step: &Step<'_>) -> (Vec<Action>, Option<Timestamp>) {
        let mut keys = concerned(step);
        keys.extend(
            self.again
                .iter()
                .filter(|(_, at)| **at <= step.now)
                .map(|(key, _)| key.clone()),
        );
        let mut actions = job::orphans(step);
        for key in keys {
            self.again.remove(&key);
            let Some(object) = step.objects.get(&key) else {
                continue;
            };
            let decided = about(&key, || decide(step, &key, object)).unwrap_or_default();
            actions.extend(decided.actions);
            if let Some(at) = decided.wake {
                self.again.insert(key, at);
            }
        }
        (actions, self.again.values().min().copied())
    }
}

fn decide(step: &Step<'_>, key: &Key, object: &Value) -> Decided {
    match key.kind {
        DEPLOYMENT => deployment::decide(step, key, object),
        DAEMON_SET => daemon_set::decide(step, key, object),
        JOB => job::decide(step, key, object),
        _ => replicas::decide(step, key, object),
    }
}

/// Whom the changes concern: those that have changed, those that control what has changed, and those that may want what
/// nobody controls.
fn concerned(step: &Step<'_>) -> BTreeSet<Key> {
    let mut keys = BTreeSet::new();
    for kind in KINDS {
        keys.extend(touched(step, kind.info().kind));
    }
    for change in step.changes {
        let is_dependent = DEPENDENTS.contains(&change.key.kind);
        if change.key.kind == kinds::NODE {
            let sets = step.objects.list(DAEMON_SET, None);
            keys.extend(sets.map(|(key, _)| key.clone()));
        }
        if !is_dependent {
            continue;
        }
        for object in [Some(&change.new), change.old.as_ref()]
            .into_iter()
            .flatten()
        {
            keys.extend(owner_of(object));
        }
        if controller(&change.new).is_none() {
            for kind in KINDS {
                let all = step.objects.list(kind, Some(&change.key.ns));
                keys.extend(all.map(|(key, _)| key.clone()));
            }
        }
    }
    keys
}

/// Where the controller of an object is, where it is of a kind of [`KINDS`].
fn owner_of(object: &Value) -> Option<Key> {
    let owner = controller(object)?;
    let kind = KindId::of_object(owner)?.kept();
    let name = owner["name"].as_str()?;
    KINDS
        .contains(&kind)
        .then(|| Key::new(kind, ns(object), name))
}

/// The reference by which an object controls others.
fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": name(owner), "uid": uid(owner),
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// A Pod of an owner's template.
fn pod_of(owner: &Value) -> Value {
    let template = &owner["spec"]["template"];
    let meta = &template["metadata"];
    let prefix = pod_prefix(name(owner));
    json!({
        "metadata": {
            "generateName": prefix, "labels": meta["labels"], "annotations": meta["annotations"],
            "finalizers": meta["finalizers"], "ownerReferences": [reference(owner)],
        },
        "spec": template["spec"],
    })
}

/// What names of generated Pods begin with: shorter where the name would be too long for a generated one.
fn pod_prefix(owner: &str) -> String {
    // 63 octets of a name, less 5 generated ones (`maxGeneratedNameLength`).
    let kept: String = owner.chars().take(57).collect();
    format!("{kept}-")
}

/// Whether a Pod is available after so many seconds of being ready; where it will be, when.
fn available(pod: &Value, seconds: i64, now: Timestamp) -> Result<bool, Timestamp> {
    if !is_ready(pod) {
        return Ok(false);
    }
    if seconds <= 0 {
        return Ok(true);
    }
    let since = condition(pod, "Ready").and_then(|c| c["lastTransitionTime"].as_str());
    let since: Option<Timestamp> = since.and_then(|time| time.parse().ok());
    let at = since.and_then(|time| {
        time.checked_add(jiff::SignedDuration::from_secs(seconds))
            .ok()
    });
    match at {
        Some(at) if at > now => Err(at),
        Some(_) => Ok(true),
        None => Ok(false),
    }
}

/// How many of the Pods are available, and when the next one will be.
fn count_available(pods: &[&Value], seconds: i64, now: Timestamp) -> (i64, Option<Timestamp>) {
    let mut wake = None::<Timestamp>;
    let mut count = 0;
    for pod in pods {
        match available(pod, seconds, now) {
            Ok(is) => count += i64::from(is),
            Err(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
        }
    }
    (count, wake)
}

/// A status update, where the status is another than it was.
fn set_status(key: &Key, object: &Value, status: Value) -> Option<Action> {
    if object["status"] == status {
        return None;
    }
    let mut new = object.clone();
    new["status"] = status;
    Some(Action::Update(key.clone(), Part::Status, new))
}

/// The number of items, as JSON counts.
fn count(items: usize) -> i64 {
    i64::try_from(items).unwrap_or(i64::MAX)
}

/// An object's number at this place of its spec, or this one.
fn spec_number(object: &Value, field: &str, otherwise: i64) -> i64 {
    object["spec"][field].as_i64().unwrap_or(otherwise)
}

/// Makes a Pod of an owner, and says of the owner what became of it.
pub(super) fn create(state: &mut State, now: Timestamp, owner: &Key, pod: Value) {
    let outcome = state.create(now, kinds::POD, &owner.ns, pod, false);
    let Some(about) = state.objects.get(owner).map(|owner| Value::clone(owner)) else {
        return;
    };
    let said = match &outcome {
        Ok(pod) => ("SuccessfulCreate", format!("Created pod: {}", name(pod))),
        Err(status) => (
            "FailedCreate",
            format!("Error creating: {}", status.message),
        ),
    };
    if let Err(status) = outcome {
        tell_failure(state, owner, &status.message, &timestamp(now));
    }
    if let Action::Say(event) = event(now, &about, component(owner.kind), said) {
        events::say(state, now, event);
    }
}

/// Who says what happens to an object of a kind.
fn component(kind: KindId) -> &'static str {
    match kind {
        REPLICA_SET => "replicaset-controller",
        DEPLOYMENT => "deployment-controller",
        DAEMON_SET => "daemonset-controller",
        JOB => "job-controller",
        _ => "replication-controller",
    }
}

/// Says on a set that its Pods cannot be made; other conditions stay.
fn tell_failure(state: &mut State, key: &Key, why: &str, now: &str) {
    if ![REPLICA_SET, REPLICATION_CONTROLLER].contains(&key.kind) {
        return;
    }
    let Some(object) = state.objects.get(key).map(|object| Value::clone(object)) else {
        return;
    };
    if condition(&object, "ReplicaFailure").is_some() {
        return;
    }
    let mut all: Vec<_> = array(&object["status"]["conditions"]).cloned().collect();
    all.push(json!({
        "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": why, "lastTransitionTime": now,
    }));
    let mut told = object;
    told["status"]["conditions"] = all.into();
    // Gone in the meantime: then nothing is to be said.
    drop(state.update(key, Part::Status, told, false));
}
