//! Containers whose programs run: which is started next, and what the Pod's status says of it. No clock and no process: it
//! hears facts, and gives orders.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions::{self, is_past};
use super::containers::{self, EPHEMERAL, LISTS};
use super::mounts::Given;
use super::probes::Probes;
use super::shown::Shown;
use super::volumes::PROVISIONED_BY;
use super::{Action, references, start};
use crate::faults::Faults;
use crate::kinds;
use crate::objects::{Change, Objects};
use crate::policy::{is_restarted, is_sidecar};
use crate::runtime::{Fact, Kept, Order, Probe, ProbeKind, Refusal, Run};
use crate::tokens::Tokens;
use headless_objects::object::{array, is_ending, name, uid};
use headless_objects::rfc3339::timestamp;

/// The code of a container whose program could not be started: containerd's.
const NOT_STARTED: i64 = 128;

/// What is known of the containers that run, or did.
#[derive(Debug)]
pub(super) struct Live {
    tokens: Tokens,
    /// By UID.
    pods: BTreeMap<String, Containers>,
}

/// Those of a Pod.
#[derive(Debug, Default)]
struct Containers {
    all: BTreeMap<String, Container>,
    /// They have been asked to end.
    stopping: bool,
    shown: Shown,
}

#[derive(Debug, Default)]
struct Container {
    restarts: i64,
    state: State,
    /// How the run before this one ended.
    last: Option<Ended>,
    /// How often this run has been refused.
    refusals: i64,
    probes: Probes,
    /// What the probes have shown since the last look.
    probed: Vec<(ProbeKind, bool)>,
    /// What was to be done after its start has failed, and it is not asked to end for that yet.
    hook_failed: bool,
}

#[derive(Clone, Debug, Default)]
enum State {
    #[default]
    Waiting,
    Ordered,
    Running(Timestamp),
    Ended(Ended),
    /// What it needs cannot be had: it is tried again, which counts as no restart.
    Refused(Refused),
}

#[derive(Clone, Debug)]
struct Ended {
    code: i64,
    started: Timestamp,
    at: Timestamp,
    /// Why it has not even begun.
    why: Option<String>,
}

/// Why a container cannot be run, as reason and words.
#[derive(Clone, Debug)]
struct Refused {
    reason: &'static str,
    message: String,
    at: Timestamp,
}

/// A Pod to look at.
pub(super) struct Look<'a> {
    pub(super) now: Timestamp,
    pub(super) objects: &'a Objects,
    pub(super) pod: &'a Value,
    pub(super) faults: &'a Faults,
}

/// What a look has led to.
pub(super) struct Seen {
    /// The Pod, with the status that it has now.
    pub(super) pod: Value,
    pub(super) orders: Vec<Order>,
    /// When something is due.
    pub(super) wake: Option<Timestamp>,
}

impl Seen {
    /// Has a container started or probed, where that is due.
    fn serve(
        &mut self,
        look: &Look<'_>,
        tokens: &Tokens,
        container: &mut Container,
        (spec, blocked): (&Value, bool),
    ) {
        let run = |restarts| Run {
            pod: uid(look.pod).to_owned(),
            container: spec["name"].as_str().unwrap_or_default().to_owned(),
            restarts,
        };
        let mut due = None;
        match container.advance(look, spec, blocked) {
            Next::Start(restarts) => {
                let given = Given {
                    objects: look.objects,
                    tokens,
                    pod: look.pod,
                };
                let start = start::of(&given, spec, run(restarts));
                self.orders.push(Order::Start(Box::new(start)));
            }
            Next::Wait(at) => due = Some(at),
            Next::Rest => {}
        }
        let (orders, probe) = container.probe(look, spec, run);
        self.orders.extend(orders);
        self.wake = [self.wake, due, probe].into_iter().flatten().min();
    }
}

impl Live {
    pub(super) fn new(tokens: Tokens) -> Self {
        let pods = BTreeMap::new();
        Self { tokens, pods }
    }

    /// Takes a fact in; what is said of an earlier run, or of a Pod that is gone, is not news.
    pub(super) fn hear(&mut self, now: Timestamp, fact: &Fact) {
        let (Fact::Started(run)
        | Fact::Refused(run, ..)
        | Fact::Ended(run, _)
        | Fact::HookFailed(run)
        | Fact::Probed(run, ..)) = fact;
        let containers = self.pods.get_mut(&run.pod);
        let container = containers.and_then(|containers| containers.all.get_mut(&run.container));
        let Some(container) = container.filter(|known| known.restarts == run.restarts) else {
            return;
        };
        container.state = match fact {
            Fact::Probed(_, kind, good) => return container.probed.push((*kind, *good)),
            Fact::HookFailed(_) => {
                container.hook_failed = true;
                return;
            }
            Fact::Started(_) => State::Running(now),
            Fact::Refused(_, refusal, message) => match refusal {
                Refusal::Image | Refusal::Pod => {
                    container.refusals += 1;
                    State::Refused(Refused {
                        reason: refusal.reason(),
                        message: message.clone(),
                        at: now,
                    })
                }
                Refusal::Start => State::Ended(Ended {
                    code: NOT_STARTED,
                    started: now,
                    at: now,
                    why: Some(message.clone()),
                }),
            },
            Fact::Ended(_, code) => {
                let started = match container.state {
                    State::Running(since) => since,
                    State::Waiting | State::Ordered | State::Ended(_) | State::Refused(_) => now,
                };
                State::Ended(Ended {
                    code: *code,
                    started,
                    at: now,
                    why: None,
                })
            }
        };
    }

    /// Whether a program of the Pod runs, or may be about to.
    pub(super) fn runs(&self, pod: &Value) -> bool {
        let containers = self
            .pods
            .get(uid(pod))
            .into_iter()
            .flat_map(|pod| pod.all.values());
        containers
            .map(|container| &container.state)
            .any(State::lives)
    }

    /// Whether a container of the Pod has ever been looked after.
    pub(super) fn knows(&self, pod: &Value) -> bool {
        self.pods.contains_key(uid(pod))
    }

    /// Lets go what is left of Pods, and what was kept of claims, that are no more.
    pub(super) fn gone(&mut self, changes: &[Change]) -> Vec<Action> {
        let deleted = |kind| {
            let of_kind = move |change: &&Change| change.deleted && change.key.kind == kind;
            changes.iter().filter(of_kind).map(|change| &*change.new)
        };
        let known = deleted(kinds::POD).filter(|pod| self.pods.remove(uid(pod)).is_some());
        let pods = known.flat_map(|pod| [release(pod), Order::Forget(uid(pod).to_owned())]);
        let kept = deleted(kinds::PERSISTENT_VOLUME).filter_map(kept);
        let orders = pods.chain(kept.map(Order::Discard));
        orders.map(Action::Order).collect()
    }

    /// Asks the programs of a Pod that is being deleted to end, once.
    pub(super) fn stop(&mut self, pod: &Value) -> Option<Order> {
        let uid = uid(pod);
        let containers = self.pods.get_mut(uid)?;
        if std::mem::replace(&mut containers.stopping, true) {
            return None;
        }
        Some(Order::Stop(uid.to_owned(), grace(pod)))
    }

    /// Starts what is to be started, and says how all of the Pod's containers are.
    pub(super) fn look(&mut self, look: &Look<'_>) -> Seen {
        let uid = uid(look.pod);
        let containers = self.pods.entry(uid.to_owned()).or_default();
        let mut seen = Seen {
            pod: look.pod.clone(),
            orders: Vec::new(),
            wake: None,
        };
        let blocked = references::blocked(look.objects, look.pod);
        let mut initializes = false;
        for (list, field) in LISTS.into_iter().chain([EPHEMERAL]) {
            let is_helper = list == EPHEMERAL.0;
            let mut statuses = Vec::new();
            for spec in array(&look.pod["spec"][list]) {
                let name = spec["name"].as_str().unwrap_or_default();
                let known = containers.all.entry(name.to_owned()).or_default();
                let why = blocked.get(name).filter(|_| !is_helper);
                let waits = initializes && !is_helper;
                if !waits && !containers.stopping {
                    seen.serve(look, &self.tokens, known, (spec, why.is_some()));
                }
                let mut status = known.status(look.pod, spec, (waits, why));
                initializes |= list == "initContainers" && !is_past(spec, &status);
                if is_helper {
                    status["ready"] = false.into();
                    let fields = status.as_object_mut();
                    fields.map(|fields| fields.remove("started"));
                }
                statuses.push(status);
            }
            if !statuses.is_empty() {
                seen.pod["status"][field] = statuses.into();
            }
        }
        let given = Given {
            objects: look.objects,
            tokens: &self.tokens,
            pod: look.pod,
        };
        let shown = containers.shown.follow(&given, &seen.orders).into_iter();
        let shown = shown.map(|volume| Order::Show(uid.to_owned(), volume));
        seen.orders.extend(shown);
        if containers.stopping {
            conditions::derive_last(&mut seen.pod, &timestamp(look.now));
        } else {
            conditions::derive(&mut seen.pod, &timestamp(look.now));
        }
        if only_helpers_run(&seen.pod) {
            seen.orders.extend(self.stop(look.pod));
        }
        seen
    }
}

/// Whether sidecars and ephemeral containers run on beside containers that have all ended for good.
fn only_helpers_run(pod: &Value) -> bool {
    let helpers = [LISTS[0].1, EPHEMERAL.1].into_iter();
    let mut helpers = helpers.flat_map(|field| array(&pod["status"][field]));
    conditions::have_ended(pod) && helpers.any(|status| status["state"]["running"].is_object())
}

/// What a container needs next.
enum Next {
    /// To be started, after so many times.
    Start(i64),
    /// To be looked at again then.
    Wait(Timestamp),
    Rest,
}

impl Container {
    /// What its probes and its hook ask for, and when the next probe is due.
    fn probe(
        &mut self,
        look: &Look<'_>,
        spec: &Value,
        of: impl Fn(i64) -> Run,
    ) -> (Vec<Order>, Option<Timestamp>) {
        let run = of(self.restarts);
        let mut orders = Vec::new();
        if std::mem::take(&mut self.hook_failed) && self.state.lives() {
            orders.push(Order::End(run.clone(), grace(look.pod)));
        }
        let State::Running(since) = self.state else {
            return (orders, None);
        };
        for outcome in std::mem::take(&mut self.probed) {
            if self.probes.hear(look.now, spec, outcome) {
                orders.push(Order::End(run.clone(), grace(look.pod)));
            }
        }
        let (due, wake) = self.probes.due((look.now, since), look.pod, spec);
        orders.extend(due.into_iter().map(|due| {
            Order::Probe(Box::new(Probe {
                run: run.clone(),
                kind: due.kind,
                check: due.check,
                timeout: due.timeout,
            }))
        }));
        (orders, wake)
    }

    fn advance(&mut self, look: &Look<'_>, spec: &Value, blocked: bool) -> Next {
        match &self.state {
            State::Waiting if !blocked => self.start(look, spec),
            State::Ended(ended) => {
                if !ended.comes_back(look.pod, spec) {
                    return Next::Rest;
                }
                let due = ended
                    .at
                    .saturating_add(pause(self.restarts))
                    .unwrap_or(ended.at);
                if look.now < due {
                    return Next::Wait(due);
                }
                self.last = Some(ended.clone());
                self.restarts += 1;
                self.refusals = 0;
                self.start(look, spec)
            }
            State::Refused(refused) => {
                let pause = containers::pause(self.refusals - 1);
                let due = refused.at.saturating_add(pause).unwrap_or(refused.at);
                if look.now < due {
                    return Next::Wait(due);
                }
                self.start(look, spec)
            }
            State::Waiting | State::Ordered | State::Running(_) => Next::Rest,
        }
    }

    /// Has it started; one that is to fail, as the Pod's annotations ask for, has ended at once.
    fn start(&mut self, look: &Look<'_>, spec: &Value) -> Next {
        let name = spec["name"].as_str().unwrap_or_default();
        match look.faults.exits.get(name) {
            Some(code) => {
                self.state = State::Ended(Ended {
                    code: *code,
                    started: look.now,
                    at: look.now,
                    why: None,
                });
                Next::Rest
            }
            None => {
                self.state = State::Ordered;
                self.probes = Probes::default();
                self.probed.clear();
                self.hook_failed = false;
                Next::Start(self.restarts)
            }
        }
    }

    /// The status of the container; `waits`: one before it has not done its work; `why`: it refers to what is not there.
    fn status(&self, pod: &Value, spec: &Value, (waits, why): (bool, Option<&String>)) -> Value {
        let name = spec["name"].as_str().unwrap_or_default();
        let id = Value::from(format!("process://{}/{name}/{}", uid(pod), self.restarts));
        let mut last = self.last.as_ref();
        let state = match &self.state {
            State::Waiting | State::Ordered if waits => waiting("PodInitializing", ""),
            State::Waiting if why.is_some() => {
                waiting("CreateContainerConfigError", why.map_or("", String::as_str))
            }
            State::Waiting | State::Ordered => waiting("ContainerCreating", ""),
            State::Refused(Refused {
                reason, message, ..
            }) => waiting(reason, message),
            State::Running(since) => json!({"running": {"startedAt": timestamp(*since)}}),
            State::Ended(ended) if ended.comes_back(pod, spec) => {
                last = Some(ended);
                let seconds = pause(self.restarts).as_secs();
                let message = format!("back-off {seconds}s restarting failed container={name}");
                waiting("CrashLoopBackOff", &message)
            }
            State::Ended(ended) => ended.state(&id),
        };
        let runs = matches!(self.state, State::Running(_));
        let (started, ready) = (
            runs && self.probes.has_started(spec),
            runs && self.probes.is_ready(spec),
        );
        let done =
            matches!(&self.state, State::Ended(ended) if ended.code == 0 && is_init(pod, name));
        json!({
            "name": name, "image": spec["image"], "imageID": "", "containerID": id, "ready": ready || done, "started": started,
            "restartCount": self.restarts, "state": state, "lastState": last.map_or(json!({}), |last| last.state(&id)),
        })
    }
}

impl State {
    /// Whether a program runs, or may be about to.
    fn lives(&self) -> bool {
        match self {
            Self::Ordered | Self::Running(_) => true,
            Self::Waiting | Self::Ended(_) | Self::Refused(_) => false,
        }
    }
}

impl Ended {
    fn state(&self, id: &Value) -> Value {
        let (started, at) = (timestamp(self.started), timestamp(self.at));
        let mut ended = containers::ended(self.code, (&started.into(), &at.into()), id);
        if let Some(why) = &self.why {
            ended["terminated"]["reason"] = Refusal::Start.reason().into();
            ended["terminated"]["message"] = why.as_str().into();
        }
        ended
    }

    /// Whether the container is to be started again.
    fn comes_back(&self, pod: &Value, spec: &Value) -> bool {
        let name = spec["name"].as_str().unwrap_or_default();
        let done = self.code == 0 && is_init(pod, name) && !is_sidecar(spec);
        let stops = is_ending(pod) || is_of(pod, EPHEMERAL.0, name);
        !done && !stops && is_restarted(&pod["spec"], spec, self.code)
    }
}

/// The order to let go what a Pod has but its logs.
pub(super) fn release(pod: &Value) -> Order {
    Order::Release(uid(pod).to_owned())
}

/// What was kept in a volume that was made here for a claim, and that nobody wants to keep.
fn kept(volume: &Value) -> Option<Kept> {
    let (spec, by) = (
        &volume["spec"],
        &volume["metadata"]["annotations"][PROVISIONED_BY],
    );
    if spec["persistentVolumeReclaimPolicy"] != "Delete" || !by.is_string() {
        return None;
    }
    // Who writes a volume by hand may write anything there.
    let name_at = |field: &str| {
        let name = spec["claimRef"][field].as_str()?;
        let is_name = !name.is_empty() && !name.starts_with('.') && !name.contains('/');
        is_name.then(|| name.to_owned())
    };
    Some(Kept {
        volume: name(volume).to_owned(),
        ns: name_at("namespace")?,
        claim: name_at("name")?,
    })
}

fn waiting(reason: &str, message: &str) -> Value {
    let mut waiting = json!({"waiting": {"reason": reason}});
    if !message.is_empty() {
        waiting["waiting"]["message"] = message.into();
    }
    waiting
}

/// How long a container that has ended waits for its next start: not at all the first time.
fn pause(restarts: i64) -> Duration {
    if restarts == 0 {
        return Duration::ZERO;
    }
    containers::pause(restarts - 1)
}

fn is_init(pod: &Value, name: &str) -> bool {
    is_of(pod, "initContainers", name)
}

/// Whether the list of the Pod's spec has a container of this name.
fn is_of(pod: &Value, list: &str, name: &str) -> bool {
    array(&pod["spec"][list]).any(|container| container["name"] == name)
}

/// How long the Pod's programs may take to end.
fn grace(pod: &Value) -> Duration {
    let seconds = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
    let own = || pod["spec"]["terminationGracePeriodSeconds"].as_u64();
    Duration::from_secs(seconds.or_else(own).unwrap_or(30))
}
