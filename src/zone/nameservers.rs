//! The NS set of a zone, and `ns.dns.<zone>`: the Services through which this server is reached, else its own addresses.

use std::net::IpAddr;

use super::lookup::{Answer, Asked, Records, family, positive};
use super::view::View;
use super::{Set, Zone};
use crate::endpoint::Kind;
use crate::message::question::RecordType;
use crate::message::record;
use crate::message::reply::Reason;
use crate::name::{Name, below};

impl Zone {
    /// NS at the apex; NODATA where the server knows no address of its own.
    pub(super) fn name_servers(&self, view: &View, zone: &Name) -> Answer {
        let entries = self.name_server_entries(view, zone);
        let mut names: Vec<&Name> = entries.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        let answer: Vec<_> = names
            .iter()
            .map(|name| record::ns(zone.clone(), view.ttl, (*name).clone()))
            .collect();
        if answer.is_empty() {
            return Answer::NoData(Reason::OtherType);
        }
        let additional = entries
            .into_iter()
            .map(|(name, ip)| record::address(name, view.ttl, ip))
            .collect();
        Answer::Positive(Records { answer, additional })
    }

    /// A and AAAA of `ns.dns.<zone>`; every other type is NODATA.
    pub(super) fn name_server_addresses(&self, asked: &Asked<'_>) -> Answer {
        let qtype = asked.question.qtype;
        if !matches!(qtype, RecordType::A | RecordType::AAAA) {
            return Answer::NoData(Reason::OtherType);
        }
        let entries = self.name_server_entries(asked.view, asked.typed);
        let mut ips: Vec<_> = entries
            .into_iter()
            .filter_map(|(_, ip)| family(qtype, ip))
            .collect();
        ips.sort_unstable();
        ips.dedup();
        positive(
            ips.into_iter()
                .map(|ip| record::address(asked.question.qname.clone(), asked.view.ttl, ip)),
            None,
        )
    }

    fn name_server_entries(&self, view: &View, zone: &Name) -> Vec<(Name, IpAddr)> {
        let (mut entries, mut reached) = (Vec::new(), false);
        for local in &view.local_addresses {
            for key in self.owners(*local).iter() {
                let Some(data) = self.service(Set::Services, key) else {
                    reached = true; // by a slice whose Service is gone
                    continue;
                };
                let mut add = |left: &[&[u8]], ip| {
                    let labels = [left, &[key.svc(), key.ns(), b"svc"]].concat();
                    entries.extend(below(&labels, zone).map(|name| (name, ip)));
                };
                for (slice, _) in data.at(*local).filter(|(_, e)| e.conditions.ready) {
                    reached = true;
                    match &data.service().kind {
                        Kind::ClusterIp(ips) => ips.iter().for_each(|ip| add(&[], *ip)),
                        Kind::Headless => slice
                            .endpoints()
                            .filter(|e| e.conditions.ready)
                            .filter_map(|e| e.ip().map(|ip| (e.name(), ip)))
                            .for_each(|(label, ip)| add(&[label.as_bytes()], ip)),
                        Kind::ExternalName(_) => {}
                    }
                }
            }
        }
        if !reached {
            let name = below(&[&b"ns"[..], b"dns"], zone).unwrap_or_else(|| zone.clone());
            entries.extend(view.local_addresses.iter().map(|ip| (name.clone(), *ip)));
        }
        entries
    }
}
