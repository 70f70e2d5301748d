//! The ReplicaSets of a Deployment: which one is of the present template, how it is made, and when old ones go.

use headless_objects::hash;
use headless_objects::object::{is_ending, name};
use serde_json::{Map, Value, json};

use super::super::rollout::{counted, of_new, replicas, rolls};
use super::super::{Action, REPLICA_SET, count, reference, spec_number};
use super::Look;
use crate::kinds::KindId;
use crate::objects::Key;
use crate::state::Part;

/// The label by which Pods of one template are told from those of another.
const HASH: &str = "pod-template-hash";

/// Which rollout a ReplicaSet is of; on a Deployment, which one is the present.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// The rollouts a ReplicaSet was of before.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// Annotations of a Deployment that its ReplicaSets do not have.
const NOT_COPIED: &[&str] = &[
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    super::DESIRED,
    super::MOST,
    "deprecated.deployment.rollback.to",
];

/// The oldest set of the Deployment's template.
pub(super) fn newest<'a>(deployment: &Value, all: &[&'a Value]) -> Option<&'a Value> {
    let wanted = bare(&deployment["spec"]["template"]);
    let mut all = all.iter().copied();
    all.find(|set| bare(&set["spec"]["template"]) == wanted)
}

/// A template without the label that names it.
fn bare(template: &Value) -> Value {
    let mut bare = template.clone();
    let meta = &mut bare["metadata"];
    let labels = meta["labels"].as_object_mut();
    let empty = labels.is_none_or(|labels| {
        labels.shift_remove(HASH);
        labels.is_empty()
    });
    if let Some(meta) = meta.as_object_mut() {
        meta.retain(|key, value| !(value.is_null() || (empty && key == "labels")));
    }
    bare
}

fn revision(object: &Value) -> i64 {
    let text = object["metadata"]["annotations"][REVISION].as_str();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn next_revision(look: &Look<'_>) -> i64 {
    let old = look.old().into_iter().map(revision);
    old.max().unwrap_or_default() + 1
}

/// Makes the set of the present template.
pub(super) fn create(look: &Look<'_>) -> Vec<Action> {
    let (deployment, template) = (look.deployment, &look.deployment["spec"]["template"]);
    let collisions = free_name(look);
    let hash = hash(template, collisions);
    let mut labelled = template.clone();
    labelled["metadata"]["labels"][HASH] = hash.as_str().into();
    let mut selector = deployment["spec"]["selector"].clone();
    selector["matchLabels"][HASH] = hash.as_str().into();
    let others = look.all.iter().map(|set| replicas(set)).sum();
    let wanted = of_new(look.numbers, rolls(deployment), 0, others);
    let called = format!("{}-{hash}", name(deployment));
    let mut annotations = copied(deployment);
    annotations.insert(REVISION.into(), next_revision(look).to_string().into());
    let mut set = json!({
        "metadata": {
            "name": called, "labels": labelled["metadata"]["labels"], "annotations": annotations,
            "ownerReferences": [reference(deployment)],
        },
        "spec": {"replicas": wanted, "selector": selector, "template": labelled},
    });
    let seconds = spec_number(deployment, "minReadySeconds", 0);
    if seconds > 0 {
        set["spec"]["minReadySeconds"] = seconds.into();
    }
    look.note_numbers(&mut set);
    let mut actions = vec![Action::Create(REPLICA_SET, look.key.ns.clone(), set)];
    if wanted > 0 {
        let message = format!("Scaled up replica set {called} from 0 to {wanted}");
        actions.push(look.say("ScalingReplicaSet", message));
    }
    actions
}

/// The first number of collisions with which the set's name is free.
fn free_name(look: &Look<'_>) -> i64 {
    let template = &look.deployment["spec"]["template"];
    let is_free = |collisions: &i64| {
        let called = format!("{}-{}", name(look.deployment), hash(template, *collisions));
        let there = look.step.objects.named(REPLICA_SET, &look.key.ns, &called);
        there.is_none()
    };
    (0..).find(is_free).unwrap_or_default()
}

fn copied(deployment: &Value) -> Map<String, Value> {
    let all = deployment["metadata"]["annotations"].as_object();
    let kept = all.into_iter().flatten();
    kept.filter(|(key, _)| !NOT_COPIED.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// Writes on the newest set, and then on the Deployment, which rollout it is.
pub(super) fn noted(look: &Look<'_>, new: &Value) -> Vec<Action> {
    let mut set = new.clone();
    let annotations = &mut set["metadata"]["annotations"];
    for (key, value) in copied(look.deployment) {
        annotations[key] = value;
    }
    let (before, next) = (revision(new), next_revision(look));
    if before < next {
        annotations[REVISION] = next.to_string().into();
        if before > 0 {
            let history = annotations[HISTORY].as_str().map(str::to_owned);
            let more = history.map_or_else(String::new, |history| format!("{history},"));
            annotations[HISTORY] = format!("{more}{before}").into();
        }
    }
    let seconds = spec_number(look.deployment, "minReadySeconds", 0);
    if seconds != spec_number(new, "minReadySeconds", 0) {
        set["spec"]["minReadySeconds"] = seconds.into();
    }
    if set != *new {
        return vec![look.write(set)];
    }
    if revision(look.deployment) == revision(new) {
        return Vec::new();
    }
    let mut deployment = look.deployment.clone();
    deployment["metadata"]["annotations"][REVISION] = revision(new).to_string().into();
    vec![Action::Update(look.key.clone(), Part::Main, deployment)]
}

/// Deletes old sets beyond those that are kept for `kubectl rollout undo`, once a rollout has ended.
pub(super) fn outdated(look: &Look<'_>) -> Vec<Action> {
    const KIND: KindId = REPLICA_SET;
    let kept = spec_number(look.deployment, "revisionHistoryLimit", 10);
    if is_ending(look.deployment) || !super::standing::is_complete(look.deployment) {
        return Vec::new();
    }
    let is_idle = |set: &&Value| {
        let seen =
            set["status"]["observedGeneration"].as_i64() >= set["metadata"]["generation"].as_i64();
        replicas(set) == 0 && counted(set, "replicas") == 0 && seen && !is_ending(set)
    };
    let all_old = look.old();
    let many = usize::try_from(count(all_old.len()) - kept).unwrap_or_default();
    let mut old: Vec<_> = all_old.into_iter().filter(is_idle).collect();
    old.sort_by_key(|set| revision(set));
    let gone = old.into_iter().take(many);
    let key = |set: &Value| Key::new(KIND, &*look.key.ns, name(set));
    gone.map(|set| Action::Delete(key(set), None)).collect()
}
