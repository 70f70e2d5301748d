//! Every record of a zone, for those who transfer it.

use std::net::IpAddr;

use super::{Flow, Writer, weight};
use crate::endpoint::{Kind, Port};
use crate::message::record::Record;
use crate::message::records::Records;
use crate::message::sections::{Data, Pieces, Right, Section, Sections};
use crate::name::absolute;
use crate::zone::{Asked, Scope, ServiceData, Zone, names_of};

/// The records of a zone: its SOA first and last. `asked`: its name, in lower case; as in CoreDNS a name below a zone is
/// transferred as if it were one.
///
/// Names of Pods, reverse names, `dns-version` and names by topology zone are not in it, as in CoreDNS.
#[must_use]
pub fn transfer(zone: &Zone, asked: &Asked<'_>) -> Vec<Record> {
    let mut records = Records::new(asked.name());
    let asked = &asked.as_apex();
    let serial = zone.serial();
    let pen = &mut records;
    // Records have no end of room.
    let _full = Writer {
        asked,
        serial,
        turn: None,
        pen,
    }
    .zone(zone);
    records.answer
}

impl<S: Sections> Writer<'_, '_, S> {
    fn zone(&mut self, zone: &Zone) -> Flow {
        self.authority(Section::Answer)?;
        let servers = zone.servers(self.asked);
        for name in &names_of(&servers) {
            self.record(&[], Data::Server(Pieces::name(name)))?;
        }
        for (name, ip) in &servers {
            // As in CoreDNS, the glue of a transfer is not to be cached.
            let (section, owner) = (Section::Answer, Pieces::name(name));
            self.pen.add(section, owner, 0, Data::Address(*ip))?;
        }
        let mut services = zone.services(Scope::Cluster);
        services.retain(|data| zone.exposed(self.asked.view(), data.service().key.ns()));
        services.sort_by_key(|data| {
            let key = &data.service().key;
            (key.svc().to_vec(), key.ns().to_vec())
        });
        services.iter().try_for_each(|data| self.service(data))?;
        self.authority(Section::Answer)
    }

    /// Adds a record of a name: `labels`, then the zone's.
    fn record(&mut self, labels: &[&[u8]], data: Data<'_>) -> Flow {
        let (left, right) = (labels, Right::Question(0));
        let (section, owner) = (Section::Answer, Pieces { left, right });
        self.pen.add(section, owner, self.asked.ttl(), data)
    }

    fn service(&mut self, data: &ServiceData) -> Flow {
        let service = data.service();
        let own: [&[u8]; 3] = [service.key.svc(), service.key.ns(), b"svc"];
        match &service.kind {
            Kind::ExternalName(name) if name.parse::<IpAddr>().is_ok() => Flow::Continue(()),
            // One that is no DNS name costs its own record, not the transfer.
            Kind::ExternalName(name) => absolute(name).map_or(Flow::Continue(()), |target| {
                self.record(&own, Data::Alias(Pieces::name(&target)))
            }),
            Kind::ClusterIp(ips) => {
                for ip in ips {
                    self.record(&own, Data::Address(*ip))?;
                }
                for port in &service.ports {
                    self.port(&own, &own, port, 100, true)?;
                }
                Flow::Continue(())
            }
            Kind::Headless => self.endpoints(&own, data),
        }
    }

    fn endpoints(&mut self, own: &[&[u8]], data: &ServiceData) -> Flow {
        for slice in data.slices() {
            let ready: Vec<_> = slice
                .ready_endpoints()
                .filter_map(|e| Some((e.name(), e.ip()?)))
                .collect();
            let weight = weight(ready.len());
            for (label, ip) in ready {
                self.record(own, Data::Address(ip))?;
                let labels: Vec<&[u8]> = label.split(|octet| *octet == b'.').collect();
                let name = [&labels, own].concat();
                self.record(&name, Data::Address(ip))?;
                for port in &slice.ports {
                    self.port(own, &name, port, weight, false)?;
                }
            }
        }
        Flow::Continue(())
    }

    /// SRV of a port that leads to `to`: at the port's name below `own`; where `bare`, at `own` too.
    fn port(&mut self, own: &[&[u8]], to: &[&[u8]], port: &Port, weight: u16, bare: bool) -> Flow {
        let Some(number) = port.number else {
            return Flow::Continue(());
        };
        let (left, right) = (to, Right::Question(0));
        let srv = Data::Service {
            weight,
            port: number,
            target: Pieces { left, right },
        };
        if bare {
            self.record(own, srv)?;
        }
        if port.name.is_empty() {
            return Flow::Continue(());
        }
        let labels =
            [&port.name, &port.protocol].map(|text| format!("_{}", text.to_ascii_lowercase()));
        let left = labels.iter().map(|label| label.as_bytes());
        let name: Vec<_> = left.chain(own.iter().copied()).collect();
        self.record(&name, srv)
    }
}
