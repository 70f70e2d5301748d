//! A reply as a value: sections that somebody has put together, or why there are none.

use std::fmt;
use std::sync::Arc;

use hickory_proto::op::Message;
pub use hickory_proto::op::ResponseCode;
use hickory_proto::rr::rdata::opt::EdnsCode;

use super::question::{Edns, Query, Question};
use super::records::Records;
use super::wire::{EXTENDED_ERROR, ExtendedError, Head};
use crate::message::record::Record;

/// The sections of a reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Composed {
    /// The response code.
    pub rcode: ResponseCode,
    /// AA: the reply is from a zone of ours (RFC 1035 section 4.1.1).
    pub authoritative: bool,
    /// RA: whoever gave the reply recurses (RFC 1035 section 4.1.1).
    pub recursion_available: bool,
    /// RD, where it is not the request's.
    pub recursion_desired: Option<bool>,
    /// AD: whoever gave the reply has verified it (RFC 4035 section 3.2.3).
    pub authentic_data: bool,
    /// TC, where the reply is known to be incomplete before it is written.
    pub truncated: bool,
    /// Answer section.
    pub answer: Vec<Record>,
    /// Authority section.
    pub authority: Vec<Record>,
    /// Additional section, without OPT.
    pub additional: Vec<Record>,
    /// Why there is no answer.
    pub error: Option<Said>,
    /// The question that the message repeats, where it is not the request's.
    pub question: Option<Question>,
    /// What its OPT record says, where that is not what the request's does.
    pub edns: Option<Edns>,
    /// It comes from a zone that changes at any time: nobody keeps it.
    pub is_live: bool,
}

/// An extended error (RFC 8914) that a reply carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT.
    pub text: Box<str>,
}

impl Said {
    /// The first that a message carries; what of its text is not UTF-8 is replaced.
    #[must_use]
    pub fn read(wire: &[u8]) -> Option<Self> {
        let edns = Message::from_vec(wire).ok()?.edns?;
        let option = edns.option(EdnsCode::from(EXTENDED_ERROR))?;
        let octets = Vec::try_from(option).ok()?;
        let (code, text) = octets.split_first_chunk()?;
        Some(Self {
            code: u16::from_be_bytes(*code),
            text: String::from_utf8_lossy(text).into(),
        })
    }

    /// The OPT record of a plugin's own reply that says why: as in CoreDNS it has DO set, and clients without EDNS get it
    /// too.
    #[must_use]
    pub fn edns(query: &Query) -> Edns {
        /// CoreDNS's, where the client says nothing.
        const UDP_SIZE: u16 = 4096;
        Edns {
            udp_size: query.edns.map_or(UDP_SIZE, |edns| edns.udp_size),
            dnssec_ok: true,
        }
    }

    /// The same, to be written.
    #[must_use]
    pub fn borrow(&self) -> ExtendedError<'_> {
        ExtendedError {
            code: self.code,
            text: &self.text,
        }
    }
}

impl Composed {
    /// A reply without records.
    #[must_use]
    pub fn empty(rcode: ResponseCode) -> Self {
        Self {
            rcode,
            authoritative: false,
            recursion_available: false,
            recursion_desired: None,
            authentic_data: false,
            truncated: false,
            answer: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            error: None,
            question: None,
            edns: None,
            is_live: false,
        }
    }

    /// A reply of a zone of ours with these records.
    #[must_use]
    pub fn authoritative(rcode: ResponseCode, records: Records) -> Self {
        Self {
            authoritative: true,
            is_live: true,
            answer: records.answer,
            authority: records.authority,
            additional: records.additional,
            ..Self::empty(rcode)
        }
    }

    /// The sections of a message; `None` where it cannot be read.
    #[must_use]
    pub fn read(wire: &[u8]) -> Option<Self> {
        let message = Message::from_vec(wire).ok()?;
        // The upper bits of a response code are in the OPT record (RFC 6891 section 6.1.3).
        let high = message.edns.as_ref().map_or(0, |edns| edns.rcode_high());
        Some(Self {
            rcode: ResponseCode::from(high, wire.get(3)? & 0x0f),
            authoritative: message.metadata.authoritative,
            recursion_available: message.metadata.recursion_available,
            recursion_desired: Some(message.metadata.recursion_desired),
            authentic_data: message.metadata.authentic_data,
            truncated: message.metadata.truncation,
            answer: message.answers,
            authority: message.authorities,
            additional: message.additionals,
            error: None,
            question: None,
            edns: None,
            is_live: false,
        })
    }

    /// What it says of itself.
    #[must_use]
    pub fn head(&self) -> Head {
        Head {
            rcode: self.rcode,
            authoritative: self.authoritative,
            recursion_available: self.recursion_available,
            recursion_desired: self.recursion_desired,
            authentic_data: self.authentic_data,
            truncated: self.truncated,
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
    /// It is of a zone that changes at any time: nobody keeps it.
    pub is_live: bool,
}

impl Failure {
    /// SERVFAIL, with what went wrong.
    #[must_use]
    pub fn servfail(why: impl fmt::Display) -> Self {
        Self {
            rcode: ResponseCode::ServFail,
            why: why.to_string().into(),
            is_live: false,
        }
    }

    /// The same of a zone that changes at any time.
    #[must_use]
    pub fn live(self) -> Self {
        Self {
            is_live: true,
            ..self
        }
    }
}
