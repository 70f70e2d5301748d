//! Every record of a zone, for those who transfer it.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Flow, Writer, weight};
use crate::endpoint::{Kind, Port, Slice};
use crate::message::encode_transfer;
use crate::message::question::{Query, RecordType};
use crate::message::record::{Record, size};
use crate::message::records::Records;
use crate::message::sections::{Data, Pieces, Right, Section, Sections};
use crate::name::{Name, Qname, absolute};
use crate::zone::{Asked, Scope, ServiceData, Shown, Zone, names_of};

/// Records of one message at most.
const CHUNK: usize = 100;

/// Octets of the records of one message at most, names written out: what 65,535 leave for the rest.
const ROOM: usize = 64_500;

/// The messages of a zone transfer (RFC 5936 section 2.2), each made when it is asked for: of the zone as it was, at little
/// cost, as what a Service has is shared.
#[derive(Clone, Debug)]
pub struct Transfer {
    query: Query,
    stock: Stock,
    /// Records that are in no message yet.
    waiting: VecDeque<Record>,
    is_whole: bool,
    /// Messages are signed.
    is_signed: bool,
    /// The signature of the message before.
    before: Option<Vec<u8>>,
}

/// Where records come from.
#[derive(Clone, Debug)]
enum Stock {
    /// The cluster's zone.
    Parts(Box<Parts>),
    /// A list.
    Records(std::vec::IntoIter<Record>),
}

impl Transfer {
    fn new(query: &Query, stock: Stock, is_whole: bool) -> Self {
        Self {
            query: query.clone(),
            stock,
            waiting: VecDeque::new(),
            is_whole,
            is_signed: false,
            before: None,
        }
    }

    /// The whole zone, for `query`.
    #[must_use]
    pub fn whole(query: &Query, zone: &Zone, asked: &Asked<'_>) -> Self {
        Self::new(query, Stock::Parts(Box::new(Parts::new(zone, asked))), true)
    }

    /// Only the SOA, for a client that has this zone already (RFC 1995 section 2).
    #[must_use]
    pub fn unchanged(query: &Query, zone: &Zone, asked: &Asked<'_>) -> Self {
        let mut parts = Parts::new(zone, asked);
        parts.stage = Stage::End;
        Self::new(query, Stock::Parts(Box::new(parts)), false)
    }

    /// These records, of which the first is the SOA and comes last too; where the client has them already only that.
    #[must_use]
    pub fn of(query: &Query, mut records: Vec<Record>, has_them: bool) -> Self {
        if has_them {
            records.truncate(1);
        } else {
            records.extend(records.first().cloned());
        }
        Self::new(query, Stock::Records(records.into_iter()), !has_them)
    }

    /// Has its messages signed, where the request is (RFC 8945 section 5.3.1).
    pub(super) fn signed(&mut self) {
        self.is_signed = true;
    }

    /// Takes more records; `false`: there are none.
    fn more(&mut self) -> bool {
        match &mut self.stock {
            Stock::Parts(parts) => match parts.next() {
                Some(part) => self.waiting.extend(part),
                None => return false,
            },
            Stock::Records(records) => match records.next() {
                Some(record) => self.waiting.push_back(record),
                None => return false,
            },
        }
        true
    }
}

impl Iterator for Transfer {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        while self.waiting.len() < CHUNK && self.more() {}
        let (mut octets, mut records) = (0, 0);
        for record in self.waiting.iter().take(CHUNK) {
            octets += size(record);
            if records > 0 && octets > ROOM {
                break;
            }
            records += 1;
        }
        let records: Vec<_> = self.waiting.drain(..records).collect();
        if records.is_empty() {
            return None;
        }
        let mut message = encode_transfer(&self.query, &records, self.is_whole);
        if let Some(tsig) = self.query.tsig.as_ref().filter(|_| self.is_signed) {
            self.before = Some(tsig.sign(&mut message, self.before.as_deref()));
        }
        Some(message)
    }
}

/// The records of a zone: its SOA first and last. `asked`: its name, in lower case; as in CoreDNS a name below a zone is
/// transferred as if it were one.
///
/// Names of Pods, reverse names, `dns-version` and names by topology zone are not in it, as in CoreDNS.
#[must_use]
pub fn transfer(zone: &Zone, asked: &Asked<'_>) -> Vec<Record> {
    Parts::new(zone, asked).flatten().collect()
}

/// The records of a zone, some at a time: those of one slice at most.
#[derive(Clone, Debug)]
struct Parts {
    shown: Shown,
    apex: Qname,
    serial: u32,
    servers: Vec<(Name, IpAddr)>,
    services: Vec<Arc<ServiceData>>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    Begin,
    /// The slice of the Service that comes next.
    Services {
        service: usize,
        slice: usize,
    },
    End,
    Over,
}

impl Parts {
    fn new(zone: &Zone, asked: &Asked<'_>) -> Self {
        // Before them: what changes meanwhile has a later one.
        let serial = zone.serial();
        let mut services = zone.services(Scope::Cluster);
        services.retain(|data| zone.exposed(asked.view(), data.service().key.ns()));
        services.sort_by_key(|data| {
            let key = &data.service().key;
            (key.svc().to_vec(), key.ns().to_vec())
        });
        Self {
            shown: asked.shown().clone(),
            apex: asked.name().clone(),
            serial,
            servers: zone.servers(&asked.as_apex()),
            services,
            stage: Stage::Begin,
        }
    }

    /// What this writes.
    fn written(&self, write: impl FnOnce(&mut Writer<'_, '_, Records>) -> Flow) -> Vec<Record> {
        let asked = self.shown.place(&self.apex, RecordType::AXFR);
        let asked = asked.expect("a name of the zone was asked for").as_apex();
        let mut records = Records::new(asked.name());
        let mut writer = Writer {
            asked: &asked,
            serial: self.serial,
            turn: None,
            pen: &mut records,
        };
        // Records have no end of room.
        let _full = write(&mut writer);
        records.answer
    }
}

impl Iterator for Parts {
    type Item = Vec<Record>;

    fn next(&mut self) -> Option<Vec<Record>> {
        let (stage, part) = match self.stage {
            Stage::Begin => {
                let part = self.written(|writer| writer.head(&self.servers));
                let (service, slice) = (0, 0);
                (Stage::Services { service, slice }, part)
            }
            Stage::Services { service, slice } => match self.services.get(service) {
                None => (Stage::End, Vec::new()),
                Some(data) => {
                    let part = self.written(|writer| writer.service(data, slice));
                    let is_last = slice + 1 >= data.slices().len();
                    let (service, slice) = match is_last {
                        true => (service + 1, 0),
                        false => (service, slice + 1),
                    };
                    (Stage::Services { service, slice }, part)
                }
            },
            Stage::End => {
                let part =
                    self.written(|writer| writer.authority(Section::Answer, writer.soa_ttls()));
                (Stage::Over, part)
            }
            Stage::Over => return None,
        };
        self.stage = stage;
        Some(part)
    }
}

impl<S: Sections> Writer<'_, '_, S> {
    fn head(&mut self, servers: &[(Name, IpAddr)]) -> Flow {
        self.authority(Section::Answer, self.soa_ttls())?;
        for name in &names_of(servers) {
            self.record(&[], Data::Server(Pieces::name(name)))?;
        }
        for (name, ip) in servers {
            // As in CoreDNS, the glue of a transfer is not to be cached.
            let (section, owner) = (Section::Answer, Pieces::name(name));
            self.pen.add(section, owner, 0, Data::Address(*ip))?;
        }
        Flow::Continue(())
    }

    /// Adds a record of a name: `labels`, then the zone's.
    fn record(&mut self, labels: &[&[u8]], data: Data<'_>) -> Flow {
        let (left, right) = (labels, Right::Question(0));
        let (section, owner) = (Section::Answer, Pieces { left, right });
        self.pen.add(section, owner, self.asked.ttl(), data)
    }

    /// A Service; of one that leads to endpoints, those of one slice.
    fn service(&mut self, data: &ServiceData, slice: usize) -> Flow {
        let service = data.service();
        let own: [&[u8]; 3] = [service.key.svc(), service.key.ns(), b"svc"];
        match &service.kind {
            Kind::ExternalName(name) if name.parse::<IpAddr>().is_ok() => Flow::Continue(()),
            // One that is no DNS name costs its own record, not the transfer.
            Kind::ExternalName(name) if slice == 0 => absolute(name)
                .map_or(Flow::Continue(()), |target| {
                    self.record(&own, Data::Alias(Pieces::name(&target)))
                }),
            Kind::ClusterIp(ips) if slice == 0 => {
                for ip in ips {
                    self.record(&own, Data::Address(*ip))?;
                }
                for port in &service.ports {
                    self.port(&own, &own, port, 100, true)?;
                }
                Flow::Continue(())
            }
            Kind::ClusterIp(_) | Kind::ExternalName(_) => Flow::Continue(()),
            Kind::Headless => match data.slices().get(slice) {
                Some(slice) => self.endpoints(&own, slice),
                None => Flow::Continue(()),
            },
        }
    }

    fn endpoints(&mut self, own: &[&[u8]], slice: &Slice) -> Flow {
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
