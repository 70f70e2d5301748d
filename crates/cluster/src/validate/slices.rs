//! What the API server refuses of EndpointSlices and Endpoints.

use std::collections::BTreeSet;

use serde_json::Value;

use super::values::{PROTOCOLS, address, endpoint_address, port_number};
use super::words::{label, label_value, qualified, subdomain};
use crate::field::{Errors, Problem};
use crate::place::Place;

/// discovery.k8s.io/v1 EndpointSlice.
pub fn slice(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let kind = Place::new(&object["addressType"], "addressType");
    let endpoints = Place::new(&object["endpoints"], "endpoints");
    let ports = Place::new(&object["ports"], "ports");
    let mut names = BTreeSet::new();
    for port in ports.items() {
        let name = port.of("name");
        errors.maybe(&name, label);
        if !names.insert(name.text()) {
            errors.duplicate(&name);
        }
        errors.one_of(&port.of("protocol"), PROTOCOLS);
        let protocol = port.of("appProtocol");
        if protocol.is_given() {
            errors.each(&protocol, qualified(protocol.text()));
        }
    }
    if endpoints.count() > 1000 {
        errors.add(&endpoints, Problem::TooMany(endpoints.count(), 1000));
    }
    // What was there before stays.
    let is_new = old.is_none_or(|old| old["endpoints"] != *endpoints.value);
    for endpoint in endpoints.items().filter(|_| is_new) {
        self::endpoint(&endpoint, kind.text(), errors);
    }
    if kind.is_empty() {
        errors.required(&kind, "");
    } else {
        errors.must_be(&kind, &["FQDN", "IPv4", "IPv6"]);
    }
    if let Some(old) = old {
        errors.fixed(&kind, &old["addressType"]);
    }
}

fn endpoint(endpoint: &Place<'_>, kind: &str, errors: &mut Errors) {
    let addresses = endpoint.of("addresses");
    for given in addresses.items() {
        if kind == "FQDN" {
            full_name(&given, errors);
        } else if ["IPv4", "IPv6"].contains(&kind)
            && let Some(ip) = address(&given, errors)
        {
            if ip.is_ipv4() != (kind == "IPv4") {
                let what = format!("must be an {kind} address");
                errors.bad(&given.called(addresses.path.clone()), &what);
            }
            endpoint_address(&given, errors);
        }
    }
    if addresses.is_empty() {
        errors.required(&addresses, "");
    } else if addresses.count() > 100 {
        errors.add(&addresses, Problem::TooMany(addresses.count(), 100));
    }
    let (node, name) = (endpoint.of("nodeName"), endpoint.of("hostname"));
    if node.is_given() {
        errors.each(&node, subdomain(node.text()));
    }
    if name.is_given() {
        errors.each(&name, label(name.text()));
    }
    for (field, rule) in [
        ("forZones", label_value as fn(&str) -> Vec<String>),
        ("forNodes", subdomain),
    ] {
        let hints = endpoint.of("hints").of(field);
        let mut names = BTreeSet::new();
        if hints.count() > 8 {
            errors.add(&hints, Problem::TooMany(hints.count(), 8));
        }
        for name in hints.items().map(|hint| hint.of("name")) {
            if !names.insert(name.text()) {
                errors.duplicate(&name);
            }
            errors.each(&name, rule(name.text()));
        }
    }
}

fn full_name(name: &Place<'_>, errors: &mut Errors) {
    let text = name.text().strip_suffix('.').unwrap_or_else(|| name.text());
    let wrong = subdomain(text);
    let what = if wrong.is_empty() && !text.contains('.') {
        "should be a domain with at least two segments separated by dots".to_owned()
    } else {
        wrong.join(",")
    };
    if !what.is_empty() {
        errors.invalid(name, &text.into(), &what);
    }
}

/// v1 Endpoints.
pub fn endpoints(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    for subset in Place::new(&object["subsets"], "subsets").items() {
        let lists = ["addresses", "notReadyAddresses"].map(|list| subset.of(list));
        if lists.iter().all(Place::is_empty) {
            let what = "must specify `addresses` or `notReadyAddresses`";
            errors.required(&subset, what);
        }
        for given in lists.iter().flat_map(Place::items) {
            address(&given.of("ip"), errors);
            errors.maybe(&given.of("hostname"), label);
            errors.maybe(&given.of("nodeName"), subdomain);
            endpoint_address(&given.of("ip"), errors);
        }
        let ports = subset.of("ports");
        for port in ports.items() {
            let name = port.of("name");
            if name.is_empty() && ports.count() > 1 {
                errors.required(&name, "");
            }
            errors.maybe(&name, label);
            port_number(&port.of("port"), errors);
            errors.one_of(&port.of("protocol"), PROTOCOLS);
            let protocol = port.of("appProtocol");
            if protocol.is_given() {
                errors.each(&protocol, qualified(protocol.text()));
            }
        }
    }
}
