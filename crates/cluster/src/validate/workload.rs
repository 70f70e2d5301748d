//! What the API server refuses of kinds that make Pods that run on: Deployment, ReplicaSet, DaemonSet, ReplicationController.

use serde_json::{Value, json};

use super::pod::template;
use super::values::{at_most_all, count_of, count_or_percent, selector, selects_all, shown};
use crate::field::Errors;
use crate::place::Place;
use headless_objects::selector::Selector;

/// apps/v1 Deployment.
pub fn deployment(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    errors.at_least(&spec.of("replicas"), 0);
    selected(&spec, ("deployment", "invalid label selector"), errors);
    running(&spec, "ReplicaSet", errors);
    strategy(&spec.of("strategy"), errors);
    errors.not_negative(&spec, &["minReadySeconds", "revisionHistoryLimit"]);
    let deadline = spec.of("progressDeadlineSeconds");
    errors.at_least(&deadline, 0);
    if deadline.is_given() && deadline.number() <= spec.of("minReadySeconds").number() {
        errors.bad(&deadline, "must be greater than minReadySeconds");
    }
    same_selector(&spec, old, errors);
}

/// apps/v1 ReplicaSet.
pub fn replica_set(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    errors.not_negative(&spec, &["replicas", "minReadySeconds"]);
    selected(&spec, ("deployment", "invalid label selector"), errors);
    running(&spec, "ReplicaSet", errors);
    same_selector(&spec, old, errors);
}

/// apps/v1 DaemonSet.
pub fn daemon_set(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    same_selector(&spec, old, errors);
    let wanted = spec.of("selector");
    let before = errors.0.len();
    selector(&wanted, errors);
    if errors.0.len() == before {
        matches_template(&spec, Selector::of(wanted.value).as_ref(), errors);
    }
    if wanted.is_given() && selects_all(&wanted) {
        errors.bad(&wanted, "empty selector is invalid for daemonset");
    }
    running(&spec, "DaemonSet", errors);
    errors.at_least(&spec.of("minReadySeconds"), 0);
    daemon_strategy(&spec.of("updateStrategy"), errors);
    errors.at_least(&spec.of("revisionHistoryLimit"), 0);
}

/// v1 ReplicationController.
pub fn replication_controller(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let wanted = spec.of("selector");
    if wanted.is_empty() {
        errors.required(&wanted, "");
    }
    if spec.of("template").is_given() {
        let labels = spec.of("template").of("metadata").of("labels");
        let misses = |(key, value): (&str, Place<'_>)| labels.value[key] != *value.value;
        if wanted.entries().into_iter().any(misses) {
            let what = "`selector` does not match template `labels`";
            errors.invalid(&labels, labels.value, what);
        }
        running(&spec, "ReplicationController", errors);
    } else {
        errors.required(spec.of("template"), "");
    }
    errors.not_negative(&spec, &["replicas", "minReadySeconds"]);
}

/// Checks that there is a selector of something. `of`: what has it, and what is said of one that nobody understands.
pub(super) fn selected(spec: &Place<'_>, (of, unclear): (&str, &str), errors: &mut Errors) {
    let wanted = spec.of("selector");
    if !wanted.is_given() {
        errors.required(&wanted, "");
    }
    let before = errors.0.len();
    selector(&wanted, errors);
    let understood = errors.0.len() == before;
    if wanted.is_given() && selects_all(&wanted) {
        errors.bad(&wanted, &format!("empty selector is invalid for {of}"));
    }
    if understood {
        matches_template(spec, Selector::of(wanted.value).as_ref(), errors);
    } else {
        errors.bad(&wanted, unclear);
    }
}

/// The template's labels are those that the selector selects; without one it selects nothing.
pub(super) fn matches_template(spec: &Place<'_>, selector: Option<&Selector>, errors: &mut Errors) {
    let labels = spec.of("template").of("metadata").of("labels");
    let text = |key: &str| labels.value[key].as_str();
    if !selector.is_some_and(|selector| selector.is_empty() || selector.matches(text)) {
        let what = "`selector` does not match template `labels`";
        errors.invalid(&labels, labels.value, what);
    }
}

/// A template of Pods that run on.
fn running(spec: &Place<'_>, kind: &str, errors: &mut Errors) {
    template(&spec.of("template"), errors);
    runs_on(&spec.of("template").of("spec"), kind, errors);
}

/// Pods of this kind are always started again, and have no deadline.
pub(super) fn runs_on(pod: &Place<'_>, kind: &str, errors: &mut Errors) {
    errors.one_of(&pod.of("restartPolicy"), &["Always"]);
    let deadline = pod.of("activeDeadlineSeconds");
    if deadline.is_given() {
        errors.forbidden(
            deadline,
            format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

fn same_selector(spec: &Place<'_>, old: Option<&Value>, errors: &mut Errors) {
    if let Some(old) = old {
        errors.stays(&spec.of("selector"), &old["spec"]["selector"]);
    }
}

/// A strategy as it is kept.
fn kept(strategy: &Place<'_>) -> Value {
    const FIELDS: [(&str, &str); 2] = [
        ("MaxUnavailable", "maxUnavailable"),
        ("MaxSurge", "maxSurge"),
    ];
    let rolling = strategy.of("rollingUpdate");
    let rolling = rolling.is_given().then(|| shown(rolling.value, &FIELDS));
    json!({"Type": strategy.of("type").text(), "RollingUpdate": rolling})
}

fn strategy(strategy: &Place<'_>, errors: &mut Errors) {
    let rolling = strategy.of("rollingUpdate");
    match strategy.of("type").text() {
        "Recreate" => {
            if rolling.is_given() {
                let what = "may not be specified when strategy `type` is 'Recreate'";
                errors.forbidden(rolling, what);
            }
        }
        "RollingUpdate" => {
            let [unavailable, surge] = ["maxUnavailable", "maxSurge"].map(|f| rolling.of(f));
            count_or_percent(&unavailable, errors);
            count_or_percent(&surge, errors);
            let both = [&unavailable, &surge].map(|of| count_of(of.value));
            if both == [0, 0] {
                errors.bad(&unavailable, "may not be 0 when `maxSurge` is 0");
            }
            at_most_all(&unavailable, errors);
        }
        _ => errors.not_supported(strategy, &kept(strategy), &["Recreate", "RollingUpdate"]),
    }
}

fn daemon_strategy(strategy: &Place<'_>, errors: &mut Errors) {
    match strategy.of("type").text() {
        "OnDelete" => {}
        "RollingUpdate" => {
            let rolling = strategy.of("rollingUpdate");
            let both = ["maxUnavailable", "maxSurge"].map(|field| rolling.of(field));
            both.iter().for_each(|of| count_or_percent(of, errors));
            both.iter().for_each(|of| at_most_all(of, errors));
            let [unavailable, surge] = both;
            match (count_of(unavailable.value), count_of(surge.value)) {
                (0, 0) => {
                    errors.required(unavailable, "cannot be 0 when maxSurge is 0");
                }
                (0, _) | (_, 0) => {}
                _ => errors.bad(&surge, "may not be set when maxUnavailable is non-zero"),
            }
        }
        _ => errors.not_supported(strategy, &kept(strategy), &["RollingUpdate", "OnDelete"]),
    }
}
