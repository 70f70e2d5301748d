//! What the API server refuses of classes and drivers of storage.

use std::collections::BTreeSet;

use serde_json::Value;

use super::source::driver;
use super::words::qualified;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// storage.k8s.io/v1 StorageClass.
pub fn storage_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Place::new(object, "");
    if let Some(old) = old {
        for field in [
            "parameters",
            "provisioner",
            "reclaimPolicy",
            "volumeBindingMode",
        ] {
            errors.fixed(&root.of(field), &old[field]);
        }
        return;
    }
    let provisioner = root.of("provisioner");
    if provisioner.is_empty() {
        errors.required(&provisioner, "");
    }
    for what in qualified(&provisioner.text().to_lowercase()) {
        if !provisioner.is_empty() {
            errors.bad(&provisioner, &what);
        }
    }
    let parameters = root.of("parameters");
    if parameters.count() > 512 {
        errors.add(&parameters, Problem::TooLong(512));
    }
    if parameters.of("").is_given() {
        errors.invalid(&parameters, &"".into(), "field can not be empty.");
    }
    errors.one_of(&root.of("reclaimPolicy"), &["Delete", "Retain"]);
    let modes = ["Immediate", "WaitForFirstConsumer"];
    errors.one_of(&root.of("volumeBindingMode"), &modes);
    for term in root.of("allowedTopologies").items() {
        topology(&term.of("matchLabelExpressions"), errors);
    }
}

fn topology(wanted: &Place<'_>, errors: &mut Errors) {
    let mut keys = BTreeSet::new();
    for wanted in wanted.items() {
        let (key, values) = (wanted.of("key"), wanted.of("values"));
        let mut seen = BTreeSet::new();
        if values.is_empty() {
            errors.required(&values, "");
        }
        for value in values.items() {
            if !seen.insert(value.text()) {
                errors.duplicate(&value);
            }
        }
        errors.each(&key, qualified(key.text()));
        if !keys.insert(key.text()) {
            errors.duplicate(&key);
        }
    }
}

/// storage.k8s.io/v1 CSIDriver.
pub fn csi_driver(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    errors.one_of(&spec.of("fsGroupPolicy"), &policies);
    let mut audiences = BTreeSet::new();
    for request in spec.of("tokenRequests").items() {
        let (audience, lasts) = (request.of("audience"), request.of("expirationSeconds"));
        if !audiences.insert(audience.text()) {
            errors.duplicate(&audience);
        } else if lasts.is_given() && lasts.number() < 600 {
            errors.bad(&lasts, "may not specify a duration less than 10 minutes");
        } else if lasts.number() > 1 << 32 {
            errors.bad(
                &lasts,
                "may not specify a duration larger than 2^32 seconds",
            );
        }
    }
    let modes = spec.of("volumeLifecycleModes");
    for mode in modes.items() {
        errors.must_be(
            &mode.called(modes.path.clone()),
            &["Persistent", "Ephemeral"],
        );
    }
    if let Some(old) = old {
        // The field's name is said otherwise.
        let attached = spec
            .of("attachRequired")
            .called("spec.attachedRequired".into());
        errors.unchanged(&attached, &old["spec"]["attachRequired"]);
        errors.unchanged(&modes, &old["spec"]["volumeLifecycleModes"]);
    }
}

/// storage.k8s.io/v1 CSINode.
pub fn csi_node(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for given in Place::new(&object["spec"], "spec").of("drivers").items() {
        let (name, id) = (given.of("name"), given.of("nodeID"));
        driver(&name, errors);
        if id.is_empty() {
            errors.required(&id, "");
        } else if id.text().len() > 256 {
            errors.bad(&id, "must be 256 characters or less");
        }
        errors.at_least(&given.of("allocatable").of("count"), 0);
        if !names.insert(name.text()) {
            errors.duplicate(&name);
        }
        let mut keys = BTreeSet::new();
        for key in given.of("topologyKeys").items() {
            let key = key.called(given.path.clone());
            if key.is_empty() {
                errors.required(&key, "");
            }
            if !keys.insert(key.text()) {
                errors.duplicate(&key);
            }
            errors.each(&key, qualified(key.text()));
        }
    }
}
