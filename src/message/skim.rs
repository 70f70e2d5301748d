//! A message read without being taken apart: where its records stand. What is not looked at stays as it came, to the
//! octet.

use std::ops::Range;

use super::question::{Edns, Query, RecordType};
use super::{HEADER, options};
use crate::name::MAX_NAME;

/// The type of an OPT record (RFC 6891 section 6.1.1).
pub(super) const OPT: u16 = 41;

/// DNSSEC OK, in the third octet of an OPT record's TTL (RFC 3225 section 3).
const DO: u8 = 0x80;

/// Where a record stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0: answer, 1: authority, 2: additional.
    pub section: usize,
    /// Where its owner begins.
    pub start: usize,
    /// Its type.
    pub rtype: u16,
    /// Where its TTL begins.
    pub ttl: usize,
    /// Where its data begin.
    pub data: usize,
    /// Where it ends.
    pub end: usize,
}

/// The records of a message; `None` where it is not whole, or has an OPT record elsewhere than in its additional section,
/// or more than one (RFC 6891 section 6.1.1).
#[must_use]
pub fn places(wire: &[u8]) -> Option<Vec<Place>> {
    let count = |at: usize| Some(u16::from_be_bytes([*wire.get(at)?, *wire.get(at + 1)?]));
    let mut at = after_questions(wire)?;
    let mut places = Vec::new();
    for (section, field) in [6, 8, 10].into_iter().enumerate() {
        for _ in 0..count(field)? {
            let start = at;
            let fixed = after_name(wire, at)?;
            let data = fixed + 10;
            at = data + usize::from(count(fixed + 8)?);
            if at > wire.len() {
                return None;
            }
            places.push(Place {
                section,
                start,
                rtype: count(fixed)?,
                ttl: fixed + 4,
                data,
                end: at,
            });
        }
    }
    let mut opts = places.iter().filter(|place| place.rtype == OPT);
    let is_odd = opts.next().is_some_and(|opt| opt.section != 2) || opts.next().is_some();
    (!is_odd).then_some(places)
}

/// The lowest TTL of a message's records; `None` where it has none, or is not whole.
#[must_use]
pub fn lowest_ttl(wire: &[u8]) -> Option<u32> {
    let places = places(wire)?;
    let records = places.iter().filter(|place| place.rtype != OPT);
    let ttl = |place: &Place| {
        wire[place.ttl..]
            .first_chunk()
            .map(|ttl| u32::from_be_bytes(*ttl))
    };
    records.filter_map(ttl).min()
}

/// Whether somebody who takes the message apart finds every name, every address and every text in it.
#[must_use]
pub fn is_sound(wire: &[u8]) -> bool {
    let is_whole = |place: &Place| {
        let data = &wire[place.data..place.end];
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign enum: other data are read by who knows them"
        )]
        match RecordType::from(place.rtype) {
            RecordType::A => data.len() == 4,
            RecordType::AAAA => data.len() == 16,
            RecordType::TXT => has_strings(data),
            _ => true,
        }
    };
    places(wire).is_some_and(|places| places.iter().all(is_whole))
        && size_without_compression(wire, true).is_some()
}

/// Whether the data are character strings, one at least (RFC 1035 section 3.3.14).
fn has_strings(mut data: &[u8]) -> bool {
    let mut strings = 0;
    while let Some((length, rest)) = data.split_first() {
        let Some(rest) = rest.get(usize::from(*length)..) else {
            return false;
        };
        (data, strings) = (rest, strings + 1);
    }
    strings > 0
}

/// Where the questions end.
fn after_questions(wire: &[u8]) -> Option<usize> {
    let count = u16::from_be_bytes([*wire.get(4)?, *wire.get(5)?]);
    (0..count).try_fold(HEADER, |at, _| Some(after_name(wire, at)? + 4))
}

/// Where the name ends that begins at `at`.
fn after_name(wire: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *wire.get(at)? {
            0 => return Some(at + 1),
            length if length >= 0xc0 => return Some(at + 2),
            length if length < 0x40 => at += usize::from(length) + 1,
            _ => return None,
        }
    }
}

/// Octets of a message with all of its names written out, which is the size that CoreDNS speaks of; without its OPT record
/// where `opt` says so. `None` where it is not whole.
#[must_use]
pub fn size_without_compression(wire: &[u8], opt: bool) -> Option<usize> {
    let number = |at: usize| Some(u16::from_be_bytes([*wire.get(at)?, *wire.get(at + 1)?]));
    let (mut at, mut size) = (HEADER, HEADER);
    for _ in 0..number(4)? {
        size += name_len(wire, at)? + 4;
        at = after_name(wire, at)? + 4;
    }
    let records = [6, 8, 10].into_iter().map(number);
    let records: usize = records
        .map(|count| count.map(usize::from))
        .sum::<Option<_>>()?;
    for _ in 0..records {
        let fixed = after_name(wire, at)?;
        let (rtype, data) = (number(fixed)?, fixed + 10);
        let end = data + usize::from(number(fixed + 8)?);
        if rtype != OPT || opt {
            size += name_len(wire, at)? + 10 + data_len(wire, rtype, data..end)?;
        }
        at = end;
    }
    Some(size)
}

/// Octets of a record's data with their names written out: those of RFC 1035, and of SRV and DNAME. `None`: a name is not whole,
/// or is not the end of the data.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: the data of every other type have no such names"
)]
fn data_len(wire: &[u8], rtype: u16, data: Range<usize>) -> Option<usize> {
    // Where the last name ends, how many octets stand around the names, and the names.
    let (end, fixed, names) = match RecordType::from(rtype) {
        RecordType::NS | RecordType::CNAME | RecordType::PTR | RecordType::DNAME => {
            (after_name(wire, data.start)?, 0, [Some(data.start), None])
        }
        RecordType::MX => (
            after_name(wire, data.start + 2)?,
            2,
            [Some(data.start + 2), None],
        ),
        RecordType::SRV => (
            after_name(wire, data.start + 6)?,
            6,
            [Some(data.start + 6), None],
        ),
        RecordType::SOA => {
            let second = after_name(wire, data.start)?;
            let end = after_name(wire, second)? + 20;
            (end, 20, [Some(data.start), Some(second)])
        }
        _ => return Some(data.len()),
    };
    if end != data.end {
        return None;
    }
    let names = names.into_iter().flatten().map(|at| name_len(wire, at));
    Some(fixed + names.sum::<Option<usize>>()?)
}

/// Octets of a name that is written out.
fn name_len(wire: &[u8], mut at: usize) -> Option<usize> {
    let mut size = 0;
    // Each step is a label or a pointer; a name has no more of either.
    for _ in 0..2 * MAX_NAME {
        match *wire.get(at)? {
            0 => return (size < MAX_NAME).then_some(size + 1),
            high if high >= 0xc0 => {
                at = usize::from(u16::from_be_bytes([high & 0x3f, *wire.get(at + 1)?]));
            }
            length if length < 0x40 => {
                at += usize::from(length) + 1;
                size += usize::from(length) + 1;
            }
            _ => return None,
        }
    }
    None
}

/// Gives an upstream's message the OPT record that its client is due: none where the client has none, else one with the
/// client's size and DO; the options stay (RFC 6891 section 6.1.1).
#[must_use]
pub fn with_opt_for(query: &Query, mut wire: Vec<u8>) -> Vec<u8> {
    let Some(places) = places(&wire) else {
        return wire;
    };
    // What stands behind the last record, or behind the question where there is none, is not the message's.
    let end = places.last().map(|last| last.end);
    wire.truncate(end.or_else(|| after_questions(&wire)).unwrap_or(HEADER));
    let opt = places.iter().find(|place| place.rtype == OPT);
    match (opt, query.edns) {
        (None, None) => {}
        // What stands behind it has no names that others point to: mostly nothing stands there.
        (Some(opt), None) => {
            wire.drain(opt.start..opt.end);
            count_additionals(&mut wire, u16::wrapping_sub);
        }
        (Some(opt), Some(edns)) => {
            wire[opt.ttl - 2..opt.ttl].copy_from_slice(&edns.udp_size.to_be_bytes());
            wire[opt.ttl + 2] = if edns.dnssec_ok { DO } else { 0 };
        }
        (None, Some(edns)) => {
            append(&mut wire, edns);
            count_additionals(&mut wire, u16::wrapping_add);
        }
    }
    wire
}

/// Changes the options of a message's OPT record, where there is one: each its code and its octets.
pub fn edit_options(wire: &mut Vec<u8>, edit: impl FnOnce(&mut Vec<(u16, Vec<u8>)>)) {
    let opt = places(wire).and_then(|places| places.into_iter().find(|p| p.rtype == OPT));
    let Some(opt) = opt else {
        return;
    };
    let all = options::each(&wire[opt.data..opt.end]);
    let mut all: Vec<_> = all.map(|(code, data)| (code, data.to_vec())).collect();
    edit(&mut all);
    let written = all
        .iter()
        .filter_map(|(code, data)| options::written(*code, data));
    let written = written.flatten().collect::<Vec<_>>();
    let Ok(size) = u16::try_from(written.len()) else {
        return;
    };
    wire[opt.data - 2..opt.data].copy_from_slice(&size.to_be_bytes());
    wire.splice(opt.data..opt.end, written);
}

fn append(wire: &mut Vec<u8>, edns: Edns) {
    let [s0, s1] = edns.udp_size.to_be_bytes();
    let flags = if edns.dnssec_ok { DO } else { 0 };
    wire.extend_from_slice(&[0, 0, 41, s0, s1, 0, 0, flags, 0, 0, 0]);
}

fn count_additionals(wire: &mut [u8], change: fn(u16, u16) -> u16) {
    let count = u16::from_be_bytes([wire[10], wire[11]]);
    wire[10..12].copy_from_slice(&change(count, 1).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::encode;
    use crate::message::question::{Question, RecordType};
    use crate::message::record;
    use crate::message::reply::{Composed, ResponseCode};
    use crate::name::absolute;

    const EDNS: Edns = Edns {
        udp_size: 1232,
        dnssec_ok: false,
    };

    fn query(edns: Option<Edns>) -> Query {
        let question = Question::new(absolute("x.example").unwrap(), RecordType::A);
        Query {
            edns,
            ..Query::plain(question, "127.0.0.1:1".parse().unwrap())
        }
    }

    #[test]
    fn a_size_is_that_of_names_written_out() {
        let query = Query {
            question: Question::new(absolute("a.test").unwrap(), RecordType::MX),
            ..query(Some(EDNS))
        };
        let owner = || absolute("a.test").unwrap();
        let reply = Composed {
            answer: vec![
                record::cname(owner(), 5, absolute("b.a.test").unwrap()),
                record::service(owner(), 5, 80, absolute("c.a.test").unwrap()),
                record::address(owner(), 5, [10, 0, 0, 1].into()),
            ],
            authority: vec![record::authority(owner(), 5, owner(), owner())],
            ..Composed::empty(ResponseCode::NoError)
        };
        let wire = encode(&query, &reply);
        // The question; then owner, ten octets and data of each record.
        let wanted = 12 + 12 + (18 + 10) + (18 + 6 + 10) + (18 + 4) + (18 + 8 + 8 + 20);
        assert_eq!(size_without_compression(&wire, false), Some(wanted));
        assert_eq!(size_without_compression(&wire, true), Some(wanted + 11));
        assert_eq!(size_without_compression(&wire[..40], false), None);
    }

    #[test]
    fn a_message_has_one_opt_record_in_its_last_section_and_nothing_behind_it() {
        let query = query(Some(EDNS));
        let wire = encode(&query, &Composed::empty(ResponseCode::NoError));
        assert_eq!(places(&wire).unwrap().len(), 1);
        let mut trailed = wire.clone();
        trailed.extend([1, 2, 3]);
        assert_eq!(with_opt_for(&query, trailed), wire);
        let mut elsewhere = wire.clone();
        elsewhere.swap(7, 11);
        assert_eq!(places(&elsewhere), None);
        let mut two = wire.clone();
        two.extend_from_within(wire.len() - 11..);
        two[11] = 2;
        assert_eq!(places(&two), None);
    }

    #[test]
    fn a_message_has_the_opt_record_that_its_client_is_due_and_is_else_as_it_was() {
        let owner = absolute("x.example").unwrap();
        let reply = Composed {
            answer: vec![record::address(owner, 7, [192, 0, 2, 1].into())],
            ..Composed::empty(ResponseCode::NoError)
        };
        let edns = |udp_size, dnssec_ok| Edns {
            udp_size,
            dnssec_ok,
        };
        let all = [None, Some(EDNS), Some(edns(4096, true))];
        for from in all {
            for to in all {
                let wire = with_opt_for(&query(to), encode(&query(from), &reply));
                assert_eq!(wire, encode(&query(to), &reply), "{from:?} {to:?}");
            }
        }
    }

    #[test]
    fn places_are_found_and_a_message_that_is_cut_has_none() {
        let owner = absolute("x.example").unwrap();
        let reply = Composed {
            answer: vec![record::address(owner, 7, [192, 0, 2, 1].into())],
            ..Composed::empty(ResponseCode::NoError)
        };
        let wire = encode(&query(None), &reply);
        let [place] = places(&wire).unwrap()[..] else {
            panic!("not one")
        };
        assert_eq!(
            (place.section, place.rtype, &wire[place.ttl..place.ttl + 4]),
            (0, 1, &[0, 0, 0, 7][..])
        );
        assert_eq!(
            (&wire[place.data..], place.end),
            (&[192, 0, 2, 1][..], wire.len())
        );
        assert_eq!(places(&wire[..wire.len() - 1]), None);
    }

    #[test]
    fn a_message_is_sound_where_each_name_and_address_in_it_is_whole() {
        let owner = || absolute("x.example").unwrap();
        let reply = Composed {
            answer: vec![
                record::cname(owner(), 5, absolute("y.x.example").unwrap()),
                record::address(owner(), 7, [192, 0, 2, 1].into()),
            ],
            ..Composed::empty(ResponseCode::NoError)
        };
        let wire = encode(&query(None), &reply);
        assert!(is_sound(&wire));
        let places = places(&wire).unwrap();
        let changed = |at: usize, octet: u8| {
            let mut wire = wire.clone();
            wire[at] = octet;
            wire
        };
        // A pointer to itself in the alias, and an address of three octets.
        let itself = u8::try_from(places[0].end - 2).unwrap();
        assert!(!is_sound(&changed(places[0].end - 1, itself)));
        let mut short = changed(places[1].data - 1, 3);
        short.pop();
        assert!(!is_sound(&short));
    }

    #[test]
    fn text_is_strings_that_fill_the_data() {
        for (data, wanted) in [
            (&b""[..], false),
            (b"\x00", true),
            (b"\x03abc\x01d", true),
            (b"\x03abc\x02d", false),
            (b"\xff", false),
        ] {
            assert_eq!(has_strings(data), wanted, "{data:?}");
        }
    }
}
