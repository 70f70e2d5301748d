//! Requests: the header first, and only what passes it is read. Nearly every request is one question, with or without a
//! plain OPT record, and is read here; what is anything more goes to hickory-proto.

use std::sync::Arc;

use hickory_proto::op::{Message, OpCode, ResponseCode};

use super::question::{DNSClass, Edns, Query, Question, RecordType, Route, Transport};
use super::record::RData;
use super::tsig::{self, Signed};
use super::{HEADER, options, skim};
use crate::name::Qname;

/// What a packet turns out to be.
#[derive(Debug)]
pub enum Screened {
    /// Not a request: no reply (a reply to a reply would be a loop).
    Ignore,
    /// An error; this is the whole reply.
    Error(Vec<u8>),
    /// A query of EDNS version other than 0 (RFC 6891 section 6.1.3).
    BadVersion(Query),
    /// A query.
    Query(Query),
}

const QR: u8 = 0x80;

/// The operation code, of which a query has none, in a header's third octet (RFC 1035 section 4.1.1).
const OPCODE: u8 = 0x78;
const RD: u8 = 0x01;
const CD: u8 = 0x10;
const AD: u8 = 0x20;

/// DNSSEC OK, in the first octet of an OPT record's flags (RFC 3225 section 3).
const DO: u8 = 0x80;

/// Reads a packet.
///
/// Fewer than 12 octets and QR=1 are ignored; an opcode other than QUERY and NOTIFY is NOTIMP; QDCOUNT other than 1
/// (RFC 9619), sections that no query has, and a body that cannot be read are FORMERR.
#[must_use]
pub fn screen(packet: &[u8], transport: Transport, route: Route) -> Screened {
    if packet.len() < HEADER || packet[2] & QR != 0 {
        return Screened::Ignore;
    }
    let count = |i: usize| u16::from_be_bytes([packet[i], packet[i + 1]]);
    let opcode = OpCode::from_u8(packet[2] >> 3 & 0x0f);
    if !matches!(opcode, OpCode::Query | OpCode::Notify) {
        return Screened::Error(bare(packet, ResponseCode::NotImp));
    }
    if count(4) != 1 || count(6) > 1 || count(8) > 1 || count(10) > 2 {
        return Screened::Error(bare(packet, ResponseCode::FormErr));
    }
    let body = match (count(6), count(8), count(10)) {
        (0, 0, additionals @ 0..=1) => plain(&packet[HEADER..], additionals == 1),
        _ => None,
    };
    let mut tsig = None;
    let body = body.or_else(|| {
        let (signed, bare) = match signature(packet) {
            Signature::None => return decoded(packet),
            Signature::Misplaced => return None,
            Signature::Last(signed, bare) => (*signed, bare),
        };
        tsig = Some(Arc::new(signed));
        let with_opt = bare[11] == 1;
        let body = plain(&bare[HEADER..], with_opt).filter(|_| bare[6..11] == [0; 5]);
        body.or_else(|| decoded(&bare))
    });
    let Some(body) = body else {
        return Screened::Error(bare(packet, ResponseCode::FormErr));
    };
    let query = Query {
        question: body.question,
        id: count(0),
        opcode,
        recursion_desired: packet[2] & RD != 0,
        checking_disabled: packet[3] & CD != 0,
        authentic_data: packet[3] & AD != 0,
        edns: body.edns.map(|(edns, _)| edns),
        options: body.options,
        has_cookie: false,
        transport,
        route,
        size: packet.len(),
        ixfr_serial: body.serial,
        tsig,
        metadata: None,
    };
    if body.edns.is_some_and(|(_, version)| version != 0) {
        Screened::BadVersion(query)
    } else {
        Screened::Query(query)
    }
}

/// Reads a plain query over UDP into this one, whose room is used again: one question, no flags but RD, AD and CD, and
/// nothing else but an OPT record of version 0. `false`: the packet is anything else, and what was read of it counts for
/// nothing.
pub fn read_plain(query: &mut Query, packet: &[u8], route: Route) -> bool {
    let Some((header, body)) = packet.split_first_chunk::<HEADER>() else {
        return false;
    };
    let [i0, i1, high, low, 0, 1, 0, 0, 0, 0, 0, opts @ 0..=1] = *header else {
        return false;
    };
    if high & !RD != 0 || low & !(AD | CD) != 0 || !query.question.qname.read_again(body) {
        return false;
    }
    let Some((kind, rest)) = body[query.question.qname.typed().len()..].split_first_chunk::<4>()
    else {
        return false;
    };
    let Some(opt) = opt(rest, opts == 1) else {
        return false;
    };
    if opt.is_some_and(|(_, version, _)| version != 0) {
        return false;
    }
    let [qtype, qclass] = [[kind[0], kind[1]], [kind[2], kind[3]]].map(u16::from_be_bytes);
    query.question.qtype = RecordType::from(qtype);
    query.question.qclass = DNSClass::from(qclass);
    query.id = u16::from_be_bytes([i0, i1]);
    query.recursion_desired = high & RD != 0;
    query.checking_disabled = low & CD != 0;
    query.authentic_data = low & AD != 0;
    query.edns = opt.map(|(edns, ..)| edns);
    query.options.clear();
    query
        .options
        .extend_from_slice(opt.map_or(&[], |(.., options)| options));
    query.route = route;
    query.size = packet.len();
    true
}

/// An OPT record, where there is to be one: what it says, its version and its options. `None`: it is more than that, or
/// less.
fn opt(rest: &[u8], is_there: bool) -> Option<Option<(Edns, u8, &[u8])>> {
    match (rest, is_there) {
        ([], false) => Some(None),
        // The root, OPT, size, upper bits of a response code, version, flags, length (RFC 6891 section 6.1.2).
        (
            &[
                0,
                0,
                41,
                s0,
                s1,
                _,
                version,
                flags,
                _,
                l0,
                l1,
                ref options @ ..,
            ],
            true,
        ) => {
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            if options.len() != length || !options::are_whole(options) {
                return None;
            }
            let edns = Edns {
                udp_size: u16::from_be_bytes([s0, s1]),
                dnssec_ok: flags & DO != 0,
            };
            Some(Some((edns, version, options)))
        }
        _ => None,
    }
}

/// What follows the header.
#[derive(Debug, PartialEq)]
struct Body {
    question: Question,
    /// With its version.
    edns: Option<(Edns, u8)>,
    /// Of that record, whole.
    options: Vec<u8>,
    /// Of the SOA that a client sends who asks for what has changed.
    serial: Option<u32>,
}

/// A body of one question, and an OPT record where there is to be one; `None`: it is anything more, or worse.
fn plain(body: &[u8], with_opt: bool) -> Option<Body> {
    let qname = Qname::read(body)?;
    let (kind, rest) = body[qname.typed().len()..].split_first_chunk::<4>()?;
    let [qtype, qclass] = [[kind[0], kind[1]], [kind[2], kind[3]]].map(u16::from_be_bytes);
    let opt = opt(rest, with_opt)?;
    let (edns, options) = match opt {
        Some((edns, version, options)) => (Some((edns, version)), options),
        None => (None, &[][..]),
    };
    Some(Body {
        question: Question {
            qname,
            qtype: RecordType::from(qtype),
            qclass: DNSClass::from(qclass),
        },
        edns,
        options: options.to_vec(),
        serial: None,
    })
}

/// What a packet says of its signature.
enum Signature {
    None,
    /// It is not the last record (RFC 8945 section 5.1).
    Misplaced,
    /// What it says, and the packet without it.
    Last(Box<Signed>, Vec<u8>),
}

fn signature(packet: &[u8]) -> Signature {
    let places = skim::places(packet).unwrap_or_default();
    let Some((last, others)) = places.split_last() else {
        return Signature::None;
    };
    let is_one = |place: &skim::Place| place.rtype == tsig::TSIG;
    if others.iter().any(is_one) {
        return Signature::Misplaced;
    }
    let is_last = is_one(last) && last.section == 2 && last.end == packet.len();
    let taken_off = is_last.then(|| tsig::take_off(packet, (last.start, last.data)));
    match taken_off.flatten() {
        Some((signed, bare)) => Signature::Last(Box::new(signed), bare),
        None => Signature::None,
    }
}

/// A body of any kind; `None` where it cannot be read.
fn decoded(packet: &[u8]) -> Option<Body> {
    let message = Message::from_vec(packet).ok()?;
    let asked = message.queries.first()?;
    let edns = message.edns.as_ref().map(|edns| {
        let version = edns.version();
        let edns = Edns {
            udp_size: edns.max_payload(),
            dnssec_ok: edns.flags().dnssec_ok,
        };
        (edns, version)
    });
    Some(Body {
        question: Question {
            qname: asked.name().into(),
            qtype: asked.query_type(),
            qclass: asked.query_class(),
        },
        edns,
        options: Vec::new(),
        serial: message.authorities.iter().find_map(|record| {
            if let RData::SOA(soa) = &record.data {
                Some(soa.serial)
            } else {
                None
            }
        }),
    })
}

/// An error reply of the header alone: id, opcode and RD of the request.
fn bare(packet: &[u8], rcode: ResponseCode) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&packet[..2]);
    reply[2] = QR | packet[2] & 0x79;
    reply[3] = rcode.low();
    reply
}

/// SERVFAIL as a header alone, for a request that nothing else can be said of; empty where the packet has no header.
#[must_use]
pub fn servfail(packet: &[u8]) -> Vec<u8> {
    if packet.len() < HEADER {
        return Vec::new();
    }
    bare(packet, ResponseCode::ServFail)
}

/// What came where a reply was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// The reply.
    Reply,
    /// It has the request's id, and another question or none, or is a reply to something else than a query.
    Unusable,
    /// It has the request's id, and cannot be read.
    Unreadable,
    /// Something else: no reply, or of another id.
    Other,
}

/// What `wire` is to somebody who asked this question with this id.
#[must_use]
pub fn receive(wire: &[u8], id: u16, question: &Question) -> Received {
    if wire.len() < HEADER || wire[..2] != id.to_be_bytes() || wire[2] & QR == 0 {
        return Received::Other;
    }
    if !skim::is_sound(wire) {
        return Received::Unreadable;
    }
    let echoed = Qname::read(&wire[HEADER..]).and_then(|qname| {
        let rest = wire.get(HEADER + qname.typed().len()..)?;
        let (kind, _) = rest.split_first_chunk::<4>()?;
        let [qtype, qclass] = [[kind[0], kind[1]], [kind[2], kind[3]]].map(u16::from_be_bytes);
        Some(Question {
            qname,
            qtype: RecordType::from(qtype),
            qclass: DNSClass::from(qclass),
        })
    });
    let is_of_query = wire[2] & OPCODE == 0;
    if is_of_query && wire[4..6] == [0, 1] && echoed.as_ref() == Some(question) {
        Received::Reply
    } else {
        Received::Unusable
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    /// Packets near a query with an OPT record: octets changed, cut, added.
    fn near(rng: &mut StdRng) -> Vec<u8> {
        let mut packet = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x01\x03Web\x02ns\x03svc\x00\x00\x01\x00\x01\
            \x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x0c\x00\x0a\x00\x08\x01\x02\x03\x04\x05\x06\x07\x08"
            .to_vec();
        for _ in 0..rng.random_range(0..3) {
            let at = rng.random_range(HEADER..packet.len());
            packet[at] = [rng.random(), rng.random_range(0..16)][rng.random_range(0..2)];
        }
        match rng.random_range(0..8) {
            0 => packet.truncate(rng.random_range(HEADER..packet.len())),
            1 => packet.push(rng.random()),
            2 => packet[11] = 0,
            _ => {}
        }
        packet
    }

    #[test]
    fn what_is_read_here_is_what_hickory_proto_reads() {
        let mut rng = StdRng::seed_from_u64(12);
        let (mut read, mut left) = (0, 0);
        for _ in 0..200_000 {
            let packet = near(&mut rng);
            match plain(&packet[HEADER..], packet[11] == 1) {
                Some(mut body) => {
                    // hickory-proto raises sizes, keeps options elsewhere, and refuses some that are whole.
                    if let Some((edns, _)) = &mut body.edns {
                        edns.udp_size = edns.udp_size.max(512);
                    }
                    let options = std::mem::take(&mut body.options);
                    let whole = decoded(&packet);
                    assert!(whole == Some(body) || whole.is_none() && !options.is_empty());
                    read += 1;
                }
                None => left += 1,
            }
        }
        assert!(read > 20_000 && left > 20_000, "{read} {left}");
    }

    #[test]
    fn a_signature_that_is_not_the_last_record_is_an_error_of_form() {
        let mut packet =
            b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x02\x01a\x00\x00\x01\x00\x01".to_vec();
        // A TSIG record without anything in it (RFC 8945 section 4.2), and an address behind it.
        packet.extend(b"\x01k\x00\x00\xfa\x00\xff\x00\x00\x00\x00\x00\x00");
        packet.extend(b"\x01a\x00\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x0a\x00\x00\x01");
        let route = Route::new("127.0.0.1:1".parse().unwrap(), None);
        let screened = screen(&packet, Transport::Udp, route);
        assert!(
            matches!(&screened, Screened::Error(reply) if reply[3] == 1),
            "{screened:?}"
        );
    }
}
