//! What runs beside an API server: scheduler and kubelet, EndpointSlices, volumes, garbage collection.
//!
//! Each is a decision: objects and time in, actions out. One task steps them all whenever something has changed, and
//! performs what they decide.

mod balancers;
pub(crate) mod budgets;
mod checks;
mod collector;
mod conditions;
mod containers;
mod endpoints;
mod environment;
mod events;
mod fields;
mod furnish;
mod held;
mod kubelet;
mod live;
mod mounts;
mod probes;
mod references;
mod resolver;
mod routes;
mod scheduler;
mod shown;
mod start;
mod volumes;
mod workloads;

use std::collections::BTreeSet;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tracing::{error, warn};

use super::faults;
use super::objects::{Change, Key, Objects};
use super::runtime::{Fact, Order};
use super::shared::Shared;
use super::state::{Author, DeleteOptions, MANAGER, Part, State};
use super::tokens::Tokens;
use crate::kinds::{self, KindId};
use crate::published::Published;

pub use kubelet::{Delays, Kubelet};
pub(crate) use references::missing_volume;
pub use scheduler::NODE;
pub(crate) use scheduler::node;

/// What a controller wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Create an object in a namespace.
    Create(KindId, String, Value),
    /// Create a Pod of an owner, and say of the owner that it was made or refused.
    CreatePod(Key, Value),
    /// Create a Job of a CronJob for a time of its schedule, note it in the CronJob's status, and say what became of it.
    StartJob(Key, Value, Timestamp),
    /// Replace a part of an object.
    Update(Key, Part, Value),
    /// Delete an object: with grace, or this incarnation (its UID) at once.
    Delete(Key, Option<String>),
    /// Say an Event, or count it where it has been said before.
    Say(Value),
    /// Make what every namespace has, where this one has it not.
    Furnish(String),
    /// Remove an object whose end has come: a namespace that is empty, an Event that is old.
    Remove(Key),
    /// Move the cluster's clock, and take from a Pod the annotation that asked for it.
    Advance(Key, Duration),
    /// Have a runtime do something.
    Order(Order),
    /// Let an owner go whose dependents are gone.
    FinishForeground(Key),
}

/// What a controller looks at: objects that have changed since its last step.
pub struct Step<'a> {
    /// The time.
    pub now: Timestamp,
    /// All objects, as they are.
    pub objects: &'a Objects,
    /// What has changed.
    pub changes: &'a [Change],
}

/// Every controller, with what each must remember.
#[derive(Debug)]
pub(super) struct Controllers {
    kubelet: Kubelet,
    collector: collector::Collector,
    endpoints: endpoints::Endpoints,
    expiry: events::Expiry,
    workloads: workloads::Workloads,
    /// Where connections go, where Pods run.
    router: Option<routes::Router>,
    /// Nothing works beside the API server.
    alone: bool,
    /// Changes up to this revision have been looked at.
    seen: u64,
}

impl Controllers {
    /// `of_runtime`: what Pods are given that run programs, and do not pretend, and which Services are published.
    pub(super) fn new(delays: Delays, of_runtime: Option<(Tokens, Vec<Published>)>) -> Self {
        let (collector, endpoints) = (
            collector::Collector::default(),
            endpoints::Endpoints::default(),
        );
        let (kubelet, router) = match of_runtime {
            Some((tokens, published)) => (
                Kubelet::of_runtime(delays, tokens),
                Some(routes::Router::new(published)),
            ),
            None => (Kubelet::new(delays), None),
        };
        Self {
            router,
            kubelet,
            collector,
            endpoints,
            expiry: events::Expiry::default(),
            alone: false,
            workloads: workloads::Workloads::default(),
            seen: 0,
        }
    }

    /// Those of an API server without a controller manager, a scheduler and a kubelet.
    pub(super) fn none() -> Self {
        Self {
            alone: true,
            ..Self::new(Delays::default(), None)
        }
    }

    /// One round: what to do now, and when to look again if nothing changes. What is old goes in every cluster.
    fn step(&mut self, now: Timestamp, objects: &Objects) -> (Vec<Action>, Option<Timestamp>) {
        let changes = changes(objects, self.seen);
        self.seen = objects.revision();
        let step = Step {
            now,
            objects,
            changes: &changes,
        };
        if self.alone {
            return self.expiry.step(&step);
        }
        let mut actions = furnish::step(&step);
        actions.extend(volumes::step(&step));
        actions.extend(balancers::step(&step));
        actions.extend(budgets::step(&step));
        actions.extend(self.endpoints.step(&step));
        actions.extend(self.collector.step(&step));
        actions.extend(self.router.as_mut().and_then(|router| router.step(&step)));
        let (more, wake) = self.kubelet.step(&step);
        actions.extend(more);
        let (more, expiry) = self.expiry.step(&step);
        actions.extend(more);
        let (more, again) = self.workloads.step(&step);
        actions.extend(more);
        (actions, wake.into_iter().chain(expiry).chain(again).min())
    }
}

/// The changes since that revision; all objects, where the history does not go back so far.
#[must_use]
pub fn changes(objects: &Objects, seen: u64) -> Vec<Change> {
    match objects.since(seen) {
        Some(changes) => changes.cloned().collect(),
        None => everything(objects),
    }
}

fn everything(objects: &Objects) -> Vec<Change> {
    let all = KindId::all().flat_map(|kind| objects.list(kind, None));
    let change = |(key, object): (&Key, &Arc<Value>)| Change {
        revision: objects.revision(),
        key: key.clone(),
        old: None,
        new: Arc::clone(object),
        deleted: false,
    };
    all.map(change).collect()
}

/// What a controller decides about one object. `None`: it panicked, which costs this object its step and nothing else.
fn about<T>(key: &Key, decide: impl FnOnce() -> T) -> Option<T> {
    let decided = std::panic::catch_unwind(AssertUnwindSafe(decide));
    if decided.is_err() {
        error!(kind = key.kind.info().kind, ns = %key.ns, name = %key.name, "a controller of the embedded cluster broke at this object");
    }
    decided.ok()
}

/// Steps the controllers for as long as the cluster lives.
pub(super) async fn run(shared: Arc<Shared>, mut controllers: Controllers) {
    let mut changed = shared.changed.subscribe();
    loop {
        changed.borrow_and_update();
        let now = shared.now();
        let (actions, wake) = controllers.step(now, &shared.read().objects);
        if !actions.is_empty() {
            for action in &actions {
                match (action, &shared.runtime) {
                    (Action::Advance(_, duration), _) => shared.advance(*duration),
                    (Action::Order(order), Some(runtime)) => runtime.perform(order.clone()),
                    _ => {}
                }
            }
            let done = shared.write(|state| {
                let before = state.objects.revision();
                actions
                    .into_iter()
                    .for_each(|action| perform(state, now, action));
                state.objects.revision() != before
            });
            // Actions that changed nothing, such as a delete that finalizers hold up, are tried again only after a
            // change.
            if done {
                tokio::task::yield_now().await;
                continue;
            }
        }
        let wait = wake.map(|at| {
            at.duration_since(now)
                .unsigned_abs()
                .max(Duration::from_millis(1))
        });
        tokio::select! {
            changed = changed.changed() => if changed.is_err() { return },
            fact = next_fact(&shared) => controllers.kubelet.hear(shared.now(), &fact),
            () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
        }
    }
}

/// The next fact of the runtime, where there is one.
async fn next_fact(shared: &Shared) -> Fact {
    match &shared.runtime {
        Some(runtime) => runtime.fact().await,
        None => std::future::pending().await,
    }
}

/// Who writes in a real cluster what an action writes; `None`: nobody owns it, such as the node that a Pod is bound to.
fn author(action: &Action, now: Timestamp) -> Option<Author> {
    match action {
        Action::Update(key, Part::Main, _) if key.kind == kinds::POD => None,
        Action::Update(key, Part::Status, _) => {
            let is_kubelets = [kinds::POD, kinds::NODE].contains(&key.kind);
            let manager = if is_kubelets { "kubelet" } else { MANAGER };
            Some(Author::new(manager, now).through(key.kind, "status"))
        }
        Action::Say(event) => {
            let component = event["source"]["component"].as_str();
            Some(Author::new(component.unwrap_or_default(), now))
        }
        Action::Create(..)
        | Action::CreatePod(..)
        | Action::StartJob(..)
        | Action::Update(..)
        | Action::Delete(..)
        | Action::Furnish(_)
        | Action::Remove(_)
        | Action::Advance(..)
        | Action::Order(_)
        | Action::FinishForeground(_) => Some(Author::new(MANAGER, now)),
    }
}

/// The executor in memory: does what it is told and decides nothing.
fn perform(state: &mut State, now: Timestamp, action: Action) {
    let author = author(&action, now);
    state.by(author, |state| act(state, now, action));
}

fn act(state: &mut State, now: Timestamp, action: Action) {
    let outcome = match action {
        Action::Create(kind, ns, object) => state.create(now, kind, &ns, object, false).map(drop),
        Action::CreatePod(owner, pod) => {
            workloads::create(state, now, &owner, pod);
            Ok(())
        }
        Action::StartJob(cron, job, at) => {
            workloads::start(state, now, (&cron, job, at));
            Ok(())
        }
        Action::Update(key, part, object) => state.update(&key, part, object, false).map(drop),
        Action::Delete(key, uid) => {
            let grace = uid.as_ref().map(|_| 0);
            state
                .delete(
                    now,
                    &key,
                    &DeleteOptions {
                        grace,
                        uid,
                        ..DeleteOptions::default()
                    },
                )
                .map(drop)
        }
        Action::Furnish(ns) => {
            state.furnish(now, &ns);
            Ok(())
        }
        Action::Say(event) => {
            events::say(state, now, event);
            Ok(())
        }
        Action::Remove(key) => {
            state.remove(&key);
            Ok(())
        }
        // The Pod's change wakes those who wait for a time: they read the clock again.
        Action::Advance(key, _) => match state.objects.get(&key).map(|pod| Value::clone(pod)) {
            Some(mut pod) => {
                let annotations = pod["metadata"]["annotations"].as_object_mut();
                annotations.and_then(|all| all.shift_remove(faults::ADVANCE));
                state.update(&key, Part::Main, pod, false).map(drop)
            }
            None => Ok(()),
        },
        // Done before: it changes no object.
        Action::Order(_) => Ok(()),
        Action::FinishForeground(key) => {
            state.finish_foreground(&key);
            Ok(())
        }
    };
    // Somebody was faster: the next step sees what is there now.
    if let Err(status) = outcome
        && !matches!(status.code, 404 | 409)
    {
        warn!(error = %status.message, "a controller of the embedded cluster was refused");
    }
}

/// Keys of changed objects of a kind, each once.
fn touched(step: &Step<'_>, kind: &str) -> BTreeSet<Key> {
    let kind = KindId::named(kind);
    step.changes
        .iter()
        .filter(|c| c.key.kind == kind)
        .map(|c| c.key.clone())
        .collect()
}

#[cfg(test)]
mod tests;
