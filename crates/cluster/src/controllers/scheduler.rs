//! The scheduler: which node a Pod gets, or why it gets none, in kube-scheduler's words.

mod affinity;
mod fit;
mod misfit;
mod spread;
mod taints;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Action;
use super::conditions::Condition;
use super::events::event;
use super::held::Held;
use crate::discovery::VERSION;
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::state::Part;
use fit::Fit;
pub(super) use fit::{Suits, suits};
use headless_objects::object::{array, condition, name};
use headless_objects::rfc3339::timestamp;
use misfit::{Kind, Misfit};

/// The node that is there from the start. Others are made where Pods may not share it.
pub const NODE: &str = "node-1";

/// The most nodes that are made.
const MOST: usize = 1_000;

/// Where a Pod may go.
enum Place {
    On(String),
    /// Only on a node that is not there yet.
    Another(String),
    /// Nowhere; why.
    Nowhere(String),
}

/// What becomes of a Pod that has no node: it gets one, or its condition and an Event say why not.
///
/// `patient`: a claim that is not bound yet counts as a reason.
pub(super) fn schedule(
    now: Timestamp,
    (objects, held): (&Objects, &Held),
    key: &Key,
    pod: &Value,
    patient: bool,
) -> Vec<Action> {
    // KEP-3521.
    if pod["spec"]["schedulingGates"][0].is_object() {
        let why = "Scheduling is blocked due to non-empty scheduling gates";
        return wait(now, key, pod, ("SchedulingGated", why));
    }
    let place = match unbound(objects, key, pod) {
        Some(_) if !patient => return Vec::new(),
        Some(why) => Place::Nowhere(none_of(objects, &format!("{why}."), false)),
        None => place(now, (objects, held), key, pod),
    };
    match place {
        Place::On(node) => {
            let message = format!("Successfully assigned {}/{} to {node}", key.ns, key.name);
            let mut bound = pod.clone();
            bound["spec"]["nodeName"] = node.into();
            vec![
                Action::Update(key.clone(), Part::Main, bound),
                event(now, pod, "default-scheduler", ("Scheduled", message)),
            ]
        }
        Place::Another(name) => vec![Action::Create(kinds::NODE, String::new(), node(&name, now))],
        Place::Nowhere(why) => refuse(now, key, pod, why),
    }
}

/// Whether where a Pod may go depends on where others are.
pub(super) fn looks_at_others(spec: &Value) -> bool {
    let kinds = ["podAffinity", "podAntiAffinity"];
    let mut spread = array(&spec["topologySpreadConstraints"]);
    kinds.iter().any(|kind| spec["affinity"][*kind].is_object())
        || spread.any(|one| one["whenUnsatisfiable"] == "DoNotSchedule")
}

/// Says once that a Pod gets no node.
fn refuse(now: Timestamp, key: &Key, pod: &Value, why: String) -> Vec<Action> {
    let mut actions = wait(now, key, pod, ("Unschedulable", &why));
    if !actions.is_empty() {
        actions.push(event(
            now,
            pod,
            "default-scheduler",
            ("FailedScheduling", why),
        ));
    }
    actions
}

/// Has a Pod's condition say why it waits, where it does not say so yet.
fn wait(now: Timestamp, key: &Key, pod: &Value, (reason, message): (&str, &str)) -> Vec<Action> {
    if condition(pod, "PodScheduled").is_some_and(|c| c["message"] == message) {
        return Vec::new();
    }
    let mut waiting = pod.clone();
    let condition = Condition {
        kind: "PodScheduled",
        holds: "False",
        reason,
        message,
    };
    condition.set(&mut waiting, &timestamp(now));
    vec![Action::Update(key.clone(), Part::Status, waiting)]
}

/// Why the Pod's claims keep it from being scheduled.
fn unbound(objects: &Objects, key: &Key, pod: &Value) -> Option<String> {
    let volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
    let mut unbound = None;
    for volume in volumes {
        let generated = format!("{}-{}", key.name, volume["name"].as_str().unwrap_or("?"));
        let named = volume["persistentVolumeClaim"]["claimName"].as_str();
        let of_pod = volume["ephemeral"].is_object().then_some(&*generated);
        let Some(name) = named.or(of_pod) else {
            continue;
        };
        match objects.named(kinds::PERSISTENT_VOLUME_CLAIM, &key.ns, name) {
            None => return Some(format!("persistentvolumeclaim \"{name}\" not found")),
            Some(claim) if claim["metadata"]["deletionTimestamp"].is_string() => {
                return Some(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            Some(claim) if claim["status"]["phase"] == "Bound" => {}
            Some(_) => unbound = Some("pod has unbound immediate PersistentVolumeClaims".into()),
        }
    }
    unbound
}

/// Of the nodes that fit the one with the fewest Pods, of these the first.
fn place(now: Timestamp, (objects, held): (&Objects, &Held), key: &Key, pod: &Value) -> Place {
    let nodes: Vec<_> = objects
        .list(kinds::NODE, None)
        .map(|(_, node)| node)
        .collect();
    if nodes.is_empty() {
        return Place::Nowhere("no nodes available to schedule pods".into());
    }
    let fit = Fit::new(objects, held, key, pod);
    let pods_on = |node: &Value| held.of_node(name(node)).map_or(0, |used| used.pods);
    let mut best: Option<(usize, &str)> = None;
    let mut reasons = BTreeMap::<String, usize>::new();
    let (mut crowded, mut evictable) = (false, false);
    for node in &nodes {
        match fit.misfit(node) {
            None => {
                let pods = pods_on(node);
                if best.is_none_or(|(least, _)| pods < least) {
                    best = Some((pods, name(node)));
                }
            }
            Some(Misfit { why, kind }) => {
                crowded |= kind == Kind::Crowded;
                evictable |= kind != Kind::Unsuited;
                why.into_iter()
                    .for_each(|why| *reasons.entry(why).or_default() += 1);
            }
        }
    }
    if let Some((_, node)) = best {
        return Place::On(node.to_owned());
    }
    if crowded && nodes.len() < MOST {
        let numbers = (1..).map(|number| format!("node-{number}"));
        let mut free = numbers.filter(|n| nodes.iter().all(|node| name(node) != n));
        let another = free.next().unwrap_or_default();
        // One that does not help is not made.
        if fit.misfit(&node(&another, now)).is_none() {
            return Place::Another(another);
        }
    }
    let mut reasons: Vec<_> = reasons
        .into_iter()
        .map(|(why, n)| format!("{n} {why}"))
        .collect();
    reasons.sort();
    let why = format!("{}.", reasons.join(", "));
    Place::Nowhere(none_of(objects, &why, evictable))
}

/// kube-scheduler's sentence, with what preemption would do.
fn none_of(objects: &Objects, why: &str, evictable: bool) -> String {
    let count = objects.list(kinds::NODE, None).count();
    let preemption = if evictable {
        "No preemption victims found for incoming pod"
    } else {
        "Preemption is not helpful for scheduling"
    };
    format!(
        "0/{count} nodes are available: {why} preemption: 0/{count} nodes are available: {count} {preemption}."
    )
}

/// What every node that is made here has.
pub(super) fn resources() -> Value {
    json!({"cpu": "64", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "65000"})
}

/// A node of this name, with the address that belongs to its number, in a zone of its own.
pub(crate) fn node(name: &str, now: Timestamp) -> Value {
    let time = timestamp(now);
    let resources = resources();
    let number: u32 = name
        .rsplit('-')
        .next()
        .and_then(|n| n.parse().ok())
        .unwrap_or(1);
    // The first has the first address of the Pods' range, the others have a range of their own, 10.245.0.0/16.
    let range = [10, if number == 1 { 244 } else { 245 }, 0, 0];
    let address = std::net::Ipv4Addr::from(u32::from_be_bytes(range) + number);
    let labels = json!({
        "kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64",
        "topology.kubernetes.io/zone": format!("zone-{number}"),
    });
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {},
        "status": {
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": name}],
            "conditions": [{
                "type": "Ready", "status": "True", "reason": "KubeletReady", "message": "kubelet is posting ready status",
                "lastHeartbeatTime": time, "lastTransitionTime": time,
            }],
            "nodeInfo": {"kubeletVersion": VERSION.2, "operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}
