//! Counting a Job's Pods: noted, let go, counted, so that each counts once.

use headless_objects::object::{array, fields, is_ending};
use serde_json::{Value, json};

use super::super::{Action, BURST, count};
use super::Look;
use super::failures::{Fate, fate};
use super::indexes::{self, index_of};
use super::outcome::End;
use super::pods::{has_failed, has_succeeded, is_tracked, untracked};

/// Where the UIDs stand of what is let go and not counted yet.
const UNCOUNTED: &str = "uncountedTerminatedPods";

/// How a Pod ends, as the fields of a status are called.
const ENDS: [&str; 2] = ["succeeded", "failed"];

impl Look<'_> {
    fn noted(&self, end: &str) -> impl Iterator<Item = &Value> {
        array(&self.status[UNCOUNTED][end])
    }

    fn is_noted(&self, pod: &Value, end: &str) -> bool {
        let uid = &pod["metadata"]["uid"];
        self.noted(end).any(|noted| noted == uid)
    }

    /// Whether something is noted, or left over for the next look, that is not counted yet.
    pub(super) fn is_counting(&self) -> bool {
        ENDS.iter().any(|end| self.noted(end).next().is_some())
    }

    /// Counts what was noted and has been let go.
    pub(super) fn fold(&mut self) {
        let held = |uid: &Value| {
            let mut pods = self.pods.iter();
            pods.any(|(_, pod)| pod["metadata"]["uid"] == *uid && is_tracked(pod))
        };
        let before = ENDS.map(|end| self.noted(end).cloned().collect::<Vec<_>>());
        let (mut left, mut counts) = (json!({}), Vec::new());
        for (end, noted) in ENDS.into_iter().zip(before) {
            let (held, free): (Vec<_>, Vec<_>) = noted.into_iter().partition(held);
            if !held.is_empty() {
                left[end] = held.into();
            }
            counts.push((end, count(free.len())));
        }
        self.status[UNCOUNTED] = left;
        for (end, more) in counts.into_iter().filter(|(_, more)| *more > 0) {
            self.status[end] = (self.status[end].as_i64().unwrap_or_default() + more).into();
        }
    }

    /// The Pods that are held and not noted yet.
    pub(super) fn fresh(&self) -> impl Iterator<Item = &Value> {
        let held = self.pods.iter().map(|(_, pod)| *pod);
        held.filter(|pod| {
            let is_noted = ENDS.iter().any(|end| self.is_noted(pod, end));
            is_tracked(pod) && !is_noted && self.has_place(pod)
        })
    }

    /// Whether the Pod is one of those that count: of an Indexed Job, one with a number.
    fn has_place(&self, pod: &Value) -> bool {
        let indexes = self.indexes.as_ref();
        indexes.is_none_or(|indexes| index_of(pod).is_some_and(|index| indexes.has(index)))
    }

    /// How many Pods have succeeded, counted or not.
    pub(super) fn succeeded(&self) -> i64 {
        if let Some(indexes) = &self.indexes {
            return count(indexes.succeeded.len());
        }
        let fresh = self.fresh().filter(|pod| has_succeeded(pod)).count();
        self.counted("succeeded") + count(fresh)
    }

    /// How many Pods have failed, counted or not, but for those that count for nothing.
    pub(super) fn failed(&self) -> i64 {
        let failed = self.fresh().filter(|pod| has_failed(self.job, pod));
        let fresh = failed.filter(|pod| fate(self.job, pod) != Fate::Ignored);
        self.counted("failed") + count(fresh.count())
    }

    fn counted(&self, end: &str) -> i64 {
        let counted = self.status[end].as_i64().unwrap_or_default();
        counted + count(self.noted(end).count())
    }

    /// Notes the Pods that have ended, and lets them go; with a Job that ends, all of them.
    pub(super) fn count_ended(&mut self, end: Option<&End>) -> Vec<Action> {
        let all_fail = end.is_some_and(End::is_failure);
        let over = end.is_some() || is_ending(self.job);
        let (mut notes, mut free) = (Vec::new(), Vec::new());
        let held = self.pods.iter().filter(|(_, pod)| is_tracked(pod));
        for (at, pod) in held {
            if free.len() == BURST {
                break;
            }
            let failed = has_failed(self.job, pod);
            let may_go = failed && !self.is_kept(pod);
            if !(over || has_succeeded(pod) || may_go) {
                continue;
            }
            free.push(untracked(at, pod));
            let [noted, failed_before] = ENDS.map(|end| self.is_noted(pod, end));
            if has_succeeded(pod) && !failed_before {
                if self.indexes.is_none() && !noted {
                    notes.push((ENDS[0], pod["metadata"]["uid"].clone()));
                }
            } else if (failed || all_fail)
                && !failed_before
                && self.has_place(pod)
                && fate(self.job, pod) != Fate::Ignored
            {
                notes.push((ENDS[1], pod["metadata"]["uid"].clone()));
            }
        }
        for (end, uid) in notes {
            let mut noted: Vec<_> = self.noted(end).cloned().collect();
            noted.push(uid);
            let mut uncounted = fields(&self.status[UNCOUNTED]);
            uncounted[end] = noted.into();
            self.status[UNCOUNTED] = uncounted;
        }
        free
    }

    /// Whether the Pod is kept until another of its number is there, which has its count of failures.
    fn is_kept(&self, pod: &Value) -> bool {
        let indexes = self.indexes.as_ref();
        indexes::have_limits(self.job) && indexes.is_some_and(|indexes| indexes.keeps(pod))
    }
}
