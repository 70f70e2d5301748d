//! What the API server refuses of an object's metadata.

use serde_json::Value;

use super::values::{annotations, labels};
use super::words::{label, path_segment, qualified, subdomain};
use crate::field::Errors;
use crate::kind::{Kind, KindId, Names};
use crate::place::Place;

/// Groups whose kinds take any name for a finalizer, as events of the core do.
const LENIENT: &[&str] = &[
    "admissionregistration.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "policy",
];

/// Checks `metadata.name`, and what a name was to begin with.
pub fn name(meta: &Value, names: Names, errors: &mut Errors) {
    let meta = Place::new(meta, "metadata");
    let rule = match names {
        Names::Label => label,
        Names::Subdomain => subdomain,
        Names::Path => path_segment,
    };
    let begin = meta.of("generateName");
    if !begin.is_empty() {
        // The end of it is made up.
        let made = match begin.text().strip_suffix('-') {
            Some(rest) if names != Names::Path => format!("{rest}a"),
            _ => begin.text().to_owned(),
        };
        errors.each(&begin, rule(&made));
    }
    let name = meta.of("name");
    if name.is_empty() {
        errors.required(name, "name or generateName is required");
    } else {
        errors.each(&name, rule(name.text()));
    }
}

/// Checks what else there is of metadata.
pub fn metadata(kind: &Kind, object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let meta = Place::new(&object["metadata"], "metadata");
    let finalizers = meta.of("finalizers");
    if let Some(old) = old {
        new_finalizers(&finalizers, &old["metadata"], errors);
        for field in ["deletionTimestamp", "deletionGracePeriodSeconds"] {
            errors.stays(&meta.of(field), &old["metadata"][field]);
        }
    }
    labels(&meta.of("labels"), errors);
    annotations(&meta.of("annotations"), errors);
    owners(&meta.of("ownerReferences"), errors);
    finalizer_names(&finalizers, false, errors);
    if old.is_none_or(|old| old["metadata"]["finalizers"] != *finalizers.value) {
        let is_lenient = LENIENT.contains(&kind.group) || kind.is(KindId::named("Event"));
        let strict = !is_lenient && !kind.custom();
        for finalizer in finalizers.items().filter(|_| strict) {
            own_name(&finalizer, errors);
        }
    }
}

/// Names of finalizers, said to be of the list; `own`: those that are not of a domain are Kubernetes' own.
pub(super) fn finalizer_names(finalizers: &Place<'_>, own: bool, errors: &mut Errors) {
    for finalizer in finalizers.items() {
        let at = finalizer.called(finalizers.path.clone());
        errors.each(&at, qualified(at.text()));
        if own {
            own_name(&at, errors);
        }
    }
}

fn own_name(finalizer: &Place<'_>, errors: &mut Errors) {
    let known = ["kubernetes", "orphan", "foregroundDeletion"];
    if !finalizer.text().contains('/') && !known.contains(&finalizer.text()) {
        let what = "name is neither a standard finalizer name nor is it fully qualified";
        errors.bad(finalizer, what);
    }
}

/// An object that is being deleted takes no new finalizers.
fn new_finalizers(finalizers: &Place<'_>, old: &Value, errors: &mut Errors) {
    let known = old["finalizers"].as_array().cloned().unwrap_or_default();
    let added = finalizers
        .items()
        .filter(|finalizer| !known.contains(finalizer.value));
    let names: Vec<_> = added.map(|finalizer| finalizer.value.to_string()).collect();
    if old["deletionTimestamp"].is_string() && !names.is_empty() {
        let what = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            names.join(", ")
        );
        errors.forbidden(finalizers, what);
    }
}

fn owners(owners: &Place<'_>, errors: &mut Errors) {
    let mut controller: Option<String> = None;
    for owner in owners.items() {
        let version = owner.of("apiVersion");
        let parts: Vec<_> = version.text().split('/').collect();
        if !version.is_empty() && (parts.len() > 2 || parts.iter().any(|part| part.is_empty())) {
            errors.bad(&version, "must be <group>/<version> or <version>");
        }
        let kind = owner.of("kind").text();
        if version.text() == "v1" && kind == "Event" {
            let what = "/v1, Kind=Event is disallowed from being an owner";
            errors.bad(&owner, what);
        }
        if !owner.of("controller").holds() {
            continue;
        }
        let named = format!("{kind}/{}", owner.of("name").text());
        match &controller {
            None => controller = Some(named),
            Some(first) => {
                let what = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {named}"
                );
                errors.bad(owners, &what);
            }
        }
    }
    for owner in owners.items() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.of(field).is_empty() {
                errors.required(owner.of(field), "must not be empty");
            }
        }
    }
}
