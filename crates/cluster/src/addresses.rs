//! Cluster addresses and node ports of Services.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::kinds::{self, Kind};
use super::objects::Objects;
pub use super::ranges::{NoRange, Ranges};
use super::status::ApiStatus;
use super::validate;

/// The address of the Service `kubernetes` where nobody asks for another range: Pods that run find the API there.
pub const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Kubernetes' range of node ports.
const NODE_PORTS: std::ops::Range<i64> = 30_000..32_768;

/// Gives a Service the list of the addresses that it names one by one, and on an update those that it does not name.
pub(super) fn normalize(info: &Kind, service: &mut Value, old: Option<&Value>) {
    if !info.is(kinds::SERVICE) {
        return;
    }
    let external = |service: &Value| service["spec"]["type"] == "ExternalName";
    let before = old.map_or(&Value::Null, |old| &old["spec"]);
    let is_external = external(service);
    let Some(spec) = service["spec"].as_object_mut() else {
        return;
    };
    if is_external && old.is_some() {
        let of_others = ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"];
        let left = |key: &str, value: &Value| of_others.contains(&key) && before[key] == *value;
        return spec.retain(|key, value| !left(key, value));
    }
    let given = |key: &str| spec.get(key).cloned().unwrap_or_default();
    let (ip, ips) = (given("clusterIP"), given("clusterIPs"));
    let none = |value: &Value| value.is_null() || value == "" || *value == json!([]);
    let kept = old.is_some_and(|old| !external(old));
    let list = match (none(&ip), none(&ips)) {
        (true, true) if kept => {
            spec.insert("clusterIP".into(), before["clusterIP"].clone());
            before["clusterIPs"].clone()
        }
        (false, true) if kept && ip == before["clusterIP"] => before["clusterIPs"].clone(),
        (false, true) => json!([ip]),
        (false, false) if kept && ip != before["clusterIP"] && ips == before["clusterIPs"] => {
            let mut ips = ips;
            ips[0] = ip;
            ips
        }
        (true | false, _) => return,
    };
    spec.insert("clusterIPs".into(), list);
}

/// Gives an object, where it is a Service, the addresses and ports it has not. `old`: what it was, where it is not new.
pub(super) fn allocate(
    (objects, ranges): (&Objects, &Ranges),
    info: &Kind,
    (service, old): (&mut Value, Option<&Value>),
    dry_run: bool,
) -> Result<(), ApiStatus> {
    let is_as_before = old.is_some_and(|old| old["spec"] == service["spec"]);
    if !info.is(kinds::SERVICE) || is_as_before || service["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    let spec = service["spec"].clone();
    let policy = spec["ipFamilyPolicy"]
        .as_str()
        .unwrap_or("SingleStack")
        .to_owned();
    let mut families: Vec<String> = strings(&spec["ipFamilies"]);
    if families.is_empty() {
        families.push("IPv4".into());
    }
    if policy != "SingleStack" && families.len() == 1 {
        families.push(if families[0] == "IPv4" {
            "IPv6".into()
        } else {
            "IPv4".into()
        });
    }
    let mut ips = strings(&spec["clusterIPs"]);
    if ips.first().is_none_or(|ip| ip != "None") {
        check_given((objects, ranges), service, &ips, dry_run)?;
        for family in &families[ips.len().min(families.len())..] {
            ips.push(free(objects, ranges, service, family)?);
        }
        for (i, ip) in ips.iter().enumerate().take(families.len()) {
            families[i] = if ip.contains(':') {
                "IPv6".into()
            } else {
                "IPv4".into()
            };
        }
    }
    let fields = &mut service["spec"];
    fields["clusterIP"] = ips[0].as_str().into();
    fields["clusterIPs"] = json!(ips);
    fields["ipFamilies"] = json!(families);
    fields["ipFamilyPolicy"] = policy.into();
    if matches!(spec["type"].as_str(), Some("NodePort" | "LoadBalancer")) {
        if !dry_run {
            check_node_ports(objects, service)?;
        }
        node_ports(objects, service);
    }
    Ok(())
}

/// Takes from a Service what only its old type has, where the update left it as it was (`dropTypeDependentFields`).
pub(super) fn drop_of_old_type(info: &Kind, service: &mut Value, old: &Value) {
    if !info.is(kinds::SERVICE) {
        return;
    }
    let balances = |s: &Value| s["spec"]["type"] == "LoadBalancer";
    let outside = |s: &Value| balances(s) || s["spec"]["type"] == "NodePort";
    let ports = |s: &Value| s["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let numbers =
        |s: &Value| -> Vec<_> { ports(s).iter().map(|p| p["nodePort"].clone()).collect() };
    let mut fields = Vec::new();
    if outside(old) && !outside(service) {
        fields.push("externalTrafficPolicy");
        if numbers(old) == numbers(service) {
            for port in service["spec"]["ports"]
                .as_array_mut()
                .into_iter()
                .flatten()
            {
                port.as_object_mut().map(|port| port.remove("nodePort"));
            }
        }
    }
    if balances(old) && !balances(service) {
        fields.extend([
            "allocateLoadBalancerNodePorts",
            "healthCheckNodePort",
            "loadBalancerClass",
        ]);
    }
    for field in fields {
        if service["spec"][field] == old["spec"][field] {
            service["spec"]
                .as_object_mut()
                .map(|spec| spec.remove(field));
        }
    }
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn services(objects: &Objects) -> impl Iterator<Item = &Value> {
    objects
        .list(kinds::SERVICE, None)
        .map(|(_, service)| &**service)
}

/// The addresses of a Service.
fn addresses(service: &Value) -> impl Iterator<Item = &str> {
    let ips = service["spec"]["clusterIPs"].as_array();
    ips.into_iter().flatten().filter_map(Value::as_str)
}

fn is_taken(objects: &Objects, ip: &str, but: &Value) -> bool {
    let mut having = services(objects).filter(|s| addresses(s).any(|own| own == ip));
    having.any(|s| s["metadata"]["uid"] != but["metadata"]["uid"])
}

/// Refuses addresses that another Service has, or that no Service may have.
fn check_given(
    (objects, ranges): (&Objects, &Ranges),
    service: &Value,
    ips: &[String],
    dry_run: bool,
) -> Result<(), ApiStatus> {
    for ip in ips {
        let Ok(address) = ip.parse::<IpAddr>() else {
            continue;
        };
        let (inside, range) = ranges.has(address);
        let why = if !inside {
            format!(
                "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}"
            )
        } else if !dry_run && is_taken(objects, ip, service) {
            "provided IP is already allocated".to_owned()
        } else {
            continue;
        };
        let what = format!("failed to allocate IP {ip}: {why}");
        return Err(refused(service, "spec.clusterIPs", json!(ips), &what));
    }
    Ok(())
}

/// Refuses ports of nodes that another Service has, or that no Service may have.
fn check_node_ports(objects: &Objects, service: &Value) -> Result<(), ApiStatus> {
    let ports = |s: &Value| s["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let key = |port: &Value| (port["nodePort"].as_i64(), port["protocol"].to_string());
    let others = services(objects).filter(|s| s["metadata"]["uid"] != service["metadata"]["uid"]);
    let taken: Vec<_> = others.flat_map(ports).map(|port| key(&port)).collect();
    for (i, port) in ports(service).iter().enumerate() {
        let Some(number) = port["nodePort"].as_i64().filter(|number| *number != 0) else {
            continue;
        };
        let what = if !NODE_PORTS.contains(&number) {
            "provided port is not in the valid range. The range of valid ports is 30000-32767"
        } else if taken.contains(&key(port)) {
            "provided port is already allocated"
        } else {
            continue;
        };
        let at = format!("spec.ports[{i}].nodePort");
        return Err(refused(service, &at, number.into(), what));
    }
    Ok(())
}

fn refused(service: &Value, at: &str, value: Value, what: &str) -> ApiStatus {
    let name = service["metadata"]["name"].as_str().unwrap_or_default();
    let error = validate::invalid(at.to_owned(), value, what);
    ApiStatus::invalid(kinds::SERVICE.info(), name, &[error])
}

/// The lowest free address of a family.
fn free(
    objects: &Objects,
    ranges: &Ranges,
    service: &Value,
    family: &str,
) -> Result<String, ApiStatus> {
    let taken: ahash::AHashSet<&str> = services(objects).flat_map(addresses).collect();
    let mut all = ranges.given(family == "IPv6").map(|ip| ip.to_string());
    let free = all.find(|ip| !taken.contains(&**ip));
    free.ok_or_else(|| {
        let what = "failed to allocate a serviceIP: range is full";
        refused(service, "spec.clusterIPs", Value::Null, what)
    })
}

fn node_ports(objects: &Objects, service: &mut Value) {
    let ports = |s: &Value| s["spec"]["ports"].as_array().cloned().unwrap_or_default();
    let mut taken: Vec<i64> = services(objects)
        .flat_map(ports)
        .chain(ports(service))
        .filter_map(|p| p["nodePort"].as_i64())
        .collect();
    for port in service["spec"]["ports"]
        .as_array_mut()
        .into_iter()
        .flatten()
    {
        if port["nodePort"].is_null()
            && let Some(free) = NODE_PORTS.clone().find(|n| !taken.contains(n))
        {
            port["nodePort"] = free.into();
            taken.push(free);
        }
    }
}
