//! Replies: as many whole records as fit, the OPT record always (RFC 6891 section 7), TC where something was left out.

use hickory_proto::ProtoError;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};

use super::{HEADER, PLAIN_UDP_SIZE, UDP_SIZE};
use crate::message::question::{Query, Question, Transport};
use crate::message::record::Record;
use crate::message::reply::{Composed, Reason};

const QR: u16 = 0x8000;
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const CD: u16 = 0x0010;

/// EDNS option of an extended error (RFC 8914 section 2).
const EXTENDED_ERROR: u16 = 15;

/// Extended errors' info codes (RFC 8914 section 4): `Other Error` and `Not Ready`.
const OTHER_ERROR: u16 = 0;
const NOT_READY: u16 = 14;

/// BADVERS is 16: a one in the upper bits, which the OPT record holds (RFC 6891 section 6.1.3).
const BADVERS_HIGH: u8 = 1;

/// What goes into a message.
struct Parts<'a> {
    id: u16,
    flags: u16,
    question: &'a Question,
    sections: [&'a [Record]; 3],
    opt: Option<hickory_proto::op::Edns>,
    limit: u16,
}

/// Encodes the reply to `query`.
///
/// # Errors
/// A record that cannot be written, such as a name over 255 octets.
pub fn encode(query: &Query, reply: &Composed) -> Result<Vec<u8>, ProtoError> {
    let mut flags = QR | u16::from(u8::from(query.opcode)) << 11 | u16::from(reply.rcode.low());
    let mut set = |bit, on| flags |= if on { bit } else { 0 };
    set(AA, reply.authoritative);
    set(TC, reply.truncated);
    set(RA, reply.recursion_available);
    // As CoreDNS: a NOTIFY is answered like a query, but its RD bit is not copied.
    set(RD, query.recursion_desired && query.opcode == OpCode::Query);
    set(CD, query.checking_disabled);
    write(&Parts {
        id: query.id,
        flags,
        question: &query.question,
        sections: [&reply.answer, &reply.authority, &reply.additional],
        opt: opt(query, 0, reply.reason.as_ref()),
        limit: limit(query),
    })
}

/// Records of one message of a transfer: whatever they are, these fit into 64 KiB (names have at most 255 octets).
const TRANSFER_CHUNK: usize = 100;

/// Encodes the messages of a zone transfer (RFC 5936 section 2.2).
///
/// # Errors
/// As [`encode`].
pub fn encode_transfer(
    query: &Query,
    records: &[Record],
    authoritative: bool,
) -> Result<Vec<Vec<u8>>, ProtoError> {
    let message = |answer: &[Record]| {
        let reply = Composed {
            authoritative,
            answer: answer.to_vec(),
            ..Composed::empty(ResponseCode::NoError)
        };
        encode(query, &reply)
    };
    records.chunks(TRANSFER_CHUNK).map(message).collect()
}

/// The reply to a query of an EDNS version that is not spoken: BADVERS, version 0, DO copied.
///
/// # Errors
/// As [`encode`].
pub fn bad_version(query: &Query) -> Result<Vec<u8>, ProtoError> {
    let flags = QR | if query.recursion_desired { RD } else { 0 };
    let opt = opt(query, BADVERS_HIGH, None);
    let (id, question) = (query.id, &query.question);
    write(&Parts {
        id,
        flags,
        question,
        sections: [&[]; 3],
        opt,
        limit: limit(query),
    })
}

/// Encodes a question to an upstream, with RD, and with EDNS where the client has it.
///
/// # Errors
/// As [`encode`].
pub fn encode_query(id: u16, query: &Query) -> Result<Vec<u8>, ProtoError> {
    let flags = RD | if query.checking_disabled { CD } else { 0 };
    let opt = opt(query, 0, None);
    write(&Parts {
        id,
        flags,
        question: &query.question,
        sections: [&[]; 3],
        opt,
        limit: u16::MAX,
    })
}

/// A whole message of an upstream as the reply to `query`: its id, and its name as this client typed it.
#[must_use]
pub fn addressed(query: &Query, mut wire: Vec<u8>) -> Vec<u8> {
    if let Some(id) = wire.get_mut(..2) {
        id.copy_from_slice(&query.id.to_be_bytes());
    }
    if let Ok(qname) = query.question.qname.to_bytes()
        && let Some(echoed) = wire.get_mut(HEADER..HEADER + qname.len())
        && echoed.eq_ignore_ascii_case(&qname)
    {
        echoed.copy_from_slice(&qname);
    }
    wire
}

/// Cuts a whole message of an upstream to what the client takes; one that fits is left as it is.
#[must_use]
pub fn truncate(query: &Query, wire: Vec<u8>) -> Vec<u8> {
    if wire.len() <= usize::from(limit(query)) {
        return wire;
    }
    let Ok(message) = Message::from_vec(&wire) else {
        return wire[..HEADER].to_vec();
    };
    let parts = Parts {
        id: query.id,
        flags: u16::from_be_bytes([wire[2], wire[3]]),
        question: &query.question,
        sections: [&message.answers, &message.authorities, &message.additionals],
        opt: opt(query, 0, None),
        limit: limit(query),
    };
    write(&parts).unwrap_or_else(|_| wire[..HEADER].to_vec())
}

/// The size the reply may have, in octets.
fn limit(query: &Query) -> u16 {
    match (query.transport, query.edns) {
        (Transport::Tcp, _) => u16::MAX,
        (Transport::Udp, None) => PLAIN_UDP_SIZE,
        (Transport::Udp, Some(edns)) => edns.udp_size.clamp(PLAIN_UDP_SIZE, UDP_SIZE),
    }
}

/// The reply's OPT record, where the client sent one.
fn opt(query: &Query, rcode_high: u8, reason: Option<&Reason>) -> Option<hickory_proto::op::Edns> {
    let edns = query.edns?;
    let mut opt = hickory_proto::op::Edns::new();
    opt.set_max_payload(UDP_SIZE)
        .set_version(0)
        .set_dnssec_ok(edns.dnssec_ok)
        .set_rcode_high(rcode_high);
    if let Some(reason) = reason {
        let code = if *reason == Reason::NotSynced {
            NOT_READY
        } else {
            OTHER_ERROR
        };
        let mut data = code.to_be_bytes().to_vec();
        data.extend(reason.to_string().bytes());
        opt.options_mut()
            .insert(EdnsOption::Unknown(EXTENDED_ERROR, data));
    }
    Some(opt)
}

fn write(parts: &Parts<'_>) -> Result<Vec<u8>, ProtoError> {
    let opt = parts
        .opt
        .as_ref()
        .map(|opt| Record::from(opt).to_bytes())
        .transpose()?
        .unwrap_or_default();
    let opt_size = u16::try_from(opt.len()).unwrap_or(u16::MAX);
    let mut buffer = Vec::with_capacity(usize::from(parts.limit.min(UDP_SIZE)));
    let mut encoder = BinEncoder::new(&mut buffer);
    for _ in 0..HEADER {
        encoder.emit(0)?;
    }
    // Name, type and class one by one, so that the name is there to be pointed at.
    parts.question.qname.emit(&mut encoder)?;
    parts.question.qtype.emit(&mut encoder)?;
    parts.question.qclass.emit(&mut encoder)?;
    // The encoder writes a name whole before it finds the pointer, so the size is judged after each record.
    let room = usize::from(parts.limit.saturating_sub(opt_size));
    let mut counts = [0u16; 3];
    let mut flags = parts.flags;
    'fill: for (count, section) in counts.iter_mut().zip(parts.sections) {
        for record in section {
            let mark = encoder.offset();
            match record.emit(&mut encoder) {
                Ok(()) if encoder.offset() <= room => *count += 1,
                Ok(()) | Err(ProtoError::MaxBufferSizeExceeded(_)) => {
                    encoder.set_offset(mark);
                    encoder.trim();
                    flags |= TC;
                    break 'fill;
                }
                Err(error) => return Err(error),
            }
        }
    }
    encoder.emit_vec(&opt)?;
    counts[2] += u16::from(!opt.is_empty());
    let header = [parts.id, flags, 1, counts[0], counts[1], counts[2]];
    for (field, value) in buffer.chunks_exact_mut(2).zip(header) {
        field.copy_from_slice(&value.to_be_bytes());
    }
    Ok(buffer)
}

/// The rcode as the registry writes it.
#[must_use]
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: the rest is alike"
)]
pub fn rcode_name(rcode: ResponseCode) -> String {
    match rcode {
        ResponseCode::NoError => "NOERROR".into(),
        ResponseCode::FormErr => "FORMERR".into(),
        ResponseCode::ServFail => "SERVFAIL".into(),
        ResponseCode::NXDomain => "NXDOMAIN".into(),
        ResponseCode::NotImp => "NOTIMP".into(),
        ResponseCode::Refused => "REFUSED".into(),
        other => format!("RCODE{}", u16::from(other)),
    }
}
