//! The names of a cluster, as answers read them: written by one [`Store`](crate::store::Store), read by everybody.
//!
//! A Service is one entry; publishing replaces it whole, so no question ever sees half of one.

mod aliases;
mod answer;
mod data;
mod expected;
mod external;
mod index;
mod lookup;
mod map;
mod nameservers;
mod path;
mod reason;
mod reverse;
mod selection;
mod view;

use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use smallvec::{SmallVec, smallvec};

pub use aliases::MAX_ALIASES;
pub use answer::{Answer, Denied, Found, Piece, Pointer};
pub use data::{Place, ServiceData};
pub use nameservers::names_of;
pub use reason::Reason;
pub use selection::{Candidate, Selection, Targets, Value};
pub use view::{Asked, ExternalView, FewLabels, PodMode, Shown, View};

use crate::endpoint::{Expected, Pod};
use crate::name::{ServiceKey, text};
use map::Map;

/// The Services that have an address, sorted; mostly one. The addresses that only one Service has share its list
/// ([`alone`]).
pub type Owners = Arc<SmallVec<[ServiceKey; 1]>>;

/// The read side of a cluster's names.
#[derive(Debug, Default)]
pub struct Zone {
    namespaces: Map<Box<[u8]>, ()>,
    services: Map<ServiceKey, Arc<ServiceData>>,
    /// ServiceImports, for multicluster zones.
    imports: Map<ServiceKey, Arc<ServiceData>>,
    /// Addresses of endpoints to the Services that have them.
    owners_v4: Map<Ipv4Addr, Owners>,
    owners_v6: Map<Ipv6Addr, Owners>,
    /// Addresses of Services themselves, cluster addresses and those from outside, to the Services that have them.
    assigned: Map<IpAddr, Owners>,
    /// Addresses to the Pods that have them, for `pods verified`.
    pods: Map<IpAddr, Pods>,
    /// Services of which an object is there that cannot be read: none of their names can be denied.
    unreadable: Map<ServiceKey, ()>,
    unreadable_imports: Map<ServiceKey, ()>,
    /// How many those are: mostly none.
    unreadable_count: AtomicUsize,
    /// The StatefulSets that a Service governs, where they are watched.
    expected: Map<ServiceKey, Arc<[Arc<Expected>]>>,
    /// How many Services those are: mostly none.
    expected_count: AtomicUsize,
    synced: AtomicBool,
    serial: AtomicU32,
    /// How often a Service was published; counted before it is.
    published: AtomicU64,
}

/// The Pods of an address, by namespace and name.
type Pods = Arc<[Arc<Pod>]>;

/// Whose Services: those of one cluster, or those that a set of clusters shares (KEP-1645).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Services.
    Cluster,
    /// ServiceImports of `multicluster.x-k8s.io`.
    ClusterSet,
}

/// Who of a Service has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// An endpoint.
    Endpoint,
    /// The Service itself: a cluster address, or one from outside.
    Service,
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

    /// The Service of this key ([`ServiceKey::wire`]).
    #[must_use]
    pub fn service(&self, scope: Scope, key: &[u8]) -> Option<Arc<ServiceData>> {
        self.of(scope).get(key)
    }

    /// Whether there is an object of the Service of this key that cannot be read.
    #[must_use]
    pub fn is_unreadable(&self, scope: Scope, key: &[u8]) -> bool {
        self.unreadable_count.load(Ordering::Relaxed) > 0 && self.unreadable(scope).contains(key)
    }

    /// Every Service, in no order.
    #[must_use]
    pub fn services(&self, scope: Scope) -> Vec<Arc<ServiceData>> {
        let all = self.of(scope).all().into_iter();
        all.map(|(_, data)| data).collect()
    }

    /// The Services that have this address, for an endpoint or for themselves.
    #[must_use]
    pub fn owners(&self, holder: Holder, ip: IpAddr) -> Option<Owners> {
        match (holder, ip) {
            (Holder::Endpoint, IpAddr::V4(ip)) => self.owners_v4.get(&ip),
            (Holder::Endpoint, IpAddr::V6(ip)) => self.owners_v6.get(&ip),
            (Holder::Service, ip) => self.assigned.get(&ip),
        }
    }

    /// The Pods at this address, by namespace and name.
    #[must_use]
    pub fn pods_at(&self, ip: IpAddr) -> Arc<[Arc<Pod>]> {
        self.pods.get(&ip).unwrap_or_default()
    }

    /// Whether the namespace exists.
    #[must_use]
    pub fn has_namespace(&self, ns: &[u8]) -> bool {
        self.namespaces.contains(ns)
    }

    fn unreadable(&self, scope: Scope) -> &Map<ServiceKey, ()> {
        match scope {
            Scope::ClusterSet => &self.unreadable_imports,
            Scope::Cluster => &self.unreadable,
        }
    }

    fn of(&self, scope: Scope) -> &Map<ServiceKey, Arc<ServiceData>> {
        match scope {
            Scope::ClusterSet => &self.imports,
            Scope::Cluster => &self.services,
        }
    }
}

/// The write side, for the one store that owns this zone.
impl Zone {
    pub(crate) fn publish_namespace(&self, ns: &str, exists: bool) {
        self.namespaces
            .set(ns.as_bytes().into(), exists.then_some(()));
    }

    pub(crate) fn publish_service(
        &self,
        scope: Scope,
        key: &ServiceKey,
        data: Option<Arc<ServiceData>>,
    ) {
        self.published.fetch_add(1, Ordering::AcqRel);
        self.of(scope).set(key.clone(), data);
    }

    pub(crate) fn publish_unreadable(&self, scope: Scope, key: &ServiceKey, is: bool) {
        self.unreadable(scope).set(key.clone(), is.then_some(()));
        let count = self.unreadable.len() + self.unreadable_imports.len();
        self.unreadable_count.store(count, Ordering::Relaxed);
    }

    /// Enters an address for a Service; `alone`: a list of that Service only, which its addresses share.
    pub(crate) fn publish_owner(&self, holder: Holder, ip: IpAddr, alone: &Owners) {
        match (holder, ip) {
            (Holder::Endpoint, IpAddr::V4(ip)) => add_owner(&self.owners_v4, ip, alone),
            (Holder::Endpoint, IpAddr::V6(ip)) => add_owner(&self.owners_v6, ip, alone),
            (Holder::Service, ip) => add_owner(&self.assigned, ip, alone),
        }
    }

    /// Takes an address out that a Service no longer has.
    pub(crate) fn withdraw_owner(&self, holder: Holder, ip: IpAddr, key: &ServiceKey) {
        match (holder, ip) {
            (Holder::Endpoint, IpAddr::V4(ip)) => remove_owner(&self.owners_v4, ip, key),
            (Holder::Endpoint, IpAddr::V6(ip)) => remove_owner(&self.owners_v6, ip, key),
            (Holder::Service, ip) => remove_owner(&self.assigned, ip, key),
        }
    }

    pub(crate) fn publish_pods(&self, ip: IpAddr, pods: Vec<Arc<Pod>>) {
        self.pods.set(ip, (!pods.is_empty()).then(|| pods.into()));
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

/// The list of one Service.
pub(crate) fn alone(key: &ServiceKey) -> Owners {
    Arc::new(smallvec![key.clone()])
}

fn add_owner<K: Eq + Hash>(owners: &Map<K, Owners>, ip: K, alone: &Owners) {
    owners.change(ip, |has| {
        let mut has = has.unwrap_or_else(|| Arc::clone(alone));
        for key in alone.iter() {
            if let Err(at) = has.binary_search(key) {
                Arc::make_mut(&mut has).insert(at, key.clone());
            }
        }
        Some(has)
    });
}

fn remove_owner<K: Eq + Hash>(owners: &Map<K, Owners>, ip: K, key: &ServiceKey) {
    owners.change(ip, |has| {
        let has = has?;
        let others = has.iter().filter(|owner| *owner != key);
        let left: SmallVec<[ServiceKey; 1]> = others.cloned().collect();
        (!left.is_empty()).then(|| left.into())
    });
}

/// Everything a reader can see, in an order of its own: two zones that answer alike are equal.
impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot() == other.snapshot()
    }
}

impl Zone {
    fn snapshot(&self) -> String {
        let namespaces = self.namespaces.all().into_iter();
        let mut lines: Vec<String> = namespaces
            .map(|(ns, ())| format!("namespace {}", text(&ns)))
            .collect();
        for (scope, name) in [(Scope::Cluster, "service"), (Scope::ClusterSet, "import")] {
            for data in self.services(scope) {
                let mut slices: Vec<_> = data.slices().iter().map(|s| format!("{s:?}")).collect();
                slices.sort_unstable();
                lines.push(format!("{name} {:?} {slices:?}", data.service()));
            }
        }
        let owner = |ip: IpAddr, owners: &Owners| format!("owner {ip} {owners:?}");
        let (v4, v6) = (self.owners_v4.all(), self.owners_v6.all());
        lines.extend(v4.iter().map(|(ip, owners)| owner((*ip).into(), owners)));
        lines.extend(v6.iter().map(|(ip, owners)| owner((*ip).into(), owners)));
        for (ip, owners) in self.assigned.all() {
            lines.push(format!("assigned {ip} {owners:?}"));
        }
        for (ip, pods) in self.pods.all() {
            lines.push(format!("pod {ip} {pods:?}"));
        }
        for (service, sets) in self.expected.all() {
            lines.push(format!("expected of {service} {sets:?}"));
        }
        for (scope, unreadable) in [
            ("service", &self.unreadable),
            ("import", &self.unreadable_imports),
        ] {
            for (key, ()) in unreadable.all() {
                lines.push(format!("unreadable {scope} {key:?}"));
            }
        }
        lines.sort_unstable();
        lines.push(format!("synced {}", self.synced()));
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests;
