//! What the API server refuses of a Pod's spec, also in a template.

use std::collections::BTreeSet;

use serde_json::Value;

use super::container::{Around, container};
use super::words::{LABEL_RULE, is_empty, is_label, items, labels};
use crate::field::{Errors, Problem};

/// A volume's sources, with a field that each must have.
const SOURCES: &[(&str, &str)] = &[
    ("configMap", "name"),
    ("csi", "driver"),
    ("downwardAPI", ""),
    ("emptyDir", ""),
    ("ephemeral", ""),
    ("hostPath", "path"),
    ("image", ""),
    ("iscsi", "targetPortal"),
    ("nfs", "path"),
    ("persistentVolumeClaim", "claimName"),
    ("projected", ""),
    ("secret", "secretName"),
];

pub(super) fn pod_spec(spec: &Value, path: &str, errors: &mut Errors) {
    let volumes = volumes(&spec["volumes"], &format!("{path}.volumes"), errors);
    let mut around = Around {
        names: BTreeSet::new(),
        volumes,
    };
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        errors.required(format!("{path}.containers"), "");
    }
    for list in ["containers", "initContainers"] {
        for (i, given) in items(&spec[list]) {
            container(given, &format!("{path}.{list}[{i}]"), &mut around, errors);
        }
    }
    errors.one_of(
        &format!("{path}.restartPolicy"),
        &spec["restartPolicy"],
        &["Always", "OnFailure", "Never"],
    );
    errors.one_of(
        &format!("{path}.dnsPolicy"),
        &spec["dnsPolicy"],
        &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"],
    );
    labels(
        &spec["nodeSelector"],
        &format!("{path}.nodeSelector"),
        errors,
    );
    affinity(&spec["affinity"], &format!("{path}.affinity"), errors);
    spread(
        &spec["topologySpreadConstraints"],
        &format!("{path}.topologySpreadConstraints"),
        errors,
    );
    for (i, toleration) in items(&spec["tolerations"]) {
        let at = format!("{path}.tolerations[{i}]");
        errors.one_of(
            &format!("{at}.operator"),
            &toleration["operator"],
            &["Equal", "Exists"],
        );
        errors.one_of(
            &format!("{at}.effect"),
            &toleration["effect"],
            &["NoExecute", "NoSchedule", "PreferNoSchedule"],
        );
    }
}

/// The names of the volumes that are right.
fn volumes<'a>(volumes: &'a Value, at: &str, errors: &mut Errors) -> BTreeSet<&'a str> {
    let mut names = BTreeSet::new();
    for (i, volume) in items(volumes) {
        let (at, mut own) = (format!("{at}[{i}]"), Errors::default());
        source(volume, &at, &mut own);
        let name = volume["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            own.required(format!("{at}.name"), "");
        } else if !is_label(name) {
            own.invalid(format!("{at}.name"), &volume["name"], LABEL_RULE);
        }
        if names.contains(name) {
            own.add(format!("{at}.name"), Problem::Duplicate(name.into()));
        }
        if own.0.is_empty() {
            names.insert(name);
        }
        errors.0.extend(own.0);
    }
    names
}

fn source(volume: &Value, at: &str, errors: &mut Errors) {
    let given = SOURCES
        .iter()
        .filter(|(source, _)| volume[*source].is_object());
    for (i, (source, field)) in given.enumerate() {
        if i > 0 {
            let what = "may not specify more than 1 volume type";
            errors.add(format!("{at}.{source}"), Problem::Forbidden(what.into()));
        } else if !field.is_empty() && is_empty(&volume[*source][*field]) {
            errors.required(format!("{at}.{source}.{field}"), "");
        }
    }
}

fn affinity(affinity: &Value, at: &str, errors: &mut Errors) {
    const WHEN: [&str; 2] = [
        "requiredDuringSchedulingIgnoredDuringExecution",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ];
    let terms = &affinity["nodeAffinity"][WHEN[0]]["nodeSelectorTerms"];
    for (i, term) in items(terms) {
        let at = format!("{at}.nodeAffinity.{}.nodeSelectorTerms[{i}]", WHEN[0]);
        node_terms(term, &at, errors);
    }
    for (i, preferred) in items(&affinity["nodeAffinity"][WHEN[1]]) {
        let at = format!("{at}.nodeAffinity.{}[{i}].preference", WHEN[1]);
        node_terms(&preferred["preference"], &at, errors);
    }
    for kind in ["podAffinity", "podAntiAffinity"] {
        for (when, inside) in [(WHEN[0], ""), (WHEN[1], ".podAffinityTerm")] {
            for (i, term) in items(&affinity[kind][when]) {
                let term = inside
                    .strip_prefix('.')
                    .map_or(term, |inside| &term[inside]);
                if is_empty(&term["topologyKey"]) {
                    let at = format!("{at}.{kind}.{when}[{i}]{inside}.topologyKey");
                    errors.required(at, "can not be empty");
                }
            }
        }
    }
}

fn node_terms(term: &Value, at: &str, errors: &mut Errors) {
    for (i, wanted) in items(&term["matchExpressions"]) {
        let at = format!("{at}.matchExpressions[{i}]");
        let no_values = wanted["values"].as_array().is_none_or(Vec::is_empty);
        match wanted["operator"].as_str().unwrap_or_default() {
            "In" | "NotIn" if no_values => errors.required(
                format!("{at}.values"),
                "must be specified when `operator` is 'In' or 'NotIn'",
            ),
            "In" | "NotIn" | "Gt" | "Lt" => {}
            "Exists" | "DoesNotExist" => {
                if !no_values {
                    let what = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                    errors.add(format!("{at}.values"), Problem::Forbidden(what.into()));
                }
            }
            _ => errors.invalid(
                format!("{at}.operator"),
                &wanted["operator"],
                "not a valid selector operator",
            ),
        }
    }
}

fn spread(constraints: &Value, at: &str, errors: &mut Errors) {
    for (i, constraint) in items(constraints) {
        let at = format!("{at}[{i}]");
        if constraint["maxSkew"].as_i64().unwrap_or_default() <= 0 {
            errors.invalid(
                format!("{at}.maxSkew"),
                &constraint["maxSkew"],
                "must be greater than zero",
            );
        }
        if is_empty(&constraint["topologyKey"]) {
            errors.required(format!("{at}.topologyKey"), "can not be empty");
        }
        errors.one_of(
            &format!("{at}.whenUnsatisfiable"),
            &constraint["whenUnsatisfiable"],
            &["DoNotSchedule", "ScheduleAnyway"],
        );
    }
}
