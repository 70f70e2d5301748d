//! What a plugin answers.

use super::{Transfer, Turn, Words, rcode, write};

use crate::message;
use crate::message::PLAIN_UDP_SIZE;
use crate::message::question::{Query, Question};
use crate::message::records::Records;
use crate::message::reply::{Composed, ResponseCode, Said};
use crate::message::wire::{ExtendedError, Head, Offsets, limit};
use crate::name::ServiceKey;
use crate::zone::{Answer, Asked, Denied, Found, Reason, Shown, Zone};

/// What a plugin answers. A plugin that asks the next one another question than its own has to compose the reply
/// ([`Reply::into_composed`]).
#[derive(Clone, Debug)]
pub enum Reply {
    /// What a zone of ours found for the question at hand, written when it is sent.
    Zone(ZoneReply),
    /// Sections put together by a plugin; the header's other fields come from the query.
    Composed(Composed),
    /// A message of an upstream, passed on as it came but for its id.
    Raw(Vec<u8>),
    /// A zone transfer.
    Transfer(Box<Transfer>),
    /// Nothing is sent.
    Nothing,
}

/// What a zone found for a question.
#[derive(Clone, Debug)]
pub struct ZoneReply {
    answer: Answer,
    shown: Shown,
    serial: u32,
    turn: Turn,
}

/// A reply as octets: one message, or those of a transfer.
#[derive(Debug)]
pub enum Messages {
    /// One message.
    One(Vec<u8>),
    /// Those of a transfer.
    Many(Box<Transfer>),
    /// None.
    Nothing,
}

impl From<Vec<u8>> for Messages {
    fn from(message: Vec<u8>) -> Self {
        Self::One(message)
    }
}

/// What is needed to write a message, and can be used for the next one.
#[derive(Debug, Default)]
pub struct Pens {
    offsets: Offsets,
    words: String,
}

/// Writes what a zone found for a query as a message behind what stands in `out`; its size with all names written out,
/// and without its OPT record.
pub fn put(
    answer: &Answer,
    (query, asked): (&Query, &Asked<'_>),
    manner: (u32, Turn),
    pens: &mut Pens,
    out: &mut Vec<u8>,
) -> usize {
    let Pens { offsets, words } = pens;
    words.clear();
    let said = query.edns.and_then(|_| Words::of(answer, asked));
    let error = said.map(|said| {
        // A text takes whatever is written to it.
        let _written = said.write(words);
        ExtendedError {
            code: said.code(),
            text: words,
        }
    });
    message::append(out, offsets, query, error, |wire| {
        write(answer, asked, manner, wire);
        // Every answer from a zone of ours is authoritative.
        Head {
            authoritative: true,
            ..Head::of(rcode(answer))
        }
    })
}

impl ZoneReply {
    /// What `zone` found.
    #[must_use]
    pub fn new(answer: Answer, shown: &Shown, zone: &Zone) -> Self {
        Self {
            answer,
            shown: shown.clone(),
            serial: zone.serial(),
            turn: None,
        }
    }

    /// The reply, put together.
    #[must_use]
    pub fn compose(&self, asked: &Asked<'_>) -> Composed {
        let mut records = Records::new(asked.name());
        write(&self.answer, asked, (self.serial, self.turn), &mut records);
        let words = Words::of(&self.answer, asked);
        Composed {
            error: words.map(|words| Said {
                code: words.code(),
                text: words.to_string().into(),
            }),
            ..Composed::authoritative(rcode(&self.answer), records)
        }
    }

    fn encode(&self, query: &Query, asked: &Asked<'_>) -> Vec<u8> {
        let mut out = Vec::with_capacity(usize::from(PLAIN_UDP_SIZE));
        let manner = (self.serial, self.turn);
        let mut pens = Pens::default();
        let _size = put(&self.answer, (query, asked), manner, &mut pens, &mut out);
        out
    }

    /// The question that it answers, placed again.
    fn asked<'q>(&'q self, question: &'q Question) -> Option<Asked<'q>> {
        self.shown.place(&question.qname, question.qtype)
    }
}

impl From<ZoneReply> for Reply {
    fn from(reply: ZoneReply) -> Self {
        Self::Zone(reply)
    }
}

impl From<Composed> for Reply {
    fn from(composed: Composed) -> Self {
        Self::Composed(composed)
    }
}

impl Reply {
    /// A reply without records, SOA or AA: SERVFAIL, REFUSED and their kin.
    #[must_use]
    pub fn refusal(rcode: ResponseCode) -> Self {
        Self::Composed(Composed::empty(rcode))
    }

    /// The sections of this reply to `question`; `None` where an upstream's cannot be read, or where it is a transfer.
    #[must_use]
    pub fn into_composed(self, question: &Question) -> Option<Composed> {
        match self {
            Self::Zone(reply) => Some(reply.compose(&reply.asked(question)?)),
            Self::Composed(composed) => Some(composed),
            Self::Raw(wire) => Composed::read(&wire),
            Self::Transfer(_) | Self::Nothing => None,
        }
    }

    /// Whether it is one message.
    #[must_use]
    pub fn is_message(&self) -> bool {
        match self {
            Self::Zone(_) | Self::Composed(_) | Self::Raw(_) => true,
            Self::Transfer(_) | Self::Nothing => false,
        }
    }

    /// Whether the reply was made here, and has records whose order may be changed.
    #[must_use]
    pub fn has_an_order(&self) -> bool {
        match self {
            Self::Zone(reply) => match &reply.answer {
                Answer::Found(found) => found.is_several(),
                Answer::Leads { .. } => true,
                Answer::Denied(_) | Answer::Unanswerable(_) => false,
            },
            Self::Composed(_) => true,
            // Of one record, or of none, there is one order only.
            Self::Raw(wire) => wire.get(6..8).is_some_and(|count| count > &[0, 1][..]),
            Self::Transfer(_) | Self::Nothing => false,
        }
    }

    /// Has the records of a zone's set begin where `turn` says; whether that is enough for an order of their own.
    pub fn turn(&mut self, turn: u32) -> bool {
        let Self::Zone(reply) = self else {
            return false;
        };
        let is_set = matches!(reply.answer, Answer::Found(Found::Service(_)));
        reply.turn = is_set.then_some(turn);
        is_set
    }

    /// Why a zone that it comes from has no records for it.
    #[must_use]
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Zone(reply) => reply.answer.reason(),
            Self::Composed(_) | Self::Raw(_) | Self::Transfer(_) | Self::Nothing => None,
        }
    }

    /// The Service of the name, where it is about to be there and is not yet; an alias's is not known.
    #[must_use]
    pub fn pending(&self, question: &Question) -> Option<ServiceKey> {
        let Self::Zone(reply) = self else {
            return None;
        };
        let Answer::Denied(Denied {
            reason: Reason::NotReady(_) | Reason::Expected,
            ..
        }) = reply.answer
        else {
            return None;
        };
        let asked = reply.asked(question)?;
        let ns = asked.left().checked_sub(asked.tree().len() + 1)?;
        let label = |at: usize| asked.name().lower(at);
        Some(ServiceKey::new(label(ns), label(ns.checked_sub(1)?)))
    }

    /// The same of a name that is to be there without records of the type: NODATA.
    #[must_use]
    pub fn without_data(mut self) -> Self {
        if let Self::Zone(reply) = &mut self
            && let Answer::Denied(denied) = &mut reply.answer
        {
            denied.exists = true;
        }
        self
    }

    /// Whether it comes from a zone, whose records all have TTLs within these bounds, in seconds, or one that nobody is to
    /// change: that of a denial which is kept by nobody.
    #[must_use]
    pub fn has_ttls_within(&self, bounds: (u32, u32)) -> bool {
        match self {
            Self::Zone(reply) => match &reply.answer {
                // The one record with a TTL of its own.
                Answer::Found(Found::Version) => false,
                answer if answer.is_pending() => true,
                Answer::Found(_) | Answer::Denied(_) => reply.shown.has_ttls_within(bounds),
                Answer::Leads { .. } | Answer::Unanswerable(_) => false,
            },
            Self::Composed(_) | Self::Raw(_) | Self::Transfer(_) | Self::Nothing => false,
        }
    }

    /// The response code.
    #[must_use]
    pub fn rcode(&self) -> ResponseCode {
        match self {
            Self::Zone(reply) => rcode(&reply.answer),
            Self::Composed(composed) => composed.rcode,
            Self::Raw(wire) => ResponseCode::from(0, wire.get(3).copied().unwrap_or(2) & 0x0f),
            Self::Transfer(_) | Self::Nothing => ResponseCode::NoError,
        }
    }

    /// The reply to `query` as octets.
    #[must_use]
    pub fn encode(self, query: &Query) -> Messages {
        Messages::One(match self {
            Self::Zone(reply) => match reply.asked(&query.question) {
                Some(asked) => reply.encode(query, &asked),
                None => message::encode(query, &Composed::empty(ResponseCode::ServFail)),
            },
            Self::Composed(composed) => message::encode(query, &composed),
            Self::Raw(wire) => message::truncate(query, wire),
            Self::Transfer(transfer) => return Messages::Many(transfer),
            Self::Nothing => return Messages::Nothing,
        })
    }
}

impl Messages {
    /// The same, signed where the query is and somebody has verified that (RFC 8945 section 5.3).
    #[must_use]
    pub fn signed(self, query: &Query) -> Self {
        let Some(tsig) = query.tsig.as_ref().filter(|tsig| tsig.signs()) else {
            return self;
        };
        match self {
            Self::One(mut message) => {
                if message.len() + tsig.size() > usize::from(limit(query.transport, query.edns)) {
                    // No record has room beside it.
                    let cut = Composed {
                        truncated: true,
                        ..Composed::empty(ResponseCode::NoError)
                    };
                    message = message::encode(query, &cut);
                }
                tsig.sign(&mut message, None);
                Self::One(message)
            }
            Self::Many(mut transfer) => {
                transfer.signed();
                Self::Many(transfer)
            }
            Self::Nothing => Self::Nothing,
        }
    }

    /// The only message, or the first.
    #[must_use]
    pub fn into_first(self) -> Option<Vec<u8>> {
        match self {
            Self::One(message) => Some(message),
            Self::Many(mut messages) => messages.next(),
            Self::Nothing => None,
        }
    }

    /// The only message; `None` where there are several, or none.
    #[must_use]
    pub fn into_only(self) -> Option<Vec<u8>> {
        match self {
            Self::One(message) => Some(message),
            Self::Many(mut messages) => messages.next().filter(|_| messages.next().is_none()),
            Self::Nothing => None,
        }
    }

    /// Every message.
    #[must_use]
    pub fn into_all(self) -> Vec<Vec<u8>> {
        match self {
            Self::One(message) => vec![message],
            Self::Many(messages) => messages.collect(),
            Self::Nothing => Vec::new(),
        }
    }
}
