//! The sets to work on, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::cache::Name;
use crate::statefulset::{Failures, Warning};

/// The first wait after a failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(10);

/// What the controller remembers of a set.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) failures: Failures,
    /// What was the matter when it was looked at last, and is said.
    pub(super) said: BTreeSet<Warning>,
    /// Reconciles in a row that have failed.
    pub(super) tries: u32,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BTreeSet<Name>,
    /// With the lists of the cache that had begun.
    running: BTreeMap<Name, u64>,
    later: BTreeMap<Name, Timestamp>,
    memory: BTreeMap<Name, Memory>,
}

impl Queue {
    /// These are to be looked at.
    pub(super) fn add(&mut self, names: impl IntoIterator<Item = Name>) {
        self.ready.extend(names);
    }

    /// This one is to be looked at then, or before.
    pub(super) fn add_at(&mut self, name: &Name, at: Timestamp) {
        let due = self.later.entry(name.clone()).or_insert(at);
        *due = at.min(*due);
    }

    /// Takes a set that is due and is not worked on already.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Name> {
        let due = self.later.extract_if(.., |_, at| *at <= now);
        self.ready.extend(due.map(|(name, _)| name));
        let mut ready = self.ready.iter();
        let next = ready
            .find(|name| !self.running.contains_key(*name))?
            .clone();
        self.ready.remove(&next);
        Some(next)
    }

    /// When the next becomes due.
    pub(super) fn wake(&self) -> Option<Timestamp> {
        self.later.values().min().copied()
    }

    /// A set is worked on from now, after this many lists.
    pub(super) fn start(&mut self, name: &Name, lists: u64) {
        self.running.insert(name.clone(), lists);
    }

    /// It is not any more. Returns after how many lists that began.
    pub(super) fn finish(&mut self, name: &Name) -> Option<u64> {
        self.running.remove(name)
    }

    /// A reconcile has failed: it is tried again, later each time. Returns how often it has by now.
    pub(super) fn failed(&mut self, name: &Name, now: Timestamp) -> u32 {
        let memory = self.memory(name);
        let wait = FIRST.saturating_mul(1 << memory.tries.min(16)).min(LONGEST);
        memory.tries += 1;
        let tries = memory.tries;
        self.add_at(name, now.saturating_add(wait).unwrap_or(now));
        tries
    }

    pub(super) fn memory(&mut self, name: &Name) -> &mut Memory {
        self.memory.entry(name.clone()).or_default()
    }

    pub(super) fn forget(&mut self, name: &Name) {
        self.later.remove(name);
        self.memory.remove(name);
    }
}
