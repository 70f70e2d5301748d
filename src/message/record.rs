//! Resource records of the cluster's zones: how each is built, with the constants that CoreDNS and the specification fix.

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME, NS, PTR, SOA, SRV, TXT};
pub use hickory_proto::rr::{RData, Record, RecordType};

use crate::name::{Name, below};

/// `dns-version.<zone>` (Kubernetes DNS specification 1.1.0, section 2.2).
pub const DNS_SCHEMA_VERSION: &str = "1.1.0";

/// TTL of the `dns-version` record, in seconds; it changes with releases only.
const DNS_VERSION_TTL: u32 = 28_800;

/// The SOA is cached for at most this many seconds, whatever `ttl` says: negatives must not outlive a Pod's start.
const SOA_MAX_TTL: u32 = 300;

/// An A or AAAA record, by the family of `address`.
#[must_use]
pub fn address(owner: Name, ttl: u32, address: IpAddr) -> Record {
    let data = match address {
        IpAddr::V4(v4) => RData::A(A(v4)),
        IpAddr::V6(v6) => RData::AAAA(AAAA(v6)),
    };
    Record::from_rdata(owner, ttl, data)
}

/// A CNAME record (RFC 1035 section 3.3.1).
#[must_use]
pub fn cname(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::CNAME(CNAME(target)))
}

/// A PTR record (RFC 1035 section 3.3.12).
#[must_use]
pub fn ptr(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::PTR(PTR(target)))
}

/// An NS record (RFC 1035 section 3.3.11).
#[must_use]
pub fn ns(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::NS(NS(target)))
}

/// An SRV record of priority 0 (RFC 2782).
#[must_use]
pub fn srv(owner: Name, ttl: u32, weight: u16, port: u16, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::SRV(SRV::new(0, weight, port, target)))
}

/// The TXT record of `dns-version.<zone>`.
#[must_use]
pub fn dns_version(owner: Name) -> Record {
    let text = RData::TXT(TXT::new(vec![DNS_SCHEMA_VERSION.to_owned()]));
    Record::from_rdata(owner, DNS_VERSION_TTL, text)
}

/// The SOA of `zone`: `ns.dns.<zone> hostmaster.<zone> serial 7200 1800 86400 ttl`; `zone` keeps the client's case.
#[must_use]
pub fn soa(zone: &Name, ttl: u32, serial: u32) -> Record {
    let mname = below(&[&b"ns"[..], b"dns"], zone).unwrap_or_else(|| zone.clone());
    let rname = below(&[b"hostmaster"], zone).unwrap_or_else(|| zone.clone());
    let mut soa = soa_of(zone, ttl, (mname, rname), serial);
    soa.ttl = ttl.min(SOA_MAX_TTL);
    soa
}

/// A SOA with these names (RFC 1035 section 3.3.13) and CoreDNS's times.
#[must_use]
pub fn soa_of(zone: &Name, ttl: u32, (mname, rname): (Name, Name), serial: u32) -> Record {
    let data = SOA::new(mname, rname, serial, 7200, 1800, 86_400, ttl);
    Record::from_rdata(zone.clone(), ttl, RData::SOA(data))
}
