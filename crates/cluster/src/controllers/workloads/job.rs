//! Jobs: Pods until enough of them have succeeded, or too many have failed.
//!
//! A Pod is held by a finalizer until it is counted (KEP-2307): its UID is noted, then it is let go, then the number grows.

mod indexes;
mod outcome;

use std::collections::BTreeSet;
use std::time::Duration;

use headless_objects::object::{array, controller, has_ended, is_ending, is_ready, name, uid};
use headless_objects::rfc3339::timestamp;
use headless_objects::selector::Selector;
use headless_objects::{backoff, object};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::claim::claim;
use super::ranking::by_rank;
use super::{AGAIN, Action, BURST, Decided, JOB, count, pod_of, set_status, spec_number};
use crate::controllers::Step;
use crate::controllers::events::event;
use crate::kinds;
use crate::objects::{Key, owners};
use crate::state::Part;

/// Holds a Pod until its Job has counted it.
const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// The pauses after a failure: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));

/// A Job with its Pods.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    job: &'a Value,
    pods: Vec<(&'a Key, &'a Value)>,
}

/// Whether the object is held until its Job counts it.
fn is_tracked(pod: &Value) -> bool {
    array(&pod["metadata"]["finalizers"]).any(|finalizer| finalizer == TRACKING)
}

fn untracked(at: &Key, pod: &Value) -> Action {
    let mut free = pod.clone();
    let kept = array(&pod["metadata"]["finalizers"]).filter(|finalizer| *finalizer != TRACKING);
    free["metadata"]["finalizers"] = kept.cloned().collect();
    Action::Update(at.clone(), Part::Main, free)
}

/// Lets Pods go whose Job is gone.
pub(super) fn orphans(step: &Step<'_>) -> Vec<Action> {
    let mut pods = BTreeSet::new();
    for change in step.changes {
        if change.key.kind == kinds::POD && is_tracked(&change.new) {
            pods.insert(change.key.clone());
        }
        if change.key.kind == JOB && change.deleted {
            let of = uid(&change.new);
            let all = step.objects.list(kinds::POD, Some(&change.key.ns));
            let mine = all.filter(|(_, pod)| owners(pod).any(|owner| owner["uid"] == of));
            pods.extend(mine.map(|(key, _)| key.clone()));
        }
    }
    let is_orphan = |key: &Key, pod: &Value| {
        let job = controller(pod).filter(|of| of["kind"] == "Job");
        let there = job.and_then(|of| step.objects.named(JOB, &key.ns, of["name"].as_str()?));
        let has_job = there
            .zip(job)
            .is_some_and(|(there, of)| there["metadata"]["uid"] == of["uid"]);
        is_tracked(pod) && !has_job
    };
    let there = pods
        .iter()
        .filter_map(|key| Some((key, step.objects.get(key)?)));
    there
        .filter(|(key, pod)| is_orphan(key, pod))
        .map(|(key, pod)| untracked(key, pod))
        .collect()
}

pub(super) fn decide(step: &Step<'_>, key: &Key, job: &Value) -> Decided {
    let managed = job["spec"]["managedBy"].as_str();
    if managed.is_some_and(|by| by != "kubernetes.io/job-controller") {
        return Decided::default();
    }
    let Some(selector) = Selector::of(&job["spec"]["selector"]) else {
        return Decided::default();
    };
    let claimed = claim(step.objects, kinds::POD, (key, job), &selector);
    if !claimed.actions.is_empty() {
        return Decided::to(claimed.actions);
    }
    let look = Look {
        step,
        key,
        job,
        pods: claimed.mine,
    };
    if outcome::is_finished(job) {
        return look.outlived();
    }
    look.decide()
}

impl Look<'_> {
    fn decide(&self) -> Decided {
        let mut status = object::fields(&self.job["status"]);
        let counted = self.count_ended(&mut status);
        if !counted.is_empty() {
            return Decided::to(counted);
        }
        let suspended = self.job["spec"]["suspend"] == true;
        if status["startTime"].is_null() && !suspended {
            status["startTime"] = timestamp(self.step.now).into();
        }
        let mut decided = match outcome::of(self, &status) {
            Some(end) => self.end(&mut status, end),
            None => self.go_on(&mut status, suspended),
        };
        let counts = self.counts();
        for (field, number) in counts {
            if number == 0 && field == "active" {
                status.as_object_mut().map(|all| all.shift_remove(field));
            } else {
                status[field] = number.into();
            }
        }
        decided
            .actions
            .extend(set_status(self.key, self.job, status));
        decided.wake = decided.wake.into_iter().chain(self.deadline()).min();
        decided
    }

    fn active(&self) -> Vec<(&Key, &Value)> {
        let pods = self.pods.iter().copied();
        pods.filter(|(_, pod)| !has_ended(pod) && !is_ending(pod))
            .collect()
    }

    fn ending(&self) -> usize {
        let ending = self.pods.iter().filter(|(_, pod)| is_ending(pod));
        ending.filter(|(_, pod)| !has_ended(pod)).count()
    }

    fn counts(&self) -> [(&'static str, i64); 3] {
        let active = self.active();
        let ready = active.iter().filter(|(_, pod)| is_ready(pod)).count();
        [
            ("active", count(active.len())),
            ("ready", count(ready)),
            ("terminating", count(self.ending())),
        ]
    }

    /// Counts the Pods that have ended, a step at a time; nothing once all are counted.
    fn count_ended(&self, status: &mut Value) -> Vec<Action> {
        let noted = |list: &str| -> Vec<Value> {
            let all = &self.job["status"]["uncountedTerminatedPods"][list];
            array(all).cloned().collect()
        };
        let (succeeded, failed) = (noted("succeeded"), noted("failed"));
        let is_noted = |pod: &Value| {
            let uid = &pod["metadata"]["uid"];
            succeeded.contains(uid) || failed.contains(uid)
        };
        let tracked = self.pods.iter().filter(|(_, pod)| is_tracked(pod));
        let tracked: Vec<_> = tracked.filter(|(_, pod)| has_ended(pod)).copied().collect();
        let (noted, fresh): (Vec<_>, Vec<_>) =
            tracked.into_iter().partition(|(_, pod)| is_noted(pod));
        if !noted.is_empty() {
            return noted.iter().map(|(key, pod)| untracked(key, pod)).collect();
        }
        let mut next = json!({});
        if fresh.is_empty() {
            for (field, list) in [("succeeded", &succeeded), ("failed", &failed)] {
                let before = status[field].as_i64().unwrap_or_default();
                let now = before + count(list.len());
                if now > 0 {
                    status[field] = now.into();
                }
            }
            if indexes::is_indexed(self.job) {
                indexes::note(self, status);
            }
        } else {
            next = note(&fresh);
        }
        status["uncountedTerminatedPods"] = next;
        if fresh.is_empty() && succeeded.is_empty() && failed.is_empty() {
            return Vec::new();
        }
        set_status(self.key, self.job, status.clone())
            .into_iter()
            .collect()
    }

    /// Makes and deletes Pods.
    fn go_on(&self, status: &mut Value, suspended: bool) -> Decided {
        outcome::tell_suspension(self.step.now, status, suspended);
        if is_ending(self.job) {
            return Decided::default();
        }
        let active = self.active();
        let wanted = if suspended { 0 } else { self.wanted(status) };
        let many = active.len().saturating_sub(wanted).min(BURST);
        if many > 0 {
            let gone = by_rank(&active).into_iter().take(many);
            return Decided::to(gone.flat_map(|(at, pod)| self.delete(at, pod)).collect());
        }
        let all_replaced = self.job["spec"]["podReplacementPolicy"] != "Failed";
        let ending = if all_replaced { 0 } else { self.ending() };
        let lacking = wanted.saturating_sub(active.len() + ending);
        if lacking == 0 {
            return Decided::default();
        }
        if let Some(at) = self.pause().filter(|at| *at > self.step.now) {
            return Decided {
                wake: Some(at),
                ..Decided::default()
            };
        }
        let pods = self.new_pods(status, lacking.min(BURST));
        let make = |pod| Action::CreatePod(self.key.clone(), pod);
        Decided {
            actions: pods.into_iter().map(make).collect(),
            wake: self.step.now.checked_add(AGAIN).ok(),
        }
    }

    /// How many Pods are to run now.
    fn wanted(&self, status: &Value) -> usize {
        let parallel = spec_number(self.job, "parallelism", 1);
        let succeeded = status["succeeded"].as_i64().unwrap_or_default();
        let wanted = match self.job["spec"]["completions"].as_i64() {
            Some(completions) => (completions - succeeded).clamp(0, parallel),
            None if succeeded > 0 => return self.active().len(),
            None => parallel,
        };
        usize::try_from(wanted).unwrap_or_default()
    }

    fn new_pods(&self, status: &Value, many: usize) -> Vec<Value> {
        let mut pod = pod_of(self.job);
        object::add_finalizer(&mut pod, TRACKING);
        if indexes::is_indexed(self.job) {
            return indexes::pods(self, status, (&pod, many));
        }
        std::iter::repeat_n(pod, many).collect()
    }

    fn delete(&self, at: &Key, pod: &Value) -> [Action; 2] {
        let message = format!("Deleted pod: {}", name(pod));
        [
            Action::Delete(at.clone(), None),
            self.say("SuccessfulDelete", message),
        ]
    }

    fn say(&self, reason: &str, message: String) -> Action {
        event(self.step.now, self.job, "job-controller", (reason, message))
    }

    /// Ends a Job: its Pods first, then what its conditions say.
    fn end(&self, status: &mut Value, end: outcome::End) -> Decided {
        let active = self.active();
        outcome::announce(status, &end, self.step.now);
        if !active.is_empty() {
            let gone = active.into_iter();
            return Decided::to(gone.flat_map(|(at, pod)| self.delete(at, pod)).collect());
        }
        if self.ending() > 0 {
            return Decided::default();
        }
        outcome::declare(status, &end, self.step.now);
        let (reason, message) = end.event();
        Decided::to(vec![self.say(reason, message)])
    }

    /// Until when the Job waits after its last failure; each failure in a row doubles the pause.
    fn pause(&self) -> Option<Timestamp> {
        let ended = |phase: &str| {
            let ended = self
                .pods
                .iter()
                .filter(|(_, pod)| pod["status"]["phase"] == phase);
            let mut times: Vec<_> = ended.filter_map(|(_, pod)| finished_at(pod)).collect();
            times.sort_unstable();
            times
        };
        let success = ended("Succeeded").pop();
        let mut failures = ended("Failed");
        failures.retain(|at| success.is_none_or(|success| *at > success));
        let last = *failures.last()?;
        let more = u32::try_from(failures.len() - 1).unwrap_or(u32::MAX);
        last.checked_add(backoff(PAUSES.0, PAUSES.1, more)).ok()
    }

    /// When the Job's `activeDeadlineSeconds` are over.
    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.job["spec"]["activeDeadlineSeconds"].as_i64()?;
        let since: Timestamp = self.job["status"]["startTime"].as_str()?.parse().ok()?;
        let at = since.checked_add(SignedDuration::from_secs(seconds)).ok();
        at.filter(|at| *at > self.step.now)
    }

    /// Deletes a Job that has ended and has outlived its `ttlSecondsAfterFinished` (KEP-592).
    fn outlived(&self) -> Decided {
        let seconds = self.job["spec"]["ttlSecondsAfterFinished"].as_i64();
        let Some((seconds, at)) = seconds.zip(outcome::finished_at(self.job)) else {
            return Decided::default();
        };
        match at.checked_add(SignedDuration::from_secs(seconds)) {
            Ok(end) if end > self.step.now => Decided {
                wake: Some(end),
                ..Decided::default()
            },
            _ if is_ending(self.job) => Decided::default(),
            _ => Decided::to(vec![Action::Delete(self.key.clone(), None)]),
        }
    }
}

/// When the last container of a Pod ended.
fn finished_at(pod: &Value) -> Option<Timestamp> {
    let all = array(&pod["status"]["containerStatuses"]);
    let times = all.filter_map(|status| status["state"]["terminated"]["finishedAt"].as_str());
    times.filter_map(|time| time.parse().ok()).max()
}

/// The Pods that have ended and are not counted yet.
fn note(fresh: &[(&Key, &Value)]) -> Value {
    let mut noted = json!({});
    for (list, phase) in [("succeeded", "Succeeded"), ("failed", "Failed")] {
        let ended = fresh
            .iter()
            .filter(|(_, pod)| pod["status"]["phase"] == phase);
        let uids: Vec<_> = ended
            .map(|(_, pod)| pod["metadata"]["uid"].clone())
            .collect();
        if !uids.is_empty() {
            noted[list] = uids.into();
        }
    }
    noted
}
