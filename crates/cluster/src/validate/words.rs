//! How names, labels, keys and ports may look, in the API server's words. Each gives what is wrong with a text.

/// Letters and hyphens between letters.
const LABEL_RULE: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an \
    alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const LETTER_RULE: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end \
    with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const KEY_RULE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character \
    (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const VALUE_RULE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with \
    an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is \
    '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const SUBDOMAIN_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with \
    an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const SEARCH_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end \
    with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*')";
const WILDCARD_RULE: &str = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case \
    alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', regex used for validation is \
    '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const CONFIG_RULE: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', \
    regex used for validation is '[-._a-zA-Z0-9]+')";
const HEADER_RULE: &str = "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is \
    '[-A-Za-z0-9]+')";
const VARIABLE_RULE: &str = "a valid environment variable name must consist only of printable ASCII characters other than '='";
const PERCENT_RULE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
    regex used for validation is '[0-9]+%')";

/// Whether a text is a DNS label (RFC 1123), however long.
fn is_label(text: &str) -> bool {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !text.is_empty() && text.bytes().all(good) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(is_label)
}

/// Whether it may be the name part of a key, or a label's value.
fn is_word(text: &str) -> bool {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let edge = |c: char| c.is_ascii_alphanumeric();
    text.chars().all(inside) && text.starts_with(edge) && text.ends_with(edge)
}

/// What is wrong of several things: whether it is, and what is said then.
fn wrong<const N: usize>(found: [(bool, &str); N]) -> Vec<String> {
    let found = found.into_iter().filter(|(is_wrong, _)| *is_wrong);
    found.map(|(_, what)| what.to_owned()).collect()
}

/// A DNS label (RFC 1123).
pub(super) fn label(text: &str) -> Vec<String> {
    let dotted = !is_label(text) && is_subdomain(text);
    wrong([
        (text.len() > 63, "must be no more than 63 characters"),
        (dotted, "must not contain dots"),
        (!dotted && !is_label(text), LABEL_RULE),
    ])
}

/// A label that begins with a letter (RFC 1035).
pub(crate) fn letter_label(text: &str) -> Vec<String> {
    let good = is_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase());
    wrong([
        (text.len() > 63, "must be no more than 63 characters"),
        (!good, LETTER_RULE),
    ])
}

/// Labels joined with dots.
pub(super) fn subdomain(text: &str) -> Vec<String> {
    wrong([
        (text.len() > 253, "must be no more than 253 characters"),
        (!is_subdomain(text), SUBDOMAIN_RULE),
    ])
}

/// A search path of a resolver: labels may have underscores inside, and one before.
pub(super) fn search(text: &str) -> Vec<String> {
    let good = |label: &str| is_label(&label.strip_prefix('_').unwrap_or(label).replace('_', "-"));
    wrong([
        (text.len() > 253, "must be no more than 253 characters"),
        (!text.split('.').all(good), SEARCH_RULE),
    ])
}

/// A name with a `*` for the first label.
pub(super) fn wildcard(text: &str) -> Vec<String> {
    let good = text.strip_prefix("*.").is_some_and(is_subdomain);
    wrong([
        (text.len() > 253, "must be no more than 253 characters"),
        (!good, WILDCARD_RULE),
    ])
}

/// A part of a path.
pub(super) fn path_segment(text: &str) -> Vec<String> {
    wrong([
        (text == ".", "may not be '.'"),
        (text == "..", "may not be '..'"),
        (text.contains('/'), "may not contain '/'"),
        (text.contains('%'), "may not contain '%'"),
    ])
}

/// A key, `name` or `prefix/name`.
pub(crate) fn qualified(key: &str) -> Vec<String> {
    let mut parts = key.rsplit('/');
    let name = parts.next().unwrap_or_default();
    let mut found = Vec::new();
    match (parts.next(), parts.next()) {
        (_, Some(_)) => {
            let optional =
                "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {KEY_RULE} {optional}")];
        }
        (Some(""), None) => found.push("prefix part must be non-empty".to_owned()),
        (Some(prefix), None) => {
            found.extend(wrong([
                (
                    prefix.len() > 253,
                    "prefix part must be no more than 253 bytes",
                ),
                (
                    !is_subdomain(prefix),
                    &format!("prefix part {SUBDOMAIN_RULE}"),
                ),
            ]));
        }
        (None, None) => {}
    }
    found.extend(wrong([
        (name.is_empty(), "name part must be non-empty"),
        (name.len() > 63, "name part must be no more than 63 bytes"),
    ]));
    if !is_word(name) {
        found.push(format!("name part {KEY_RULE}"));
    }
    found
}

/// The value of a label.
pub(crate) fn label_value(text: &str) -> Vec<String> {
    wrong([
        (text.len() > 63, "must be no more than 63 bytes"),
        (!text.is_empty() && !is_word(text), VALUE_RULE),
    ])
}

/// A key of a ConfigMap or Secret.
pub(super) fn config_key(text: &str) -> Vec<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    wrong([
        (text.len() > 253, "must be no more than 253 characters"),
        (text.is_empty() || !text.chars().all(good), CONFIG_RULE),
        (text == ".", "must not be '.'"),
        (text == "..", "must not be '..'"),
        (
            text.len() > 2 && text.starts_with(".."),
            "must not start with '..'",
        ),
    ])
}

/// The name of a variable of the environment.
pub(super) fn variable(text: &str) -> Vec<String> {
    let good = |c: char| (' '..='~').contains(&c) && c != '=';
    wrong([(!text.chars().all(good), VARIABLE_RULE)])
}

/// The name of a header of HTTP.
pub(super) fn header(text: &str) -> Vec<String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    wrong([(text.is_empty() || !text.bytes().all(good), HEADER_RULE)])
}

/// A percentage.
pub(super) fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    let good = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    wrong([(!good, PERCENT_RULE)])
}

/// The name of a port (RFC 6335 section 5.1).
pub(super) fn port_name(name: &str) -> Vec<String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let letters = name.bytes().any(|b| b.is_ascii_lowercase());
    let edge = name.starts_with('-') || name.ends_with('-');
    let good = !name.is_empty() && name.bytes().all(good);
    wrong([
        (name.len() > 15, "must be no more than 15 characters"),
        (
            !good,
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)",
        ),
        (!letters, "must contain at least one letter (a-z)"),
        (name.contains("--"), "must not contain consecutive hyphens"),
        (edge, "must not begin or end with a hyphen"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_ports_are_told_what_is_wrong() {
        assert_eq!(qualified("example.com/a_b"), [""; 0]);
        assert_eq!(qualified("/a"), ["prefix part must be non-empty"]);
        let (long, longer) = ("a".repeat(64), format!("{}/a", "a".repeat(254)));
        assert_eq!(
            qualified(&long),
            ["name part must be no more than 63 bytes"]
        );
        assert_eq!(
            qualified(&longer),
            ["prefix part must be no more than 253 bytes"]
        );
        assert_eq!(label_value(&long), ["must be no more than 63 bytes"]);
        assert_eq!(label(&long), ["must be no more than 63 characters"]);
        assert_eq!(qualified("a b"), [format!("name part {KEY_RULE}")]);
        assert_eq!(port_name("http-2"), [""; 0]);
        let letters = "must contain at least one letter (a-z)";
        assert_eq!(port_name("80"), [letters]);
        let hyphens = [
            "must not contain consecutive hyphens",
            "must not begin or end with a hyphen",
        ];
        assert_eq!(port_name("a--b-"), hyphens);
    }

    #[test]
    fn names_are_told_what_is_wrong() {
        assert_eq!(label("a.b"), ["must not contain dots"]);
        assert_eq!(label("A"), [LABEL_RULE]);
        assert_eq!(search("_ldap._tcp"), [""; 0]);
        assert_eq!(search("a._"), [SEARCH_RULE]);
        assert_eq!(wildcard("*.example.org"), [""; 0]);
        assert_eq!(wildcard("*.*.org"), [WILDCARD_RULE]);
        assert_eq!(config_key(".."), ["must not be '..'"]);
        assert_eq!(percent("%"), [PERCENT_RULE]);
    }
}
