//! What the API server refuses of amounts: their names, and what limits and requests may be.

use std::collections::BTreeSet;

use super::words::{label, qualified};
use crate::field::{Errors, Problem};
use crate::place::Place;
use headless_objects::quantity::{self, NANO};

/// What containers have of themselves.
const OF_CONTAINERS: &[&str] = &["cpu", "ephemeral-storage", "memory"];

/// What is counted in a namespace.
const COUNTED: &[&str] = &[
    "configmaps",
    "persistentvolumeclaims",
    "pods",
    "replicationcontrollers",
    "resourcequotas",
    "secrets",
    "services",
    "services.loadbalancers",
    "services.nodeports",
];

/// Whether a container may have it.
fn of_container(name: &str) -> bool {
    OF_CONTAINERS.contains(&name) || name.starts_with("hugepages-")
}

/// Whether a quota may limit it.
pub(super) fn of_quota(name: &str) -> bool {
    let asked = name.strip_prefix("requests.");
    let limited = name.strip_prefix("limits.");
    COUNTED.contains(&name)
        || of_container(asked.unwrap_or(name))
        || asked == Some("storage")
        || limited.is_some_and(|name| OF_CONTAINERS.contains(&name))
}

/// Whether Kubernetes itself names it.
fn is_native(name: &str) -> bool {
    !name.contains('/') || name.contains("kubernetes.io/")
}

fn is_extended(name: &str) -> bool {
    !is_native(name)
        && !name.starts_with("requests.")
        && qualified(&format!("requests.{name}")).is_empty()
}

/// Whether more may be used than is asked for.
fn may_exceed(name: &str) -> bool {
    is_native(name) && !name.starts_with("hugepages-")
}

/// The name of a resource, of whatever.
pub(super) fn resource_name(name: &str, at: &Place<'_>, errors: &mut Errors) -> bool {
    let value = name.into();
    let wrong = qualified(name);
    for what in &wrong {
        errors.invalid(at, &value, what);
    }
    if !wrong.is_empty() {
        return false;
    }
    let known = name.contains('/') || of_quota(name) || name == "storage";
    if !known {
        let what = "must be a standard resource type or fully qualified";
        errors.invalid(at, &value, what);
    }
    known
}

/// The name of a container's resource.
pub(super) fn container_resource(name: &str, at: &Place<'_>, errors: &mut Errors) {
    resource_name(name, at, errors);
    if !name.contains('/') && !of_container(name) {
        let what = "must be a standard resource for containers";
        errors.invalid(at, &name.into(), what);
    } else if !is_native(name) && !is_extended(name) {
        let what = "doesn't follow extended resource name standard";
        errors.invalid(at, &name.into(), what);
    }
}

/// The name of a resource of a whole Pod.
fn pod_resource(name: &str, at: &Place<'_>, errors: &mut Errors) {
    const ALLOWED: &[&str] = &["cpu", "hugepages-", "memory"];
    let known = ["cpu", "memory"].contains(&name) || name.starts_with("hugepages-");
    if resource_name(name, at, errors) && !known {
        errors.not_supported(at, &name.into(), ALLOWED);
    }
}

/// The amount of a resource.
pub(super) fn amount(name: &str, at: &Place<'_>, errors: &mut Errors) {
    if at.nanos() < 0 {
        errors.bad(at, "must be greater than or equal to 0");
    }
    let whole = COUNTED.contains(&name) || is_extended(name);
    if whole && at.nanos() % NANO != 0 {
        errors.bad(at, "must be an integer");
    }
}

fn pages(name: &str, at: &Place<'_>, errors: &mut Errors) {
    let page = name.strip_prefix("hugepages-").and_then(quantity::nanos);
    if page.is_some_and(|page| page > 0 && at.nanos() % page != 0) {
        let what = format!("{} is not positive integer multiple of {name}", at.text());
        errors.bad(at, &what);
    }
}

/// A check of a resource's name.
type NameCheck = fn(&str, &Place<'_>, &mut Errors);

/// What a container has and asks for. `claims`: the Pod's, by their names.
pub(super) fn of_one(resources: &Place<'_>, claims: &BTreeSet<&str>, errors: &mut Errors) {
    requirements(resources, container_resource, errors);
    claim_names(&resources.of("claims"), claims, errors);
}

/// Limits alone.
pub(super) fn limits(limits: &Place<'_>, path: &str, errors: &mut Errors) {
    let whole = serde_json::json!({"limits": limits.value});
    requirements(&Place::new(&whole, path), container_resource, errors);
}

/// What a Pod has as a whole, beside what its containers ask for.
pub(super) fn of_pod(spec: &Place<'_>, errors: &mut Errors) {
    let resources = spec.of("resources");
    if !resources.is_given() {
        return;
    }
    if resources.of("claims").is_given() {
        let what = "claims may not be set for Resources at pod-level";
        errors.forbidden(resources.of("claims"), what);
    }
    requirements(&resources, pod_resource, errors);
    claim_names(&resources.of("claims"), &BTreeSet::new(), errors);
    for (name, whole) in resources.of("requests").entries() {
        let asked = spec.of("containers").items();
        let asked = asked.map(|c| c.of("resources").of("requests").key(name).nanos());
        let asked: i128 = asked.sum();
        if asked > 0 && asked > whole.nanos() {
            let shown = quantity::canonical(&format!("{asked}n")).unwrap_or_default();
            let what =
                format!("must be greater than or equal to aggregate container requests of {shown}");
            errors.bad(&whole, &what);
        }
    }
    for (i, container) in spec.of("containers").items().enumerate() {
        for (name, limit) in container.of("resources").of("limits").entries() {
            let whole = resources.of("limits").key(name);
            if whole.is_given() && limit.nanos() > whole.nanos() {
                let at = format!("{}.containers[{i}][{name}].limits", resources.path);
                let what = format!(
                    "must be less than or equal to pod limits of {}",
                    whole.text()
                );
                errors.bad(&limit.called(at), &what);
            }
        }
    }
}

fn requirements(resources: &Place<'_>, name_check: NameCheck, errors: &mut Errors) {
    let (limits, requests) = (resources.of("limits"), resources.of("requests"));
    let (mut has_pages, mut has_others) = (false, false);
    for list in [&limits, &requests] {
        for (name, given) in list.entries() {
            name_check(name, &given, errors);
            amount(name, &given, errors);
            if list.path == requests.path {
                within(name, &given, (&limits, &requests), errors);
            }
            has_pages |= name.starts_with("hugepages-");
            has_others |= ["cpu", "memory"].contains(&name);
            pages(name, &given, errors);
        }
    }
    if has_pages && !has_others {
        errors.forbidden(resources, "HugePages require cpu or memory");
    }
}

/// A request against its limit.
fn within(
    name: &str,
    wanted: &Place<'_>,
    (limits, requests): (&Place<'_>, &Place<'_>),
    errors: &mut Errors,
) {
    let limit = limits.key(name);
    if !limit.is_given() {
        if !may_exceed(name) {
            let what = "Limit must be set for non overcommitable resources";
            errors.required(limits, what);
        }
        return;
    }
    let what = if !may_exceed(name) && wanted.nanos() != limit.nanos() {
        "must be equal to"
    } else if wanted.nanos() > limit.nanos() {
        "must be less than or equal to"
    } else {
        return;
    };
    let what = format!("{what} {name} limit of {}", limit.text());
    errors.invalid(requests, wanted.value, &what);
}

fn claim_names(claims: &Place<'_>, known: &BTreeSet<&str>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for claim in claims.items() {
        let (name, request) = (claim.of("name").text(), claim.of("request"));
        if name.is_empty() {
            errors.required(&claim, "");
            continue;
        }
        errors.maybe(&request, label);
        let key = if request.is_empty() {
            name.to_owned()
        } else {
            format!("{name}/{}", request.text())
        };
        let twice = |problem: &str| Problem::Duplicate(problem.into(), "");
        if names.contains(name) {
            errors.add(&claim, twice(name));
        } else if !names.insert(key.clone()) {
            errors.add(&claim, twice(&key));
        }
        if !known.contains(name) {
            let mut why = "must be one of the names in pod.spec.resourceClaims".to_owned();
            if known.is_empty() {
                why += " which is empty";
            } else {
                let known: Vec<_> = known.iter().copied().collect();
                why += &format!(": {}", known.join(", "));
            }
            errors.add(&claim, Problem::NotFound(name.into(), why));
        }
    }
}
