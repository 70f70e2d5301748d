//! The one writer of a zone: events of the watches in, whole Services out.
//!
//! A relist is one reset: what it lists is applied as it arrives, what it does not list is removed at its end. Each
//! object carries the number of the list that last confirmed it, so no second copy is kept meanwhile.

mod change;
mod delta;
mod merge;
mod sets;
mod unreadable;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;

use crate::endpoint::{Expected, Pod, Service, Slice};
use crate::name::ServiceKey;
use crate::zone::{Scope, Zone};
use change::What;
pub use change::{Change, NameChange};
pub use delta::Delta;
use merge::{Merge, Update};
use sets::Sets;

/// What is watched: each list is reset and synced on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// ServiceImports.
    Imports,
    /// EndpointSlices of ServiceImports.
    ImportSlices,
    /// Namespaces.
    Namespaces,
    /// Pods.
    Pods,
    /// Services.
    Services,
    /// StatefulSets.
    Sets,
    /// EndpointSlices of Services.
    Slices,
}

impl Resource {
    /// Whose Services they are, or belong to.
    #[must_use]
    pub fn scope(self) -> Scope {
        match self {
            Self::Imports | Self::ImportSlices => Scope::ClusterSet,
            Self::Namespaces | Self::Pods | Self::Services | Self::Sets | Self::Slices => {
                Scope::Cluster
            }
        }
    }
}

/// What one watch lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct List {
    /// Objects of this kind.
    pub resource: Resource,
    /// In this namespace, or the namespace of this name; empty: all.
    pub ns: Box<str>,
}

impl From<Resource> for List {
    fn from(resource: Resource) -> Self {
        Self {
            resource,
            ns: "".into(),
        }
    }
}

impl List {
    /// Whether it lists objects of this kind and key.
    fn has(&self, resource: Resource, key: &ObjectKey) -> bool {
        let ns = match resource {
            Resource::Namespaces => &key.name,
            Resource::Imports
            | Resource::ImportSlices
            | Resource::Pods
            | Resource::Services
            | Resource::Sets
            | Resource::Slices => &key.ns,
        };
        self.resource == resource && (self.ns.is_empty() || self.ns == *ns)
    }
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Empty for objects without one.
    pub ns: Box<str>,
    /// The object's name.
    pub name: Box<str>,
}

/// An object as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub key: ObjectKey,
    /// Its `resourceVersion`; empty where nobody said.
    pub version: Box<str>,
    /// Of a slice: when what it says began to be so, in microseconds since 1970, where its controller says that.
    pub triggered: Option<i64>,
}

impl From<ObjectKey> for Object {
    fn from(key: ObjectKey) -> Self {
        Self {
            key,
            version: "".into(),
            triggered: None,
        }
    }
}

/// What an object says.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The namespace exists.
    Namespace,
    /// A Pod with addresses.
    Pod(Pod),
    /// A Service or a ServiceImport.
    Service(Scope, Service),
    /// A StatefulSet.
    Set(Expected),
    /// A slice of this Service, in its namespace; `None`: of none.
    Slice(Scope, Option<ServiceKey>, Slice),
}

impl Fact {
    /// Which watch tells it.
    #[must_use]
    pub fn resource(&self) -> Resource {
        match self {
            Self::Namespace => Resource::Namespaces,
            Self::Pod(_) => Resource::Pods,
            Self::Service(Scope::Cluster, _) => Resource::Services,
            Self::Service(Scope::ClusterSet, _) => Resource::Imports,
            Self::Set(_) => Resource::Sets,
            Self::Slice(Scope::Cluster, ..) => Resource::Slices,
            Self::Slice(Scope::ClusterSet, ..) => Resource::ImportSlices,
        }
    }
}

/// What a watch saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The object is there, and is this.
    Apply(Object, Fact),
    /// The object is still there, and says nothing new: a Pod on its way out.
    Confirm(Resource, ObjectKey),
    /// The object is there and cannot be read: what it said last stays true. The Service is the one whose names are then
    /// not all known.
    Unreadable(Resource, ObjectKey, Option<ServiceKey>),
    /// The object is gone.
    Delete(Resource, Object),
    /// A full list begins.
    Reset(List),
    /// The full list is complete: what it did not have is gone.
    Synced(List),
}

/// The number of the list that last confirmed an object.
type Epoch = u32;

#[derive(Debug)]
struct Kept<T> {
    epoch: Epoch,
    value: T,
}

/// A list, and how often it began.
#[derive(Debug)]
struct Watched {
    list: List,
    epoch: Epoch,
    /// It must deliver, and has not yet.
    awaited: bool,
}

/// The cluster's names, as the watches tell them.
#[derive(Debug)]
pub struct Store {
    zone: Arc<Zone>,
    watched: Vec<Watched>,
    namespaces: HashMap<Box<str>, Kept<()>, RandomState>,
    pods: HashMap<ObjectKey, Kept<Arc<Pod>>, RandomState>,
    sets: Sets,
    services: Merge,
    imports: Merge,
}

impl Store {
    /// A store that is synced once every one of `watches` has delivered its first list.
    #[must_use]
    pub fn new(zone: Arc<Zone>, watches: impl IntoIterator<Item: Into<List>>) -> Self {
        let watched = watches.into_iter().map(|list| Watched {
            list: list.into(),
            epoch: 0,
            awaited: true,
        });
        let watched: Vec<Watched> = watched.collect();
        if watched.is_empty() {
            zone.publish_synced();
        }
        Self {
            zone,
            watched,
            namespaces: HashMap::default(),
            pods: HashMap::default(),
            sets: Sets::default(),
            services: Merge::new(Scope::Cluster),
            imports: Merge::new(Scope::ClusterSet),
        }
    }

    /// Takes one event in, publishes what it changed and says what that was. `now`: Unix time in seconds, for the zone's
    /// serial. A namespace alone is no change: as in CoreDNS it has no records.
    pub fn handle(&mut self, now: u32, event: Event) -> Vec<Change> {
        let mut changes = Vec::new();
        match event {
            Event::Apply(object, fact) => self.apply(object, fact, &mut changes),
            Event::Confirm(resource, key) => self.confirm(resource, &key),
            Event::Unreadable(resource, key, of) => self.unreadable(resource, key, of),
            Event::Delete(resource, object) => self.delete(resource, object, &mut changes),
            Event::Reset(list) => self.begin(list),
            Event::Synced(list) => self.finish(&list, &mut changes),
        }
        if !changes.is_empty() {
            self.zone.publish_change(now);
        }
        changes
    }

    fn apply(&mut self, object: Object, fact: Fact, changes: &mut Vec<Change>) {
        let resource = fact.resource();
        let epoch = self.epoch(resource, &object.key);
        match fact {
            Fact::Namespace => {
                self.zone.publish_namespace(&object.key.name, true);
                let kept = Kept { epoch, value: () };
                self.namespaces.insert(object.key.name, kept);
            }
            Fact::Pod(pod) => {
                let (key, pod) = (object.key.clone(), Arc::new(pod));
                let value = Arc::clone(&pod);
                let old = self.pods.insert(key, Kept { epoch, value });
                let old = old.map(|kept| kept.value);
                self.publish_pod(object, old.as_ref(), Some(&pod), changes);
            }
            Fact::Service(scope, service) => {
                let (zone, merge) = self.merge(scope);
                let mut update = Update::new(zone, epoch, object, changes);
                merge.apply_service(&mut update, service);
            }
            Fact::Set(value) => {
                let kept = Kept { epoch, value };
                self.sets.apply(&self.zone, object.key, kept);
            }
            Fact::Slice(scope, of, slice) => {
                let (zone, merge) = self.merge(scope);
                let mut update = Update::new(zone, epoch, object, changes);
                merge.apply_slice(&mut update, of, slice);
            }
        }
    }

    fn unreadable(&mut self, resource: Resource, key: ObjectKey, of: Option<ServiceKey>) {
        self.confirm(resource, &key);
        if let Some(of) = of {
            let epoch = self.epoch(resource, &key);
            let (zone, merge) = self.merge(resource.scope());
            merge.unreadable.insert(zone, (resource, key), (of, epoch));
        }
    }

    fn merge(&mut self, scope: Scope) -> (&Zone, &mut Merge) {
        let merge = match scope {
            Scope::Cluster => &mut self.services,
            Scope::ClusterSet => &mut self.imports,
        };
        (&self.zone, merge)
    }

    /// Keeps what is known of an object beyond the end of the present list.
    fn confirm(&mut self, resource: Resource, key: &ObjectKey) {
        let epoch = self.epoch(resource, key);
        let known = match resource {
            Resource::Namespaces => self
                .namespaces
                .get_mut(&key.name)
                .map(|kept| &mut kept.epoch),
            Resource::Pods => self.pods.get_mut(key).map(|kept| &mut kept.epoch),
            Resource::Sets => self.sets.epoch(key),
            Resource::Services => self.services.service_epoch(key),
            Resource::Imports => self.imports.service_epoch(key),
            Resource::Slices => self.services.slice_epoch(key),
            Resource::ImportSlices => self.imports.slice_epoch(key),
        };
        if let Some(known) = known {
            *known = epoch;
        }
    }

    fn delete(&mut self, resource: Resource, object: Object, changes: &mut Vec<Change>) {
        let key = &object.key;
        match resource {
            Resource::Namespaces => {
                self.zone.publish_namespace(&key.name, false);
                self.namespaces.remove(&key.name);
            }
            Resource::Pods => {
                let old = self.pods.remove(key);
                let old = old.map(|kept| kept.value);
                self.publish_pod(object, old.as_ref(), None, changes);
            }
            Resource::Sets => self.sets.delete(&self.zone, key),
            Resource::Services | Resource::Imports => {
                let (zone, merge) = self.merge(resource.scope());
                merge.delete_service(&mut Update::new(zone, 0, object, changes));
            }
            Resource::Slices | Resource::ImportSlices => {
                let (zone, merge) = self.merge(resource.scope());
                merge.delete_slice(&mut Update::new(zone, 0, object, changes));
            }
        }
    }

    /// The number of the list that has an object now.
    fn epoch(&self, resource: Resource, key: &ObjectKey) -> Epoch {
        let mut watched = self.watched.iter();
        let watched = watched.find(|watched| watched.list.has(resource, key));
        watched.map_or(0, |watched| watched.epoch)
    }

    fn begin(&mut self, list: List) {
        match self.watched.iter_mut().find(|w| w.list == list) {
            Some(watched) => watched.epoch += 1,
            None => self.watched.push(Watched {
                list,
                epoch: 1,
                awaited: false,
            }),
        }
    }

    /// Ends a reset: removes what the list did not confirm.
    fn finish(&mut self, list: &List, changes: &mut Vec<Change>) {
        let mut epoch = 0;
        if let Some(watched) = self.watched.iter_mut().find(|w| w.list == *list) {
            watched.awaited = false;
            epoch = watched.epoch;
        }
        let resource = list.resource;
        let mut stale: Vec<ObjectKey> = match resource {
            Resource::Namespaces => {
                let stale = self
                    .namespaces
                    .iter()
                    .filter(|(_, kept)| kept.epoch != epoch);
                stale
                    .map(|(name, _)| ObjectKey {
                        ns: "".into(),
                        name: name.clone(),
                    })
                    .collect()
            }
            Resource::Pods => {
                let stale = self.pods.iter().filter(|(_, kept)| kept.epoch != epoch);
                stale.map(|(key, _)| key.clone()).collect()
            }
            Resource::Sets => self.sets.stale(epoch),
            Resource::Services => self.services.stale_services(epoch),
            Resource::Imports => self.imports.stale_services(epoch),
            Resource::Slices => self.services.stale_slices(epoch),
            Resource::ImportSlices => self.imports.stale_slices(epoch),
        };
        stale.retain(|key| list.has(resource, key));
        let (zone, merge) = self.merge(resource.scope());
        merge.unreadable.finish(zone, list, epoch);
        for key in stale {
            self.delete(resource, key.into(), changes);
        }
        if self.watched.iter().all(|watched| !watched.awaited) {
            self.zone.publish_synced();
        }
    }

    /// Moves a Pod from its old addresses to its new ones.
    fn publish_pod(
        &self,
        object: Object,
        old: Option<&Arc<Pod>>,
        new: Option<&Arc<Pod>>,
        changes: &mut Vec<Change>,
    ) {
        if old == new {
            return;
        }
        let addresses = |pod: Option<&Arc<Pod>>| pod.map(|pod| pod.addresses.clone());
        let [before, after] = [old, new].map(|pod| addresses(pod).unwrap_or_default());
        let key = |pod: &Arc<Pod>| (pod.ns.clone(), pod.name.clone());
        let own = (object.key.ns.clone(), object.key.name.clone());
        let others = |ip: IpAddr| {
            let pods = self.zone.pods_at(ip);
            let others = pods.iter().filter(|pod| key(pod) != own);
            others.cloned().collect::<Vec<_>>()
        };
        for ip in before.iter().filter(|ip| !after.contains(ip)) {
            self.zone.publish_pods(*ip, others(*ip));
        }
        for ip in &after {
            let mut pods = others(*ip);
            pods.extend(new.cloned());
            pods.sort_unstable_by_key(key);
            self.zone.publish_pods(*ip, pods);
        }
        if before != after {
            changes.push(Change {
                resource: Resource::Pods,
                object,
                what: What::Pod { before, after },
            });
        }
    }
}

#[cfg(test)]
mod tests;
