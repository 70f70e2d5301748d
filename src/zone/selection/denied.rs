//! Why a name below a Service has no values, or none of a type.

use super::{Selection, Source};
use crate::endpoint::Endpoint;
use crate::message::question::RecordType;
use crate::name::Qname;
use crate::zone::data::ServiceData;
use crate::zone::path::Below;
use crate::zone::reason::Reason;

impl Selection {
    /// Why a name has no values.
    pub(super) fn absence(&self, name: &Qname) -> Reason {
        if matches!(self.source, Source::ClusterIps | Source::Outside) {
            return Reason::NoSuchPort;
        }
        match self.below {
            Below::Endpoint | Below::BareEndpoint | Below::InCluster => {
                let places = self.data.named(self.endpoint_label(name));
                let here = places.filter(|place| self.is_in_cluster(name, *place));
                match here.count() {
                    0 => Reason::NoSuchEndpoint,
                    endpoints => Reason::NotReady(endpoints),
                }
            }
            Below::Port if self.data.ready() > 0 => Reason::NoSuchPort,
            Below::Itself | Below::Port | Below::Topology { .. } => none_ready(&self.data),
        }
    }

    /// Why a name that has values gives none of this type: endpoints that would are not ready, or none would.
    pub(in crate::zone) fn without_type(&self, name: &Qname, qtype: RecordType) -> Reason {
        let is_address = matches!(qtype, RecordType::A | RecordType::AAAA);
        let is_of = |endpoint: &Endpoint<'_>| {
            let v4 = endpoint.ip().map(|ip| ip.is_ipv4());
            v4 == Some(qtype == RecordType::A)
        };
        let not_ready = match (self.source, self.below) {
            (Source::Endpoints, Below::Itself) if is_address => {
                // All of a slice are of one family.
                let slices = self.data.slices().iter();
                let of_family =
                    slices.filter(|slice| slice.endpoints().next().is_some_and(|e| is_of(&e)));
                of_family.map(|slice| slice.len()).sum()
            }
            (Source::Endpoints, Below::Endpoint) if is_address => {
                let named = self.data.named(self.endpoint_label(name));
                named
                    .filter(|place| is_of(&self.data.endpoint(*place).1))
                    .count()
            }
            _ => 0,
        };
        match not_ready {
            0 => Reason::OtherType,
            endpoints => Reason::NotReady(endpoints),
        }
    }
}

/// Why there is no ready endpoint.
pub(super) fn none_ready(data: &ServiceData) -> Reason {
    match data.len() {
        0 => Reason::NoEndpoints,
        endpoints => Reason::NotReady(endpoints),
    }
}
