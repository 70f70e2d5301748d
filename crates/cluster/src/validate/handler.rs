//! What the API server refuses of probes and of what runs at a container's start and end.

use super::values::{port, port_number};
use super::words::header;
use crate::field::Errors;
use crate::place::Place;

/// The probes of a container; its Pod has that long to end, in seconds.
pub(super) fn probes(container: &Place<'_>, grace: i64, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let probe = container.of(name);
        if !probe.is_given() {
            continue;
        }
        handler(&probe, grace, errors);
        errors.not_negative(
            &probe,
            &[
                "initialDelaySeconds",
                "timeoutSeconds",
                "periodSeconds",
                "successThreshold",
                "failureThreshold",
            ],
        );
        let own = probe.of("terminationGracePeriodSeconds");
        if own.is_given() && own.number() <= 0 {
            errors.bad(&own, "must be greater than 0");
        }
        let threshold = probe.of("successThreshold");
        if name == "readinessProbe" {
            if own.is_given() {
                errors.bad(&own, "must not be set for readinessProbes");
            }
        } else if threshold.number() != 1 {
            errors.bad(&threshold, "must be 1");
        }
    }
}

/// What runs at a container's start and end.
pub(super) fn lifecycle(lifecycle: &Place<'_>, grace: i64, errors: &mut Errors) {
    for hook in ["postStart", "preStop"] {
        let hook = lifecycle.of(hook);
        if hook.is_given() {
            handler(&hook, grace, errors);
        }
    }
}

/// One of the ways in which a container is asked, or told.
fn handler(handler: &Place<'_>, grace: i64, errors: &mut Errors) {
    let ways = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"].map(|way| handler.of(way));
    let mut given = ways.iter().filter(|way| way.is_given());
    let Some(way) = given.next() else {
        return errors.required(handler, "must specify a handler type");
    };
    match way.path.rsplit('.').next() {
        Some("exec") if way.of("command").is_empty() => errors.required(way.of("command"), ""),
        Some("httpGet") => http(way, errors),
        Some("tcpSocket") => port(&way.of("port"), errors),
        Some("grpc") => port_number(&way.of("port"), errors),
        Some("sleep") => {
            let seconds = way.of("seconds").number();
            if !(0..=grace).contains(&seconds) {
                let what = format!(
                    "must be non-negative and less than terminationGracePeriodSeconds ({grace})"
                );
                errors.invalid(way, &seconds.into(), &what);
            }
        }
        _ => {}
    }
    for more in given {
        errors.forbidden(more, "may not specify more than 1 handler type");
    }
}

fn http(way: &Place<'_>, errors: &mut Errors) {
    if way.of("path").is_empty() {
        errors.required(way.of("path"), "");
    }
    port(&way.of("port"), errors);
    errors.must_be(&way.of("scheme"), &["HTTP", "HTTPS"]);
    let headers = way.of("httpHeaders");
    for given in headers.items() {
        let name = given.of("name").called(headers.path.clone());
        errors.each(&name, header(name.text()));
    }
}
