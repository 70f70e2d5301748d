//! What the API server refuses of references to fields and resources of a Pod, and to keys.

use super::words::{config_key, qualified, subdomain};
use crate::field::Errors;
use crate::place::Place;

/// What the downward API knows of a Pod.
const KNOWN: &[&str] = &[
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

const RESOURCES: &[&str] = &[
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

const DIVISORS: &[&str] = &[
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// A field of the Pod, one of these; or a label or annotation by its key.
pub(super) fn field(reference: &Place<'_>, allowed: &[&'static str], errors: &mut Errors) {
    let path = reference.of("fieldPath");
    if reference.of("apiVersion").is_empty() {
        return errors.required(reference.of("apiVersion"), "");
    }
    if path.is_empty() {
        return errors.required(path, "");
    }
    let version = reference.of("apiVersion").text();
    let subscript = path
        .text()
        .strip_suffix("']")
        .and_then(|text| text.split_once("['"));
    let refused = match subscript {
        _ if version != "v1" => Some(format!("unsupported pod version: {version}")),
        Some(("metadata.annotations" | "metadata.labels", _)) => None,
        Some(_) => Some(format!(
            "field label does not support subscript: {}",
            path.text()
        )),
        None if KNOWN.contains(&path.text()) => None,
        None => Some(format!("field label not supported: {}", path.text())),
    };
    if let Some(why) = refused {
        return errors.bad(&path, &format!("error converting fieldPath: {why}"));
    }
    match subscript {
        Some(("metadata.annotations", key)) => wrong_key(reference, &key.to_lowercase(), errors),
        Some((_, key)) => wrong_key(reference, key, errors),
        None => errors.must_be(&path, allowed),
    }
}

fn wrong_key(reference: &Place<'_>, key: &str, errors: &mut Errors) {
    for what in qualified(key) {
        errors.invalid(reference, &key.into(), &what);
    }
}

/// A resource of a container, which a volume has to name.
pub(super) fn resource(reference: &Place<'_>, of_volume: bool, errors: &mut Errors) {
    let resource = reference.of("resource");
    let name = resource.text();
    let is_page = ["limits.hugepages-", "requests.hugepages-"]
        .iter()
        .any(|begin| name.starts_with(begin));
    if of_volume && reference.of("containerName").is_empty() {
        errors.required(reference.of("containerName"), "");
    } else if name.is_empty() {
        errors.required(&resource, "");
    } else if !is_page {
        errors.must_be(&resource, RESOURCES);
    }
    let divisor = reference.of("divisor");
    let (allowed, what) = match name.split_once('.').map(|(_, of)| of) {
        Some("cpu") => (&["1m", "1"][..], "cpu"),
        Some("memory") => (DIVISORS, "memory"),
        Some("ephemeral-storage") => (DIVISORS, "local ephemeral storage"),
        _ => (DIVISORS, "hugepages"),
    };
    let is_known = is_page || RESOURCES.contains(&name);
    if divisor.nanos() != 0 && is_known && !allowed.contains(&divisor.text()) {
        let list = if what == "cpu" {
            "1m and 1".to_owned()
        } else {
            DIVISORS.join(", ")
        };
        let what = format!("only divisor's values {list} are supported with the {what} resource");
        errors.invalid(divisor, &name.into(), &what);
    }
}

/// A key of a ConfigMap or Secret.
pub(super) fn key(reference: &Place<'_>, errors: &mut Errors) {
    errors.each(
        &reference.of("name"),
        subdomain(reference.of("name").text()),
    );
    errors.named(&reference.of("key"), config_key);
}
