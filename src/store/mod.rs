//! The one writer of a zone: events of the watches in, whole Services out.
//!
//! A relist is one reset: what it lists is applied as it arrives, what it does not list is removed at its end. Each
//! object carries the number of the list that last confirmed it, so no second copy is kept meanwhile.

mod merge;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::RandomState;

use crate::endpoint::{Pod, Service, Slice};
use crate::name::ServiceKey;
use crate::zone::{Set, Zone};
use merge::Merge;

/// What is watched: each list is reset and synced on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Watched {
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
    /// EndpointSlices of Services.
    Slices,
}

/// Namespace and name of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Empty for objects without one.
    pub ns: Box<str>,
    /// The object's name.
    pub name: Box<str>,
}

/// What an object says.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The namespace exists.
    Namespace,
    /// A Pod with addresses.
    Pod(Pod),
    /// A Service or, from the watch of imports, a ServiceImport.
    Service(Service),
    /// A slice of this Service, in its namespace; `None`: of none.
    Slice(Option<ServiceKey>, Slice),
}

/// What a watch saw.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The object is there, and is this.
    Apply(Watched, ObjectKey, Fact),
    /// The object is still there, and says nothing new: a Pod on its way out, or what cannot be read.
    Confirm(Watched, ObjectKey),
    /// The object is gone.
    Delete(Watched, ObjectKey),
    /// A full list begins.
    Reset(Watched),
    /// The full list is complete: what it did not have is gone.
    Synced(Watched),
}

/// The number of the list that last confirmed an object.
type Epoch = u32;

#[derive(Debug)]
struct Kept<T> {
    epoch: Epoch,
    value: T,
}

/// The cluster's names, as the watches tell them.
#[derive(Debug)]
pub struct Store {
    zone: Arc<Zone>,
    /// Each watch that must deliver, with whether it has.
    watches: Vec<(Watched, bool)>,
    epochs: HashMap<Watched, Epoch, RandomState>,
    namespaces: HashMap<Box<str>, Kept<()>, RandomState>,
    pods: HashMap<ObjectKey, Kept<Pod>, RandomState>,
    services: Merge,
    imports: Merge,
}

impl Store {
    /// A store that is synced once every one of `watches` has delivered its first list.
    #[must_use]
    pub fn new(zone: Arc<Zone>, watches: &[Watched]) -> Self {
        if watches.is_empty() {
            zone.publish_synced();
        }
        Self {
            zone,
            watches: watches.iter().map(|w| (*w, false)).collect(),
            epochs: HashMap::default(),
            namespaces: HashMap::default(),
            pods: HashMap::default(),
            services: Merge::new(Set::Services),
            imports: Merge::new(Set::Imports),
        }
    }

    /// Takes one event in and publishes what it changed. `now`: Unix time in seconds, for the zone's serial.
    pub fn handle(&mut self, now: u32, event: Event) {
        let changed = match event {
            Event::Apply(watched, key, fact) => self.apply(watched, key, fact),
            Event::Confirm(watched, key) => self.confirm(watched, &key),
            Event::Delete(watched, key) => self.delete(watched, &key),
            Event::Reset(watched) => {
                *self.epochs.entry(watched).or_default() += 1;
                false
            }
            Event::Synced(watched) => self.finish(watched),
        };
        if changed {
            self.zone.publish_change(now);
        }
    }

    fn apply(&mut self, watched: Watched, key: ObjectKey, fact: Fact) -> bool {
        let epoch = self.epochs.get(&watched).copied().unwrap_or_default();
        match (watched, fact) {
            (Watched::Namespaces, _) => {
                self.zone.publish_namespace(&key.name, true);
                self.namespaces.insert(key.name, Kept { epoch, value: () });
                false // as in CoreDNS, a namespace alone changes no record
            }
            (Watched::Pods, Fact::Pod(pod)) => {
                let new = pod.addresses.clone();
                let old = self.pods.insert(key.clone(), Kept { epoch, value: pod });
                let old = old.map(|kept| kept.value.addresses).unwrap_or_default();
                self.publish_pod(&key, &old, &new);
                old != new
            }
            (Watched::Services, Fact::Service(service)) => {
                self.services.apply_service(&self.zone, epoch, service)
            }
            (Watched::Imports, Fact::Service(service)) => {
                self.imports.apply_service(&self.zone, epoch, service)
            }
            (Watched::Slices, Fact::Slice(of, slice)) => {
                self.services
                    .apply_slice(&self.zone, epoch, key, (of, slice))
            }
            (Watched::ImportSlices, Fact::Slice(of, slice)) => {
                self.imports
                    .apply_slice(&self.zone, epoch, key, (of, slice))
            }
            (
                Watched::Imports
                | Watched::ImportSlices
                | Watched::Pods
                | Watched::Services
                | Watched::Slices,
                Fact::Namespace | Fact::Pod(_) | Fact::Service(_) | Fact::Slice(..),
            ) => {
                tracing::error!(?watched, name = %key.name, "a watch delivered a fact of another kind; it is left out");
                false
            }
        }
    }

    /// Keeps what is known of an object beyond the end of the present list.
    fn confirm(&mut self, watched: Watched, key: &ObjectKey) -> bool {
        let epoch = self.epochs.get(&watched).copied().unwrap_or_default();
        let known = match watched {
            Watched::Namespaces => self
                .namespaces
                .get_mut(&key.name)
                .map(|kept| &mut kept.epoch),
            Watched::Pods => self.pods.get_mut(key).map(|kept| &mut kept.epoch),
            Watched::Services => self.services.service_epoch(key),
            Watched::Imports => self.imports.service_epoch(key),
            Watched::Slices => self.services.slice_epoch(key),
            Watched::ImportSlices => self.imports.slice_epoch(key),
        };
        if let Some(known) = known {
            *known = epoch;
        }
        false
    }

    fn delete(&mut self, watched: Watched, key: &ObjectKey) -> bool {
        match watched {
            Watched::Namespaces => {
                self.zone.publish_namespace(&key.name, false);
                self.namespaces.remove(&key.name);
                false
            }
            Watched::Pods => {
                let old = self
                    .pods
                    .remove(key)
                    .map(|kept| kept.value.addresses)
                    .unwrap_or_default();
                self.publish_pod(key, &old, &[]);
                !old.is_empty()
            }
            Watched::Services => self.services.delete_service(&self.zone, key),
            Watched::Imports => self.imports.delete_service(&self.zone, key),
            Watched::Slices => self.services.delete_slice(&self.zone, key),
            Watched::ImportSlices => self.imports.delete_slice(&self.zone, key),
        }
    }

    /// Ends a reset: removes what the list did not confirm.
    fn finish(&mut self, watched: Watched) -> bool {
        let epoch = self.epochs.get(&watched).copied().unwrap_or_default();
        let stale = match watched {
            Watched::Namespaces => {
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
            Watched::Pods => {
                let stale = self.pods.iter().filter(|(_, kept)| kept.epoch != epoch);
                stale.map(|(key, _)| key.clone()).collect()
            }
            Watched::Services => self.services.stale_services(epoch),
            Watched::Imports => self.imports.stale_services(epoch),
            Watched::Slices => self.services.stale_slices(epoch),
            Watched::ImportSlices => self.imports.stale_slices(epoch),
        };
        let mut changed = false;
        for key in &stale {
            changed |= self.delete(watched, key);
        }
        if let Some((_, done)) = self.watches.iter_mut().find(|(w, _)| *w == watched) {
            *done = true;
        }
        if self.watches.iter().all(|(_, done)| *done) {
            self.zone.publish_synced();
        }
        changed
    }

    /// Moves a Pod from its old addresses to its new ones.
    fn publish_pod(&self, key: &ObjectKey, old: &[IpAddr], new: &[IpAddr]) {
        let name = (key.ns.clone(), key.name.clone());
        for ip in old.iter().filter(|ip| !new.contains(ip)) {
            let left = self
                .zone
                .pods_at(*ip)
                .iter()
                .filter(|pod| **pod != name)
                .cloned()
                .collect();
            self.zone.publish_pods(*ip, left);
        }
        for ip in new {
            let mut pods = self.zone.pods_at(*ip).to_vec();
            if !pods.contains(&name) {
                pods.push(name.clone());
                pods.sort_unstable();
                self.zone.publish_pods(*ip, pods);
            }
        }
    }
}

#[cfg(test)]
mod tests;
