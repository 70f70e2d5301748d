//! The kubelet of every node: Pods get an address of their own for each incarnation, become Ready, and end.

use headless_objects::object::{SERVICE_NAME, has_ended, is_ending};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions::{self, Condition};
use super::containers::{self, Given};
use super::events::{event, once};
use super::held::Held;
use super::live::{self, Live};
use super::{Action, Step, about, references, scheduler};
use crate::faults::Faults;
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::runtime::Fact;
use crate::state::Part;
use crate::tokens::Tokens;
use headless_objects::rfc3339::timestamp;

/// How long Pods take.
#[derive(Clone, Copy, Debug, Default)]
pub struct Delays {
    /// From creation to Ready.
    pub start: Duration,
    /// From deletion to the end; not the Pod's own grace period.
    pub stop: Duration,
}

/// The least time between a Pod's going out of its slices and its end, so that whoever watches slices has seen it.
const SETTLE: Duration = Duration::from_millis(10);

/// The exit code of a program that SIGKILL has ended.
const KILLED: i64 = 137;

/// How long a Pod waits for its claims before it says so: most are bound at once.
const PATIENCE: Duration = Duration::from_secs(1);

/// kubeadm's range for Pods, 10.244.0.0/16, and its IPv6 counterpart.
const V4: u32 = u32::from_be_bytes([10, 244, 0, 0]);
const V6: u128 = 0xfd00_0010_0244 << 80;
const SIZE: u32 = 1 << 16;

/// The range's first address is the network's, the second the node's.
const FIRST: u32 = 2;

/// What the kubelet remembers.
#[derive(Debug)]
pub struct Kubelet {
    delays: Delays,
    next: u32,
    held: Held,
    /// What runs, where programs do.
    live: Option<Live>,
    /// Pods that may have something left to do, each with its `busy_state` and when it was first seen in that state.
    busy: BTreeMap<(Key, String), Timestamp>,
}

impl Kubelet {
    /// One that knows no Pods yet.
    #[must_use]
    pub fn new(delays: Delays) -> Self {
        Self {
            delays,
            next: FIRST,
            held: Held::default(),
            live: None,
            busy: BTreeMap::new(),
        }
    }

    /// One that gives orders to a runtime, and hears its facts.
    #[must_use]
    pub fn of_runtime(delays: Delays, tokens: Tokens) -> Self {
        Self {
            live: Some(Live::new(tokens)),
            ..Self::new(delays)
        }
    }

    /// Takes a fact in.
    pub fn hear(&mut self, now: Timestamp, fact: &Fact) {
        if let Some(live) = &mut self.live {
            live.hear(now, fact);
        }
    }

    /// What to do now, and when to look again if nothing changes.
    pub fn step(&mut self, step: &Step<'_>) -> (Vec<Action>, Option<Timestamp>) {
        let pods = kinds::POD;
        for change in step
            .changes
            .iter()
            .filter(|c| c.key.kind == pods && !c.deleted)
        {
            if let Some(state) = busy_state(&change.new) {
                self.busy
                    .entry((change.key.clone(), state))
                    .or_insert(step.now);
            }
        }
        self.held.follow(step.objects);
        let mut actions = self
            .live
            .as_mut()
            .map_or_else(Vec::new, |live| live.gone(step.changes));
        let mut wake = None::<Timestamp>;
        let mut done = BTreeSet::new();
        let mut placing = Placing::default();
        for ((key, state), since) in &self.busy {
            let pod = step
                .objects
                .get(key)
                .filter(|pod| busy_state(pod).as_ref() == Some(state));
            let Some(pod) = pod else {
                done.insert((key.clone(), state.clone()));
                continue;
            };
            let mut look = Look {
                step,
                key,
                pod,
                since: *since,
                delays: self.delays,
                faults: Faults::of(pod).0,
                held: &mut self.held,
                live: self.live.as_mut(),
            };
            let decision = about(key, || look.decide(&mut self.next, &mut placing));
            match decision.unwrap_or(Decision::Rest) {
                Decision::Rest => {
                    done.insert((key.clone(), state.clone()));
                }
                Decision::Wait(None) => {}
                Decision::Wait(Some(until)) => wake = Some(wake.map_or(until, |w| w.min(until))),
                Decision::Act(action) => actions.extend(action),
            }
        }
        self.busy.retain(|entry, _| !done.contains(entry));
        (actions, wake)
    }
}

/// A Pod's incarnation, stage and number of restarts, as text; `None` where it has ended and is not being deleted.
fn busy_state(pod: &Value) -> Option<String> {
    let uid = &pod["metadata"]["uid"];
    let (restarts, crashing) = containers::restarts(pod);
    let stage = match pod["status"]["phase"].as_str() {
        _ if is_ending(pod) => "ending",
        Some("Failed" | "Succeeded") => return None,
        _ if !pod["spec"]["nodeName"].is_string() => "unscheduled",
        Some("Pending") => "starting",
        _ if crashing => "crashing",
        _ => "running",
    };
    Some(format!("{uid}/{stage}/{restarts}"))
}

enum Decision {
    Act(Vec<Action>),
    /// Until then, or until something changes.
    Wait(Option<Timestamp>),
    /// Nothing is left to do.
    Rest,
}

/// What has been placed in this step. Who wants to be near others, or away from them, looks at objects, which do not
/// show it yet: such a Pod is placed alone.
#[derive(Default)]
struct Placing {
    any: bool,
    alone: bool,
}

/// A look at one Pod.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    pod: &'a Value,
    /// Since when it is in its present stage.
    since: Timestamp,
    delays: Delays,
    faults: Faults,
    held: &'a mut Held,
    live: Option<&'a mut Live>,
}

impl Look<'_> {
    fn decide(&mut self, next: &mut u32, placing: &mut Placing) -> Decision {
        let pod = self.pod;
        if let Some(duration) = self.faults.advance {
            return Decision::Act(vec![Action::Advance(self.key.clone(), duration)]);
        }
        if self.faults.lost {
            return self.node_lost();
        }
        if is_ending(pod) {
            return self.ending();
        }
        if !pod["spec"]["nodeName"].is_string() {
            return self.unscheduled(placing);
        }
        if let Some(phase) = self.faults.phase {
            return Decision::Act(self.ended(phase));
        }
        if !pod["status"]["podIP"].is_string() {
            return self.starting(next);
        }
        self.running().unwrap_or_else(|| self.started())
    }

    fn due(&self, delay: Duration) -> Timestamp {
        self.since.saturating_add(delay).unwrap_or(self.since)
    }

    fn set_status(&self, pod: Value) -> Action {
        Action::Update(self.key.clone(), Part::Status, pod)
    }

    fn unscheduled(&mut self, placing: &mut Placing) -> Decision {
        let alone = scheduler::looks_at_others(&self.pod["spec"]);
        if placing.alone || (alone && placing.any) {
            return Decision::Wait(None);
        }
        let patience = self.due(PATIENCE);
        let patient = self.step.now >= patience;
        let world = (self.step.objects, &*self.held);
        let actions = scheduler::schedule(self.step.now, world, self.key, self.pod, patient);
        if let Some(Action::Update(_, Part::Main, bound)) = actions.first() {
            self.held.set(self.key, Some(bound));
            placing.any = true;
            placing.alone = alone;
        }
        if actions.is_empty() {
            Decision::Wait((!patient).then_some(patience))
        } else {
            Decision::Act(actions)
        }
    }

    /// A Pod that has its node and is not started yet.
    fn starting(&self, next: &mut u32) -> Decision {
        let now = self.step.now;
        let missing = references::missing_volume(self.step.objects, self.pod);
        let due = self.due(self.faults.start.unwrap_or(self.delays.start));
        if missing.is_none() && now >= due {
            return Decision::Act(self.start(next));
        }
        let mut actions = Vec::new();
        let creating = containers::creating(&self.on_node(), now);
        if creating["status"] != self.pod["status"] {
            actions.push(self.set_status(creating));
        }
        if let Some((volume, why)) = &missing {
            let message = format!("MountVolume.SetUp failed for volume \"{volume}\" : {why}");
            let said = event(now, self.pod, "kubelet", ("FailedMount", message));
            actions.extend(once(self.step.objects, said));
        }
        if actions.is_empty() {
            Decision::Wait((now < due).then_some(due))
        } else {
            Decision::Act(actions)
        }
    }

    /// The Pod with what its node says of it before it is started.
    fn on_node(&self) -> Value {
        let mut pod = self.pod.clone();
        let host = node_address(self.step.objects, &pod["spec"]["nodeName"]);
        let status = &mut pod["status"];
        if status["startTime"].is_null() {
            status["startTime"] = timestamp(self.step.now).into();
        }
        status["hostIP"] = host.as_str().into();
        status["hostIPs"] = json!([{"ip": host}]);
        pod
    }

    fn start(&self, next: &mut u32) -> Vec<Action> {
        let mut running = self.on_node();
        let ips = if running["spec"]["hostNetwork"] == true {
            vec![
                running["status"]["hostIP"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned(),
            ]
        } else {
            let number = free(self.held, next);
            vec![
                Ipv4Addr::from(V4 + number).to_string(),
                Ipv6Addr::from(V6 + u128::from(number)).to_string(),
            ]
        };
        let status = &mut running["status"];
        status["podIP"] = ips[0].as_str().into();
        status["podIPs"] = ips.iter().map(|ip| json!({"ip": ip})).collect();
        let message = format!("Started with address {}", ips[0]);
        let said = event(self.step.now, self.pod, "kubelet", ("Started", message));
        let (tried, mut failed) = if self.live.is_some() {
            (containers::creating(&running, self.step.now), Vec::new())
        } else {
            self.tried(&running, false)
        };
        let mut actions = vec![self.set_status(tried), said];
        actions.append(&mut failed);
        actions
    }

    /// The Pod after its containers have been tried, and what is to be said of those that cannot be started.
    fn tried(&self, pod: &Value, retry: bool) -> (Value, Vec<Action>) {
        let now = self.step.now;
        let given = Given {
            now,
            faults: &self.faults,
            retry,
            blocked: references::blocked(self.step.objects, pod),
        };
        let said = given.blocked.values().filter_map(|why| {
            let said = event(now, pod, "kubelet", ("Failed", format!("Error: {why}")));
            once(self.step.objects, said)
        });
        let said = said.collect();
        (containers::tried(pod, &given), said)
    }

    /// A Pod whose programs run; none where they pretend.
    fn running(&mut self) -> Option<Decision> {
        let now = self.step.now;
        let deadline = self.deadline();
        let pod = self.pod;
        let is_late = deadline.is_some_and(|deadline| now >= deadline);
        let live = self.live.as_deref_mut()?;
        if is_late {
            let stop = live.stop(pod).map(Action::Order);
            return Some(Decision::Act(
                stop.into_iter().chain(self.past_deadline()).collect(),
            ));
        }
        let mut seen = live.look(&live::Look {
            now,
            objects: self.step.objects,
            pod,
            faults: &self.faults,
        });
        if self.faults.unready {
            containers::unready(&mut seen.pod["status"]);
            conditions::set_all(&mut seen.pod, &timestamp(now));
        }
        let mut actions: Vec<_> = seen.orders.into_iter().map(Action::Order).collect();
        if seen.pod["status"] != pod["status"] {
            if has_ended(&seen.pod) {
                actions.push(Action::Order(live::release(pod)));
            }
            actions.push(self.set_status(seen.pod));
        }
        Some(if actions.is_empty() {
            Decision::Wait(seen.wake.into_iter().chain(deadline).min())
        } else {
            Decision::Act(actions)
        })
    }

    /// Ends the programs of a Pod that is being deleted; none once they have ended.
    fn stopping(&mut self) -> Option<Decision> {
        let (now, pod) = (self.step.now, self.pod);
        let live = self.live.as_deref_mut()?;
        let stop = live.stop(pod).map(Action::Order);
        if !live.knows(pod) {
            return None;
        }
        let seen = live.look(&live::Look {
            now,
            objects: self.step.objects,
            pod,
            faults: &self.faults,
        });
        let runs = live.runs(pod);
        let mut actions: Vec<_> = stop.into_iter().collect();
        if seen.pod["status"] != pod["status"] {
            actions.push(self.set_status(seen.pod));
        }
        if actions.is_empty() {
            return runs.then_some(Decision::Wait(None));
        }
        Some(Decision::Act(actions))
    }

    /// A Pod that has been started: what its annotations ask for now, and the next try of what has ended.
    fn started(&self) -> Decision {
        let now = self.step.now;
        let deadline = self.deadline();
        if deadline.is_some_and(|deadline| now >= deadline) {
            return Decision::Act(self.past_deadline());
        }
        let (restarts, crashing) = containers::restarts(self.pod);
        let due = self.due(containers::pause(restarts));
        let (tried, said) = self.tried(self.pod, crashing && now >= due);
        if tried["status"] != self.pod["status"] {
            let mut actions = vec![self.set_status(tried)];
            actions.extend(said);
            return Decision::Act(actions);
        }
        let waits = [crashing.then_some(due), deadline];
        match waits.into_iter().flatten().min() {
            Some(until) => Decision::Wait(Some(until)),
            // A container that cannot be started waits for what it refers to.
            None if self.pod["status"]["phase"] == "Pending" => Decision::Wait(None),
            None => Decision::Rest,
        }
    }

    /// When the Pod's `activeDeadlineSeconds` are over.
    fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.pod["spec"]["activeDeadlineSeconds"].as_i64()?;
        let start: Timestamp = self.pod["status"]["startTime"].as_str()?.parse().ok()?;
        start
            .checked_add(jiff::SignedDuration::from_secs(seconds))
            .ok()
    }

    fn past_deadline(&self) -> Vec<Action> {
        let message = "Pod was active on the node longer than the specified deadline";
        let mut stopped = containers::stopped(self.pod, 0, self.step.now);
        let status = &mut stopped["status"];
        status["phase"] = "Failed".into();
        status["reason"] = "DeadlineExceeded".into();
        status["message"] = message.into();
        conditions::set_all(&mut stopped, &timestamp(self.step.now));
        let said = ("DeadlineExceeded", message.to_owned());
        vec![
            self.set_status(stopped),
            event(self.step.now, self.pod, "kubelet", said),
        ]
    }

    /// A Pod whose node is lost: if it is Running, its condition Ready becomes Unknown; nothing else happens.
    fn node_lost(&self) -> Decision {
        let mut lost = self.pod.clone();
        if self.pod["status"]["phase"] == "Running" {
            let unknown = Condition {
                kind: "Ready",
                holds: "Unknown",
                reason: "NodeStatusUnknown",
                message: "",
            };
            unknown.set(&mut lost, &timestamp(self.step.now));
        }
        if lost == *self.pod {
            return Decision::Wait(None);
        }
        Decision::Act(vec![self.set_status(lost)])
    }

    /// A Pod that ends by itself, as its annotations ask for: evicted, rejected, or done.
    fn ended(&self, phase: &str) -> Vec<Action> {
        let mut ended = self.pod.clone();
        ended["status"]["phase"] = phase.into();
        containers::unready(&mut ended["status"]);
        conditions::set_all(&mut ended, &timestamp(self.step.now));
        let Some(reason) = self.faults.reason.as_deref() else {
            return vec![self.set_status(ended)];
        };
        ended["status"]["reason"] = reason.into();
        let message = format!("The Pod is {phase}, as its annotations ask for");
        let said = event(self.step.now, self.pod, "kubelet", (reason, message));
        vec![self.set_status(ended), said]
    }

    /// A Pod that is being deleted: once its slices do not show it, its containers stop, by themselves or killed when
    /// the grace is over; then it goes, unless finalizers hold it.
    fn ending(&mut self) -> Decision {
        if let Some(decision) = self.stopping() {
            return decision;
        }
        if shown(self.step.objects, self.key, self.pod) {
            return Decision::Wait(None);
        }
        let settled = self.due(SETTLE);
        let stops = self
            .due(self.faults.stop.unwrap_or(self.delays.stop))
            .max(settled);
        let killed = self.pod["metadata"]["deletionTimestamp"].as_str();
        let killed = killed
            .and_then(|time| time.parse().ok())
            .unwrap_or(stops)
            .max(settled);
        let due = stops.min(killed);
        if self.step.now < due {
            return Decision::Wait(Some(due));
        }
        let pretends = self.live.is_none() && self.pod["status"]["podIP"].is_string();
        if pretends && !has_ended(self.pod) {
            let code = if killed < stops { KILLED } else { 0 };
            return Decision::Act(vec![self.set_status(containers::stopped(
                self.pod,
                code,
                self.step.now,
            ))]);
        }
        let meta = &self.pod["metadata"];
        // One that has never run, and is held, has failed.
        let never_ran = !self.pod["status"]["podIP"].is_string() && !has_ended(self.pod);
        if never_ran && meta["finalizers"][0].is_string() {
            let mut failed = self.pod.clone();
            failed["status"]["phase"] = "Failed".into();
            conditions::set_all(&mut failed, &timestamp(self.step.now));
            return Decision::Act(vec![self.set_status(failed)]);
        }
        // Then it is for its finalizers.
        if meta["deletionGracePeriodSeconds"] == 0 && meta["finalizers"][0].is_string() {
            return Decision::Wait(None);
        }
        let uid = meta["uid"].as_str().map(str::to_owned);
        Decision::Act(vec![Action::Delete(self.key.clone(), uid)])
    }
}

/// The address of a node, of the first where it says none.
fn node_address(objects: &Objects, name: &Value) -> String {
    let node = objects.named(kinds::NODE, "", name.as_str().unwrap_or_default());
    let addresses = node.and_then(|node| node["status"]["addresses"].as_array());
    let mut addresses = addresses.into_iter().flatten();
    let internal = addresses.find(|address| address["type"] == "InternalIP");
    let address = internal.and_then(|address| address["address"].as_str());
    address.map_or_else(|| Ipv4Addr::from(V4 + 1).to_string(), str::to_owned)
}

/// Whether a slice still shows the Pod as ready. Slices of a Service with `publishNotReadyAddresses` do not count: they
/// always do.
fn shown(objects: &Objects, key: &Key, pod: &Value) -> bool {
    objects
        .list(kinds::ENDPOINT_SLICE, Some(&key.ns))
        .any(|(_, slice)| {
            let service = slice["metadata"]["labels"][SERVICE_NAME]
                .as_str()
                .unwrap_or_default();
            let always = objects
                .named(kinds::SERVICE, &key.ns, service)
                .is_some_and(|s| s["spec"]["publishNotReadyAddresses"] == true);
            let mine = |e: &&Value| {
                e["targetRef"]["uid"] == pod["metadata"]["uid"] && e["conditions"]["ready"] == true
            };
            !always
                && slice["endpoints"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|e| mine(&e))
        })
}

/// The number of an address that no Pod has.
fn free(held: &Held, next: &mut u32) -> u32 {
    for _ in 0..SIZE {
        let number = *next;
        *next = if number + 2 >= SIZE {
            FIRST
        } else {
            number + 1
        };
        if !held.has_address(&Ipv4Addr::from(V4 + number).to_string()) {
            return number;
        }
    }
    *next
}
