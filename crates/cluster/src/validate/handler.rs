//! What the API server refuses of probes and of what runs at a container's start and end.

use serde_json::Value;

use super::words::{is_empty, port_name, port_number};
use crate::field::{Errors, Problem};

pub(super) fn probe(probe: &Value, at: &str, errors: &mut Errors) {
    handler(probe, at, errors);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        errors.at_least(&format!("{at}.{field}"), &probe[field], 0);
    }
    let once = at.ends_with("livenessProbe") || at.ends_with("startupProbe");
    let threshold = &probe["successThreshold"];
    if once && threshold.as_i64().is_some_and(|n| n != 1 && n >= 0) {
        errors.invalid(format!("{at}.successThreshold"), threshold, "must be 1");
    }
}

/// One of the ways in which a container is asked, or told.
pub(super) fn handler(handler: &Value, at: &str, errors: &mut Errors) {
    let ways = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];
    let mut given = ways.iter().filter(|way| handler[**way].is_object());
    let Some(first) = given.next() else {
        return errors.required(at, "must specify a handler type");
    };
    for more in given {
        let what = "may not specify more than 1 handler type";
        errors.add(format!("{at}.{more}"), Problem::Forbidden(what.into()));
    }
    let (way, at) = (&handler[*first], format!("{at}.{first}"));
    match *first {
        "exec" if way["command"].as_array().is_none_or(Vec::is_empty) => {
            errors.required(format!("{at}.command"), "");
        }
        "httpGet" => {
            if is_empty(&way["path"]) {
                errors.required(format!("{at}.path"), "");
            }
            port(&way["port"], &format!("{at}.port"), errors);
            errors.one_of(&format!("{at}.scheme"), &way["scheme"], &["HTTP", "HTTPS"]);
        }
        "tcpSocket" | "grpc" => port(&way["port"], &format!("{at}.port"), errors),
        _ => {}
    }
}

/// A port by its number or its name.
pub(super) fn port(port: &Value, at: &str, errors: &mut Errors) {
    match port.as_str() {
        Some(name) => {
            for what in port_name(name) {
                errors.invalid(at, port, &what);
            }
        }
        None if port.is_null() => port_number(&0.into(), at, errors),
        None => port_number(port, at, errors),
    }
}
