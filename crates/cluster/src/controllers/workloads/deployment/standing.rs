//! How a Deployment stands: its status and what its conditions say of the rollout.

use headless_objects::object::{array, condition, fields, name};
use headless_objects::rfc3339::timestamp;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::super::replicas::set_count;
use super::super::rollout::{counted, replicas};
use super::super::spec_number;
use super::Look;

/// A deadline that never comes: who sets it does not ask for progress (`math.MaxInt32`).
const NEVER: i64 = i32::MAX as i64;

/// The status, and when the rollout is late if nothing changes.
pub(super) fn status(look: &Look<'_>) -> (Value, Option<Timestamp>) {
    let mut status = fields(&look.deployment["status"]);
    count(look, &mut status);
    let now = timestamp(look.step.now);
    let least = look.numbers.replicas - look.numbers.unavailable;
    let is_available = number(&status, "availableReplicas") >= least;
    let said = if is_available {
        let message = "Deployment has minimum availability.".to_owned();
        ("Available", "True", "MinimumReplicasAvailable", message)
    } else {
        let message = "Deployment does not have minimum availability.".to_owned();
        ("Available", "False", "MinimumReplicasUnavailable", message)
    };
    tell(&mut status, said, &now);
    progress(look, &mut status, &now);
    copy_failure(look, &mut status);
    let wake = late(look, &status).filter(|at| *at > look.step.now);
    (status, wake)
}

fn count(look: &Look<'_>, status: &mut Value) {
    let of_all = |field| look.all.iter().map(|set| counted(set, field)).sum::<i64>();
    let asked: i64 = look.all.iter().map(|set| replicas(set)).sum();
    let available = of_all("availableReplicas");
    let updated = look.new.map_or(0, |new| counted(new, "replicas"));
    for (field, number) in [
        ("updatedReplicas", updated),
        ("readyReplicas", of_all("readyReplicas")),
        ("availableReplicas", available),
        ("unavailableReplicas", (asked - available).max(0)),
    ] {
        set_count(status, field, number);
    }
    // In Go all but `terminatingReplicas`, a pointer, are left out where they are zero.
    match of_all("replicas") {
        0 => drop(
            status
                .as_object_mut()
                .map(|all| all.shift_remove("replicas")),
        ),
        number => status["replicas"] = number.into(),
    }
    status["terminatingReplicas"] = of_all("terminatingReplicas").into();
    status["observedGeneration"] = look.deployment["metadata"]["generation"].clone();
}

fn number(status: &Value, field: &str) -> i64 {
    status[field].as_i64().unwrap_or_default()
}

/// Whether the Deployment's status says that its rollout has ended.
pub(super) fn is_complete(deployment: &Value) -> bool {
    ended(deployment, &deployment["status"])
}

fn ended(deployment: &Value, status: &Value) -> bool {
    let wanted = spec_number(deployment, "replicas", 1);
    let all = ["updatedReplicas", "replicas", "availableReplicas"];
    all.iter().all(|field| number(status, field) == wanted)
        && status["observedGeneration"].as_i64() >= deployment["metadata"]["generation"].as_i64()
}

/// The condition that says how a rollout goes on.
const PROGRESSING: &str = "Progressing";

/// Says how the rollout goes on.
fn progress(look: &Look<'_>, status: &mut Value, now: &str) {
    let deployment = look.deployment;
    if spec_number(deployment, "progressDeadlineSeconds", NEVER) == NEVER {
        remove(status, PROGRESSING);
        return;
    }
    let told = condition(deployment, PROGRESSING);
    let reason = told.and_then(|told| told["reason"].as_str());
    let rests = deployment["spec"]["paused"] == true;
    if rests || reason == Some("DeploymentPaused") {
        pause(status, (rests, reason), now);
        return;
    }
    let is_done = number(status, "replicas") == number(status, "updatedReplicas")
        && reason == Some("NewReplicaSetAvailable");
    if !is_done {
        advance(look, status, (told, now));
    }
}

/// Says that a rollout rests, or that it goes on.
fn pause(status: &mut Value, (rests, reason): (bool, Option<&str>), now: &str) {
    if !rests {
        let message = "Deployment is resumed".to_owned();
        let said = (PROGRESSING, "Unknown", "DeploymentResumed", message);
        tell(status, said, now);
    } else if reason != Some("ProgressDeadlineExceeded") {
        let message = "Deployment is paused".to_owned();
        let said = (PROGRESSING, "Unknown", "DeploymentPaused", message);
        tell(status, said, now);
    }
}

/// Says of a rollout that has not ended whether it has now, goes on, or is late.
fn advance(look: &Look<'_>, status: &mut Value, (told, now): (Option<&Value>, &str)) {
    let deployment = look.deployment;
    let whose = look.new.map_or_else(
        || format!("Deployment \"{}\"", name(deployment)),
        |new| format!("ReplicaSet \"{}\"", name(new)),
    );
    let said = if ended(deployment, status) {
        let message = format!("{whose} has successfully progressed.");
        ("True", "NewReplicaSetAvailable", message)
    } else if has_moved(&deployment["status"], status) {
        // The time of the last update changes with each step, that of the transition stays.
        let since = told.filter(|told| told["status"] == "True");
        let since = since.map_or_else(|| now.into(), |told| told["lastTransitionTime"].clone());
        let message = format!("{whose} is progressing.");
        remove(status, PROGRESSING);
        let said = (PROGRESSING, "True", "ReplicaSetUpdated", message);
        tell(status, said, now);
        set_since(status, PROGRESSING, &since);
        return;
    } else if told.is_none() {
        let new = look.new.map(name).unwrap_or_default();
        let message = format!("Created new replica set \"{new}\"");
        ("True", "NewReplicaSetCreated", message)
    } else if late(look, status).is_some_and(|at| at <= look.step.now) {
        let message = format!("{whose} has timed out progressing.");
        ("False", "ProgressDeadlineExceeded", message)
    } else {
        return;
    };
    tell(status, (PROGRESSING, said.0, said.1, said.2), now);
}

/// Whether more Pods are new, ready or available than before, or fewer old ones are left.
fn has_moved(before: &Value, now: &Value) -> bool {
    let old = |status: &Value| number(status, "replicas") - number(status, "updatedReplicas");
    let grown = ["updatedReplicas", "readyReplicas", "availableReplicas"];
    old(now) < old(before) || grown.iter().any(|f| number(now, f) > number(before, f))
}

/// When a rollout that makes no progress is late.
fn late(look: &Look<'_>, status: &Value) -> Option<Timestamp> {
    let seconds = spec_number(look.deployment, "progressDeadlineSeconds", NEVER);
    let told = array(&status["conditions"]).find(|c| c["type"] == PROGRESSING)?;
    let waits = !matches!(
        told["reason"].as_str(),
        Some("NewReplicaSetAvailable" | "ProgressDeadlineExceeded" | "DeploymentPaused")
    );
    let since: Timestamp = told["lastUpdateTime"].as_str()?.parse().ok()?;
    let at = since.checked_add(SignedDuration::from_secs(seconds)).ok();
    at.filter(|_| waits && seconds < NEVER)
}

/// Has a condition say this, unless it does with the same reason already.
fn tell(status: &mut Value, (kind, holds, reason, message): (&str, &str, &str, String), now: &str) {
    let mut all: Vec<_> = array(&status["conditions"]).cloned().collect();
    let old = all.iter().find(|c| c["type"] == kind);
    if old.is_some_and(|old| old["status"] == holds && old["reason"] == reason) {
        return;
    }
    let since = old.filter(|old| old["status"] == holds);
    let since = since.map_or_else(|| now.into(), |old| old["lastTransitionTime"].clone());
    all.retain(|c| c["type"] != kind);
    all.push(json!({
        "type": kind, "status": holds, "reason": reason, "message": message,
        "lastUpdateTime": now, "lastTransitionTime": since,
    }));
    status["conditions"] = all.into();
}

fn set_since(status: &mut Value, kind: &str, since: &Value) {
    let all = status["conditions"].as_array_mut().into_iter().flatten();
    for told in all.filter(|told| told["type"] == kind) {
        told["lastTransitionTime"] = since.clone();
    }
}

fn remove(status: &mut Value, kind: &str) {
    if let Some(all) = status["conditions"].as_array_mut() {
        all.retain(|told| told["type"] != kind);
    }
}

/// What keeps a set from making Pods is said of the Deployment too: of the newest set first.
fn copy_failure(look: &Look<'_>, status: &mut Value) {
    const KIND: &str = "ReplicaFailure";
    let sets = look.new.into_iter().chain(look.all.iter().copied());
    let failure = sets.filter_map(|set| condition(set, KIND)).next();
    match failure {
        Some(failure) => {
            let text = |field: &str| failure[field].as_str().unwrap_or_default().to_owned();
            let (reason, message, since) =
                (text("reason"), text("message"), text("lastTransitionTime"));
            tell(status, (KIND, "True", &reason, message), &since);
        }
        None => remove(status, KIND),
    }
}
