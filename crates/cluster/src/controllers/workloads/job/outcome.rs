//! How a Job ends, and what its conditions say of it.

use headless_objects::object::{array, condition, container_statuses, has_ended};
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::spec_number;
use super::Look;

/// How a Job ends.
pub(super) struct End {
    failed: bool,
    reason: &'static str,
    message: String,
}

impl End {
    /// The Event that says so: reason and message.
    pub(super) fn event(&self) -> (&'static str, String) {
        if self.failed {
            (self.reason, self.message.clone())
        } else {
            ("Completed", "Job completed".to_owned())
        }
    }

    /// The condition that says it before the Pods are gone, and the one after.
    fn conditions(&self) -> (&'static str, &'static str) {
        if self.failed {
            ("FailureTarget", "Failed")
        } else {
            ("SuccessCriteriaMet", "Complete")
        }
    }
}

/// The condition that says how a Job has ended.
fn finished(job: &Value) -> Option<&Value> {
    let ends = ["Complete", "Failed"].into_iter();
    let mut told = ends.filter_map(|kind| condition(job, kind));
    told.find(|told| told["status"] == "True")
}

pub(super) fn is_finished(job: &Value) -> bool {
    finished(job).is_some()
}

pub(super) fn finished_at(job: &Value) -> Option<Timestamp> {
    finished(job)?["lastTransitionTime"].as_str()?.parse().ok()
}

/// The end that has come for a Job, if one has.
pub(super) fn of(look: &Look<'_>, status: &Value) -> Option<End> {
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let failed = |reason, message: &str| {
        Some(End {
            failed: true,
            reason,
            message: message.to_owned(),
        })
    };
    let told = condition(look.job, "FailureTarget");
    let limit = spec_number(look.job, "backoffLimit", 6);
    if number("failed") > limit
        || restarted_too_often(look, limit)
        || told.is_some_and(|told| told["reason"] == "BackoffLimitExceeded")
    {
        let why = "Job has reached the specified backoff limit";
        return failed("BackoffLimitExceeded", why);
    }
    let suspended = look.job["spec"]["suspend"] == true;
    let has_deadline = look.job["spec"]["activeDeadlineSeconds"].is_i64();
    let started = look.job["status"]["startTime"].is_string();
    if has_deadline && started && !suspended && look.deadline().is_none() {
        let why = "Job was active longer than specified deadline";
        return failed("DeadlineExceeded", why);
    }
    let done = match look.job["spec"]["completions"].as_i64() {
        Some(completions) => number("succeeded") >= completions,
        None => number("succeeded") > 0,
    };
    let is_over = done && look.active().is_empty();
    is_over.then(|| End {
        failed: false,
        reason: "CompletionsReached",
        message: "Reached expected number of succeeded pods".to_owned(),
    })
}

/// Whether the containers of Pods that restart on failure have been restarted beyond the limit.
fn restarted_too_often(look: &Look<'_>, limit: i64) -> bool {
    if look.job["spec"]["template"]["spec"]["restartPolicy"] != "OnFailure" {
        return false;
    }
    let live = look.pods.iter().filter(|(_, pod)| !has_ended(pod));
    let statuses = live.flat_map(|(_, pod)| container_statuses(pod));
    let restarts: i64 = statuses.filter_map(|s| s["restartCount"].as_i64()).sum();
    restarts > 0 && restarts >= limit
}

/// Says how the Job will end once its Pods are gone.
pub(super) fn announce(status: &mut Value, end: &End, now: Timestamp) {
    add(status, end.conditions().0, end, now);
}

/// Says how the Job has ended.
pub(super) fn declare(status: &mut Value, end: &End, now: Timestamp) {
    add(status, end.conditions().1, end, now);
    if !end.failed {
        status["completionTime"] = timestamp(now).into();
    }
}

fn add(status: &mut Value, kind: &str, end: &End, now: Timestamp) {
    let mut all: Vec<_> = array(&status["conditions"]).cloned().collect();
    if all.iter().any(|told| told["type"] == kind) {
        return;
    }
    let time = timestamp(now);
    all.push(json!({
        "type": kind, "status": "True", "reason": end.reason, "message": end.message,
        "lastProbeTime": time, "lastTransitionTime": time,
    }));
    status["conditions"] = all.into();
}

/// Says that a Job rests, or that it goes on.
pub(super) fn tell_suspension(now: Timestamp, status: &mut Value, suspended: bool) {
    let mut all: Vec<_> = array(&status["conditions"]).cloned().collect();
    let told = all.iter().position(|told| told["type"] == "Suspended");
    let holds = if suspended { "True" } else { "False" };
    match told {
        None if !suspended => return,
        Some(at) if all[at]["status"] == holds => return,
        Some(at) => drop(all.remove(at)),
        None => {}
    }
    let time = timestamp(now);
    let (reason, message) = if suspended {
        ("JobSuspended", "Job suspended")
    } else {
        ("JobResumed", "Job resumed")
    };
    all.push(json!({
        "type": "Suspended", "status": holds, "reason": reason, "message": message,
        "lastProbeTime": time, "lastTransitionTime": time,
    }));
    status["conditions"] = all.into();
    if suspended {
        status
            .as_object_mut()
            .map(|fields| fields.shift_remove("startTime"));
    } else {
        status["startTime"] = time.into();
    }
}
