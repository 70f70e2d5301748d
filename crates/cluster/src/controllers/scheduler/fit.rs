//! Whether a Pod fits a node: kube-scheduler's filters, in their order; the first that fails gives the reasons.

use headless_objects::object::name;
use serde_json::Value;

use super::affinity::{self, Neighbours};
use super::misfit::{Kind, Misfit};
use super::spread::Spread;
use super::taints::{CORDON, tolerates, tolerates_all, tolerates_those};
use crate::controllers::held::{self, Amounts, Held, Port};
use crate::objects::{Key, Objects};

/// A Pod that looks for a node.
pub(super) struct Fit<'a> {
    held: &'a Held,
    pod: &'a Value,
    requests: Amounts,
    ports: Vec<Port>,
    spread: Spread,
    neighbours: Neighbours,
}

impl<'a> Fit<'a> {
    pub(super) fn new(objects: &Objects, held: &'a Held, key: &Key, pod: &'a Value) -> Self {
        Self {
            held,
            pod,
            requests: held::requests(&pod["spec"]),
            ports: held::ports(&pod["spec"]),
            spread: Spread::of(objects, key, pod),
            neighbours: Neighbours::of(objects, held, (key, pod)),
        }
    }

    /// Why the Pod does not fit the node; `None`: it does.
    pub(super) fn misfit(&self, node: &Value) -> Option<Misfit> {
        let one = |why: &str, kind| Misfit {
            why: vec![why.to_owned()],
            kind,
        };
        if node["spec"]["unschedulable"] == true && !tolerates(&self.pod["spec"], &CORDON) {
            return Some(one("node(s) were unschedulable", Kind::Unsuited));
        }
        if !tolerates_all(&self.pod["spec"], node) {
            return Some(one("node(s) had untolerated taint(s)", Kind::Unsuited));
        }
        if !affinity::wants(&self.pod["spec"], node) {
            let why = "node(s) didn't match Pod's node affinity/selector";
            return Some(one(why, Kind::Unsuited));
        }
        if self.ports.iter().any(|port| self.is_held(node, port)) {
            let why = "node(s) didn't have free ports for the requested pod ports";
            return Some(one(why, Kind::Crowded));
        }
        let lacks = self.lacking(node);
        if !lacks.is_empty() {
            return Some(Misfit {
                why: lacks,
                kind: Kind::Full,
            });
        }
        let clash = self.spread.clash(node);
        clash.or_else(|| self.neighbours.clash(node))
    }

    fn is_held(&self, node: &Value, (protocol, address, number): &Port) -> bool {
        let used = self.held.of_node(name(node));
        used.into_iter().flat_map(|used| &used.ports).any(|held| {
            let both = [address.as_str(), &held.1];
            held.0 == *protocol
                && held.2 == *number
                && (both[0] == both[1] || both.contains(&"0.0.0.0"))
        })
    }

    /// What the node has too little of. A node that says nothing of what it has is never full.
    fn lacking(&self, node: &Value) -> Vec<String> {
        let allocatable = &node["status"]["allocatable"];
        if !allocatable.is_object() {
            return Vec::new();
        }
        let has = held::quantities(allocatable);
        let used = self.held.of_node(name(node));
        let mut lacks = Vec::new();
        #[expect(clippy::cast_precision_loss, reason = "nobody counts 2^52 Pods")]
        let pods = used.map_or(0, |used| used.pods) as f64;
        if has.get("pods").is_some_and(|most| pods + 1.0 > *most) {
            lacks.push("Too many pods".to_owned());
        }
        for (resource, amount) in &self.requests {
            let taken = used.and_then(|used| used.requests.get(resource));
            let free = has.get(resource).copied().unwrap_or_default() - taken.unwrap_or(&0.0);
            if *amount > 0.0 && *amount > free {
                lacks.push(format!("Insufficient {resource}"));
            }
        }
        lacks
    }
}

/// Whether Pods of a spec may be on a node, whatever is on it already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::controllers) enum Suits {
    Yes,
    /// Those that are there may stay, and no other comes.
    ToStay,
    No,
}

pub(in crate::controllers) fn suits(spec: &Value, node: &Value) -> Suits {
    if !affinity::wants(spec, node) || !tolerates_those(spec, node, |effect| effect == "NoExecute")
    {
        Suits::No
    } else if tolerates_all(spec, node) {
        Suits::Yes
    } else {
        Suits::ToStay
    }
}
