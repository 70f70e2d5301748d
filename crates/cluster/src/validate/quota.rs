//! What the API server refuses of limits for a namespace: ResourceQuota and LimitRange.

use std::collections::BTreeSet;

use headless_objects::quantity::NANO;
use serde_json::Value;

use super::resources::{amount, container_resource, of_quota, resource_name};
use super::words::qualified;
use crate::field::Errors;
use crate::place::Place;

/// What Pods a quota may be for.
const SCOPES: &[&str] = &[
    "BestEffort",
    "CrossNamespacePodAffinity",
    "NotBestEffort",
    "NotTerminating",
    "PriorityClass",
    "Terminating",
    "VolumeAttributesClass",
];

/// Scopes that exclude each other.
const OPPOSITES: [[&str; 2]; 2] = [
    ["BestEffort", "NotBestEffort"],
    ["Terminating", "NotTerminating"],
];

/// v1 ResourceQuota.
pub fn quota(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let hard = spec.of("hard");
    for (name, most) in hard.entries() {
        resource_name(name, &most, errors);
        if !name.contains('/') && !of_quota(name) {
            let what = "must be a standard resource for quota";
            errors.invalid(&most, &name.into(), what);
        }
        amount(name, &most, errors);
    }
    let fits = |scope: &str| {
        hard.entries()
            .iter()
            .all(|(name, _)| may_limit(scope, name))
    };
    let scopes = spec.of("scopes");
    let names: Vec<_> = scopes.items().map(|scope| scope.text()).collect();
    for scope in &names {
        if !SCOPES.contains(scope) {
            errors.bad(&scopes, "unsupported scope");
        } else if !fits(scope) {
            errors.bad(&scopes, "unsupported scope applied to resource");
        }
    }
    let mut opposed = |names: &[&str]| {
        for pair in OPPOSITES {
            if pair.iter().all(|scope| names.contains(scope)) {
                errors.bad(&scopes, "conflicting scopes");
            }
        }
    };
    opposed(&names);
    let wanted = spec.of("scopeSelector").of("matchExpressions");
    let names: Vec<_> = wanted.items().map(|w| w.of("scopeName").text()).collect();
    opposed(&names);
    for expression in wanted.items() {
        scope(&expression.called(wanted.path.clone()), errors);
    }
    if let Some(old) = old {
        errors.unchanged(&scopes, &old["spec"]["scopes"]);
    }
}

/// Whether a quota of this scope may limit that.
fn may_limit(scope: &str, name: &str) -> bool {
    const COMPUTED: &[&str] = &[
        "cpu",
        "limits.cpu",
        "limits.memory",
        "memory",
        "pods",
        "requests.cpu",
        "requests.memory",
    ];
    match scope {
        "BestEffort" => name == "pods",
        "VolumeAttributesClass" => ["persistentvolumeclaims", "requests.storage"].contains(&name),
        _ => COMPUTED.contains(&name),
    }
}

fn scope(wanted: &Place<'_>, errors: &mut Errors) {
    let [name, operator, values] = ["scopeName", "operator", "values"].map(|f| wanted.of(f));
    if !SCOPES.contains(&name.text()) {
        errors.bad(&name, "unsupported scope");
    }
    let valued = ["PriorityClass", "VolumeAttributesClass"].contains(&name.text());
    if SCOPES.contains(&name.text()) && !valued && operator.text() != "Exists" {
        let what = "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, \
            ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity";
        errors.bad(&operator, what);
    }
    match operator.text() {
        "In" | "NotIn" if values.is_empty() => {
            let what =
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector";
            errors.required(values, what);
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let what =
                "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector";
            errors.bad(&values, what);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => errors.bad(&operator, "not a valid selector operator"),
    }
}

/// v1 LimitRange.
pub fn limit_range(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let mut kinds = BTreeSet::new();
    for limit in Place::new(&object["spec"], "spec").of("limits").items() {
        let kind = limit.of("type");
        let wrong = qualified(kind.text());
        let known = ["Container", "Pod", "PersistentVolumeClaim"].contains(&kind.text());
        if wrong.is_empty() && !kind.text().contains('/') && !known {
            let what = "must be a standard limit type or fully qualified";
            errors.bad(&kind, what);
        }
        errors.each(&kind, wrong);
        if !kinds.insert(kind.text()) {
            errors.duplicate(&kind);
        }
        limits(&limit, kind.text(), errors);
    }
}

fn limits(limit: &Place<'_>, kind: &str, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for field in [
        "max",
        "min",
        "default",
        "defaultRequest",
        "maxLimitRequestRatio",
    ] {
        let amounts = limit.of(field);
        if kind == "Pod" && field.starts_with("default") {
            if !amounts.is_empty() {
                errors.forbidden(amounts, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for (name, amount) in amounts.entries() {
            if ["Pod", "Container"].contains(&kind) {
                container_resource(name, &amount, errors);
            } else {
                resource_name(name, &amount, errors);
            }
            names.insert(name);
        }
        let storage = ["min", "max"].map(|field| limit.of(field).of("storage"));
        let none = !storage.iter().any(Place::is_given);
        if field == "defaultRequest" && kind == "PersistentVolumeClaim" && none {
            let what =
                "either minimum or maximum storage value is required, but neither was provided";
            errors.required(limit.of("limits"), what);
        }
    }
    for name in names {
        amounts(limit, name, errors);
    }
}

/// The amounts of a resource against each other.
fn amounts(limit: &Place<'_>, name: &str, errors: &mut Errors) {
    let [min, max, default, request] =
        ["min", "max", "default", "defaultRequest"].map(|field| limit.of(field).key(name));
    let (least, most) = (("min value", &min), ("max value", &max));
    let asked = ("default request value", &request);
    let (given, limited) = (
        ("default value", &default),
        ("default limit value", &default),
    );
    for (less, more, at, value) in [
        (least, most, &min, &min),
        (least, asked, &request, &request),
        (asked, most, &request, &request),
        (asked, limited, &request, &request),
        (least, given, &default, &min),
        (given, most, &default, &max),
    ] {
        let both = less.1.is_given() && more.1.is_given();
        if both && less.1.nanos() > more.1.nanos() {
            let [less, more] = [less, more].map(|(of, place)| format!("{of} {}", place.text()));
            let what = format!("{less} is greater than {more}");
            errors.invalid(at, value.value, &what);
        }
    }
    ratio(
        &limit.of("maxLimitRequestRatio").key(name),
        (&min, &max),
        errors,
    );
}

/// How much more than is asked for may be used.
fn ratio(ratio: &Place<'_>, (min, max): (&Place<'_>, &Place<'_>), errors: &mut Errors) {
    if !ratio.is_given() {
        return;
    }
    if ratio.nanos() < NANO {
        errors.bad(ratio, &format!("ratio {} is less than 1", ratio.text()));
    }
    #[expect(clippy::cast_precision_loss, reason = "a ratio is shown")]
    let whole = max.nanos() as f64 / min.nanos() as f64;
    let exceeds = ratio.nanos().saturating_mul(min.nanos()) > max.nanos().saturating_mul(NANO);
    if min.is_given() && max.is_given() && exceeds {
        let what = format!(
            "ratio {} is greater than max/min = {whole:.6}",
            ratio.text()
        );
        errors.bad(ratio, &what);
    }
}
