//! Requests: the header first, and only what passes it is decoded.

use std::net::SocketAddr;

use hickory_proto::op::{Message, OpCode, ResponseCode};

use super::HEADER;
use crate::message::question::{Edns, Query, Question, Transport};
use crate::message::record::RData;

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

/// Reads a packet.
///
/// Fewer than 12 octets and QR=1 are ignored; an opcode other than QUERY and NOTIFY is NOTIMP; QDCOUNT other than 1
/// (RFC 9619), sections that no query has, and a body that cannot be read are FORMERR.
#[must_use]
pub fn screen(packet: &[u8], transport: Transport, client: SocketAddr) -> Screened {
    if packet.len() < HEADER || packet[2] & QR != 0 {
        return Screened::Ignore;
    }
    let count = |i: usize| u16::from_be_bytes([packet[i], packet[i + 1]]);
    let opcode = packet[2] >> 3 & 0x0f;
    if opcode != u8::from(OpCode::Query) && opcode != u8::from(OpCode::Notify) {
        return Screened::Error(bare(packet, ResponseCode::NotImp));
    }
    if count(4) != 1 || count(6) > 1 || count(8) > 1 || count(10) > 2 {
        return Screened::Error(bare(packet, ResponseCode::FormErr));
    }
    let Ok(message) = Message::from_vec(packet) else {
        return Screened::Error(bare(packet, ResponseCode::FormErr));
    };
    let Some(asked) = message.queries.first() else {
        return Screened::Error(bare(packet, ResponseCode::FormErr));
    };
    let edns = message.edns.as_ref();
    let query = Query {
        question: Question {
            qname: asked.name().clone(),
            qtype: asked.query_type(),
            qclass: asked.query_class(),
        },
        id: message.metadata.id,
        opcode: message.metadata.op_code,
        recursion_desired: message.metadata.recursion_desired,
        checking_disabled: message.metadata.checking_disabled,
        edns: edns.map(|e| Edns {
            udp_size: e.max_payload(),
            dnssec_ok: e.flags().dnssec_ok,
        }),
        transport,
        client,
        size: packet.len(),
        ixfr_serial: message.authorities.iter().find_map(|record| {
            if let RData::SOA(soa) = &record.data {
                Some(soa.serial)
            } else {
                None
            }
        }),
    };
    if edns.is_some_and(|e| e.version() != 0) {
        Screened::BadVersion(query)
    } else {
        Screened::Query(query)
    }
}

/// An error reply of the header alone: id, opcode and RD of the request.
fn bare(packet: &[u8], rcode: ResponseCode) -> Vec<u8> {
    let mut reply = vec![0; HEADER];
    reply[..2].copy_from_slice(&packet[..2]);
    reply[2] = QR | packet[2] & 0x79;
    reply[3] = rcode.low();
    reply
}

/// SERVFAIL of the header alone, for a request that nothing else can be said of; empty where it is none.
#[must_use]
pub fn servfail(packet: &[u8]) -> Vec<u8> {
    if packet.len() < HEADER {
        return Vec::new();
    }
    bare(packet, ResponseCode::ServFail)
}

/// Whether `wire` is a reply to this question with this id.
#[must_use]
pub fn answers(wire: &[u8], id: u16, question: &Question) -> bool {
    if wire.len() < HEADER || wire[..2] != id.to_be_bytes() || wire[2] & QR == 0 {
        return false;
    }
    let Ok(message) = Message::from_vec(wire) else {
        return false;
    };
    // Errors may come without a question (RFC 1035 section 4.1.1 leaves it open).
    message.queries.first().is_none_or(|q| {
        *q.name() == question.qname
            && q.query_type() == question.qtype
            && q.query_class() == question.qclass
    })
}
