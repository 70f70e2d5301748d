//! What the API server refuses of NetworkPolicies, Ingresses and their classes.

use serde_json::Value;

use super::job::domain_path;
use super::values::{has_more, port_number, range, selector};
use super::words::{label, path_segment, port_name, subdomain, wildcard};
use crate::field::{Errors, Problem};
use crate::place::Place;

/// networking.k8s.io/v1 NetworkPolicy.
pub fn policy(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    selector(&spec.of("podSelector"), errors);
    for (rules, peers) in [("ingress", "from"), ("egress", "to")] {
        for rule in spec.of(rules).items() {
            rule.of("ports")
                .items()
                .for_each(|port| policy_port(&port, errors));
            rule.of(peers)
                .items()
                .for_each(|peer| self::peer(&peer, errors));
        }
    }
    let types = spec.of("policyTypes");
    if types.count() > 2 {
        return errors.bad(&types, "may not specify more than two policyTypes");
    }
    types
        .items()
        .for_each(|of| errors.must_be(&of, &["Ingress", "Egress"]));
}

fn policy_port(port: &Place<'_>, errors: &mut Errors) {
    let (first, last) = (port.of("port"), port.of("endPort"));
    errors.one_of(&port.of("protocol"), &["TCP", "UDP", "SCTP"]);
    if first.value.is_string() {
        if last.is_given() {
            let what = "may not be specified when `port` is non-numeric";
            errors.bad(&last, what);
        }
        errors.each(&first, port_name(first.text()));
    } else if first.is_given() {
        port_number(&first, errors);
        if last.is_given() {
            if last.number() < first.number() {
                errors.bad(&last, "must be greater than or equal to `port`");
            }
            port_number(&last, errors);
        }
    } else if last.is_given() {
        errors.bad(&last, "may not be specified when `port` is not specified");
    }
}

fn peer(peer: &Place<'_>, errors: &mut Errors) {
    selector(&peer.of("podSelector"), errors);
    selector(&peer.of("namespaceSelector"), errors);
    let block = peer.of("ipBlock");
    let (whole, rest) = (block.of("cidr"), block.of("except"));
    if block.is_given() && whole.is_empty() {
        errors.required(&whole, "");
    } else if block.is_given()
        && let Some(whole) = range(&whole, errors)
    {
        for part in rest.items() {
            if range(&part, errors).is_some_and(|part| !has_more(whole, part)) {
                errors.bad(&part, "must be a strict subset of `cidr`");
            }
        }
    }
    if peer.count() == 0 {
        errors.required(peer, "must specify a peer");
    } else if peer.count() > 1 && block.is_given() {
        errors.forbidden(peer, "may not specify both ipBlock and another peer");
    }
}

/// networking.k8s.io/v1 Ingress.
pub fn ingress(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let (rules, all) = (spec.of("rules"), spec.of("defaultBackend"));
    if rules.is_empty() && !all.is_given() {
        let what = "either `defaultBackend` or `rules` must be specified";
        errors.invalid(&spec, &Value::Array(Vec::new()), what);
    }
    if all.is_given() {
        backend(&all, errors);
    }
    for rule in rules.items() {
        host(&rule.of("host"), errors);
        let http = rule.of("http");
        if http.is_given() && http.of("paths").is_empty() {
            errors.required(http.of("paths"), "");
        }
        http.of("paths")
            .items()
            .for_each(|path| ingress_path(&path, errors));
    }
    for tls in spec.of("tls").items() {
        for host in tls.of("hosts").items() {
            let rule = if host.text().contains('*') {
                wildcard
            } else {
                subdomain
            };
            errors.each(&host, rule(host.text()));
        }
        errors.maybe(&tls.of("secretName"), subdomain);
    }
    let class = spec.of("ingressClassName");
    if class.is_given() {
        errors.each(&class, subdomain(class.text()));
    }
    const CLASS: &str = "kubernetes.io/ingress.class";
    let older = &object["metadata"]["annotations"][CLASS];
    if old.is_none() && older.is_string() && class.is_given() && older != class.value {
        let what = "must match `ingressClassName` when both are specified";
        errors.invalid(format!("annotations.{CLASS}"), older, what);
    }
}

fn host(host: &Place<'_>, errors: &mut Errors) {
    if host.text().parse::<std::net::IpAddr>().is_ok() {
        errors.bad(host, "must be a DNS name, not an IP address");
    }
    let rule = if host.text().contains('*') {
        wildcard
    } else {
        subdomain
    };
    errors.maybe(host, rule);
}

fn ingress_path(path: &Place<'_>, errors: &mut Errors) {
    let (kind, at) = (path.of("pathType"), path.of("path"));
    if !kind.is_given() {
        return errors.required(kind, "pathType must be specified");
    }
    let absolute = at.text().starts_with('/');
    match kind.text() {
        "Exact" | "Prefix" => {
            if !absolute {
                errors.each(&at, vec!["must be an absolute path".into()]);
            }
            for part in ["//", "/./", "/../", "%2f", "%2F"] {
                if at.text().contains(part) {
                    errors.bad(&at, &format!("must not contain '{part}'"));
                }
            }
            for end in ["/..", "/."] {
                if at.text().ends_with(end) {
                    errors.bad(&at, &format!("cannot end with '{end}'"));
                }
            }
        }
        "ImplementationSpecific" if !absolute && !at.is_empty() => {
            errors.bad(&at, "must be an absolute path");
        }
        _ => errors.must_be(&kind, &["Exact", "ImplementationSpecific", "Prefix"]),
    }
    backend(&path.of("backend"), errors);
}

fn backend(backend: &Place<'_>, errors: &mut Errors) {
    let (service, resource) = (backend.of("service"), backend.of("resource"));
    let what = match (service.is_given(), resource.is_given()) {
        (true, true) => "cannot set both resource and service backends",
        (false, false) => "resource or service backend is required",
        (false, true) => return reference(&resource, errors),
        (true, false) => {
            errors.named(&service.of("name"), label);
            let port = service.of("port");
            let (name, number) = (port.of("name"), port.of("number"));
            match (!name.is_empty(), number.number() != 0) {
                (true, true) => "cannot set both port name & port number",
                (true, false) => return errors.each(&name, port_name(name.text())),
                (false, true) => return port_number(&number, errors),
                (false, false) => {
                    return errors.required(backend, "port name or number is required");
                }
            }
        }
    };
    errors.invalid(backend, &"".into(), what);
}

/// A reference to an object by its kind and name.
fn reference(to: &Place<'_>, errors: &mut Errors) {
    let group = to.of("apiGroup");
    if group.is_given() {
        errors.each(&group, subdomain(group.text()));
    }
    errors.named(&to.of("kind"), path_segment);
    errors.named(&to.of("name"), path_segment);
}

/// networking.k8s.io/v1 IngressClass.
pub fn ingress_class(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let controller = spec.of("controller");
    if let Some(old) = old {
        errors.unchanged(&controller, &old["spec"]["controller"]);
    }
    if controller.text().len() > 250 {
        errors.add(&controller, Problem::TooLong(250));
    }
    domain_path(&controller, errors);
    let parameters = spec.of("parameters");
    if !parameters.is_given() {
        return;
    }
    reference(&parameters, errors);
    let (scope, ns) = (parameters.of("scope"), parameters.of("namespace"));
    // Of the whole cluster where nothing is said.
    errors.one_of(&scope, &["Cluster", "Namespace"]);
    let of = scope.value.as_str().unwrap_or("Cluster");
    match of {
        "Namespace" if !ns.is_given() => {
            errors.required(ns, "`parameters.scope` is set to 'Namespace'");
        }
        "Namespace" => errors.each(&ns, label(ns.text())),
        "Cluster" if ns.is_given() => {
            errors.forbidden(ns, "`parameters.scope` is set to 'Cluster'");
        }
        _ => {}
    }
}
