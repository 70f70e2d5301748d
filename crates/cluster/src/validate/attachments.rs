//! What the API server refuses of volumes that are attached, of their attributes, and of what there is of storage.

use serde_json::Value;

use super::storage_class::{parameters, provisioner};
use super::values::selector;
use super::volume::volume_spec;
use super::words::subdomain;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// storage.k8s.io/v1 `VolumeAttachment`.
pub fn attachment(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    const ONE: &str = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    let spec = Place::new(&object["spec"], "spec");
    let source = spec.of("source");
    let (inline, name) = (
        source.of("inlineVolumeSpec"),
        source.of("persistentVolumeName"),
    );
    match (inline.is_given(), name.is_given()) {
        (false, false) => errors.required(&source, ONE),
        (true, true) => errors.forbidden(&source, ONE),
        (true, false) => volume_spec(&inline, errors),
        (false, true) if name.is_empty() => {
            errors.required(&name, "must specify non empty persistentVolumeName");
        }
        (false, true) => {}
    }
    let node = spec.of("nodeName");
    errors.each(&node, subdomain(node.text()));
    if name.is_given() {
        errors.each(&name, subdomain(name.text()));
    }
    attacher(&spec.of("attacher"), errors);
    if let Some(old) = old {
        errors.fixed(&spec, &old["spec"]);
    }
}

/// A driver's name, in the words of the rule that its type itself has.
fn attacher(name: &Place<'_>, errors: &mut Errors) {
    const RULE: &str = "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an \
        alphanumeric character (e.g. 'Example.com', regex used for validation is \
        '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
    const LONGEST: usize = 63;
    if name.is_empty() {
        errors.required(name, "");
    } else if name.text().len() > LONGEST {
        errors.add(name, Problem::TooLong(LONGEST));
    } else if !subdomain(&name.text().to_lowercase()).is_empty() {
        errors.bad(name, RULE);
    }
}

/// storage.k8s.io/v1 `VolumeAttributesClass`.
pub fn attributes_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Place::new(object, "");
    for field in ["driverName", "parameters"] {
        let place = root.of(field);
        if old.is_some_and(|old| old[field] != *place.value) {
            let what = format!("updates to {field} are forbidden.");
            errors.forbidden(place, what);
        }
    }
    provisioner(&root.of("driverName"), errors);
    let given = root.of("parameters");
    parameters(&given, errors);
    if given.is_empty() {
        errors.required(given, "must contain at least one key/value pair");
    }
}

/// storage.k8s.io/v1 `CSIStorageCapacity`.
pub fn capacity(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Place::new(object, "");
    let (nodes, class) = (root.of("nodeTopology"), root.of("storageClassName"));
    if let Some(old) = old {
        errors.stays(&nodes, &old["nodeTopology"]);
        return errors.unchanged(&class, &old["storageClassName"]);
    }
    selector(&nodes, errors);
    errors.each(&class, subdomain(class.text()));
    let amount = root.of("capacity");
    if amount.nanos() < 0 {
        errors.bad(&amount, "must be greater than or equal to 0");
    }
}
