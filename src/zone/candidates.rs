//! What a name below a Service could be answered with: addresses with ports, or names elsewhere.

use std::net::IpAddr;

use super::data::ServiceData;
use super::path::Below;
use super::view::View;
use crate::endpoint::{Address, Endpoint, Kind, Port, Slice};
use crate::message::reply::Reason;
use crate::name::{Name, ServiceKey, below};

/// One (address, port) pair, or one name elsewhere.
#[derive(Clone, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) value: Value<'a>,
    /// `None`: SRV skips it.
    pub(super) port: Option<u16>,
    /// Labels left of the Service that the SRV target has: endpoint, then cluster where there is one.
    pub(super) left: Vec<String>,
}

/// Where a candidate leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Address(IpAddr),
    Alias(&'a str),
}

impl Candidate<'_> {
    /// The name an SRV record gives this candidate: labels of the objects, the zone as typed.
    pub(super) fn target(&self, key: &ServiceKey, zone: &Name) -> Option<Name> {
        // A Pod's name may have dots: as an endpoint name it is several labels.
        let mut labels: Vec<&[u8]> = self
            .left
            .iter()
            .flat_map(|l| l.split('.'))
            .map(str::as_bytes)
            .collect();
        labels.extend([key.svc(), key.ns(), b"svc"]);
        below(&labels, zone)
    }
}

/// The candidates of a name, or why the name does not exist. An empty list: it exists, without data.
pub(super) fn candidates<'a>(
    view: &View,
    data: &'a ServiceData,
    below: &Below<'_>,
    import: bool,
) -> Result<Vec<Candidate<'a>>, Reason> {
    let service = data.service();
    let key = || service.key.clone();
    if let Below::Zonal { zone, prefer } = below {
        return zonal(data, zone, *prefer);
    }
    if matches!(below, Below::Endpoint(_)) && import {
        // In a clusterset an endpoint is named together with its cluster.
        return Err(Reason::NoSuchEndpoint(key()));
    }
    match &service.kind {
        Kind::ExternalName(name) => match below {
            Below::Itself if name.parse::<IpAddr>().is_err() => Ok(vec![Candidate {
                value: Value::Alias(name),
                port: None,
                left: Vec::new(),
            }]),
            Below::Itself => Err(Reason::BadExternalName(key())),
            Below::Port { .. } => Err(Reason::NoSuchPort(key())),
            Below::Endpoint(_) | Below::InCluster { .. } | Below::Zonal { .. } => {
                Err(Reason::NoSuchEndpoint(key()))
            }
        },
        Kind::ClusterIp(_) if view.ignore_empty_service && !has_ready(data) => {
            Err(none_ready(data))
        }
        Kind::ClusterIp(addresses) => match below {
            Below::Itself | Below::Port { .. } => {
                let values: Vec<_> = addresses.iter().map(|ip| Value::Address(*ip)).collect();
                of_ports(data, &values, below)
            }
            Below::Endpoint(_) | Below::InCluster { .. } | Below::Zonal { .. } => {
                of_endpoints(data, below, import)
            }
        },
        Kind::Headless => of_endpoints(data, below, import),
    }
}

/// Each of these values over each of the Service's ports that fit.
pub(super) fn of_ports<'a>(
    data: &'a ServiceData,
    values: &[Value<'a>],
    below: &Below<'_>,
) -> Result<Vec<Candidate<'a>>, Reason> {
    let service = data.service();
    let found: Vec<_> = matching(&service.ports, below)
        .flat_map(|port| values.iter().map(move |value| (*value, port.number)))
        .map(|(value, port)| Candidate {
            value,
            port,
            left: Vec::new(),
        })
        .collect();
    if found.is_empty() {
        Err(Reason::NoSuchPort(service.key.clone()))
    } else {
        Ok(found)
    }
}

fn of_endpoints<'a>(
    data: &'a ServiceData,
    below: &Below<'_>,
    import: bool,
) -> Result<Vec<Candidate<'a>>, Reason> {
    let mut found = Vec::new();
    let mut add = |slice: &'a Slice, endpoint: Endpoint<'a>| {
        if endpoint.conditions.ready {
            push(
                &mut found,
                slice,
                &endpoint,
                matching(&slice.ports, below),
                import,
            );
        }
    };
    match below {
        Below::Endpoint(label) => data.named(label).for_each(|(s, e)| add(s, e)),
        Below::InCluster { endpoint, cluster } => data
            .named(endpoint)
            .filter(|(s, _)| s.cluster.as_bytes().eq_ignore_ascii_case(cluster))
            .for_each(|(s, e)| add(s, e)),
        Below::Itself | Below::Port { .. } | Below::Zonal { .. } => {
            data.endpoints().for_each(|(s, e)| add(s, e))
        }
    }
    if found.is_empty() {
        Err(absence(data, below))
    } else {
        Ok(found)
    }
}

/// The ready endpoints of a name, whatever kind of Service it is.
pub(super) fn endpoint_candidates<'a>(
    data: &'a ServiceData,
    below: &Below<'_>,
) -> Result<Vec<Candidate<'a>>, Reason> {
    of_endpoints(data, below, false)
}

fn zonal<'a>(
    data: &'a ServiceData,
    zone: &str,
    prefer: bool,
) -> Result<Vec<Candidate<'a>>, Reason> {
    if data.service().kind != Kind::Headless {
        return Err(Reason::NotAClusterName);
    }
    let mut found = Vec::new();
    let mut add = |all: bool| {
        for (slice, endpoint) in data
            .endpoints()
            .filter(|(_, e)| e.conditions.ready && (all || e.zone == zone))
        {
            push(&mut found, slice, &endpoint, slice.ports.iter(), false);
        }
        found.is_empty()
    };
    if add(false) && prefer {
        add(true);
    }
    Ok(found)
}

fn push<'a, 'p>(
    found: &mut Vec<Candidate<'a>>,
    slice: &Slice,
    endpoint: &Endpoint<'a>,
    ports: impl Iterator<Item = &'p Port>,
    import: bool,
) {
    let value = match endpoint.address {
        Address::Ip(ip) => Value::Address(ip),
        Address::Name(name) => Value::Alias(name),
    };
    let mut left = vec![endpoint.name()];
    if import {
        left.push(slice.cluster.to_ascii_lowercase());
    }
    found.extend(ports.map(|port| Candidate {
        value,
        port: port.number,
        left: left.clone(),
    }));
}

fn matching<'p>(ports: &'p [Port], below: &Below<'_>) -> impl Iterator<Item = &'p Port> {
    let (name, protocol) = match below {
        Below::Port { name, protocol } => (*name, *protocol),
        Below::Itself | Below::Endpoint(_) | Below::InCluster { .. } | Below::Zonal { .. } => {
            (&b""[..], &b""[..])
        }
    };
    let fits =
        |label: &[u8], text: &str| label.is_empty() || label.eq_ignore_ascii_case(text.as_bytes());
    ports
        .iter()
        .filter(move |p| fits(name, &p.name) && fits(protocol, &p.protocol))
}

fn has_ready(data: &ServiceData) -> bool {
    data.endpoints().any(|(_, e)| e.conditions.ready)
}

fn none_ready(data: &ServiceData) -> Reason {
    let service = data.service().key.clone();
    match data.len() {
        0 => Reason::NoEndpoints(service),
        endpoints => Reason::NotReady { service, endpoints },
    }
}

/// Why a name of endpoints has none to show.
fn absence(data: &ServiceData, below: &Below<'_>) -> Reason {
    let service = data.service().key.clone();
    match below {
        Below::Endpoint(label)
        | Below::InCluster {
            endpoint: label, ..
        } => match data.named(label).count() {
            0 => Reason::NoSuchEndpoint(service),
            endpoints => Reason::NotReady { service, endpoints },
        },
        Below::Port { .. } if has_ready(data) => Reason::NoSuchPort(service),
        Below::Itself | Below::Port { .. } | Below::Zonal { .. } => none_ready(data),
    }
}
