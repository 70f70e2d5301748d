//! Addresses to names. A PTR exists exactly when the name it gives resolves to that address under the same options.

use std::net::IpAddr;

use super::candidates::candidates;
use super::data::ServiceData;
use super::lookup::{Answer, Asked, positive};
use super::path::Below;
use super::{Set, Zone};
use crate::endpoint::Kind;
use crate::message::question::RecordType;
use crate::message::record;
use crate::message::reply::Reason;
use crate::name::{Name, below};

impl Zone {
    /// PTR and everything else at the reverse name of `ip`.
    pub(super) fn reverse_answer(&self, asked: &Asked<'_>, ip: IpAddr) -> Answer {
        let names = asked
            .view
            .primary()
            .map(|primary| self.names_of(asked, ip, primary))
            .unwrap_or_default();
        if names.is_empty() {
            return Answer::NxDomain(Reason::NoSuchAddress(ip));
        }
        if asked.question.qtype != RecordType::PTR {
            return Answer::NoData(Reason::OtherType);
        }
        let owner = &asked.question.qname;
        positive(
            names
                .into_iter()
                .map(|name| record::ptr(owner.clone(), asked.view.ttl, name)),
            None,
        )
    }

    /// One Service's name for a cluster address, else the name of every endpoint at this address.
    fn names_of(&self, asked: &Asked<'_>, ip: IpAddr, primary: &Name) -> Vec<Name> {
        let services: Vec<_> = self
            .owners(ip)
            .iter()
            .filter(|key| self.exposed(asked.view, key.ns()))
            .filter_map(|key| self.service(Set::Services, key))
            .collect();
        let of_cluster_ip = |data: &ServiceData| matches!(&data.service().kind, Kind::ClusterIp(ips) if ips.contains(&ip));
        let answers =
            |data: &ServiceData| candidates(asked.view, data, &Below::Itself, false).is_ok();
        if let Some(data) = services
            .iter()
            .find(|data| of_cluster_ip(data) && answers(data))
        {
            let key = &data.service().key;
            return below(&[key.svc(), key.ns(), b"svc"], primary)
                .into_iter()
                .collect();
        }
        let mut names: Vec<Name> = services
            .iter()
            .flat_map(|data| endpoint_names(asked, data, ip, primary))
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

fn endpoint_names(asked: &Asked<'_>, data: &ServiceData, ip: IpAddr, primary: &Name) -> Vec<Name> {
    let key = &data.service().key;
    data.at(ip)
        .filter(|(_, e)| e.conditions.ready)
        .map(|(_, e)| e.name())
        .filter(|label| {
            candidates(asked.view, data, &Below::Endpoint(label.as_bytes()), false).is_ok()
        })
        // A label with a dot would be read as two.
        .filter(|label| !label.contains('.'))
        .filter_map(|label| below(&[label.as_bytes(), key.svc(), key.ns(), b"svc"], primary))
        .collect()
}
