//! Whether the API server answers, over all watches: each change is logged once.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::store::Watched;

/// Reasons that are told apart until the server is back: each kind of object may lack a right of its own.
const REASONS: usize = 16;

/// The watches that fail at present.
#[derive(Debug, Default)]
pub(super) struct Connection(Mutex<Failing>);

#[derive(Debug, Default)]
struct Failing {
    watches: BTreeSet<Watched>,
    said: BTreeSet<String>,
}

impl Connection {
    fn lock(&self) -> MutexGuard<'_, Failing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch has failed, for this reason.
    pub(super) fn failed(&self, watched: Watched, reason: String) {
        let mut failing = self.lock();
        failing.watches.insert(watched);
        if failing.said.len() < REASONS && !failing.said.contains(&reason) {
            warn!(?watched, "{reason}; what is known stays served");
            failing.said.insert(reason);
        }
    }

    /// A watch has delivered.
    pub(super) fn works(&self, watched: Watched) {
        let mut failing = self.lock();
        if failing.watches.remove(&watched) && failing.watches.is_empty() {
            failing.said.clear();
            info!("the API server is watched again");
        }
    }
}
