//! What requests, watches and controllers share.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tracing::error;

use super::kind::KindId;
use super::runtime::Runtime;
use super::state::{Author, State};
use super::status::ApiStatus;
use super::tokens::Tokens;
use super::{custom, table};

/// What requests, watches and controllers share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// The last revision: whoever waits for a change waits here.
    pub(super) changed: watch::Sender<u64>,
    /// What runs the programs of Pods, where they do not pretend.
    pub(super) runtime: Option<Arc<dyn Runtime>>,
    /// What Pods show to be let in.
    pub(super) tokens: Tokens,
    clock: Clock,
    /// Requests that broke the server.
    panics: AtomicU64,
}

/// Tokio's clock, told as time of day: a paused clock stands still here too. It can be moved on.
struct Clock {
    start: Timestamp,
    since: tokio::time::Instant,
    /// Milliseconds.
    moved: AtomicU64,
}

impl Shared {
    pub(super) fn new(state: State, runtime: Option<Arc<dyn Runtime>>) -> Self {
        let clock = Clock {
            start: Timestamp::now(),
            since: tokio::time::Instant::now(),
            moved: AtomicU64::new(0),
        };
        Self {
            changed: watch::Sender::new(state.objects.revision()),
            state: Mutex::new(state),
            runtime,
            tokens: Tokens::new(rand::random()),
            clock,
            panics: AtomicU64::new(0),
        }
    }

    /// Does what a request asks for; a panic costs that request.
    pub(super) fn guard<T>(
        &self,
        request: &str,
        answer: impl FnOnce() -> Result<T, ApiStatus>,
    ) -> Result<T, ApiStatus> {
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
            let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
            error!(request, panics, "the embedded API broke at a request");
            Err(ApiStatus::broken())
        })
    }

    /// How many requests broke the server.
    pub(super) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Timestamp {
        let moved = Duration::from_millis(self.clock.moved.load(Ordering::Relaxed));
        let passed = self.clock.since.elapsed().saturating_add(moved);
        self.clock
            .start
            .saturating_add(passed)
            .unwrap_or(self.clock.start)
    }

    /// Moves the clock on. The caller must write a change then: it wakes those who wait for a time.
    pub(super) fn advance(&self, duration: Duration) {
        let moved = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.clock.moved.fetch_add(moved, Ordering::Relaxed);
    }

    /// The table of some objects. The caller holds no state.
    pub(super) fn table(&self, kind: KindId, objects: &[Value], include: &str) -> Value {
        let served = self.read().customs().get(kind).cloned();
        match served {
            Some(served) => custom::table(&served, objects, self.now(), include),
            None => table::table(kind.info(), objects, self.now(), include),
        }
    }

    /// The state, to read.
    pub(super) fn read(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The state, to change; then whoever waits is told.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        self.write_by(None, change)
    }

    /// The same, as somebody.
    pub(super) fn write_by<T>(
        &self,
        author: Option<Author>,
        change: impl FnOnce(&mut State) -> T,
    ) -> T {
        let mut state = self.read();
        let outcome = state.by(author, change);
        state.redefine(self.now());
        state.aggregate(self.now());
        let revision = state.objects.revision();
        drop(state);
        self.changed
            .send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        outcome
    }
}
