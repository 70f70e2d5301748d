//! What the API server refuses of nodes, of classes of Pods, and of leases.

use serde_json::Value;

use super::affinity::{taints, tolerations};
use super::resources::{amount, limits};
use super::values::{labels, range};
use super::words::label;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// The highest priority that is not the system's.
const HIGHEST: i64 = 1_000_000_000;

/// Classes of the system itself.
const OF_SYSTEM: &[&str] = &["system-cluster-critical", "system-node-critical"];

/// v1 Node.
pub fn node(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let (spec, status) = (
        Place::new(&object["spec"], "spec"),
        Place::new(&object["status"], "status"),
    );
    taints(&spec.of("taints").called("metadata.taints".into()), errors);
    for list in ["capacity", "allocatable"] {
        let list = status.of(list);
        for (name, given) in list.entries() {
            amount(name, &given.called(list.of(name).path), errors);
        }
    }
    let ranges = spec.of("podCIDRs");
    own_ranges(&ranges, errors);
    if let Some(old) = old {
        update(&spec, &old["spec"], errors);
    }
}

/// The ranges of a node's Pods: one of each family at most.
fn own_ranges(ranges: &Place<'_>, errors: &mut Errors) {
    let read = ranges.items().filter_map(|of| range(&of, errors));
    let families: Vec<_> = read.map(|(ip, _)| ip.is_ipv4()).collect();
    let twice = families.len() == 2 && families[0] == families[1];
    if twice || ranges.count() > 2 {
        let what = "may specify no more than one CIDR for each IP family";
        errors.bad(ranges, what);
    }
}

/// What a node is given once.
fn update(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let (ranges, before) = (spec.of("podCIDRs"), &old["podCIDRs"]);
    if before.is_array() && before != ranges.value {
        let what = "node updates may not change podCIDR except from \"\" to valid";
        errors.forbidden(ranges, what);
    }
    let id = spec.of("providerID");
    let was = old["providerID"].as_str().unwrap_or_default();
    if !was.is_empty() && id.text() != was {
        let what = if id.is_empty() {
            "field cannot be cleared once set"
        } else {
            "field cannot be modified once set"
        };
        errors.invalid(&id, &Value::Null, what);
    }
}

/// node.k8s.io/v1 RuntimeClass.
pub fn runtime_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let handler = Place::new(&object["handler"], "handler");
    let overhead = Place::new(&object["overhead"]["podFixed"], "overhead");
    limits(&overhead, "overhead", errors);
    let scheduling = Place::new(&object["scheduling"], "scheduling");
    labels(&scheduling.of("nodeSelector"), errors);
    let tolerated = scheduling.of("tolerations");
    tolerations(&tolerated, errors);
    let all: Vec<_> = tolerated.items().collect();
    for (i, one) in all.iter().enumerate() {
        if all[..i].iter().any(|other| other.value == one.value) {
            let text = |field: &str| one.of(field).text();
            let kept = serde_json::json!({
                "Key": text("key"), "Operator": text("operator"), "Value": text("value"), "Effect": text("effect"),
                "TolerationSeconds": one.value["tolerationSeconds"],
            });
            errors.add(one, Problem::Duplicate(kept, ""));
        }
    }
    let in_bytes = |text: &str| {
        label(text)
            .into_iter()
            .map(|what| what.replace("63 characters", "63 bytes"))
            .collect()
    };
    if handler.is_empty() {
        errors.required(&handler, "");
    } else {
        errors.each(&handler, in_bytes(handler.text()));
    }
    if let Some(old) = old {
        errors.fixed(&handler, &old["handler"]);
    }
}

/// scheduling.k8s.io/v1 PriorityClass.
pub fn priority_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let (value, policy) = (
        Place::new(&object["value"], "value"),
        Place::new(&object["preemptionPolicy"], "preemptionPolicy"),
    );
    if let Some(old) = old {
        if old["value"].as_i64().unwrap_or_default() != value.number() {
            errors.forbidden(&value, "may not be changed in an update.");
        }
        errors.unchanged(&policy, &old["preemptionPolicy"]);
        return;
    }
    if name.starts_with("system-") && !OF_SYSTEM.contains(&name) {
        let what =
            "priority class names with 'system-' prefix are reserved for system use only. error:";
        let what = format!("{what} {name} is not a known system priority class");
        errors.forbidden("metadata.name", what);
    } else if value.number() > HIGHEST && !OF_SYSTEM.contains(&name) {
        let what = format!("maximum allowed value of a user defined priority is {HIGHEST}");
        errors.forbidden(&value, what);
    }
    if policy.is_empty() {
        errors.required(policy, "");
    } else {
        errors.must_be(&policy, &["PreemptLowerPriority", "Never"]);
    }
}

/// coordination.k8s.io/v1 Lease.
pub fn lease(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let lasts = spec.of("leaseDurationSeconds");
    if lasts.is_given() && lasts.number() <= 0 {
        errors.bad(&lasts, "must be greater than 0");
    }
    errors.at_least(&spec.of("leaseTransitions"), 0);
}
