//! A reply as octets: as many whole records as fit, the OPT record always (RFC 6891 section 7), TC where something was
//! left out. Names are compressed throughout the message.

mod compress;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;

use hickory_proto::op::{OpCode, ResponseCode};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use super::question::{Edns, Query, Question, Transport};
use super::sections::{Data, Ips, Pieces, Right, Section, Sections, each_address};
use super::{HEADER, PLAIN_UDP_SIZE, skim};
use crate::name::MAX_NAME;
pub use compress::Offsets;
use compress::{Ending, Labels};

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
pub(super) const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
pub(super) const CD: u16 = 0x0010;
pub(super) const AD: u16 = 0x0020;

/// DNSSEC OK, in an OPT record's flags (RFC 3225 section 3).
const DO: u16 = 0x8000;

/// Octets of an OPT record without options: root, type, class, TTL, length (RFC 6891 section 6.1.2).
const OPT: usize = 11;

/// Where the question's name stands, to which a record's owner points (RFC 1035 section 4.1.4).
const POINTER_TO_QUESTION: [u8; 2] = [0xc0, 12];

/// Octets of a record whose owner is such a pointer, before its data.
const OWN_HEAD: usize = 12;

/// EDNS option of an extended error (RFC 8914 section 2).
pub(super) const EXTENDED_ERROR: u16 = 15;

/// Octets of an extended error's option before its text: option, length, code.
const ERROR_HEAD: usize = 6;

/// What a reply takes over from its request.
#[derive(Clone, Copy, Debug)]
pub struct Envelope<'q> {
    /// Message id.
    pub id: u16,
    /// QUERY, or NOTIFY.
    pub opcode: OpCode,
    /// Recursion desired: copied.
    pub recursion_desired: bool,
    /// Checking disabled: copied (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
    /// The client's EDNS; without it the reply has no OPT record.
    pub edns: Option<Edns>,
    /// Octets that the reply may have.
    pub limit: u16,
    /// What is asked.
    pub question: &'q Question,
}

impl<'q> From<&'q Query> for Envelope<'q> {
    fn from(query: &'q Query) -> Self {
        Self {
            id: query.id,
            opcode: query.opcode,
            recursion_desired: query.recursion_desired,
            checking_disabled: query.checking_disabled,
            edns: query.edns,
            limit: limit(query.transport, query.edns),
            question: &query.question,
        }
    }
}

/// The most that a datagram carries over IPv4, in octets: what the heads of IP (RFC 791) and UDP (RFC 768) leave of 65,535.
const MAX_DATAGRAM: u16 = 65_507;

/// The size that a reply may have, in octets.
#[must_use]
pub fn limit(transport: Transport, edns: Option<Edns>) -> u16 {
    match (transport, edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => PLAIN_UDP_SIZE,
        (Transport::Udp, Some(edns)) => edns.udp_size.clamp(PLAIN_UDP_SIZE, MAX_DATAGRAM),
    }
}

/// What a reply says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The response code.
    pub rcode: ResponseCode,
    /// AA: the reply is from a zone of ours (RFC 1035 section 4.1.1).
    pub authoritative: bool,
    /// RA: whoever gave the reply recurses (RFC 1035 section 4.1.1).
    pub recursion_available: bool,
    /// RD, where it is not the request's.
    pub recursion_desired: Option<bool>,
    /// AD: whoever gave the reply has verified it (RFC 4035 section 3.2.3).
    pub authentic_data: bool,
    /// TC, where the reply is known to be incomplete before it is written.
    pub truncated: bool,
}

impl Head {
    /// Nothing but a response code.
    #[must_use]
    pub fn of(rcode: ResponseCode) -> Self {
        Self {
            rcode,
            authoritative: false,
            recursion_available: false,
            recursion_desired: None,
            authentic_data: false,
            truncated: false,
        }
    }
}

/// An extended error (RFC 8914): a code of its registry, and words for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedError<'t> {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, UTF-8.
    pub text: &'t str,
}

/// A message under way, at the end of a buffer.
pub struct Wire<'b, 'q> {
    out: &'b mut Vec<u8>,
    offsets: &'b mut Offsets,
    envelope: Envelope<'q>,
    error: Option<ExtendedError<'b>>,
    /// Where the message begins in the buffer.
    start: usize,
    /// Where its records have to end, so that OPT fits behind them.
    end: usize,
    counts: [u16; 3],
    /// How many octets shorter it is than with all names written out.
    saved: usize,
    /// A record did not fit.
    full: bool,
}

impl<'b, 'q> Wire<'b, 'q> {
    /// Begins a message; `error`: what its OPT record says, where it has one.
    pub fn begin(
        out: &'b mut Vec<u8>,
        offsets: &'b mut Offsets,
        envelope: Envelope<'q>,
        error: Option<ExtendedError<'b>>,
    ) -> Self {
        offsets.clear();
        let error = error.filter(|_| envelope.edns.is_some());
        let opt = envelope.edns.map_or(0, |_| {
            OPT + error.map_or(0, |error| ERROR_HEAD + error.text.len())
        });
        let start = out.len();
        out.extend_from_slice(&[0; HEADER]);
        write_question(out, envelope.question);
        Self {
            end: start + usize::from(envelope.limit).saturating_sub(opt),
            out,
            offsets,
            envelope,
            error,
            start,
            counts: [0; 3],
            saved: 0,
            full: false,
        }
    }

    /// Ends the message: its OPT record, its counts, its flags. Returns its size in octets as CoreDNS speaks of it: with all
    /// names written out, and without its OPT record.
    pub fn end(mut self, head: Head) -> usize {
        let size = self.out.len() - self.start + self.saved;
        let code = u16::from(head.rcode);
        if let Some(edns) = self.envelope.edns {
            write_opt(self.out, edns, code, &[], self.error);
            self.counts[2] += 1;
        }
        let Envelope { id, opcode, .. } = self.envelope;
        let mut flags = QR | u16::from(u8::from(opcode)) << 11 | code & 0x0f;
        let mut set = |bit, on| flags |= if on { bit } else { 0 };
        set(AA, head.authoritative);
        set(TC, head.truncated || self.full);
        set(RA, head.recursion_available);
        set(AD, head.authentic_data);
        // As CoreDNS: a NOTIFY is answered like a query, but its RD bit is not copied.
        let copied = self.envelope.recursion_desired && opcode == OpCode::Query;
        set(RD, head.recursion_desired.unwrap_or(copied));
        set(CD, self.envelope.checking_disabled);
        let place = &mut self.out[self.start..self.start + HEADER];
        write_header(place, id, flags, self.counts);
        let message = &self.out[self.start..];
        debug_assert_eq!(skim::size_without_compression(message, false), Some(size));
        size
    }

    /// Adds a record as it is; else as [`Sections::add`].
    pub fn add_record(&mut self, section: Section, record: &Record) -> ControlFlow<()> {
        let head = RecordHead {
            owner: Pieces::name(&record.name),
            class: record.dns_class,
            ttl: record.ttl,
        };
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign enum: the names of every other type are written whole"
        )]
        let data = match &record.data {
            RData::A(a) => Data::Address(a.0.into()),
            RData::AAAA(aaaa) => Data::Address(aaaa.0.into()),
            RData::CNAME(name) => Data::Alias(Pieces::name(name)),
            RData::NS(name) => Data::Server(Pieces::name(name)),
            RData::PTR(name) => Data::Pointer(Pieces::name(name)),
            RData::SOA(soa) => Data::Authority {
                mname: Pieces::name(&soa.mname),
                rname: Pieces::name(&soa.rname),
                numbers: [
                    soa.serial,
                    soa.refresh.cast_unsigned(),
                    soa.retry.cast_unsigned(),
                    soa.expire.cast_unsigned(),
                    soa.minimum,
                ],
            },
            RData::MX(mx) => {
                return self.record(section, head, RecordType::MX, |wire| {
                    wire.octets(&mx.preference.to_be_bytes());
                    wire.name(Pieces::name(&mx.exchange), Naming::Compressed)
                });
            }
            RData::SRV(srv) => {
                return self.record(section, head, RecordType::SRV, |wire| {
                    for number in [srv.priority, srv.weight, srv.port] {
                        wire.octets(&number.to_be_bytes());
                    }
                    // RFC 2782: no compression here.
                    wire.name(Pieces::name(&srv.target), Naming::Whole)
                });
            }
            other => {
                let mut octets = Vec::new();
                let mut encoder = BinEncoder::new(&mut octets);
                encoder.set_name_encoding(NameEncoding::Uncompressed);
                if other.emit(&mut encoder).is_err() {
                    return ControlFlow::Continue(());
                }
                return self.record(section, head, record.record_type(), |wire| {
                    wire.out.extend_from_slice(&octets);
                    true
                });
            }
        };
        self.data(section, head, data)
    }

    /// Adds addresses of the question's own name: nearly every record of nearly every reply is one.
    fn own_addresses(&mut self, ttl: u32, ips: Ips<'_>) -> ControlFlow<()> {
        let name = self.envelope.question.qname.typed().len();
        let owner = (POINTER_TO_QUESTION, name - POINTER_TO_QUESTION.len());
        self.addresses_at(owner, ttl, ips)
    }

    /// Adds addresses of another name: the first record has it, the others point there.
    fn others_addresses(&mut self, owner: Pieces<'_>, ttl: u32, ips: Ips<'_>) -> ControlFlow<()> {
        let (at, saved) = (self.out.len(), self.saved);
        let size = match ips {
            Ips::V4(_) => 4,
            Ips::V6(_) => 16,
        };
        let first = ips.len().min(1);
        each_address(self, owner, ttl, ips.slice(0..first))?;
        let rest = ips.slice(first..ips.len());
        let Some(name) = (self.out.len() - at).checked_sub(OWN_HEAD - 2 + size) else {
            // There was none, or its owner is no name.
            return ControlFlow::Continue(());
        };
        let written = &self.out[at..at + name];
        let pointer = match <[u8; 2]>::try_from(written) {
            Ok(pointer) if pointer[0] >= compress::POINTER => Some(pointer),
            _ => compress::pointer_to(at - self.start),
        };
        let Some(pointer) = pointer else {
            return each_address(self, owner, ttl, rest);
        };
        let owner = (pointer, name + self.saved - saved - pointer.len());
        self.addresses_at(owner, ttl, rest)
    }

    /// Adds addresses of a name that stands elsewhere: the pointer to it, and how much longer the name is.
    fn addresses_at(&mut self, owner: ([u8; 2], usize), ttl: u32, ips: Ips<'_>) -> ControlFlow<()> {
        match ips {
            Ips::V4(ips) => {
                let ips = ips.iter().map(Ipv4Addr::octets);
                self.octets_at(owner, (RecordType::A, ttl), ips)
            }
            Ips::V6(ips) => {
                let ips = ips.iter().map(Ipv6Addr::octets);
                self.octets_at(owner, (RecordType::AAAA, ttl), ips)
            }
        }
    }

    /// The same with the octets of each.
    fn octets_at<const N: usize>(
        &mut self,
        (pointer, saved): ([u8; 2], usize),
        (rtype, ttl): (RecordType, u32),
        ips: impl ExactSizeIterator<Item = [u8; N]>,
    ) -> ControlFlow<()> {
        let mut head = [0; OWN_HEAD];
        head[..2].copy_from_slice(&pointer);
        head[2..4].copy_from_slice(&u16::from(rtype).to_be_bytes());
        head[4..6].copy_from_slice(&u16::from(DNSClass::IN).to_be_bytes());
        head[6..10].copy_from_slice(&ttl.to_be_bytes());
        head[10..].copy_from_slice(&u16::try_from(N).unwrap_or_default().to_be_bytes());
        let (all, size, at) = (ips.len(), OWN_HEAD + N, self.out.len());
        let fit = if self.full {
            0
        } else {
            all.min(self.end.saturating_sub(at) / size)
        };
        self.out.resize(at + fit * size, 0);
        for (record, ip) in self.out[at..].chunks_exact_mut(size).zip(ips) {
            record[..OWN_HEAD].copy_from_slice(&head);
            record[OWN_HEAD..].copy_from_slice(&ip);
        }
        self.saved += fit * saved;
        // A message has at most 65,535 octets, so fewer records.
        self.counts[Section::Answer as usize] += u16::try_from(fit).unwrap_or_default();
        self.full |= fit < all;
        if self.full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Whether it is the question's name, and can be pointed at.
    fn is_own(&self, owner: Pieces<'_>) -> bool {
        let is_own = matches!((owner.left, owner.right), ([], Right::Question(0)));
        is_own && !self.envelope.question.qname.is_empty()
    }

    fn data(&mut self, section: Section, head: RecordHead<'_>, data: Data<'_>) -> ControlFlow<()> {
        if (section, head.class) == (Section::Answer, DNSClass::IN) && self.is_own(head.owner) {
            match data {
                Data::Address(IpAddr::V4(ip)) => {
                    return self.own_addresses(head.ttl, Ips::V4(&[ip]));
                }
                Data::Address(IpAddr::V6(ip)) => {
                    return self.own_addresses(head.ttl, Ips::V6(&[ip]));
                }
                Data::Alias(_)
                | Data::Server(_)
                | Data::Pointer(_)
                | Data::Service { .. }
                | Data::Authority { .. }
                | Data::Text(_) => {}
            }
        }
        let rtype = data.record_type();
        self.record(section, head, rtype, |wire| match data {
            Data::Address(IpAddr::V4(v4)) => wire.octets(&v4.octets()),
            Data::Address(IpAddr::V6(v6)) => wire.octets(&v6.octets()),
            Data::Alias(name) | Data::Server(name) => wire.name(name, Naming::Compressed),
            Data::Pointer(name) => wire.name(name, Naming::Distinct),
            Data::Service {
                weight,
                port,
                target,
            } => {
                let [[w0, w1], [p0, p1]] = [weight, port].map(u16::to_be_bytes);
                wire.octets(&[0, 0, w0, w1, p0, p1]);
                // RFC 2782: no compression here.
                wire.name(target, Naming::Whole)
            }
            Data::Authority {
                mname,
                rname,
                numbers,
            } => {
                let named = wire.end_name(mname) && wire.end_name(rname);
                let mut octets = [0; 20];
                for (place, number) in octets.chunks_exact_mut(4).zip(numbers) {
                    place.copy_from_slice(&number.to_be_bytes());
                }
                wire.octets(&octets);
                named
            }
            Data::Text(text) => {
                wire.out.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
                wire.octets(&text[..text.len().min(usize::from(u8::MAX))])
            }
        })
    }

    /// Adds a record whose data are written by `data`, which says whether they can be.
    fn record(
        &mut self,
        section: Section,
        head: RecordHead<'_>,
        rtype: RecordType,
        data: impl FnOnce(&mut Self) -> bool,
    ) -> ControlFlow<()> {
        if self.full {
            return ControlFlow::Break(());
        }
        let mark = (self.out.len(), self.offsets.len(), self.saved);
        let mut written = self.name(head.owner, Naming::Compressed);
        let mut fixed = [0; 10];
        fixed[..2].copy_from_slice(&u16::from(rtype).to_be_bytes());
        fixed[2..4].copy_from_slice(&u16::from(head.class).to_be_bytes());
        fixed[4..8].copy_from_slice(&head.ttl.to_be_bytes());
        self.out.extend_from_slice(&fixed);
        let length = self.out.len() - 2;
        written &= data(self);
        let size = self.out.len() - length - 2;
        self.full = written && self.out.len() > self.end;
        if !written || self.full {
            self.out.truncate(mark.0);
            self.offsets.truncate(mark.1);
            self.saved = mark.2;
        } else {
            let size = u16::try_from(size).unwrap_or_default();
            self.out[length..length + 2].copy_from_slice(&size.to_be_bytes());
            self.counts[section as usize] += 1;
        }
        if self.full {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Writes a name of which nobody looks for its parts again: an SOA is a message's last record, or its only one.
    fn end_name(&mut self, name: Pieces<'_>) -> bool {
        let question = &self.envelope.question.qname;
        let Right::Question(skipped) = name.right else {
            return self.name(name, Naming::Compressed);
        };
        let labels: usize = name.left.iter().map(|label| label.len() + 1).sum();
        if labels + question.typed().len() - question.offset(skipped) > MAX_NAME {
            return false;
        }
        for label in name.left {
            compress::write_label(self.out, label);
        }
        self.saved += compress::end_of_question(self.out, skipped, question);
        true
    }

    /// Writes a name; `false`: no message can hold it.
    fn name(&mut self, name: Pieces<'_>, naming: Naming) -> bool {
        let question = &self.envelope.question.qname;
        if let ([], Right::Question(skipped), Naming::Compressed) = (name.left, name.right, naming)
        {
            self.saved += compress::end_of_question(self.out, skipped, question);
            return true;
        }
        let mut labels = Labels::new();
        let name = match name.right {
            Right::Question(skipped) => Ending::of(name.left, skipped, question),
            Right::Name(right) => {
                labels.extend_from_slice(name.left);
                labels.extend(right.iter());
                Ending::of(&labels, question.len(), question)
            }
        };
        if !name.is_name(question) {
            return false;
        }
        match naming {
            Naming::Compressed | Naming::Distinct => {
                let distinct = usize::from(matches!(naming, Naming::Distinct));
                self.saved +=
                    self.offsets
                        .compressed(self.out, self.start, (&name, distinct), question);
            }
            Naming::Whole => self.offsets.whole(self.out, self.start, &name, question),
        }
        true
    }

    fn octets(&mut self, octets: &[u8]) -> bool {
        self.out.extend_from_slice(octets);
        true
    }
}

/// Writes a header with one question; `counts`: of answers, authorities, additionals.
pub(super) fn write_header(place: &mut [u8], id: u16, flags: u16, counts: [u16; 3]) {
    let [answers, authorities, additionals] = counts;
    let fields = [id, flags, 1, answers, authorities, additionals];
    for (field, value) in place.chunks_exact_mut(2).zip(fields) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

pub(super) fn write_question(out: &mut Vec<u8>, question: &Question) {
    out.extend_from_slice(question.qname.typed());
    out.extend_from_slice(&u16::from(question.qtype).to_be_bytes());
    out.extend_from_slice(&u16::from(question.qclass).to_be_bytes());
}

/// Writes an OPT record: version 0, size and DO of `edns`, the upper bits of the response code (RFC 6891 section 6.1.3).
pub(super) fn write_opt(
    out: &mut Vec<u8>,
    edns: Edns,
    code: u16,
    options: &[u8],
    error: Option<ExtendedError<'_>>,
) {
    let length = error.map_or(0, |error| error.text.len());
    let data = options.len() + error.map_or(0, |_| ERROR_HEAD + length);
    let flags = if edns.dnssec_ok { DO } else { 0 };
    let head = [
        u16::from(RecordType::OPT),
        edns.udp_size,
        code >> 4 << 8,
        flags,
    ];
    out.push(0);
    let size = |octets| u16::try_from(octets).unwrap_or_default();
    for field in head.into_iter().chain([size(data)]) {
        out.extend_from_slice(&field.to_be_bytes());
    }
    out.extend_from_slice(options);
    if let Some(ExtendedError { code, text }) = error {
        for field in [EXTENDED_ERROR, size(length + 2), code] {
            out.extend_from_slice(&field.to_be_bytes());
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// How a name is written.
#[derive(Clone, Copy)]
enum Naming {
    Compressed,
    /// Compressed but for its first label: no other name of the message is the same.
    Distinct,
    Whole,
}

/// What stands before a record's data.
#[derive(Clone, Copy)]
struct RecordHead<'a> {
    owner: Pieces<'a>,
    class: DNSClass,
    ttl: u32,
}

impl Sections for Wire<'_, '_> {
    fn add(
        &mut self,
        section: Section,
        owner: Pieces<'_>,
        ttl: u32,
        data: Data<'_>,
    ) -> ControlFlow<()> {
        let class = DNSClass::IN;
        self.data(section, RecordHead { owner, class, ttl }, data)
    }

    fn add_addresses(&mut self, owner: Pieces<'_>, ttl: u32, ips: Ips<'_>) -> ControlFlow<()> {
        if self.is_own(owner) {
            self.own_addresses(ttl, ips)
        } else {
            self.others_addresses(owner, ttl, ips)
        }
    }
}
