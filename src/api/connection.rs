//! Whether the API server answers, over all watches: each change is logged once.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

/// How many different reasons are logged until the server is back: each kind of object may lack a right of its own.
const REASONS: usize = 16;

/// The watches that fail at present; `W` tells them apart.
#[derive(Debug)]
pub struct Connection<W>(Mutex<Failing<W>>);

#[derive(Debug)]
struct Failing<W> {
    watches: BTreeSet<W>,
    said: BTreeSet<String>,
}

impl<W> Default for Connection<W> {
    fn default() -> Self {
        Self(Mutex::new(Failing {
            watches: BTreeSet::new(),
            said: BTreeSet::new(),
        }))
    }
}

impl<W: Ord + Clone + Debug> Connection<W> {
    fn lock(&self) -> MutexGuard<'_, Failing<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A watch has failed, for this reason; `meanwhile`: what that means.
    pub fn failed(&self, watched: &W, reason: String, meanwhile: &str) {
        let mut failing = self.lock();
        failing.watches.insert(watched.clone());
        if failing.said.len() < REASONS && !failing.said.contains(&reason) {
            warn!(?watched, "{reason}; {meanwhile}");
            failing.said.insert(reason);
        }
    }

    /// A watch has delivered.
    pub fn works(&self, watched: &W) {
        let mut failing = self.lock();
        if failing.watches.remove(watched) && failing.watches.is_empty() {
            failing.said.clear();
            info!("the API server is watched again");
        }
    }
}
