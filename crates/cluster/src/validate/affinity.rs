//! What the API server refuses of where a Pod may run: affinity, spread, tolerations.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::{has_operands, selector, shown};
use super::words::{label, label_value, qualified, subdomain};
use crate::field::{Errors, Problem};
use crate::place::Place;

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";
const EFFECTS: &[&str] = &["NoSchedule", "PreferNoSchedule", "NoExecute"];
const NO_SELECTOR: &str = "must not be specified when labelSelector is not set";

pub(super) fn affinity(affinity: &Place<'_>, errors: &mut Errors) {
    let nodes = affinity.of("nodeAffinity");
    node_selector(&nodes.of(REQUIRED), errors);
    for preferred in nodes.of(PREFERRED).items() {
        weight(&preferred, errors);
        node_term(&preferred.of("preference"), false, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        let pods = affinity.of(kind);
        pods.of(REQUIRED)
            .items()
            .for_each(|term| pod_term(&term, errors));
        for preferred in pods.of(PREFERRED).items() {
            weight(&preferred, errors);
            pod_term(&preferred.of("podAffinityTerm"), errors);
        }
    }
}

fn weight(preferred: &Place<'_>, errors: &mut Errors) {
    let weight = preferred.of("weight");
    if !(1..=100).contains(&weight.number()) {
        errors.invalid(
            &weight,
            &weight.number().into(),
            "must be in the range 1-100",
        );
    }
}

/// A selector of nodes, of a Pod or a volume.
pub(super) fn node_selector(wanted: &Place<'_>, errors: &mut Errors) {
    let terms = wanted.of("nodeSelectorTerms");
    if wanted.is_given() && terms.is_empty() {
        errors.required(&terms, "must have at least one node selector term");
    }
    terms
        .items()
        .for_each(|term| node_term(&term, true, errors));
}

fn node_term(term: &Place<'_>, values_too: bool, errors: &mut Errors) {
    for wanted in term.of("matchExpressions").items() {
        let values = wanted.of("values");
        if !has_operands(&wanted, errors) {
            match wanted.of("operator").text() {
                "Gt" | "Lt" if values.count() != 1 => errors.required(
                    &values,
                    "must be specified single value when `operator` is 'Lt' or 'Gt'",
                ),
                "Gt" | "Lt" => {}
                _ => errors.bad(&wanted.of("operator"), "not a valid selector operator"),
            }
        }
        errors.each(&wanted.of("key"), qualified(wanted.of("key").text()));
        for value in values.items().filter(|_| values_too) {
            errors.each(&value, label_value(value.text()));
        }
    }
    for wanted in term.of("matchFields").items() {
        let values = wanted.of("values");
        match wanted.of("operator").text() {
            "In" | "NotIn" if values.count() != 1 => errors.required(
                &values,
                "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
            ),
            "In" | "NotIn" => {}
            _ => errors.bad(&wanted.of("operator"), "not a valid selector operator"),
        }
        if wanted.of("key").text() == "metadata.name" {
            values
                .items()
                .for_each(|value| errors.each(&value, subdomain(value.text())));
        } else {
            errors.bad(&wanted.of("key"), "not a valid field selector key");
        }
    }
}

fn pod_term(term: &Place<'_>, errors: &mut Errors) {
    let labels = term.of("labelSelector");
    selector(&labels, errors);
    selector(&term.of("namespaceSelector"), errors);
    for name in term.of("namespaces").items() {
        let name = name.called(term.of("namespace").path);
        errors.each(&name, label(name.text()));
    }
    match_keys(term, errors);
    let key = term.of("topologyKey");
    if key.is_empty() {
        errors.required(&key, "can not be empty");
    }
    errors.each(&key, qualified(key.text()));
}

/// Keys whose values the Pod's own labels give (KEP-3633, KEP-3243).
fn match_keys(term: &Place<'_>, errors: &mut Errors) {
    let labels = term.of("labelSelector");
    let [matched, mismatched] = ["matchLabelKeys", "mismatchLabelKeys"].map(|keys| term.of(keys));
    for keys in [&matched, &mismatched] {
        if keys.is_empty() {
            continue;
        }
        if labels.is_given() {
            keys.items()
                .for_each(|key| errors.each(&key, qualified(key.text())));
        } else {
            errors.forbidden(keys, NO_SELECTOR);
        }
    }
    let others: BTreeSet<_> = mismatched.items().map(|key| key.text()).collect();
    for key in matched.items().filter(|key| others.contains(key.text())) {
        errors.bad(&key, "exists in both matchLabelKeys and mismatchLabelKeys");
    }
}

/// `topologySpreadConstraints`.
pub(super) fn spread(constraints: &Place<'_>, errors: &mut Errors) {
    let all: Vec<_> = constraints.items().collect();
    for (i, constraint) in all.iter().enumerate() {
        let (skew, key) = (constraint.of("maxSkew"), constraint.of("topologyKey"));
        if skew.number() <= 0 {
            errors.invalid(&skew, &skew.number().into(), "must be greater than zero");
        }
        if key.is_empty() {
            errors.required(&key, "can not be empty");
        }
        let when = constraint.of("whenUnsatisfiable");
        errors.must_be(&when, &["DoNotSchedule", "ScheduleAnyway"]);
        let same = |other: &Place<'_>| {
            [&key, &when].iter().all(|place| {
                let field = place.path.rsplit('.').next().unwrap_or_default();
                other.of(field).value == place.value
            })
        };
        if all[i + 1..].iter().any(same) {
            let both = format!("{{{}, {}}}", key.text(), when.text());
            let at = constraint.of("{topologyKey, whenUnsatisfiable}");
            errors.add(at, Problem::Duplicate(both.into(), ""));
        }
        let domains = constraint.of("minDomains");
        if domains.is_given() && domains.number() <= 0 {
            errors.bad(&domains, "must be greater than zero");
        }
        if domains.is_given() && when.text() != "DoNotSchedule" {
            let what = format!(
                "can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {}",
                when.text()
            );
            errors.bad(&domains, &what);
        }
        for policy in ["nodeAffinityPolicy", "nodeTaintsPolicy"] {
            errors.one_of(&constraint.of(policy), &["Honor", "Ignore"]);
        }
        match_keys(constraint, errors);
        selector(&constraint.of("labelSelector"), errors);
    }
}

/// Tolerations of a Pod, or of a class of Pods.
pub(super) fn tolerations(tolerations: &Place<'_>, errors: &mut Errors) {
    for toleration in tolerations.items() {
        let [key, operator, value, effect] =
            ["key", "operator", "value", "effect"].map(|field| toleration.of(field));
        errors.maybe(&key, qualified);
        if key.is_empty() && operator.text() != "Exists" {
            let what = "operator must be Exists when `key` is empty, which means \"match all values and all keys\"";
            errors.invalid(&operator, &operator.text().into(), what);
        }
        let seconds = toleration.of("tolerationSeconds");
        if seconds.is_given() && effect.text() != "NoExecute" {
            let what = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            errors.invalid(&effect, &effect.text().into(), what);
        }
        let at = value.called(operator.path.clone());
        match operator.text() {
            "" | "Equal" => {
                let wrong = label_value(value.text());
                if !wrong.is_empty() {
                    errors.bad(&at, &wrong.join(";"));
                }
            }
            "Exists" if value.is_empty() => {}
            "Exists" => errors.bad(&at, "value must be empty when `operator` is 'Exists'"),
            // Comparisons are known, and not served.
            "Gt" | "Lt" => {
                let known = ["Equal", "Exists", "Lt", "Gt"];
                errors.not_supported(&operator, operator.value, &known);
            }
            _ => errors.must_be(&operator, &["Equal", "Exists"]),
        }
        if !effect.is_empty() {
            errors.must_be(&effect, EFFECTS);
        }
    }
}

/// Taints of a node, said to stand in its metadata.
pub(super) fn taints(taints: &Place<'_>, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for taint in taints.items() {
        let (key, value, effect) = (taint.of("key"), taint.of("value"), taint.of("effect"));
        errors.each(&key, qualified(key.text()));
        let wrong = label_value(value.text());
        if !wrong.is_empty() {
            errors.bad(&value, &wrong.join(";"));
        }
        if effect.is_empty() {
            errors.required(&effect, "");
        } else {
            errors.must_be(&effect, EFFECTS);
        }
        if !seen.insert((key.text(), effect.text())) {
            let kept = serde_json::json!({
                "Key": key.text(), "Value": value.text(), "Effect": effect.text(), "TimeAdded": taint.value["timeAdded"],
            });
            let why = "taints must be unique by key and effect pair";
            errors.add(&taint, Problem::Duplicate(kept, why));
        }
    }
}

/// A selector's terms as Go keeps them.
pub(super) fn kept_terms(terms: &Value) -> Value {
    let terms = terms.as_array();
    terms.map_or(Value::Null, |terms| terms.iter().map(kept_term).collect())
}

/// One of them.
pub(super) fn kept_term(term: &Value) -> Value {
    let names = [
        ("Key", "key"),
        ("Operator", "operator"),
        ("Values", "values"),
    ];
    let list = |field: &str| -> Option<Vec<Value>> {
        let wanted = term[field].as_array();
        wanted.map(|wanted| wanted.iter().map(|one| shown(one, &names)).collect())
    };
    serde_json::json!({
        "MatchExpressions": list("matchExpressions"), "MatchFields": list("matchFields"),
    })
}
