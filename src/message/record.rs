//! Resource records, for plugins that make some of their own.

use std::net::{IpAddr, Ipv4Addr};

use hickory_proto::rr::rdata::{A, AAAA, CNAME, HINFO, NS, PTR, SOA, SRV, TXT};
pub use hickory_proto::rr::{DNSClass, RData, Record, RecordType};

use crate::name::Name;

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
