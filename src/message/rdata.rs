//! Record data as text: the fields of each type (RFC 1035 section 3.3 and the RFCs of the types), and any type's octets
//! (RFC 3597 section 5).

use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};
use hickory_proto::serialize::txt::Parser;

use super::record::{RData, Record};
use super::types::type_named;
use crate::name::{Name, absolute, join, wire};

/// A word as it is written, without its quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// With its escapes.
    pub text: String,
    /// It stood in quotation marks.
    pub is_quoted: bool,
    /// Nothing stood between the word before and this one.
    pub is_glued: bool,
}

/// A field of a record's data.
#[derive(Clone, Copy)]
enum Field {
    V4,
    V6,
    U8,
    U16,
    U32,
    /// Seconds, or `1h30m`.
    Seconds,
    Name,
    /// A text with its length before it.
    Text,
    /// All that is left, each with its length before it.
    Texts,
    /// A text that the data end with.
    Rest,
    /// All that is left, in hexadecimal digits.
    Hex,
    /// All that is left (RFC 4648 section 4).
    Base64,
    /// A type, by its name.
    Type,
    /// Types, as a bitmap (RFC 4034 section 4.1.2).
    Types,
    /// `YYYYMMDDHHmmSS`, or seconds since 1970 (RFC 4034 section 3.2).
    Time,
}

use Field::{
    Base64, Hex, Name as Domain, Rest, Seconds, Text, Texts, Time, Type, Types, U8, U16, U32, V4,
    V6,
};

/// The types that are read here, by number.
const FIELDS: &[(&[u16], &[Field])] = &[
    (&[1], &[V4]),
    (&[28], &[V6]),
    // NS, MD, MF, CNAME, MB, MG, MR, PTR, NSAP-PTR, DNAME
    (&[2, 3, 4, 5, 7, 8, 9, 12, 23, 39], &[Domain]),
    // SOA
    (
        &[6],
        &[Domain, Domain, U32, Seconds, Seconds, Seconds, Seconds],
    ),
    // HINFO
    (&[13], &[Text, Text]),
    // MINFO, RP, TALINK
    (&[14, 17, 58], &[Domain, Domain]),
    // MX, AFSDB, RT, KX, LP
    (&[15, 18, 21, 36, 107], &[U16, Domain]),
    // TXT, NINFO, SPF, AVC, RESINFO
    (&[16, 56, 99, 258, 261], &[Texts]),
    // X25
    (&[19], &[Text]),
    // SIG, RRSIG
    (
        &[24, 46],
        &[Type, U8, U8, U32, Time, Time, U16, Domain, Base64],
    ),
    // KEY, DNSKEY, RKEY, CDNSKEY
    (&[25, 48, 57, 60], &[U16, U8, U8, Base64]),
    // PX
    (&[26], &[U16, Domain, Domain]),
    // SRV
    (&[33], &[U16, U16, U16, Domain]),
    // NAPTR
    (&[35], &[U16, U16, Text, Text, Text, Domain]),
    // CERT, by the numbers of its types
    (&[37], &[U16, U16, U8, Base64]),
    // DS, CDS, TA, DLV
    (&[43, 59, 32_768, 32_769], &[U16, U8, U8, Hex]),
    // SSHFP
    (&[44], &[U8, U8, Hex]),
    // NSEC
    (&[47], &[Domain, Types]),
    // DHCID, OPENPGPKEY
    (&[49, 61], &[Base64]),
    // TLSA, SMIMEA
    (&[52, 53], &[U8, U8, U8, Hex]),
    // CSYNC
    (&[62], &[U32, U16, Types]),
    // ZONEMD
    (&[63], &[U32, U8, U8, Hex]),
    // URI
    (&[256], &[U16, U16, Rest]),
    // CAA
    (&[257], &[U8, Text, Rest]),
];

const NOT_WHOLE: &str = "the record is not whole";

/// Reads the data of a record. `origin`: what names without a final dot end in.
///
/// # Errors
/// What is wrong, for a person.
pub fn read(rtype: &str, words: &[Word], origin: &Name) -> Result<RData, String> {
    let Some(number) = numbered(rtype) else {
        return Err(format!("'{rtype}' is no type"));
    };
    let mut writer = Writer {
        words: words.iter(),
        origin,
        octets: Vec::new(),
    };
    let mut known = FIELDS.iter();
    let known = known.find(|(numbers, _)| numbers.contains(&number));
    match (words.first(), known) {
        (Some(first), _) if first.text == r"\#" && !first.is_quoted => writer.generic()?,
        (_, Some((_, fields))) => fields.iter().try_for_each(|field| writer.field(*field))?,
        (_, None) => return other(rtype, words, origin),
    }
    if writer.words.next().is_some() {
        return Err("there is something behind the record".into());
    }
    decoded(number, &writer.octets)
}

/// The number of a type's name: the registry's, or `TYPE123` (RFC 3597 section 5).
fn numbered(rtype: &str) -> Option<u16> {
    let numbered = rtype
        .get(..4)
        .filter(|head| head.eq_ignore_ascii_case("TYPE"));
    match numbered.map(|_| rtype[4..].parse()) {
        Some(Ok(number)) => Some(number),
        Some(Err(_)) | None => type_named(rtype).map(u16::from),
    }
}

/// A name of text; without a final dot it ends in `origin`, which is `@` too.
///
/// # Errors
/// Text that is no name.
pub fn name(text: &str, origin: &Name) -> Result<Name, String> {
    if text == "@" {
        return Ok(origin.clone());
    }
    let no_name = |why: &dyn std::fmt::Display| format!("'{text}' is no name: {why}");
    let name = absolute(text).map_err(|error| no_name(&error))?;
    let before = text.strip_suffix('.').unwrap_or_default();
    let escapes = before.bytes().rev().take_while(|octet| *octet == b'\\');
    if text.ends_with('.') && escapes.count() % 2 == 0 {
        return Ok(name);
    }
    let labels: Vec<&[u8]> = name.iter().collect();
    join(&labels, origin).ok_or_else(|| no_name(&"the name has more than 255 octets"))
}

/// Seconds, as a number or as BIND writes them: `1w2d3h4m5s`.
#[must_use]
pub fn seconds(text: &str) -> Option<u32> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let (mut all, mut rest) = (0_u32, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let unit = match behind.as_bytes().first()?.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        all = all.checked_add(number.parse::<u32>().ok()?.checked_mul(unit)?)?;
        rest = &behind[1..];
    }
    Some(all).filter(|_| !text.is_empty())
}

/// A type's data that only hickory-proto reads as text.
fn other(rtype: &str, words: &[Word], origin: &Name) -> Result<RData, String> {
    let (mut words, mut text) = (words.to_vec(), String::new());
    // For hickory-proto the target of SVCB and HTTPS is complete as it stands.
    let is_service = ["SVCB", "HTTPS"]
        .iter()
        .any(|known| rtype.eq_ignore_ascii_case(known));
    if let Some(target) = words.get_mut(1).filter(|_| is_service) {
        target.text = name(&target.text, origin)?.to_string();
    }
    for word in &words {
        if word.text.contains('\\') {
            return Err(format!("'{}': an escape cannot be read here", word.text));
        }
        if !word.is_glued {
            text.push(' ');
        }
        let mark = if word.is_quoted { "\"" } else { "" };
        text += &format!("{mark}{}{mark}", word.text);
    }
    let zone = format!("$TTL 0\n@ {rtype}{text}\n");
    let (_, sets) = Parser::new(zone, None, Some(origin.clone()))
        .parse()
        .map_err(|error| error.to_string())?;
    let mut sets = sets.into_values();
    let record = sets.next().and_then(|set| {
        let mut records = set.records_without_rrsigs();
        records.next().cloned()
    });
    record.map_or_else(|| Err(NOT_WHOLE.into()), |record| Ok(record.data))
}

/// Octets of a type's data as data.
fn decoded(number: u16, octets: &[u8]) -> Result<RData, String> {
    let length = u16::try_from(octets.len()).map_err(|_| "the data have more than 65535 octets")?;
    // A record of the root, in class IN, with TTL 0.
    let mut record = vec![0];
    record.extend(number.to_be_bytes());
    record.extend([0, 1, 0, 0, 0, 0]);
    record.extend(length.to_be_bytes());
    record.extend(octets);
    let read = Record::read(&mut BinDecoder::new(&record));
    read.map(|record: Record| record.data)
        .map_err(|error| error.to_string())
}

/// Data under way.
struct Writer<'a> {
    words: std::slice::Iter<'a, Word>,
    origin: &'a Name,
    octets: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn word(&mut self) -> Result<&'a str, String> {
        let word = self.words.next().ok_or(NOT_WHOLE)?;
        Ok(&word.text)
    }

    /// The words that are left, of which there has to be one.
    fn rest(&mut self) -> Result<String, String> {
        let first = self.word()?.to_owned();
        let rest = self.words.by_ref().map(|word| word.text.as_str());
        Ok(rest.fold(first, |all, word| all + word))
    }

    /// `\# LENGTH HEX...`
    fn generic(&mut self) -> Result<(), String> {
        let _mark = self.word()?;
        let length: usize = number(self.word()?, u16::MAX)?;
        if length > 0 {
            self.field(Hex)?;
        }
        if self.octets.len() != length {
            let has = self.octets.len();
            return Err(format!("the data have {has} octets, and not {length}"));
        }
        Ok(())
    }

    fn field(&mut self, field: Field) -> Result<(), String> {
        match field {
            V4 | V6 => self.address(field),
            U8 | U16 | U32 | Seconds | Type | Time => self.number(field),
            Domain => {
                let name = name(self.word()?, self.origin)?;
                self.octets.extend_from_slice(&wire(&name));
                Ok(())
            }
            Text => {
                let text = text(self.word()?)?;
                self.text(&text);
                Ok(())
            }
            Texts => {
                self.field(Text)?;
                while !self.words.as_slice().is_empty() {
                    self.field(Text)?;
                }
                Ok(())
            }
            Rest => {
                let octets = unescaped(self.word()?)?;
                self.octets.extend(octets);
                Ok(())
            }
            Hex => {
                let octets = hex(&self.rest()?)?;
                self.octets.extend(octets);
                Ok(())
            }
            Base64 => {
                let octets = base64(&self.rest()?)?;
                self.octets.extend(octets);
                Ok(())
            }
            Types => self.types(),
        }
    }

    fn address(&mut self, field: Field) -> Result<(), String> {
        let text = self.word()?;
        if matches!(field, V4) {
            let ip = text.parse::<Ipv4Addr>();
            let ip = ip.map_err(|_| format!("'{text}' is no IPv4 address"))?;
            self.octets.extend(ip.octets());
        } else {
            let ip = text.parse::<Ipv6Addr>();
            let ip = ip.map_err(|_| format!("'{text}' is no IPv6 address"))?;
            self.octets.extend(ip.octets());
        }
        Ok(())
    }

    fn number(&mut self, field: Field) -> Result<(), String> {
        let text = self.word()?;
        let (value, octets) = match field {
            U8 => (number::<u8>(text, u8::MAX)?.into(), 1),
            U16 => (number::<u16>(text, u16::MAX)?.into(), 2),
            Type => (of_type(text)?.into(), 2),
            U32 => (number(text, u32::MAX)?, 4),
            Time => (time(text)?, 4),
            Seconds => {
                let seconds = seconds(text);
                (seconds.ok_or_else(|| format!("'{text}' is no time"))?, 4)
            }
            V4 | V6 | Domain | Text | Texts | Rest | Hex | Base64 | Types => (0, 0),
        };
        self.octets.extend(&u32::to_be_bytes(value)[4 - octets..]);
        Ok(())
    }

    fn text(&mut self, text: &[u8]) {
        // It has 255 octets at most.
        self.octets
            .push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        self.octets.extend_from_slice(text);
    }

    /// Windows of 256 types, each with the octets up to its last one (RFC 4034 section 4.1.2).
    fn types(&mut self) -> Result<(), String> {
        let words = self.words.by_ref().map(|word| of_type(&word.text));
        let mut types = words.collect::<Result<Vec<_>, _>>()?;
        types.sort_unstable();
        for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
            let mut bits = [0_u8; 32];
            for number in window {
                bits[usize::from(number & 0xff) / 8] |= 0x80 >> (number % 8);
            }
            let last = bits.iter().rposition(|octet| *octet != 0);
            let length = last.map_or(0, |last| last + 1);
            self.octets.push(window[0].to_be_bytes()[0]);
            self.text(&bits[..length]);
        }
        Ok(())
    }
}

fn number<T: std::str::FromStr>(text: &str, most: impl std::fmt::Display) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("'{text}' is no number from 0 to {most}"))
}

fn of_type(text: &str) -> Result<u16, String> {
    numbered(text).ok_or_else(|| format!("'{text}' is no type"))
}

/// The octets of a text, at most 255 (RFC 1035 section 3.3).
fn text(word: &str) -> Result<Vec<u8>, String> {
    let octets = unescaped(word)?;
    if octets.len() > 255 {
        return Err("a text has 255 octets at most".into());
    }
    Ok(octets)
}

/// The octets of a word (RFC 1035 section 5.1): `\DDD` is one in decimal, `\X` is X.
fn unescaped(word: &str) -> Result<Vec<u8>, String> {
    let (mut octets, mut rest) = (Vec::new(), word.as_bytes());
    while let [first, others @ ..] = rest {
        let (octet, behind) = match (first, others) {
            (b'\\', [a, b, c, behind @ ..]) if [a, b, c].iter().all(|c| c.is_ascii_digit()) => {
                let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
                let number = u8::try_from(100 * a + 10 * b + c);
                let error = |_| format!("'{word}': an octet is 255 at most");
                (number.map_err(error)?, behind)
            }
            (b'\\', [octet, behind @ ..]) => (*octet, behind),
            (octet, behind) => (*octet, behind),
        };
        octets.push(octet);
        rest = behind;
    }
    Ok(octets)
}

fn hex(text: &str) -> Result<Vec<u8>, String> {
    let wrong = || format!("'{text}' is no whole number of hexadecimal octets");
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits
        .filter(|digits| digits.len().is_multiple_of(2))
        .ok_or_else(wrong)?;
    let pairs = digits.chunks_exact(2);
    Ok(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// RFC 4648 section 4, with padding or without.
fn base64(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.trim_end_matches('=');
    let octets = BASE64_STANDARD_NO_PAD.decode(digits);
    octets.map_err(|_| format!("'{text}' is no base64"))
}

/// Seconds since 1970, modulo 2^32.
fn time(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no time");
    if text.len() != 14 {
        return text.parse().map_err(|_| wrong());
    }
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let parts: [Option<i64>; 6] = [
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14),
    ];
    let [
        Some(year),
        Some(month @ 1..=12),
        Some(day),
        Some(hour),
        Some(minute),
        Some(second),
    ] = parts
    else {
        return Err(wrong());
    };
    // Days from 1970-01-01 of the proleptic Gregorian calendar; the year begins in March, so that its last day is the odd one.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400;
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    u32::try_from(seconds.rem_euclid(1 << 32)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests;
