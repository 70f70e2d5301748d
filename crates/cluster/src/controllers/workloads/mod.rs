//! What makes Pods beside StatefulSets: ReplicaSets, ReplicationControllers, Deployments, DaemonSets, Jobs and CronJobs.

mod claim;
mod cron_job;
mod daemon_set;
mod deployment;
mod job;
mod ranking;
mod replicas;
mod rollout;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use headless_objects::object::{array, condition, controller, is_ready, name, ns, uid};
use headless_objects::rfc3339::timestamp;
use headless_objects::selector::Selector;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::events::{self, event};
use super::{Action, Step, about, touched};
use crate::kinds::{self, KindId};
use crate::objects::{Key, Objects};
use crate::state::{Part, State};
pub(super) use cron_job::start;

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
/// CronJob.
const CRON_JOB: KindId = KindId::named("CronJob");

/// The kinds that are looked at here.
const KINDS: [KindId; 6] = [
    REPLICA_SET,
    REPLICATION_CONTROLLER,
    DEPLOYMENT,
    DAEMON_SET,
    JOB,
    CRON_JOB,
];

/// The kinds of what they control.
const DEPENDENTS: [KindId; 4] = [kinds::POD, REPLICA_SET, REVISION, JOB];

/// How many Pods one look makes or deletes (Kubernetes' `BurstReplicas`).
const BURST: usize = 500;

/// When Pods are tried again that the API server has refused.
const AGAIN: Duration = Duration::from_secs(1);

/// The longest pause between two tries: as long again as it has failed, up to this.
const LONGEST: Duration = Duration::from_mins(5);

/// What these controllers remember: whom to look at again, and when.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    again: BTreeMap<Key, Timestamp>,
    /// Of Jobs whose Pods have failed.
    pauses: job::Pauses,
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
        let gone = step.changes.iter().filter(|change| change.deleted);
        for change in gone.filter(|change| change.key.kind == JOB) {
            self.pauses.forget(&change.new);
        }
        for key in keys {
            self.again.remove(&key);
            let Some(object) = step.objects.get(&key) else {
                continue;
            };
            let decided = about(&key, || self.decide(step, &key, object)).unwrap_or_default();
            actions.extend(decided.actions);
            if let Some(at) = decided.wake {
                self.again.insert(key, at);
            }
        }
        (actions, self.again.values().min().copied())
    }

    fn decide(&mut self, step: &Step<'_>, key: &Key, object: &Value) -> Decided {
        match key.kind {
            DEPLOYMENT => deployment::decide(step, key, object),
            DAEMON_SET => daemon_set::decide(step, key, object),
            JOB => job::decide(step, key, object, &mut self.pauses),
            CRON_JOB => cron_job::decide(step, key, object),
            _ => replicas::decide(step, key, object),
        }
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
        if controller(&change.new).is_none() && !change.deleted {
            keys.extend(takers(step.objects, &change.key, &change.new));
        }
    }
    keys
}

/// Those whose selector an object fits that nobody controls.
fn takers<'a>(
    objects: &'a Objects,
    key: &'a Key,
    orphan: &'a Value,
) -> impl Iterator<Item = Key> + 'a {
    let kinds: &[KindId] = match key.kind {
        kinds::POD => &[REPLICA_SET, REPLICATION_CONTROLLER, DAEMON_SET, JOB],
        REPLICA_SET => &[DEPLOYMENT],
        REVISION => &[DAEMON_SET],
        _ => &[],
    };
    let labels = &orphan["metadata"]["labels"];
    let all = kinds
        .iter()
        .flat_map(|kind| objects.list(*kind, Some(&key.ns)));
    let fits = |(key, set): &(&Key, &Arc<Value>)| {
        selector(key.kind, set).is_some_and(|selector| selector.matches(|key| labels[key].as_str()))
    };
    all.filter(fits).map(|(key, _)| key.clone())
}

/// What an object of a kind selects; `None`: nothing. Of these kinds a Job alone may select everything.
fn selector(kind: KindId, object: &Value) -> Option<Selector> {
    let selector = &object["spec"]["selector"];
    let found = if kind == REPLICATION_CONTROLLER {
        let labels = selector.as_object()?.iter();
        Selector::equal(labels.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?))))
    } else {
        Selector::of(selector)?
    };
    Some(found).filter(|found| kind == JOB || !found.is_empty())
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
        CRON_JOB => "cronjob-controller",
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
