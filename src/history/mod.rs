//! What names led to, and which object's change made it so: the changes of a store in a ring with a memory budget.

use std::collections::VecDeque;
use std::mem::size_of;

use crate::store::{Change, Delta, Resource};

/// Microseconds since 1970.
pub type Micros = i64;

/// The changes of the last while; the oldest go where there is no room.
#[derive(Debug)]
pub struct History {
    /// Octets that it may take, and that it takes.
    budget: usize,
    used: usize,
    entries: VecDeque<Entry>,
    /// How many there have been.
    recorded: u64,
    /// From when on every change is here.
    begins: Micros,
}

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was seen.
    pub at: Micros,
    /// The kind of the object that it came from.
    pub resource: Resource,
    /// The object, as `NAMESPACE/NAME`.
    pub object: Box<str>,
    /// The object's `resourceVersion`; empty where a list no longer had it.
    pub version: Box<str>,
    /// Names, and what they lead to since or no more.
    pub deltas: Box<[Delta]>,
}

/// A change of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told<'h> {
    /// When, and by which object.
    pub entry: &'h Entry,
    /// What has come and gone.
    pub delta: &'h Delta,
}

impl Entry {
    /// Octets that it takes, with what the allocator adds to each text.
    fn size(&self) -> usize {
        const EXTRA: usize = 16;
        let texts = |texts: &[Box<str>]| -> usize {
            let each = texts.iter().map(|text| text.len() + EXTRA);
            each.sum::<usize>() + size_of_val(texts)
        };
        let deltas = self
            .deltas
            .iter()
            .map(|delta| delta.name.len() + EXTRA + texts(&delta.added) + texts(&delta.removed));
        let own = size_of::<Self>() + self.object.len() + self.version.len() + 3 * EXTRA;
        own + size_of_val(&*self.deltas) + deltas.sum::<usize>()
    }
}

impl History {
    /// One that begins now and takes so many octets.
    #[must_use]
    pub fn new(now: Micros, budget: usize) -> Self {
        Self {
            budget,
            used: 0,
            entries: VecDeque::new(),
            recorded: 0,
            begins: now,
        }
    }

    /// Keeps a change that is seen now.
    pub fn record(&mut self, now: Micros, change: &Change) {
        let deltas = change.deltas();
        if deltas.is_empty() {
            return;
        }
        let key = &change.object.key;
        let entry = Entry {
            // A clock that is set back does not change the order.
            at: self.entries.back().map_or(now, |last| now.max(last.at)),
            resource: change.resource,
            object: format!("{}/{}", key.ns, key.name).into(),
            version: change.object.version.clone(),
            deltas: deltas.into(),
        };
        self.used += entry.size();
        self.recorded += 1;
        self.entries.push_back(entry);
        while self.used > self.budget
            && let Some(oldest) = self.entries.pop_front()
        {
            self.used -= oldest.size();
            self.begins = oldest.at;
        }
    }

    /// Changes were missed: what was before is not known any more.
    pub fn missed(&mut self, now: Micros) {
        self.entries.clear();
        self.used = 0;
        self.begins = now;
    }

    /// From when on every change is here.
    #[must_use]
    pub fn begins(&self) -> Micros {
        self.begins
    }

    /// How many changes have been kept, those that are gone too.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Octets that it takes.
    #[must_use]
    pub fn used(&self) -> usize {
        self.used
    }

    /// Every change, the oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// The changes of a name (`redis-0.redis.default.svc`), the oldest first.
    pub fn of<'h>(&'h self, name: &'h str) -> impl DoubleEndedIterator<Item = Told<'h>> {
        self.entries.iter().flat_map(move |entry| {
            let deltas = entry.deltas.iter();
            let own = deltas.filter(move |delta| delta.name.eq_ignore_ascii_case(name));
            own.map(move |delta| Told { entry, delta })
        })
    }

    /// What a name led to at a time, sorted, if it leads to `now` now; `None`: that was before it begins.
    #[must_use]
    pub fn at(&self, name: &str, now: &[Box<str>], time: Micros) -> Option<Vec<Box<str>>> {
        if time < self.begins {
            return None;
        }
        let mut targets = now.to_vec();
        let after = self.of(name).rev().take_while(|told| told.entry.at > time);
        for Told { delta, .. } in after {
            targets.retain(|target| !delta.added.contains(target));
            targets.extend(delta.removed.iter().cloned());
        }
        targets.sort_unstable();
        targets.dedup();
        Some(targets)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::build::event;
    use crate::store::{List, Store};
    use crate::zone::Zone;

    struct World {
        store: Store,
        history: History,
    }

    impl World {
        /// Begins at 0, with a Service that has one Pod.
        fn new(budget: usize) -> Self {
            let mut world = Self {
                store: Store::new(Arc::new(Zone::default()), [] as [List; 0]),
                history: History::new(0, budget),
            };
            world.at(0, "apply service default/redis headless");
            world.at(0, "apply slice default/r of redis redis-0=10.0.0.1");
            world
        }

        fn at(&mut self, now: Micros, line: &str) {
            for change in self.store.handle(1, event(line).unwrap()) {
                self.history.record(now, &change);
            }
        }
    }

    fn boxed(targets: &[&str]) -> Vec<Box<str>> {
        targets.iter().map(|target| Box::from(*target)).collect()
    }

    const REDIS_0: &str = "redis-0.redis.default.svc";

    #[test]
    fn what_a_name_led_to_is_known_for_every_time_since_it_begins() {
        let mut world = World::new(1 << 20);
        world.at(
            10,
            "apply slice default/r of redis redis-0=10.0.0.1!notready",
        );
        world.at(
            20,
            "apply slice default/r of redis redis-0=10.0.0.2 redis-1=10.0.0.3",
        );
        // A list that has the same objects says nothing new.
        world.at(30, "reset slices");
        world.at(
            30,
            "apply slice default/r of redis redis-0=10.0.0.2 redis-1=10.0.0.3",
        );
        world.at(30, "synced slices");
        let now = boxed(&["10.0.0.2"]);
        let at = |time| world.history.at("Redis-0.redis.default.svc", &now, time);
        assert_eq!(at(-1), None);
        assert_eq!(at(9), Some(boxed(&["10.0.0.1"])));
        assert_eq!(at(10), Some(boxed(&[])));
        assert_eq!([at(20), at(99)], [Some(now.clone()), Some(now.clone())]);
        let told: Vec<_> = world.history.of(REDIS_0).collect();
        let times: Vec<_> = told.iter().map(|told| told.entry.at).collect();
        assert_eq!(times, [0, 10, 20]);
        assert_eq!(&*told[1].entry.object, "default/r");
        assert_eq!(told[1].delta.removed[..], boxed(&["10.0.0.1"]));
        let own = boxed(&["10.0.0.2", "10.0.0.3"]);
        let set = world.history.at("redis.default.svc", &own, 19);
        assert_eq!(set, Some(boxed(&[])));
    }

    #[test]
    fn the_oldest_go_where_there_is_no_room_and_it_says_where_it_begins() {
        let mut world = World::new(2000);
        for i in 1..200_u8 {
            let line = format!("apply slice default/r of redis redis-0=10.0.1.{i}");
            world.at(i.into(), &line);
        }
        let History {
            used,
            budget,
            begins,
            ref entries,
            ..
        } = world.history;
        assert!(used <= budget && used > budget / 2, "{used}");
        assert_eq!(used, entries.iter().map(Entry::size).sum::<usize>());
        assert_eq!(begins + 1, entries[0].at);
        assert_eq!(
            world
                .history
                .at(REDIS_0, &boxed(&["10.0.1.199"]), begins - 1),
            None
        );
        let first = format!("10.0.1.{begins}");
        let at = world.history.at(REDIS_0, &boxed(&["10.0.1.199"]), begins);
        assert_eq!(at, Some(boxed(&[&first])));
    }

    #[test]
    fn what_was_before_changes_that_were_missed_is_not_known() {
        let mut world = World::new(1 << 20);
        world.history.missed(5);
        assert_eq!((world.history.begins(), world.history.used()), (5, 0));
        assert_eq!(world.history.at(REDIS_0, &[], 4), None);
        // A clock that is set back does not change the order.
        world.at(9, "delete slice default/r");
        world.at(7, "apply slice default/r of redis redis-0=10.0.0.1");
        let times: Vec<_> = world
            .history
            .of(REDIS_0)
            .map(|told| told.entry.at)
            .collect();
        assert_eq!(times, [9, 9]);
    }
}
