//! The StatefulSet controller: observe, plan, act, requeue. It decides nothing; [`plan`] does.
//!
//! What it observes comes from watched caches. Nothing is planned before all of them are synced, and one set is never
//! worked on twice at a time.

mod act;
mod cache;
mod events;
mod fence;
mod kinds;
pub mod lease;
mod queue;
mod told;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use kube::Client;
use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use crate::statefulset::{Observed, Warning, is_kept_by_another, plan};
use act::{Act, Error};
use cache::Cache;
use kinds::{Name, Written};
use queue::{Memory, Queue};
use told::Told;

/// Sets that are worked on at a time, those left out that have taken longer than [`SLOT`].
const MAX_CONCURRENT: usize = 8;

/// After this a set counts no more: its requests hang, and others shall not wait for them.
const SLOT: Duration = Duration::from_secs(2);

/// Sets that are worked on at a time, all in all: each holds what its set is.
const MOST: usize = 256;

/// How many failures in a row are no warning, where somebody was faster or the cache lags.
const PATIENCE: u32 = 5;

/// The longest sleep: the time of day may be set.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// What has become of a reconcile.
struct Done {
    name: Name,
    written: Vec<Written>,
    wake: Option<Timestamp>,
    warnings: BTreeSet<Warning>,
    outcome: Result<(), Error>,
}

/// Reconciles every StatefulSet, for ever. `now`: the time of day, as the API server has it.
pub async fn run(client: Client, now: impl Fn() -> Timestamp + Send + Sync) {
    let began = now();
    let mut events = cache::watch(&client);
    let mut cache = Cache::default();
    let mut queue = Queue::default();
    let mut work: JoinSet<Done> = JoinSet::new();
    let slots = Slots::new();
    let told = Arc::default();
    loop {
        while cache.synced()
            && work.len() < MOST
            && slots.is_any()
            && let Some(name) = queue.next(now())
        {
            let Some(observed) = cache.observe(&name) else {
                queue.forget(&name);
                continue;
            };
            queue.start(&name, cache.lists());
            let times = Times { began, now: now() };
            let job = Job::new((&client, &told), queue.memory(&name), observed, times);
            work.spawn(slots.hold(job.run(name)));
        }
        let wait = queue.wake().map(|at| {
            let wait = at.duration_since(now());
            Duration::try_from(wait)
                .unwrap_or_default()
                .min(LONGEST_SLEEP)
        });
        tokio::select! {
            Some((kind, event)) = events.next() => queue.add(cache.take(kind, event)),
            Some(Ok(done)) = work.join_next() => finish(&mut queue, &mut cache, done, now()),
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() && work.len() < MOST && slots.is_any() => {}
            () = slots.freed.notified() => {}
        }
    }
}

/// Who may be worked on at once.
struct Slots {
    free: Arc<Semaphore>,
    /// One was given up before its work was done.
    freed: Arc<Notify>,
}

impl Slots {
    fn new() -> Self {
        Self {
            free: Arc::new(Semaphore::new(MAX_CONCURRENT)),
            freed: Arc::default(),
        }
    }

    fn is_any(&self) -> bool {
        self.free.available_permits() > 0
    }

    /// The work with one of the slots, of which there is one, for as long as that is its own.
    fn hold<W: Future>(&self, work: W) -> impl Future<Output = W::Output> + use<W> {
        let slot = Arc::clone(&self.free).try_acquire_owned();
        let freed = Arc::clone(&self.freed);
        async move {
            let mut work = pin!(work);
            if let Ok(done) = tokio::time::timeout(SLOT, &mut work).await {
                return done;
            }
            drop(slot);
            freed.notify_one();
            work.await
        }
    }
}

/// When the reconciler began, and when a reconcile does.
#[derive(Clone, Copy)]
struct Times {
    began: Timestamp,
    now: Timestamp,
}

/// A reconcile of one set.
struct Job {
    act: Act,
    observed: Observed,
    times: Times,
    /// What was the matter the last time.
    said: BTreeSet<Warning>,
}

impl Job {
    fn new(
        (client, told): (&Client, &Arc<Mutex<Told>>),
        memory: &mut Memory,
        mut observed: Observed,
        times: Times,
    ) -> Self {
        memory.failures.note(times.now, &observed.pods);
        observed.failures = memory.failures.clone();
        Self {
            act: Act::new(
                client.clone(),
                observed.set.clone(),
                times.now,
                Arc::clone(told),
            ),
            observed,
            times,
            said: std::mem::take(&mut memory.said),
        }
    }

    /// Runs to its end, a panic included.
    async fn run(self, name: Name) -> Done {
        let job = async {
            if is_kept_by_another(&self.observed, self.times.began) {
                self.leave_alone(name.clone()).await
            } else {
                self.reconcile(name.clone()).await
            }
        };
        let done = AssertUnwindSafe(job).catch_unwind().await;
        done.unwrap_or_else(|_panic| Done {
            name,
            written: Vec::new(),
            wake: None,
            warnings: BTreeSet::new(),
            outcome: Err(Error::Broken),
        })
    }

    async fn reconcile(&self, name: Name) -> Done {
        let plan = plan(&self.observed, self.times.now);
        let (written, outcome) = self.act.perform(&plan).await;
        let warnings = BTreeSet::from_iter(plan.warnings);
        self.say(&name, &warnings).await;
        Done {
            name,
            written,
            wake: plan.wake,
            warnings,
            outcome,
        }
    }

    /// A set that Kubernetes' own controller looks after: nothing is done but to say so.
    async fn leave_alone(&self, name: Name) -> Done {
        let warnings = BTreeSet::from([Warning {
            reason: "LeftAlone",
            message: "kube-controller-manager looks after this set: headless-dns leaves it alone until that runs with \
                --controllers=*,-statefulset-controller and this reconciler is started again"
                .into(),
        }]);
        self.say(&name, &warnings).await;
        Done {
            name,
            written: Vec::new(),
            wake: None,
            warnings,
            outcome: Ok(()),
        }
    }

    /// Reports the warnings that were not there before.
    async fn say(&self, name: &Name, warnings: &BTreeSet<Warning>) {
        for warning in warnings.difference(&self.said) {
            warn!(ns = %name.0, name = %name.1, reason = warning.reason, "{}", warning.message);
            self.act.warn(warning).await;
        }
    }
}

fn finish(queue: &mut Queue, cache: &mut Cache, done: Done, now: Timestamp) {
    let name = done.name;
    let lists = queue.finish(&name);
    if !cache.has(&name) {
        queue.forget(&name);
        return;
    }
    queue.memory(&name).said = done.warnings;
    if let Some(at) = done.wake {
        queue.add_at(&name, at);
    }
    // The cache takes in written objects at once, so that the next plan does not write them again; the sets that they
    // concern are due.
    if lists == Some(cache.lists()) {
        for write in done.written {
            queue.add(cache.wrote(write));
        }
    }
    let Err(error) = done.outcome else {
        queue.memory(&name).tries = 0;
        return;
    };
    let tries = queue.failed(&name, now);
    if error.lags() && tries <= PATIENCE {
        debug!(ns = %name.0, name = %name.1, %error, "look again");
    } else {
        warn!(ns = %name.0, name = %name.1, %error, tries, "reconcile failed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn work_that_hangs_keeps_its_slot_for_two_seconds_only() {
        let (slots, start) = (Slots::new(), Instant::now());
        let mut work: JoinSet<()> = JoinSet::new();
        for _ in 0..MAX_CONCURRENT {
            assert!(slots.is_any());
            work.spawn(slots.hold(std::future::pending()));
        }
        assert!(!slots.is_any());
        slots.freed.notified().await;
        assert_eq!((slots.is_any(), start.elapsed()), (true, SLOT));
        // What ends gives its own back at once.
        drop(work);
        let before = slots.free.available_permits();
        slots.hold(async {}).await;
        assert_eq!(slots.free.available_permits(), before);
    }
}
