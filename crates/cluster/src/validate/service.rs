//! What the API server refuses of a Service.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::handler;
use super::words::{
    LABEL_RULE, SUBDOMAIN_RULE, is_label, is_subdomain, items, labels, port_number,
};
use crate::field::{Errors, Problem};

/// What is wrong with a text that is no IP address.
pub(crate) const NO_ADDRESS: &str = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";

/// v1 Service.
pub fn service(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    let kind = spec["type"].as_str().unwrap_or_default();
    let is_headless = spec["clusterIP"] == "None";
    let has_ports = spec["ports"]
        .as_array()
        .is_some_and(|ports| !ports.is_empty());
    if !has_ports && !is_headless && kind != "ExternalName" {
        errors.required("spec.ports", "");
    }
    if is_headless && ["LoadBalancer", "NodePort"].contains(&kind) {
        let what = format!("may not be set to 'None' for {kind} services");
        errors.invalid("spec.clusterIPs[0]", &"None".into(), &what);
    }
    if kind == "ExternalName" {
        let name = spec["externalName"].as_str().unwrap_or_default();
        // A dot at the end says that the name is whole.
        if name.is_empty() {
            errors.required("spec.externalName", "");
        } else if !is_subdomain(name.strip_suffix('.').unwrap_or(name)) {
            errors.invalid("spec.externalName", &spec["externalName"], SUBDOMAIN_RULE);
        }
    }
    ports(spec, kind, errors);
    labels(&spec["selector"], "spec.selector", errors);
    for (field, allowed) in [
        ("sessionAffinity", &["ClientIP", "None"][..]),
        (
            "type",
            &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"],
        ),
        (
            "ipFamilyPolicy",
            &["PreferDualStack", "RequireDualStack", "SingleStack"],
        ),
        ("internalTrafficPolicy", &["Cluster", "Local"]),
        ("externalTrafficPolicy", &["Cluster", "Local"]),
    ] {
        errors.one_of(&format!("spec.{field}"), &spec[field], allowed);
    }
    for (i, address) in items(&spec["externalIPs"]) {
        let is_one = address
            .as_str()
            .is_some_and(|a| a.parse::<IpAddr>().is_ok());
        if !is_one {
            errors.invalid(format!("spec.externalIPs[{i}]"), address, NO_ADDRESS);
        }
    }
    if let Some(old) = old
        && kind != "ExternalName"
        && old["spec"]["type"] != "ExternalName"
        && !old["spec"]["clusterIP"].is_null()
    {
        let (new, old) = (&spec["clusterIP"], &old["spec"]["clusterIP"]);
        if new != old {
            let given = Value::Array(vec![new.clone()]);
            errors.invalid("spec.clusterIPs[0]", &given, "may not change once set");
        }
    }
}

fn ports(spec: &Value, kind: &str, errors: &mut Errors) {
    let count = items(&spec["ports"]).count();
    let (mut names, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (i, port) in items(&spec["ports"]) {
        let at = format!("spec.ports[{i}]");
        let name = port["name"].as_str().unwrap_or_default();
        if name.is_empty() {
            if count > 1 {
                errors.required(format!("{at}.name"), "");
            }
        } else if !is_label(name) {
            errors.invalid(format!("{at}.name"), &port["name"], LABEL_RULE);
        } else if !names.insert(name) {
            errors.add(format!("{at}.name"), Problem::Duplicate(name.into()));
        }
        port_number(&port["port"], &format!("{at}.port"), errors);
        errors.one_of(
            &format!("{at}.protocol"),
            &port["protocol"],
            &["SCTP", "TCP", "UDP"],
        );
        if kind != "ExternalName" {
            handler::port(&port["targetPort"], &format!("{at}.targetPort"), errors);
        }
        let is_there = port["nodePort"].as_i64().is_some_and(|number| number != 0);
        if is_there && kind == "ClusterIP" {
            let what = "may not be used when `type` is 'ClusterIP'";
            errors.add(format!("{at}.nodePort"), Problem::Forbidden(what.into()));
        }
        let key = (port["port"].to_string(), port["protocol"].to_string());
        if !seen.insert(key) {
            let shown = json!({
                "Name": "", "Protocol": port["protocol"], "AppProtocol": null, "Port": port["port"], "TargetPort": 0, "NodePort": 0,
            });
            errors.add(at, Problem::Duplicate(shown));
        }
    }
}
