//! Names of ports: `_port._protocol` below a Service.

use serde_json::Value;

use super::headless::{at_in, no_family};
use super::objects::{array, listed, name, text};
use super::service::is_headless;
use super::{Cause, Found, Walk};
use crate::message::question::RecordType;

/// A port: its name and protocol in lower case, and its number.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Port {
    name: String,
    protocol: String,
    number: i64,
}

impl Port {
    fn of(port: &Value) -> Self {
        let protocol = text(&port["protocol"]).to_ascii_lowercase();
        Self {
            name: text(&port["name"]).to_ascii_lowercase(),
            protocol: if protocol.is_empty() {
                "tcp".into()
            } else {
                protocol
            },
            number: port["port"].as_i64().unwrap_or_default(),
        }
    }

    /// As it stands in a name.
    fn label(&self) -> String {
        format!("_{}._{}", self.name, self.protocol)
    }
}

impl<'o> Walk<'o> {
    /// The ports that a Service's names have: a headless one's are those of its slices that have a ready endpoint.
    fn ports(&self, service: &Value) -> Vec<Port> {
        let own = |object: &Value| array(&object["ports"]).map(Port::of).collect::<Vec<_>>();
        let mut ports = match is_headless(service) {
            true => self.ready_slices(service).flat_map(own).collect(),
            false => own(&service["spec"]),
        };
        ports.sort();
        ports.dedup();
        ports
    }

    fn ready_slices(&self, service: &Value) -> impl Iterator<Item = &'o Value> {
        let slices = self.slices(service).into_iter();
        slices.filter(|slice| at_in(slice).any(|at| at.ready))
    }

    /// What SRV of a Service's own name leads to.
    pub(super) fn service_ports(&self, service: &Value) -> Found {
        told(service, self.ports(service))
    }

    /// `_port._protocol.<svc>`.
    pub(super) fn port(&mut self, service: &Value, wanted: &str, protocol: &str) -> Found {
        let ports = self.ports(service);
        // As in CoreDNS a label without a word stands for any.
        let is_it = |word: &str, own: &str| word.is_empty() || word == own;
        let fits = |port: &Port| is_it(wanted, &port.name) && is_it(protocol, &port.protocol);
        if is_headless(service) {
            self.see_slices(service);
            if self.ready(service).is_empty() {
                return Err(self.none_ready(service));
            }
        }
        let found: Vec<Port> = ports.iter().filter(|port| fits(port)).cloned().collect();
        if found.is_empty() {
            return Err(no_port(service, &ports, wanted, protocol));
        }
        if self.qtype == RecordType::SRV {
            return told(service, found);
        }
        // As in CoreDNS a port's name has the Service's addresses too.
        match is_headless(service) {
            true => {
                let has =
                    |slice: &Value| array(&slice["ports"]).map(Port::of).any(|port| fits(&port));
                let ready = self.ready(service).into_iter().filter(|at| has(at.slice));
                let ips = ready.map(|at| at.ip).collect();
                self.of_family(ips, || no_family(service, self.qtype))
            }
            false => self.cluster_ips(service),
        }
    }
}

/// What SRV of an endpoint's name leads to: the ports of the slices that have it.
pub(super) fn ports_of<'o>(service: &Value, slices: impl Iterator<Item = &'o Value>) -> Found {
    let ports = slices.flat_map(|slice| array(&slice["ports"]).map(Port::of));
    told(service, ports.collect())
}

/// Ports in words.
fn told(service: &Value, mut ports: Vec<Port>) -> Found {
    ports.sort();
    ports.dedup();
    // A port without a number makes a name, and no record.
    let numbers = ports.iter().map(|port| port.number);
    let numbers: Vec<_> = numbers.filter(|number| *number > 0).collect();
    match numbers.is_empty() {
        true => Err(no_ports(name(service), "").no_data()),
        false => Ok(numbers
            .iter()
            .map(|port| format!("SRV port {port}"))
            .collect()),
    }
}

/// The cause for a Service that has none; `wanted`: the one that is asked for.
fn no_ports(svc: &str, wanted: &str) -> Cause {
    let mend = match wanted {
        "" => "give it one".to_owned(),
        wanted => format!("give it one with `name: {wanted}`"),
    };
    Cause::new("no-ports", format!("{svc} has no ports"), mend)
}

/// Why there is no such port.
fn no_port(service: &Value, ports: &[Port], wanted: &str, protocol: &str) -> Cause {
    let svc = name(service);
    let own: Vec<Port> = array(&service["spec"]["ports"]).map(Port::of).collect();
    let has = |called: &str, over: &str| {
        let mut own = own.iter();
        own.any(|port| port.name == called && port.protocol == over)
    };
    if own.is_empty() {
        return no_ports(svc, wanted);
    }
    if has(wanted, protocol) && service["spec"]["selector"].is_null() {
        return Cause::new(
            "no-port-in-slice",
            format!("{svc} has the port {wanted}, and its EndpointSlices have none of that name"),
            "whoever writes them (or the Endpoints that they are made of) has to give their port the name that the Service's has",
        );
    }
    if has(wanted, protocol) {
        return Cause::new(
            "no-target-port",
            format!("{svc} has the port {wanted}, and no Pod has what its targetPort names"),
            "give a container a port of that name, or make targetPort a number",
        );
    }
    if has(protocol, wanted) {
        return Cause::new(
            "protocol-before-port",
            format!("the port stands before its protocol: _{protocol}._{wanted}"),
            format!("ask for _{protocol}._{wanted}.{svc}"),
        );
    }
    if let Some(cause) = other_port(svc, &own, wanted, protocol) {
        return cause;
    }
    let known = ports.iter().filter(|port| !port.name.is_empty());
    let known: Vec<String> = known.map(Port::label).collect();
    let known = listed(known.iter().map(String::as_str));
    let says = format!("{svc} has no port {wanted} over {protocol}");
    Cause::new("no-port", says, format!("it has {known}"))
}

/// The port that is meant by what is asked for, and the word it has to be asked for by.
fn other_port(svc: &str, own: &[Port], wanted: &str, protocol: &str) -> Option<Cause> {
    if let Some(port) = own.iter().find(|port| port.name == wanted) {
        let is = port.protocol.to_uppercase();
        return Some(Cause::new(
            "other-protocol",
            format!(
                "the port {wanted} of {svc} is {is}, not {}",
                protocol.to_uppercase()
            ),
            format!("ask for {}.{svc}", port.label()),
        ));
    }
    if let Some(port) = own.iter().find(|port| port.number.to_string() == wanted) {
        let mend = match port.name.is_empty() {
            true => "give the port a name".to_owned(),
            false => format!("ask for {}.{svc}", port.label()),
        };
        return Some(Cause::new(
            "port-by-number",
            format!("a port is asked for by its name, not by its number {wanted}"),
            mend,
        ));
    }
    own.iter().all(|port| port.name.is_empty()).then(|| {
        Cause::new(
            "port-without-name",
            format!(
                "the ports of {svc} have no names, and only a port with one has a name of its own"
            ),
            format!("set `name: {wanted}`; SRV of {svc} itself has them all"),
        )
    })
}
