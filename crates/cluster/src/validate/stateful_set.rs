//! What the API server refuses of a StatefulSet.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::claim::claim_spec;
use super::pod::template;
use super::values::{at_most_all, count_of, count_or_percent};
use super::words::label;
use super::workload::{runs_on, selected};
use crate::field::Errors;
use crate::place::Place;

/// apps/v1 StatefulSet.
pub fn stateful_set(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let management = spec.of("podManagementPolicy");
    if !["OrderedReady", "Parallel"].contains(&management.text()) {
        errors.bad(&management, "must be 'OrderedReady' or 'Parallel'");
    }
    strategy(&spec.of("updateStrategy"), errors);
    let retention = spec.of("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        errors.one_of(&retention.of(field), &["Retain", "Delete"]);
    }
    for claim in spec.of("volumeClaimTemplates").items() {
        claim_spec(&claim.of("spec"), errors);
    }
    errors.not_negative(&spec, &["replicas", "minReadySeconds"]);
    errors.at_least(&spec.of("ordinals").of("start"), 0);
    let service = spec.of("serviceName");
    if old.is_none_or(|old| old["spec"]["serviceName"] != *service.value) {
        errors.maybe(&service, label);
    }
    selected(&spec, ("statefulset", ""), errors);
    pods(&spec, errors);
    if let Some(old) = old {
        update(&spec, &old["spec"], errors);
    }
}

fn strategy(strategy: &Place<'_>, errors: &mut Errors) {
    let rolling = strategy.of("rollingUpdate");
    match strategy.of("type").text() {
        "RollingUpdate" => {
            errors.at_least(&rolling.of("partition"), 0);
            let unavailable = rolling.of("maxUnavailable");
            if unavailable.is_given() {
                count_or_percent(&unavailable, errors);
                if count_of(unavailable.value) == 0 {
                    errors.bad(&unavailable, "cannot be 0");
                }
                at_most_all(&unavailable, errors);
            }
        }
        // The second is KEP-3541's, which a real API server of 1.37 does not take yet.
        "OnDelete" | "Recreate" if !rolling.is_given() => {}
        "OnDelete" => {
            let shown = kept(&rolling);
            let what = "only allowed for updateStrategy 'RollingUpdate'";
            errors.invalid(rolling, &shown, what);
        }
        other => {
            let shown = json!({"Type": other, "RollingUpdate": kept(&rolling)});
            errors.invalid(strategy, &shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// How a set is changed bit by bit, as Go keeps it.
fn kept(rolling: &Place<'_>) -> Value {
    if !rolling.is_given() {
        return Value::Null;
    }
    let partition = rolling.of("partition").number();
    json!({"Partition": partition, "MaxUnavailable": rolling.of("maxUnavailable").value})
}

/// The Pods' template, with the volumes that the claims' templates give it, and these.
fn pods(spec: &Place<'_>, errors: &mut Errors) {
    let claims = spec.of("volumeClaimTemplates");
    let claims = claims
        .items()
        .map(|claim| claim.value["metadata"]["name"].clone());
    let names: BTreeSet<_> = claims.map(|name| name.to_string()).collect();
    let of_claim = |name: &String| {
        let name: Value = serde_json::from_str(name).unwrap_or_default();
        json!({"name": name, "persistentVolumeClaim": {"claimName": name}})
    };
    let mut pods = spec.of("template").value.clone();
    let mut volumes: Vec<_> = names.iter().map(of_claim).collect();
    if let Some(pod) = pods.get_mut("spec").and_then(Value::as_object_mut) {
        // What the set itself gives its Pods is not looked at.
        pod.remove("hostname");
        pod.remove("subdomain");
        let own = pod.get("volumes").and_then(Value::as_array).cloned();
        // A volume of the template that a claim has the name of gives way.
        let own = own.unwrap_or_default().into_iter();
        volumes.extend(own.filter(|volume| !names.contains(&volume["name"].to_string())));
        pod.insert("volumes".into(), volumes.into());
    }
    let pods = Place::new(&pods, "spec.template");
    template(&pods, errors);
    runs_on(&pods.of("spec"), "StatefulSet", errors);
}

/// What may never change.
fn update(new: &Place<'_>, old: &Value, errors: &mut Errors) {
    for field in ["selector", "volumeClaimTemplates"] {
        errors.stays(&new.of(field), &old[field]);
    }
    for field in ["serviceName", "podManagementPolicy"] {
        errors.unchanged(&new.of(field), &old[field]);
    }
}
