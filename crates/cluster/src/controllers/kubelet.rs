//! Scheduler and kubelet in one: Pods get a node, an address of their own for each incarnation, become Ready, and end.

use headless_objects::object::{SERVICE_NAME, is_ending};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::containers;
use super::{Action, Step, about, event};
use crate::faults::Faults;
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::state::Part;
use headless_objects::rfc3339::timestamp;

/// The one node.
pub const NODE: &str = "node-1";

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
            busy: BTreeMap::new(),
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
        let (mut actions, mut wake) = (Vec::new(), None::<Timestamp>);
        let mut done = BTreeSet::new();
        for ((key, state), since) in &self.busy {
            let pod = step
                .objects
                .get(key)
                .filter(|pod| busy_state(pod).as_ref() == Some(state));
            let Some(pod) = pod else {
                done.insert((key.clone(), state.clone()));
                continue;
            };
            let delays = self.delays;
            let decision = about(key, || {
                decide(step, key, pod, (*since, delays), &mut self.next)
            });
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

fn decide(
    step: &Step<'_>,
    key: &Key,
    pod: &Value,
    (since, delays): (Timestamp, Delays),
    next: &mut u32,
) -> Decision {
    let due = |delay: Duration| since.saturating_add(delay).unwrap_or(since);
    let meta = &pod["metadata"];
    let (faults, _) = Faults::of(pod);
    if let Some(duration) = faults.advance {
        return Decision::Act(vec![Action::Advance(key.clone(), duration)]);
    }
    if faults.lost {
        return node_lost(step.now, key, pod);
    }
    if is_ending(pod) {
        if shown(step.objects, key, pod) {
            return Decision::Wait(None);
        }
        let due = due(faults.stop.unwrap_or(delays.stop).max(SETTLE));
        if step.now < due {
            return Decision::Wait(Some(due));
        }
        return Decision::Act(vec![Action::Delete(
            key.clone(),
            meta["uid"].as_str().map(str::to_owned),
        )]);
    }
    if !pod["spec"]["nodeName"].is_string() {
        return if volumes_bound(step.objects, key, pod) {
            Decision::Act(schedule(step.now, key, pod))
        } else {
            Decision::Wait(None)
        };
    }
    if let Some(phase) = faults.phase {
        return Decision::Act(end(step.now, key, pod, (phase, faults.reason.as_deref())));
    }
    if !pod["status"]["podIP"].is_string() {
        let due = due(faults.start.unwrap_or(delays.start));
        return if step.now < due {
            Decision::Wait(Some(due))
        } else {
            let number = free(step.objects, next);
            Decision::Act(start(step.now, key, pod, number))
        };
    }
    advance(step.now, key, pod, (since, &faults))
}

/// A Pod that has been started: what its annotations ask for now, and the next try of what has ended.
fn advance(
    now: Timestamp,
    key: &Key,
    pod: &Value,
    (since, faults): (Timestamp, &Faults),
) -> Decision {
    let (restarts, crashing) = containers::restarts(pod);
    let due = since
        .saturating_add(containers::pause(restarts))
        .unwrap_or(since);
    let status = containers::status(now, pod, faults, crashing && now >= due);
    if status == pod["status"] {
        return if crashing {
            Decision::Wait(Some(due))
        } else {
            Decision::Rest
        };
    }
    let mut changed = pod.clone();
    changed["status"] = status;
    Decision::Act(vec![Action::Update(key.clone(), Part::Status, changed)])
}

/// A Pod whose node is lost: if it is Running, its condition Ready becomes Unknown; nothing else happens.
fn node_lost(now: Timestamp, key: &Key, pod: &Value) -> Decision {
    let mut lost = pod.clone();
    if pod["status"]["phase"] == "Running" {
        let ready = ("Ready", "Unknown");
        containers::condition(
            &mut lost["status"],
            ready,
            "NodeStatusUnknown",
            &timestamp(now),
        );
    }
    if lost == *pod {
        return Decision::Wait(None);
    }
    Decision::Act(vec![Action::Update(key.clone(), Part::Status, lost)])
}

/// A Pod that ends by itself: evicted, rejected, or done.
fn end(
    now: Timestamp,
    key: &Key,
    pod: &Value,
    (phase, reason): (&str, Option<&str>),
) -> Vec<Action> {
    let mut ended = pod.clone();
    ended["status"]["phase"] = phase.into();
    let ready = ("Ready", "False");
    containers::condition(&mut ended["status"], ready, "PodFailed", &timestamp(now));
    containers::unready(&mut ended["status"]);
    let Some(reason) = reason else {
        return vec![Action::Update(key.clone(), Part::Status, ended)];
    };
    ended["status"]["reason"] = reason.into();
    let message = format!("The Pod is {phase}, as its annotations ask for");
    vec![
        Action::Update(key.clone(), Part::Status, ended),
        event(now, pod, "kubelet", (reason, message)),
    ]
}

fn schedule(now: Timestamp, key: &Key, pod: &Value) -> Vec<Action> {
    let mut bound = pod.clone();
    bound["spec"]["nodeName"] = NODE.into();
    let message = format!("Successfully assigned {}/{} to {NODE}", key.ns, key.name);
    vec![
        Action::Update(key.clone(), Part::Main, bound),
        event(now, pod, "default-scheduler", ("Scheduled", message)),
    ]
}

/// Whether every claim of the Pod is bound.
fn volumes_bound(objects: &Objects, key: &Key, pod: &Value) -> bool {
    let claims = pod["spec"]["volumes"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|v| v["persistentVolumeClaim"]["claimName"].as_str());
    let kind = kinds::PERSISTENT_VOLUME_CLAIM;
    claims.into_iter().all(|name| {
        let claim = Key {
            kind,
            ns: key.ns.clone(),
            name: name.into(),
        };
        objects
            .get(&claim)
            .is_some_and(|claim| claim["status"]["phase"] == "Bound")
    })
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
            let service = Key {
                kind: kinds::SERVICE,
                ns: key.ns.clone(),
                name: service.into(),
            };
            let always = objects
                .get(&service)
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
fn free(objects: &Objects, next: &mut u32) -> u32 {
    let taken: ahash::AHashSet<&str> = objects
        .list(kinds::POD, None)
        .filter_map(|(_, pod)| pod["status"]["podIP"].as_str())
        .collect();
    for _ in 0..SIZE {
        let number = *next;
        *next = if number + 2 >= SIZE {
            FIRST
        } else {
            number + 1
        };
        if !taken.contains(Ipv4Addr::from(V4 + number).to_string().as_str()) {
            return number;
        }
    }
    *next
}

fn start(now: Timestamp, key: &Key, pod: &Value, number: u32) -> Vec<Action> {
    let ips = [
        Ipv4Addr::from(V4 + number).to_string(),
        Ipv6Addr::from(V6 + u128::from(number)).to_string(),
    ];
    let mut running = pod.clone();
    let status = &mut running["status"];
    status["hostIP"] = Ipv4Addr::from(V4 + 1).to_string().into();
    status["podIP"] = ips[0].as_str().into();
    status["podIPs"] = json!([{"ip": ips[0]}, {"ip": ips[1]}]);
    status["startTime"] = timestamp(now).into();
    let (faults, _) = Faults::of(pod);
    running["status"] = containers::status(now, &running, &faults, false);
    vec![
        Action::Update(key.clone(), Part::Status, running),
        event(
            now,
            pod,
            "kubelet",
            ("Started", format!("Started with address {}", ips[0])),
        ),
    ]
}
