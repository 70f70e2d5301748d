//! How names, labels and ports may look, in the API server's words; and how lists and texts are read.

use serde_json::Value;

use crate::field::Errors;

pub(super) const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
    alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
    (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
pub(super) const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with \
    an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// The items of a list.
pub(super) fn items(list: &Value) -> impl Iterator<Item = (usize, &Value)> {
    list.as_array().into_iter().flatten().enumerate()
}

/// Whether a text is missing or empty.
pub(super) fn is_empty(text: &Value) -> bool {
    text.as_str().is_none_or(str::is_empty)
}

/// Whether a text is a DNS label (RFC 1123).
pub(super) fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

/// Whether a text is labels joined with dots.
pub(super) fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_label)
}

/// Whether it may be the name part of a key, or a label's value.
fn is_word(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars().all(inside) && text.starts_with(edge) && text.ends_with(edge)
}

/// What is wrong with a key, `name` or `prefix/name`.
pub(super) fn qualified(key: &str) -> Vec<String> {
    let (prefix, name) = key
        .rsplit_once('/')
        .map_or((None, key), |(p, n)| (Some(p), n));
    let mut wrong = Vec::new();
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) if !is_subdomain(prefix) => {
            wrong.push(format!("prefix part {SUBDOMAIN_RULE}"))
        }
        Some(_) | None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".into());
    } else if name.len() > 63 {
        wrong.push("name part must be no more than 63 characters".into());
    }
    if !is_word(name) {
        wrong.push(KEY_RULE.into());
    }
    wrong
}

/// Labels, or a selector of them.
pub(super) fn labels(labels: &Value, at: &str, errors: &mut Errors) {
    for (key, value) in labels.as_object().into_iter().flatten() {
        keys(key, at, errors);
        let text = value.as_str().unwrap_or_default();
        if text.len() > 63 {
            errors.invalid(at, value, "must be no more than 63 characters");
        }
        if !text.is_empty() && !is_word(text) {
            errors.invalid(at, value, VALUE_RULE);
        }
    }
}

/// A key of labels or annotations.
pub(super) fn keys(key: &str, at: &str, errors: &mut Errors) {
    for what in qualified(key) {
        errors.invalid(at, &key.into(), &what);
    }
}

/// What is wrong with the name of a port (RFC 6335 section 5.1).
pub(super) fn port_name(name: &str) -> Vec<String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    [
        (name.len() > 15, "must be no more than 15 characters"),
        (
            name.is_empty() || !name.bytes().all(good),
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (
            !name.bytes().any(|b| b.is_ascii_lowercase()),
            "must contain at least one letter (a-z)",
        ),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (
            name.starts_with('-') || name.ends_with('-'),
            "must not begin or end with a hyphen",
        ),
    ]
    .into_iter()
    .filter(|(is_wrong, _)| *is_wrong)
    .map(|(_, what)| what.to_owned())
    .collect()
}

pub(super) fn port_number(port: &Value, field: &str, errors: &mut Errors) {
    if !port
        .as_i64()
        .is_some_and(|number| (1..=65535).contains(&number))
    {
        errors.invalid(field, port, "must be between 1 and 65535, inclusive");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_ports_are_told_what_is_wrong() {
        assert_eq!(qualified("example.com/a_b"), [""; 0]);
        assert_eq!(qualified("/a"), ["prefix part must be non-empty"]);
        assert_eq!(qualified("a b"), [KEY_RULE]);
        assert_eq!(port_name("http-2"), [""; 0]);
        let letters = "must contain at least one letter (a-z)";
        assert_eq!(port_name("80"), [letters]);
        let hyphens = [
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen",
        ];
        assert_eq!(port_name("a--b-"), hyphens);
    }
}
