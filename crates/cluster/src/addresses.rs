//! Cluster addresses and node ports of Services: what a Service leaves to the server.

mod earlier;
mod ports;
mod stack;

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::field::Errors;
use super::kinds::{self, Kind};
use super::objects::Objects;
pub use super::ranges::{NoRange, Ranges};
use super::status::ApiStatus;
use super::validate;
use stack::Stack;

/// The address of the Service `kubernetes` where nobody asks for another range: Pods that run find the API there.
pub const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

/// Gives an object, where it is a Service, the families, addresses and ports that it has not, as kube-apiserver does before it looks
/// at the rest. `old`: what it was, where it is not new.
///
/// # Errors
/// 422, and 500 where the port of its health checks is another's.
pub(super) fn settle(
    (objects, ranges): (&Objects, &Ranges),
    info: &Kind,
    (service, old): (&mut Value, Option<&Value>),
    dry_run: bool,
) -> Result<(), ApiStatus> {
    let is_as_before = old.is_some_and(|old| old["spec"] == service["spec"]);
    if !info.is(kinds::SERVICE) || is_as_before {
        return Ok(());
    }
    let before = old.map(|old| &old["spec"]);
    if let Some(before) = before {
        earlier::keep(&mut service["spec"], before);
    }
    earlier::normalize(&mut service["spec"], before);
    let spec = &service["spec"];
    if earlier::is_in_cluster(spec) && !stack::is_settled(spec, before) {
        let mut stack = Stack::of_service(service, before)?;
        cluster_ips((objects, ranges), (service, before), &mut stack, dry_run)?;
        stack.write(&mut service["spec"]);
    }
    ports::allocate(objects, (service, before), dry_run)?;
    if let Some(old) = old {
        earlier::drop_of_old_type(service, old);
    }
    let spec = &mut service["spec"];
    // A wrong one is still to be refused.
    let is_policy = matches!(
        spec["internalTrafficPolicy"].as_str(),
        Some("Cluster" | "Local")
    );
    if is_policy && !earlier::is_in_cluster(spec) {
        spec.as_object_mut()
            .map(|spec| spec.remove("internalTrafficPolicy"));
    }
    Ok(())
}

/// Gives a Service the addresses that it has not: all where it is new or was of no cluster, else a second one.
fn cluster_ips(
    (objects, ranges): (&Objects, &Ranges),
    (service, before): (&mut Value, Option<&Value>),
    stack: &mut Stack,
    dry_run: bool,
) -> Result<(), ApiStatus> {
    let is_headless = |ips: &[String]| ips.first().is_some_and(|ip| ip == "None");
    let old = before.map(Stack::of);
    let old = old.filter(|_| before.is_some_and(earlier::is_in_cluster));
    let first = match &old {
        None => 0,
        Some(old) if is_headless(&old.ips) => return Ok(()),
        Some(old) if old.families.len() == 1 && stack.families.len() == 2 => 1,
        Some(_) => return Ok(()),
    };
    if is_headless(&stack.ips) {
        return Ok(());
    }
    let count = stack.families.len().max(stack.ips.len());
    stack.ips.resize(count, String::new());
    for i in first..count {
        if stack.ips[i].is_empty() {
            stack.ips[i] = free((objects, ranges), service, &stack.families[i])?;
        } else {
            check_given((objects, ranges), service, (&stack.ips, i), dry_run)?;
        }
    }
    service["spec"]["clusterIP"] = stack.ips[0].as_str().into();
    Ok(())
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// The ports of nodes that a Service's spec names.
fn numbers(spec: &Value) -> Vec<i64> {
    let ports = spec["ports"].as_array().into_iter().flatten();
    let numbers = ports.filter_map(|port| port["nodePort"].as_i64());
    numbers.filter(|number| *number != 0).collect()
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

fn is_taken(objects: &Objects, ip: IpAddr, but: &Value) -> bool {
    let is_same = |own: &str| own.parse::<IpAddr>().is_ok_and(|own| own == ip);
    let mut having = services(objects).filter(|s| addresses(s).any(is_same));
    having.any(|s| s["metadata"]["uid"] != but["metadata"]["uid"])
}

/// Refuses an address that another Service has, or that no Service may have.
fn check_given(
    (objects, ranges): (&Objects, &Ranges),
    service: &Value,
    (ips, i): (&[String], usize),
    dry_run: bool,
) -> Result<(), ApiStatus> {
    let ip = &ips[i];
    let Ok(address) = ip.parse::<IpAddr>() else {
        return Ok(());
    };
    let (inside, range) = ranges.has(address);
    let why = if !inside && dry_run {
        format!(
            "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {range}"
        )
    } else if !inside {
        "the provided network does not match the current range".to_owned()
    } else if !dry_run && is_taken(objects, address, service) {
        "provided IP is already allocated".to_owned()
    } else {
        return Ok(());
    };
    let what = format!("failed to allocate IP {ip}: {why}");
    Err(refused(service, "spec.clusterIPs", json!(ips), &what))
}

fn refused(service: &Value, at: &str, value: Value, what: &str) -> ApiStatus {
    let error = validate::invalid(at.to_owned(), value, what);
    refused_all(service, &Errors(vec![error]))
}

fn refused_all(service: &Value, errors: &Errors) -> ApiStatus {
    let name = text(&service["metadata"], "name");
    ApiStatus::invalid(kinds::SERVICE.info(), name, &errors.0)
}

/// The lowest free address of a family.
fn free(
    (objects, ranges): (&Objects, &Ranges),
    service: &Value,
    family: &str,
) -> Result<String, ApiStatus> {
    let taken: ahash::AHashSet<&str> = services(objects).flat_map(addresses).collect();
    let mut all = ranges.given(family == "IPv6").map(|ip| ip.to_string());
    let free = all.find(|ip| !taken.contains(&**ip));
    free.ok_or_else(|| {
        let name = text(&service["metadata"], "name");
        let why = format!("failed to allocate a serviceIP for Service {name:?}: range is full");
        ApiStatus::internal(&why)
    })
}

#[cfg(test)]
mod tests;
