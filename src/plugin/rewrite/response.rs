//! What a rule does to the reply.

use regex::Regex;

use super::pattern::{Pattern, dotted};
use crate::message::record::{Record, named_in};
use crate::message::reply::{Composed, ResponseCode};
use crate::name::{Name, Qname, absolute};

/// What a rule does to the reply.
#[derive(Clone, Debug)]
pub(super) enum Response {
    /// Owners, or names within the data, are other names.
    Names {
        map: Map,
        owners: bool,
        values: bool,
    },
    /// TTLs are within these bounds, in seconds.
    Ttl(u32, u32),
    /// A response code is another one.
    Rcode(ResponseCode, ResponseCode),
    /// An alias leads elsewhere.
    Alias(Map),
    /// An option that was added is taken away, or has the value that the client gave it.
    Option(u16, Option<Vec<u8>>),
}

/// What becomes of names that match.
#[derive(Clone, Debug)]
pub(super) struct Map {
    pub(super) pattern: Pattern,
    pub(super) to: String,
}

impl Map {
    /// From an expression.
    pub(super) fn regex(regex: Regex, to: &str) -> Self {
        Self {
            pattern: Pattern::Regex(regex),
            to: to.to_owned(),
        }
    }

    /// What becomes of a name; `None`: it does not match, or what it would become is no name.
    pub(super) fn apply(&self, name: &Name) -> Option<Name> {
        let text = dotted(&Qname::from(name).to_lowercase().to_string());
        absolute(&self.pattern.replace(&text, &self.to)?).ok()
    }
}

impl Response {
    /// Does what can be done without asking anybody.
    pub(super) fn apply(&self, reply: &mut Composed) {
        match self {
            Self::Names {
                map,
                owners,
                values,
            } => {
                for record in sections(reply) {
                    if *owners && let Some(name) = map.apply(&record.name) {
                        record.name = name;
                    }
                    if *values {
                        for place in named_in(&mut record.data) {
                            if let Some(name) = map.apply(place) {
                                *place = name;
                            }
                        }
                    }
                }
            }
            Self::Ttl(least, most) => {
                for record in sections(reply) {
                    record.ttl = record.ttl.clamp(*least, *most);
                }
            }
            Self::Rcode(from, to) => {
                if reply.rcode == *from {
                    reply.rcode = *to;
                }
            }
            // That takes another question; and a reply that is put together has no options.
            Self::Alias(_) | Self::Option(..) => {}
        }
    }
}

fn sections(reply: &mut Composed) -> impl Iterator<Item = &mut Record> {
    let Composed {
        answer,
        authority,
        additional,
        ..
    } = reply;
    authority.iter_mut().chain(answer).chain(additional)
}
