//! How many datagrams have come: a server that leaves answers as long as some come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counters, one for each lane: no two lanes write to one.
#[derive(Clone, Debug, Default)]
pub struct Heard(Arc<Mutex<Vec<Arc<AtomicU64>>>>);

impl Heard {
    /// How many have come at all lanes.
    #[must_use]
    pub fn total(&self) -> u64 {
        let counters = self.lock();
        let each = counters.iter();
        each.map(|counter| counter.load(Ordering::Relaxed)).sum()
    }

    /// The counter of another lane.
    pub(super) fn counter(&self) -> Arc<AtomicU64> {
        let counter = Arc::<AtomicU64>::default();
        self.lock().push(Arc::clone(&counter));
        counter
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<AtomicU64>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
