//! What an answer needs to know of Services, EndpointSlices and Pods: small values, stripped of everything else.

mod expected;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::message::sections::Ips;
use crate::name::{Octets, ServiceKey, dashed};
pub use expected::Expected;

/// A port of a Service or of a slice. Names and protocols compare without case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The port's name; empty where it has none.
    pub name: Box<str>,
    /// `TCP`, `UDP` or `SCTP`, as the API spells it; empty where a slice's port says none.
    pub protocol: Box<str>,
    /// The number; `None` where the port has none: the name exists, SRV skips it.
    pub number: Option<u16>,
}

/// What a Service's own name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The cluster addresses (`spec.clusterIPs`).
    ClusterIp(Box<[IpAddr]>),
    /// A name elsewhere (`spec.externalName`), as written.
    ExternalName(Box<str>),
    /// The endpoints themselves (`clusterIP: None`).
    Headless,
}

/// Where a Service is reached from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum External {
    /// One of `spec.externalIPs`, or of a load balancer.
    Address(IpAddr),
    /// A load balancer's hostname.
    Name(Box<str>),
}

/// A Service, or in a multicluster zone a ServiceImport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Where its name stands.
    pub key: ServiceKey,
    /// What its name stands for.
    pub kind: Kind,
    /// Addresses and names by which it is reached from outside; only `k8s_external` shows them.
    pub external: Box<[External]>,
    /// The Service's ports. Where it has none, one without number stands in, so that the name exists; a ServiceImport
    /// without ports has none.
    pub ports: Box<[Port]>,
}

/// One address of one endpoint, as it goes into a [`Slice`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    /// The address, in the slice's family; text only in a slice of type `FQDN`.
    pub address: Address<'a>,
    /// The endpoint's own label, where it has one; else the dashed address. A slice keeps it in lower case.
    pub label: Option<&'a str>,
    /// The topology zone, lower case; empty unless it is wanted and known.
    pub topology: &'a str,
    /// Whether answers show it; where the API says nothing, it is ready.
    pub ready: bool,
}

/// An endpoint's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address<'a> {
    /// Of a slice of type `IPv4` or `IPv6`.
    Ip(IpAddr),
    /// Of a slice of type `FQDN`.
    Name(&'a str),
}

/// The addresses of a slice, all of one type (`addressType`).
#[derive(Clone, Debug, PartialEq, Eq)]
enum Addresses {
    V4(Box<[Ipv4Addr]>),
    V6(Box<[Ipv6Addr]>),
    Names(Box<[Box<str>]>),
}

/// One EndpointSlice: its endpoints in arrays, about eight bytes and the label for each IPv4 one. Those that are ready come
/// first, so that their addresses are one array.
///
/// Most answers read the first fields only, which stand together: the others need not be fetched from memory.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Slice {
    addresses: Addresses,
    ready: usize,
    /// `label_ends[i]` is where the label of endpoint `i` ends in `labels`.
    label_ends: Box<[u32]>,
    /// All labels in one text.
    labels: Box<str>,
    /// Some label has a dot, as a Pod's name may.
    has_dots: bool,
    /// Topologies; empty where they are not wanted.
    topologies: Box<[Box<str>]>,
    /// The slice's ports; never empty: where it has none, one without number stands in.
    pub ports: Box<[Port]>,
    /// The cluster it comes from, lower case, in a multicluster zone (`multicluster.kubernetes.io/source-cluster`).
    pub cluster: Box<str>,
}

impl Slice {
    /// Packs `endpoints`, which are of one type; those of another type than the first are left out.
    #[must_use]
    pub fn new(cluster: &str, ports: Box<[Port]>, endpoints: &[Endpoint<'_>]) -> Self {
        let (mut v4, mut v6, mut names) = (Vec::new(), Vec::new(), Vec::new());
        let kind = endpoints
            .first()
            .map(|e| std::mem::discriminant(&e.address));
        let mut labels = String::new();
        let (mut label_ends, mut ready) = (Vec::new(), 0);
        let mut topologies: Vec<Box<str>> = Vec::new();
        let others = endpoints.iter().filter(|e| !e.ready);
        for endpoint in endpoints
            .iter()
            .filter(|e| e.ready)
            .chain(others)
            .filter(|e| Some(std::mem::discriminant(&e.address)) == kind)
        {
            match endpoint.address {
                Address::Ip(IpAddr::V4(a)) if v6.is_empty() => v4.push(a),
                Address::Ip(IpAddr::V6(a)) if v4.is_empty() => v6.push(a),
                Address::Ip(_) => continue,
                Address::Name(n) => names.push(Box::from(n)),
            }
            labels.extend(
                endpoint
                    .label
                    .unwrap_or_default()
                    .chars()
                    .map(|c| c.to_ascii_lowercase()),
            );
            label_ends.push(u32::try_from(labels.len()).unwrap_or(u32::MAX));
            ready += usize::from(endpoint.ready);
            topologies.push(Box::from(endpoint.topology));
        }
        let known: usize = topologies.iter().map(|topology| str::len(topology)).sum();
        if known == 0 {
            topologies.clear();
        }
        let addresses = match (v6.is_empty(), names.is_empty()) {
            (true, true) => Addresses::V4(v4.into()),
            (false, _) => Addresses::V6(v6.into()),
            (true, false) => Addresses::Names(names.into()),
        };
        Self {
            cluster: cluster.to_ascii_lowercase().into(),
            ports,
            addresses,
            has_dots: labels.contains('.'),
            labels: labels.into(),
            label_ends: label_ends.into(),
            ready,
            topologies: topologies.into(),
        }
    }

    /// How many endpoint addresses it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.label_ends.len()
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.label_ends.is_empty()
    }

    /// The addresses of the endpoints at these places; `None`: they are names.
    #[must_use]
    pub fn ips(&self, places: Range<usize>) -> Option<Ips<'_>> {
        match &self.addresses {
            Addresses::V4(ips) => Some(Ips::V4(&ips[places])),
            Addresses::V6(ips) => Some(Ips::V6(&ips[places])),
            Addresses::Names(_) => None,
        }
    }

    /// How many of them are ready: they are the first ones.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Endpoint `i`, below [`Slice::len`].
    #[must_use]
    pub fn endpoint(&self, i: usize) -> Endpoint<'_> {
        let start = if i == 0 {
            0
        } else {
            self.label_ends[i - 1] as usize
        };
        let label = &self.labels[start..self.label_ends[i] as usize];
        Endpoint {
            address: match &self.addresses {
                Addresses::V4(a) => Address::Ip(a[i].into()),
                Addresses::V6(a) => Address::Ip(a[i].into()),
                Addresses::Names(n) => Address::Name(&n[i]),
            },
            label: (!label.is_empty()).then_some(label),
            topology: self.topologies.get(i).map_or("", |topology| topology),
            ready: i < self.ready,
        }
    }

    /// Whether the name of endpoint `i` is one label.
    #[must_use]
    pub fn is_one_label(&self, i: usize) -> bool {
        let label = || self.endpoint(i).label;
        !self.has_dots || label().is_none_or(|label| !label.contains('.'))
    }

    /// The places of the endpoints whose label is this one, in lower case; without a label an endpoint is named after its
    /// address.
    pub fn named(&self, label: &[u8]) -> impl Iterator<Item = usize> {
        let ends = self.label_ends.iter().map(|end| *end as usize);
        let starts = std::iter::once(0).chain(ends.clone());
        let places = starts.zip(ends).enumerate();
        places.filter_map(move |(i, (start, end))| {
            let own = &self.labels.as_bytes()[start..end];
            let is_it = match own.last() {
                // Names of Pods differ in their last octet mostly.
                Some(last) => Some(last) == label.last() && own == label,
                None => self.endpoint(i).name()[..] == *label,
            };
            is_it.then_some(i)
        })
    }

    /// The places of this address.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = usize> {
        let is_it = move |i: &usize| match (&self.addresses, ip) {
            (Addresses::V4(ips), IpAddr::V4(ip)) => ips[*i] == ip,
            (Addresses::V6(ips), IpAddr::V6(ip)) => ips[*i] == ip,
            (Addresses::V4(_) | Addresses::V6(_) | Addresses::Names(_), _) => false,
        };
        (0..self.len()).filter(is_it)
    }

    /// All endpoints: the ready ones, then the others, each in the order of the object.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint<'_>> + Clone {
        (0..self.len()).map(|i| self.endpoint(i))
    }

    /// Those that are ready.
    pub fn ready_endpoints(&self) -> impl Iterator<Item = Endpoint<'_>> + Clone {
        (0..self.ready).map(|i| self.endpoint(i))
    }
}

impl<'s> Endpoint<'s> {
    /// The same as [`Endpoint::name`], without a copy where the slice has it; else it is put into `made`.
    #[must_use]
    pub fn name_in<'n>(&self, made: &'n mut Octets) -> &'n [u8]
    where
        's: 'n,
    {
        if let Some(label) = self.label {
            return label.as_bytes();
        }
        *made = self.name();
        made
    }

    /// The name below the Service, in lower case: the hostname, else the dashed address. An endpoint that is named
    /// after a Pod whose name has dots has a name of several labels.
    #[must_use]
    pub fn name(&self) -> Octets {
        match (self.label, self.address) {
            (Some(label), _) => Octets::from_slice(label.as_bytes()),
            (None, Address::Ip(ip)) => dashed(ip),
            (None, Address::Name(name)) => Octets::from_slice(name.replace('.', "-").as_bytes()),
        }
    }

    /// The address, unless the slice is of type `FQDN`.
    #[must_use]
    pub fn ip(&self) -> Option<IpAddr> {
        match self.address {
            Address::Ip(ip) => Some(ip),
            Address::Name(_) => None,
        }
    }
}

/// A Pod, as `pods verified` wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// The Pod's namespace.
    pub ns: Box<str>,
    /// The Pod's name.
    pub name: Box<str>,
    /// Every address of the Pod (`status.podIPs`).
    pub addresses: Box<[IpAddr]>,
    /// Its labels, by key, where somebody reads them.
    pub labels: Box<[(Box<str>, Box<str>)]>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint<'a>(ip: &str, label: Option<&'a str>) -> Endpoint<'a> {
        Endpoint {
            address: Address::Ip(ip.parse().unwrap()),
            label,
            topology: "",
            ready: true,
        }
    }

    #[test]
    fn a_slice_gives_back_what_went_in() {
        let endpoints = [
            endpoint("10.0.0.1", Some("redis-0")),
            endpoint("10.0.0.2", None),
        ];
        let slice = Slice::new("", Box::new([]), &endpoints);
        assert_eq!(slice.endpoints().collect::<Vec<_>>(), endpoints);
        assert_eq!(
            slice
                .endpoints()
                .map(|e| e.name().to_vec())
                .collect::<Vec<_>>(),
            [&b"redis-0"[..], b"10-0-0-2"]
        );
    }

    #[test]
    fn endpoints_that_are_ready_come_first() {
        let not_ready = |ip| Endpoint {
            ready: false,
            ..endpoint(ip, None)
        };
        let [a, b, c, d] = [
            not_ready("10.0.0.1"),
            endpoint("10.0.0.2", Some("redis-0")),
            not_ready("10.0.0.3"),
            endpoint("10.0.0.4", None),
        ];
        let slice = Slice::new("", Box::new([]), &[a, b, c, d]);
        assert_eq!(slice.endpoints().collect::<Vec<_>>(), [b, d, a, c]);
        assert_eq!(slice.ready_endpoints().collect::<Vec<_>>(), [b, d]);
        let ready = [[10, 0, 0, 2], [10, 0, 0, 4]].map(Ipv4Addr::from);
        assert_eq!(slice.ips(0..slice.ready()), Some(Ips::V4(&ready)));
    }

    #[test]
    fn an_address_of_the_other_family_is_left_out() {
        let slice = Slice::new(
            "",
            Box::new([]),
            &[endpoint("10.0.0.1", None), endpoint("::1", None)],
        );
        assert_eq!(slice.len(), 1);
    }
}
