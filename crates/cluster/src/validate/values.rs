//! Rules that many kinds have: labels, selectors, addresses, ports, paths, quantities.

use std::net::IpAddr;

use serde_json::Value;

use super::words::{label_value, percent, port_name, qualified};
use crate::field::Errors;
use crate::place::Place;

/// What is wrong with a text that is no IP address.
const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
const NO_RANGE: &str = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";

/// Names of protocols.
pub(super) const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];

/// Labels, or a selector of them.
pub(super) fn labels(labels: &Place<'_>, errors: &mut Errors) {
    for (key, value) in labels.entries() {
        keys(key, labels, errors);
        errors.each(
            &value.called(labels.path.clone()),
            label_value(value.text()),
        );
    }
}

/// A key of labels or annotations.
pub(super) fn keys(key: &str, at: &Place<'_>, errors: &mut Errors) {
    for what in qualified(key) {
        errors.invalid(at, &key.into(), &what);
    }
}

/// Annotations: their keys, whatever their case.
pub(super) fn annotations(annotations: &Place<'_>, errors: &mut Errors) {
    for (key, _) in annotations.entries() {
        for what in qualified(&key.to_lowercase()) {
            errors.invalid(annotations, &key.into(), &what);
        }
    }
}

/// A `LabelSelector`.
pub(super) fn selector(selector: &Place<'_>, errors: &mut Errors) {
    labels(&selector.of("matchLabels"), errors);
    for wanted in selector.of("matchExpressions").items() {
        if !has_operands(&wanted, errors) {
            errors.bad(&wanted.of("operator"), "not a valid selector operator");
        }
        let key = wanted.of("key");
        errors.each(&key, qualified(key.text()));
        for value in wanted.of("values").items() {
            errors.each(&value, label_value(value.text()));
        }
    }
}

/// Looks at the values of a requirement by its operator; whether that is one of those that every selector has.
pub(super) fn has_operands(wanted: &Place<'_>, errors: &mut Errors) -> bool {
    let values = wanted.of("values");
    match wanted.of("operator").text() {
        "In" | "NotIn" if values.is_empty() => errors.required(
            &values,
            "must be specified when `operator` is 'In' or 'NotIn'",
        ),
        "Exists" | "DoesNotExist" if !values.is_empty() => errors.forbidden(
            &values,
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        _ => return false,
    }
    true
}

/// Whether a selector selects all.
pub(super) fn selects_all(selector: &Place<'_>) -> bool {
    ["matchLabels", "matchExpressions"]
        .iter()
        .all(|field| selector.of(field).is_empty())
}

/// An address as Go reads it: with zeros before its numbers too.
fn sloppy(text: &str) -> Option<IpAddr> {
    let part = |part: &str| {
        let digits = part.trim_start_matches('0');
        let digits = if digits.is_empty() && !part.is_empty() {
            "0"
        } else {
            digits
        };
        digits.to_owned()
    };
    if text.contains(':') || !text.contains('.') {
        return text.parse().ok();
    }
    let parts: Vec<_> = text.split('.').map(part).collect();
    parts.join(".").parse().ok()
}

/// An IP address, where it can be read.
pub(super) fn address(place: &Place<'_>, errors: &mut Errors) -> Option<IpAddr> {
    let Some(read) = sloppy(place.text()) else {
        errors.each(place, vec![NO_ADDRESS.to_owned()]);
        return None;
    };
    if place.text().parse::<IpAddr>().is_err() {
        errors.bad(place, "must not have leading 0s");
    } else if matches!(read, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        errors.bad(place, "must not be an IPv4-mapped IPv6 address");
    }
    Some(read)
}

/// An address that an endpoint may have.
pub(super) fn endpoint_address(place: &Place<'_>, errors: &mut Errors) {
    let Some(ip) = sloppy(place.text()) else {
        return errors.bad(place, "must be a valid IP address");
    };
    let (link_local, group) = match ip {
        IpAddr::V4(ip) => (ip.is_link_local(), ip.octets()[..3] == [224, 0, 0]),
        IpAddr::V6(ip) => {
            let first = ip.segments()[0];
            (ip.is_unicast_link_local(), first & 0xff0f == 0xff02)
        }
    };
    if ip.is_unspecified() {
        errors.bad(place, &format!("may not be unspecified ({})", place.text()));
    }
    for (is_so, what) in [
        (
            ip.is_loopback(),
            "may not be in the loopback range (127.0.0.0/8, ::1/128)",
        ),
        (
            link_local,
            "may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (
            group,
            "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)",
        ),
    ] {
        if is_so {
            errors.bad(place, what);
        }
    }
}

/// A range of addresses: bits, and how many of them count.
pub(super) type Range = (IpAddr, u8);

/// A number of digits alone: Go's parser of ranges takes no sign.
fn number(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// A range of addresses, where it can be read.
pub(super) fn range(place: &Place<'_>, errors: &mut Errors) -> Option<Range> {
    let parsed = place.text().split_once('/').and_then(|(ip, length)| {
        let ip = sloppy(ip)?;
        let most = if ip.is_ipv4() { 32 } else { 128 };
        let length = number(length).filter(|length| *length <= most)?;
        Some((ip, length))
    });
    let Some((ip, length)) = parsed else {
        errors.bad(place, NO_RANGE);
        return None;
    };
    let strict = place.text().split_once('/');
    let zeros = strict.is_some_and(|(ip, length)| {
        ip.parse::<IpAddr>().is_err() || (length.len() > 1 && length.starts_with('0'))
    });
    if zeros {
        errors.bad(place, "must not have leading 0s in IP or prefix length");
    } else if matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some()) {
        errors.bad(place, "must not have an IPv4-mapped IPv6 address");
    } else if masked(ip, length) != bits(ip) {
        errors.bad(place, "must not have bits set beyond the prefix length");
    }
    Some((ip, length))
}

/// The bits of an address, from the left.
fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()) << 96,
        IpAddr::V6(ip) => ip.to_bits(),
    }
}

/// The first bits of an address.
fn masked(ip: IpAddr, length: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    bits(ip) & mask
}

/// Whether one range has all of another, and more.
pub(super) fn has_more((ip, length): Range, (other, longer): Range) -> bool {
    ip.is_ipv4() == other.is_ipv4()
        && longer > length
        && masked(ip, length) == masked(other, length)
}

/// A port's number.
pub(super) fn port_number(port: &Place<'_>, errors: &mut Errors) {
    if !(1..=65535).contains(&port.number()) {
        let what = "must be between 1 and 65535, inclusive";
        errors.invalid(port, &port.number().into(), what);
    }
}

/// A port by its number or its name.
pub(super) fn port(port: &Place<'_>, errors: &mut Errors) {
    if port.value.is_string() {
        errors.each(port, port_name(port.text()));
    } else {
        port_number(port, errors);
    }
}

/// A count that is not negative, or a percentage.
pub(super) fn count_or_percent(place: &Place<'_>, errors: &mut Errors) {
    if place.value.is_string() {
        errors.each(place, percent(place.text()));
    } else {
        errors.at_least(place, 0);
    }
}

/// The number of a percentage.
fn of_hundred(value: &Value) -> Option<i64> {
    let text = value.as_str().filter(|text| percent(text).is_empty())?;
    Some(text.trim_end_matches('%').parse().unwrap_or(i64::MAX))
}

/// A count, or the number of a percentage; 0 where it is none.
pub(super) fn count_of(value: &Value) -> i64 {
    of_hundred(value).or_else(|| value.as_i64()).unwrap_or(0)
}

/// A percentage is 100 at most.
pub(super) fn at_most_all(place: &Place<'_>, errors: &mut Errors) {
    if of_hundred(place.value).is_some_and(|percent| percent > 100) {
        errors.bad(place, "must not be greater than 100%");
    }
}

/// A path without steps back.
pub(super) fn no_steps_back(path: &Place<'_>, errors: &mut Errors) {
    if path.text().split('/').any(|step| step == "..") {
        errors.bad(path, "must not contain '..'");
    }
}

/// A path down from where it is.
pub(super) fn downward_path(path: &Place<'_>, errors: &mut Errors) {
    if path.text().starts_with('/') {
        errors.bad(path, "must be a relative path");
    }
    no_steps_back(path, errors);
}

/// A path down to what a volume does not keep for itself.
pub(super) fn own_path(path: &Place<'_>, errors: &mut Errors) {
    downward_path(path, errors);
    if path.text().starts_with("..") && !path.text().starts_with("../") {
        errors.bad(path, "must not start with '..'");
    }
}

/// A quantity that is there is more than nothing.
pub(super) fn positive(quantity: &Place<'_>, errors: &mut Errors) {
    if quantity.nanos() <= 0 {
        errors.bad(quantity, "must be greater than zero");
    }
}

/// An object as Go shows what it keeps: fields under their Go names, what is not said as null.
pub(super) fn shown(value: &Value, fields: &[(&str, &str)]) -> Value {
    let field = |(go, json): &(&str, &str)| ((*go).to_owned(), value[*json].clone());
    fields.iter().map(field).collect()
}

/// The same of an object of texts: what is not said is empty.
pub(super) fn shown_texts(value: &Value, fields: &[(&str, &str)]) -> Value {
    let mut all = shown(value, fields);
    let fields = all.as_object_mut().into_iter().flatten();
    for (_, text) in fields.filter(|(_, text)| text.is_null()) {
        *text = "".into();
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_length_of_a_range_has_no_sign() {
        let read = |text: &str| {
            let text = json!(text);
            range(&Place::new(&text, "cidr"), &mut Errors::default())
        };
        assert_eq!(read("10.0.0.0/8"), Some(([10, 0, 0, 0].into(), 8)));
        for refused in ["10.0.0.0/+8", "10.0.0.0/-8", "10.0.0.0/"] {
            assert_eq!(read(refused), None, "{refused}");
        }
    }
}
