//! What a name below a Service stands for: addresses with ports, or names elsewhere. Nothing is put together here: whoever
//! writes the answer goes through it.

mod denied;
mod whole;

pub use whole::Targets;

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::data::{Place, ServiceData};
use super::path::{Below, bare};
use super::reason::Reason;
use super::view::{Asked, Shown, View};
use crate::endpoint::{Address, Endpoint, External, Kind, Port, Slice};
use crate::message::question::RecordType;
use crate::message::sections::Ips;
use crate::name::{Name, Qname, absolute};
use denied::none_ready;

/// Addresses of a Service with their ports, and names elsewhere.
#[derive(Clone, Debug)]
pub struct Selection {
    data: Arc<ServiceData>,
    source: Source,
    below: Below,
    /// Where in the question's name the Service's label is.
    svc: usize,
    /// There are no values.
    empty: bool,
    /// The only endpoint that can be meant, where one is named.
    one: Option<Place>,
}

/// Where the values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    /// `spec.clusterIPs`, each over the Service's ports.
    ClusterIps,
    /// The external name.
    ExternalName,
    /// Where the Service is reached from outside, each over its ports.
    Outside,
    /// Ready endpoints, each over the ports of its slice.
    Endpoints,
    /// The same in a clusterset, where they are named together with their cluster.
    ClustersetEndpoints,
    /// Ready endpoints of all failure domains, as the one that was asked for has none.
    AnyTopology,
}

/// Where an address or an alias leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// An address.
    Address(IpAddr),
    /// A name elsewhere, as written in the object.
    Alias(&'a str),
}

/// One value over one port.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// Where it leads.
    pub value: Value<'a>,
    /// `None`: SRV skips it.
    pub port: Option<u16>,
    /// The endpoint that it is.
    pub endpoint: Option<Endpoint<'a>>,
    /// In a clusterset, the endpoint's cluster; else empty.
    pub cluster: &'a str,
}

impl Selection {
    /// What the labels left of a Service select, or why the name does not exist. An empty selection exists, without data.
    pub(super) fn new(
        asked: &Asked<'_>,
        data: Arc<ServiceData>,
        svc: usize,
        below: Below,
    ) -> Result<Self, Reason> {
        let source = match asked.shown {
            Shown::Kubernetes(view) => {
                let clusterset = view.multicluster.contains(&asked.origin.name);
                inside(view, &data, below, clusterset)?
            }
            Shown::External(external) => outside(external.headless, &data, below)?,
        };
        let mut selection = Self {
            data,
            source,
            below,
            svc,
            empty: false,
            one: None,
        };
        selection.empty = match (source, below) {
            // A slice has a port always.
            (Source::Endpoints, Below::Itself) => selection.data.ready() == 0,
            (Source::Endpoints, Below::Endpoint) if !selection.data.repeats() => {
                let label = selection.endpoint_label(asked.name);
                selection.one = selection.data.named(label).next();
                selection.one().is_none()
            }
            _ => selection.first(asked.name).is_none(),
        };
        match below {
            Below::Topology { prefer: true } if selection.empty => {
                selection.source = Source::AnyTopology;
                selection.empty = selection.first(asked.name).is_none();
            }
            Below::Topology { .. } => {}
            // One that has no address yet exists.
            Below::Itself if selection.is_unallocated() => {}
            Below::Itself
            | Below::Endpoint
            | Below::BareEndpoint
            | Below::Port
            | Below::InCluster => {
                if selection.empty {
                    return Err(selection.absence(asked.name));
                }
            }
        }
        Ok(selection)
    }

    /// Whether it is of a Service whose address the API server has not said.
    fn is_unallocated(&self) -> bool {
        let addresses = match &self.data.service().kind {
            Kind::ClusterIp(ips) => ips.len(),
            Kind::Headless | Kind::ExternalName(_) => return false,
        };
        addresses == 0 && self.source == Source::ClusterIps
    }

    /// The Service.
    #[must_use]
    pub fn service(&self) -> &ServiceData {
        &self.data
    }

    /// The first value.
    #[must_use]
    pub fn first(&self, name: &Qname) -> Option<Value<'_>> {
        let mut first = None;
        let _ended = self.each(name, |candidate| {
            first = Some(candidate.value);
            ControlFlow::Break(())
        });
        first
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.empty
    }

    /// Whether some of the values may be aliases.
    #[must_use]
    pub fn may_have_aliases(&self) -> bool {
        match self.source {
            Source::ClusterIps => false,
            Source::ExternalName | Source::Outside => true,
            Source::Endpoints | Source::ClustersetEndpoints | Source::AnyTopology => {
                self.data.has_names()
            }
        }
    }

    /// The hosts that SRV records lead to whose addresses are not the zone's, each once: names of load balancers.
    #[must_use]
    pub fn hosts(&self, name: &Qname) -> Vec<Name> {
        let mut hosts: Vec<Name> = Vec::new();
        if self.source != Source::Outside {
            return hosts;
        }
        let _ended = self.each_target(name, |candidate| {
            if let Value::Alias(alias) = candidate.value
                && let Ok(host) = absolute(alias)
                && !hosts.contains(&host)
            {
                hosts.push(host);
            }
            ControlFlow::Continue(())
        });
        hosts
    }

    /// Whether a record may come up twice.
    #[must_use]
    pub fn may_repeat(&self) -> bool {
        let of_endpoints = matches!(
            self.source,
            Source::Endpoints | Source::ClustersetEndpoints | Source::AnyTopology
        );
        !of_endpoints || self.data.repeats()
    }

    /// Whether there may be several addresses.
    #[must_use]
    pub fn is_several(&self) -> bool {
        match (self.source, &self.data.service().kind) {
            (Source::ClusterIps, Kind::ClusterIp(ips)) => ips.len() > 1,
            (Source::Endpoints, _) => match self.below {
                Below::Endpoint => self.data.repeats(),
                Below::Itself
                | Below::BareEndpoint
                | Below::Port
                | Below::InCluster
                | Below::Topology { .. } => self.data.ready() > 1,
            },
            _ => true,
        }
    }

    /// Whether it gives a record of this type: A, AAAA or SRV.
    #[must_use]
    pub fn gives(&self, name: &Qname, qtype: RecordType) -> bool {
        if qtype != RecordType::SRV
            && let Some(addresses) = self.addresses(qtype == RecordType::A)
        {
            return addresses.map(Ips::len).any(|count| count > 0);
        }
        if qtype == RecordType::SRV
            && let Some(targets) = self.services(name)
        {
            return targets.iter().any(|targets| !targets.is_empty());
        }
        let mut gives = false;
        let mut look = |found: bool| {
            gives = found;
            if found {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        let _ended = if qtype == RecordType::SRV {
            self.each(name, |candidate| {
                let to =
                    self.source == Source::Outside || matches!(candidate.value, Value::Address(_));
                look(to && candidate.port.is_some())
            })
        } else {
            self.each_value(name, |value| {
                look(
                    matches!(value, Value::Address(ip) if ip.is_ipv4() == (qtype == RecordType::A)),
                )
            })
        };
        gives
    }

    /// Goes through all values over all ports, until `take` has enough.
    pub fn each<'a>(
        &'a self,
        name: &Qname,
        mut take: impl FnMut(Candidate<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let service = self.data.service();
        let plain = |value, port: Option<u16>| Candidate {
            value,
            port,
            endpoint: None,
            cluster: "",
        };
        match (self.source, &service.kind) {
            (Source::ClusterIps, Kind::ClusterIp(ips)) => {
                for port in self.matching(&service.ports, name) {
                    for ip in ips {
                        take(plain(Value::Address(*ip), port.number))?;
                    }
                }
            }
            (Source::ExternalName, Kind::ExternalName(target)) => {
                take(plain(Value::Alias(target), None))?;
            }
            (Source::ClusterIps | Source::ExternalName, _) => {}
            (Source::Outside, _) => {
                for port in self.matching(&service.ports, name) {
                    for external in &service.external {
                        let value = match external {
                            External::Address(ip) => Value::Address(*ip),
                            External::Name(name) => Value::Alias(name),
                        };
                        take(plain(value, port.number))?;
                    }
                }
            }
            (Source::Endpoints | Source::ClustersetEndpoints | Source::AnyTopology, _) => {
                return self.each_endpoint(name, |slice, endpoint| {
                    self.matching(&slice.ports, name)
                        .try_for_each(|port| take(self.over(slice, endpoint, port)))
                });
            }
        }
        ControlFlow::Continue(())
    }

    /// Goes through the values that have a port with a number, until `take` has enough. A value may come up again.
    pub fn each_target<'a>(
        &'a self,
        name: &Qname,
        mut take: impl FnMut(Candidate<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.source {
            Source::Endpoints | Source::ClustersetEndpoints | Source::AnyTopology => self
                .each_endpoint(name, |slice, endpoint| {
                    let mut ports = self.matching(&slice.ports, name);
                    match ports.find(|port| port.number.is_some()) {
                        Some(port) => take(self.over(slice, endpoint, port)),
                        None => ControlFlow::Continue(()),
                    }
                }),
            Source::ClusterIps | Source::ExternalName | Source::Outside => {
                self.each(name, |candidate| match candidate.port {
                    Some(_) => take(candidate),
                    None => ControlFlow::Continue(()),
                })
            }
        }
    }

    fn over<'a>(&self, slice: &'a Slice, endpoint: Endpoint<'a>, port: &Port) -> Candidate<'a> {
        let clusterset = self.source == Source::ClustersetEndpoints;
        Candidate {
            value: endpoint.into(),
            port: port.number,
            endpoint: Some(endpoint),
            cluster: if clusterset { &slice.cluster } else { "" },
        }
    }

    /// Goes through the values, each once for all of its ports, until `take` has enough.
    pub fn each_value<'a>(
        &'a self,
        name: &Qname,
        mut take: impl FnMut(Value<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        match self.source {
            Source::Endpoints | Source::ClustersetEndpoints | Source::AnyTopology => {
                self.each_endpoint(name, |_, endpoint| take(endpoint.into()))
            }
            Source::ClusterIps | Source::ExternalName | Source::Outside => {
                let mut port = None;
                self.each(name, |candidate| {
                    // The first port that fits stands for all.
                    if *port.get_or_insert(candidate.port) == candidate.port {
                        take(candidate.value)
                    } else {
                        ControlFlow::Continue(())
                    }
                })
            }
        }
    }

    /// Goes through the ready endpoints that have a port which fits.
    fn each_endpoint<'a>(
        &'a self,
        name: &Qname,
        mut take: impl FnMut(&'a Slice, Endpoint<'a>) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let fits =
            |slice: &Slice| slice.ready() > 0 && self.matching(&slice.ports, name).next().is_some();
        let mut among = |found: &mut dyn Iterator<Item = (&'a Slice, Endpoint<'a>)>| {
            for (slice, endpoint) in found.filter(|(_, endpoint)| endpoint.ready) {
                take(slice, endpoint)?;
            }
            ControlFlow::Continue(())
        };
        if let Some(one) = self.one {
            return among(&mut std::iter::once(self.data.endpoint(one)));
        }
        let named = || {
            let places = self.data.named(self.endpoint_label(name));
            places.map(|place| self.data.endpoint(place))
        };
        match self.below {
            Below::Endpoint | Below::BareEndpoint => among(&mut named()),
            Below::InCluster => {
                let places = self.data.named(self.endpoint_label(name));
                let here = places.filter(|place| self.is_in_cluster(name, *place));
                among(&mut here.map(|place| self.data.endpoint(place)))
            }
            Below::Topology { .. } if self.source != Source::AnyTopology => {
                let all = self.data.endpoints();
                among(&mut all.filter(|(_, endpoint)| self.is_in_topology(name, endpoint)))
            }
            Below::Itself | Below::Port | Below::Topology { .. } => {
                for slice in self.data.slices().iter().filter(|slice| fits(slice)) {
                    for endpoint in slice.ready_endpoints() {
                        take(slice, endpoint)?;
                    }
                }
                ControlFlow::Continue(())
            }
        }
    }

    /// Whether the endpoint is in the failure domain that the labels left of `pin` or `prefer` spell.
    fn is_in_topology(&self, name: &Qname, endpoint: &Endpoint<'_>) -> bool {
        let labels = 0..self.svc - 2;
        let mut rest = endpoint.topology.as_bytes();
        for i in labels {
            let label = name.lower(i);
            let dot = usize::from(i > 0);
            if i > 0 && rest.first() != Some(&b'.') || !rest[dot..].starts_with(label) {
                return false;
            }
            rest = &rest[dot + label.len()..];
        }
        rest.is_empty()
    }

    /// The ports that the name's labels let through.
    fn matching<'p>(
        &self,
        ports: &'p [Port],
        name: &'p Qname,
    ) -> impl Iterator<Item = &'p Port> + Clone {
        let (port, protocol) = match self.below {
            Below::Port => (
                bare(name.lower(self.svc - 2)),
                bare(name.lower(self.svc - 1)),
            ),
            Below::Itself
            | Below::Endpoint
            | Below::BareEndpoint
            | Below::InCluster
            | Below::Topology { .. } => (&b""[..], &b""[..]),
        };
        let fits = |label: &[u8], text: &str| {
            label.is_empty() || label.eq_ignore_ascii_case(text.as_bytes())
        };
        ports
            .iter()
            .filter(move |p| fits(port, &p.name) && fits(protocol, &p.protocol))
    }

    /// Whether the endpoint there is one of the cluster that is named, if one is.
    fn is_in_cluster(&self, name: &Qname, place: Place) -> bool {
        let (slice, _) = self.data.endpoint(place);
        let own = slice.cluster.as_bytes();
        self.below != Below::InCluster || own.eq_ignore_ascii_case(name.lower(self.svc - 1))
    }

    /// The label that names an endpoint, where one is named.
    fn endpoint_label<'n>(&self, name: &'n Qname) -> &'n [u8] {
        match self.below {
            Below::BareEndpoint => bare(name.lower(self.svc - 1)),
            Below::InCluster => name.lower(self.svc - 2),
            Below::Itself | Below::Endpoint | Below::Port | Below::Topology { .. } => {
                name.lower(self.svc - 1)
            }
        }
    }
}

/// Of a cluster of one's own, over no port.
impl<'a> From<Endpoint<'a>> for Candidate<'a> {
    fn from(endpoint: Endpoint<'a>) -> Self {
        Self {
            value: endpoint.into(),
            port: None,
            endpoint: Some(endpoint),
            cluster: "",
        }
    }
}

impl<'a> From<Endpoint<'a>> for Value<'a> {
    fn from(endpoint: Endpoint<'a>) -> Self {
        match endpoint.address {
            Address::Ip(ip) => Self::Address(ip),
            Address::Name(name) => Self::Alias(name),
        }
    }
}

/// Where the values of a name inside the cluster come from.
fn inside(
    view: &View,
    data: &ServiceData,
    below: Below,
    clusterset: bool,
) -> Result<Source, Reason> {
    let endpoints = if clusterset {
        Source::ClustersetEndpoints
    } else {
        Source::Endpoints
    };
    let of_endpoints = matches!(below, Below::Endpoint | Below::InCluster);
    // In a clusterset an endpoint is named together with its cluster.
    let is_short = below == Below::Endpoint && clusterset;
    if data.is_headless() && !is_short {
        return Ok(endpoints);
    }
    match &data.service().kind {
        Kind::Headless => Err(Reason::NoSuchEndpoint),
        Kind::ClusterIp(_) if is_short => Err(Reason::NoSuchEndpoint),
        Kind::ClusterIp(_) | Kind::ExternalName(_) if matches!(below, Below::Topology { .. }) => {
            Err(Reason::NotAClusterName)
        }
        Kind::ClusterIp(_) if view.ignore_empty_service && data.ready() == 0 => {
            Err(none_ready(data))
        }
        Kind::ClusterIp(_) if of_endpoints => Ok(endpoints),
        Kind::ClusterIp(_) => Ok(Source::ClusterIps),
        Kind::ExternalName(_) if of_endpoints => Err(Reason::NoSuchEndpoint),
        Kind::ExternalName(_) if below == Below::Port => Err(Reason::NoSuchPort),
        Kind::ExternalName(name) if name.parse::<IpAddr>().is_ok() => Err(Reason::BadExternalName),
        Kind::ExternalName(_) => Ok(Source::ExternalName),
    }
}

/// Where the values of a name in an external zone come from; `headless`: endpoints may stand in.
fn outside(headless: bool, data: &ServiceData, below: Below) -> Result<Source, Reason> {
    let service = data.service();
    if !service.external.is_empty() {
        // As in CoreDNS a Service with external addresses has them under any endpoint's name too.
        return Ok(Source::Outside);
    }
    if headless && (below == Below::BareEndpoint || service.kind == Kind::Headless) {
        Ok(Source::Endpoints)
    } else {
        Err(Reason::NoExternalAddress)
    }
}
