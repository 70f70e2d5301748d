//! What a CustomResourceDefinition serves.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Converter, Kept, Paths, Served};
use crate::definitions::{text, versions};
use crate::kind::KindId;
use crate::kinds::Defined;

fn words(list: &Value) -> Vec<String> {
    let words = list.as_array().into_iter().flatten();
    words.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The kinds of a definition's versions.
pub(super) fn kinds(definition: &Value) -> Vec<KindId> {
    let spec = &definition["spec"];
    let kind = |version: &Value| {
        KindId::define(&Defined {
            group: text(spec, "group"),
            version: text(version, "name"),
            kind: text(&spec["names"], "kind"),
            plural: text(&spec["names"], "plural"),
            namespaced: text(spec, "scope") == "Namespaced",
        })
    };
    versions(definition).iter().map(kind).collect()
}

/// What a definition serves, where it is established.
pub(super) fn served(definition: &Value) -> Vec<Served> {
    let conditions = definition["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    if !conditions.any(|c| c["type"] == "Established" && c["status"] == "True") {
        return Vec::new();
    }
    let names = &definition["spec"]["names"];
    let versions: Vec<_> = versions(definition).iter().zip(kinds(definition)).collect();
    let schema = |version: &Value| Arc::new(version["schema"]["openAPIV3Schema"].clone());
    let mut kept = versions
        .iter()
        .filter(|(version, _)| version["storage"] == true);
    let Some((version, kind)) = kept.next() else {
        return Vec::new();
    };
    let kept = Arc::new(Kept {
        kind: *kind,
        schema: schema(version),
        converter: Converter::of(definition),
    });
    let served = versions
        .into_iter()
        .filter(|(version, _)| version["served"] == true);
    served
        .map(|(version, kind)| Served {
            kind,
            schema: schema(version),
            kept: Arc::clone(&kept),
            status: version["subresources"]["status"].is_object(),
            scale: Paths::of(version),
            singular: text(names, "singular").to_owned(),
            short: words(&names["shortNames"]),
            categories: words(&names["categories"]),
            columns: version["additionalPrinterColumns"].clone(),
        })
        .collect()
}

/// The definition with its names accepted and its kinds established; `None`: it says so already, or its group is Kubernetes' own.
pub(crate) fn accepted(definition: &Value, now: &str) -> Option<Value> {
    let spec = &definition["spec"];
    let stored = versions(definition).iter().find(|v| v["storage"] == true)?;
    let mut names = spec["names"].clone();
    if let Some(names) = names.as_object_mut() {
        names.sort_keys();
    }
    let mut stored_versions = words(&definition["status"]["storedVersions"]);
    if !stored_versions.iter().any(|name| *name == stored["name"]) {
        stored_versions.push(text(stored, "name").to_owned());
    }
    let condition = |kind: &str, reason: &str, message: &str| {
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now,
        })
    };
    let mut status = json!({
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "acceptedNames": names, "storedVersions": stored_versions,
    });
    if definition["status"]["conditions"].is_array() {
        status["conditions"] = definition["status"]["conditions"].clone();
    }
    let mut accepted = definition.clone();
    accepted["status"] = status;
    let same = |field: &str| accepted["status"][field] == definition["status"][field];
    let is_known = ["conditions", "acceptedNames", "storedVersions"];
    (!is_known.iter().all(|field| same(field))).then_some(accepted)
}
