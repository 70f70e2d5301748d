//! One Service with its slices, ready to answer from: immutable, swapped whole.

use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;

use crate::endpoint::{Endpoint, Service, Slice};

/// A Service and the union of its slices.
///
/// Two sorted indices find an endpoint by name or address without a scan, 8 bytes an endpoint each, so that a Pod of
/// a set of 10,000 costs what one of a set of 10 costs.
#[derive(Debug)]
pub struct ServiceData {
    service: Service,
    slices: Box<[Arc<Slice>]>,
    /// `starts[i]`: how many endpoints come before slice `i`.
    starts: Box<[u32]>,
    by_name: Box<[Slot]>,
    by_address: Box<[Slot]>,
}

/// An index entry: the hash of a key, and the position of its endpoint in the union.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Slot {
    hash: u32,
    position: u32,
}

/// Seed of the indices: they are compared within one process only, and a collision costs one comparison.
const HASHER: FixedState = FixedState::with_seed(0);

fn hash_of<T: std::hash::Hash + ?Sized>(key: &T) -> u32 {
    let wide = HASHER.hash_one(key);
    u32::try_from(wide >> 32).unwrap_or_default()
}

impl ServiceData {
    /// Merges the slices of `service`.
    #[must_use]
    pub fn new(service: Service, slices: Box<[Arc<Slice>]>) -> Self {
        let mut starts = Vec::with_capacity(slices.len());
        let (mut by_name, mut by_address) = (Vec::new(), Vec::new());
        let mut position = 0;
        for slice in &slices {
            starts.push(position);
            for endpoint in slice.endpoints() {
                by_name.push(Slot {
                    hash: hash_of(endpoint.name().as_bytes()),
                    position,
                });
                if let Some(ip) = endpoint.ip() {
                    by_address.push(Slot {
                        hash: hash_of(&ip),
                        position,
                    });
                }
                position += 1;
            }
        }
        by_name.sort_unstable();
        by_address.sort_unstable();
        Self {
            service,
            slices,
            starts: starts.into(),
            by_name: by_name.into(),
            by_address: by_address.into(),
        }
    }

    /// The Service.
    #[must_use]
    pub fn service(&self) -> &Service {
        &self.service
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
        self.by_name.is_empty()
    }

    /// Every endpoint with its slice.
    pub fn endpoints(&self) -> impl Iterator<Item = (&Slice, Endpoint<'_>)> {
        self.slices
            .iter()
            .flat_map(|s| s.endpoints().map(move |e| (&**s, e)))
    }

    /// The endpoints whose name is `label`, in any case.
    pub fn named(&self, label: &[u8]) -> impl Iterator<Item = (&Slice, Endpoint<'_>)> {
        let label = label.to_ascii_lowercase();
        self.found(&self.by_name, hash_of(&label[..]))
            .filter(move |(_, e)| e.name().as_bytes() == label)
    }

    /// The endpoints with this address.
    pub fn at(&self, ip: IpAddr) -> impl Iterator<Item = (&Slice, Endpoint<'_>)> {
        self.found(&self.by_address, hash_of(&ip))
            .filter(move |(_, e)| e.ip() == Some(ip))
    }

    fn found<'a>(
        &'a self,
        index: &'a [Slot],
        hash: u32,
    ) -> impl Iterator<Item = (&'a Slice, Endpoint<'a>)> {
        let from = index.partition_point(|s| s.hash < hash);
        index[from..]
            .iter()
            .take_while(move |s| s.hash == hash)
            .map(|s| {
                let slice = self.starts.partition_point(|start| *start <= s.position) - 1;
                let within = (s.position - self.starts[slice]) as usize;
                (&*self.slices[slice], self.slices[slice].endpoint(within))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Address, Conditions, Kind};
    use crate::name::ServiceKey;

    fn slice(from: u8, to: u8) -> Arc<Slice> {
        let labels: Vec<String> = (from..to).map(|i| format!("redis-{i}")).collect();
        let endpoints: Vec<_> = (from..to)
            .zip(&labels)
            .map(|(i, label)| Endpoint {
                address: Address::Ip(IpAddr::from([10, 0, 0, i])),
                label: Some(label),
                zone: "",
                conditions: Conditions {
                    ready: true,
                    terminating: false,
                },
            })
            .collect();
        Arc::new(Slice::new("", Box::new([]), &endpoints))
    }

    #[test]
    fn every_endpoint_of_every_slice_is_found_by_name_and_by_address() {
        let key = ServiceKey::new(b"default", b"redis");
        let service = Service {
            key,
            kind: Kind::Headless,
            external: Box::new([]),
            ports: Box::new([]),
        };
        let data = ServiceData::new(
            service,
            Box::new([slice(0, 100), slice(100, 100), slice(100, 200)]),
        );
        assert_eq!(data.len(), 200);
        for i in 0..200 {
            let ip = IpAddr::from([10, 0, 0, i]);
            let by_name: Vec<_> = data
                .named(format!("REDIS-{i}").as_bytes())
                .map(|(_, e)| e.ip())
                .collect();
            let by_address: Vec<_> = data.at(ip).map(|(_, e)| e.name()).collect();
            assert_eq!(by_name, [Some(ip)]);
            assert_eq!(by_address, [format!("redis-{i}")]);
        }
        assert_eq!(data.named(b"redis-200").count(), 0);
    }
}
