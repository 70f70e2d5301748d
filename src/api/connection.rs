//! Whether the API server answers, over all watches: each change is logged once.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

/// How many different reasons are logged until the server is back: each kind of object may lack a right of its own.
const REASONS: usize = 16;

/// The watches that fail at present; `W` tells them apart.
#[derive(Debug)]
pub struct Connection<W> {
    /// How many there are.
    watches: usize,
    failing: Mutex<Failing<W>>,
    away: watch::Sender<Option<Away>>,
}

/// The API server does not deliver all that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// Since when.
    pub since: Instant,
    /// No watch delivers; else some of them do.
    pub whole: bool,
    /// Why the watch fails that has failed last.
    pub why: String,
}

#[derive(Debug)]
struct Failing<W> {
    watches: BTreeSet<W>,
    /// Those whose right is missing, and not needed.
    without: BTreeSet<W>,
    said: BTreeSet<String>,
}

impl<W: Ord + Clone + Debug> Connection<W> {
    /// Over so many watches.
    #[must_use]
    pub fn over(watches: usize) -> Self {
        Self {
            watches,
            failing: Mutex::new(Failing {
                watches: BTreeSet::new(),
                without: BTreeSet::new(),
                said: BTreeSet::new(),
            }),
            away: watch::Sender::new(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Failing<W>> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the API server is away, as it changes.
    pub fn away(&self) -> watch::Receiver<Option<Away>> {
        self.away.subscribe()
    }

    /// A watch has failed, for this reason; `meanwhile`: what that means.
    pub fn failed(&self, watched: &W, reason: String, meanwhile: &str) {
        let mut failing = self.lock();
        failing.without.remove(watched);
        failing.watches.insert(watched.clone());
        let whole = failing.watches.len() + failing.without.len() >= self.watches;
        self.away.send_if_modified(|away| {
            let since = away.as_ref().map_or_else(Instant::now, |away| away.since);
            let why = reason.clone();
            let now = Some(Away { since, whole, why });
            std::mem::replace(away, now.clone()) != now
        });
        if failing.said.len() < REASONS && !failing.said.contains(&reason) {
            warn!(?watched, "{reason}; {meanwhile}");
            failing.said.insert(reason);
        }
    }

    /// The right to a watch is missing, and it is not needed: the server has answered.
    pub fn does_without(&self, watched: &W) {
        self.works(watched);
        self.lock().without.insert(watched.clone());
    }

    /// A watch has delivered.
    pub fn works(&self, watched: &W) {
        let mut failing = self.lock();
        failing.without.remove(watched);
        if !failing.watches.remove(watched) {
            return;
        }
        if failing.watches.is_empty() {
            failing.said.clear();
            self.away.send_replace(None);
            info!("the API server is watched again");
        } else {
            self.away.send_if_modified(|away| {
                let whole = away.as_mut().map(|away| &mut away.whole);
                whole.is_some_and(std::mem::take)
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_away_whose_watches_all_fail_but_for_those_that_are_not_needed() {
        let connection = Connection::over(2);
        let is_whole = |connection: &Connection<&str>| {
            connection.failed(&"services", "refused".to_owned(), "");
            let away = connection.away().borrow().clone();
            away.map(|away| away.whole)
        };
        // It has failed, before the server said that the right is missing.
        connection.failed(&"sets", "refused".to_owned(), "");
        connection.does_without(&"sets");
        assert_eq!(*connection.away().borrow(), None);
        assert_eq!(is_whole(&connection), Some(true));
        // The right has been given.
        connection.works(&"sets");
        connection.works(&"services");
        assert_eq!(is_whole(&connection), Some(false));
    }

    #[tokio::test(start_paused = true)]
    async fn the_server_is_away_from_the_first_failure_until_all_watches_work() {
        let connection = Connection::over(2);
        let mut away = connection.away();
        let since = Instant::now();
        connection.failed(&"pods", "refused".to_owned(), "");
        let is = |whole, why: &str| {
            let why = why.to_owned();
            Some(Away { since, whole, why })
        };
        assert_eq!(*away.borrow_and_update(), is(false, "refused"));
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        connection.failed(&"services", "reset".to_owned(), "");
        assert_eq!(*away.borrow_and_update(), is(true, "reset"));
        connection.failed(&"services", "reset".to_owned(), "");
        assert!(!away.has_changed().unwrap());
        connection.works(&"services");
        assert_eq!(*away.borrow_and_update(), is(false, "reset"));
        connection.works(&"pods");
        assert_eq!(*away.borrow_and_update(), None);
    }
}
