//! What the API server refuses of a StatefulSet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::words::{LABEL_RULE, is_label, items, labels};
use super::{Errors, Problem, claim_spec, pod_spec};
use headless_objects::selector::Selector;

const PERCENT_RULE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
    regex used for validation is '[0-9]+%')";

/// apps/v1 StatefulSet.
pub fn stateful_set(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    selector(spec, errors);
    for field in [
        "replicas",
        "minReadySeconds",
        "ordinals.start",
        "updateStrategy.rollingUpdate.partition",
    ] {
        let value = field.split('.').fold(spec, |value, key| &value[key]);
        errors.at_least(&format!("spec.{field}"), value, 0);
    }
    let management = &spec["podManagementPolicy"];
    if !["OrderedReady", "Parallel"]
        .map(Value::from)
        .contains(management)
    {
        let what = "must be 'OrderedReady' or 'Parallel'";
        errors.invalid("spec.podManagementPolicy", management, what);
    }
    strategy(&spec["updateStrategy"], errors);
    max_unavailable(
        &spec["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
        errors,
    );
    template(spec, errors);
    match old {
        None => {
            let service = spec["serviceName"].as_str().unwrap_or_default();
            if !service.is_empty() && !is_label(service) {
                errors.invalid("spec.serviceName", &spec["serviceName"], LABEL_RULE);
            }
        }
        Some(old) => {
            update(spec, &old["spec"], errors);
            let collisions = |object: &Value| object["status"]["collisionCount"].as_i64();
            if collisions(object) < collisions(old) {
                let value = &object["status"]["collisionCount"];
                errors.invalid("status.collisionCount", value, "cannot be decremented");
            }
        }
    }
    status(&object["status"], errors);
}

fn strategy(strategy: &Value, errors: &mut Errors) {
    let at = "spec.updateStrategy";
    let block = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "RollingUpdate" | "Recreate" => {}
        "OnDelete" if block.is_null() => {}
        "OnDelete" => {
            let shown =
                json!({"Partition": block["partition"], "MaxUnavailable": block["maxUnavailable"]});
            let what = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid(format!("{at}.rollingUpdate"), &shown, what);
        }
        _ => {
            let shown = json!({"Type": strategy["type"], "RollingUpdate": null});
            errors.invalid(at, &shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// The Pods' template, with the volumes that the claims' templates give it, and these.
fn template(spec: &Value, errors: &mut Errors) {
    for (i, claim) in items(&spec["volumeClaimTemplates"]) {
        let at = format!("spec.volumeClaimTemplates[{i}].spec");
        claim_spec(&claim["spec"], &at, errors);
    }
    let template = &spec["template"];
    labels(
        &template["metadata"]["labels"],
        "spec.template.labels",
        errors,
    );
    let mut pod = template["spec"].clone();
    let claims = items(&spec["volumeClaimTemplates"]).map(|(_, claim)| {
        let name = &claim["metadata"]["name"];
        json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
    });
    let mut names = BTreeSet::new();
    let mut volumes: Vec<_> = claims
        .filter(|volume| names.insert(volume["name"].to_string()))
        .collect();
    // A volume of the template that a claim has the name of gives way.
    let own = items(&template["spec"]["volumes"]);
    let own = own.filter(|(_, volume)| !names.contains(&volume["name"].to_string()));
    volumes.extend(own.map(|(_, volume)| volume.clone()));
    if pod.is_object() {
        pod["volumes"] = volumes.into();
    }
    pod_spec(&pod, "spec.template.spec", errors);
    let policy = &pod["restartPolicy"];
    errors.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    if !pod["activeDeadlineSeconds"].is_null() {
        let what = "activeDeadlineSeconds in StatefulSet is not Supported";
        let at = "spec.template.spec.activeDeadlineSeconds";
        errors.add(at, Problem::Forbidden(what.into()));
    }
}

/// Checks that the selector selects something, and matches the template's labels.
pub(super) fn selector(spec: &Value, errors: &mut Errors) {
    let selector = &spec["selector"];
    let labels = &spec["template"]["metadata"]["labels"];
    let selector = Selector::of(selector);
    match &selector {
        None => errors.required("spec.selector", ""),
        Some(selector) if selector.is_empty() => errors.invalid(
            "spec.selector",
            &spec["selector"],
            "empty selector is invalid for statefulset",
        ),
        Some(_) => {}
    }
    // A set without a selector selects nothing.
    if !selector.is_some_and(|selector| selector.matches(|key| labels[key].as_str())) {
        errors.invalid(
            "spec.template.metadata.labels",
            labels,
            "`selector` does not match template `labels`",
        );
    }
}

/// A count of at least 1, or a percentage from 1 to 100 (KEP-961).
fn max_unavailable(value: &Value, errors: &mut Errors) {
    let field = "spec.updateStrategy.rollingUpdate.maxUnavailable";
    let percent = value.as_str().map(|text| {
        let digits = text.strip_suffix('%');
        digits.and_then(|digits| digits.parse::<u64>().ok())
    });
    match (value.as_i64(), percent) {
        (Some(0), _) | (_, Some(Some(0))) => errors.invalid(field, value, "cannot be 0"),
        (Some(..0), _) => errors.at_least(field, value, 0),
        (_, Some(None)) => errors.invalid(field, value, PERCENT_RULE),
        (_, Some(Some(101..))) => errors.invalid(field, value, "must not be greater than 100%"),
        (Some(1..), _) | (None, None | Some(Some(1..=100))) => {}
    }
}

fn status(status: &Value, errors: &mut Errors) {
    for field in [
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
    ] {
        errors.at_least(&format!("status.{field}"), &status[field], 0);
    }
    let count = |field: &str| status[field].as_i64().unwrap_or_default();
    for field in ["readyReplicas", "currentReplicas", "updatedReplicas"] {
        if count(field) > count("replicas") {
            errors.invalid(
                format!("status.{field}"),
                &status[field],
                "cannot be greater than status.replicas",
            );
        }
    }
    if count("availableReplicas") > count("readyReplicas") {
        errors.invalid(
            "status.availableReplicas",
            &status["availableReplicas"],
            "cannot be greater than status.readyReplicas",
        );
    }
}

/// What may never change.
fn update(new: &Value, old: &Value, errors: &mut Errors) {
    for field in [
        "selector",
        "volumeClaimTemplates",
        "serviceName",
        "podManagementPolicy",
    ] {
        if new[field] != old[field] {
            errors.invalid(format!("spec.{field}"), &new[field], "field is immutable");
        }
    }
}
