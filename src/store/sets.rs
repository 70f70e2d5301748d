//! StatefulSets: which Pods are to be there.

use std::collections::HashMap;
use std::sync::Arc;

use ahash::RandomState;

use super::{Epoch, Kept, ObjectKey};
use crate::endpoint::Expected;
use crate::name::ServiceKey;
use crate::zone::Zone;

/// All StatefulSets that are watched.
#[derive(Debug, Default)]
pub(super) struct Sets(HashMap<ObjectKey, Kept<Arc<Expected>>, RandomState>);

impl Sets {
    pub(super) fn apply(&mut self, zone: &Zone, key: ObjectKey, kept: Kept<Expected>) {
        let Kept { epoch, value } = kept;
        let value = Arc::new(value);
        let new = Kept {
            epoch,
            value: Arc::clone(&value),
        };
        let old = self.0.insert(key, new);
        if let Some(old) = old.filter(|old| old.value.service != value.service) {
            publish(zone, &old.value.service, &old.value, None);
        }
        publish(zone, &value.service, &value, Some(&value));
    }

    pub(super) fn delete(&mut self, zone: &Zone, key: &ObjectKey) {
        if let Some(old) = self.0.remove(key) {
            publish(zone, &old.value.service, &old.value, None);
        }
    }

    /// The list that last confirmed a set.
    pub(super) fn epoch(&mut self, key: &ObjectKey) -> Option<&mut Epoch> {
        self.0.get_mut(key).map(|kept| &mut kept.epoch)
    }

    pub(super) fn stale(&self, epoch: Epoch) -> Vec<ObjectKey> {
        let stale = self.0.iter().filter(|(_, kept)| kept.epoch != epoch);
        stale.map(|(key, _)| key.clone()).collect()
    }
}

/// Puts `now` in the place of what a Service had of this set.
fn publish(zone: &Zone, service: &ServiceKey, set: &Expected, now: Option<&Arc<Expected>>) {
    let sets = zone.expected(service.wire());
    let others = sets.iter().filter(|other| other.set != set.set);
    let mut sets: Vec<_> = others.chain(now).cloned().collect();
    sets.sort_unstable_by(|a, b| a.set.cmp(&b.set));
    zone.publish_expected(service, sets);
}
