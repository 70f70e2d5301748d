//! Whether the API server answers, over all watches: each change is logged once.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::Mutex;

use tracing::{info, warn};

use crate::store::Watched;

/// The watches that fail at present.
#[derive(Debug, Default)]
pub(super) struct Connection {
    failing: Mutex<BTreeSet<Watched>>,
}

impl Connection {
    /// A watch has failed.
    pub(super) fn failed(&self, watched: Watched, error: &dyn Display) {
        let mut failing = self
            .failing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if failing.is_empty() {
            warn!(?watched, %error, "the API server cannot be watched; what is known stays served");
        }
        failing.insert(watched);
    }

    /// A watch has delivered.
    pub(super) fn works(&self, watched: Watched) {
        let mut failing = self
            .failing
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if failing.remove(&watched) && failing.is_empty() {
            info!("the API server is watched again");
        }
    }
}
