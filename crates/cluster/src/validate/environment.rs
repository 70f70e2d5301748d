//! What the API server refuses of a container's environment.

use super::reference::{field, key, resource};
use super::values::no_steps_back;
use super::words::{label, subdomain, variable};
use crate::field::Errors;
use crate::place::Place;

/// What a variable may take from its Pod.
const FIELDS: &[&str] = &[
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

const TWO: &str = "may not have more than one field specified at a time";

/// `env`.
pub(super) fn environment(env: &Place<'_>, errors: &mut Errors) {
    for variable in env.items() {
        errors.named(&variable.of("name"), self::variable);
        let from = variable.of("valueFrom");
        if from.is_given() {
            value_from(&from, !variable.of("value").is_empty(), errors);
        }
    }
}

fn value_from(from: &Place<'_>, has_value: bool, errors: &mut Errors) {
    if from.of("fieldRef").is_given() {
        field(&from.of("fieldRef"), FIELDS, errors);
    }
    if from.of("resourceFieldRef").is_given() {
        resource(&from.of("resourceFieldRef"), false, errors);
    }
    for source in ["configMapKeyRef", "secretKeyRef"] {
        if from.of(source).is_given() {
            key(&from.of(source), errors);
        }
    }
    let file = from.of("fileKeyRef");
    if file.is_given() {
        errors.named(&file.of("key"), variable);
        errors.named(&file.of("volumeName"), label);
        if file.of("path").is_empty() {
            errors.required(file.of("path"), "");
        } else {
            no_steps_back(&file.of("path"), errors);
        }
    }
    let what = match (from.count(), has_value) {
        (0, _) => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        (_, true) => "may not be specified when `value` is not empty",
        (2.., false) => TWO,
        (1, false) => return,
    };
    errors.invalid(from, &"".into(), what);
}

/// `envFrom`.
pub(super) fn environment_from(sources: &Place<'_>, errors: &mut Errors) {
    for source in sources.items() {
        errors.maybe(&source.of("prefix"), variable);
        let given = ["configMapRef", "secretRef"].map(|name| source.of(name));
        let given: Vec<_> = given.into_iter().filter(Place::is_given).collect();
        for reference in &given {
            errors.named(&reference.of("name"), subdomain);
        }
        let what = match given.len() {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => TWO,
        };
        errors.invalid(sources, &"".into(), what);
    }
}

/// Files that variables are read from stand in volumes of the Pod that are made for it.
pub(super) fn file_volumes(spec: &Place<'_>, list: &str, errors: &mut Errors) {
    for container in spec.of(list).items() {
        for variable in container.of("env").items() {
            let file = variable.of("valueFrom").of("fileKeyRef");
            let name = file.of("volumeName");
            if !file.is_given() {
                continue;
            }
            let volume = spec
                .of("volumes")
                .items()
                .find(|v| v.value["name"] == *name.value);
            match volume {
                None => errors.not_found(&name, ""),
                Some(volume) if !volume.of("emptyDir").is_given() => {
                    errors.bad(&name, "referenced volume must be of type emptyDir");
                }
                Some(_) => {}
            }
        }
    }
}
