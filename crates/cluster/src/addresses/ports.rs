//! Ports of nodes that Services have.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Value;

use super::earlier::{gets_node_ports, is_checked};
use super::{numbers, refused, services};
use crate::objects::Objects;
use crate::status::ApiStatus;

/// Kubernetes' range of node ports.
const ALL: Range<i64> = 30_000..32_768;

/// The ports that are given while a Service is written.
struct Ports {
    taken: BTreeSet<i64>,
    /// Those that the Service names itself: nobody is given them.
    named: Vec<i64>,
    /// Nothing is written: a port outside the range is not looked at.
    dry_run: bool,
}

impl Ports {
    fn of(objects: &Objects, spec: &Value, dry_run: bool) -> Self {
        let check = |spec: &Value| spec["healthCheckNodePort"].as_i64();
        let of = |spec: &Value| numbers(spec).into_iter().chain(check(spec));
        Self {
            taken: services(objects).flat_map(|s| of(&s["spec"])).collect(),
            named: of(spec).collect(),
            dry_run,
        }
    }

    /// Takes a port; says why not.
    fn take(&mut self, port: i64) -> Result<(), &'static str> {
        if !self.dry_run && !ALL.contains(&port) {
            return Err(
                "provided port is not in the valid range. The range of valid ports is 30000-32767",
            );
        }
        if !self.taken.insert(port) {
            return Err("provided port is already allocated");
        }
        Ok(())
    }

    /// The lowest free port.
    fn next(&mut self) -> Result<i64, ApiStatus> {
        let is_free = |port: &i64| !self.taken.contains(port) && !self.named.contains(port);
        let free = ALL.clone().find(is_free);
        let full = "failed to allocate a nodePort: range is full";
        let free = free.ok_or_else(|| ApiStatus::internal(full))?;
        self.taken.insert(free);
        Ok(free)
    }
}

/// Gives a Service the ports of nodes that it needs and has not. `old`: its spec before, where it is not new.
///
/// # Errors
/// 422 for one that another has or nobody may have; 500 where it is that of its health checks.
pub(super) fn allocate(
    objects: &Objects,
    (service, old): (&mut Value, Option<&Value>),
    dry_run: bool,
) -> Result<(), ApiStatus> {
    let mut ports = Ports::of(objects, &service["spec"], dry_run);
    if matches!(
        service["spec"]["type"].as_str(),
        Some("NodePort" | "LoadBalancer")
    ) {
        match old {
            None => create(service, &mut ports)?,
            Some(old) => update(service, &numbers(old), &mut ports)?,
        }
    }
    let spec = &mut service["spec"];
    if is_checked(spec) && !old.is_some_and(is_checked) {
        let given = spec["healthCheckNodePort"].as_i64().unwrap_or(0);
        if given == 0 {
            spec["healthCheckNodePort"] = ports.next()?.into();
        } else if let Err(why) = ports.take(given) {
            return Err(ApiStatus::internal(&format!(
                "failed to allocate requested HealthCheck NodePort {given}: {why}"
            )));
        }
    }
    Ok(())
}

fn list(service: &Value) -> Vec<(i64, i64)> {
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let number = |port: &Value, field: &str| port[field].as_i64().unwrap_or(0);
    ports
        .map(|port| (number(port, "port"), number(port, "nodePort")))
        .collect()
}

fn taken(service: &Value, i: usize, port: i64, why: &str) -> ApiStatus {
    let at = format!("spec.ports[{i}].nodePort");
    refused(service, &at, port.into(), why)
}

/// Ports of the same number, of other protocols, have the same port of the nodes (`initNodePorts`).
fn create(service: &mut Value, ports: &mut Ports) -> Result<(), ApiStatus> {
    let (all, gets) = (list(service), gets_node_ports(&service["spec"]));
    let mut given: BTreeMap<i64, i64> = BTreeMap::new();
    for (i, (port, mut own)) in all.iter().copied().enumerate() {
        if own == 0 && !gets {
            continue;
        }
        match given.get(&port).copied() {
            None => {
                let named = all
                    .iter()
                    .find(|(other, named)| *other == port && *named != 0);
                own = match named {
                    Some((_, named)) => {
                        let taken_by = |why| taken(service, i, *named, why);
                        ports.take(*named).map_err(taken_by)?;
                        *named
                    }
                    None => ports.next()?,
                };
                given.insert(port, own);
            }
            Some(same) if own == 0 => own = same,
            Some(same) if own != same => {
                ports.take(own).map_err(|why| taken(service, i, own, why))?;
            }
            Some(_) => {}
        }
        service["spec"]["ports"][i]["nodePort"] = own.into();
    }
    Ok(())
}

/// Ports that the Service had stay its own (`updateNodePorts`).
fn update(service: &mut Value, before: &[i64], ports: &mut Ports) -> Result<(), ApiStatus> {
    let (all, gets) = (list(service), gets_node_ports(&service["spec"]));
    let (mut new, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for (i, (_, mut own)) in all.into_iter().enumerate() {
        if own == 0 && !gets {
            continue;
        }
        if own == 0 {
            own = ports.next()?;
            service["spec"]["ports"][i]["nodePort"] = own.into();
        } else if !before.contains(&own) && new.insert(own) {
            ports.take(own).map_err(|why| taken(service, i, own, why))?;
        }
        let protocol = service["spec"]["ports"][i]["protocol"].as_str();
        let protocol = protocol.unwrap_or_default();
        if !seen.insert((protocol.to_owned(), own)) {
            let why = format!("duplicate nodePort: {{{protocol} {own}}}");
            return Err(ApiStatus::unknown(why));
        }
    }
    Ok(())
}
