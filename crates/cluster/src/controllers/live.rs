//! Containers whose programs run: which is started next, and what the Pod's status says of it. No clock and no process: it
//! hears facts, and gives orders.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions::{self, is_past};
use super::containers::{self, LISTS};
use super::mounts::Given;
use super::policy::{is_restarted, is_sidecar};
use super::{Action, references, start};
use crate::faults::Faults;
use crate::kinds;
use crate::objects::{Change, Objects};
use crate::runtime::{Fact, Order, Run};
use crate::tokens::Tokens;
use headless_objects::object::is_ending;
use headless_objects::rfc3339::timestamp;

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
}

#[derive(Debug)]
struct Container {
    restarts: i64,
    state: State,
    /// How the run before this one ended.
    last: Option<Ended>,
}

#[derive(Clone, Debug)]
enum State {
    Waiting,
    Ordered,
    Running(Timestamp),
    Ended(Ended),
    /// It cannot be run: why, as reason and words.
    Refused(&'static str, String),
}

#[derive(Clone, Debug)]
struct Ended {
    code: i64,
    started: Timestamp,
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

impl Live {
    pub(super) fn new(tokens: Tokens) -> Self {
        let pods = BTreeMap::new();
        Self { tokens, pods }
    }

    /// Takes a fact in; what is said of an earlier run, or of a Pod that is gone, is not news.
    pub(super) fn hear(&mut self, now: Timestamp, fact: &Fact) {
        let (Fact::Started(run) | Fact::Refused(run, ..) | Fact::Ended(run, _)) = fact;
        let containers = self.pods.get_mut(&run.pod);
        let container = containers.and_then(|containers| containers.all.get_mut(&run.container));
        let Some(container) = container.filter(|known| known.restarts == run.restarts) else {
            return;
        };
        container.state = match fact {
            Fact::Started(_) => State::Running(now),
            Fact::Refused(_, reason, message) => State::Refused(reason, message.clone()),
            Fact::Ended(_, code) => {
                let started = match container.state {
                    State::Running(since) => since,
                    State::Waiting | State::Ordered | State::Ended(_) | State::Refused(..) => now,
                };
                State::Ended(Ended {
                    code: *code,
                    started,
                    at: now,
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

    /// Lets go what is left of Pods that are no more.
    pub(super) fn gone(&mut self, changes: &[Change]) -> Vec<Action> {
        let deleted = changes
            .iter()
            .filter(|change| change.deleted && change.key.kind == kinds::POD);
        let known = deleted.filter(|change| self.pods.remove(uid(&change.new)).is_some());
        known
            .flat_map(|change| {
                let forget = Order::Forget(uid(&change.new).to_owned());
                [release(&change.new), forget].map(Action::Order)
            })
            .collect()
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
        for (list, field) in LISTS {
            let mut statuses = Vec::new();
            for spec in look.pod["spec"][list].as_array().into_iter().flatten() {
                let name = spec["name"].as_str().unwrap_or_default();
                let known = containers
                    .all
                    .entry(name.to_owned())
                    .or_insert_with(Container::new);
                let why = blocked.get(name);
                if !initializes && !containers.stopping {
                    match known.advance(look, spec, why.is_some()) {
                        Next::Start(restarts) => {
                            let run = Run {
                                pod: uid.to_owned(),
                                container: name.to_owned(),
                                restarts,
                            };
                            let given = Given {
                                objects: look.objects,
                                tokens: &self.tokens,
                                pod: look.pod,
                            };
                            let start = start::of(&given, spec, run);
                            seen.orders.push(Order::Start(Box::new(start)));
                        }
                        Next::Wait(at) => {
                            seen.wake = Some(seen.wake.map_or(at, |wake| wake.min(at)))
                        }
                        Next::Rest => {}
                    }
                }
                let status = known.status(look.pod, spec, (initializes, why));
                initializes |= list == "initContainers" && !is_past(spec, &status);
                statuses.push(status);
            }
            if !statuses.is_empty() {
                seen.pod["status"][field] = statuses.into();
            }
        }
        if containers.stopping {
            conditions::derive_last(&mut seen.pod, &timestamp(look.now));
        } else {
            conditions::derive(&mut seen.pod, &timestamp(look.now));
        }
        if only_sidecars_run(&seen.pod) {
            seen.orders.extend(self.stop(look.pod));
        }
        seen
    }
}

/// Whether sidecars run on beside containers that have all ended for good.
fn only_sidecars_run(pod: &Value) -> bool {
    let containers = conditions::with_status(pod, "containers");
    let done = containers.iter().all(|(container, status)| {
        let code = status["state"]["terminated"]["exitCode"].as_i64();
        code.is_some_and(|code| !is_restarted(&pod["spec"], container, code))
    });
    let sidecars = conditions::with_status(pod, "initContainers");
    done && sidecars
        .iter()
        .any(|(_, status)| status["state"]["running"].is_object())
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
    fn new() -> Self {
        Self {
            restarts: 0,
            state: State::Waiting,
            last: None,
        }
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
                self.start(look, spec)
            }
            State::Waiting | State::Ordered | State::Running(_) | State::Refused(..) => Next::Rest,
        }
    }

    /// Has it started; one that is to fail, as the Pod's annotations ask for, has ended at once.
    fn start(&mut self, look: &Look<'_>, spec: &Value) -> Next {
        let name = spec["name"].as_str().unwrap_or_default();
        match look.faults.exits.get(name) {
            Some(code) => {
                let (code, started, at) = (*code, look.now, look.now);
                self.state = State::Ended(Ended { code, started, at });
                Next::Rest
            }
            None => {
                self.state = State::Ordered;
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
            State::Refused(reason, message) => waiting(reason, message),
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
        let done =
            matches!(&self.state, State::Ended(ended) if ended.code == 0 && is_init(pod, name));
        json!({
            "name": name, "image": spec["image"], "imageID": "", "containerID": id, "ready": runs || done, "started": runs,
            "restartCount": self.restarts, "state": state, "lastState": last.map_or(json!({}), |last| last.state(&id)),
        })
    }
}

impl State {
    /// Whether a program runs, or may be about to.
    fn lives(&self) -> bool {
        match self {
            Self::Ordered | Self::Running(_) => true,
            Self::Waiting | Self::Ended(_) | Self::Refused(..) => false,
        }
    }
}

impl Ended {
    fn state(&self, id: &Value) -> Value {
        let (started, at) = (timestamp(self.started), timestamp(self.at));
        containers::ended(self.code, (&started.into(), &at.into()), id)
    }

    /// Whether the container is to be started again.
    fn comes_back(&self, pod: &Value, spec: &Value) -> bool {
        let name = spec["name"].as_str().unwrap_or_default();
        let done = self.code == 0 && is_init(pod, name) && !is_sidecar(spec);
        let stops = is_ending(pod);
        !done && !stops && is_restarted(&pod["spec"], spec, self.code)
    }
}

/// The order to let go what a Pod has but its logs.
pub(super) fn release(pod: &Value) -> Order {
    Order::Release(uid(pod).to_owned())
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
    let mut inits = pod["spec"]["initContainers"]
        .as_array()
        .into_iter()
        .flatten();
    inits.any(|container| container["name"] == name)
}

fn uid(pod: &Value) -> &str {
    pod["metadata"]["uid"].as_str().unwrap_or_default()
}

/// How long the Pod's programs may take to end.
fn grace(pod: &Value) -> Duration {
    let seconds = pod["metadata"]["deletionGracePeriodSeconds"].as_u64();
    let own = || pod["spec"]["terminationGracePeriodSeconds"].as_u64();
    Duration::from_secs(seconds.or_else(own).unwrap_or(30))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Pod whose containers run, told what becomes of them.
    struct World {
        live: Live,
        pod: Value,
        now: Timestamp,
    }

    impl World {
        fn new(spec: Value) -> Self {
            Self {
                live: Live::new(Tokens::new([0; 32])),
                pod: json!({"metadata": {"uid": "u", "name": "p", "namespace": "default"}, "spec": spec, "status": {"podIP": "10.244.0.2"}}),
                now: Timestamp::UNIX_EPOCH,
            }
        }

        /// What is started, as container and restarts, and other orders as they are.
        fn look(&mut self) -> Vec<String> {
            let seen = self.live.look(&Look {
                now: self.now,
                objects: &Objects::default(),
                pod: &self.pod,
                faults: &Faults::default(),
            });
            self.pod = seen.pod;
            let shown = |order: Order| match order {
                Order::Start(start) => format!("{} {}", start.run.container, start.run.restarts),
                Order::Stop(uid, grace) => format!("stop {uid} {}", grace.as_secs()),
                Order::Release(uid) => format!("release {uid}"),
                Order::Forget(uid) => format!("forget {uid}"),
            };
            seen.orders.into_iter().map(shown).collect()
        }

        fn hear(&mut self, fact: fn(Run) -> Fact, container: &str, restarts: i64) {
            let run = Run {
                pod: "u".into(),
                container: container.into(),
                restarts,
            };
            self.live.hear(self.now, &fact(run));
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn state(&self, at: usize) -> (Value, Value, Value) {
            let status = &self.pod["status"]["containerStatuses"][at];
            let waiting = &status["state"]["waiting"]["reason"];
            (
                waiting.clone(),
                status["restartCount"].clone(),
                status["lastState"]["terminated"]["exitCode"].clone(),
            )
        }
    }

    #[test]
    fn init_containers_are_started_one_after_another_and_the_others_together() {
        let mut world = World::new(json!({
            "initContainers": [{"name": "a"}, {"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "x"}, {"name": "y"}],
        }));
        assert_eq!(world.look(), ["a 0"]);
        world.hear(Fact::Started, "a", 0);
        assert!(world.look().is_empty());
        world.hear(|run| Fact::Ended(run, 0), "a", 0);
        assert_eq!(world.look(), ["side 0"]);
        world.hear(Fact::Started, "side", 0);
        assert_eq!(world.look(), ["x 0", "y 0"]);
        world.hear(Fact::Started, "x", 0);
        world.look();
        assert_eq!(world.pod["status"]["phase"], "Pending");
        world.hear(Fact::Started, "y", 0);
        assert!(world.look().is_empty());
        assert_eq!(world.pod["status"]["phase"], "Running");
    }

    #[test]
    fn what_ends_is_started_again_at_once_and_then_after_pauses() {
        let mut world =
            World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
        world.look();
        world.hear(Fact::Started, "x", 0);
        world.hear(|run| Fact::Ended(run, 3), "x", 0);
        assert_eq!(world.look(), ["x 1"]);
        world.hear(Fact::Started, "x", 1);
        world.hear(|run| Fact::Ended(run, 3), "x", 1);
        assert!(world.look().is_empty());
        assert_eq!(
            world.state(0),
            (json!("CrashLoopBackOff"), json!(1), json!(3))
        );
        world.wait(10);
        assert_eq!(world.look(), ["x 2"]);
        // What is said of an earlier run is not news.
        world.hear(|run| Fact::Ended(run, 9), "x", 1);
        assert!(world.look().is_empty());
        assert_eq!(
            world.state(0),
            (json!("ContainerCreating"), json!(2), json!(3))
        );
    }

    #[test]
    fn what_cannot_be_run_says_why_and_is_not_tried_again() {
        let mut world = World::new(json!({"containers": [{"name": "x", "image": "nginx"}]}));
        world.look();
        let refused = |run| Fact::Refused(run, "ImagePullBackOff", "no".into());
        world.hear(refused, "x", 0);
        assert!(world.look().is_empty());
        let waiting = &world.pod["status"]["containerStatuses"][0]["state"]["waiting"];
        assert_eq!(
            *waiting,
            json!({"reason": "ImagePullBackOff", "message": "no"})
        );
    }

    #[test]
    fn a_pod_that_goes_is_asked_to_end_once_and_nothing_is_started_again() {
        let mut world =
            World::new(json!({"containers": [{"name": "x"}], "restartPolicy": "Always"}));
        world.look();
        world.hear(Fact::Started, "x", 0);
        world.pod["metadata"]["deletionTimestamp"] = "1970-01-01T00:00:05Z".into();
        world.pod["metadata"]["deletionGracePeriodSeconds"] = 5.into();
        let stop = Order::Stop("u".into(), Duration::from_secs(5));
        assert_eq!(world.live.stop(&world.pod), Some(stop));
        assert_eq!(world.live.stop(&world.pod), None);
        assert!(world.live.runs(&world.pod));
        world.hear(|run| Fact::Ended(run, 143), "x", 0);
        assert!(world.look().is_empty());
        assert!(!world.live.runs(&world.pod));
        assert_eq!(world.pod["status"]["phase"], "Failed");
    }

    #[test]
    fn sidecars_are_asked_to_end_after_the_others_have_ended_for_good() {
        let mut world = World::new(json!({
            "initContainers": [{"name": "side", "restartPolicy": "Always"}],
            "containers": [{"name": "x"}], "restartPolicy": "Never",
        }));
        world.look();
        world.hear(Fact::Started, "side", 0);
        world.look();
        world.hear(Fact::Started, "x", 0);
        world.hear(|run| Fact::Ended(run, 0), "x", 0);
        assert_eq!(world.look(), ["stop u 30"]);
        world.hear(|run| Fact::Ended(run, 143), "side", 0);
        assert!(world.look().is_empty());
        assert_eq!(world.pod["status"]["phase"], "Succeeded");
    }
}
