//! Services and their slices, joined by key; each touched Service is published whole.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use ahash::{AHashSet, RandomState};

use super::{Epoch, Kept, ObjectKey};
use crate::endpoint::{Kind, Service, Slice};
use crate::name::ServiceKey;
use crate::zone::{ServiceData, Set, Zone};

/// The parts of one Service: either may come first.
#[derive(Debug, Default)]
struct Parts {
    service: Option<Kept<Arc<Service>>>,
    /// By name, sorted.
    slices: Vec<(Box<str>, Kept<Arc<Slice>>)>,
}

/// All Services of one set.
#[derive(Debug)]
pub(super) struct Merge {
    set: Set,
    parts: HashMap<ServiceKey, Parts, RandomState>,
    /// The Service each slice belongs to, to notice when it moves.
    slice_of: HashMap<ObjectKey, ServiceKey, RandomState>,
}

impl Merge {
    pub(super) fn new(set: Set) -> Self {
        Self {
            set,
            parts: HashMap::default(),
            slice_of: HashMap::default(),
        }
    }

    /// Returns whether anything that an answer shows has changed.
    pub(super) fn apply_service(&mut self, zone: &Zone, epoch: Epoch, service: Service) -> bool {
        let key = service.key.clone();
        let service = Arc::new(service);
        let parts = self.parts.entry(key.clone()).or_default();
        let old = parts.service.replace(Kept {
            epoch,
            value: Arc::clone(&service),
        });
        if old.as_ref().is_some_and(|kept| kept.value == service) {
            return false;
        }
        let before = old
            .map(|kept| addresses_of(&kept.value))
            .unwrap_or_default();
        let after = addresses_of(&service);
        self.publish(zone, &key, &before, &after);
        true
    }

    pub(super) fn delete_service(&mut self, zone: &Zone, key: &ObjectKey) -> bool {
        let key = ServiceKey::new(key.ns.as_bytes(), key.name.as_bytes());
        let Some(old) = self
            .parts
            .get_mut(&key)
            .and_then(|parts| parts.service.take())
        else {
            return false;
        };
        self.publish(zone, &key, &addresses_of(&old.value), &[]);
        true
    }

    pub(super) fn apply_slice(
        &mut self,
        zone: &Zone,
        epoch: Epoch,
        key: ObjectKey,
        (of, slice): (Option<ServiceKey>, Slice),
    ) -> bool {
        let moved = self
            .slice_of
            .get(&key)
            .is_some_and(|old| Some(old) != of.as_ref());
        let mut changed = moved && self.delete_slice(zone, &key);
        let Some(of) = of else {
            return changed;
        };
        let slice = Arc::new(slice);
        let parts = self.parts.entry(of.clone()).or_default();
        let kept = Kept {
            epoch,
            value: Arc::clone(&slice),
        };
        let old = match parts
            .slices
            .binary_search_by(|(name, _)| name.cmp(&key.name))
        {
            Ok(at) if parts.slices[at].1.value == slice => {
                parts.slices[at].1.epoch = epoch;
                return changed;
            }
            Ok(at) => Some(std::mem::replace(&mut parts.slices[at].1, kept).value),
            Err(at) => {
                parts.slices.insert(at, (key.name.clone(), kept));
                None
            }
        };
        let before = old.as_deref().map(addresses_in).unwrap_or_default();
        self.slice_of.insert(key, of.clone());
        self.publish(zone, &of, &before, &addresses_in(&slice));
        changed |= true;
        changed
    }

    pub(super) fn delete_slice(&mut self, zone: &Zone, key: &ObjectKey) -> bool {
        let Some(of) = self.slice_of.remove(key) else {
            return false;
        };
        let Some(parts) = self.parts.get_mut(&of) else {
            return false;
        };
        let Ok(at) = parts
            .slices
            .binary_search_by(|(name, _)| name.cmp(&key.name))
        else {
            return false;
        };
        let (_, old) = parts.slices.remove(at);
        self.publish(zone, &of, &addresses_in(&old.value), &[]);
        true
    }

    /// The list that last confirmed a Service.
    pub(super) fn service_epoch(&mut self, key: &ObjectKey) -> Option<&mut Epoch> {
        let key = ServiceKey::new(key.ns.as_bytes(), key.name.as_bytes());
        let service = self.parts.get_mut(&key)?.service.as_mut()?;
        Some(&mut service.epoch)
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

    /// Swaps the Service's entry. `before` and `after`: addresses of the part that changed.
    ///
    /// An address is entered before the Service shows it and taken out after, so a reverse look-up, which reads both,
    /// never misses one that is there.
    fn publish(&mut self, zone: &Zone, key: &ServiceKey, before: &[IpAddr], after: &[IpAddr]) {
        let Some(parts) = self.parts.get(key) else {
            return;
        };
        let slices: Box<[_]> = parts
            .slices
            .iter()
            .map(|(_, kept)| Arc::clone(&kept.value))
            .collect();
        let service = parts.service.as_ref().map(|kept| Arc::clone(&kept.value));
        if self.set == Set::Services {
            let alone = Arc::from([key.clone()]);
            after.iter().for_each(|ip| zone.publish_owner(*ip, &alone));
        }
        zone.publish_service(
            self.set,
            key,
            service.map(|service| ServiceData::new(service, slices)),
        );
        let mut gone = before.iter().filter(|ip| !after.contains(ip)).peekable();
        // Only a part that lost an address needs to know who else has it.
        if self.set == Set::Services && gone.peek().is_some() {
            let kept: AHashSet<IpAddr> = parts.addresses().collect();
            gone.filter(|ip| !kept.contains(ip))
                .for_each(|ip| zone.withdraw_owner(*ip, key));
        }
        if parts.service.is_none() && parts.slices.is_empty() {
            self.parts.remove(key);
        }
    }
}

impl Parts {
    fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let of_service = self
            .service
            .iter()
            .flat_map(|kept| addresses_of(&kept.value));
        let of_slices = self
            .slices
            .iter()
            .flat_map(|(_, kept)| kept.value.endpoints().filter_map(|e| e.ip()));
        of_service.chain(of_slices)
    }
}

fn addresses_of(service: &Service) -> Vec<IpAddr> {
    match &service.kind {
        Kind::ClusterIp(ips) => ips.to_vec(),
        Kind::ExternalName(_) | Kind::Headless => Vec::new(),
    }
}

fn addresses_in(slice: &Slice) -> Vec<IpAddr> {
    slice.endpoints().filter_map(|e| e.ip()).collect()
}

fn label(bytes: &[u8]) -> Box<str> {
    String::from_utf8_lossy(bytes).into()
}
