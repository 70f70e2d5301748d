//! What the API server refuses of a container.

use std::collections::BTreeSet;

use serde_json::Value;

use super::handler::{handler, probe};
use super::words::{LABEL_RULE, is_empty, is_label, items, port_name, port_number, qualified};
use crate::field::{Errors, Problem};
use headless_objects::quantity;

/// What a container's environment may take from its Pod.
const POD_FIELDS: &[&str] = &[
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

/// Resources that every container may ask for.
const RESOURCES: &[&str] = &["cpu", "ephemeral-storage", "memory"];

/// Names that may not occur again, and the volumes that mounts may name.
pub(super) struct Around<'a> {
    pub(super) names: BTreeSet<String>,
    pub(super) volumes: BTreeSet<&'a str>,
}

pub(super) fn container(container: &Value, at: &str, around: &mut Around<'_>, errors: &mut Errors) {
    match container["name"].as_str().unwrap_or_default() {
        "" => errors.required(format!("{at}.name"), ""),
        name if !is_label(name) => {
            errors.invalid(format!("{at}.name"), &container["name"], LABEL_RULE);
        }
        _ => {}
    }
    if is_empty(&container["image"]) {
        errors.required(format!("{at}.image"), "");
    }
    ports(&container["ports"], &format!("{at}.ports"), errors);
    environment(&container["env"], &format!("{at}.env"), errors);
    mounts(
        &container["volumeMounts"],
        &format!("{at}.volumeMounts"),
        &around.volumes,
        errors,
    );
    errors.one_of(
        &format!("{at}.imagePullPolicy"),
        &container["imagePullPolicy"],
        &["Always", "IfNotPresent", "Never"],
    );
    resources(&container["resources"], &format!("{at}.resources"), errors);
    if let Some(name) = container["name"].as_str().filter(|name| !name.is_empty())
        && !around.names.insert(name.to_owned())
    {
        errors.add(format!("{at}.name"), Problem::Duplicate(name.into()));
    }
    for hook in ["postStart", "preStop"] {
        let given = &container["lifecycle"][hook];
        if given.is_object() {
            handler(given, &format!("{at}.lifecycle.{hook}"), errors);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        if container[name].is_object() {
            probe(&container[name], &format!("{at}.{name}"), errors);
        }
    }
}

fn ports(ports: &Value, at: &str, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (i, port) in items(ports) {
        let at = format!("{at}[{i}]");
        if let Some(name) = port["name"].as_str().filter(|name| !name.is_empty()) {
            let wrong = port_name(name);
            for what in &wrong {
                errors.invalid(format!("{at}.name"), &port["name"], what);
            }
            if wrong.is_empty() && !names.insert(name) {
                errors.add(format!("{at}.name"), Problem::Duplicate(name.into()));
            }
        }
        let field = format!("{at}.containerPort");
        if port["containerPort"].as_i64().unwrap_or_default() == 0 {
            errors.required(field, "");
        } else {
            port_number(&port["containerPort"], &field, errors);
        }
        if port["hostPort"].as_i64().is_some_and(|number| number != 0) {
            port_number(&port["hostPort"], &format!("{at}.hostPort"), errors);
        }
        errors.one_of(
            &format!("{at}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
    }
}

fn environment(env: &Value, at: &str, errors: &mut Errors) {
    for (i, variable) in items(env) {
        let at = format!("{at}[{i}]");
        if is_empty(&variable["name"]) {
            errors.required(format!("{at}.name"), "");
        }
        let from = &variable["valueFrom"];
        if from.is_object() {
            value_from(
                from,
                &format!("{at}.valueFrom"),
                !is_empty(&variable["value"]),
                errors,
            );
        }
    }
}

fn value_from(from: &Value, at: &str, has_value: bool, errors: &mut Errors) {
    let sources = [
        "fieldRef",
        "resourceFieldRef",
        "configMapKeyRef",
        "secretKeyRef",
        "fileKeyRef",
    ];
    let given = sources.iter().filter(|source| from[**source].is_object());
    let given = given.count();
    if given == 0 {
        let what = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`";
        errors.invalid(at, &"".into(), what);
    } else if has_value {
        errors.invalid(
            at,
            &"".into(),
            "may not be specified when `value` is not empty",
        );
    } else if given > 1 {
        errors.invalid(
            at,
            &"".into(),
            "may not have more than one field specified at a time",
        );
    }
    if let Some(path) = from["fieldRef"]["fieldPath"].as_str() {
        let of_map =
            |map: &str| path.starts_with(&format!("metadata.{map}['")) && path.ends_with("']");
        if !POD_FIELDS.contains(&path) && !of_map("labels") && !of_map("annotations") {
            let what = format!("error converting fieldPath: field label not supported: {path}");
            errors.invalid(
                format!("{at}.fieldRef.fieldPath"),
                &from["fieldRef"]["fieldPath"],
                &what,
            );
        }
    }
    for (source, field) in [
        ("fieldRef", "fieldPath"),
        ("resourceFieldRef", "resource"),
        ("configMapKeyRef", "name"),
        ("configMapKeyRef", "key"),
        ("secretKeyRef", "name"),
        ("secretKeyRef", "key"),
    ] {
        if from[source].is_object() && is_empty(&from[source][field]) {
            errors.required(format!("{at}.{source}.{field}"), "");
        }
    }
}

fn mounts(mounts: &Value, at: &str, volumes: &BTreeSet<&str>, errors: &mut Errors) {
    let mut paths = BTreeSet::new();
    for (i, mount) in items(mounts) {
        let at = format!("{at}[{i}]");
        let name = mount["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            errors.required(format!("{at}.name"), "");
        }
        if !volumes.contains(name) {
            errors.add(format!("{at}.name"), Problem::NotFound(name.into()));
        }
        let path = mount["mountPath"].as_str().unwrap_or_default();
        if path.is_empty() {
            errors.required(format!("{at}.mountPath"), "");
        }
        if !paths.insert(path) {
            errors.invalid(
                format!("{at}.mountPath"),
                &mount["mountPath"],
                "must be unique",
            );
        }
    }
}

fn resources(resources: &Value, at: &str, errors: &mut Errors) {
    let amount = |value: &Value| value.as_str().and_then(quantity::parse);
    let limits = &resources["limits"];
    for list in ["limits", "requests"] {
        let mut given: Vec<_> = resources[list].as_object().into_iter().flatten().collect();
        given.sort_by_key(|(name, _)| name.as_str());
        for (name, value) in given {
            let field = format!("{at}.{list}[{name}]");
            resource_name(name, &field, errors);
            let wanted = amount(value);
            if wanted.is_some_and(|wanted| wanted < 0.0) {
                errors.invalid(field, value, "must be greater than or equal to 0");
            }
            let limit = amount(&limits[name]);
            if list == "requests"
                && let (Some(wanted), Some(limit)) = (wanted, limit)
                && wanted > limit
            {
                let limit = limits[name].as_str().unwrap_or_default();
                let what = format!("must be less than or equal to {name} limit of {limit}");
                errors.invalid(format!("{at}.requests"), value, &what);
            }
        }
    }
}

fn resource_name(name: &str, at: &str, errors: &mut Errors) {
    let value = Value::from(name);
    for what in qualified(name) {
        errors.invalid(at, &value, &what);
    }
    let is_known = RESOURCES.contains(&name) || name.starts_with("hugepages-");
    if !name.contains('/') && !is_known {
        errors.invalid(
            at,
            &value,
            "must be a standard resource type or fully qualified",
        );
        errors.invalid(at, &value, "must be a standard resource for containers");
    }
}
