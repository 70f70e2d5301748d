//! A question as it reaches a plugin: name, type and class (RFC 1035 section 4.1.2), and what the client said beside it.

use std::net::SocketAddr;
use std::sync::Arc;

pub use hickory_proto::op::OpCode;
pub use hickory_proto::rr::{DNSClass, RecordType};

use super::metadata::Metadata;
use super::tsig::Signed;
use crate::name::Qname;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// The name, in the case it was typed in.
    pub qname: Qname,
    /// The type.
    pub qtype: RecordType,
    /// The class; `IN` almost always.
    pub qclass: DNSClass,
}

impl Question {
    /// A question of class IN.
    #[must_use]
    pub fn new(qname: impl Into<Qname>, qtype: RecordType) -> Self {
        Self {
            qname: qname.into(),
            qtype,
            qclass: DNSClass::IN,
        }
    }
}

/// Over what the question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A datagram: the reply has a size limit.
    Udp,
    /// A connection.
    Tcp,
}

/// Between whom the question went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who asks.
    pub client: SocketAddr,
    /// The address that was asked; `None` where the socket does not tell.
    pub server: Option<SocketAddr>,
}

impl Route {
    /// Between these. An IPv4 address that a socket of both families shows within IPv6 is itself (RFC 4291 section 2.5.5.2).
    #[must_use]
    pub fn new(client: SocketAddr, server: Option<SocketAddr>) -> Self {
        let own =
            |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
        Self {
            client: own(client),
            server: server.map(own),
        }
    }
}

impl From<SocketAddr> for Route {
    fn from(client: SocketAddr) -> Self {
        Self::new(client, None)
    }
}

/// The client's EDNS record (RFC 6891 section 6.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Edns {
    /// The largest datagram the client takes, in octets, as it said.
    pub udp_size: u16,
    /// DNSSEC OK (RFC 3225): copied to the reply.
    pub dnssec_ok: bool,
}

/// A question with its surroundings.
#[derive(Clone, Debug)]
pub struct Query {
    /// What is asked.
    pub question: Question,
    /// Message id.
    pub id: u16,
    /// QUERY, or NOTIFY.
    pub opcode: OpCode,
    /// Recursion desired: copied to the reply.
    pub recursion_desired: bool,
    /// Checking disabled (RFC 4035 section 3.2.2): copied to the reply.
    pub checking_disabled: bool,
    /// Authentic data: the client understands AD in replies (RFC 6840 section 5.7).
    pub authentic_data: bool,
    /// `None` where the client sent no OPT record; the reply has none then.
    pub edns: Option<Edns>,
    /// The options of that record as they came, each a code, a length and its octets (RFC 6891 section 6.1.2).
    pub options: Vec<u8>,
    /// The client has shown a cookie that was given to its address (RFC 7873).
    pub has_cookie: bool,
    /// Over what it came.
    pub transport: Transport,
    /// From whom it came, and to whom.
    pub route: Route,
    /// Size of the request, in octets.
    pub size: usize,
    /// The serial that the client has, where it asks what has changed since (RFC 1995 section 3).
    pub ixfr_serial: Option<u32>,
    /// Its signature (RFC 8945).
    pub tsig: Option<Arc<Signed>>,
    /// What plugins say of it for others; `None` where nobody collects that.
    pub metadata: Option<Arc<Metadata>>,
}

impl Query {
    /// A plain question over UDP: recursion desired, no EDNS.
    #[must_use]
    pub fn plain(question: Question, client: SocketAddr) -> Self {
        Self {
            question,
            id: 0,
            opcode: OpCode::Query,
            recursion_desired: true,
            checking_disabled: false,
            authentic_data: false,
            edns: None,
            options: Vec::new(),
            has_cookie: false,
            transport: Transport::Udp,
            route: client.into(),
            size: 0,
            ixfr_serial: None,
            tsig: None,
            metadata: None,
        }
    }
}
