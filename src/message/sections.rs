//! What a reply is written with: whoever has facts to tell calls [`Sections`], and knows nothing of octets or records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::{ControlFlow, Range};

use super::question::RecordType;
use crate::name::Name;

/// A section of a message, without that of the question (RFC 1035 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// What was asked for.
    Answer,
    /// Whose zone it is: the SOA of a negative (RFC 2308 section 2).
    Authority,
    /// Addresses of names in the answer.
    Additional,
}

/// A name in pieces, which need not be put together to be written.
#[derive(Clone, Copy, Debug)]
pub struct Pieces<'a> {
    /// Labels, the leftmost first.
    pub left: &'a [&'a [u8]],
    /// What follows them.
    pub right: Right<'a>,
}

/// The end of a name.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a> {
    /// The question's name without so many labels at its left, as typed.
    Question(usize),
    /// A name.
    Name(&'a Name),
}

impl<'a> Pieces<'a> {
    /// The question's own name.
    pub const QUESTION: Self = Self {
        left: &[],
        right: Right::Question(0),
    };

    /// A name as it is.
    #[must_use]
    pub fn name(name: &'a Name) -> Self {
        Self {
            left: &[],
            right: Right::Name(name),
        }
    }
}

/// Addresses of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ips<'a> {
    /// IPv4.
    V4(&'a [Ipv4Addr]),
    /// IPv6.
    V6(&'a [Ipv6Addr]),
}

impl Ips<'_> {
    /// How many.
    #[must_use]
    pub fn len(self) -> usize {
        match self {
            Self::V4(ips) => ips.len(),
            Self::V6(ips) => ips.len(),
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Those at these places.
    #[must_use]
    pub fn slice(self, places: Range<usize>) -> Self {
        match self {
            Self::V4(ips) => Self::V4(&ips[places]),
            Self::V6(ips) => Self::V6(&ips[places]),
        }
    }
}

/// What a record holds, for the types that this project makes itself.
#[derive(Clone, Copy, Debug)]
pub enum Data<'a> {
    /// A, or AAAA (RFC 1035 section 3.4.1, RFC 3596 section 2.2).
    Address(IpAddr),
    /// CNAME (RFC 1035 section 3.3.1).
    Alias(Pieces<'a>),
    /// NS (RFC 1035 section 3.3.11).
    Server(Pieces<'a>),
    /// PTR (RFC 1035 section 3.3.12).
    Pointer(Pieces<'a>),
    /// SRV of priority 0 (RFC 2782).
    Service {
        /// The share of the clients that this target gets.
        weight: u16,
        /// Its port.
        port: u16,
        /// Its name.
        target: Pieces<'a>,
    },
    /// SOA (RFC 1035 section 3.3.13).
    Authority {
        /// The primary server.
        mname: Pieces<'a>,
        /// The mailbox of who is responsible.
        rname: Pieces<'a>,
        /// Serial, refresh, retry, expire, minimum.
        numbers: [u32; 5],
    },
    /// TXT of one text, of at most 255 octets (RFC 1035 section 3.3.14).
    Text(&'a [u8]),
}

impl Data<'_> {
    /// The record's type.
    #[must_use]
    pub fn record_type(&self) -> RecordType {
        match self {
            Self::Address(ip) if ip.is_ipv4() => RecordType::A,
            Self::Address(_) => RecordType::AAAA,
            Self::Alias(_) => RecordType::CNAME,
            Self::Server(_) => RecordType::NS,
            Self::Pointer(_) => RecordType::PTR,
            Self::Service { .. } => RecordType::SRV,
            Self::Authority { .. } => RecordType::SOA,
            Self::Text(_) => RecordType::TXT,
        }
    }
}

/// Where a reply is written: the octets of a message, or records.
pub trait Sections {
    /// Adds a record; a record with a name that no message can hold is left out. `Break`: there is no room for this
    /// record, nor for any after it.
    fn add(
        &mut self,
        section: Section,
        owner: Pieces<'_>,
        ttl: u32,
        data: Data<'_>,
    ) -> ControlFlow<()>;

    /// Adds the records of these addresses to the answer, as many as there is room for.
    fn add_addresses(&mut self, owner: Pieces<'_>, ttl: u32, ips: Ips<'_>) -> ControlFlow<()> {
        each_address(self, owner, ttl, ips)
    }
}

/// Adds the records of these addresses one by one.
pub(super) fn each_address(
    pen: &mut (impl Sections + ?Sized),
    owner: Pieces<'_>,
    ttl: u32,
    ips: Ips<'_>,
) -> ControlFlow<()> {
    let mut add = |ip| pen.add(Section::Answer, owner, ttl, Data::Address(ip));
    match ips {
        Ips::V4(ips) => ips.iter().try_for_each(|ip| add(IpAddr::V4(*ip))),
        Ips::V6(ips) => ips.iter().try_for_each(|ip| add(IpAddr::V6(*ip))),
    }
}
