//! What the API server refuses of claims.

use serde_json::Value;

use crate::field::{Errors, Problem};
use headless_objects::quantity;

/// How a volume may be used.
const MODES: &[&str] = &[
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// v1 PersistentVolumeClaim.
pub fn claim(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    claim_spec(spec, "spec", errors);
    if let Some(old) = old {
        update(spec, old, errors);
    }
}

/// Octets of storage of what a claim asks for, or a volume has; 0 where the text is no quantity.
pub(crate) fn storage(resources: &Value) -> f64 {
    let text = resources["storage"].as_str();
    text.and_then(quantity::parse).unwrap_or_default()
}

/// What a claim may become: its volume and its class are given once, and it may grow.
fn update(spec: &Value, old: &Value, errors: &mut Errors) {
    let before = &old["spec"];
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            fields.remove("resources");
            fields.remove("volumeAttributesClassName");
            for given_once in ["volumeName", "storageClassName"] {
                if before[given_once].as_str().is_none_or(str::is_empty) {
                    fields.remove(given_once);
                }
            }
        }
        spec
    };
    if fixed(spec) != fixed(before) {
        let what = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.add("spec", Problem::Forbidden(what.into()));
    }
    if storage(&spec["resources"]["requests"]) < storage(&before["resources"]["requests"]) {
        let what = "field can not be less than status.capacity";
        let at = "spec.resources.requests.storage";
        errors.add(at, Problem::Forbidden(what.into()));
    }
}

/// A claim's spec, also in a template.
pub(super) fn claim_spec(spec: &Value, at: &str, errors: &mut Errors) {
    if spec["accessModes"].as_array().is_none_or(Vec::is_empty) {
        errors.required(
            format!("{at}.accessModes"),
            "at least 1 access mode is required",
        );
    }
    for mode in spec["accessModes"].as_array().into_iter().flatten() {
        errors.one_of(&format!("{at}.accessModes"), mode, MODES);
    }
    if spec["resources"]["requests"]["storage"].is_null() {
        errors.required(format!("{at}.resources[storage]"), "");
    }
}
