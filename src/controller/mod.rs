//! The StatefulSet controller: observe, plan, act, requeue. It decides nothing; [`plan`] does.
//!
//! What it observes comes from watched caches. Nothing is planned before all of them are synced, and one set is never
//! worked on twice at a time.

mod act;
mod cache;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use kube::Client;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::statefulset::{Observed, Plan, plan};
use act::Act;
use cache::{Cache, Name};

/// The first wait after a failure; it doubles up to [`LONGEST`].
const FIRST: Duration = Duration::from_millis(20);

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_secs(10);

/// Sets that are worked on at a time.
const MAX_CONCURRENT: usize = 8;

/// The sets to work on, and when.
#[derive(Default)]
struct Queue {
    ready: BTreeSet<Name>,
    running: BTreeSet<Name>,
    later: BTreeMap<Name, Instant>,
    failures: BTreeMap<Name, u32>,
}

/// Reconciles every StatefulSet, for ever. `now`: the time of day, as the API server has it.
pub async fn run(client: Client, now: impl Fn() -> Timestamp + Send + Sync) {
    let mut cache = Cache::watch(&client);
    let mut queue = Queue::default();
    let mut work: JoinSet<(Name, Result<Vec<act::Written>, kube::Error>)> = JoinSet::new();
    loop {
        if cache.synced() {
            while work.len() < MAX_CONCURRENT
                && let Some(name) = queue.next()
            {
                start(&mut work, &mut queue, (&cache, &client), name, now());
            }
        }
        let wake = queue.wake();
        tokio::select! {
            touched = cache.next() => queue.ready.extend(touched),
            Some(done) = work.join_next() => match done {
                Ok((name, outcome)) => finish(&mut queue, &mut cache, name, outcome),
                Err(error) => warn!(%error, "a reconcile broke"),
            },
            () = tokio::time::sleep_until(wake.unwrap_or_else(Instant::now)), if wake.is_some() => queue.due(),
        }
    }
}

fn start(
    work: &mut JoinSet<(Name, Result<Vec<act::Written>, kube::Error>)>,
    queue: &mut Queue,
    (cache, client): (&Cache, &Client),
    name: Name,
    now: Timestamp,
) {
    let Some(observed) = cache.observe(&name) else {
        queue.forget(&name);
        return;
    };
    let plan = plan(&observed, now);
    if let Some(why) = &plan.blocked {
        warn!(ns = %name.0, name = %name.1, "the set cannot go on: {why}");
    }
    if let Some(at) = plan.wake {
        let wait = at.duration_since(now).unsigned_abs();
        queue.later.insert(name.clone(), Instant::now() + wait);
    }
    if is_done(&observed, &plan) {
        return;
    }
    queue.running.insert(name.clone());
    let act = Act::new(client.clone(), observed.set, now);
    work.spawn(async move {
        let outcome = act.perform(plan).await;
        (name, outcome)
    });
}

fn is_done(observed: &Observed, plan: &Plan) -> bool {
    plan.actions.is_empty() && !act::differs(&observed.set["status"], &plan.status)
}

fn finish(
    queue: &mut Queue,
    cache: &mut Cache,
    name: Name,
    outcome: Result<Vec<act::Written>, kube::Error>,
) {
    queue.running.remove(&name);
    match outcome {
        Ok(written) => {
            // What was written is read at once, so that the next plan does not do it again.
            for write in written {
                cache.wrote(write);
            }
            queue.failures.remove(&name);
            queue.ready.insert(name);
        }
        Err(error) => {
            let failures = queue.failures.entry(name.clone()).or_default();
            let wait = FIRST.saturating_mul(1 << (*failures).min(16)).min(LONGEST);
            *failures += 1;
            // Somebody was faster, or the cache lags: look again.
            let lags =
                matches!(&error, kube::Error::Api(status) if matches!(status.code, 404 | 409));
            if lags {
                debug!(ns = %name.0, name = %name.1, %error, "look again");
            } else {
                warn!(ns = %name.0, name = %name.1, %error, "reconcile failed");
            }
            queue.later.insert(name, Instant::now() + wait);
        }
    }
}

impl Queue {
    /// A set that is ready to be worked on and is not worked on already.
    fn next(&mut self) -> Option<Name> {
        let next = self
            .ready
            .iter()
            .find(|name| !self.running.contains(*name))?
            .clone();
        self.ready.remove(&next);
        Some(next)
    }

    fn wake(&self) -> Option<Instant> {
        self.later.values().min().copied()
    }

    /// Moves sets whose time has come.
    fn due(&mut self) {
        let now = Instant::now();
        let due: Vec<Name> = self
            .later
            .iter()
            .filter(|(_, at)| **at <= now)
            .map(|(name, _)| name.clone())
            .collect();
        for name in due {
            self.later.remove(&name);
            self.ready.insert(name);
        }
    }

    fn forget(&mut self, name: &Name) {
        self.later.remove(name);
        self.failures.remove(name);
    }
}
