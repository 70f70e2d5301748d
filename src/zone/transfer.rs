//! Every record of a zone, for those who transfer it.

use std::net::IpAddr;
use std::sync::Arc;

use super::data::ServiceData;
use super::lookup::Answer;
use super::view::View;
use super::{Set, Zone};
use crate::endpoint::{Kind, Port};
use crate::message::record::{self, Record};
use crate::name::{Name, absolute, below};

impl Zone {
    /// The records of the zone `apex`, lower case: its SOA first and last.
    ///
    /// Names of Pods, reverse names, `dns-version` and names by topology zone are not in it, as in CoreDNS.
    #[must_use]
    pub fn transfer(&self, view: &View, apex: &Name) -> Vec<Record> {
        let soa = record::soa(apex, view.ttl, self.serial());
        let mut records = vec![soa.clone()];
        if let Answer::Positive(servers) = self.name_servers(view, apex) {
            records.extend(servers.answer);
            // Quirk 16: the glue of a transfer is not to be cached.
            records.extend(servers.additional.into_iter().map(|mut glue| {
                glue.ttl = 0;
                glue
            }));
        }
        let mut services = self.services(Set::Services);
        services.retain(|data| self.exposed(view, data.service().key.ns()));
        services.sort_by_key(|data| {
            let key = &data.service().key;
            (key.svc().to_vec(), key.ns().to_vec())
        });
        services
            .iter()
            .for_each(|data| add(&mut records, view.ttl, apex, data));
        records.push(soa);
        records
    }
}

fn add(records: &mut Vec<Record>, ttl: u32, apex: &Name, data: &Arc<ServiceData>) {
    let service = data.service();
    let key = &service.key;
    let Some(owner) = below(&[key.svc(), key.ns(), b"svc"], apex) else {
        return;
    };
    match &service.kind {
        Kind::ExternalName(name) if name.parse::<IpAddr>().is_ok() => {}
        // One that is no DNS name costs its own record, not the transfer.
        Kind::ExternalName(name) => records.extend(
            absolute(name)
                .ok()
                .map(|target| record::cname(owner, ttl, target)),
        ),
        Kind::ClusterIp(ips) => {
            records.extend(
                ips.iter()
                    .map(|ip| record::address(owner.clone(), ttl, *ip)),
            );
            for port in &service.ports {
                let Some(number) = port.number else {
                    continue;
                };
                let srv = |name: Name| record::srv(name, ttl, 100, number, owner.clone());
                records.push(srv(owner.clone()));
                records.extend(port_name(port, &owner).map(srv));
            }
        }
        Kind::Headless => add_endpoints(records, ttl, &owner, data),
    }
}

fn add_endpoints(records: &mut Vec<Record>, ttl: u32, owner: &Name, data: &ServiceData) {
    for slice in data.slices() {
        let ready: Vec<_> = slice
            .endpoints()
            .filter(|e| e.conditions.ready)
            .filter_map(|e| Some((e.name(), e.ip()?)))
            .collect();
        let weight = u16::try_from(100 / ready.len().max(1))
            .unwrap_or(100)
            .max(1);
        for (label, ip) in ready {
            records.push(record::address(owner.clone(), ttl, ip));
            let labels: Vec<&str> = label.split('.').collect();
            let Some(name) = below(&labels, owner) else {
                continue;
            };
            records.push(record::address(name.clone(), ttl, ip));
            for port in &slice.ports {
                let named = port.number.zip(port_name(port, owner));
                records.extend(
                    named.map(|(number, at)| record::srv(at, ttl, weight, number, name.clone())),
                );
            }
        }
    }
}

/// `_port._protocol.<owner>`, lower case, of a port that has a name.
fn port_name(port: &Port, owner: &Name) -> Option<Name> {
    if port.name.is_empty() {
        return None;
    }
    let labels = [&port.name, &port.protocol].map(|text| format!("_{}", text.to_ascii_lowercase()));
    below(&labels, owner)
}
