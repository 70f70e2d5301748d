//! What Pods want of nodes' labels, and of the Pods that are there.

use std::collections::BTreeSet;

use headless_objects::object::{array, has_ended, name};
use headless_objects::selector::Selector;
use serde_json::Value;

use super::misfit::{Kind, Misfit};
use crate::controllers::held::Held;
use crate::kinds;
use crate::objects::{Key, Objects};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

/// Whether the node has the labels that a Pod's `nodeSelector` and required node affinity ask for.
pub(super) fn wants(spec: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selector = spec["nodeSelector"].as_object().into_iter().flatten();
    let selected = selector
        .into_iter()
        .all(|(key, value)| labels[key] == *value);
    let terms = &spec["affinity"]["nodeAffinity"][REQUIRED]["nodeSelectorTerms"];
    let fits = |term: &Value| {
        let expressions = array(&term["matchExpressions"]);
        let fields = array(&term["matchFields"]);
        let empty = term["matchExpressions"].is_null() && term["matchFields"].is_null();
        let by_label = |e: &Value| holds(e, labels[e["key"].as_str().unwrap_or_default()].as_str());
        !empty
            && expressions.into_iter().all(by_label)
            && fields.into_iter().all(|e| holds(e, Some(name(node))))
    };
    selected && (terms.is_null() || array(terms).any(fits))
}

/// Whether a requirement of a node selector holds for a value (`core/v1` `NodeSelectorRequirement`).
fn holds(requirement: &Value, value: Option<&str>) -> bool {
    let listed = || array(&requirement["values"]).any(|v| v.as_str() == value);
    let compared = |than: fn(&i64, &i64) -> bool| {
        let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
        let bound = number(requirement["values"][0].as_str());
        number(value).zip(bound).is_some_and(|(a, b)| than(&a, &b))
    };
    match requirement["operator"].as_str() {
        Some("In") => value.is_some() && listed(),
        Some("NotIn") => value.is_none() || !listed(),
        Some("Exists") => value.is_some(),
        Some("DoesNotExist") => value.is_none(),
        Some("Gt") => compared(i64::gt),
        Some("Lt") => compared(i64::lt),
        _ => false,
    }
}

/// Where the Pods are that a Pod wants to be with or away from, and those that want it away: looked up once for all nodes.
pub(super) struct Neighbours {
    together: Vec<Wanted>,
    apart: Vec<Domains>,
    unwelcome: Vec<Domains>,
}

/// Domains that a Pod wants to be in.
struct Wanted {
    domains: Domains,
    /// The Pod is the first of its like, and so is with them wherever it is.
    first: bool,
}

/// Failure domains: values of a label of nodes.
struct Domains {
    label: String,
    values: BTreeSet<String>,
}

impl Domains {
    /// Those of these Pods, by the label that a term counts by.
    fn of<'a>(objects: &Objects, term: &Value, pods: impl Iterator<Item = &'a Value>) -> Self {
        let label = term["topologyKey"].as_str().unwrap_or_default();
        let value = |pod: &Value| {
            let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
            let node = objects.named(kinds::NODE, "", node)?;
            Some(node["metadata"]["labels"][label].as_str()?.to_owned())
        };
        Self {
            values: pods.filter_map(value).collect(),
            label: label.to_owned(),
        }
    }

    /// Whether a node is in one of them.
    fn have(&self, node: &Value) -> bool {
        let value = node["metadata"]["labels"][&self.label].as_str();
        value.is_some_and(|value| self.values.contains(value))
    }
}

impl Neighbours {
    pub(super) fn of(objects: &Objects, held: &Held, (key, pod): (&Key, &Value)) -> Self {
        // The Pods on nodes that a term means.
        let meant = |term: &Value| -> Vec<&Value> {
            let pods = objects.list(kinds::POD, None);
            let meant = pods.filter(|(other, there)| {
                *other != key
                    && there["spec"]["nodeName"].is_string()
                    && !has_ended(there)
                    && selects(objects, term, key, (other, there))
            });
            meant.map(|(_, there)| &**there).collect()
        };
        let affinity = &pod["spec"]["affinity"];
        let together = array(&affinity["podAffinity"][REQUIRED]).map(|term| {
            let pods = meant(term);
            Wanted {
                first: pods.is_empty() && selects(objects, term, key, (key, pod)),
                domains: Domains::of(objects, term, pods.into_iter()),
            }
        });
        let apart = array(&affinity["podAntiAffinity"][REQUIRED])
            .map(|term| Domains::of(objects, term, meant(term).into_iter()));
        let others = held.keeping_away().filter(|other| *other != key);
        let unwelcome = others
            .filter_map(|other| Some((other, &**objects.get(other)?)))
            .flat_map(|(other, there)| {
                let terms = array(&there["spec"]["affinity"]["podAntiAffinity"][REQUIRED]);
                let terms = terms.filter(move |term| selects(objects, term, other, (key, pod)));
                terms.map(move |term| Domains::of(objects, term, std::iter::once(there)))
            });
        Self {
            together: together.collect(),
            apart: apart.collect(),
            unwelcome: unwelcome.collect(),
        }
    }

    /// What of Pods that want to be together, or apart, keeps the Pod from a node.
    pub(super) fn clash(&self, node: &Value) -> Option<Misfit> {
        let has = |wanted: &Wanted| {
            let labelled = node["metadata"]["labels"][&wanted.domains.label].is_string();
            labelled && (wanted.first || wanted.domains.have(node))
        };
        let (why, kind) = if !self.together.iter().all(has) {
            ("node(s) didn't match pod affinity rules", Kind::Unsuited)
        } else if self.apart.iter().any(|domains| domains.have(node)) {
            let why = "node(s) didn't match pod anti-affinity rules";
            (why, Kind::Crowded)
        } else if self.unwelcome.iter().any(|domains| domains.have(node)) {
            let why = "node(s) didn't satisfy existing pods anti-affinity rules";
            (why, Kind::Crowded)
        } else {
            return None;
        };
        let why = vec![why.to_owned()];
        Some(Misfit { why, kind })
    }
}

/// Whether a term of the Pod `of` means another Pod: by its labels, in the term's namespaces or else in its own.
fn selects(objects: &Objects, term: &Value, of: &Key, (key, pod): (&Key, &Value)) -> bool {
    let named = array(&term["namespaces"]).any(|ns| ns == key.ns.as_str());
    let by_label = Selector::of(&term["namespaceSelector"]).is_some_and(|selector| {
        let namespace = objects.named(kinds::NAMESPACE, "", &key.ns);
        namespace
            .is_some_and(|ns| selector.matches(|label| ns["metadata"]["labels"][label].as_str()))
    });
    let own = term["namespaces"].as_array().is_none_or(Vec::is_empty)
        && term["namespaceSelector"].is_null()
        && key.ns == of.ns;
    let labels = &pod["metadata"]["labels"];
    (named || by_label || own)
        && Selector::of(&term["labelSelector"])
            .is_some_and(|selector| selector.matches(|label| labels[label].as_str()))
}
