//! What the API server refuses of ConfigMaps and Secrets.

use serde_json::Value;

use super::words::is_empty;
use crate::field::{Errors, Problem};

const KEY_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', \
    regex used for validation is '[-._a-zA-Z0-9]+')";

/// Types of Secrets, with the keys that each must have.
const TYPES: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

/// v1 ConfigMap.
pub fn config_map(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    data(object, old, &["data", "binaryData"], errors);
}

/// v1 Secret.
pub fn secret(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    data(object, old, &["data"], errors);
    if let Some(old) = old {
        errors.unchanged("type", &object["type"], &old["type"]);
    }
    let wanted = TYPES.iter().find(|(name, _)| object["type"] == *name);
    for key in wanted.into_iter().flat_map(|(_, keys)| *keys) {
        // An empty value is one.
        if object["data"][*key].is_null() {
            errors.required(format!("data[{key}]"), "");
        }
    }
    if object["type"] == "kubernetes.io/basic-auth"
        && ["username", "password"]
            .iter()
            .all(|key| is_empty(&object["data"][*key]))
    {
        errors.required("data[username]", "");
        errors.required("data[password]", "");
    }
}

fn data(object: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Errors) {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    for field in fields {
        for (key, _) in object[*field].as_object().into_iter().flatten() {
            if key.is_empty() || !key.chars().all(good) {
                errors.invalid(format!("{field}[{key}]"), &key.as_str().into(), KEY_RULE);
            }
        }
    }
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return;
    };
    let mut fixed = |field: &str, is_changed: bool| {
        if is_changed {
            let what = "field is immutable when `immutable` is set";
            errors.add(field, Problem::Forbidden(what.into()));
        }
    };
    fixed("immutable", object["immutable"] != true);
    for field in fields {
        fixed(field, object[*field] != old[*field]);
    }
}
