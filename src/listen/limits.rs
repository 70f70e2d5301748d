//! How many connections there may be, and how much they may have waiting for them. Those that are idle go first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio_util::sync::CancellationToken;

/// What one connection may hold of memory while it is idle, in octets: its task, and what the kernel keeps for it.
const OF_ONE: u64 = 16 << 10;

/// Descriptors that are left for everything else: sockets, files, upstreams.
const LEFT: u64 = 256;

/// At least so many, and at most: a table of more is not looked through in a moment.
const FEWEST: u64 = 64;
const MOST: u64 = 100_000;

/// What replies that clients have not taken yet are counted in, in octets, and how much of them there may be.
pub(super) const UNIT: usize = 64 << 10;
const UNTAKEN: usize = (32 << 20) / UNIT;

/// What all sockets share.
#[derive(Clone)]
pub(super) struct Limits(Arc<Shared>);

struct Shared {
    most: usize,
    table: Mutex<Table>,
    untaken: Arc<Semaphore>,
}

#[derive(Default)]
struct Table {
    open: usize,
    /// Connections that wait for a question, by the order in which they began to.
    idle: BTreeMap<u64, CancellationToken>,
    next: u64,
}

/// A connection that counts as one until this is dropped.
pub(super) struct Slot {
    limits: Limits,
    /// Its place among the idle ones.
    idle: Option<u64>,
    /// Cancelled where another is to have the place.
    leave: CancellationToken,
}

/// How many connections there may be with so many descriptors and so much memory, in octets.
#[must_use]
pub fn connections(descriptors: u64, memory: u64) -> usize {
    // A quarter of the memory.
    let by_memory = memory / 4 / OF_ONE;
    let most = descriptors.saturating_sub(LEFT).min(by_memory);
    usize::try_from(most.clamp(FEWEST, MOST)).unwrap_or(usize::MAX)
}

impl Limits {
    pub(super) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most,
            table: Mutex::default(),
            untaken: Arc::new(Semaphore::new(UNTAKEN)),
        }))
    }

    /// A place for a new connection, where there is one, or where an idle one can go.
    pub(super) fn admit(&self) -> Option<Slot> {
        let mut table = self.lock();
        if table.open >= self.0.most {
            let (_, longest) = table.idle.pop_first()?;
            longest.cancel();
        }
        table.open += 1;
        drop(table);
        Some(Slot {
            limits: self.clone(),
            idle: None,
            leave: CancellationToken::new(),
        })
    }

    /// Room for so many octets that a client does not take at once; held until it has.
    pub(super) fn keep(&self, octets: usize) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        let units = u32::try_from(octets.div_ceil(UNIT)).unwrap_or(u32::MAX);
        Arc::clone(&self.0.untaken).try_acquire_many_owned(units)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Waits for a question: from here on the place may be given to another.
    pub(super) fn rest(&mut self) {
        let mut table = self.limits.lock();
        let at = table.next;
        table.next += 1;
        table.idle.insert(at, self.leave.clone());
        self.idle = Some(at);
    }

    /// Has a question.
    pub(super) fn work(&mut self) {
        if let Some(at) = self.idle.take() {
            self.limits.lock().idle.remove(&at);
        }
    }

    /// Cancelled where another is to have the place.
    pub(super) fn leave(&self) -> &CancellationToken {
        &self.leave
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.work();
        self.limits.lock().open -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_that_is_idle_longest_goes_and_where_none_is_the_new_one_does() {
        let limits = Limits::new(2);
        let (mut first, mut second) = (limits.admit().unwrap(), limits.admit().unwrap());
        assert!(limits.admit().is_none());
        second.rest();
        first.rest();
        second.work();
        second.rest();
        let third = limits.admit().unwrap();
        assert!(first.leave().is_cancelled() && !second.leave().is_cancelled());
        drop(third);
        // The first is on its way out, and still counts.
        assert!(limits.admit().is_some());
        assert!(second.leave().is_cancelled());
        drop((first, second));
        assert!(limits.admit().is_some());
    }

    #[test]
    fn descriptors_and_memory_say_how_many() {
        for (descriptors, memory, wanted) in [
            (1_048_576, 170 << 20, 2720),
            (1024, 24 << 30, 768),
            (20_000, 24 << 30, 19_744),
            (1_000_000, u64::MAX, 100_000),
            (300, 1 << 20, 64),
        ] {
            assert_eq!(connections(descriptors, memory), wanted);
        }
    }

    #[test]
    fn what_nobody_takes_has_a_limit() {
        let limits = Limits::new(1);
        let held = limits.keep(31 << 20).unwrap();
        assert!(limits.keep(2 << 20).is_err());
        drop(held);
        assert!(limits.keep(2 << 20).is_ok());
    }
}
