//! Services and their slices, joined by key; each touched Service is published whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::{AHashSet, RandomState};

use super::change::{Change, ServiceChange, What};
use super::unreadable::Unreadable;
use super::{Epoch, Kept, Object, ObjectKey, Resource};
use crate::endpoint::{External, Kind, Service, Slice};
use crate::name::ServiceKey;
use crate::zone::{self, Holder, Scope, ServiceData, Zone};

/// The parts of one Service: either may come first.
#[derive(Debug, Default)]
struct Parts {
    service: Option<Kept<Arc<Service>>>,
    /// By name, sorted.
    slices: Vec<(Box<str>, Kept<Arc<Slice>>)>,
}

/// All Services of one scope.
#[derive(Debug)]
pub(super) struct Merge {
    scope: Scope,
    parts: HashMap<ServiceKey, Parts, RandomState>,
    /// The Service each slice belongs to, to notice when it moves.
    slice_of: HashMap<ObjectKey, ServiceKey, RandomState>,
    /// What is there and cannot be read.
    pub(super) unreadable: Unreadable,
}

/// What an event brings, and what it changes.
pub(super) struct Update<'a> {
    zone: &'a Zone,
    epoch: Epoch,
    object: Object,
    changes: &'a mut Vec<Change>,
}

impl<'a> Update<'a> {
    pub(super) fn new(
        zone: &'a Zone,
        epoch: Epoch,
        object: Object,
        changes: &'a mut Vec<Change>,
    ) -> Self {
        Self {
            zone,
            epoch,
            object,
            changes,
        }
    }
}

/// The part of a Service that an update replaces, before and after.
enum Replaced<'a> {
    Service([Option<&'a Service>; 2]),
    Slice([Option<Arc<Slice>>; 2]),
}

impl Merge {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            parts: HashMap::default(),
            slice_of: HashMap::default(),
            unreadable: Unreadable::new(scope),
        }
    }

    fn service_resource(&self) -> Resource {
        match self.scope {
            Scope::Cluster => Resource::Services,
            Scope::ClusterSet => Resource::Imports,
        }
    }

    fn slice_resource(&self) -> Resource {
        match self.scope {
            Scope::Cluster => Resource::Slices,
            Scope::ClusterSet => Resource::ImportSlices,
        }
    }

    pub(super) fn apply_service(&mut self, update: &mut Update<'_>, service: Service) {
        let key = service.key.clone();
        self.unreadable
            .remove(update.zone, self.service_resource(), &update.object.key);
        let service = Arc::new(service);
        let parts = self.parts.entry(key.clone()).or_default();
        let old = parts.service.replace(Kept {
            epoch: update.epoch,
            value: Arc::clone(&service),
        });
        if old.as_ref().is_some_and(|kept| kept.value == service) {
            return;
        }
        let old = old.as_ref().map(|kept| &*kept.value);
        self.publish(update, &key, Replaced::Service([old, Some(&service)]));
    }

    pub(super) fn delete_service(&mut self, update: &mut Update<'_>) {
        let object = &update.object.key;
        let key = ServiceKey::new(object.ns.as_bytes(), object.name.as_bytes());
        self.unreadable
            .remove(update.zone, self.service_resource(), object);
        let parts = self.parts.get_mut(&key);
        if let Some(old) = parts.and_then(|parts| parts.service.take()) {
            self.publish(update, &key, Replaced::Service([Some(&old.value), None]));
        }
    }

    pub(super) fn apply_slice(
        &mut self,
        update: &mut Update<'_>,
        of: Option<ServiceKey>,
        slice: Slice,
    ) {
        let key = &update.object.key;
        self.unreadable
            .remove(update.zone, self.slice_resource(), key);
        let known = self.slice_of.get(key);
        if known.is_some_and(|old| Some(old) != of.as_ref()) {
            self.delete_slice(update);
        }
        let Some(of) = of else {
            return;
        };
        let (slice, name) = (Arc::new(slice), update.object.key.name.clone());
        let parts = self.parts.entry(of.clone()).or_default();
        let kept = Kept {
            epoch: update.epoch,
            value: Arc::clone(&slice),
        };
        let old = match parts.slices.binary_search_by(|(known, _)| known.cmp(&name)) {
            Ok(at) if parts.slices[at].1.value == slice => {
                parts.slices[at].1.epoch = update.epoch;
                return;
            }
            Ok(at) => Some(std::mem::replace(&mut parts.slices[at].1, kept).value),
            Err(at) => {
                // Nearly every Service has one slice; room for more would be most of what it takes.
                parts.slices.reserve_exact(1);
                parts.slices.insert(at, (name, kept));
                None
            }
        };
        self.slice_of.insert(update.object.key.clone(), of.clone());
        self.publish(update, &of, Replaced::Slice([old, Some(slice)]));
    }

    pub(super) fn delete_slice(&mut self, update: &mut Update<'_>) {
        let key = &update.object.key;
        self.unreadable
            .remove(update.zone, self.slice_resource(), key);
        let Some(of) = self.slice_of.remove(key) else {
            return;
        };
        let Some(parts) = self.parts.get_mut(&of) else {
            return;
        };
        let at = parts
            .slices
            .binary_search_by(|(name, _)| name.cmp(&key.name));
        if let Ok(at) = at {
            let (_, old) = parts.slices.remove(at);
            self.publish(update, &of, Replaced::Slice([Some(old.value), None]));
        }
    }

    /// The list that last confirmed a Service.
    pub(super) fn service_epoch(&mut self, key: &ObjectKey) -> Option<&mut Epoch> {
        let key = ServiceKey::new(key.ns.as_bytes(), key.name.as_bytes());
        let known = self.parts.get_mut(&key)?.service.as_mut()?;
        Some(&mut known.epoch)
    }

    /// The list that last confirmed a slice.
    pub(super) fn slice_epoch(&mut self, key: &ObjectKey) -> Option<&mut Epoch> {
        let slices = &mut self.parts.get_mut(self.slice_of.get(key)?)?.slices;
        let at = slices
            .binary_search_by(|(name, _)| name.cmp(&key.name))
            .ok()?;
        Some(&mut slices[at].1.epoch)
    }

    pub(super) fn stale_services(&self, epoch: Epoch) -> Vec<ObjectKey> {
        let stale = self
            .parts
            .iter()
            .filter(|(_, p)| p.service.as_ref().is_some_and(|kept| kept.epoch != epoch));
        stale
            .map(|(key, _)| ObjectKey {
                ns: label(key.ns()),
                name: label(key.svc()),
            })
            .collect()
    }

    #[expect(
        clippy::iter_over_hash_type,
        reason = "what goes does not depend on the order"
    )]
    pub(super) fn stale_slices(&self, epoch: Epoch) -> Vec<ObjectKey> {
        let mut stale = Vec::new();
        for (key, of) in &self.slice_of {
            let slices = self
                .parts
                .get(of)
                .map(|parts| &parts.slices[..])
                .unwrap_or_default();
            if let Ok(at) = slices.binary_search_by(|(name, _)| name.cmp(&key.name))
                && slices[at].1.epoch != epoch
            {
                stale.push(key.clone());
            }
        }
        stale
    }

    /// Swaps the Service's entry, and says so.
    ///
    /// An address is entered before the Service shows it and taken out after, so a reverse look-up, which reads both,
    /// never misses one that is there.
    fn publish(&mut self, update: &mut Update<'_>, key: &ServiceKey, replaced: Replaced<'_>) {
        let Some(parts) = self.parts.get(key) else {
            return;
        };
        let (zone, owned) = (update.zone, self.scope == Scope::Cluster);
        let (holder, [before, after]) = replaced.addresses();
        if owned {
            let alone = zone::alone(key);
            let enter = |ip: &IpAddr| zone.publish_owner(holder, *ip, &alone);
            after.iter().for_each(enter);
        }
        let old = zone.service(self.scope, key.wire());
        let data = parts.data(old.as_deref(), &replaced).map(Arc::new);
        zone.publish_service(self.scope, key, data.clone());
        let mut gone = before.iter().filter(|ip| !after.contains(ip)).peekable();
        // Only a part that lost an address needs to know who else has it.
        if owned && gone.peek().is_some() {
            let has = parts.has(holder, data.as_deref());
            gone.filter(|ip| !has(ip))
                .for_each(|ip| zone.withdraw_owner(holder, *ip, key));
        }
        if parts.service.is_none() && parts.slices.is_empty() {
            self.parts.remove(key);
        }
        update.changes.push(Change {
            resource: replaced.resource(self),
            object: update.object.clone(),
            what: What::Service(ServiceChange {
                scope: self.scope,
                key: key.clone(),
                before: old,
                after: data,
                slices: match replaced {
                    Replaced::Service(_) => [None, None],
                    Replaced::Slice(slices) => slices,
                },
            }),
        });
    }
}

impl Replaced<'_> {
    /// Addresses before and after, and who has them.
    fn addresses(&self) -> (Holder, [Vec<IpAddr>; 2]) {
        match self {
            Self::Service(services) => {
                let of = |service: Option<&Service>| service.map(addresses_of).unwrap_or_default();
                (Holder::Service, services.map(of))
            }
            Self::Slice(slices) => {
                let of = |slice: &Option<Arc<Slice>>| {
                    slice.as_deref().map(addresses_in).unwrap_or_default()
                };
                (Holder::Endpoint, slices.each_ref().map(of))
            }
        }
    }

    fn resource(&self, merge: &Merge) -> Resource {
        match self {
            Self::Service(_) => merge.service_resource(),
            Self::Slice(_) => merge.slice_resource(),
        }
    }
}

impl Parts {
    /// What the zone is to have of them; `old`: what it has.
    fn data(&self, old: Option<&ServiceData>, replaced: &Replaced<'_>) -> Option<ServiceData> {
        let service = &self.service.as_ref()?.value;
        if let (Some(old), Replaced::Slice([Some(gone), Some(new)])) = (old, replaced)
            && let Some(at) = old.slices().iter().position(|s| Arc::ptr_eq(s, gone))
        {
            return Some(old.replaced(at, Arc::clone(new)));
        }
        let slices = self.slices.iter().map(|(_, kept)| Arc::clone(&kept.value));
        Some(ServiceData::new(Arc::clone(service), slices))
    }

    /// Tells which addresses such holders have of them; `data`: what the zone has of them.
    fn has(&self, holder: Holder, data: Option<&ServiceData>) -> impl Fn(&IpAddr) -> bool {
        // Without a Service there is nothing to look them up in.
        let slices = self.slices.iter().filter(move |_| data.is_none());
        let of_slices: AHashSet<_> = slices
            .flat_map(|(_, kept)| addresses_in(&kept.value))
            .collect();
        move |ip| {
            let of_data = data.is_some_and(|data| data.at(*ip).next().is_some());
            // A Service's own addresses are those of one object, which has just been replaced.
            holder == Holder::Endpoint && (of_data || of_slices.contains(ip))
        }
    }
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    let outside = service
        .external
        .iter()
        .filter_map(|external| match external {
            External::Address(ip) => Some(*ip),
            External::Name(_) => None,
        });
    match &service.kind {
        Kind::ClusterIp(ips) => ips.iter().copied().chain(outside).collect(),
        Kind::ExternalName(_) | Kind::Headless => outside.collect(),
    }
}

fn addresses_in(slice: &Slice) -> Vec<IpAddr> {
    slice.endpoints().filter_map(|e| e.ip()).collect()
}

fn label(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
