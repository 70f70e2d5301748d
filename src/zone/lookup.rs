//! A question against a zone. NODATA against NXDOMAIN is decided here, in [`Zone::lookup`], by the name alone.

use std::net::IpAddr;

use super::aliases::Chain;
use super::candidates::{Candidate, Value, candidates};
use super::path::{Below, Path, parse};
use super::view::{PodMode, View};
use super::{Set, Zone};
use crate::message::question::{Question, RecordType};
use crate::message::record::{self, Record};
use crate::message::reply::Reason;
use crate::name::{Name, ServiceKey, below, text, undashed};

/// The outcome of a look-up.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Records.
    Positive(Records),
    /// Records that lead out of the zone: whoever asks follows each of `targets`, with the same type.
    Alias {
        /// What is known so far, aliases included.
        records: Records,
        /// Names that only another server can answer.
        targets: Vec<Name>,
    },
    /// The name exists, without records of this type.
    NoData(Reason),
    /// The name does not exist.
    NxDomain(Reason),
    /// Not all watches have delivered, so the name cannot be decided.
    NotSynced(Reason),
    /// The name exists, but what it says cannot be put into a message.
    Unanswerable(Reason),
    /// None of our zones.
    OutOfZone,
}

/// Answer and additional section.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// Answer section.
    pub answer: Vec<Record>,
    /// Additional section.
    pub additional: Vec<Record>,
}

/// A question placed in a zone.
#[derive(Clone, Copy)]
pub(super) struct Asked<'q> {
    pub(super) view: &'q View,
    pub(super) question: &'q Question,
    /// The zone as configured.
    pub(super) zone: &'q Name,
    /// The zone as typed.
    pub(super) typed: &'q Name,
}

impl Zone {
    /// Answers `question` from what `view` shows. Total: every question has an answer.
    #[must_use]
    pub fn lookup(&self, view: &View, question: &Question) -> Answer {
        let Some(zone) = view.zone_of(&question.qname) else {
            return Answer::OutOfZone;
        };
        let typed = question.qname.trim_to(usize::from(zone.num_labels()));
        let asked = Asked {
            view,
            question,
            zone,
            typed: &typed,
        };
        self.decided(self.answer(&asked, &mut Chain::default()))
    }

    /// The answer, unless it denies what was never seen absent.
    pub(super) fn decided(&self, answer: Answer) -> Answer {
        if matches!(answer, Answer::NxDomain(_)) && !self.synced() {
            return Answer::NotSynced(Reason::NotSynced);
        }
        answer
    }

    pub(super) fn answer(&self, asked: &Asked<'_>, chain: &mut Chain) -> Answer {
        let Asked {
            view,
            question,
            zone,
            typed,
        } = *asked;
        let qtype = question.qtype;
        let one = |record| {
            Answer::Positive(Records {
                answer: vec![record],
                additional: Vec::new(),
            })
        };
        match parse(view, zone, &question.qname) {
            Path::Node { apex: true } if qtype == RecordType::SOA => {
                one(record::soa(typed, view.ttl, self.serial()))
            }
            Path::Node { apex: true } if qtype == RecordType::NS => self.name_servers(view, typed),
            Path::DnsVersion if qtype == RecordType::TXT => {
                one(record::dns_version(question.qname.clone()))
            }
            Path::Node { .. } | Path::DnsVersion => Answer::NoData(Reason::EmptyNonTerminal),
            Path::NameServer => self.name_server_addresses(asked),
            Path::Namespace { ns } | Path::PodNamespace { ns } if !self.exposed(view, ns) => {
                no_namespace(ns)
            }
            Path::PodNamespace { .. } if view.pods == PodMode::Disabled => {
                Answer::NxDomain(Reason::NoSuchPod)
            }
            Path::Namespace { .. } | Path::PodNamespace { .. } => {
                Answer::NoData(Reason::EmptyNonTerminal)
            }
            Path::Service { ns, svc, below } => {
                self.service_answer(asked, (ns, svc, &below), chain)
            }
            Path::Pod { ns, label } => self.pod_answer(asked, ns, label),
            Path::Address(ip) => self.reverse_answer(asked, ip),
            Path::Nothing => Answer::NxDomain(Reason::NotAClusterName),
        }
    }

    /// Whether the namespace is there and the stanza shows it.
    pub(super) fn exposed(&self, view: &View, ns: &[u8]) -> bool {
        let ns = text(ns).to_ascii_lowercase();
        view.shows(&ns) && self.has_namespace(&ns)
    }

    fn service_answer(
        &self,
        asked: &Asked<'_>,
        path: (&[u8], &[u8], &Below<'_>),
        chain: &mut Chain,
    ) -> Answer {
        let (ns, svc, below) = path;
        if !self.exposed(asked.view, ns) {
            return no_namespace(ns);
        }
        let import = asked.view.multicluster.contains(asked.zone);
        let key = ServiceKey::new(ns, svc);
        let Some(data) = self.service(if import { Set::Imports } else { Set::Services }, &key)
        else {
            return Answer::NxDomain(Reason::NoSuchService(key));
        };
        match candidates(asked.view, &data, below, import) {
            Err(reason) => Answer::NxDomain(reason),
            Ok(found) if found.is_empty() => Answer::NoData(Reason::EmptyNonTerminal),
            Ok(found) => self.records(asked, &key, &found, chain),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn records(
        &self,
        asked: &Asked<'_>,
        key: &ServiceKey,
        found: &[Candidate<'_>],
        chain: &mut Chain,
    ) -> Answer {
        match asked.question.qtype {
            RecordType::A | RecordType::AAAA => self.addresses(asked, key, found, chain),
            RecordType::SRV => srv(asked, key, found),
            RecordType::CNAME => self.cname(asked, key, found),
            _ => Answer::NoData(Reason::OtherType),
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a foreign enum: every other type is alike"
    )]
    fn pod_answer(&self, asked: &Asked<'_>, ns: &[u8], label: &[u8]) -> Answer {
        let none = Answer::NxDomain(Reason::NoSuchPod);
        if asked.view.pods == PodMode::Disabled {
            return none;
        }
        if !self.exposed(asked.view, ns) {
            return no_namespace(ns);
        }
        let Some(ip) = undashed(label) else {
            return none;
        };
        let here = |zone: &Self| {
            zone.pods_at(ip)
                .iter()
                .any(|(n, _)| n.as_bytes().eq_ignore_ascii_case(ns))
        };
        if asked.view.pods == PodMode::Verified && !here(self) {
            return none;
        }
        let (ttl, qname) = (asked.view.ttl, &asked.question.qname);
        match asked.question.qtype {
            RecordType::A | RecordType::AAAA => positive(
                family(asked.question.qtype, ip).map(|ip| record::address(qname.clone(), ttl, ip)),
                None,
            ),
            RecordType::SRV => {
                let labels = [
                    label.to_ascii_lowercase(),
                    ns.to_ascii_lowercase(),
                    b"pod".to_vec(),
                ];
                let target = below(&labels, asked.typed).unwrap_or_else(|| qname.clone());
                let glue = record::address(target.clone(), ttl, ip);
                positive(
                    Some(record::srv(qname.clone(), ttl, 100, 0, target)),
                    Some(glue),
                )
            }
            _ => Answer::NoData(Reason::OtherType),
        }
    }
}

/// Keeps the address if records of `qtype` hold its family.
pub(super) fn family(qtype: RecordType, ip: IpAddr) -> Option<IpAddr> {
    (ip.is_ipv4() == (qtype == RecordType::A)).then_some(ip)
}

/// The records, or NODATA where there are none.
pub(super) fn positive(
    answer: impl IntoIterator<Item = Record>,
    additional: impl IntoIterator<Item = Record>,
) -> Answer {
    let records = Records {
        answer: answer.into_iter().collect(),
        additional: additional.into_iter().collect(),
    };
    if records.answer.is_empty() {
        Answer::NoData(Reason::OtherType)
    } else {
        Answer::Positive(records)
    }
}

fn no_namespace(ns: &[u8]) -> Answer {
    Answer::NxDomain(Reason::NoSuchNamespace(
        text(ns).to_ascii_lowercase().into(),
    ))
}

fn srv(asked: &Asked<'_>, key: &ServiceKey, found: &[Candidate<'_>]) -> Answer {
    let ttl = asked.view.ttl;
    let addresses = found
        .iter()
        .filter(|c| matches!(c.value, Value::Address(_)));
    // Every address with every port counts, those that get no record too, as in CoreDNS.
    let weight = u16::try_from(100 / addresses.clone().count().max(1))
        .unwrap_or(100)
        .max(1);
    let mut seen = (ahash::AHashSet::new(), ahash::AHashSet::new());
    let (mut answer, mut additional) = (Vec::new(), Vec::new());
    for candidate in addresses {
        let (Some(port), Value::Address(ip)) = (candidate.port, candidate.value) else {
            continue;
        };
        let Some(target) = candidate.target(key, asked.typed) else {
            continue;
        };
        if seen.0.insert((candidate.left.clone(), port)) {
            answer.push(record::srv(
                asked.question.qname.clone(),
                ttl,
                weight,
                port,
                target.clone(),
            ));
        }
        if seen.1.insert((candidate.left.clone(), ip)) {
            additional.push(record::address(target, ttl, ip));
        }
    }
    positive(answer, additional)
}
