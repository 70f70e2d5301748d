//! What the API server refuses of claims.

use serde_json::Value;

use super::values::{positive, selector};
use super::words::{label, qualified, subdomain};
use crate::field::Errors;
use crate::place::Place;
use headless_objects::quantity::{self, NANO};

/// How a volume may be used.
const MODES: &[&str] = &[
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];

/// v1 PersistentVolumeClaim.
pub fn claim(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    claim_spec(&spec, errors);
    if let Some(old) = old {
        annotated_class(object, old, errors);
        update(&spec, old, errors);
    }
}

/// The annotation that names a claim's class stays, unless the field of the same meaning takes its place.
fn annotated_class(object: &Value, old: &Value, errors: &mut Errors) {
    const KEY: &str = "volume.beta.kubernetes.io/storage-class";
    let class = |claim: &Value| claim["metadata"]["annotations"][KEY].clone();
    let (new, before) = (class(object), class(old));
    let moved = before.is_string()
        && old["spec"]["storageClassName"].is_null()
        && object["spec"]["storageClassName"] == before
        && new.is_null();
    if new != before && !moved {
        let shown = new.as_str().unwrap_or_default().into();
        let at = format!("metadata.annotations.{KEY}");
        errors.invalid(at, &shown, "field is immutable");
    }
}

/// v1 PersistentVolumeClaim: its status.
pub fn claim_status(object: &Value, _: &Value, errors: &mut Errors) {
    let status = Place::new(&object["status"], "status");
    for (_, amount) in status.of("capacity").entries() {
        has_amount(&amount, errors);
    }
    let resizes = status.of("allocatedResourceStatuses");
    for (resource, state) in resizes.entries() {
        is_storage(&resizes, resource, errors);
        if !RESIZES.contains(&state.text()) {
            errors.not_supported(&resizes, &resource.into(), RESIZES);
        }
    }
    let allocated = status.of("allocatedResources");
    for (resource, amount) in allocated.entries() {
        if is_storage(&allocated, resource, errors) {
            has_amount(&amount, errors);
        }
    }
}

/// How far a claim's growth may be.
const RESIZES: &[&str] = &[
    "ControllerResizeInProgress",
    "ControllerResizeInfeasible",
    "NodeResizeInProgress",
    "NodeResizeInfeasible",
    "NodeResizePending",
];

/// Whether a claim may have an amount of this.
fn is_storage(at: &Place<'_>, resource: &str, errors: &mut Errors) -> bool {
    let wrong = qualified(resource);
    let is_named = wrong.is_empty();
    for what in wrong {
        errors.invalid(at, &resource.into(), &what);
    }
    let is_native = !resource.contains('/') || resource.contains("kubernetes.io/");
    let is_other = is_named && is_native && resource != "storage";
    if is_other {
        errors.not_supported(at, &resource.into(), &["storage"]);
    }
    is_named && !is_other
}

fn has_amount(amount: &Place<'_>, errors: &mut Errors) {
    // What is begun of a unit counts as a whole one.
    let units = amount.nanos().div_euclid(NANO);
    if let (true, Ok(units)) = (units < 0, i64::try_from(units)) {
        errors.invalid(amount, &units.into(), "must be a valid resource quantity");
    }
}

/// Octets of storage of what a claim asks for, or a volume has; 0 where the text is no quantity.
pub(crate) fn storage(resources: &Value) -> f64 {
    let text = resources["storage"].as_str();
    text.and_then(quantity::parse).unwrap_or_default()
}

/// What a claim may become: its volume and its class are given once, and a bound one may grow.
fn update(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let (before, bound) = (&old["spec"], old["status"]["phase"] == "Bound");
    let fixed = |spec: &Value| {
        let mut spec = spec.clone();
        if let Some(fields) = spec.as_object_mut() {
            if bound {
                fields.remove("resources");
                fields.remove("volumeAttributesClassName");
            }
            for given_once in ["volumeName", "storageClassName"] {
                if before[given_once].as_str().is_none_or(str::is_empty) {
                    fields.remove(given_once);
                }
            }
        }
        spec
    };
    if fixed(spec.value) != fixed(before) {
        let what = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims";
        errors.forbidden(spec, what);
    }
    let requests = spec.of("resources").of("requests");
    if storage(requests.value) < storage(&before["resources"]["requests"])
        && storage(requests.value) <= storage(&old["status"]["capacity"])
    {
        let what = "field can not be less than status.capacity";
        errors.forbidden(requests.of("storage"), what);
    }
    let mode = spec.of("volumeMode").called("volumeMode".into());
    errors.unchanged(&mode, &before["volumeMode"]);
}

/// How a claim, or a volume, may be used.
pub(super) fn access_modes(modes: &Place<'_>, errors: &mut Errors) {
    for mode in modes.items() {
        errors.must_be(&mode.called(modes.path.clone()), MODES);
    }
    let alone = |mode: &Place<'_>| mode.text() == "ReadWriteOncePod";
    let others = modes
        .items()
        .any(|mode| !alone(&mode) && MODES.contains(&mode.text()));
    if others && modes.items().any(|mode| alone(&mode)) {
        let what = "may not use ReadWriteOncePod with other access modes";
        errors.forbidden(modes, what);
    }
}

/// A claim's spec, also in a template.
pub(super) fn claim_spec(spec: &Place<'_>, errors: &mut Errors) {
    let modes = spec.of("accessModes");
    if modes.is_empty() {
        errors.required(&modes, "at least 1 access mode is required");
    }
    selector(&spec.of("selector"), errors);
    access_modes(&modes, errors);
    let resources = spec.of("resources");
    let storage = resources.of("requests").of("storage");
    let storage = storage.called(format!("{}[storage]", resources.path));
    if storage.is_given() {
        positive(&storage, errors);
    } else {
        errors.required(storage, "");
    }
    errors.maybe(&spec.of("storageClassName"), subdomain);
    errors.one_of(&spec.of("volumeMode"), &["Block", "Filesystem"]);
    let [source, reference] = ["dataSource", "dataSourceRef"].map(|field| spec.of(field));
    data_source(&source, errors);
    data_source(&reference, errors);
    let parts = ["apiGroup", "kind", "name"];
    let differ = parts
        .iter()
        .any(|part| source.of(part).text() != reference.of(part).text());
    let what = if !source.is_given() || !reference.is_given() {
        ""
    } else if !reference.of("namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if differ {
        "must match dataSourceRef"
    } else {
        ""
    };
    if !what.is_empty() {
        errors.invalid(spec, &serde_json::json!({}), what);
    }
    errors.maybe(&spec.of("volumeAttributesClassName"), subdomain);
}

/// What a claim's volume begins with.
fn data_source(source: &Place<'_>, errors: &mut Errors) {
    if !source.is_given() {
        return;
    }
    let (group, kind) = (source.of("apiGroup"), source.of("kind"));
    for field in ["name", "kind"] {
        if source.of(field).is_empty() {
            errors.required(source.of(field), "");
        }
    }
    if group.is_empty() && kind.text() != "PersistentVolumeClaim" {
        let what = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.invalid(source, &kind.text().into(), what);
    }
    errors.maybe(&group, subdomain);
    errors.maybe(&source.of("namespace"), label);
}
