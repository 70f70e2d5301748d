//! How a plugin lets questions through that the zone behind it answers.

use std::sync::Arc;
use std::time::Duration;

use super::denials::Denials;
use crate::answer::{Pens, Turn};
use crate::message::question::Query;
use crate::message::reply::ResponseCode;
use crate::zone::{Asked, Reason, Shown};

/// How a plugin lets questions through that the zone behind it answers.
pub struct Passage<'a>(pub(super) Way<'a>);

/// What becomes of such a question.
pub(super) enum Way<'a> {
    /// It has to be seen.
    Sees,
    /// Nothing.
    Clear,
    /// Its records come in another order each time.
    Turns,
    /// It is counted.
    Counts(&'a dyn Counts),
    /// The zone answers, where the name is its.
    Answers(&'a dyn AtOnce),
}

/// Who counts questions that a zone answers.
pub(super) trait Counts {
    /// Whether it leaves the records of such a zone as they are.
    fn leaves(&self, shown: &Shown) -> bool;

    /// Counts for one lane of the server.
    fn tally(&self, server: &Arc<str>) -> Box<dyn Tally>;
}

/// What is counted on one lane, until it is added to what is scraped.
pub(super) trait Tally: Send {
    /// Counts a question, its reply's code and size in octets.
    fn count(&mut self, query: &Query, rcode: ResponseCode, size: usize);

    /// Adds what was counted to what is scraped. `took`: how long those questions took.
    fn settle(&mut self, took: Duration);
}

/// A zone, which answers without waiting for anybody.
pub(super) trait AtOnce {
    /// What is shown of it.
    fn shown(&self) -> &Shown;

    /// Where it counts why names have no records.
    fn denials(&self) -> &Denials;

    /// Writes the reply behind what stands in `out`, where nobody else has to be asked for it.
    fn at_once(
        &self,
        asked: (&Query, &Asked<'_>),
        turn: Turn,
        pens: &mut Pens,
        out: &mut Vec<u8>,
    ) -> Option<Written>;
}

/// A reply that was written.
pub(super) struct Written {
    pub(super) rcode: ResponseCode,
    /// As CoreDNS counts it, in octets.
    pub(super) size: usize,
    /// Why it has no records.
    pub(super) denied: Option<Reason>,
}
