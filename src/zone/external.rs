//! Names of external addresses: `<svc>.<ns>.<zone>` in zones of their own (CoreDNS's `k8s_external`).

use std::net::IpAddr;

use super::candidates::{Candidate, Value, endpoint_candidates, of_ports};
use super::lookup::{Answer, Records, family, positive};
use super::path::{Below, bare};
use super::view::{View, longest};
use super::{ServiceData, Set, Zone};
use crate::endpoint::{External, Kind};
use crate::message::question::{Question, RecordType};
use crate::message::record::{self, Record};
use crate::message::reply::Reason;
use crate::name::{Name, ServiceKey, absolute, below, is_reverse, reverse_address, text};

/// What one `k8s_external` directive shows.
#[derive(Clone, Debug)]
pub struct ExternalView {
    /// The zones, lower case.
    pub zones: Vec<Name>,
    /// The label of the zone's own names: `ns1.<apex>.<zone>`.
    pub apex: String,
    /// TTL of everything but SRV and CNAME, in seconds.
    pub ttl: u32,
    /// Headless Services without external addresses show their endpoints.
    pub headless: bool,
    /// What the block's `kubernetes` shows.
    pub kubernetes: View,
}

impl ExternalView {
    /// The longest of the zones that `qname` is in.
    #[must_use]
    pub fn zone_of(&self, qname: &Name) -> Option<&Name> {
        longest(&self.zones, qname)
    }

    /// The SOA of `zone`.
    #[must_use]
    pub fn soa(&self, zone: &Name, serial: u32) -> Record {
        let server = below(&["ns1", &self.apex], zone).unwrap_or_else(|| zone.clone());
        let mailbox = below(&["hostmaster", &self.apex], zone).unwrap_or_else(|| zone.clone());
        record::soa_of(zone, self.ttl, (server, mailbox), serial)
    }
}

/// A question placed in an external zone.
struct Asked<'q> {
    view: &'q ExternalView,
    question: &'q Question,
    /// As configured: unlike `kubernetes`, CoreDNS does not keep the client's case here.
    zone: &'q Name,
}

impl Zone {
    /// Answers `question` from external addresses. Total, as [`Zone::lookup`].
    #[must_use]
    pub fn lookup_external(&self, view: &ExternalView, question: &Question) -> Answer {
        let Some(zone) = view.zone_of(&question.qname) else {
            return Answer::OutOfZone;
        };
        let base = usize::from(question.qname.num_labels() - zone.num_labels());
        let labels: Vec<&[u8]> = question.qname.iter().take(base).collect();
        let reverse = is_reverse(zone);
        let asked = Asked {
            view,
            question,
            zone,
        };
        self.decided(if reverse && base > 0 {
            self.external_reverse(&asked)
        } else {
            self.external(&asked, &labels)
        })
    }

    fn external(&self, asked: &Asked<'_>, labels: &[&[u8]]) -> Answer {
        let own = |label: &[u8]| label.eq_ignore_ascii_case(asked.view.apex.as_bytes());
        match labels {
            [] => self.external_apex(asked),
            [label] if own(label) => Answer::NoData(Reason::EmptyNonTerminal),
            [label, apex] if own(apex) && label.eq_ignore_ascii_case(b"ns1") => {
                let glue = self.glue(asked, &asked.question.qname);
                positive(
                    glue.into_iter()
                        .filter(|r| r.record_type() == asked.question.qtype),
                    None,
                )
            }
            [.., apex] if own(apex) => Answer::NxDomain(Reason::NotAClusterName),
            [.., ns] if !self.exposed(&asked.view.kubernetes, ns) => Answer::NxDomain(
                Reason::NoSuchNamespace(text(ns).to_ascii_lowercase().into()),
            ),
            [_] => Answer::NoData(Reason::EmptyNonTerminal),
            [svc, ns] => self.external_service(asked, (ns, svc), &Below::Itself),
            [endpoint, svc, ns] => {
                self.external_service(asked, (ns, svc), &Below::Endpoint(bare(endpoint)))
            }
            [name, protocol, svc, ns] => {
                let below = Below::Port {
                    name: bare(name),
                    protocol: bare(protocol),
                };
                self.external_service(asked, (ns, svc), &below)
            }
            _ => Answer::NxDomain(Reason::NotAClusterName),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn external_apex(&self, asked: &Asked<'_>) -> Answer {
        let (zone, ttl) = (asked.zone, asked.view.ttl);
        match asked.question.qtype {
            RecordType::SOA => positive(Some(asked.view.soa(zone, self.serial())), None),
            RecordType::NS => match below(&["ns1", &asked.view.apex], zone) {
                Some(server) => {
                    let as_typed = below(&["ns1", &asked.view.apex], &asked.question.qname);
                    let glue = as_typed
                        .map(|name| self.glue(asked, &name))
                        .unwrap_or_default();
                    positive(Some(record::ns(zone.clone(), ttl, server)), glue)
                }
                None => Answer::NoData(Reason::OtherType),
            },
            _ => Answer::NoData(Reason::OtherType),
        }
    }

    /// The external addresses of the Services through which this server is reached, else its own.
    fn glue(&self, asked: &Asked<'_>, server: &Name) -> Vec<Record> {
        let local = &asked.view.kubernetes.local_addresses;
        let mut reached = false;
        let mut ips = Vec::new();
        for ip in local {
            for data in self
                .owners(*ip)
                .iter()
                .filter_map(|key| self.service(Set::Services, key))
            {
                let headless = asked.view.headless && data.service().kind == Kind::Headless;
                for (slice, _) in data.at(*ip).filter(|(_, e)| e.conditions.ready) {
                    reached = true;
                    if headless {
                        ips.extend(
                            slice
                                .endpoints()
                                .filter(|e| e.conditions.ready)
                                .filter_map(|e| e.ip()),
                        );
                    } else {
                        ips.extend(addresses(&data));
                    }
                }
            }
        }
        let ips = if reached { ips } else { local.clone() };
        ips.into_iter()
            .map(|ip| record::address(server.clone(), asked.view.ttl, ip))
            .collect()
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn external_service(
        &self,
        asked: &Asked<'_>,
        (ns, svc): (&[u8], &[u8]),
        below: &Below<'_>,
    ) -> Answer {
        let key = ServiceKey::new(ns, svc);
        let Some(data) = self.service(Set::Services, &key) else {
            return Answer::NxDomain(Reason::NoSuchService(key));
        };
        let found = match candidates(asked.view, &data, below) {
            Ok(found) => found,
            Err(reason) => return Answer::NxDomain(reason),
        };
        match asked.question.qtype {
            RecordType::A | RecordType::AAAA => external_addresses(asked, &found, &key),
            RecordType::SRV => external_srv(asked, &found, &key),
            _ => Answer::NoData(Reason::OtherType),
        }
    }

    fn external_reverse(&self, asked: &Asked<'_>) -> Answer {
        let Some(ip) = reverse_address(&asked.question.qname) else {
            return Answer::NxDomain(Reason::NotAClusterName);
        };
        let shown =
            |data: &&ServiceData| self.exposed(&asked.view.kubernetes, data.service().key.ns());
        let services = self.services(Set::Services);
        let mut names: Vec<Name> = services
            .iter()
            .map(|data| &**data)
            .filter(shown)
            .filter(|data| addresses(data).contains(&ip))
            .filter_map(|data| {
                let key = &data.service().key;
                below(&[key.svc(), key.ns()], asked.view.zones.first()?)
            })
            .collect();
        names.sort_unstable();
        if names.is_empty() {
            return Answer::NxDomain(Reason::NoSuchAddress(ip));
        }
        let (owner, ttl) = (&asked.question.qname, asked.view.ttl);
        let is_ptr = asked.question.qtype == RecordType::PTR;
        positive(
            names
                .into_iter()
                .filter(|_| is_ptr)
                .map(|name| record::ptr(owner.clone(), ttl, name)),
            None,
        )
    }
}

fn addresses(data: &ServiceData) -> Vec<IpAddr> {
    let ip = |external: &External| match external {
        External::Address(ip) => Some(*ip),
        External::Name(_) => None,
    };
    data.service().external.iter().filter_map(ip).collect()
}

fn candidates<'a>(
    view: &ExternalView,
    data: &'a ServiceData,
    below: &Below<'_>,
) -> Result<Vec<Candidate<'a>>, Reason> {
    let service = data.service();
    if service.external.is_empty() {
        let of_endpoints = matches!(below, Below::Endpoint(_)) || service.kind == Kind::Headless;
        return if of_endpoints && view.headless {
            endpoint_candidates(data, below)
        } else {
            Err(Reason::NoExternalAddress(service.key.clone()))
        };
    }
    // As in CoreDNS a Service with external addresses has them under any endpoint's name too.
    let value = |external: &'a External| match external {
        External::Address(ip) => Value::Address(*ip),
        External::Name(name) => Value::Alias(name),
    };
    let values: Vec<_> = service.external.iter().map(value).collect();
    of_ports(data, &values, below)
}

fn external_addresses(asked: &Asked<'_>, found: &[Candidate<'_>], key: &ServiceKey) -> Answer {
    let (qname, ttl) = (&asked.question.qname, asked.view.ttl);
    let mut seen = Vec::new();
    let (mut records, mut targets) = (Records::default(), Vec::new());
    for candidate in found.iter().map(|c| c.value) {
        if seen.contains(&candidate) {
            continue;
        }
        seen.push(candidate);
        match candidate {
            Value::Address(ip) => {
                let ip = family(asked.question.qtype, ip);
                records
                    .answer
                    .extend(ip.map(|ip| record::address(qname.clone(), ttl, ip)));
            }
            Value::Alias(name) => {
                let Ok(target) = absolute(name) else {
                    return Answer::Unanswerable(Reason::BadExternalName(key.clone()));
                };
                records.answer.push(record::cname(
                    qname.clone(),
                    asked.view.kubernetes.ttl,
                    target.clone(),
                ));
                targets.push(target);
            }
        }
    }
    match (records.answer.is_empty(), targets.is_empty()) {
        (true, _) => Answer::NoData(Reason::OtherType),
        (false, true) => Answer::Positive(records),
        (false, false) => Answer::Alias { records, targets },
    }
}

fn external_srv(asked: &Asked<'_>, found: &[Candidate<'_>], key: &ServiceKey) -> Answer {
    let weight = u16::try_from(100 / found.len().max(1))
        .unwrap_or(100)
        .max(1);
    let (mut answer, mut additional) = (Vec::new(), Vec::new());
    for candidate in found {
        let mut labels: Vec<&[u8]> = candidate.left.iter().map(String::as_bytes).collect();
        labels.extend([key.svc(), key.ns()]);
        let target = match candidate.value {
            Value::Address(_) => below(&labels, asked.zone),
            Value::Alias(name) => absolute(name).ok(),
        };
        let (Some(port), Some(target)) = (candidate.port, target) else {
            continue;
        };
        if let Value::Address(ip) = candidate.value {
            additional.push(record::address(target.clone(), asked.view.ttl, ip));
        }
        // As in CoreDNS, SRV and CNAME have the TTL of the `kubernetes` stanza.
        let ttl = asked.view.kubernetes.ttl;
        answer.push(record::srv(
            asked.question.qname.clone(),
            ttl,
            weight,
            port,
            target,
        ));
    }
    for records in [&mut answer, &mut additional] {
        let mut seen: Vec<Record> = Vec::new();
        records.retain(|record| {
            let new = !seen.contains(record);
            if new {
                seen.push(record.clone());
            }
            new
        });
    }
    positive(answer, additional)
}
