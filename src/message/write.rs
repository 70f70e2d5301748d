//! Messages put together: replies, transfers, questions to upstreams, and what an upstream said cut to size.

use hickory_proto::op::ResponseCode;

use super::question::{Edns, Query, Question, RecordType};
use super::record::Record;
use super::reply::{Composed, Said};
use super::sections::Section;
use super::wire::{
    AD, CD, Envelope, ExtendedError, Head, Offsets, RD, Wire, limit, write_header, write_opt,
    write_question,
};
use super::{HEADER, PLAIN_UDP_SIZE, UDP_SIZE, skim};
use crate::name::Name;

/// TC, in the first octet of a header's flags (RFC 1035 section 4.1.1).
const TC: u8 = 0x02;

/// The reply to `query` that `fill` writes; `error`: what its OPT record says, where it has one.
pub fn message<'q>(
    query: impl Into<Envelope<'q>>,
    error: Option<ExtendedError<'_>>,
    fill: impl FnOnce(&mut Wire<'_, '_>) -> Head,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(usize::from(PLAIN_UDP_SIZE));
    let _size = append(&mut out, &mut Offsets::default(), query, error, fill);
    out
}

/// The same behind what stands in `out`; `offsets` are for this message, and may be of another before. Returns the
/// message's size as [`Wire::end`] does.
pub fn append<'q>(
    out: &mut Vec<u8>,
    offsets: &mut Offsets,
    query: impl Into<Envelope<'q>>,
    error: Option<ExtendedError<'_>>,
    fill: impl FnOnce(&mut Wire<'_, '_>) -> Head,
) -> usize {
    let mut wire = Wire::begin(out, offsets, query.into(), error);
    let head = fill(&mut wire);
    wire.end(head)
}

/// The reply to `query`, as far as it fits.
#[must_use]
pub fn encode(query: &Query, reply: &Composed) -> Vec<u8> {
    let mut envelope = Envelope::from(query);
    envelope.question = reply.question.as_ref().unwrap_or(envelope.question);
    envelope.edns = reply.edns.or(envelope.edns);
    message(envelope, reply.error.as_ref().map(Said::borrow), |wire| {
        let sections = [
            (Section::Answer, &reply.answer),
            (Section::Authority, &reply.authority),
            (Section::Additional, &reply.additional),
        ];
        for (section, records) in sections {
            // What does not fit is left out, which the message says.
            let _full = records
                .iter()
                .try_for_each(|record| wire.add_record(section, record));
        }
        reply.head()
    })
}

/// A message of a zone transfer (RFC 5936 section 2.2).
#[must_use]
pub fn encode_transfer(query: &Query, records: &[Record], authoritative: bool) -> Vec<u8> {
    message(query, None, |wire| {
        let _full = records
            .iter()
            .try_for_each(|record| wire.add_record(Section::Answer, record));
        Head {
            authoritative,
            ..Head::of(ResponseCode::NoError)
        }
    })
}

/// The reply to a query of an EDNS version that is not spoken: BADVERS, version 0, DO copied (RFC 6891 section 6.1.3).
#[must_use]
pub fn bad_version(query: &Query) -> Vec<u8> {
    let edns = query.edns.map(|edns| Edns {
        udp_size: UDP_SIZE,
        ..edns
    });
    let query = Query {
        edns,
        ..query.clone()
    };
    message(&query, None, |_| Head::of(ResponseCode::BADVERS))
}

/// A client's question to an upstream, as the client asks it: flags, EDNS size and options.
#[must_use]
pub fn encode_query(id: u16, query: &Query) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    write_question(&mut out, &query.question);
    if let Some(edns) = query.edns {
        write_opt(&mut out, edns, 0, &query.options, None);
    }
    let set = |bit, on| if on { bit } else { 0 };
    let flags = set(RD, query.recursion_desired)
        | set(CD, query.checking_disabled)
        | set(AD, query.authentic_data);
    let counts = [0, 0, u16::from(query.edns.is_some())];
    write_header(&mut out[..HEADER], id, flags, counts);
    out
}

/// NOTIFY and AA, in a header's flags (RFC 1996 section 3.7).
const NOTIFY: u16 = 0x2400;

/// The message that a zone has changed (RFC 1996 section 3.7).
#[must_use]
pub fn encode_notify(id: u16, apex: &Name) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    write_question(&mut out, &Question::new(apex, RecordType::SOA));
    write_header(&mut out[..HEADER], id, NOTIFY, [0; 3]);
    out
}

/// The question for what is new in a zone since a serial, which its authority section says (RFC 1995 section 3).
#[must_use]
pub fn encode_ixfr(id: u16, question: &Question, serial: u32) -> Vec<u8> {
    let mut out = vec![0; HEADER];
    write_question(&mut out, question);
    // Its owner is the question's name; of its data only the serial counts.
    out.extend([0xc0, 12]);
    out.extend(u16::from(RecordType::SOA).to_be_bytes());
    out.extend([0, 1, 0, 0, 0, 0, 0, 22, 0, 0]);
    out.extend(serial.to_be_bytes());
    out.extend([0; 16]);
    write_header(&mut out[..HEADER], id, 0, [0, 1, 0]);
    out
}

/// Whether a message is a reply with that id.
#[must_use]
pub fn is_reply_to(wire: &[u8], id: u16) -> bool {
    wire.len() >= HEADER && wire[..2] == id.to_be_bytes() && wire[2] & 0x80 != 0
}

/// The same, and without an error.
#[must_use]
pub fn is_accepted(wire: &[u8], id: u16) -> bool {
    is_reply_to(wire, id) && wire[3] & 0x0f == 0
}

/// The response code of a reply, without its upper bits; SERVFAIL where it has none.
#[must_use]
pub fn rcode_of(wire: &[u8]) -> ResponseCode {
    ResponseCode::from(0, wire.get(3).copied().unwrap_or(2) & 0x0f)
}

/// A whole message of an upstream as the reply to `query`: its id, and its name as this client typed it.
#[must_use]
pub fn addressed(query: &Query, mut wire: Vec<u8>) -> Vec<u8> {
    if let Some(id) = wire.get_mut(..2) {
        id.copy_from_slice(&query.id.to_be_bytes());
    }
    let typed = query.question.qname.typed();
    if let Some(echoed) = wire.get_mut(HEADER..HEADER + typed.len())
        && echoed.eq_ignore_ascii_case(typed)
    {
        echoed.copy_from_slice(typed);
    }
    wire
}

/// Messages up to so many octets are written anew with their names compressed, after which they may fit; reading larger ones
/// takes longer than that is worth.
const WORTH_READING: usize = 4096;

/// Cuts a whole message to what the client takes: as many records as fit, its OPT record always, and TC; one that fits is
/// left as it is.
#[must_use]
pub fn truncate(query: &Query, wire: Vec<u8>) -> Vec<u8> {
    let limit = usize::from(limit(query.transport, query.edns));
    if wire.len() <= limit {
        return wire;
    }
    let Some(places) = skim::places(&wire) else {
        let reply = Composed {
            truncated: true,
            ..Composed::empty(ResponseCode::NoError)
        };
        return encode(query, &reply);
    };
    if wire.len() <= WORTH_READING
        && let Some(reply) = Composed::read(&wire)
    {
        let mut again = encode(query, &reply);
        // Flags are the upstream's; TC is said where records had to go.
        let high = wire[2] | again[2] & TC;
        again[2..4].copy_from_slice(&[high, wire[3]]);
        return again;
    }
    let (opts, records): (Vec<_>, Vec<_>) = places
        .into_iter()
        .partition(|place| place.rtype == skim::OPT);
    let opt = opts.first().map(|opt| wire[opt.start..opt.end].to_vec());
    let opt = opt.unwrap_or_default();
    let fits = |place: &&skim::Place| place.end + opt.len() <= limit;
    let kept: Vec<_> = records.iter().take_while(fits).collect();
    let first = records.first().map_or(wire.len(), |place| place.start);
    // Names point back only: what stands before the cut is whole.
    let end = kept.last().map_or(first, |place| place.end);
    let mut counts = [0_u16; 3];
    kept.iter().for_each(|place| counts[place.section] += 1);
    counts[2] += u16::from(!opts.is_empty());
    let is_behind = opts.first().is_some_and(|opt| opt.start >= end);
    let mut cut = wire;
    cut.truncate(end);
    if is_behind {
        cut.extend(opt);
    }
    cut[2] |= TC;
    for (place, count) in cut[6..HEADER].chunks_exact_mut(2).zip(counts) {
        place.copy_from_slice(&count.to_be_bytes());
    }
    cut
}

/// The response codes by the names that Go's tools, and so CoreDNS's files and logs, have for them.
const RCODES: &[(&str, ResponseCode)] = &[
    ("NOERROR", ResponseCode::NoError),
    ("FORMERR", ResponseCode::FormErr),
    ("SERVFAIL", ResponseCode::ServFail),
    ("NXDOMAIN", ResponseCode::NXDomain),
    ("NOTIMP", ResponseCode::NotImp),
    ("REFUSED", ResponseCode::Refused),
    ("YXDOMAIN", ResponseCode::YXDomain),
    ("YXRRSET", ResponseCode::YXRRSet),
    ("NXRRSET", ResponseCode::NXRRSet),
    ("NOTAUTH", ResponseCode::NotAuth),
    ("NOTZONE", ResponseCode::NotZone),
    ("DSOTYPENI", ResponseCode::Unknown(11)),
    ("BADSIG", ResponseCode::BADVERS),
    ("BADKEY", ResponseCode::BADKEY),
    ("BADTIME", ResponseCode::BADTIME),
    ("BADMODE", ResponseCode::BADMODE),
    ("BADNAME", ResponseCode::BADNAME),
    ("BADALG", ResponseCode::BADALG),
    ("BADTRUNC", ResponseCode::BADTRUNC),
    ("BADCOOKIE", ResponseCode::BADCOOKIE),
    // Behind the other: nobody writes it so.
    ("NOTIMPL", ResponseCode::NotImp),
];

/// The response code of that name, in any case.
#[must_use]
pub fn rcode_named(name: &str) -> Option<ResponseCode> {
    let mut named = RCODES
        .iter()
        .filter(|(known, _)| known.eq_ignore_ascii_case(name));
    named.next().map(|(_, rcode)| *rcode)
}

/// The rcode as the registry writes it.
#[must_use]
pub fn rcode_name(rcode: ResponseCode) -> String {
    let named = RCODES.iter().find(|(_, known)| *known == rcode);
    named.map_or_else(
        || format!("RCODE{}", u16::from(rcode)),
        |(name, _)| (*name).to_owned(),
    )
}
