//! Whether a Pod fits a node: kube-scheduler's filters, in their order; the first that fails gives the reasons.

use headless_objects::object::name;
use serde_json::Value;

use super::affinity::{self, Neighbours};
use super::misfit::{Kind, Misfit};
use crate::controllers::held::{self, Amounts, Held, Port};
use crate::objects::{Key, Objects};

/// A Pod that looks for a node.
pub(super) struct Fit<'a> {
    held: &'a Held,
    pod: &'a Value,
    requests: Amounts,
    ports: Vec<Port>,
    neighbours: Neighbours,
}

impl<'a> Fit<'a> {
    pub(super) fn new(objects: &Objects, held: &'a Held, key: &Key, pod: &'a Value) -> Self {
        Self {
            held,
            pod,
            requests: held::requests(&pod["spec"]),
            ports: held::ports(&pod["spec"]),
            neighbours: Neighbours::of(objects, held, (key, pod)),
        }
    }

    /// Why the Pod does not fit the node; `None`: it does.
    pub(super) fn misfit(&self, node: &Value) -> Option<Misfit> {
        let one = |why: &str, kind| Misfit {
            why: vec![why.to_owned()],
            kind,
        };
        if node["spec"]["unschedulable"] == true && !self.tolerates(&CORDON) {
            return Some(one("node(s) were unschedulable", Kind::Unsuited));
        }
        let taints = node["spec"]["taints"].as_array().into_iter().flatten();
        let mut hard = taints.filter(|taint| taint["effect"] != "PreferNoSchedule");
        if hard.any(|taint| !self.tolerates(&Taint::of(taint))) {
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
        self.neighbours.clash(node)
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

    fn tolerates(&self, taint: &Taint<'_>) -> bool {
        tolerates(&self.pod["spec"], taint)
    }
}

/// Whether a node is one that Pods of this spec may be on, whatever is on it already.
pub(in crate::controllers) fn suits(spec: &Value, node: &Value) -> bool {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let mut hard = taints.filter(|taint| taint["effect"] != "PreferNoSchedule");
    hard.all(|taint| tolerates(spec, &Taint::of(taint))) && affinity::wants(spec, node)
}

fn tolerates(spec: &Value, taint: &Taint<'_>) -> bool {
    let all = spec["tolerations"].as_array();
    all.into_iter().flatten().any(|toleration| {
        let field = |name: &str| toleration[name].as_str().unwrap_or_default();
        let exists = field("operator") == "Exists";
        let effect = field("effect");
        (effect.is_empty() || effect == taint.effect)
            && (field("key") == taint.key || (field("key").is_empty() && exists))
            && (exists || field("value") == taint.value)
    })
}

/// What keeps Pods away from a node.
struct Taint<'a> {
    key: &'a str,
    value: &'a str,
    effect: &'a str,
}

/// The taint that a cordoned node has.
const CORDON: Taint<'static> = Taint {
    key: "node.kubernetes.io/unschedulable",
    value: "",
    effect: "NoSchedule",
};

impl<'a> Taint<'a> {
    fn of(taint: &'a Value) -> Self {
        let field = |name: &str| taint[name].as_str().unwrap_or_default();
        Self {
            key: field("key"),
            value: field("value"),
            effect: field("effect"),
        }
    }
}
