//! A CustomResourceDefinition by itself: what it lacks is filled in, and what is wrong with it is said.

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
    for field in ["plural", "singular", "kind", "listKind"] {
        if text(names, field).is_empty() {
            errors.required(format!("spec.names.{field}"), "");
        }
    }
    if let Some(old) = old {
        for (field, path) in [("group", "/spec/group"), ("scope", "/spec/scope")] {
            if old.pointer(path) != definition.pointer(path) {
                let what = "field is immutable";
                errors.invalid(format!("spec.{field}"), &spec[field], what);
            }
        }
    }
    validate_versions(definition, errors);
    conversion(&spec["conversion"], errors);
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
    for (at, version) in all.iter().enumerate() {
        let path = format!("spec.versions[{at}]");
        if text(version, "name").is_empty() {
            errors.required(format!("{path}.name"), "");
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
            structure(schema, &path, errors);
        }
    }
}

/// Says where a schema is not structural: each value has a type.
fn structure(schema: &Value, path: &str, errors: &mut Errors) {
    let is_free = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    if text(schema, "type").is_empty() && !is_free {
        let what = "must not be empty for specified object fields";
        errors.required(format!("{path}.type"), what);
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        structure(below, &format!("{path}.properties[{name}]"), errors);
    }
    if schema["additionalProperties"].is_object() {
        let path = format!("{path}.additionalProperties");
        structure(&schema["additionalProperties"], &path, errors);
    }
    if text(schema, "type") == "array" {
        if schema["items"].is_object() {
            structure(&schema["items"], &format!("{path}.items"), errors);
        } else {
            errors.required(format!("{path}.items"), "must be specified");
        }
    }
}
