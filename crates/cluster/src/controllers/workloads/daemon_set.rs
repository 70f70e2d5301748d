//! DaemonSets: a Pod on each node that suits it, replaced node by node where the template changes.

mod revisions;

use std::collections::BTreeMap;

use headless_objects::object::{array, fields, has_ended, is_ending, is_ready, name};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::claim::claim;
use super::replicas::set_count;
use super::{AGAIN, Action, Decided, available, count, pod_of, selector, set_status, spec_number};
use crate::controllers::Step;
use crate::controllers::budgets::part;
use crate::controllers::events::event;
use crate::controllers::scheduler::{Suits, suits};
use crate::kinds;
use crate::objects::Key;
use revisions::HASH;

/// Taints that keep no Pod of a DaemonSet away.
const TOLERATED: &[(&str, &str)] = &[
    ("not-ready", "NoExecute"),
    ("unreachable", "NoExecute"),
    ("disk-pressure", "NoSchedule"),
    ("memory-pressure", "NoSchedule"),
    ("pid-pressure", "NoSchedule"),
    ("unschedulable", "NoSchedule"),
];

/// A DaemonSet with its Pods by their nodes, the oldest first.
struct Look<'a> {
    step: &'a Step<'a>,
    key: &'a Key,
    set: &'a Value,
    /// The spec that its Pods have.
    spec: Value,
    /// The hash of its present template.
    hash: String,
    on_node: BTreeMap<String, Vec<(&'a Key, &'a Value)>>,
}

pub(super) fn decide(step: &Step<'_>, key: &Key, set: &Value) -> Decided {
    let Some(selector) = selector(key.kind, set) else {
        return Decided::default();
    };
    let claimed = claim(step.objects, kinds::POD, (key, set), &selector);
    if !claimed.actions.is_empty() {
        return Decided::to(claimed.actions);
    }
    let (hash, noted) = revisions::current(step, key, set);
    if !noted.is_empty() {
        return Decided::to(noted);
    }
    let mut on_node: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (at, pod) in claimed.mine {
        on_node.entry(node_of(pod)).or_default().push((at, pod));
    }
    for pods in on_node.values_mut() {
        pods.sort_by_key(|(_, pod)| (pod["metadata"]["creationTimestamp"].as_str(), name(pod)));
    }
    let look = Look {
        step,
        key,
        set,
        spec: spec(set),
        hash,
        on_node,
    };
    look.decide()
}

/// Which node a Pod is on, or is meant for.
fn node_of(pod: &Value) -> String {
    let affinity = &pod["spec"]["affinity"]["nodeAffinity"];
    let terms = &affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"];
    let meant = &terms[0]["matchFields"][0]["values"][0];
    let node = pod["spec"]["nodeName"].as_str().or(meant.as_str());
    node.unwrap_or_default().to_owned()
}

/// The template's spec with the tolerations that every Pod of a DaemonSet has.
fn spec(set: &Value) -> Value {
    let mut spec = set["spec"]["template"]["spec"].clone();
    let mut all: Vec<_> = array(&spec["tolerations"]).cloned().collect();
    let network = (spec["hostNetwork"] == true).then_some(("network-unavailable", "NoSchedule"));
    for (taint, effect) in TOLERATED.iter().copied().chain(network) {
        let key = format!("node.kubernetes.io/{taint}");
        let one = json!({"key": key, "operator": "Exists", "effect": effect});
        if !all.contains(&one) {
            all.push(one);
        }
    }
    spec["tolerations"] = all.into();
    spec
}

impl Look<'_> {
    fn decide(&self) -> Decided {
        let mut actions = if is_ending(self.set) {
            Vec::new()
        } else {
            self.manage()
        };
        let makes = actions
            .iter()
            .any(|action| matches!(action, Action::CreatePod(..)));
        let mut pods = self.on_node.values().flatten();
        let waits = pods.any(|(_, pod)| has_ended(pod) && !is_ending(pod));
        let (status, wake) = self.status();
        actions.extend(set_status(self.key, self.set, status));
        let again = (makes || waits)
            .then(|| self.step.now.checked_add(AGAIN).ok())
            .flatten();
        Decided {
            actions,
            wake: wake.into_iter().chain(again).min(),
        }
    }

    fn nodes(&self) -> impl Iterator<Item = (&str, Suits)> {
        let nodes = self.step.objects.list(kinds::NODE, None);
        nodes.map(|(key, node)| (key.name.as_str(), suits(&self.spec, node)))
    }

    fn pods(&self, node: &str) -> &[(&Key, &Value)] {
        self.on_node.get(node).map_or(&[], Vec::as_slice)
    }

    fn is_new(&self, pod: &Value) -> bool {
        pod["metadata"]["labels"][HASH] == self.hash.as_str()
    }

    fn is_available(&self, pod: &Value) -> bool {
        let seconds = spec_number(self.set, "minReadySeconds", 0);
        !is_ending(pod) && available(pod, seconds, self.step.now) == Ok(true)
    }

    /// The Pods to make, and those to delete: on nodes that do not suit them or are gone, ended ones, and old ones.
    fn manage(&self) -> Vec<Action> {
        let mut actions = Vec::new();
        let on = |suits: Suits| {
            let nodes = self.nodes().filter(move |(_, of)| *of == suits);
            nodes.map(|(node, _)| node).collect::<Vec<_>>()
        };
        let (suited, kept) = (on(Suits::Yes), on(Suits::ToStay));
        for (node, pods) in &self.on_node {
            let is_wanted = suited.contains(&node.as_str()) || kept.contains(&node.as_str());
            let gone = pods
                .iter()
                .filter(|(_, pod)| !is_ending(pod))
                .filter(|(_, pod)| !is_wanted || (has_ended(pod) && self.has_rested(pod)));
            actions.extend(gone.flat_map(|(at, pod)| self.delete(at, pod)));
        }
        let empty = suited.iter().filter(|node| self.pods(node).is_empty());
        actions.extend(empty.map(|node| self.create(node)));
        if self.set["spec"]["updateStrategy"]["type"] != "OnDelete" {
            actions.extend(self.roll(&suited));
        }
        actions
    }

    /// Whether a Pod was made so long ago that one that ended at once may be made again.
    fn has_rested(&self, pod: &Value) -> bool {
        let made = pod["metadata"]["creationTimestamp"].as_str();
        let made = made.and_then(|made| made.parse::<Timestamp>().ok());
        made.is_none_or(|made| self.step.now >= made.saturating_add(AGAIN).unwrap_or(made))
    }

    /// Replaces old Pods, within what may be unavailable or there beside them.
    fn roll(&self, suited: &[&str]) -> Vec<Action> {
        let rolling = &self.set["spec"]["updateStrategy"]["rollingUpdate"];
        let nodes = count(suited.len());
        let surge = part(&rolling["maxSurge"], nodes);
        let unavailable = part(&rolling["maxUnavailable"], nodes);
        let is_down = |node: &&&str| {
            !self
                .pods(node)
                .iter()
                .any(|(_, pod)| self.is_available(pod))
        };
        let down = count(suited.iter().filter(is_down).count());
        let mut free = unavailable - down;
        let doubled = suited.iter().filter(|node| self.pods(node).len() > 1);
        let mut room = surge - count(doubled.count());
        let mut actions = Vec::new();
        for node in suited {
            let pods = self.pods(node).iter().filter(|(_, pod)| !has_ended(pod));
            let (new, old): (Vec<_>, Vec<_>) = pods.partition(|(_, pod)| self.is_new(pod));
            let old = old.into_iter().filter(|(_, pod)| !is_ending(pod));
            let old: Vec<_> = old.collect();
            let Some((_, oldest)) = old.first() else {
                continue;
            };
            let works = self.is_available(oldest);
            if surge > 0 && new.is_empty() {
                if room > 0 || !works {
                    room -= 1;
                    actions.push(self.create(node));
                }
                continue;
            }
            let is_replaced = surge > 0 && new.iter().any(|(_, pod)| self.is_available(pod));
            let may_go = is_replaced || (surge == 0 && (!works || free > 0));
            if may_go {
                free -= i64::from(works && surge == 0);
                actions.extend(old.iter().flat_map(|(at, pod)| self.delete(at, pod)));
            }
        }
        actions
    }

    fn create(&self, node: &str) -> Action {
        let mut pod = pod_of(self.set);
        pod["metadata"]["labels"][HASH] = self.hash.as_str().into();
        let generation =
            &self.set["metadata"]["annotations"]["deprecated.daemonset.template.generation"];
        pod["metadata"]["labels"]["pod-template-generation"] = generation.clone();
        let mut spec = self.spec.clone();
        let own = json!([{"key": "metadata.name", "operator": "In", "values": [node]}]);
        let required =
            &mut spec["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
        match required["nodeSelectorTerms"].as_array_mut() {
            Some(terms) => terms
                .iter_mut()
                .for_each(|term| term["matchFields"] = own.clone()),
            None => required["nodeSelectorTerms"] = json!([{"matchFields": own}]),
        }
        pod["spec"] = spec;
        Action::CreatePod(self.key.clone(), pod)
    }

    fn delete(&self, at: &Key, pod: &Value) -> [Action; 2] {
        let message = format!("Deleted pod: {}", name(pod));
        let said = ("SuccessfulDelete", message);
        [
            Action::Delete(at.clone(), None),
            event(self.step.now, self.set, "daemonset-controller", said),
        ]
    }

    fn status(&self) -> (Value, Option<Timestamp>) {
        let seconds = spec_number(self.set, "minReadySeconds", 0);
        let (mut desired, mut current, mut misplaced) = (0, 0, 0);
        let (mut ready, mut usable, mut updated) = (0, 0, 0);
        let mut wake = None::<Timestamp>;
        for (node, suits) in self.nodes() {
            let pod = self.pods(node).first().map(|(_, pod)| *pod);
            if suits != Suits::Yes {
                misplaced += i64::from(pod.is_some());
                continue;
            }
            desired += 1;
            let Some(pod) = pod else { continue };
            current += 1;
            ready += i64::from(is_ready(pod));
            updated += i64::from(self.is_new(pod));
            match available(pod, seconds, self.step.now) {
                Ok(is) => usable += i64::from(is),
                Err(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
            }
        }
        let mut status = fields(&self.set["status"]);
        // In Go these four are shown whatever they are.
        for (field, number) in [
            ("currentNumberScheduled", current),
            ("numberMisscheduled", misplaced),
            ("desiredNumberScheduled", desired),
            ("numberReady", ready),
        ] {
            status[field] = number.into();
        }
        set_count(&mut status, "updatedNumberScheduled", updated);
        set_count(&mut status, "numberAvailable", usable);
        set_count(&mut status, "numberUnavailable", desired - usable);
        status["observedGeneration"] = self.set["metadata"]["generation"].clone();
        (status, wake)
    }
}
