//! One Service with its slices, ready to answer from: immutable, swapped whole.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::index::{Index, hash_of};
use crate::endpoint::{Endpoint, Kind, Port, Service, Slice};

/// A Service and the union of its slices.
///
/// Two indices find an endpoint by name or address, so that a Pod of a set of 10,000 costs what one of a set of 10 costs.
#[derive(Debug)]
#[repr(C)] // most answers read the first fields only
pub struct ServiceData {
    /// Mostly one.
    slices: SmallVec<[Arc<Slice>; 1]>,
    /// How many endpoint addresses are ready.
    ready: usize,
    is_headless: bool,
    /// An address, a name or a port number may occur twice, so that records may.
    repeats: bool,
    /// Some slice holds names instead of addresses.
    names: bool,
    service: Arc<Service>,
    /// `starts[i]`: how many endpoints come before slice `i`.
    starts: Box<[u32]>,
    by_name: Index,
    by_address: Index,
    /// How many endpoint addresses there are.
    len: usize,
}

/// Where an endpoint is: its slice, and its place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub(super) slice: usize,
    pub(super) within: usize,
}

impl ServiceData {
    /// Merges the slices of `service`.
    #[must_use]
    pub fn new(service: Arc<Service>, slices: impl IntoIterator<Item = Arc<Slice>>) -> Self {
        let slices: SmallVec<[Arc<Slice>; 1]> = slices.into_iter().collect();
        let mut starts = Vec::with_capacity(slices.len());
        let (mut by_name, mut by_address) = (Vec::new(), Vec::new());
        let mut position = 0;
        for slice in &slices {
            starts.push(position);
            for endpoint in slice.endpoints() {
                by_name.push((hash_of(&endpoint.name()[..]), position));
                by_address.extend(endpoint.ip().map(|ip| (hash_of(&ip), position)));
                position += 1;
            }
        }
        let mut ports = slices.iter().map(|slice| &slice.ports);
        let repeats = has_twin(&mut by_name)
            || has_twin(&mut by_address)
            || same_number(&service.ports)
            || ports.any(|ports| same_number(ports));
        Self {
            starts: starts.into(),
            by_name: Index::new(&by_name),
            by_address: Index::new(&by_address),
            len: by_name.len(),
            ready: slices.iter().map(|slice| slice.ready()).sum(),
            repeats,
            names: by_address.len() < by_name.len(),
            is_headless: service.kind == Kind::Headless,
            service,
            slices,
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
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many endpoint addresses are ready.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.ready
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
        let found = self.found(&self.by_name, hash_of(label));
        found.filter(move |place| {
            let (_, endpoint) = self.endpoint(*place);
            match endpoint.label {
                Some(own) => own.as_bytes() == label,
                None => endpoint.name()[..] == *label,
            }
        })
    }

    /// The endpoints with this address.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = (&Slice, Endpoint<'_>)> {
        self.found(&self.by_address, hash_of(&ip))
            .map(|place| self.endpoint(place))
            .filter(move |(_, e)| e.ip() == Some(ip))
    }

    /// The endpoint that is there, with its slice.
    #[must_use]
    pub fn endpoint(&self, Place { slice, within }: Place) -> (&Slice, Endpoint<'_>) {
        (&self.slices[slice], self.slices[slice].endpoint(within))
    }

    fn found<'a>(&'a self, index: &'a Index, hash: u32) -> impl Iterator<Item = Place> {
        index.find(hash).map(|position| {
            let slice = self
                .starts
                .partition_point(|start| *start as usize <= position)
                - 1;
            let within = position - self.starts[slice] as usize;
            Place { slice, within }
        })
    }
}

/// Whether two entries have one hash: then they are the same, but for a rare collision. Sorts them.
fn has_twin(entries: &mut [(u32, u32)]) -> bool {
    entries.sort_unstable();
    entries.windows(2).any(|pair| pair[0].0 == pair[1].0)
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
        let data = ServiceData::new(service, [slice(0, 100), slice(100, 100), slice(100, 200)]);
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
            let by_address: Vec<_> = data.at(ip).map(|(_, e)| e.name().to_vec()).collect();
            assert_eq!(by_name, [Some(ip)]);
            assert_eq!(by_address, [format!("redis-{i}").into_bytes()]);
        }
        assert_eq!(data.named(b"redis-200").count(), 0);
    }
}
