//! Whether a schema of a CustomResourceDefinition is structural, as kube-apiserver asks for it: each value has a type, and what joins
//! schemas (`anyOf` and its kin) only narrows them.

use serde_json::Value;

use super::text;
use crate::field::{Errors, Problem};

/// Keys that no schema may have.
const UNSUPPORTED: [&str; 4] = ["definitions", "dependencies", "patternProperties", "$ref"];

/// Types that a value may have.
const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// Says what is wrong with the schema of an object as a whole.
pub(super) fn root(schema: &Value, path: &str, errors: &mut Errors) {
    if schema["nullable"] == true {
        let what = "nullable cannot be true at the root";
        errors.forbidden(format!("{path}.nullable"), what);
    }
    for field in ["apiVersion", "kind"] {
        let given = &schema["properties"][field]["type"];
        if given.is_string() && given != "string" {
            let path = format!("{path}.properties[{field}].type");
            errors.invalid(path, given, "must be string");
        }
    }
    let metadata = schema["properties"]["metadata"]["properties"].as_object();
    let mut others = metadata.into_iter().flatten().map(|(name, _)| name);
    if others.any(|name| !["name", "generateName"].contains(&name.as_str())) {
        let what = "must not specify anything other than name and generateName, but metadata is implicitly specified";
        errors.forbidden(format!("{path}.properties[metadata]"), what);
    }
    value(schema, path, errors);
}

/// Says what is wrong with the schema of a value.
fn value(schema: &Value, path: &str, errors: &mut Errors) {
    own(schema, path, errors);
    list(schema, path, errors);
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        value(below, &format!("{path}.properties[{name}]"), errors);
    }
    let more = &schema["additionalProperties"];
    if more.is_object() {
        if schema["properties"].is_object() {
            let what = "additionalProperties and properties are mutual exclusive";
            errors.forbidden(format!("{path}.additionalProperties"), what);
        }
        value(more, &format!("{path}.additionalProperties"), errors);
    }
    // What is a number or a text says so by the types in `anyOf`.
    let is_either = schema["x-kubernetes-int-or-string"] == true;
    for field in ["allOf", "anyOf", "oneOf"] {
        if is_either && field != "oneOf" {
            continue;
        }
        let all = schema[field].as_array().into_iter().flatten().enumerate();
        all.for_each(|(i, joined)| narrowing(joined, &format!("{path}.{field}[{i}]"), errors));
    }
    if schema["not"].is_object() {
        narrowing(&schema["not"], &format!("{path}.not"), errors);
    }
}

/// What a schema says of its value itself.
fn own(schema: &Value, path: &str, errors: &mut Errors) {
    let is_free = schema["x-kubernetes-int-or-string"] == true
        || schema["x-kubernetes-preserve-unknown-fields"] == true;
    let given = text(schema, "type");
    if given.is_empty() && !is_free {
        let what = "must not be empty for specified object fields";
        errors.required(format!("{path}.type"), what);
    } else if !given.is_empty() && !TYPES.contains(&given) {
        let problem = Problem::NotSupported(given.into(), TYPES.to_vec());
        errors.add(format!("{path}.type"), problem);
    }
    for key in UNSUPPORTED {
        if !schema[key].is_null() {
            errors.forbidden(format!("{path}.{key}"), format!("{key} is not supported"));
        }
    }
    if schema["uniqueItems"] == true {
        let what =
            "uniqueItems cannot be set to true since the runtime complexity becomes quadratic";
        errors.forbidden(format!("{path}.uniqueItems"), what);
    }
    let kept = &schema["x-kubernetes-preserve-unknown-fields"];
    if kept == false {
        let path = format!("{path}.x-kubernetes-preserve-unknown-fields");
        errors.invalid(path, kept, "must be true or undefined");
    }
    let map_type = text(schema, "x-kubernetes-map-type");
    if !["", "atomic", "granular"].contains(&map_type) {
        let problem = Problem::NotSupported(map_type.into(), vec!["atomic", "granular"]);
        errors.add(format!("{path}.x-kubernetes-map-type"), problem);
    }
}

/// What a schema says of a list.
fn list(schema: &Value, path: &str, errors: &mut Errors) {
    let (given, kind) = (text(schema, "type"), text(schema, "x-kubernetes-list-type"));
    let (items, keys) = (&schema["items"], &schema["x-kubernetes-list-map-keys"]);
    let has_keys = keys.as_array().is_some_and(|keys| !keys.is_empty());
    let at = |field: &str| format!("{path}.{field}");
    if !["", "atomic", "set", "map"].contains(&kind) {
        let problem = Problem::NotSupported(kind.into(), vec!["atomic", "set", "map"]);
        errors.add(at("x-kubernetes-list-type"), problem);
    } else if !kind.is_empty() && given != "array" {
        let what = "must be array if x-kubernetes-list-type is specified";
        errors.invalid(at("type"), &given.into(), what);
    } else if kind == "map" {
        if !has_keys {
            let what = "must not be empty if x-kubernetes-list-type is map";
            errors.required(at("x-kubernetes-list-map-keys"), what);
        }
        if items["type"] != "object" {
            let what = "must be object if parent array's x-kubernetes-list-type is map";
            errors.invalid(at("items.type"), &items["type"], what);
        }
    } else if has_keys {
        let what = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.required(at("x-kubernetes-list-type"), what);
    }
    match items {
        Value::Object(_) => value(items, &at("items"), errors),
        Value::Array(_) => {
            let what = "items must be a schema object and not an array";
            errors.forbidden(at("items"), what);
        }
        _ if given == "array" => errors.required(at("items"), "must be specified"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What stands in `anyOf` and its kin may say nothing that a value is made by.
fn narrowing(schema: &Value, path: &str, errors: &mut Errors) {
    if !text(schema, "type").is_empty() {
        errors.forbidden(format!("{path}.type"), "must be empty to be structural");
    }
    for field in ["default", "description", "title"] {
        if !schema[field].is_null() {
            let what = if field == "default" {
                "must be undefined to be structural"
            } else {
                "must be empty to be structural"
            };
            errors.forbidden(format!("{path}.{field}"), what);
        }
    }
    if schema["nullable"] == true {
        errors.forbidden(format!("{path}.nullable"), "must be false to be structural");
    }
    for (name, below) in schema["properties"].as_object().into_iter().flatten() {
        narrowing(below, &format!("{path}.properties[{name}]"), errors);
    }
    if schema["items"].is_object() {
        narrowing(&schema["items"], &format!("{path}.items"), errors);
    }
}
