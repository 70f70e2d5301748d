//! What the API server refuses, with the field.

mod affinity;
mod attachments;
mod autoscaler;
mod claim;
mod cluster_ips;
mod container;
mod cron;
mod data;
mod environment;
mod events;
mod handler;
mod indexes;
mod job;
mod job_policy;
mod job_status;
mod job_update;
mod metadata;
mod mounts;
mod network;
mod nodes;
mod pod;
mod pod_status;
mod policies;
mod projected;
mod quota;
mod reference;
mod resources;
mod roles;
mod security;
mod service;
mod service_addresses;
mod slices;
mod source;
mod stateful_set;
mod statuses;
mod storage_class;
mod system;
mod values;
mod volume;
mod webhooks;
mod whole_pod;
mod words;
mod workload;

use serde_json::{Map, Value};

use super::field::{Errors, FieldError, Problem};
use super::place::Place;
use super::schema::{Field, SCHEMA, Shape};

pub use attachments::{attachment, attributes_class, capacity};
pub use autoscaler::{autoscaler, budget};
pub(crate) use claim::storage;
pub use claim::{claim, claim_status};
pub use cluster_ips::{ip_address, service_cidr};
pub use data::{config_map, secret};
pub use events::{event, new_event};
pub use job::{cron_job, job};
pub use job_status::job_status;
pub use metadata::{metadata, name};
pub use network::{ingress, ingress_class, policy};
pub use nodes::{lease, node, priority_class, runtime_class};
pub use pod_status::pod_status;
pub use policies::{mutating_binding, mutating_policy, validating_binding, validating_policy};
pub use quota::{limit_range, quota};
pub use roles::{cluster_role, cluster_role_binding, role, role_binding};
pub use service::{service, service_status};
pub(super) use service_addresses::addresses as cluster_addresses;
pub use slices::{endpoints, slice};
pub use stateful_set::stateful_set;
pub use statuses::{
    budget_status, daemon_set_status, deployment_status, namespace_status, node_status,
    replicas_status, stateful_set_status,
};
pub use storage_class::{csi_driver, csi_node, storage_class};
pub use volume::volume;
pub use webhooks::webhooks;
pub(super) use webhooks::{client as webhook_client, recognized as review_versions};
pub use whole_pod::{debugging, pod};
pub(crate) use words::{label_value, letter_label, qualified};
pub use workload::{daemon_set, deployment, replica_set, replication_controller};

/// A field with a value that it may not have.
pub(super) fn invalid(field: String, value: Value, what: &str) -> FieldError {
    FieldError {
        field,
        problem: Problem::Invalid(Some(value), what.into()),
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

/// v1 PodTemplate.
pub fn pod_template(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    pod::template(&Place::new(&object["template"], "template"), errors);
}

/// apps/v1 ControllerRevision.
pub fn revision(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    errors.at_least(&Place::new(&object["revision"], "revision"), 0);
    let data = Place::new(&object["data"], "data");
    match old {
        Some(old) => errors.stays(&data, &old["data"]),
        None if !data.is_given() => errors.required(data, "data is mandatory"),
        None if !data.value.is_object() => {
            errors.required(data, "data must be a valid JSON object");
        }
        None => {}
    }
}

/// v1 Namespace.
pub fn namespace(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let finalizers = Place::new(&object["spec"], "spec").of("finalizers");
    if old.is_none() {
        metadata::finalizer_names(&finalizers, true, errors);
    }
}
