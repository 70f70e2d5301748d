//! From a look-up's outcome to a reply. The SOA of a negative is added here and nowhere else.

use crate::message::question::Question;
use crate::message::record::{self, Record};
use crate::message::reply::{Composed, Failure, Reason, ResponseCode};
use crate::name::Name;
use crate::zone::{Answer, Records, View};

/// What becomes of a question after the look-up.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// This is the reply.
    Reply(Composed),
    /// These records, and what following `targets` adds.
    Follow {
        /// Records so far.
        records: Records,
        /// Names to ask for, with the question's type.
        targets: Vec<Name>,
    },
    /// The next plugin is asked.
    Next,
    /// Nobody can answer.
    Fail(Failure),
}

/// Turns `answer` into what the client gets. `falls_through`: whether a name that does not exist goes to the next plugin.
#[must_use]
pub fn compose(
    view: &View,
    serial: u32,
    question: &Question,
    answer: Answer,
    falls_through: bool,
) -> Outcome {
    let soa = || {
        let zone = view
            .zone_of(&question.qname)
            .map_or(0, |z| usize::from(z.num_labels()));
        record::soa(&question.qname.trim_to(zone), view.ttl, serial)
    };
    compose_with(soa, answer, falls_through)
}

/// The same for a zone with this SOA.
pub fn compose_with(soa: impl Fn() -> Record, answer: Answer, falls_through: bool) -> Outcome {
    let negative = |rcode, reason: Reason| {
        Outcome::Reply(Composed {
            authoritative: true,
            authority: vec![soa()],
            reason: Some(reason),
            ..Composed::empty(rcode)
        })
    };
    match answer {
        Answer::OutOfZone => Outcome::Next,
        Answer::NxDomain(_) if falls_through => Outcome::Next,
        Answer::NxDomain(reason) => negative(ResponseCode::NXDomain, reason),
        Answer::NoData(reason) => negative(ResponseCode::NoError, reason),
        Answer::NotSynced(reason) => negative(ResponseCode::ServFail, reason),
        Answer::Unanswerable(reason) => Outcome::Fail(Failure::servfail(reason)),
        Answer::Positive(records) => Outcome::Reply(positive(records)),
        Answer::Alias { records, targets } => Outcome::Follow { records, targets },
    }
}

/// A reply with these records.
#[must_use]
pub fn positive(records: Records) -> Composed {
    Composed {
        authoritative: true,
        answer: records.answer,
        additional: records.additional,
        ..Composed::empty(ResponseCode::NoError)
    }
}
