//! Sockets to an upstream that wait for the next question.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How many are kept where the file does not say it: enough for whoever asks much, and far from all that a process may open.
const MOST: usize = 256;

/// What connections to an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one question may wait for its answer.
    pub read_timeout: Duration,
    /// How long a connection without a question is kept.
    pub expire: Duration,
    /// How long any connection is kept; zero: as long as it is used.
    pub max_age: Duration,
    /// How many connections without a question are kept; 0: as many as are good.
    pub max_idle: usize,
    /// The address to ask from.
    pub source: Option<IpAddr>,
}

/// Those of one kind.
pub(super) struct Pool<T>(Mutex<Vec<Kept<T>>>);

/// A socket, and how old it is.
pub(super) struct Kept<T> {
    pub(super) socket: T,
    made: Instant,
    used: Instant,
}

impl<T> Kept<T> {
    /// A new one.
    pub(super) fn new(socket: T) -> Self {
        let now = Instant::now();
        Self {
            socket,
            made: now,
            used: now,
        }
    }
}

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Pool<T> {
    /// The one that was used last, where one is young enough; older ones are closed.
    pub(super) fn take(&self, limits: &Limits) -> Option<Kept<T>> {
        let now = Instant::now();
        let Limits {
            expire, max_age, ..
        } = *limits;
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| {
            now.duration_since(kept.used) < expire
                && (max_age.is_zero() || now.duration_since(kept.made) < max_age)
        });
        idle.pop()
    }

    /// Keeps one that has been used, where there is room.
    pub(super) fn put(&self, mut kept: Kept<T>, limits: &Limits) {
        kept.used = Instant::now();
        let most = match limits.max_idle {
            0 => MOST,
            most => most,
        };
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < most {
            idle.push(kept);
        }
    }
}
