//! The names of a cluster, as answers read them: written by one [`Store`](crate::store::Store), read by everybody.
//!
//! A Service is one entry; publishing replaces it whole, so no question ever sees half of one.

mod aliases;
mod candidates;
mod data;
mod external;
mod lookup;
mod nameservers;
mod path;
mod reverse;
mod transfer;
mod view;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use dashmap::{DashMap, Entry};
use foldhash::fast::RandomState;

pub use data::ServiceData;
pub use external::ExternalView;
pub use lookup::{Answer, Records};
pub use view::{PodMode, View};

use crate::name::ServiceKey;

type Map<K, V> = DashMap<K, V, RandomState>;

/// Whose address it is: mostly one Service's.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Owners {
    One(ServiceKey),
    Many(Vec<ServiceKey>),
}

/// The read side of a cluster's names.
#[derive(Debug, Default)]
pub struct Zone {
    namespaces: Map<Box<str>, ()>,
    services: Map<ServiceKey, Arc<ServiceData>>,
    /// ServiceImports, for multicluster zones.
    imports: Map<ServiceKey, Arc<ServiceData>>,
    /// Cluster addresses and endpoint addresses to the Services that have them.
    owners: Map<IpAddr, Owners>,
    /// Addresses of Pods to their namespaces and names, for `pods verified`.
    pods: Map<IpAddr, Arc<[PodName]>>,
    synced: AtomicBool,
    serial: AtomicU32,
}

/// Where a Pod is: namespace and name.
pub type PodName = (Box<str>, Box<str>);

/// Which of the two sets of Services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// ServiceImports of `multicluster.x-k8s.io`.
    Imports,
    /// Services of this cluster.
    Services,
}

impl Zone {
    /// Whether every watch has delivered its first list. Governs denials only.
    #[must_use]
    pub fn synced(&self) -> bool {
        self.synced.load(Ordering::Acquire)
    }

    /// The zone's serial: Unix time of the last change, raised by one where changes come faster; 0 before the first.
    #[must_use]
    pub fn serial(&self) -> u32 {
        self.serial.load(Ordering::Relaxed)
    }

    /// The Service of this key.
    #[must_use]
    pub fn service(&self, set: Set, key: &ServiceKey) -> Option<Arc<ServiceData>> {
        self.set(set)
            .get(key)
            .map(|entry| Arc::clone(entry.value()))
    }

    /// Every Service, in no order.
    #[must_use]
    pub fn services(&self, set: Set) -> Vec<Arc<ServiceData>> {
        self.set(set)
            .iter()
            .map(|entry| Arc::clone(entry.value()))
            .collect()
    }

    /// The Services that have this address, for a cluster address or an endpoint.
    #[must_use]
    pub fn owners(&self, ip: IpAddr) -> Vec<ServiceKey> {
        match self.owners.get(&ip).map(|entry| entry.value().clone()) {
            None => Vec::new(),
            Some(Owners::One(key)) => vec![key],
            Some(Owners::Many(keys)) => keys,
        }
    }

    /// The Pods at this address.
    #[must_use]
    pub fn pods_at(&self, ip: IpAddr) -> Arc<[PodName]> {
        self.pods.get(&ip).map_or_else(
            || Arc::new([]) as Arc<[PodName]>,
            |entry| Arc::clone(entry.value()),
        )
    }

    /// Whether the namespace exists.
    #[must_use]
    pub fn has_namespace(&self, ns: &str) -> bool {
        self.namespaces.contains_key(ns)
    }

    fn set(&self, set: Set) -> &Map<ServiceKey, Arc<ServiceData>> {
        match set {
            Set::Imports => &self.imports,
            Set::Services => &self.services,
        }
    }
}

/// The write side, for the one store that owns this zone.
impl Zone {
    pub(crate) fn publish_namespace(&self, ns: &str, exists: bool) {
        if exists {
            self.namespaces.insert(ns.into(), ());
        } else {
            self.namespaces.remove(ns);
        }
    }

    pub(crate) fn publish_service(&self, set: Set, key: &ServiceKey, data: Option<ServiceData>) {
        match data {
            Some(data) => self.set(set).insert(key.clone(), Arc::new(data)),
            None => self.set(set).remove(key).map(|(_, data)| data),
        };
    }

    pub(crate) fn publish_owner(&self, ip: IpAddr, key: &ServiceKey, owns: bool) {
        if owns {
            match self.owners.entry(ip) {
                Entry::Vacant(entry) => drop(entry.insert(Owners::One(key.clone()))),
                Entry::Occupied(mut entry) => entry.get_mut().add(key),
            }
        } else {
            let left = self.owners.get(&ip).map(|entry| entry.keys());
            let mut left = left.unwrap_or_default();
            left.retain(|k| k != key);
            match left.len() {
                0 => drop(self.owners.remove(&ip)),
                1 => drop(self.owners.insert(ip, Owners::One(left.swap_remove(0)))),
                _ => drop(self.owners.insert(ip, Owners::Many(left))),
            }
        }
    }

    pub(crate) fn publish_pods(&self, ip: IpAddr, pods: Vec<PodName>) {
        if pods.is_empty() {
            self.pods.remove(&ip);
        } else {
            self.pods.insert(ip, pods.into());
        }
    }

    pub(crate) fn publish_synced(&self) {
        self.synced.store(true, Ordering::Release);
    }

    pub(crate) fn publish_change(&self, now: u32) {
        // One writer: no compare-and-swap is needed. RFC 1982 wants a change to raise the serial.
        let next = self.serial().wrapping_add(1);
        self.serial.store(next.max(now), Ordering::Relaxed);
    }
}

impl Owners {
    fn add(&mut self, key: &ServiceKey) {
        if matches!(self, Self::One(owner) if owner == key) {
            return;
        }
        let mut keys = self.keys();
        if let Err(at) = keys.binary_search(key) {
            keys.insert(at, key.clone());
            *self = Self::Many(keys);
        }
    }

    fn keys(&self) -> Vec<ServiceKey> {
        match self {
            Self::One(key) => vec![key.clone()],
            Self::Many(keys) => keys.clone(),
        }
    }
}

/// Everything a reader can see, in an order of its own: two zones that answer alike are equal.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot() == other.snapshot()
    }
}

impl Zone {
    fn snapshot(&self) -> String {
        let mut lines: Vec<String> = self
            .namespaces
            .iter()
            .map(|e| format!("namespace {}", e.key()))
            .collect();
        for (set, name) in [(Set::Services, "service"), (Set::Imports, "import")] {
            for data in self.services(set) {
                let mut slices: Vec<_> = data.slices().iter().map(|s| format!("{s:?}")).collect();
                slices.sort_unstable();
                lines.push(format!("{name} {:?} {slices:?}", data.service()));
            }
        }
        lines.extend(
            self.owners
                .iter()
                .map(|e| format!("owner {} {:?}", e.key(), e.value())),
        );
        for entry in &self.pods {
            let mut pods = entry.value().to_vec();
            pods.sort_unstable();
            lines.push(format!("pod {} {pods:?}", entry.key()));
        }
        lines.sort_unstable();
        lines.push(format!("synced {}", self.synced()));
        lines.join("\n")
    }
}
