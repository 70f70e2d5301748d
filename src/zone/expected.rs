//! Names that StatefulSets are to have.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::Zone;
use super::path::Below;
use super::reason::Reason;
use super::view::Asked;
use crate::endpoint::Expected;
use crate::name::ServiceKey;

impl Zone {
    /// The StatefulSets that this Service governs, by name.
    #[must_use]
    pub fn expected(&self, service: &[u8]) -> Arc<[Arc<Expected>]> {
        self.expected.get(service).unwrap_or_default()
    }

    /// Why a name is not there that is `below` the Service whose label is at `svc`, where sets that it governs may be to
    /// have it.
    pub(super) fn unless_expected(
        &self,
        reason: Reason,
        asked: &Asked<'_>,
        (svc, below): (usize, Below),
    ) -> Reason {
        let may_be = matches!(reason, Reason::NoSuchEndpoint | Reason::NoEndpoints);
        if !may_be || self.expected_count.load(Ordering::Relaxed) == 0 {
            return reason;
        }
        let sets = self.expected(asked.name.lower_wire(svc, svc + 2));
        let mut sets = sets.iter();
        let is_expected = match below {
            Below::Endpoint | Below::BareEndpoint => {
                let label = asked.name.lower(svc - 1);
                sets.any(|set| set.has(label))
            }
            Below::Itself | Below::Port => sets.any(|set| set.replicas > 0),
            // Where a Pod will be is not known, and no set is another cluster's.
            Below::Topology { .. } | Below::InCluster => false,
        };
        if is_expected {
            Reason::Expected
        } else {
            reason
        }
    }

    /// Says which StatefulSets a Service governs.
    pub(crate) fn publish_expected(&self, service: &ServiceKey, sets: Vec<Arc<Expected>>) {
        let sets = (!sets.is_empty()).then(|| sets.into());
        self.expected.set(service.clone(), sets);
        let count = self.expected.len();
        self.expected_count.store(count, Ordering::Relaxed);
    }
}
