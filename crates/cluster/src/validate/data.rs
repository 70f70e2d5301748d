//! What the API server refuses of ConfigMaps and Secrets.

use serde_json::Value;

use super::words::config_key;
use crate::field::{Errors, Problem};
use crate::place::Place;

/// Octets that an object of these may hold: what fits into etcd.
const MOST: usize = 1 << 20;

/// Types of Secrets, with the keys that each must have.
const TYPES: &[(&str, &[&str])] = &[
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
];

/// v1 ConfigMap.
pub fn config_map(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let [text, binary] = ["data", "binaryData"].map(|field| Place::new(&object[field], field));
    fixed(object, old, &["data", "binaryData"], errors);
    for (key, value) in text.entries() {
        wrong_key(key, &value, errors);
        if binary.key(key).is_given() {
            let what = "duplicate of key present in binaryData";
            errors.invalid(&value, &key.into(), what);
        }
    }
    for (key, value) in binary.entries() {
        wrong_key(key, &value, errors);
    }
    let octets = |(_, value): (&str, Place<'_>)| value.text().len();
    let in_base64 = |(_, value): (&str, Place<'_>)| value.text().len() / 4 * 3;
    let size: usize = text.entries().into_iter().map(octets).sum();
    let size = size + binary.entries().into_iter().map(in_base64).sum::<usize>();
    if size > MOST {
        errors.add("[]", Problem::TooLong(MOST));
    }
}

/// v1 Secret.
pub fn secret(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let (data, kind) = (Place::new(&object["data"], "data"), &object["type"]);
    if let Some(old) = old {
        errors.unchanged(&Place::new(kind, "type"), &old["type"]);
    }
    fixed(object, old, &["data"], errors);
    for (key, value) in data.entries() {
        wrong_key(key, &value, errors);
    }
    let in_base64 = |(_, value): (&str, Place<'_>)| value.text().len() / 4 * 3;
    if data.entries().into_iter().map(in_base64).sum::<usize>() > MOST {
        errors.add(&data, Problem::TooLong(MOST));
    }
    let wanted = TYPES.iter().find(|(name, _)| kind == name);
    for key in wanted.into_iter().flat_map(|(_, keys)| *keys) {
        let value = data.key(key);
        // An empty value is one, but for a key that opens nothing.
        if !value.is_given() || (*key == "ssh-privatekey" && value.is_empty()) {
            errors.required(value, "");
        } else if key.starts_with(".docker") {
            docker(&value, errors);
        }
    }
    let names = ["username", "password"].map(|key| data.key(key));
    if kind == "kubernetes.io/basic-auth" && !names.iter().any(Place::is_given) {
        names.into_iter().for_each(|name| errors.required(name, ""));
    }
    let account = Place::new(&object["metadata"]["annotations"], "metadata.annotations")
        .key("kubernetes.io/service-account.name");
    if kind == "kubernetes.io/service-account-token" && account.is_empty() {
        errors.required(account, "");
    }
}

fn wrong_key(key: &str, value: &Place<'_>, errors: &mut Errors) {
    for what in config_key(key) {
        errors.invalid(value, &key.into(), &what);
    }
}

/// Docker's configuration is a JSON object; what is in it is not shown.
fn docker(value: &Place<'_>, errors: &mut Errors) {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(value.text());
    let bytes = bytes.unwrap_or_default();
    let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
    let what = match first {
        _ if serde_json::from_slice::<serde_json::Map<_, Value>>(&bytes).is_ok() => return,
        None => "unexpected end of JSON input".to_owned(),
        Some(first) => {
            let shown = char::from(*first);
            format!("invalid character '{shown}' looking for beginning of value")
        }
    };
    errors.invalid(value, &"<secret contents redacted>".into(), &what);
}

/// What is said to stay as it is does.
fn fixed(object: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Errors) {
    let Some(old) = old.filter(|old| old["immutable"] == true) else {
        return;
    };
    let what = "field is immutable when `immutable` is set";
    if object["immutable"] != true {
        errors.forbidden("immutable", what);
    }
    for field in fields {
        if object[*field] != old[*field] {
            errors.forbidden(*field, what);
        }
    }
}
