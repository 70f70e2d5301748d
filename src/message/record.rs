//! Resource records, for plugins that make some of their own.

use std::net::IpAddr;

use hickory_proto::rr::rdata::{A, AAAA, CNAME};
pub use hickory_proto::rr::{RData, Record, RecordType};

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

/// A CNAME record (RFC 1035 section 3.3.1).
#[must_use]
pub fn cname(owner: Name, ttl: u32, target: Name) -> Record {
    Record::from_rdata(owner, ttl, RData::CNAME(CNAME(target)))
}
