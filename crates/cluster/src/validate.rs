//! What the API server refuses, with the field.

mod claim;
mod container;
mod data;
mod handler;
mod pod;
mod service;
mod stateful_set;
mod words;
mod workload;

use serde_json::{Map, Value};

use super::faults::Faults;
use super::field::{Errors, FieldError, Problem};
use super::kind::Names;
use super::schema::{Field, SCHEMA, Shape};

pub use claim::claim;
use claim::claim_spec;
pub(crate) use claim::storage;
pub use data::{config_map, secret};
use pod::pod_spec;
pub(crate) use service::NO_ADDRESS;
pub use service::service;
pub use stateful_set::stateful_set;
use words::{LABEL_RULE, SUBDOMAIN_RULE, is_label, is_subdomain};
pub use workload::{job, workload};

/// What is wrong with a name that is a part of a path.
fn path_rule(name: &str) -> Option<&'static str> {
    match name {
        "." => Some("may not be '.'"),
        ".." => Some("may not be '..'"),
        _ if name.contains('/') => Some("may not contain '/'"),
        _ if name.contains('%') => Some("may not contain '%'"),
        _ => None,
    }
}

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
        Names::Subdomain => (is_subdomain(name), 253, SUBDOMAIN_RULE),
        Names::Path => {
            let rule = path_rule(name);
            (rule.is_none(), usize::MAX, rule.unwrap_or_default())
        }
    };
    if name.len() > longest {
        errors.invalid(
            "metadata.name",
            &value,
            &format!("must be no more than {longest} characters"),
        );
    }
    let has_dots = names == Names::Label && name.contains('.');
    if has_dots {
        errors.invalid("metadata.name", &value, "must not contain dots");
    } else if !fits {
        errors.invalid("metadata.name", &value, rule);
    }
}

/// Checks labels and annotations.
pub fn metadata(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    if let Some(old) = old {
        finalizers(&object["metadata"], &old["metadata"], errors);
    }
    words::labels(&object["metadata"]["labels"], "metadata.labels", errors);
    let annotations = object["metadata"]["annotations"].as_object();
    for (key, _) in annotations.into_iter().flatten() {
        words::keys(&key.to_lowercase(), "metadata.annotations", errors);
    }
}

/// Asks for the fields that objects of this type must have. Numbers and truth values are there also where nothing is said.
pub fn required(of: &str, object: &Value, errors: &mut Errors) {
    // What there is of a spec that is not given is nothing.
    let nothing = Value::Object(Map::new());
    for field in SCHEMA.fields(of).iter().filter(|f| f.name != "status") {
        let given = &object[field.name];
        let given = match (&field.shape, given) {
            (Shape::Struct(_), Value::Null) if field.name == "spec" => &nothing,
            _ => given,
        };
        required_in(field, given, field.name, errors);
    }
}

/// Nothing is checked: what such an object has to have may be empty.
pub fn anything(_: &Value, _: Option<&Value>, _: &mut Errors) {}

fn required_in(field: &Field, value: &Value, at: &str, errors: &mut Errors) {
    let is_number = matches!(
        field.shape,
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::Boolean | Shape::Any
    );
    let is_empty = value.is_null() || value == "" || value.as_array().is_some_and(Vec::is_empty);
    if is_empty {
        if field.required && !is_number {
            errors.required(at, "");
        }
        return;
    }
    let inside = |value: &Value, at: &str, errors: &mut Errors| {
        for field in SCHEMA.fields(field.shape.of()) {
            let at = format!("{at}.{}", field.name);
            required_in(field, &value[field.name], &at, errors);
        }
    };
    match (&field.shape, value) {
        (Shape::Struct(_), _) => inside(value, at, errors),
        (Shape::List(_), Value::Array(items)) => {
            for (i, item) in items.iter().enumerate() {
                inside(item, &format!("{at}[{i}]"), errors);
            }
        }
        _ => {}
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
        // Gates are opened one by one, and not closed again.
        let gates = |object: &Value| object["spec"]["schedulingGates"].as_array().cloned();
        let before = gates(old).unwrap_or_default();
        let opened = gates(object).unwrap_or_default();
        let opened = opened.iter().all(|gate| before.contains(gate));
        let fixed = |spec: &Value| {
            let mut spec = spec.clone();
            // The scheduler gives it once.
            if !bound {
                spec.as_object_mut().map(|s| s.remove("nodeName"));
            }
            if opened {
                spec.as_object_mut().map(|s| s.remove("schedulingGates"));
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
