//! The sets to work on, and when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use headless_objects::backoff;
use jiff::Timestamp;

use super::kinds::Name;
use crate::statefulset::{Failures, Warning};

/// The first wait after a failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(10);

/// What the controller remembers of a set.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) failures: Failures,
    /// The warnings of the last reconcile, which have been reported.
    pub(super) said: BTreeSet<Warning>,
    /// Reconciles in a row that have failed.
    pub(super) tries: u32,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    ready: BTreeSet<Name>,
    /// The sets that are worked on, each with how many of the cache's lists had begun at its start.
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

    /// A set is not worked on any more. Returns how many lists had begun at its start.
    pub(super) fn finish(&mut self, name: &Name) -> Option<u64> {
        self.running.remove(name)
    }

    /// A reconcile has failed: it is tried again, later each time. Returns how often it has by now.
    pub(super) fn failed(&mut self, name: &Name, now: Timestamp) -> u32 {
        let memory = self.memory(name);
        let wait = backoff(FIRST, LONGEST, memory.tries);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> Name {
        ("default".into(), name.into())
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn a_set_that_is_worked_on_is_taken_again_only_afterwards() {
        let mut queue = Queue::default();
        queue.add([name("a")]);
        assert_eq!(queue.next(at(0)), Some(name("a")));
        queue.start(&name("a"), 7);
        queue.add([name("a"), name("b")]);
        assert_eq!(queue.next(at(0)), Some(name("b")));
        assert_eq!(queue.next(at(0)), None);
        assert_eq!(queue.finish(&name("a")), Some(7));
        assert_eq!(queue.next(at(0)), Some(name("a")));
    }

    #[test]
    fn a_set_is_due_at_the_earliest_of_its_times() {
        let mut queue = Queue::default();
        queue.add_at(&name("a"), at(50));
        queue.add_at(&name("a"), at(30));
        queue.add_at(&name("a"), at(40));
        assert_eq!((queue.next(at(29)), queue.wake()), (None, Some(at(30))));
        assert_eq!((queue.next(at(30)), queue.wake()), (Some(name("a")), None));
    }

    #[test]
    fn a_set_that_fails_is_tried_again_later_each_time_up_to_ten_seconds() {
        let mut queue = Queue::default();
        let mut waits = Vec::new();
        for tries in 1..=12 {
            assert_eq!(queue.failed(&name("a"), at(0)), tries);
            waits.push(queue.wake().unwrap().as_millisecond());
            queue.next(queue.wake().unwrap());
        }
        assert_eq!(
            waits,
            [
                20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_000, 10_000, 10_000
            ]
        );
    }
}
