//! Jobs: Pods until enough of them have succeeded, or too many have failed (kube-controller-manager's `job_controller.go`).
//!
//! A Pod is held by a finalizer until it is counted (KEP-2307): its UID is noted, then it is let go, then the number grows.

mod counting;
mod failures;
mod indexes;
mod outcome;
mod pauses;
mod pods;
mod success;

use std::collections::BTreeSet;

use headless_objects::object::{self, controller, has_ended, is_ending, is_ready, name, uid};
use headless_objects::rfc3339::timestamp;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::claim::{TRACKING, claim};
use super::ranking::by_rank;
use super::{
    AGAIN, Action, BURST, Decided, JOB, component, count, pod_of, selector, set_status, spec_number,
};
use crate::controllers::Step;
use crate::controllers::events::event;
use crate::kinds;
use crate::objects::{Key, owners};
use indexes::Indexes;
pub(super) use outcome::finished;
pub(super) use pauses::Pauses;
use pods::{is_tracked, untracked};

/// A Job with its Pods.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    job: &'a Value,
    pods: Vec<(&'a Key, &'a Value)>,
    /// The status as it becomes.
    status: Value,
    /// Of an Indexed Job.
    indexes: Option<Indexes<'a>>,
}

/// Lets Pods go whose Job is gone, or has ended.
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
        let mine = there
            .zip(job)
            .filter(|(there, of)| there["metadata"]["uid"] == of["uid"]);
        let is_held =
            mine.is_some_and(|(job, _)| is_managed_by_another(job) || finished(job).is_none());
        is_tracked(pod) && !is_held
    };
    let there = pods
        .iter()
        .filter_map(|key| Some((key, step.objects.get(key)?)));
    there
        .filter(|(key, pod)| is_orphan(key, pod))
        .map(|(key, pod)| untracked(key, pod))
        .collect()
}

fn is_managed_by_another(job: &Value) -> bool {
    let managed = job["spec"]["managedBy"].as_str();
    managed.is_some_and(|by| by != "kubernetes.io/job-controller")
}

pub(super) fn decide(step: &Step<'_>, key: &Key, job: &Value, pauses: &mut Pauses) -> Decided {
    if is_managed_by_another(job) {
        return Decided::default();
    }
    if finished(job).is_some() {
        pauses.forget(job);
        return outlived(step, key, job);
    }
    let Some(selector) = selector(JOB, job) else {
        return Decided::default();
    };
    let claimed = claim(step.objects, kinds::POD, (key, job), &selector);
    if !claimed.actions.is_empty() {
        return Decided::to(claimed.actions);
    }
    let mut look = Look {
        step,
        key,
        job,
        pods: claimed.mine,
        status: object::fields(&job["status"]),
        indexes: None,
    };
    look.fold();
    look.indexes = Indexes::of(job, &look.status, &look.pods);
    look.decide(pauses)
}

impl Look<'_> {
    fn decide(mut self, pauses: &mut Pauses) -> Decided {
        let suspended = self.job["spec"]["suspend"] == true;
        if self.status["startTime"].is_null() && !suspended {
            self.status["startTime"] = timestamp(self.step.now).into();
        }
        let due = if indexes::have_limits(self.job) {
            None
        } else {
            pauses.note(&self)
        };
        let end = outcome::of(&self);
        let mut after = match &end {
            Some(_) => Decided::to(
                self.active()
                    .iter()
                    .flat_map(|pod| self.delete(pod))
                    .collect(),
            ),
            None if is_ending(self.job) => Decided::default(),
            None => self.manage(due),
        };
        let end = end.or_else(|| outcome::completed(&self));
        if end.is_none() && !is_ending(self.job) {
            after.actions.extend(self.tell_suspension(suspended));
        }
        let free = self.count_ended(end.as_ref());
        let mut actions = Vec::new();
        if let Some(end) = end {
            outcome::announce(&mut self.status, &end, self.step.now);
            let is_last = free.len() < BURST && !self.is_counting();
            if is_last && self.active().is_empty() && self.ending() == 0 {
                outcome::declare(&mut self.status, &end, self.step.now);
                let (reason, message) = end.event();
                after.actions.push(self.say(reason, message));
            }
        }
        self.write_counts();
        actions.extend(set_status(self.key, self.job, self.status.clone()));
        actions.extend(free);
        actions.append(&mut after.actions);
        let wake = after.wake.into_iter().chain(self.deadline()).min();
        Decided { actions, wake }
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

    fn write_counts(&mut self) {
        let active = self.active();
        let ready = active.iter().filter(|(_, pod)| is_ready(pod)).count();
        let counts = [
            ("active", count(active.len())),
            ("ready", count(ready)),
            ("terminating", count(self.ending())),
        ];
        for (field, number) in counts {
            if number == 0 && field == "active" {
                let fields = self.status.as_object_mut();
                fields.map(|fields| fields.shift_remove(field));
            } else {
                self.status[field] = number.into();
            }
        }
        if let Some(indexes) = &self.indexes {
            indexes.write(&mut self.status);
        }
    }

    /// Makes and deletes Pods. `due`: when the pause after the last failure is over.
    fn manage(&self, due: Option<Timestamp>) -> Decided {
        let active = self.active();
        let suspended = self.job["spec"]["suspend"] == true;
        let wanted = if suspended { 0 } else { self.wanted() };
        let gone = self.too_many(active.len().saturating_sub(wanted));
        if !gone.is_empty() {
            // They are let go first: none of them counts as one that has failed.
            let gone = gone.into_iter().take(BURST);
            let actions = gone.flat_map(|(at, pod)| {
                let free = is_tracked(pod).then(|| untracked(at, pod));
                free.into_iter().chain(self.delete(&(at, pod)))
            });
            return Decided::to(actions.collect());
        }
        let all_replaced = self.job["spec"]["podReplacementPolicy"] != "Failed";
        let ending = if all_replaced { 0 } else { self.ending() };
        let lacking = wanted.saturating_sub(active.len() + ending).min(BURST);
        if lacking == 0 {
            return Decided::default();
        }
        let due = due.filter(|at| *at > self.step.now);
        if due.is_some() {
            return Decided {
                wake: due,
                ..Decided::default()
            };
        }
        let (pods, later) = self.new_pods(lacking);
        let again = self.step.now.checked_add(AGAIN).ok();
        let again = again.filter(|_| !pods.is_empty());
        let make = |pod| Action::CreatePod(self.key.clone(), pod);
        Decided {
            actions: pods.into_iter().map(make).collect(),
            wake: later.into_iter().chain(again).min(),
        }
    }

    /// The Pods to be deleted: at least as many, and those whose number another has, or that have none.
    fn too_many(&self, least: usize) -> Vec<(&Key, &Value)> {
        let ranked = by_rank(&self.active());
        let (mut gone, left) = match &self.indexes {
            Some(indexes) => indexes.superfluous(ranked),
            None => (Vec::new(), ranked),
        };
        let more = least.saturating_sub(gone.len());
        gone.extend(left.into_iter().take(more));
        gone
    }

    /// How many Pods are to run now.
    fn wanted(&self) -> usize {
        let parallel = spec_number(self.job, "parallelism", 1);
        let wanted = match self.job["spec"]["completions"].as_i64() {
            Some(completions) => (completions - self.succeeded()).clamp(0, parallel),
            None if self.succeeded() > 0 => return self.active().len(),
            None => parallel,
        };
        usize::try_from(wanted).unwrap_or_default()
    }

    /// As many new Pods as may be made now, and when the next one may be.
    fn new_pods(&self, many: usize) -> (Vec<Value>, Option<Timestamp>) {
        let mut pod = pod_of(self.job);
        object::add_finalizer(&mut pod, TRACKING);
        match &self.indexes {
            Some(indexes) => indexes.pods(self, (&pod, many)),
            None => (std::iter::repeat_n(pod, many).collect(), None),
        }
    }

    fn delete(&self, (at, pod): &(&Key, &Value)) -> [Action; 2] {
        let message = format!("Deleted pod: {}", name(pod));
        [
            Action::Delete((*at).clone(), None),
            self.say("SuccessfulDelete", message),
        ]
    }

    fn say(&self, reason: &str, message: String) -> Action {
        event(self.step.now, self.job, component(JOB), (reason, message))
    }

    fn tell_suspension(&mut self, suspended: bool) -> Option<Action> {
        let told = outcome::tell_suspension(self.step.now, &mut self.status, suspended)?;
        let reason = if suspended { "Suspended" } else { "Resumed" };
        Some(self.say(reason, told.to_owned()))
    }

    /// When the Job's `activeDeadlineSeconds` are over, if that is yet to come.
    fn deadline(&self) -> Option<Timestamp> {
        self.ends_at().filter(|at| *at > self.step.now)
    }

    fn ends_at(&self) -> Option<Timestamp> {
        let seconds = self.job["spec"]["activeDeadlineSeconds"].as_i64()?;
        let since: Timestamp = self.status["startTime"].as_str()?.parse().ok()?;
        let suspended = self.job["spec"]["suspend"] == true;
        let at = since.checked_add(SignedDuration::from_secs(seconds)).ok();
        at.filter(|_| !suspended)
    }
}

/// Deletes a Job that has ended and has outlived its `ttlSecondsAfterFinished` (KEP-592).
fn outlived(step: &Step<'_>, key: &Key, job: &Value) -> Decided {
    let seconds = job["spec"]["ttlSecondsAfterFinished"].as_i64();
    let Some((seconds, at)) = seconds.zip(outcome::finished_at(job)) else {
        return Decided::default();
    };
    match at.checked_add(SignedDuration::from_secs(seconds)) {
        Ok(end) if end > step.now => Decided {
            wake: Some(end),
            ..Decided::default()
        },
        _ if is_ending(job) => Decided::default(),
        _ => Decided::to(vec![Action::Delete(key.clone(), None)]),
    }
}
