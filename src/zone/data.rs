//! One Service with its slices, ready to answer from: immutable, swapped whole.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

pub use super::index::Place;
use super::index::{Entry, Index, hash_of};
use crate::endpoint::{Endpoint, Kind, Port, Service, Slice};
use crate::message::question::RecordType;
use crate::message::sections::Ips;

/// A Service and the union of its slices.
///
/// Two indices find an endpoint by name or address, so that a Pod of a set of 10,000 costs what one of a set of 10 costs.
#[derive(Debug)]
#[repr(C)] // most answers read the first fields only
pub struct ServiceData {
    /// Mostly one.
    slices: Slices,
    /// How many endpoint addresses are ready.
    ready: usize,
    is_headless: bool,
    /// An address, a name or a port number may occur twice, so that records may.
    repeats: bool,
    /// Some slice holds names instead of addresses.
    names: bool,
    service: Arc<Service>,
    by_name: Index,
    by_address: Index,
}

type Slices = SmallVec<[Arc<Slice>; 1]>;

impl ServiceData {
    /// Merges the slices of `service`.
    #[must_use]
    pub fn new(service: Arc<Service>, slices: impl IntoIterator<Item = Arc<Slice>>) -> Self {
        let slices: Slices = slices.into_iter().collect();
        let index = |of: fn(usize, &Slice) -> Vec<Entry>| {
            let each = slices.iter().enumerate();
            Index::new(each.flat_map(|(i, slice)| of(i, slice)).collect())
        };
        let indices = [index(names_in), index(addresses_in)];
        Self::of(service, slices, indices)
    }

    /// The same with another slice at a place: most of what it costs depends on the two slices, not on the others.
    #[must_use]
    pub fn replaced(&self, at: usize, slice: Arc<Slice>) -> Self {
        let mut slices = self.slices.clone();
        if !self.by_name.is_kept() || !self.by_address.is_kept() {
            slices[at] = slice;
            return Self::new(Arc::clone(&self.service), slices);
        }
        let old = std::mem::replace(&mut slices[at], slice);
        let index = |index: &Index, of: fn(usize, &Slice) -> Vec<Entry>| {
            index.replaced(of(at, &old), of(at, &slices[at]))
        };
        let indices = [
            index(&self.by_name, names_in),
            index(&self.by_address, addresses_in),
        ];
        Self::of(Arc::clone(&self.service), slices, indices)
    }

    fn of(service: Arc<Service>, slices: Slices, [by_name, by_address]: [Index; 2]) -> Self {
        let mut ports = slices.iter().map(|slice| &slice.ports);
        Self {
            ready: slices.iter().map(|slice| slice.ready()).sum(),
            is_headless: service.kind == Kind::Headless,
            repeats: by_name.has_twins()
                || by_address.has_twins()
                || same_number(&service.ports)
                || ports.any(|ports| same_number(ports)),
            names: by_address.len() < by_name.len(),
            slices,
            service,
            by_name,
            by_address,
        }
    }

    /// The Service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
    }

    /// Whether its name stands for its endpoints.
    #[must_use]
    pub fn is_headless(&self) -> bool {
        self.is_headless
    }

    /// Its slices.
    #[must_use]
    pub fn slices(&self) -> &[Arc<Slice>] {
        &self.slices
    }

    /// How many endpoint addresses there are, ready or not.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_name.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many endpoint addresses are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready
    }

    /// Whether there are endpoints, and none has an address of this type of record, A or AAAA.
    #[must_use]
    pub fn is_of_other_family(&self, qtype: RecordType) -> bool {
        let mut slices = self.slices.iter().filter(|slice| !slice.is_empty());
        let is_other = |slice: &Arc<Slice>| match slice.ips(0..slice.len()) {
            Some(Ips::V4(_)) => qtype == RecordType::AAAA,
            Some(Ips::V6(_)) => qtype == RecordType::A,
            None => false,
        };
        !self.is_empty() && slices.all(is_other)
    }

    /// Whether some endpoint has a name instead of an address.
    #[must_use]
    pub fn has_names(&self) -> bool {
        self.names
    }

    /// Whether a record may come up twice: then whoever makes records has to look.
    #[must_use]
    pub fn repeats(&self) -> bool {
        self.repeats
    }

    /// Every endpoint with its slice.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Slice, Endpoint<'_>)> {
        self.slices
            .iter()
            .flat_map(|s| s.endpoints().map(move |e| (&**s, e)))
    }

    /// Where the endpoints are whose name is `label`, which is in lower case.
    pub fn named(&self, label: &[u8]) -> impl Iterator<Item = Place> {
        let found = self.by_name.find(|| hash_of(label)).iter();
        let found = found.map(|(_, place)| *place).filter(move |place| {
            let (_, endpoint) = self.endpoint(*place);
            match endpoint.label {
                Some(own) => own.as_bytes() == label,
                None => endpoint.name()[..] == *label,
            }
        });
        let few = self.unless_kept(&self.by_name);
        found.chain(few.flat_map(move |(i, slice)| {
            let within = slice.named(label);
            within.map(move |within| Place::new(i, within))
        }))
    }

    /// Where the endpoints are that have this address.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = Place> {
        let found = self.by_address.find(|| hash_of(&ip)).iter();
        let found = found.map(|(_, place)| *place);
        let found = found.filter(move |place| self.endpoint(*place).1.ip() == Some(ip));
        let few = self.unless_kept(&self.by_address);
        found.chain(few.flat_map(move |(i, slice)| {
            let within = slice.at(ip);
            within.map(move |within| Place::new(i, within))
        }))
    }

    /// The slices that have a ready endpoint of this address, once for each.
    pub fn ready_at(&self, ip: IpAddr) -> impl Iterator<Item = &Slice> {
        let all = self.at(ip).map(|place| self.endpoint(place));
        all.filter(|(_, endpoint)| endpoint.ready)
            .map(|(slice, _)| slice)
    }

    /// The slices, numbered, where an index keeps none of their entries.
    fn unless_kept(&self, index: &Index) -> impl Iterator<Item = (usize, &Slice)> {
        let slices = if index.is_kept() {
            &[][..]
        } else {
            &self.slices[..]
        };
        slices.iter().map(|slice| &**slice).enumerate()
    }

    /// Whether the endpoint that is there is ready.
    #[must_use]
    pub fn is_ready(&self, Place { slice, within }: Place) -> bool {
        (within as usize) < self.slices[slice as usize].ready()
    }

    /// Whether the name of the endpoint that is there is one label.
    #[must_use]
    pub fn is_one_label(&self, Place { slice, within }: Place) -> bool {
        self.slices[slice as usize].is_one_label(within as usize)
    }

    /// The endpoint that is there, with its slice.
    #[must_use]
    pub fn endpoint(&self, Place { slice, within }: Place) -> (&Slice, Endpoint<'_>) {
        let slice = &self.slices[slice as usize];
        (slice, slice.endpoint(within as usize))
    }
}

/// The endpoints of slice `i` by name.
fn names_in(i: usize, slice: &Slice) -> Vec<Entry> {
    let endpoints = slice.endpoints().enumerate();
    let entry = |(within, endpoint): (_, Endpoint<'_>)| {
        let hash = match endpoint.label {
            Some(label) => hash_of(label.as_bytes()),
            None => hash_of(&endpoint.name()[..]),
        };
        (hash, Place::new(i, within))
    };
    endpoints.map(entry).collect()
}

/// The same by address.
fn addresses_in(i: usize, slice: &Slice) -> Vec<Entry> {
    let endpoints = slice.endpoints().enumerate();
    let entry = |(within, endpoint): (_, Endpoint<'_>)| {
        Some((hash_of(&endpoint.ip()?), Place::new(i, within)))
    };
    endpoints.filter_map(entry).collect()
}

fn same_number(ports: &[Port]) -> bool {
    if ports.len() < 2 {
        return false;
    }
    let mut numbers: Vec<_> = ports.iter().map(|port| port.number).collect();
    numbers.sort_unstable();
    numbers.windows(2).any(|pair| pair[0] == pair[1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Address;
    use crate::name::ServiceKey;

    fn slice(from: u8, to: u8) -> Arc<Slice> {
        let labels: Vec<String> = (from..to).map(|i| format!("redis-{i}")).collect();
        let endpoints: Vec<_> = (from..to)
            .zip(&labels)
            .map(|(i, label)| Endpoint {
                address: Address::Ip(IpAddr::from([10, 0, 0, i])),
                label: Some(label),
                topology: "",
                ready: true,
            })
            .collect();
        Arc::new(Slice::new("", Box::new([]), &endpoints))
    }

    #[test]
    fn every_endpoint_of_every_slice_is_found_by_name_and_by_address() {
        let key = ServiceKey::new(b"default", b"redis");
        let service = Arc::new(Service {
            key,
            kind: Kind::Headless,
            external: Box::new([]),
            ports: Box::new([]),
        });
        let of = |slices| ServiceData::new(Arc::clone(&service), slices);
        let large = of([slice(0, 100), slice(100, 100), slice(100, 101)]);
        let small = of([slice(0, 0), slice(100, 100), slice(100, 101)]);
        let last = slice(100, 200);
        for data in [
            of([slice(0, 100), slice(100, 100), Arc::clone(&last)]),
            large.replaced(2, Arc::clone(&last)),
            small.replaced(0, slice(0, 100)).replaced(2, last),
        ] {
            has_both_slices(&data);
        }
    }

    fn has_both_slices(data: &ServiceData) {
        assert_eq!(
            (data.len(), data.ready(), data.repeats()),
            (200, 200, false)
        );
        for i in 0..200 {
            let ip = IpAddr::from([10, 0, 0, i]);
            let by_name: Vec<_> = data
                .named(format!("redis-{i}").as_bytes())
                .map(|place| data.endpoint(place).1.ip())
                .collect();
            let by_address: Vec<_> = data
                .at(ip)
                .map(|place| data.endpoint(place).1.name().to_vec())
                .collect();
            assert_eq!(by_name, [Some(ip)]);
            assert_eq!(by_address, [format!("redis-{i}").into_bytes()]);
        }
        assert_eq!(data.named(b"redis-200").count(), 0);
    }
}
