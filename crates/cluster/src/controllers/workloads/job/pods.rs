//! What is asked of a Job's Pod.

use headless_objects::object::{array, condition, is_ending};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::super::Action;
use super::super::claim::TRACKING;
use crate::objects::Key;
use crate::policy::is_sidecar;
use crate::state::Part;

/// Whether the Pod is held until its Job counts it.
pub(super) fn is_tracked(pod: &Value) -> bool {
    array(&pod["metadata"]["finalizers"]).any(|finalizer| finalizer == TRACKING)
}

pub(super) fn untracked(at: &Key, pod: &Value) -> Action {
    let mut free = pod.clone();
    let kept = array(&pod["metadata"]["finalizers"]).filter(|finalizer| *finalizer != TRACKING);
    free["metadata"]["finalizers"] = kept.cloned().collect();
    Action::Update(at.clone(), Part::Main, free)
}

pub(super) fn has_succeeded(pod: &Value) -> bool {
    pod["status"]["phase"] == "Succeeded"
}

/// Whether the Pod counts as one that has failed: where the Job replaces what is being deleted, that has failed too.
pub(super) fn has_failed(job: &Value, pod: &Value) -> bool {
    let waits = job["spec"]["podReplacementPolicy"] == "Failed";
    pod["status"]["phase"] == "Failed" || !waits && is_ending(pod) && !has_succeeded(pod)
}

/// When the Pod ended: its last container, else when it ceased to be ready, was to be deleted, or was made.
pub(super) fn finished_at(pod: &Value) -> Option<Timestamp> {
    let time = |value: &Value| value.as_str()?.parse::<Timestamp>().ok();
    let unready = || {
        let ready = condition(pod, "Ready").filter(|ready| ready["status"] == "False")?;
        time(&ready["lastTransitionTime"])
    };
    let meta = &pod["metadata"];
    let deleted = || {
        let grace = meta["deletionGracePeriodSeconds"].as_i64();
        let grace = SignedDuration::from_secs(grace.unwrap_or_default());
        time(&meta["deletionTimestamp"])?.checked_sub(grace).ok()
    };
    containers_ended(pod)
        .or_else(unready)
        .or_else(deleted)
        .or_else(|| time(&meta["creationTimestamp"]))
}

/// When the last container ended, sidecars among them; `None`: one has not.
fn containers_ended(pod: &Value) -> Option<Timestamp> {
    let helpers = array(&pod["spec"]["initContainers"]).filter(|spec| is_sidecar(spec));
    let helpers: Vec<_> = helpers.map(|spec| &spec["name"]).collect();
    let first = array(&pod["status"]["initContainerStatuses"]);
    let first = first.filter(|status| helpers.contains(&&status["name"]));
    let all = array(&pod["status"]["containerStatuses"]).chain(first);
    let ended = all.map(|status| {
        let at = status["state"]["terminated"]["finishedAt"].as_str()?;
        at.parse::<Timestamp>().ok()
    });
    ended.collect::<Option<Vec<_>>>()?.into_iter().max()
}
