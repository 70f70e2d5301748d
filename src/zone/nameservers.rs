//! The NS set of a zone, and `ns.dns.<zone>`: the Services through which this server is reached, else its own addresses.

use std::net::IpAddr;

use super::answer::{Answer, Found, family, no_data};
use super::reason::Reason;
use super::view::Asked;
use super::{Holder, Scope, Zone};
use crate::endpoint::Kind;
use crate::message::question::RecordType;
use crate::name::{Name, join};

/// Those of the addresses that have the family asked for.
pub(super) fn own_addresses(asked: &Asked<'_>, mut addresses: Vec<IpAddr>) -> Answer {
    addresses.retain(|ip| family(asked.qtype, *ip));
    if addresses.is_empty() {
        return no_data(Reason::OtherType);
    }
    Answer::Found(Found::Addresses(addresses))
}

/// The names of servers, each once.
#[must_use]
pub fn names_of(servers: &[(Name, IpAddr)]) -> Vec<Name> {
    let mut names: Vec<Name> = servers.iter().map(|(name, _)| name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

impl Zone {
    /// NS at the apex; NODATA where the server knows no address of its own.
    pub(super) fn name_servers(&self, asked: &Asked<'_>) -> Answer {
        let glue = self.servers(asked);
        if glue.is_empty() {
            return no_data(Reason::OtherType);
        }
        let names = names_of(&glue);
        Answer::Found(Found::Servers { names, glue })
    }

    /// A and AAAA of `ns.dns.<zone>`; every other type is NODATA.
    pub(super) fn name_server_addresses(&self, asked: &Asked<'_>) -> Answer {
        if !matches!(asked.qtype, RecordType::A | RecordType::AAAA) {
            return no_data(Reason::OtherType);
        }
        let servers = self.servers(asked);
        let mut addresses: Vec<IpAddr> = servers.into_iter().map(|(_, ip)| ip).collect();
        addresses.sort_unstable();
        addresses.dedup();
        own_addresses(asked, addresses)
    }

    /// The servers of the question's zone, with their addresses.
    #[must_use]
    pub fn servers(&self, asked: &Asked<'_>) -> Vec<(Name, IpAddr)> {
        let (view, zone) = (asked.view(), &asked.typed_apex());
        let (mut servers, mut reached) = (Vec::new(), false);
        for local in &view.local_addresses {
            for key in self
                .owners(Holder::Endpoint, *local)
                .iter()
                .flat_map(|keys| keys.iter())
            {
                let Some(data) = self.service(Scope::Cluster, key.wire()) else {
                    reached = true; // by a slice whose Service is gone
                    continue;
                };
                let mut add = |left: &[&[u8]], ip| {
                    let labels = [left, &[key.svc(), key.ns(), b"svc"]].concat();
                    servers.extend(join(&labels, zone).map(|name| (name, ip)));
                };
                for slice in data.ready_at(*local) {
                    reached = true;
                    match &data.service().kind {
                        Kind::ClusterIp(ips) => ips.iter().for_each(|ip| add(&[], *ip)),
                        Kind::Headless => slice
                            .ready_endpoints()
                            .filter_map(|e| e.ip().map(|ip| (e.name(), ip)))
                            .for_each(|(label, ip)| add(&[&label], ip)),
                        Kind::ExternalName(_) => {}
                    }
                }
            }
        }
        if !reached {
            let name = join(&[&b"ns"[..], b"dns"], zone).unwrap_or_else(|| zone.clone());
            servers.extend(view.local_addresses.iter().map(|ip| (name.clone(), *ip)));
        }
        servers
    }
}
