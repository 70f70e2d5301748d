//! A CustomResourceDefinition by itself: what it lacks is filled in, and what is wrong with it is said.

mod names;
mod structure;

use serde_json::{Value, json};

use crate::field::{Errors, Problem};
use crate::place::Place;
use crate::validate::{review_versions, webhook_client};

pub(super) fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_default()
}

pub(super) fn versions(definition: &Value) -> &[Value] {
    let versions = definition["spec"]["versions"].as_array();
    versions.map_or(&[], |versions| versions)
}

/// Fills in the names, the conversion and the stored versions that are not given.
pub(super) fn complete(definition: &mut Value) {
    let kind = text(&definition["spec"]["names"], "kind").to_owned();
    if definition["status"]["storedVersions"].is_null() {
        let stored = versions(definition)
            .iter()
            .filter(|version| version["storage"] == true);
        let stored: Vec<_> = stored
            .map(|version| text(version, "name").to_owned())
            .collect();
        definition["status"]["storedVersions"] = json!(stored);
    }
    let Some(spec) = definition.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let conversion = spec
        .entry("conversion")
        .or_insert_with(|| json!({"strategy": "None"}));
    let service = conversion.pointer_mut("/webhook/clientConfig/service");
    if let Some(service) = service.and_then(Value::as_object_mut) {
        service.entry("port").or_insert(443.into());
    }
    if let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut)
        && !kind.is_empty()
    {
        let singular = kind.to_lowercase();
        names.entry("singular").or_insert_with(|| singular.into());
        names
            .entry("listKind")
            .or_insert_with(|| format!("{kind}List").into());
    }
}

/// Says what is wrong with a definition.
pub(super) fn validate(definition: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &definition["spec"];
    let (names, group) = (&spec["names"], text(spec, "group"));
    let wanted = format!("{}.{group}", text(names, "plural"));
    if definition["metadata"]["name"] != wanted.as_str() {
        let what = "must be spec.names.plural+\".\"+spec.group";
        errors.invalid("metadata.name", &definition["metadata"]["name"], what);
    }
    if group.is_empty() {
        errors.required("spec.group", "");
    } else if !group.contains('.') {
        let what = "should be a domain with at least one dot";
        errors.invalid("spec.group", &spec["group"], what);
    }
    if text(spec, "scope").is_empty() {
        errors.required("spec.scope", "");
    } else if !["Cluster", "Namespaced"].contains(&text(spec, "scope")) {
        let allowed = vec!["Cluster", "Namespaced"];
        errors.add(
            "spec.scope",
            Problem::NotSupported(spec["scope"].clone(), allowed),
        );
    }
    if let Some(old) = old {
        for (field, path) in [("group", "/spec/group"), ("scope", "/spec/scope")] {
            if old.pointer(path) != definition.pointer(path) {
                let what = "field is immutable";
                errors.invalid(format!("spec.{field}"), &spec[field], what);
            }
        }
    }
    if spec["preserveUnknownFields"] == true {
        let what = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid(
            "spec.preserveUnknownFields",
            &spec["preserveUnknownFields"],
            what,
        );
    }
    validate_versions(definition, errors);
    conversion(&spec["conversion"], errors);
    names::names(names, errors);
}

/// The paths are those of Kubernetes' own structure, which has no field `webhook`.
fn conversion(conversion: &Value, errors: &mut Errors) {
    let strategy = Place::new(conversion, "spec.conversion").of("strategy");
    if strategy.is_empty() {
        errors.required(&strategy, "");
    } else {
        errors.must_be(&strategy, &["None", "Webhook"]);
    }
    let webhook = Place::new(&conversion["webhook"], "spec.conversion");
    let client = webhook.of("clientConfig");
    let client = client.called("spec.conversion.webhookClientConfig".into());
    let versions = webhook.of("conversionReviewVersions");
    if strategy.text() != "Webhook" {
        let what = "should not be set when strategy is not set to Webhook";
        for set in [client, versions].iter().filter(|place| !place.is_empty()) {
            errors.forbidden(set, what);
        }
        return;
    }
    if client.is_given() {
        webhook_client(&client, errors);
    } else {
        errors.required(&client, "required when strategy is set to Webhook");
    }
    if versions.is_empty() {
        errors.required(&versions, "");
    } else {
        review_versions(&versions, errors);
    }
}

fn validate_versions(definition: &Value, errors: &mut Errors) {
    let all = versions(definition);
    let stored = all.iter().filter(|version| version["storage"] == true);
    if stored.count() != 1 {
        let what = "must have exactly one version marked as storage version";
        errors.invalid("spec.versions", &definition["spec"]["versions"], what);
    }
    let is_twice =
        |(at, version): (usize, &Value)| all[..at].iter().any(|v| v["name"] == version["name"]);
    if all.iter().enumerate().any(is_twice) {
        let what = "must contain unique version names";
        errors.invalid("spec.versions", &definition["spec"]["versions"], what);
    }
    for (at, version) in all.iter().enumerate() {
        let path = format!("spec.versions[{at}]");
        names::version(version, at, errors);
        // What all versions have alike is told as the definition's own, once.
        let is_alike = |field: &str| all.iter().all(|v| v[field] == version[field]);
        match is_alike("additionalPrinterColumns") && is_alike("subresources") {
            true if at > 0 => {}
            true => names::shown(version, "spec", errors),
            false => names::shown(version, &path, errors),
        }
        let schema = &version["schema"]["openAPIV3Schema"];
        // One schema of all versions is told as the definition's own.
        let is_common = all.iter().all(|v| v["schema"] == version["schema"]);
        let path = if schema.is_object() && is_common {
            "spec.validation.openAPIV3Schema".to_owned()
        } else {
            format!("{path}.schema.openAPIV3Schema")
        };
        if schema.is_null() {
            errors.required(path, "");
        } else if is_common && at > 0 {
            continue;
        } else if text(schema, "type") != "object" {
            let what = "must be object at the root";
            errors.invalid(format!("{path}.type"), &schema["type"], what);
        } else {
            structure::root(schema, &path, errors);
        }
    }
}
