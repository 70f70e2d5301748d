//! What the API server refuses of what scales and protects sets: HorizontalPodAutoscaler, PodDisruptionBudget.

use serde_json::Value;

use super::resources::container_resource;
use super::values::{at_most_all, count_or_percent, selector, shown};
use super::words::{label, path_segment};
use crate::field::Errors;
use crate::place::Place;

const SOURCES: [(&str, &str); 5] = [
    ("ContainerResource", "containerResource"),
    ("External", "external"),
    ("Object", "object"),
    ("Pods", "pods"),
    ("Resource", "resource"),
];
const TYPES: &[&str] = &[
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

/// policy/v1 PodDisruptionBudget.
pub fn budget(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let both = ["minAvailable", "maxUnavailable"].map(|field| spec.of(field));
    if both.iter().all(Place::is_given) {
        let kept = shown(
            spec.value,
            &[
                ("MinAvailable", "minAvailable"),
                ("Selector", "selector"),
                ("MaxUnavailable", "maxUnavailable"),
                ("UnhealthyPodEvictionPolicy", "unhealthyPodEvictionPolicy"),
            ],
        );
        let what = "minAvailable and maxUnavailable cannot be both set";
        errors.invalid(&spec, &kept, what);
    }
    for of in both.iter().filter(|of| of.is_given()) {
        count_or_percent(of, errors);
        at_most_all(of, errors);
    }
    selector(&spec.of("selector"), errors);
    let policy = spec.of("unhealthyPodEvictionPolicy");
    errors.one_of(&policy, &["AlwaysAllow", "IfHealthyBudget"]);
}

/// autoscaling/v2 HorizontalPodAutoscaler.
pub fn autoscaler(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let (least, most) = (spec.of("minReplicas"), spec.of("maxReplicas"));
    errors.at_least(&least, 0);
    if most.number() < least.number() {
        let what = "must be greater than or equal to `minReplicas`";
        errors.invalid(&most, &most.number().into(), what);
    }
    target_reference(&spec.of("scaleTargetRef"), false, errors);
    let metrics = spec.of("metrics");
    metrics
        .items()
        .for_each(|metric| self::metric(&metric, errors));
    let outside = |metric: Place<'_>| ["External", "Object"].contains(&metric.of("type").text());
    if least.is_given() && least.number() == 0 && !metrics.items().any(outside) {
        let what = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.forbidden(&metrics, what);
    }
    for way in ["scaleUp", "scaleDown"] {
        let rules = spec.of("behavior").of(way);
        if rules.is_given() {
            scaling(&rules, errors);
        }
    }
    if most.number() == 0 {
        errors.required(most, "");
    } else {
        errors.at_least(&most, 1);
    }
}

/// A kind with a name; `core`: it may be of the core.
fn target_reference(to: &Place<'_>, core: bool, errors: &mut Errors) {
    errors.named(&to.of("kind"), path_segment);
    errors.named(&to.of("name"), path_segment);
    let version = to.of("apiVersion");
    let text = version.text();
    if text.matches('/').count() > 1 {
        errors.bad(&version, &format!("unexpected GroupVersion string: {text}"));
    } else if !core && !text.contains('/') {
        errors.each(&version, vec!["apiVersion must specify API group".into()]);
    }
}

fn metric(metric: &Place<'_>, errors: &mut Errors) {
    let kind = metric.of("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric source type");
    }
    errors.must_be(&kind, TYPES);
    let order = [
        "object",
        "external",
        "pods",
        "resource",
        "containerResource",
    ];
    let given = order
        .map(|name| metric.of(name))
        .into_iter()
        .filter(Place::is_given);
    let given: Vec<_> = given.collect();
    if let Some(source) = given.first() {
        self::source(source, errors);
    }
    let wanted = SOURCES.iter().find(|(name, _)| *name == kind.text());
    let wanted = wanted.map(|(_, field)| metric.of(field));
    if let Some(wanted) = wanted.as_ref().filter(|wanted| !wanted.is_given()) {
        let what = "must populate information for the given metric source";
        errors.required(wanted, what);
    }
    if given.len() > 1 {
        let other = |of: &&Place<'_>| wanted.as_ref().is_none_or(|w| w.path != of.path);
        for of in given.iter().filter(other) {
            errors.forbidden(of, "must populate the given metric source only");
        }
    }
}

fn source(source: &Place<'_>, errors: &mut Errors) {
    let (name, target) = (source.of("name"), source.of("target"));
    let kind = source.path.rsplit('.').next().unwrap_or_default();
    match kind {
        "resource" if name.is_empty() => errors.required(name, "must specify a resource name"),
        "resource" => {}
        "containerResource" => {
            if name.is_empty() {
                errors.required(&name, "must specify a resource name");
            } else {
                container_resource(name.text(), &name, errors);
            }
            let container = source.of("container");
            if container.is_empty() {
                errors.required(container, "must specify a container");
            } else {
                errors.each(&container, label(container.text()));
            }
        }
        _ => {
            if kind == "object" {
                target_reference(&source.of("describedObject"), true, errors);
            }
            let name = source.of("metric").of("name");
            if name.is_empty() {
                errors.required(name, "must specify a metric name");
            } else {
                errors.each(&name, path_segment(name.text()));
            }
        }
    }
    self::target(&target, errors);
    aims(kind, &target, errors);
}

/// What each kind of metric aims at.
fn aims(kind: &str, target: &Place<'_>, errors: &mut Errors) {
    let [value, average, used] =
        ["value", "averageValue", "averageUtilization"].map(|field| target.of(field));
    let of_values = value.is_given() || average.is_given();
    match kind {
        "object" if !of_values => {
            errors.required(average, "must set either a target value or averageValue");
        }
        "external" if !of_values => {
            let what = "must set either a target value for metric or a per-pod target";
            errors.required(average, what);
        }
        "external" if value.is_given() && average.is_given() => {
            let what = "may not set both a target value for metric and a per-pod target";
            errors.forbidden(value, what);
        }
        "pods" if !average.is_given() => {
            errors.required(average, "must specify a positive target averageValue");
        }
        "resource" | "containerResource" => match (used.is_given(), average.is_given()) {
            (false, false) => {
                let what = "must set either a target raw value or a target utilization";
                errors.required(used, what);
            }
            (true, true) => {
                let what = "may not set both a target raw value and a target utilization";
                errors.forbidden(average, what);
            }
            (true, false) | (false, true) => {}
        },
        _ => {}
    }
}

fn target(target: &Place<'_>, errors: &mut Errors) {
    let kind = target.of("type");
    if kind.is_empty() {
        errors.required(&kind, "must specify a metric target type");
    }
    if !["Utilization", "Value", "AverageValue"].contains(&kind.text()) {
        let what = "must be either Utilization, Value, or AverageValue";
        errors.each(&kind, vec![what.into()]);
    }
    for amount in ["value", "averageValue"].map(|field| target.of(field)) {
        if amount.is_given() && amount.nanos() <= 0 {
            errors.bad(&amount, "must be positive");
        }
    }
    let used = target.of("averageUtilization");
    if used.is_given() && used.number() < 1 {
        errors.bad(&used, "must be greater than 0");
    }
}

fn scaling(rules: &Place<'_>, errors: &mut Errors) {
    let window = rules.of("stabilizationWindowSeconds");
    if window.number() < 0 {
        errors.bad(&window, "must be greater than or equal to zero");
    }
    if window.number() > 3600 {
        errors.bad(&window, "must be less than or equal to 3600");
    }
    errors.one_of(&rules.of("selectPolicy"), &["Disabled", "Max", "Min"]);
    let policies = rules.of("policies");
    if policies.is_empty() {
        errors.required(&policies, "must specify at least one Policy");
    }
    for policy in policies.items() {
        errors.must_be(&policy.of("type"), &["Percent", "Pods"]);
        for number in ["value", "periodSeconds"].map(|field| policy.of(field)) {
            if number.number() <= 0 {
                errors.invalid(
                    &number,
                    &number.number().into(),
                    "must be greater than zero",
                );
            }
        }
        if policy.of("periodSeconds").number() > 1800 {
            let what = "must be less than or equal to 1800";
            errors.bad(&policy.of("periodSeconds"), what);
        }
    }
    if rules.of("tolerance").nanos() < 0 {
        let what = "must be greater than or equal to 0";
        errors.bad(&rules.of("tolerance"), what);
    }
}
