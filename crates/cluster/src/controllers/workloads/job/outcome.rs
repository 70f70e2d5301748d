//! How a Job ends, and what its conditions say of it.

use headless_objects::object::{array, condition, container_statuses, has_ended};
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{count, spec_number};
use super::failures::{Fate, fate};
use super::indexes::Indexes;
use super::pods::has_failed;
use super::{Look, success};

/// How a Job ends.
pub(super) struct End {
    failed: bool,
    reason: String,
    message: String,
}

impl End {
    fn new(failed: bool, reason: &str, message: &str) -> Self {
        Self {
            failed,
            reason: reason.to_owned(),
            message: message.to_owned(),
        }
    }

    pub(super) fn is_failure(&self) -> bool {
        self.failed
    }

    /// The Event that says so: reason and message.
    pub(super) fn event(&self) -> (&str, String) {
        if self.failed {
            (&self.reason, self.message.clone())
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
pub(in super::super) fn finished(job: &Value) -> Option<&Value> {
    let ends = ["Complete", "Failed"].into_iter();
    let mut told = ends.filter_map(|kind| condition(job, kind));
    told.find(|told| told["status"] == "True")
}

pub(super) fn finished_at(job: &Value) -> Option<Timestamp> {
    finished(job)?["lastTransitionTime"].as_str()?.parse().ok()
}

/// The end that has come for a Job before its work is done, if one has.
pub(super) fn of(look: &Look<'_>) -> Option<End> {
    let failed = |reason, message: &str| Some(End::new(true, reason, message));
    if let Some(told) = told(&look.status) {
        return Some(told);
    }
    let mut pods = look.pods.iter().map(|(_, pod)| *pod);
    let fatal = pods.find_map(|pod| match fate(look.job, pod) {
        Fate::FailsJob(why) if has_failed(look.job, pod) => Some(why),
        Fate::FailsJob(_) | Fate::Counts | Fate::Ignored | Fate::FailsIndex => None,
    });
    if let Some(why) = fatal {
        return failed("PodFailurePolicy", &why);
    }
    let limit = spec_number(look.job, "backoffLimit", 6);
    if look.failed() > limit || restarted_too_often(look, limit) {
        let why = "Job has reached the specified backoff limit";
        return failed("BackoffLimitExceeded", why);
    }
    if look.ends_at().is_some_and(|at| at <= look.step.now) {
        let why = "Job was active longer than specified deadline";
        return failed("DeadlineExceeded", why);
    }
    by_indexes(look.job, look.indexes.as_ref()?)
}

/// How the numbers of an Indexed Job end it.
fn by_indexes(job: &Value, indexes: &Indexes<'_>) -> Option<End> {
    if let Some(failed) = &indexes.failed {
        let most = job["spec"]["maxFailedIndexes"].as_i64();
        if most.is_some_and(|most| count(failed.len()) > most) {
            let why = "Job has exceeded the specified maximal number of failed indexes";
            return Some(End::new(true, "MaxFailedIndexesExceeded", why));
        }
        let done = count(failed.len() + indexes.succeeded.len());
        if !failed.is_empty() && done >= indexes.completions {
            return Some(End::new(true, "FailedIndexes", "Job has failed indexes"));
        }
    }
    let met = success::met(job, &indexes.succeeded, indexes.completions)?;
    Some(End::new(false, "SuccessPolicy", &met))
}

/// The end that was announced before.
fn told(status: &Value) -> Option<End> {
    let ends = [("SuccessCriteriaMet", false), ("FailureTarget", true)];
    let mut told = ends.into_iter().filter_map(|(kind, failed)| {
        let mut all = array(&status["conditions"]);
        let told = all.find(|told| told["type"] == kind && told["status"] == "True")?;
        let text = |field: &str| told[field].as_str().unwrap_or_default();
        Some(End::new(failed, text("reason"), text("message")))
    });
    told.next()
}

/// The end of a Job whose work is done.
pub(super) fn completed(look: &Look<'_>) -> Option<End> {
    let done = match look.job["spec"]["completions"].as_i64() {
        Some(completions) => look.succeeded() >= completions,
        None => look.succeeded() > 0,
    };
    let why = "Reached expected number of succeeded pods";
    let is_over = done && look.active().is_empty();
    is_over.then(|| End::new(false, "CompletionsReached", why))
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

/// Says that a Job rests, or that it goes on. Gives the words, where that is new.
pub(super) fn tell_suspension(
    now: Timestamp,
    status: &mut Value,
    suspended: bool,
) -> Option<&'static str> {
    let mut all: Vec<_> = array(&status["conditions"]).cloned().collect();
    let told = all.iter().position(|told| told["type"] == "Suspended");
    let holds = if suspended { "True" } else { "False" };
    match told {
        None if !suspended => return None,
        Some(at) if all[at]["status"] == holds => return None,
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
        let fields = status.as_object_mut();
        fields.map(|fields| fields.shift_remove("startTime"));
    } else {
        status["startTime"] = time.into();
    }
    Some(message)
}
