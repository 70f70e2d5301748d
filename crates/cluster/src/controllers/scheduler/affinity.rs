//! What Pods want of nodes' labels, and of the Pods that are there.

use headless_objects::object::{has_ended, name};
use headless_objects::selector::Selector;
use serde_json::Value;

use super::misfit::{Kind, Misfit};
use crate::controllers::held::Held;
use crate::kinds;
use crate::objects::{Key, Objects};

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";

fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

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

/// What of Pods that want to be together, or apart, keeps a Pod from a node.
pub(super) fn clash(
    objects: &Objects,
    held: &Held,
    (key, pod): (&Key, &Value),
    node: &Value,
) -> Option<Misfit> {
    let crowded = |why: &str, kind| {
        let why = vec![why.to_owned()];
        Some(Misfit { why, kind })
    };
    let affinity = &pod["spec"]["affinity"];
    let place = Topology { objects, node };
    let together = array(&affinity["podAffinity"][REQUIRED]);
    for term in together {
        // The first of Pods that want to be with their like is with itself.
        let first = !place.is_near(term, key, true) && selects(objects, term, key, (key, pod));
        if place.value(term).is_none() || !(place.is_near(term, key, false) || first) {
            return crowded("node(s) didn't match pod affinity rules", Kind::Unsuited);
        }
    }
    let apart = array(&affinity["podAntiAffinity"][REQUIRED]);
    if apart
        .into_iter()
        .any(|term| place.is_near(term, key, false))
    {
        return crowded(
            "node(s) didn't match pod anti-affinity rules",
            Kind::Crowded,
        );
    }
    let unwelcome = held.keeping_away().any(|other| {
        let Some(there) = objects.get(other).filter(|_| other != key) else {
            return false;
        };
        let mut terms = array(&there["spec"]["affinity"]["podAntiAffinity"][REQUIRED]);
        terms.any(|term| place.has(term, there) && selects(objects, term, other, (key, pod)))
    });
    if unwelcome {
        let why = "node(s) didn't satisfy existing pods anti-affinity rules";
        return crowded(why, Kind::Crowded);
    }
    None
}

/// The failure domains that a node stands in.
struct Topology<'a> {
    objects: &'a Objects,
    node: &'a Value,
}

impl Topology<'_> {
    /// The node's value of the label that a term counts by.
    fn value(&self, term: &Value) -> Option<&str> {
        label(self.node, term)
    }

    /// Whether a Pod is in the same domain.
    fn has(&self, term: &Value, pod: &Value) -> bool {
        let there = Key {
            kind: kinds::NODE,
            ns: String::new(),
            name: pod["spec"]["nodeName"].as_str().unwrap_or_default().into(),
        };
        let there = self.objects.get(&there);
        let value = self.value(term);
        value.is_some() && there.is_some_and(|there| label(there, term) == value)
    }

    /// Whether a Pod that a term means is in the node's domain, or `anywhere`.
    fn is_near(&self, term: &Value, of: &Key, anywhere: bool) -> bool {
        let mut pods = self.objects.list(kinds::POD, None);
        pods.any(|(key, pod)| {
            key != of
                && pod["spec"]["nodeName"].is_string()
                && !has_ended(pod)
                && selects(self.objects, term, of, (key, pod))
                && (anywhere || self.has(term, pod))
        })
    }
}

fn label<'a>(node: &'a Value, term: &Value) -> Option<&'a str> {
    let key = term["topologyKey"].as_str().unwrap_or_default();
    node["metadata"]["labels"][key].as_str()
}

/// Whether a term of the Pod `of` means another Pod: by its labels, in the term's namespaces or else in its own.
fn selects(objects: &Objects, term: &Value, of: &Key, (key, pod): (&Key, &Value)) -> bool {
    let named = array(&term["namespaces"]).any(|ns| ns == key.ns.as_str());
    let by_label = Selector::of(&term["namespaceSelector"]).is_some_and(|selector| {
        let namespace = Key {
            kind: kinds::NAMESPACE,
            ns: String::new(),
            name: key.ns.clone(),
        };
        let namespace = objects.get(&namespace);
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
