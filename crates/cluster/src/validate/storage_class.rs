//! What the API server refuses of classes and drivers of storage.

use std::collections::{BTreeMap, BTreeSet};

use headless_objects::object::array;
use serde_json::Value;

use super::source::driver;
use super::values::shown;
use super::words::qualified;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// storage.k8s.io/v1 StorageClass.
pub fn storage_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let root = Place::new(object, "");
    provisioner(&root.of("provisioner"), errors);
    parameters(&root.of("parameters"), errors);
    let policy = root.of("reclaimPolicy");
    if !policy.is_empty() {
        errors.must_be(&policy, &["Delete", "Retain"]);
    }
    let modes = ["Immediate", "WaitForFirstConsumer"];
    errors.one_of(&root.of("volumeBindingMode"), &modes);
    // A term of nothing is there already.
    let mut seen = BTreeSet::from([BTreeMap::new()]);
    for term in root.of("allowedTopologies").items() {
        let wanted = term.of("matchLabelExpressions");
        topology(&wanted, errors);
        let terms = wanted.items().map(|wanted| {
            let values = wanted.of("values");
            let values: BTreeSet<_> = values.items().map(|value| value.text()).collect();
            (wanted.of("key").text(), values)
        });
        if !seen.insert(terms.collect::<BTreeMap<_, _>>()) {
            errors.add(wanted, Problem::Duplicate("".into(), ""));
        }
    }
    // What its type itself says is said last.
    if let Some(old) = old {
        for field in [
            "parameters",
            "provisioner",
            "reclaimPolicy",
            "volumeBindingMode",
        ] {
            errors.fixed(&root.of(field), &old[field]);
        }
    }
}

/// Who makes volumes.
pub(super) fn provisioner(provisioner: &Place<'_>, errors: &mut Errors) {
    if provisioner.is_empty() {
        return errors.required(provisioner, "");
    }
    for what in qualified(&provisioner.text().to_lowercase()) {
        errors.invalid(
            provisioner,
            &provisioner.text().to_lowercase().into(),
            &what,
        );
    }
}

/// What it is told.
pub(super) fn parameters(parameters: &Place<'_>, errors: &mut Errors) {
    const MOST: usize = 256 * 1024;
    if parameters.count() > 512 {
        return errors.add(parameters, Problem::TooLong(512));
    }
    if parameters.value.get("").is_some() {
        errors.invalid(parameters, &"".into(), "field can not be empty.");
    }
    let sizes = parameters.entries();
    let size: usize = sizes
        .iter()
        .map(|(key, v)| key.len() + v.text().len())
        .sum();
    if size > MOST {
        errors.add(parameters, Problem::TooLong(MOST));
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
    let every = spec.of("nodeAllocatableUpdatePeriodSeconds");
    if every.is_given() && every.number() < 10 {
        errors.bad(&every, "must be greater than or equal to 10 seconds");
    }
    let secrets = spec.of("serviceAccountTokenInSecrets");
    if secrets.is_given() && spec.of("tokenRequests").is_empty() {
        let what = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        errors.bad(&secrets, what);
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
pub fn csi_node(object: &Value, old: Option<&Value>, errors: &mut Errors) {
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
    if let Some(old) = old {
        same_drivers(object, old, errors);
    }
}

/// A driver stays as it is on its node, but for how many volumes it may have there.
fn same_drivers(object: &Value, old: &Value, errors: &mut Errors) {
    const FIELDS: [(&str, &str); 4] = [
        ("Name", "name"),
        ("NodeID", "nodeID"),
        ("TopologyKeys", "topologyKeys"),
        ("Allocatable", "allocatable"),
    ];
    let kept = |driver: &Value| {
        let mut kept = shown(driver, &FIELDS);
        kept["Allocatable"] = Value::Null;
        kept
    };
    for before in array(&old["spec"]["drivers"]) {
        let all = array(&object["spec"]["drivers"]);
        for new in all.filter(|new| new["name"] == before["name"]) {
            if kept(new) != kept(before) {
                errors.invalid("spec.drivers", &kept(new), "field is immutable");
            }
        }
    }
}
