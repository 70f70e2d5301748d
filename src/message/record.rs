//! Resource records, for plugins that make some of their own.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, HINFO, HTTPS, NS, PTR, SOA, SRV, TXT};
pub use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};

use crate::name::{Name, Qname};

/// An A or AAAA record, by the family of `address`.
#[must_use]
pub fn address(owner: Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(owner, ttl, data)
}

/// The address of an A record; `None`: another type.
#[must_use]
pub fn ipv4(record: &Record) -> Option<Ipv4Addr> {
    if let RData::A(A(ip)) = record.data {
        return Some(ip);
    }
    None
}

/// A CNAME record (RFC 1035 section 3.3.1).
#[must_use]
pub fn cname(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::CNAME(CNAME(target)))
}

/// A PTR record (RFC 1035 section 3.3.12).
#[must_use]
pub fn pointer(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::PTR(PTR(target)))
}

/// An NS record (RFC 1035 section 3.3.11).
#[must_use]
pub fn server(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::NS(NS(target)))
}

/// An SRV record (RFC 2782) of priority and weight 0.
#[must_use]
pub fn service(owner: Name, ttl: u32, port: u16, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::SRV(SRV::new(0, 0, port, target)))
}

/// A TXT record (RFC 1035 section 3.3.14) of class CHAOS, with which servers speak of themselves (RFC 4892).
#[must_use]
pub fn chaos(owner: Name, ttl: u32, text: &str) -> Record {
    let mut record = Record::from_rdata(owner, ttl, RData::TXT(TXT::new(vec![text.to_owned()])));
    record.dns_class = DNSClass::CH;
    record
}

/// An HINFO record (RFC 1035 section 3.3.2).
#[must_use]
pub fn host_info(owner: Name, ttl: u32, cpu: &str, os: &str) -> Record {
    let info = HINFO::new(cpu.to_owned(), os.to_owned());
    Record::from_rdata(owner, ttl, RData::HINFO(info))
}

/// A SOA record (RFC 1035 section 3.3.13): server and mailbox; serial, refresh, retry, expire, minimum.
#[must_use]
pub fn start(owner: Name, ttl: u32, [mname, rname]: [Name; 2], numbers: [u32; 5]) -> Record {
    let [serial, refresh, retry, expire, minimum] = numbers;
    let [refresh, retry, expire] = [refresh, retry, expire].map(u32::cast_signed);
    let soa = SOA::new(mname, rname, serial, refresh, retry, expire, minimum);
    Record::from_rdata(owner, ttl, RData::SOA(soa))
}

/// The same with serial 1 and no times but the negative TTL, which is `ttl`.
#[must_use]
pub fn authority(owner: Name, ttl: u32, mname: Name, rname: Name) -> Record {
    start(owner, ttl, [mname, rname], [1, 0, 0, 0, ttl])
}

/// The names within a record's data that somebody may be led to. Of a SOA only the server's: the other is a mailbox.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: other types hold no such names"
)]
pub fn named_in(data: &mut RData) -> Vec<&mut Name> {
    match data {
        RData::CNAME(CNAME(name)) | RData::NS(NS(name)) | RData::PTR(PTR(name)) => vec![name],
        RData::MX(mx) => vec![&mut mx.exchange],
        RData::SRV(srv) => vec![&mut srv.target],
        RData::SOA(soa) => vec![&mut soa.mname],
        RData::NAPTR(naptr) => vec![&mut naptr.replacement],
        _ => Vec::new(),
    }
}

/// Has the names in lower case that a zone's records lead to; those of PTR and SRV stay, as in CoreDNS.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: other types stay as they are"
)]
pub fn in_lower_case(data: &mut RData) {
    let names = match data {
        RData::CNAME(CNAME(name)) | RData::NS(NS(name)) => vec![name],
        RData::MX(mx) => vec![&mut mx.exchange],
        RData::SOA(soa) => vec![&mut soa.mname, &mut soa.rname],
        RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) => vec![&mut svcb.target_name],
        _ => Vec::new(),
    };
    for name in names {
        *name = name.to_lowercase();
    }
}

/// The name whose addresses a client of this record asks for next (RFC 2782, RFC 9460); `None`: of another type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: other types have none"
)]
#[must_use]
pub fn served_at(record: &Record) -> Option<&Name> {
    match &record.data {
        RData::MX(mx) => Some(&mx.exchange),
        RData::SRV(srv) => Some(&srv.target),
        RData::SVCB(svcb) | RData::HTTPS(HTTPS(svcb)) => Some(&svcb.target_name),
        _ => None,
    }
}

/// The name of a CNAME, an NS or a DNAME record (RFC 6672 section 2.1); `None`: of another type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: other types have none"
)]
#[must_use]
pub fn target(record: &Record) -> Option<Name> {
    match &record.data {
        RData::CNAME(CNAME(name)) | RData::NS(NS(name)) => Some(name.clone()),
        RData::Unknown { code, rdata } if *code == RecordType::DNAME => {
            Qname::read(&rdata.anything).map(|name| name.to_name(0))
        }
        _ => None,
    }
}

/// The numbers of a SOA record: serial, refresh, retry, expire, minimum (RFC 1035 section 3.3.13); `None`: of another type.
#[must_use]
pub fn numbers(record: &Record) -> Option<[u32; 5]> {
    let RData::SOA(soa) = &record.data else {
        return None;
    };
    let [refresh, retry, expire] = [soa.refresh, soa.retry, soa.expire].map(i32::cast_unsigned);
    Some([soa.serial, refresh, retry, expire, soa.minimum])
}

/// The texts of a TXT record (RFC 1035 section 3.3.14); none: of another type.
#[must_use]
pub fn texts(record: &Record) -> Vec<Vec<u8>> {
    let RData::TXT(txt) = &record.data else {
        return Vec::new();
    };
    txt.txt_data.iter().map(|text| text.to_vec()).collect()
}

/// The type that an RRSIG record covers (RFC 4034 section 3.1.1); `None`: of another type.
#[must_use]
pub fn covered(record: &Record) -> Option<RecordType> {
    if let RData::Unknown { code, rdata } = &record.data
        && *code == RecordType::RRSIG
        && let [first, second, ..] = rdata.anything[..]
    {
        return Some(u16::from_be_bytes([first, second]).into());
    }
    None
}

/// Octets of a record, names written out.
#[must_use]
pub fn size(record: &Record) -> usize {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    // One that cannot be written is left out.
    match record.emit(&mut encoder) {
        Ok(()) => octets.len(),
        Err(_) => 0,
    }
}
