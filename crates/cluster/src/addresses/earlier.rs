//! What an update of a Service leaves to the server: values that it was given before stay, those of its old type go.

use serde_json::Value;

use super::{numbers, strings, text};

/// Whether Services of this type have addresses in the cluster.
pub(super) fn is_in_cluster(spec: &Value) -> bool {
    spec["type"] != "ExternalName"
}

fn balances(spec: &Value) -> bool {
    spec["type"] == "LoadBalancer"
}

fn is_on_nodes(spec: &Value) -> bool {
    balances(spec) || spec["type"] == "NodePort"
}

/// Whether ports that name none get ports of nodes.
pub(super) fn gets_node_ports(spec: &Value) -> bool {
    is_on_nodes(spec) && !(balances(spec) && spec["allocateLoadBalancerNodePorts"] == false)
}

/// Whether a node says at a port of its own that it has endpoints.
pub(super) fn is_checked(spec: &Value) -> bool {
    balances(spec) && spec["externalTrafficPolicy"] == "Local"
}

/// Whether it is reached from outside the cluster.
fn is_outside(spec: &Value) -> bool {
    let given = spec["externalIPs"]
        .as_array()
        .is_some_and(|ips| !ips.is_empty());
    is_on_nodes(spec) || (spec["type"] == "ClusterIP" && given)
}

fn put(spec: &mut Value, field: &str, value: &Value) {
    if !value.is_null() {
        spec[field] = value.clone();
    }
}

/// Gives a spec what was given before, where it says nothing of it (`patchAllocatedValues`).
pub(super) fn keep(spec: &mut Value, old: &Value) {
    if is_in_cluster(old) && is_in_cluster(spec) {
        if text(spec, "clusterIP").is_empty() {
            put(spec, "clusterIP", &old["clusterIP"]);
        }
        if strings(&spec["clusterIPs"]).is_empty() {
            put(spec, "clusterIPs", &old["clusterIPs"]);
        }
    }
    if gets_node_ports(old) && gets_node_ports(spec) {
        keep_node_ports(spec, old);
    }
    if is_checked(old) && is_checked(spec) && spec["healthCheckNodePort"].as_i64().unwrap_or(0) == 0
    {
        put(spec, "healthCheckNodePort", &old["healthCheckNodePort"]);
    }
}

/// Ports keep their nodes' ports by their names.
fn keep_node_ports(spec: &mut Value, old: &Value) {
    let (before, now) = (numbers(old), numbers(spec));
    let used: Vec<_> = before.iter().filter(|n| now.contains(n)).collect();
    let named = |name: &str| {
        let ports = old["ports"].as_array().into_iter().flatten();
        let port = ports.rev().find(|port| text(port, "name") == name);
        port.and_then(|port| port["nodePort"].as_i64())
    };
    for port in spec["ports"].as_array_mut().into_iter().flatten() {
        let has = port["nodePort"].as_i64().unwrap_or(0) != 0;
        if let Some(number) = named(text(port, "name"))
            && !has
            && !used.contains(&&number)
        {
            port["nodePort"] = number.into();
        }
    }
}

/// Makes the list of addresses follow the one address, where an older client says that one only (`normalizeClusterIPs`).
pub(super) fn normalize(spec: &mut Value, old: Option<&Value>) {
    let (ip, ips) = (
        text(spec, "clusterIP").to_owned(),
        strings(&spec["clusterIPs"]),
    );
    let Some(old) = old else {
        if !ip.is_empty() && ips.is_empty() {
            spec["clusterIPs"] = vec![ip].into();
        }
        return;
    };
    let (before, all) = (text(old, "clusterIP"), strings(&old["clusterIPs"]));
    if ip == before {
        if ips.is_empty() && !all.is_empty() {
            spec["clusterIPs"] = all.into();
        }
    } else if ips == all {
        let cleared = ip.is_empty() && !before.is_empty();
        let list = if cleared { Vec::new() } else { vec![ip] };
        spec["clusterIPs"] = list.into();
    }
}

/// Takes from a Service what only its old type has, where the update left it as it was (`dropTypeDependentFields`).
pub(super) fn drop_of_old_type(service: &mut Value, old: &Value) {
    let (new, old) = (&service["spec"], &old["spec"]);
    let same = |field: &str| new[field] == old[field];
    let mut gone = Vec::new();
    if is_in_cluster(old) && !is_in_cluster(new) {
        if same("clusterIP") && same("clusterIPs") {
            gone.extend(["clusterIP", "clusterIPs"]);
        }
        gone.extend(["ipFamilies", "ipFamilyPolicy"]);
    }
    if is_checked(old) && !is_checked(new) {
        gone.push("healthCheckNodePort");
    }
    if balances(old) && !balances(new) {
        gone.extend(["allocateLoadBalancerNodePorts", "loadBalancerClass"]);
    }
    if is_outside(old) && !is_outside(new) {
        gone.push("externalTrafficPolicy");
    }
    gone.retain(|field| same(field));
    let before = numbers(old);
    let free = is_on_nodes(old)
        && !is_on_nodes(new)
        && numbers(new).iter().all(|number| before.contains(number));
    let balanced = balances(new);
    let Some(spec) = service["spec"].as_object_mut() else {
        return;
    };
    spec.retain(|field, _| !gone.contains(&field.as_str()));
    let ports = spec.get_mut("ports").and_then(Value::as_array_mut);
    for port in ports.into_iter().flatten().filter(|_| free) {
        port.as_object_mut().map(|port| port.remove("nodePort"));
    }
    if !balanced && service["status"].is_object() {
        service["status"]["loadBalancer"] = serde_json::json!({});
    }
}
