//! Objects that are there and cannot be read: of the names of their Services none can be denied.

use std::collections::HashMap;

use ahash::RandomState;

use super::{Epoch, List, ObjectKey, Resource};
use crate::name::ServiceKey;
use crate::zone::{Scope, Zone};

/// Those of one scope.
#[derive(Debug)]
pub(super) struct Unreadable {
    scope: Scope,
    /// Each with its Service, and the list that last said that it is there.
    objects: HashMap<(Resource, ObjectKey), (ServiceKey, Epoch), RandomState>,
}

impl Unreadable {
    pub(super) fn new(scope: Scope) -> Self {
        Self {
            scope,
            objects: HashMap::default(),
        }
    }

    pub(super) fn insert(
        &mut self,
        zone: &Zone,
        object: (Resource, ObjectKey),
        (of, epoch): (ServiceKey, Epoch),
    ) {
        zone.publish_unreadable(self.scope, &of, true);
        let before = self.objects.insert(object, (of.clone(), epoch));
        if let Some((before, _)) = before.filter(|(before, _)| *before != of) {
            self.gone(zone, &before);
        }
    }

    /// The object can be read, or is gone.
    pub(super) fn remove(&mut self, zone: &Zone, resource: Resource, object: &ObjectKey) {
        if self.objects.is_empty() {
            return;
        }
        if let Some((of, _)) = self.objects.remove(&(resource, object.clone())) {
            self.gone(zone, &of);
        }
    }

    /// Forgets what a list that is complete did not have.
    pub(super) fn finish(&mut self, zone: &Zone, list: &List, epoch: Epoch) {
        type Entry = (Resource, ObjectKey);
        let is_stale = |(resource, key): &Entry, (_, seen): &mut (ServiceKey, Epoch)| {
            list.has(*resource, key) && *seen != epoch
        };
        let stale: Vec<_> = self.objects.extract_if(is_stale).collect();
        for (_, (of, _)) in stale {
            self.gone(zone, &of);
        }
    }

    /// One object less for a Service.
    fn gone(&self, zone: &Zone, of: &ServiceKey) {
        if !self.objects.values().any(|(other, _)| other == of) {
            zone.publish_unreadable(self.scope, of, false);
        }
    }
}
