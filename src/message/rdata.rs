//! Record data as text: the fields of each type (RFC 1035 section 3.3 and the RFCs of the types), and any type's octets
//! (RFC 3597 section 5).

mod coded;
mod location;
mod service;
#[cfg(test)]
mod tests;
mod uneven;
mod value;

use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use self::value::{NOT_WHOLE, Octets, number, numbered};
pub use self::value::{Word, name, seconds};
use super::record::{RData, Record};
use crate::name::{Name, wire};

/// A field of a record's data.
#[derive(Clone, Copy)]
enum Field {
    /// A word.
    One(fn(&str) -> Octets),
    Name,
    /// All that is left, put together; at least one word.
    Joined(fn(&str) -> Octets),
    /// All that is left, word by word. The name: what those without a final dot end in.
    All(fn(&[Word], &Name) -> Octets),
}

use Field::{All, Joined, Name as Domain, One};

const V4: Field = One(value::v4);
const V6: Field = One(value::v6);
const U8: Field = One(value::u8);
const U16: Field = One(value::u16);
const U32: Field = One(value::u32);
const SECONDS: Field = One(value::duration);
const TEXT: Field = One(value::text);
const TEXTS: Field = All(value::texts);
const PAIR: Field = All(value::pair);
const DECIMAL: Field = One(value::decimal);
/// A text that the data end with.
const REST: Field = One(value::unescaped);
const TYPE: Field = One(value::rtype);
const TYPES: Field = All(coded::types);
const DATE: Field = One(coded::date);
const HEX: Field = Joined(coded::hex);
const BASE64: Field = Joined(coded::base64);
const SALT: Field = One(coded::salt);
const HASH: Field = One(coded::hash);
const ALGORITHM: Field = One(coded::algorithm);
const CERTIFICATE: Field = One(coded::certificate);
const LOCATOR: Field = One(coded::locator);

/// The types that are read here, by number.
const FIELDS: &[(&[u16], &[Field])] = &[
    (&[1], &[V4]),
    (&[28], &[V6]),
    // NS, MD, MF, CNAME, MB, MG, MR, PTR, NSAP-PTR, DNAME
    (&[2, 3, 4, 5, 7, 8, 9, 12, 23, 39], &[Domain]),
    // SOA
    (
        &[6],
        &[Domain, Domain, U32, SECONDS, SECONDS, SECONDS, SECONDS],
    ),
    // HINFO, ISDN
    (&[13, 20], &[PAIR]),
    // MINFO, RP, TALINK
    (&[14, 17, 58], &[Domain, Domain]),
    // MX, AFSDB, RT, KX, LP
    (&[15, 18, 21, 36, 107], &[U16, Domain]),
    // TXT, NINFO, SPF, AVC, RESINFO
    (&[16, 56, 99, 258, 261], &[TEXTS]),
    // X25, UINFO
    (&[19, 100], &[TEXT]),
    // SIG, RRSIG
    (
        &[24, 46],
        &[TYPE, ALGORITHM, U8, U32, DATE, DATE, U16, Domain, BASE64],
    ),
    // KEY, DNSKEY, RKEY, CDNSKEY
    (&[25, 48, 57, 60], &[U16, U8, U8, BASE64]),
    // PX
    (&[26], &[U16, Domain, Domain]),
    // GPOS
    (&[27], &[DECIMAL, DECIMAL, DECIMAL]),
    // LOC
    (&[29], &[All(location::location)]),
    // EID, NIMLOC
    (&[31, 32], &[HEX]),
    // SRV
    (&[33], &[U16, U16, U16, Domain]),
    // NAPTR
    (&[35], &[U16, U16, TEXT, TEXT, TEXT, Domain]),
    // CERT
    (&[37], &[CERTIFICATE, U16, ALGORITHM, BASE64]),
    // APL
    (&[42], &[All(uneven::prefixes)]),
    // DS, CDS, TA, DLV
    (&[43, 59, 32_768, 32_769], &[U16, ALGORITHM, U8, HEX]),
    // SSHFP
    (&[44], &[U8, U8, HEX]),
    // IPSECKEY
    (&[45], &[All(uneven::ipsec_key)]),
    // NXT, NSEC
    (&[30, 47], &[Domain, TYPES]),
    // DHCID, OPENPGPKEY
    (&[49, 61], &[BASE64]),
    // NSEC3
    (&[50], &[U8, U8, U16, SALT, HASH, TYPES]),
    // NSEC3PARAM
    (&[51], &[U8, U8, U16, SALT]),
    // TLSA, SMIMEA
    (&[52, 53], &[U8, U8, U8, HEX]),
    // HIP
    (&[55], &[All(uneven::host_identity)]),
    // CSYNC
    (&[62], &[U32, U16, TYPES]),
    // ZONEMD
    (&[63], &[U32, U8, U8, HEX]),
    // SVCB, HTTPS
    (&[64, 65], &[U16, Domain, All(service::parameters)]),
    // UID, GID
    (&[101, 102], &[U32]),
    // NID, L64
    (&[104, 106], &[U16, LOCATOR]),
    // L32
    (&[105], &[U16, V4]),
    // EUI48
    (&[108], &[One(coded::eui48)]),
    // EUI64
    (&[109], &[One(coded::eui64)]),
    // URI
    (&[256], &[U16, U16, REST]),
    // CAA
    (&[257], &[U8, TEXT, REST]),
    // AMTRELAY
    (&[260], &[All(uneven::multicast_relay)]),
];

/// Reads the data of a record. `origin`: what names without a final dot end in.
///
/// # Errors
/// What is wrong, for a person.
pub fn read(rtype: &str, words: &[Word], origin: &Name) -> Result<RData, String> {
    let Some(number) = numbered(rtype) else {
        return Err(format!("'{rtype}' is no type"));
    };
    let mut writer = Writer {
        words,
        origin,
        octets: Vec::new(),
    };
    let mut known = FIELDS.iter();
    let known = known.find(|(numbers, _)| numbers.contains(&number));
    match (words.first(), known) {
        (Some(first), _) if first.text == r"\#" && !first.is_quoted => writer.generic()?,
        (_, Some((_, fields))) => fields.iter().try_for_each(|field| writer.field(*field))?,
        (_, None) => {
            return Err(format!(
                "{rtype} has no form as text here but `\\# LENGTH HEX`"
            ));
        }
    }
    if !writer.words.is_empty() {
        return Err("there is something behind the record".into());
    }
    decoded(number, &writer.octets)
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
    words: &'a [Word],
    origin: &'a Name,
    octets: Vec<u8>,
}

impl<'a> Writer<'a> {
    fn word(&mut self) -> Result<&'a str, String> {
        let (word, behind) = self.words.split_first().ok_or(NOT_WHOLE)?;
        self.words = behind;
        Ok(&word.text)
    }

    /// `\# LENGTH HEX...`
    fn generic(&mut self) -> Result<(), String> {
        let _mark = self.word()?;
        let length = number(self.word()?, u16::MAX.into())?;
        if length > 0 {
            self.field(HEX)?;
        }
        let has = self.octets.len();
        if u32::try_from(has) != Ok(length) {
            return Err(format!("the data have {has} octets, and not {length}"));
        }
        Ok(())
    }

    fn field(&mut self, field: Field) -> Result<(), String> {
        let octets = match field {
            One(read) => read(self.word()?)?,
            Domain => wire(&name(self.word()?, self.origin)?).to_vec(),
            Joined(read) => {
                let first = self.word()?.to_owned();
                let rest = std::mem::take(&mut self.words).iter();
                read(&rest.fold(first, |all, word| all + &word.text))?
            }
            All(read) => read(std::mem::take(&mut self.words), self.origin)?,
        };
        self.octets.extend(octets);
        Ok(())
    }
}
