//! What the API server refuses of a Service.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::service_addresses::{addresses, changed_addresses, is_headless};
use super::values::{PROTOCOLS, address, endpoint_address, labels, port, port_number, range};
use super::words::{label, qualified, subdomain};
use crate::field::{Errors, Problem};
use crate::place::Place;

/// The most that a client's address may be remembered for, in seconds: a day.
const MOST_REMEMBERED: i64 = 86_400;

const ONLY_BALANCED: &str = "may only be used when `type` is 'LoadBalancer'";

/// v1 Service.
pub fn service(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = Place::new(&object["spec"], "spec");
    let kind = spec.of("type");
    let headless = is_headless(spec.value);
    if let Some(old) = old {
        changed_addresses(&spec, &old["spec"], errors);
        changed(&spec, &old["spec"], errors);
    }
    hints(object, errors);
    if spec.of("ports").is_empty() && !headless && kind.text() != "ExternalName" {
        errors.required(spec.of("ports"), "");
    }
    match kind.text() {
        "LoadBalancer" | "NodePort" if headless => {
            let what = format!("may not be set to 'None' for {} services", kind.text());
            errors.invalid("spec.clusterIPs[0]", &"None".into(), &what);
        }
        "ExternalName" => external_name(&spec, errors),
        _ => {}
    }
    ports(&spec.of("ports"), errors);
    labels(&spec.of("selector"), errors);
    affinity(&spec, errors);
    if kind.text() != "ExternalName" {
        addresses(&spec, errors);
    }
    for ip in spec.of("externalIPs").items() {
        if address(&ip, errors).is_some() {
            endpoint_address(&ip, errors);
        }
    }
    let kinds = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
    errors.one_of(&kind, &kinds);
    port_sets(&spec, errors);
    balanced(&spec, errors);
    annotated_sources(object, old, errors);
    policies(&spec, errors);
}

/// v1 Service: where its load balancer is.
pub fn service_status(object: &Value, _: &Value, errors: &mut Errors) {
    let status = Place::new(&object["status"], "status");
    let ingress = status.of("loadBalancer").of("ingress");
    if object["spec"]["type"] != "LoadBalancer" && !ingress.is_empty() {
        let what = "may only be used when `spec.type` is 'LoadBalancer'";
        return errors.forbidden(ingress, what);
    }
    for one in ingress.items() {
        let [ip, mode, host] = ["ip", "ipMode", "hostname"].map(|field| one.of(field));
        if !ip.is_empty() {
            address(&ip, errors);
            errors.one_of(&mode, &["Proxy", "VIP"]);
        } else if mode.is_given() {
            errors.forbidden(mode, "may not be specified when `ip` is not set");
        }
        errors.maybe(&host, subdomain);
        if host.text().parse::<std::net::IpAddr>().is_ok() {
            errors.bad(&host, "must be a DNS name, not an IP address");
        }
    }
}

/// What stays while there is a load balancer.
fn changed(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let balances = |spec: &Value| spec["type"] == "LoadBalancer";
    let class = spec.of("loadBalancerClass");
    if balances(spec.value) && balances(old) && *class.value != old["loadBalancerClass"] {
        errors.invalid(&class, class.value, "may not change once set");
    }
    let checked = |spec: &Value| balances(spec) && spec["externalTrafficPolicy"] == "Local";
    let check = spec.of("healthCheckNodePort");
    if checked(spec.value) && checked(old) && *check.value != old["healthCheckNodePort"] {
        errors.forbidden(check, "field is immutable");
    }
}

/// Two annotations of the same meaning.
fn hints(object: &Value, errors: &mut Errors) {
    const OLDER: &str = "service.kubernetes.io/topology-aware-hints";
    let all = Place::new(&object["metadata"]["annotations"], "metadata.annotations");
    let (mode, older) = (
        all.key("service.kubernetes.io/topology-mode"),
        all.key(OLDER),
    );
    if mode.is_given() && older.is_given() && mode.value != older.value {
        let what = format!("must match annotations[{OLDER}] when both are specified");
        errors.bad(&mode, &what);
    }
}

/// The annotation that stands for `loadBalancerSourceRanges`.
fn annotated_sources(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    const KEY: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let all = Place::new(&object["metadata"]["annotations"], "metadata.annotations");
    let given = all.key(KEY);
    let own = object["spec"]["loadBalancerSourceRanges"].as_array();
    if !given.is_given() || own.is_some_and(|own| !own.is_empty()) {
        return;
    }
    if object["spec"]["type"] != "LoadBalancer" {
        errors.forbidden(&given, ONLY_BALANCED);
    }
    let is_as_before = old.is_some_and(|old| old["metadata"]["annotations"][KEY] == *given.value);
    let text = given.text().trim();
    for source in text
        .split(',')
        .filter(|_| !is_as_before && !text.is_empty())
    {
        let trimmed = Value::from(source.trim());
        range(&Place::new(&trimmed, &given.path), errors);
    }
}

fn external_name(spec: &Place<'_>, errors: &mut Errors) {
    for field in ["clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let field = spec.of(field);
        if !field.is_empty() {
            errors.forbidden(field, "may not be set for ExternalName services");
        }
    }
    let name = spec.of("externalName");
    // A dot at the end says that the name is whole.
    let text = name.text().strip_suffix('.').unwrap_or_else(|| name.text());
    if text.is_empty() {
        errors.required(name, "");
    } else {
        for what in subdomain(text) {
            errors.invalid(&name, &text.into(), &what);
        }
    }
}

fn ports(ports: &Place<'_>, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for given in ports.items() {
        let name = given.of("name");
        if name.is_empty() && ports.count() > 1 {
            errors.required(&name, "");
        }
        errors.maybe(&name, label);
        if !name.is_empty() && !names.insert(name.text()) {
            errors.duplicate(&name);
        }
        port_number(&given.of("port"), errors);
        errors.one_of(&given.of("protocol"), PROTOCOLS);
        port(&given.of("targetPort"), errors);
        let protocol = given.of("appProtocol");
        if protocol.is_given() {
            errors.each(&protocol, qualified(protocol.text()));
        }
    }
}

/// No port is there twice, on the Service or on the nodes.
fn port_sets(spec: &Place<'_>, errors: &mut Errors) {
    let (mut seen, mut on_nodes) = (BTreeSet::new(), BTreeSet::new());
    for port in spec.of("ports").items() {
        let number = port.of("nodePort");
        if number.number() != 0 && spec.of("type").text() == "ClusterIP" {
            errors.forbidden(number, "may not be used when `type` is 'ClusterIP'");
        }
    }
    for port in spec.of("ports").items() {
        let (number, protocol) = (port.of("nodePort"), port.of("protocol").text());
        if number.number() != 0 && !on_nodes.insert((protocol, number.number())) {
            errors.duplicate(&number);
        }
    }
    for port in spec.of("ports").items() {
        let (number, protocol) = (port.of("port").number(), port.of("protocol").text());
        if !seen.insert((protocol, number)) {
            let shown = json!({
                "Name": "", "Protocol": protocol, "AppProtocol": null, "Port": number, "TargetPort": 0, "NodePort": 0,
            });
            errors.add(port, Problem::Duplicate(shown, ""));
        }
    }
}

fn affinity(spec: &Place<'_>, errors: &mut Errors) {
    let affinity = spec.of("sessionAffinity");
    errors.one_of(&affinity, &["ClientIP", "None"]);
    let seconds = spec
        .of("sessionAffinityConfig")
        .of("clientIP")
        .of("timeoutSeconds");
    let remembered = (1..=MOST_REMEMBERED).contains(&seconds.number());
    if affinity.text() == "ClientIP" && seconds.is_given() && !remembered {
        let what = format!("must be greater than 0 and less than {MOST_REMEMBERED}");
        errors.bad(&seconds, &what);
    }
}

/// What only Services with a load balancer have.
fn balanced(spec: &Place<'_>, errors: &mut Errors) {
    let balances = spec.of("type").text() == "LoadBalancer";
    let sources = spec.of("loadBalancerSourceRanges");
    let sources = sources.called(spec.of("LoadBalancerSourceRanges").path);
    if !sources.is_empty() && !balances {
        errors.forbidden(&sources, ONLY_BALANCED);
    }
    for source in sources.items() {
        let trimmed = Value::from(source.text().trim());
        range(&Place::new(&trimmed, &source.path), errors);
    }
    let ports = spec.of("allocateLoadBalancerNodePorts");
    if ports.is_given() && !balances {
        errors.forbidden(ports, ONLY_BALANCED);
    }
    let class = spec.of("loadBalancerClass");
    if class.is_given() && balances {
        errors.each(&class, qualified(class.text()));
    } else if class.is_given() {
        errors.forbidden(class, ONLY_BALANCED);
    }
}

/// Which way traffic goes.
fn policies(spec: &Place<'_>, errors: &mut Errors) {
    let kind = spec.of("type").text();
    let (outside, check) = (
        spec.of("externalTrafficPolicy"),
        spec.of("healthCheckNodePort"),
    );
    let reached = ["LoadBalancer", "NodePort"].contains(&kind)
        || (kind == "ClusterIP" && !spec.of("externalIPs").is_empty());
    if reached {
        errors.one_of(&outside, &["Cluster", "Local"]);
    } else if !outside.is_empty() {
        errors.bad(
            &outside,
            "may only be set for externally-accessible services",
        );
    }
    let checked = kind == "LoadBalancer" && outside.text() == "Local";
    if check.number() != 0 && !checked {
        let what =
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'";
        errors.bad(&check, what);
    } else if check.number() != 0 {
        port_number(&check, errors);
    }
    errors.one_of(&spec.of("internalTrafficPolicy"), &["Cluster", "Local"]);
    let near = ["PreferClose", "PreferSameZone", "PreferSameNode"];
    errors.one_of(&spec.of("trafficDistribution"), &near);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_balancer_has_a_place_and_that_can_be_read() {
        let said = |kind: &str, place: Value| -> Vec<String> {
            let ingress = json!({"loadBalancer": {"ingress": [place]}});
            let service = json!({"spec": {"type": kind}, "status": ingress});
            let mut errors = Errors::default();
            service_status(&service, &service, &mut errors);
            errors.0.iter().map(ToString::to_string).collect()
        };
        // Each was said by kube-apiserver 1.37.2.
        let at = "status.loadBalancer.ingress";
        for (kind, place, wanted) in [
            (
                "ClusterIP",
                json!({"ip": "1.2.3.4"}),
                format!("{at}: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"),
            ),
            (
                "LoadBalancer",
                json!({"ip": "x"}),
                format!(
                    "{at}[0].ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
                ),
            ),
            (
                "LoadBalancer",
                json!({"ip": "1.2.3.4", "ipMode": "x"}),
                format!(
                    "{at}[0].ipMode: Unsupported value: \"x\": supported values: \"Proxy\", \"VIP\""
                ),
            ),
            (
                "LoadBalancer",
                json!({"hostname": "a.b", "ipMode": "VIP"}),
                format!("{at}[0].ipMode: Forbidden: may not be specified when `ip` is not set"),
            ),
            (
                "LoadBalancer",
                json!({"hostname": "1.2.3.4"}),
                format!(
                    "{at}[0].hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address"
                ),
            ),
        ] {
            assert_eq!(said(kind, place), [wanted]);
        }
        let good = json!({"ip": "1.2.3.4", "ipMode": "VIP", "hostname": "a.b"});
        assert_eq!(said("LoadBalancer", good), Vec::<String>::new());
    }
}
