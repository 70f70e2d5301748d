//! A reply as a value: built by plugins, encoded at the socket.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

pub use hickory_proto::op::ResponseCode;

use crate::message::record::Record;
use crate::name::ServiceKey;

/// What a plugin answers.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Sections composed here; the header's other fields come from the query.
    Composed(Composed),
    /// A message of an upstream, passed on as it came but for its id.
    Raw(Vec<u8>),
    /// The messages of a zone transfer (RFC 5936), whole.
    Transfer(Vec<Vec<u8>>),
}

/// The sections of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// The response code.
    pub rcode: ResponseCode,
    /// AA: the reply is from a zone of ours (RFC 1035 section 4.1.1).
    pub authoritative: bool,
    /// RA: whoever gave the reply recurses (RFC 1035 section 4.1.1).
    pub recursion_available: bool,
    /// TC, where the reply is known to be incomplete before it is encoded.
    pub truncated: bool,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without OPT.
    pub additional: Vec<Record>,
    /// Why there is no answer.
    pub reason: Option<Reason>,
}

impl Composed {
    /// A reply without records.
    #[must_use]
    pub fn empty(rcode: ResponseCode) -> Self {
        Self {
            rcode,
            authoritative: false,
            recursion_available: false,
            truncated: false,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            reason: None,
        }
    }
}

impl From<Composed> for Reply {
    fn from(composed: Composed) -> Self {
        Self::Composed(composed)
    }
}

impl Reply {
    /// The sections, decoded where the reply is an upstream's; `None` where that cannot be read.
    #[must_use]
    pub fn into_composed(self) -> Option<Composed> {
        let wire = match self {
            Self::Composed(composed) => return Some(composed),
            Self::Transfer(_) => return None,
            Self::Raw(wire) => wire,
        };
        let message = hickory_proto::op::Message::from_vec(&wire).ok()?;
        Some(Composed {
            rcode: message.metadata.response_code,
            authoritative: message.metadata.authoritative,
            recursion_available: message.metadata.recursion_available,
            truncated: message.metadata.truncation,
            answer: message.answers,
            authority: message.authorities,
            additional: message.additionals,
            reason: None,
        })
    }

    /// A reply without records, SOA or AA: SERVFAIL, REFUSED and their kin.
    #[must_use]
    pub fn refusal(rcode: ResponseCode) -> Self {
        Self::Composed(Composed::empty(rcode))
    }

    /// The response code.
    #[must_use]
    pub fn rcode(&self) -> ResponseCode {
        match self {
            Self::Composed(c) => c.rcode,
            Self::Transfer(_) => ResponseCode::NoError,
            Self::Raw(wire) => ResponseCode::from(0, wire.get(3).copied().unwrap_or(2) & 0x0f),
        }
    }
}

/// Why a name has no answer: keys, no words; words are made where it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An ExternalName that leads nowhere: to itself, in a loop, too deep, or to a name of ours without data.
    AliasWithoutData,
    /// The name is in our zone's tree, but has no records of its own (apex, `svc`, a namespace, …).
    EmptyNonTerminal,
    /// The namespace is there, but this stanza does not show it, or it is not there.
    NoSuchNamespace(Box<str>),
    /// There is no such Service.
    NoSuchService(ServiceKey),
    /// The Service has no endpoint of that name.
    NoSuchEndpoint(ServiceKey),
    /// The Service has no port of that name and protocol.
    NoSuchPort(ServiceKey),
    /// No Pod has this address in this namespace, or Pod names are off.
    NoSuchPod,
    /// Nothing here has this address.
    NoSuchAddress(IpAddr),
    /// The Service, or the endpoint asked for, has endpoints, but none that is ready.
    NotReady {
        /// Whose endpoints.
        service: ServiceKey,
        /// How many there are.
        endpoints: usize,
    },
    /// The Service has no endpoints.
    NoEndpoints(ServiceKey),
    /// The Service has no address outside the cluster.
    NoExternalAddress(ServiceKey),
    /// The name has records, but none of this type.
    OtherType,
    /// The name has no form that a cluster name can have.
    NotAClusterName,
    /// The external name cannot be a DNS name.
    BadExternalName(ServiceKey),
    /// Not all watches have delivered their first list, so the name cannot be decided.
    NotSynced,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AliasWithoutData => write!(f, "the alias leads to no data"),
            Self::EmptyNonTerminal => write!(f, "the name has no records of its own"),
            Self::NoSuchNamespace(ns) => write!(f, "no namespace {ns}"),
            Self::NoSuchService(key) => write!(f, "no service {key}"),
            Self::NoSuchEndpoint(key) => write!(f, "no such endpoint of {key}"),
            Self::NoSuchPort(key) => write!(f, "no such port of {key}"),
            Self::NoSuchPod => write!(f, "no such pod"),
            Self::NoSuchAddress(ip) => write!(f, "nothing has address {ip}"),
            Self::NotReady { service, endpoints } => {
                write!(f, "{endpoints} endpoints of {service}, none ready")
            }
            Self::NoEndpoints(key) => write!(f, "{key} has no endpoints"),
            Self::NoExternalAddress(key) => write!(f, "{key} has no external address"),
            Self::OtherType => write!(f, "no records of this type"),
            Self::NotAClusterName => write!(f, "not a name that the cluster can have"),
            Self::BadExternalName(key) => write!(f, "the external name of {key} is not a DNS name"),
            Self::NotSynced => write!(f, "not synced"),
        }
    }
}

/// A query that nobody answered: the server sends an empty reply with this code.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// SERVFAIL, or REFUSED.
    pub rcode: ResponseCode,
    /// For `errors`: what went wrong, with the plugin's name.
    pub why: Arc<str>,
}

impl Failure {
    /// SERVFAIL, with what went wrong.
    #[must_use]
    pub fn servfail(why: impl fmt::Display) -> Self {
        Self {
            rcode: ResponseCode::ServFail,
            why: why.to_string().into(),
        }
    }
}
