//! How a Pod is to be spread over failure domains (`topologySpreadConstraints` with `DoNotSchedule`).

use std::collections::BTreeMap;

use headless_objects::object::{array, has_ended, is_ending, name};
use headless_objects::selector::Selector;
use serde_json::Value;

use super::affinity;
use super::misfit::{Kind, Misfit};
use super::taints::tolerates_all;
use crate::kinds;
use crate::objects::{Key, Objects};

/// What a Pod asks for, counted once for all nodes.
pub(super) struct Spread(Vec<Constraint>);

/// One constraint, with the Pods that it counts.
struct Constraint {
    /// The label whose values are the domains.
    label: String,
    skew: i64,
    /// Whether the Pod itself counts.
    own: bool,
    /// How many Pods are in each domain.
    counts: BTreeMap<String, i64>,
    /// How many are in the domain that has the fewest.
    least: i64,
}

impl Spread {
    pub(super) fn of(objects: &Objects, key: &Key, pod: &Value) -> Self {
        let asked = array(&pod["spec"]["topologySpreadConstraints"]);
        let asked: Vec<_> = asked
            .filter(|one| one["whenUnsatisfiable"] == "DoNotSchedule")
            .collect();
        // Only nodes that have every label count.
        let nodes = objects.list(kinds::NODE, None).map(|(_, node)| &**node);
        let nodes: Vec<_> = nodes
            .filter(|node| asked.iter().all(|one| domain(label(one), node).is_some()))
            .collect();
        let count = |one: &&Value| Constraint::of(objects, key, pod, (one, &nodes));
        Self(asked.iter().map(count).collect())
    }

    /// What keeps the Pod from a node.
    pub(super) fn clash(&self, node: &Value) -> Option<Misfit> {
        let why = "node(s) didn't match pod topology spread constraints";
        for constraint in &self.0 {
            let Some(domain) = domain(&constraint.label, node) else {
                return Some(Misfit {
                    why: vec![format!("{why} (missing required label)")],
                    kind: Kind::Unsuited,
                });
            };
            let there = constraint.counts.get(domain).copied().unwrap_or_default();
            let skew = there + i64::from(constraint.own) - constraint.least;
            if skew > constraint.skew {
                return Some(Misfit {
                    why: vec![why.to_owned()],
                    kind: Kind::Crowded,
                });
            }
        }
        None
    }
}

impl Constraint {
    fn of(objects: &Objects, key: &Key, pod: &Value, (one, nodes): (&Value, &[&Value])) -> Self {
        let (label, selector) = (label(one), selector(one, pod));
        let fits = |pod: &Value| {
            let labels = &pod["metadata"]["labels"];
            selector.matches(|key| labels[key].as_str())
        };
        let mut on_node = BTreeMap::<&str, i64>::new();
        // An empty selector means no Pod that is there, though it means this one.
        for (_, there) in objects.list(kinds::POD, Some(&key.ns)) {
            let counts = !selector.is_empty() && !is_ending(there) && !has_ended(there);
            if counts && fits(there) {
                let node = there["spec"]["nodeName"].as_str().unwrap_or_default();
                *on_node.entry(node).or_default() += 1;
            }
        }
        let mut counts = BTreeMap::<String, i64>::new();
        for node in nodes.iter().filter(|node| includes(one, pod, node)) {
            let there = on_node.get(name(node)).copied().unwrap_or_default();
            let domain = domain(label, node).unwrap_or_default();
            *counts.entry(domain.to_owned()).or_default() += there;
        }
        let enough = one["minDomains"].as_u64().unwrap_or(1);
        let least = if u64::try_from(counts.len()).unwrap_or(u64::MAX) < enough {
            0
        } else {
            counts.values().min().copied().unwrap_or_default()
        };
        Self {
            label: label.to_owned(),
            skew: one["maxSkew"].as_i64().unwrap_or(1),
            own: fits(pod),
            counts,
            least,
        }
    }
}

fn label(constraint: &Value) -> &str {
    constraint["topologyKey"].as_str().unwrap_or_default()
}

fn domain<'a>(label: &str, node: &'a Value) -> Option<&'a str> {
    node["metadata"]["labels"][label].as_str()
}

/// Whether a node's domain counts, as the constraint's policies say.
fn includes(constraint: &Value, pod: &Value, node: &Value) -> bool {
    let spec = &pod["spec"];
    let by_affinity = constraint["nodeAffinityPolicy"] != "Ignore";
    let by_taints = constraint["nodeTaintsPolicy"] == "Honor";
    (!by_affinity || affinity::wants(spec, node)) && (!by_taints || tolerates_all(spec, node))
}

/// The Pods that are counted: those of the selector that have the same values of `matchLabelKeys`.
fn selector(constraint: &Value, pod: &Value) -> Selector {
    let asked = Selector::of(&constraint["labelSelector"]).unwrap_or_default();
    let keys = array(&constraint["matchLabelKeys"]).filter_map(Value::as_str);
    let values = keys.filter_map(|key| Some((key, pod["metadata"]["labels"][key].as_str()?)));
    values.fold(asked, |asked, (key, value)| {
        let same = asked.clone().and(key, "In", vec![value.to_owned()]);
        same.unwrap_or(asked)
    })
}
