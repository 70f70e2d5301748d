//! Addresses to names. A PTR exists exactly when the name it gives resolves to that address under the same options.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use super::answer::{Answer, Found, Pointer, no_data};
use super::data::ServiceData;
use super::reason::Reason;
use super::view::{Asked, View};
use super::{Scope, Zone};
use crate::endpoint::Kind;
use crate::message::question::RecordType;

type Pointers = SmallVec<[Pointer; 1]>;

impl Zone {
    /// PTR and everything else at the reverse name of `ip`.
    pub(super) fn reverse_answer(&self, asked: &Asked<'_>, ip: IpAddr) -> Answer {
        let names = match asked.primary() {
            Some(_) => self.names_of(asked.view(), ip),
            None => Pointers::new(),
        };
        self.pointers(asked, ip, names)
    }

    /// The names of an address, or why there are none.
    pub(super) fn pointers(&self, asked: &Asked<'_>, ip: IpAddr, names: Pointers) -> Answer {
        if names.is_empty() {
            return self.absent(Reason::NoSuchAddress(ip));
        }
        if asked.qtype != RecordType::PTR {
            return no_data(Reason::OtherType);
        }
        Answer::Found(Found::Pointers(names))
    }

    /// One Service's name for a cluster address, else the name of every endpoint at this address.
    fn names_of(&self, view: &View, ip: IpAddr) -> Pointers {
        let services: SmallVec<[Arc<ServiceData>; 1]> = self
            .owners(ip)
            .iter()
            .flat_map(|keys| keys.iter())
            .filter(|key| self.exposed(view, key.ns()))
            .filter_map(|key| self.service(Scope::Cluster, key.wire()))
            .collect();
        let answers = |data: &&Arc<ServiceData>| {
            let cluster_ip =
                matches!(&data.service().kind, Kind::ClusterIp(ips) if ips.contains(&ip));
            cluster_ip && (!view.ignore_empty_service || data.ready() > 0)
        };
        if let Some(data) = services.iter().find(answers) {
            return Pointers::from_elem(Pointer::to(data), 1);
        }
        let mut names: Pointers = services
            .iter()
            .filter(|data| !matches!(data.service().kind, Kind::ExternalName(_)))
            .flat_map(|data| endpoint_names(data, ip))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The names of the ready endpoints of a Service at an address.
fn endpoint_names(data: &ServiceData, ip: IpAddr) -> impl Iterator<Item = Pointer> {
    data.at(ip)
        .filter(|(_, endpoint)| endpoint.ready)
        .map(|(_, endpoint)| endpoint.name())
        // A label with a dot would be read as two.
        .filter(|label| !label.contains(&b'.'))
        .map(|label| Pointer {
            service: data.service().key.clone(),
            label,
        })
}
