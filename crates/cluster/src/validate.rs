//! What the API server refuses, with the field.

mod stateful_set;

use serde_json::Value;

use super::faults::Faults;
use super::field::{Errors, FieldError, Problem};
use super::kind::Names;

pub use stateful_set::stateful_set;

const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
    alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
    (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with \
    an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// A field with a value that it may not have.
pub(super) fn invalid(field: String, value: Value, what: &str) -> FieldError {
    FieldError {
        field,
        problem: Problem::Invalid(value, what.into()),
    }
}

/// A field with a value other than those it may have.
pub(super) fn not_supported(field: &str, value: Value, allowed: &[&'static str]) -> FieldError {
    FieldError {
        field: field.into(),
        problem: Problem::NotSupported(value, allowed.to_vec()),
    }
}

/// A field that may not have this value here.
pub(super) fn forbidden(field: &str, what: &str) -> FieldError {
    FieldError {
        field: field.into(),
        problem: Problem::Forbidden(what.into()),
    }
}

/// Checks `metadata.name`.
pub fn name(name: &str, names: Names, errors: &mut Errors) {
    let value = Value::from(name);
    if name.is_empty() {
        return errors.required("metadata.name", "name or generateName is required");
    }
    let (fits, longest, rule) = match names {
        Names::Label => (is_label(name), 63, LABEL_RULE),
        Names::Subdomain => (name.split('.').all(is_label), 253, SUBDOMAIN_RULE),
    };
    if name.len() > longest {
        errors.invalid(
            "metadata.name",
            &value,
            &format!("must be no more than {longest} characters"),
        );
    }
    if !fits {
        errors.invalid("metadata.name", &value, rule);
    }
}

fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether it may be the name part of a key, or a label's value.
fn is_word(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars().all(inside) && text.starts_with(edge) && text.ends_with(edge)
}

/// Checks labels and annotations.
pub fn metadata(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if let Some(old) = old {
        finalizers(&object["metadata"], &old["metadata"], errors);
    }
    let labels = object["metadata"]["labels"].as_object();
    for (_, value) in labels.into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        if !text.is_empty() && (text.len() > 63 || !is_word(text)) {
            errors.invalid("metadata.labels", value, "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', at most 63");
        }
    }
    for field in ["labels", "annotations"] {
        let entries = object["metadata"][field].as_object();
        for key in entries.into_iter().flatten().map(|(key, _)| key) {
            let bare = key.rsplit('/').next().unwrap_or_default();
            if bare.len() > 63 || !is_word(bare) {
                let value = Value::from(key.as_str());
                errors.invalid(format!("metadata.{field}"), &value, KEY_RULE);
            }
        }
    }
}

/// An object that is being deleted takes no new finalizers.
fn finalizers(new: &Value, old: &Value, errors: &mut Errors) {
    let all = |meta: &Value| meta["finalizers"].as_array().cloned().unwrap_or_default();
    let mut added = all(new);
    let known = all(old);
    added.retain(|finalizer| !known.contains(finalizer));
    if old["deletionTimestamp"].is_string() && !added.is_empty() {
        let names: Vec<_> = added.iter().map(Value::to_string).collect();
        let what = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            names.join(", ")
        );
        errors.add("metadata.finalizers", Problem::Forbidden(what));
    }
}

/// v1 Pod.
pub fn pod(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    for misread in Faults::of(object).1 {
        let at = format!("metadata.annotations[{}]", misread.annotation);
        let value = &object["metadata"]["annotations"][&misread.annotation];
        errors.invalid(at, value, &format!("must be {}", misread.expected));
    }
    pod_spec(&object["spec"], "spec", errors);
    if let Some(old) = old {
        let bound = old["spec"]["nodeName"].is_string();
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            // The scheduler gives it once.
            if !bound {
                spec.as_object_mut().map(|s| s.remove("nodeName"));
            }
            for key in [
                "activeDeadlineSeconds",
                "terminationGracePeriodSeconds",
                "tolerations",
            ] {
                spec.as_object_mut().map(|s| s.remove(key));
            }
            for list in ["containers", "initContainers"] {
                for container in spec[list].as_array_mut().into_iter().flatten() {
                    container.as_object_mut().map(|c| c.remove("image"));
                }
            }
            if spec["initContainers"].is_null() {
                spec.as_object_mut().map(|s| s.remove("initContainers"));
            }
            spec
        };
        if fixed(&object["spec"]) != fixed(&old["spec"]) {
            let what = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,\
                `spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),\
                `spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";
            errors.add("spec", Problem::Forbidden(what.into()));
        }
    }
}

fn pod_spec(spec: &Value, path: &str, errors: &mut Errors) {
    if spec["containers"].as_array().is_none_or(Vec::is_empty) {
        errors.required(format!("{path}.containers"), "");
    }
    for list in ["initContainers", "containers"] {
        containers(&spec[list], &format!("{path}.{list}"), errors);
    }
    errors.one_of(
        &format!("{path}.restartPolicy"),
        &spec["restartPolicy"],
        &["Always", "OnFailure", "Never"],
    );
}

fn containers(containers: &Value, path: &str, errors: &mut Errors) {
    let containers = containers.as_array().map_or(&[][..], |c| c);
    for (i, container) in containers.iter().enumerate() {
        let at = format!("{path}[{i}]");
        match container["name"].as_str().unwrap_or_default() {
            "" => errors.required(format!("{at}.name"), ""),
            name if !is_label(name) => {
                errors.invalid(format!("{at}.name"), &container["name"], LABEL_RULE)
            }
            _ if containers[..i]
                .iter()
                .any(|c| c["name"] == container["name"]) =>
            {
                let problem = Problem::Duplicate(container["name"].clone());
                errors.add(format!("{at}.name"), problem);
            }
            _ => {}
        }
        if container["image"].as_str().unwrap_or_default().is_empty() {
            errors.required(format!("{at}.image"), "");
        }
        for (j, port) in container["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .enumerate()
        {
            port_number(
                &port["containerPort"],
                &format!("{at}.ports[{j}].containerPort"),
                errors,
            );
        }
    }
}

fn port_number(port: &Value, field: &str, errors: &mut Errors) {
    match port.as_i64() {
        None if port.is_null() => errors.required(field, ""),
        Some(1..=65535) => {}
        Some(_) | None => errors.invalid(field, port, "must be between 1 and 65535, inclusive"),
    }
}

/// v1 Service.
pub fn service(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or_default();
    errors.one_of(
        "spec.type",
        &spec["type"],
        &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
    );
    let ports = spec["ports"].as_array().map_or(&[][..], |p| p);
    let headless = spec["clusterIP"] == "None";
    if ports.is_empty() && !headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    if kind == "ExternalName" && spec["externalName"].as_str().unwrap_or_default().is_empty() {
        errors.required("spec.externalName", "");
    }
    for (i, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{i}]");
        port_number(&port["port"], &format!("{at}.port"), errors);
        if ports.len() > 1 && port["name"].as_str().unwrap_or_default().is_empty() {
            errors.required(format!("{at}.name"), "");
        }
        if port["targetPort"].is_number() {
            port_number(&port["targetPort"], &format!("{at}.targetPort"), errors);
        }
        errors.one_of(
            &format!("{at}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
    }
    if let Some(old) = old
        && kind != "ExternalName"
        && old["spec"]["type"] != "ExternalName"
        && !old["spec"]["clusterIP"].is_null()
    {
        let (new, old) = (&spec["clusterIP"], &old["spec"]["clusterIP"]);
        if new != old {
            let given = Value::Array(vec![new.clone()]);
            errors.invalid("spec.clusterIPs[0]", &given, "may not change once set");
        }
    }
}

/// v1 PersistentVolumeClaim.
pub fn claim(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.required("spec.accessModes", "at least 1 access mode is required");
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        errors.required("spec.resources[storage]", "");
    }
    if let Some(old) = old
        && !old["spec"]["storageClassName"].is_null()
    {
        errors.unchanged(
            "spec.storageClassName",
            &spec["storageClassName"],
            &old["spec"]["storageClassName"],
        );
    }
}

/// discovery.k8s.io/v1 EndpointSlice.
pub fn slice(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if object["addressType"].is_null() {
        errors.required("addressType", "");
    }
    errors.one_of(
        "addressType",
        &object["addressType"],
        &["FQDN", "IPv4", "IPv6"],
    );
    for (i, endpoint) in object["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .enumerate()
    {
        if endpoint["addresses"].as_array().is_none_or(Vec::is_empty) {
            errors.required(
                format!("endpoints[{i}].addresses"),
                "must contain at least 1 address",
            );
        }
    }
    if let Some(old) = old {
        errors.unchanged("addressType", &object["addressType"], &old["addressType"]);
    }
}

/// apps/v1 ControllerRevision.
pub fn revision(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    errors.at_least("revision", &object["revision"], 0);
    if let Some(old) = old {
        errors.unchanged("data", &object["data"], &old["data"]);
    }
}
