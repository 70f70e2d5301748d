//! From what a zone found to a reply: AA, SOA, TTLs and additional records, in one place, whoever holds the pen.

mod reply;
#[cfg(test)]
mod tests;
mod transfer;
mod words;

use std::hash::Hash;
use std::net::IpAddr;
use std::ops::{ControlFlow, Range};

use ahash::AHashSet;
use smallvec::SmallVec;

use crate::message::question::{Question, RecordType};
use crate::message::reply::{Composed, ResponseCode};
use crate::message::sections::{Data, Pieces, Right, Section, Sections};
use crate::name::{Octets, Qname, ServiceKey, absolute};
use crate::zone::{
    Answer, Asked, Candidate, FewLabels, Found, Piece, Pointer, Selection, Shown, Value, Zone,
};
pub use reply::{Messages, Pens, Reply, ZoneReply, put};
pub use transfer::{Transfer, transfer};
pub use words::Words;

/// `dns-version.<zone>` (Kubernetes DNS specification 1.1.0, section 2.2).
const DNS_SCHEMA_VERSION: &str = "1.1.0";

/// TTL of the `dns-version` record, in seconds; it changes with releases only.
const DNS_VERSION_TTL: u32 = 28_800;

/// SOA times, in seconds: refresh, retry, expire. CoreDNS's; nobody transfers by them.
const SOA_TIMES: [u32; 3] = [7200, 1800, 86_400];

/// The response code of an answer.
#[must_use]
pub fn rcode(answer: &Answer) -> ResponseCode {
    match answer {
        Answer::Found(_) | Answer::Leads { .. } => ResponseCode::NoError,
        Answer::Denied(denied) if !denied.seen => ResponseCode::ServFail,
        Answer::Denied(denied) if denied.exists => ResponseCode::NoError,
        Answer::Denied(_) => ResponseCode::NXDomain,
        Answer::Unanswerable(_) => ResponseCode::ServFail,
    }
}

/// What a zone says to a question, put together; `None`: the question is in none of the zones that are shown.
#[must_use]
pub fn compose(zone: &Zone, shown: &Shown, question: &Question) -> Option<Composed> {
    let asked = shown.place(&question.qname, question.qtype)?;
    Some(ZoneReply::new(zone.lookup(&asked), shown, zone).compose(&asked))
}

/// Where a set of records begins, as a fraction of 2^32 of its length; `None`: at its beginning. A random one makes each
/// record come first as often as any other, and each of a set that does not fit be sent.
pub type Turn = Option<u32>;

/// Writes the records of an answer. `serial`: the zone's.
pub fn write(
    answer: &Answer,
    asked: &Asked<'_>,
    (serial, turn): (u32, Turn),
    pen: &mut impl Sections,
) {
    let writer = &mut Writer {
        asked,
        serial,
        turn,
        pen,
    };
    // What does not fit is left out, and the pen knows.
    let _full = match answer {
        Answer::Found(found) => writer.found(found),
        Answer::Leads { known, .. } => writer.pieces(Pieces::QUESTION, known),
        // A denial of what is about to be there is kept by nobody (RFC 2308 section 5: the lesser of both).
        Answer::Denied(_) if answer.is_pending() => writer.authority(Section::Authority, [0, 0]),
        Answer::Denied(_) => writer.authority(Section::Authority, writer.soa_ttls()),
        Answer::Unanswerable(_) => ControlFlow::Continue(()),
    };
}

/// The end of a name: labels, and what follows them.
struct Base<'a> {
    labels: FewLabels<'a>,
    right: Right<'a>,
}

/// An answer on its way to the pen.
struct Writer<'w, 'q, S> {
    asked: &'w Asked<'q>,
    serial: u32,
    turn: Turn,
    pen: &'w mut S,
}

type Flow = ControlFlow<()>;

impl<'q, S: Sections> Writer<'_, 'q, S> {
    fn found(&mut self, found: &Found) -> Flow {
        let (ttl, own) = (self.asked.ttl(), Pieces::QUESTION);
        match found {
            Found::Authority => self.authority(Section::Answer, self.soa_ttls()),
            Found::Version => self.pen.add(
                Section::Answer,
                own,
                DNS_VERSION_TTL,
                Data::Text(DNS_SCHEMA_VERSION.as_bytes()),
            ),
            Found::Servers { names, glue } => {
                for name in names {
                    let server = Data::Server(Pieces::name(name));
                    self.pen.add(Section::Answer, self.apex(), ttl, server)?;
                }
                for (name, ip) in glue {
                    let owner = Pieces::name(name);
                    self.pen
                        .add(Section::Additional, owner, ttl, Data::Address(*ip))?;
                }
                ControlFlow::Continue(())
            }
            Found::Service(selection) if self.asked.qtype() == RecordType::SRV => {
                self.services(selection)
            }
            Found::Pod(ip) if self.asked.qtype() == RecordType::SRV => self.pod(*ip),
            Found::Alias(target) => {
                let alias = Data::Alias(Pieces::name(target));
                self.pen
                    .add(Section::Answer, own, self.asked.name_ttl(), alias)
            }
            Found::Pointers(names) => self.pointers(names),
            Found::Addresses(_) | Found::Service(_) | Found::Pod(_) | Found::Pieces(_) => {
                self.addresses(own, self.asked.name(), found)
            }
        }
    }

    /// The zone's own name.
    fn apex(&self) -> Pieces<'q> {
        Pieces {
            left: &[],
            right: self.asked.apex(),
        }
    }

    /// The TTL of the SOA, and how long it lets negatives be kept, in seconds.
    fn soa_ttls(&self) -> [u32; 2] {
        [self.asked.soa_ttl(), self.asked.ttl()]
    }

    /// The SOA: at the apex where it is asked for, in every negative (RFC 2308 section 2), and in transfers. Nothing
    /// else writes one.
    fn authority(&mut self, section: Section, [ttl, minimum]: [u32; 2]) -> Flow {
        let right = self.asked.apex();
        let [mname, rname] = self.asked.authority();
        let [refresh, retry, expire] = SOA_TIMES;
        let left = &[][..];
        let data = Data::Authority {
            mname: Pieces {
                left: &mname,
                right,
            },
            rname: Pieces {
                left: &rname,
                right,
            },
            numbers: [self.serial, refresh, retry, expire, minimum],
        };
        self.pen.add(section, Pieces { left, right }, ttl, data)
    }

    /// Addresses of a name, which is the question's or one that an alias leads to.
    fn addresses(&mut self, owner: Pieces<'_>, name: &Qname, found: &Found) -> Flow {
        match found {
            Found::Addresses(ips) => ips.iter().try_for_each(|ip| self.address(owner, *ip)),
            Found::Pod(ip) => self.address(owner, *ip),
            Found::Pieces(pieces) => self.pieces(owner, pieces),
            Found::Service(selection) => {
                let v4 = self.asked.qtype() == RecordType::A;
                if let Some(ips) = selection.addresses(v4) {
                    let ttl = self.asked.ttl();
                    return parts(self.turn, ips, |ips| ips.len()).try_for_each(|(ips, places)| {
                        self.pen.add_addresses(owner, ttl, ips.slice(places))
                    });
                }
                let each = |take: &mut dyn FnMut(IpAddr) -> Flow| {
                    let mut seen = Seen::new(selection);
                    selection.each_value(name, |value| match value {
                        Value::Address(ip) if ip.is_ipv4() == v4 && seen.is_new(|| ip) => take(ip),
                        Value::Address(_) | Value::Alias(_) => ControlFlow::Continue(()),
                    })
                };
                turned(self.turn, each, |ip| self.address(owner, ip))
            }
            // An alias leads to addresses only.
            Found::Authority
            | Found::Version
            | Found::Servers { .. }
            | Found::Pointers(_)
            | Found::Alias(_) => ControlFlow::Continue(()),
        }
    }

    fn address(&mut self, owner: Pieces<'_>, ip: IpAddr) -> Flow {
        let data = Data::Address(ip);
        self.pen.add(Section::Answer, owner, self.asked.ttl(), data)
    }

    fn pieces(&mut self, owner: Pieces<'_>, pieces: &[Piece]) -> Flow {
        for piece in pieces {
            match piece {
                Piece::Address(ip) => self.address(owner, *ip)?,
                Piece::Alias { target, then } => {
                    let alias = Data::Alias(Pieces::name(target));
                    self.pen
                        .add(Section::Answer, owner, self.asked.name_ttl(), alias)?;
                    if let Some(then) = then {
                        self.addresses(Pieces::name(target), &Qname::from(target), then)?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// SRV, and the addresses of the targets.
    fn services<'s>(&mut self, selection: &'s Selection) -> Flow {
        let name = self.asked.name();
        let weight = weight(selection.count(name));
        let base = &self.base(&selection.service().service().key);
        let (ttl, name_ttl) = (self.asked.ttl(), self.asked.name_ttl());
        if let Some(all) = selection.services(name) {
            for (targets, places) in parts(self.turn, all.iter(), |targets| targets.pairs()) {
                for (endpoint, port) in places.map(|i| targets.pair(i)) {
                    self.srv(base, &endpoint.into(), (name_ttl, weight, port))?;
                }
            }
            for (targets, places) in parts(self.turn, all.iter(), |targets| targets.len()) {
                for endpoint in places.map(|i| targets.endpoint(i)) {
                    if let Some(ip) = endpoint.ip() {
                        self.glue(base, &endpoint.into(), (ttl, ip))?;
                    }
                }
            }
            return ControlFlow::Continue(());
        }
        let each = |take: &mut dyn FnMut((Candidate<'s>, u16)) -> Flow| {
            let mut seen = Seen::new(selection);
            selection.each(name, |candidate| match candidate.port {
                Some(port) if seen.is_new(|| (Target::of(&candidate), port)) => {
                    take((candidate, port))
                }
                Some(_) | None => ControlFlow::Continue(()),
            })
        };
        turned(self.turn, each, |(candidate, port)| {
            self.srv(base, &candidate, (name_ttl, weight, port))
        })?;
        let each = |take: &mut dyn FnMut((Candidate<'s>, IpAddr)) -> Flow| {
            let mut seen = Seen::new(selection);
            selection.each_target(name, |candidate| match candidate.value {
                Value::Address(ip) if seen.is_new(|| (Target::of(&candidate), ip)) => {
                    take((candidate, ip))
                }
                Value::Address(_) | Value::Alias(_) => ControlFlow::Continue(()),
            })
        };
        turned(self.turn, each, |(candidate, ip)| {
            self.glue(base, &candidate, (ttl, ip))
        })
    }

    /// An SRV record; its TTL, weight and port.
    fn srv(
        &mut self,
        base: &Base<'_>,
        candidate: &Candidate<'_>,
        (ttl, weight, port): (u32, u16, u16),
    ) -> Flow {
        self.target(base, candidate, |writer, target| {
            let data = Data::Service {
                weight,
                port,
                target,
            };
            let section = Section::Answer;
            writer.pen.add(section, Pieces::QUESTION, ttl, data)
        })
    }

    /// The address of an SRV record's target.
    fn glue(
        &mut self,
        base: &Base<'_>,
        candidate: &Candidate<'_>,
        (ttl, ip): (u32, IpAddr),
    ) -> Flow {
        self.target(base, candidate, |writer, target| {
            let data = Data::Address(ip);
            writer.pen.add(Section::Additional, target, ttl, data)
        })
    }

    /// What all targets of a Service's SRV records end in: its name, of which the question's name has most.
    fn base<'b>(&self, key: &'b ServiceKey) -> Base<'b>
    where
        'q: 'b,
    {
        let mut labels = FewLabels::from_slice(&[key.svc(), key.ns()]);
        labels.extend_from_slice(self.asked.tree());
        let mut right = self.asked.apex();
        while let Right::Question(rest @ 1..) = right
            && labels.last() == Some(&self.asked.name().label(rest - 1))
        {
            labels.pop();
            right = Right::Question(rest - 1);
        }
        Base { labels, right }
    }

    /// Passes `hand` the name that an SRV record gives a candidate: labels of the objects, then the zone as in every
    /// record.
    fn target(
        &mut self,
        base: &Base<'_>,
        candidate: &Candidate<'_>,
        hand: impl FnOnce(&mut Self, Pieces<'_>) -> Flow,
    ) -> Flow {
        match (candidate.value, candidate.endpoint) {
            (Value::Address(_), endpoint) => {
                let (mut made, mut labels) = (Octets::new(), FewLabels::new());
                if let Some(endpoint) = endpoint {
                    let label = endpoint.name_in(&mut made);
                    // A Pod's name may have dots: as an endpoint name it is several labels.
                    if label.contains(&b'.') {
                        labels.extend(label.split(|octet| *octet == b'.'));
                    } else {
                        labels.push(label);
                    }
                }
                if !candidate.cluster.is_empty() {
                    labels.push(candidate.cluster.as_bytes());
                }
                labels.extend_from_slice(&base.labels);
                let target = Pieces {
                    left: &labels,
                    right: base.right,
                };
                hand(self, target)
            }
            // The name of a load balancer, which is its own target.
            (Value::Alias(alias), None) => match absolute(alias) {
                Ok(name) => hand(self, Pieces::name(&name)),
                Err(_) => ControlFlow::Continue(()),
            },
            // An endpoint that is a name is no target.
            (Value::Alias(_), Some(_)) => ControlFlow::Continue(()),
        }
    }

    /// SRV of a Pod's address: the Pod's own name without what is left of it, on port 0.
    fn pod(&mut self, ip: IpAddr) -> Flow {
        let (name, ttl) = (self.asked.name(), self.asked.ttl());
        // `<label>.<ns>.pod` stand left of the zone.
        let label = self.asked.left().saturating_sub(3);
        let labels: [&[u8]; 3] = [name.lower(label), name.lower(label + 1), b"pod"];
        let target = Pieces {
            left: &labels,
            right: self.asked.apex(),
        };
        let data = Data::Service {
            weight: 100,
            port: 0,
            target,
        };
        self.pen.add(Section::Answer, Pieces::QUESTION, ttl, data)?;
        self.pen
            .add(Section::Additional, target, ttl, Data::Address(ip))
    }

    /// The names of an address, of which there may be thousands.
    fn pointers(&mut self, names: &[Pointer]) -> Flow {
        let Some(zone) = self.asked.primary() else {
            return ControlFlow::Continue(());
        };
        let base: SmallVec<[&[u8]; 8]> = self.asked.tree().iter().copied().chain(zone).collect();
        // No label of the question: the root.
        let right = Right::Question(self.asked.name().len());
        let (own, ttl) = (Pieces::QUESTION, self.asked.ttl());
        for name in names {
            let (mut made, service) = (Octets::new(), name.service());
            let mut labels = SmallVec::<[&[u8]; 16]>::new();
            if let Some(endpoint) = name.endpoint() {
                labels.push(endpoint.name_in(&mut made));
            }
            labels.extend_from_slice(&[service.svc(), service.ns()]);
            labels.extend_from_slice(&base);
            let (left, section) = (&labels[..], Section::Answer);
            self.pen
                .add(section, own, ttl, Data::Pointer(Pieces { left, right }))?;
        }
        ControlFlow::Continue(())
    }
}

/// Passes on what `each` goes through, from where `turn` says on, and then what is before that; until `take` has enough.
fn turned<T>(
    turn: Turn,
    each: impl Fn(&mut dyn FnMut(T) -> Flow) -> Flow,
    mut take: impl FnMut(T) -> Flow,
) -> Flow {
    let Some(turn) = turn else {
        return each(&mut take);
    };
    let mut count = 0;
    let _all = each(&mut |_| {
        count += 1;
        ControlFlow::Continue(())
    });
    let first = first(Some(turn), count);
    let mut at = 0;
    each(&mut |item| {
        at += 1;
        if at > first {
            take(item)
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let (mut at, mut full) = (0, ControlFlow::Continue(()));
    let _before = each(&mut |item| {
        at += 1;
        if at > first {
            return ControlFlow::Break(());
        }
        full = take(item);
        full
    });
    full
}

/// All of a set that is in parts, which have lengths: the part with the one that comes first, from that on, what follows
/// it, and then what is before it.
fn parts<P: Copy>(
    turn: Turn,
    all: impl Iterator<Item = P> + Clone,
    len: impl Fn(P) -> usize + Copy,
) -> impl Iterator<Item = (P, Range<usize>)> {
    let first = first(turn, all.clone().map(len).sum());
    // How many come before, of all and of the parts gone through.
    let cut = move |part, before: &mut usize| {
        let here = len(part).min(*before);
        *before -= here;
        here
    };
    let (mut skipped, mut taken) = (first, first);
    let after = all
        .clone()
        .map(move |part| (part, cut(part, &mut skipped)..len(part)));
    after.chain(all.map(move |part| (part, 0..cut(part, &mut taken))))
}

/// Which of so many records comes first.
fn first(turn: Turn, count: usize) -> usize {
    let first = turn.map_or(0, |turn| (u64::from(turn) * count as u64) >> 32);
    usize::try_from(first).unwrap_or_default()
}

/// The weight of one SRV record among so many: CoreDNS's, never 0.
pub(crate) fn weight(of: usize) -> u16 {
    u16::try_from(100 / of.max(1)).unwrap_or(100).max(1)
}

/// What tells one SRV target of a Service from another.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Target<'a> {
    label: Octets,
    cluster: &'a str,
    alias: &'a str,
}

impl<'a> Target<'a> {
    fn of(candidate: &Candidate<'a>) -> Self {
        Self {
            label: candidate
                .endpoint
                .map_or_else(Octets::new, |endpoint| endpoint.name()),
            cluster: candidate.cluster,
            alias: match candidate.value {
                Value::Address(_) => "",
                Value::Alias(alias) => alias,
            },
        }
    }
}

/// What was written already, where the same may come up twice.
struct Seen<T> {
    looks: bool,
    few: SmallVec<[T; 4]>,
    /// Made when it is needed: making one takes as long as a short answer.
    many: Option<AHashSet<T>>,
}

/// Up to this many are searched one by one, without hashing.
const FEW: usize = 32;

impl<T: Eq + Hash> Seen<T> {
    fn new(selection: &Selection) -> Self {
        Self {
            looks: selection.may_repeat(),
            few: SmallVec::new(),
            many: None,
        }
    }

    fn is_new(&mut self, key: impl FnOnce() -> T) -> bool {
        if !self.looks {
            return true;
        }
        let key = key();
        if self.few.contains(&key) {
            return false;
        }
        if self.few.len() < FEW {
            self.few.push(key);
            return true;
        }
        self.many.get_or_insert_default().insert(key)
    }
}
