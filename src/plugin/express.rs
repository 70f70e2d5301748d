//! The way from a packet to the zone and back on which no plugin has to be asked: one for each lane of a socket.
//!
//! Whatever is unusual is left to the chain of plugins, which answers every question and says the same.

use std::sync::Arc;
use std::time::Duration;

use super::denials;
use super::passage::{AtOnce, Tally, Way, Written};
use super::{Chain, Plugin, Router};
use crate::answer::{Pens, Turn};
use crate::message::question::{DNSClass, Query, RecordType};
use crate::message::wire::limit;
use crate::name::Qname;

/// Where the zones of a chain stand, if questions reach them at once: the place of the last of them; else that of the
/// plugin that has to see questions. `None`: there is no zone.
#[must_use]
pub fn way_to_zone(chain: &Chain) -> Option<Result<usize, usize>> {
    let is_zone = |link: &Arc<dyn Plugin>| matches!(link.passage().0, Way::Answers(_));
    let last = chain.iter().rposition(is_zone)?;
    let sees = |link: &Arc<dyn Plugin>| match link.passage().0 {
        Way::Sees => true,
        Way::Counts(counts) => !zones(&chain[..=last]).all(|zone| counts.leaves(zone.shown())),
        Way::Clear | Way::Turns | Way::Answers(_) => false,
    };
    Some(chain[..last].iter().position(sees).map_or(Ok(last), Err))
}

fn zones(chain: &[Arc<dyn Plugin>]) -> impl Iterator<Item = &dyn AtOnce> {
    chain.iter().filter_map(|link| match link.passage().0 {
        Way::Answers(zone) => Some(zone),
        Way::Sees | Way::Clear | Way::Turns | Way::Counts(_) => None,
    })
}

/// Of one lane.
pub struct Express {
    router: Arc<Router>,
    /// Of each of the router's blocks whose zones are reached at once.
    blocks: Vec<Option<Block>>,
    pens: Pens,
}

/// A block whose zones are reached at once.
struct Block {
    chain: Chain,
    /// The last plugin that is a zone.
    last: usize,
    turns: bool,
    tallies: Vec<Box<dyn Tally>>,
    denials: denials::OfLane,
}

impl Block {
    fn new(chain: &Chain, server: &Arc<str>) -> Option<Self> {
        let last = way_to_zone(chain)?.ok()?;
        let denials = zones(&chain[..=last]).next()?.denials().of_lane();
        let mut block = Self {
            chain: Arc::clone(chain),
            last,
            turns: false,
            tallies: Vec::new(),
            denials,
        };
        for link in &chain[..last] {
            match link.passage().0 {
                Way::Turns => block.turns = true,
                Way::Counts(counts) => block.tallies.push(counts.tally(server)),
                Way::Sees | Way::Clear | Way::Answers(_) => {}
            }
        }
        Some(block)
    }
}

impl Express {
    /// One over this router.
    #[must_use]
    pub fn new(router: &Arc<Router>) -> Self {
        let chains = router.chains();
        let server = router.server();
        Self {
            blocks: chains.map(|chain| Block::new(chain, server)).collect(),
            router: Arc::clone(router),
            pens: Pens::default(),
        }
    }

    /// Whether there is any question that it may answer.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.blocks.iter().any(Option::is_some)
    }

    /// Writes the reply behind what stands in `out`, where a zone has one; `random`: for the order of records.
    pub fn answer(&mut self, query: &Query, random: u32, out: &mut Vec<u8>) -> bool {
        let question = &query.question;
        if question.qclass != DNSClass::IN || !is_plain(question.qtype) {
            return false;
        }
        let Some(block) = self.router.block_of(query) else {
            return false;
        };
        let Some(block) = &mut self.blocks[block] else {
            return false;
        };
        let turn = block.turns.then_some(random);
        let Some(written) = answered(block, query, turn, &mut self.pens, out) else {
            return false;
        };
        let Written {
            rcode,
            size,
            denied,
        } = written;
        if let Some(reason) = denied {
            block.denials.count(reason);
        }
        let tallies = block.tallies.iter_mut();
        tallies.for_each(|tally| tally.count(query, rcode, size));
        self.router.note(query, rcode);
        true
    }

    /// Has what was counted since the last time added to what is scraped. `took`: how long those questions took.
    pub fn settle(&mut self, took: Duration) {
        for block in self.blocks.iter_mut().flatten() {
            let tallies = block.tallies.iter_mut();
            tallies.for_each(|tally| tally.settle(took));
            block.denials.settle();
        }
    }
}

fn answered(
    block: &Block,
    query: &Query,
    turn: Turn,
    pens: &mut Pens,
    out: &mut Vec<u8>,
) -> Option<Written> {
    let question = &query.question;
    let qname: &Qname = &question.qname;
    for zone in zones(&block.chain[..=block.last]) {
        if let Some(asked) = zone.shown().place(qname, question.qtype) {
            let asked = asked.within(limit(query.transport, query.edns));
            return zone.at_once((query, &asked), turn, pens, out);
        }
    }
    None
}

/// The types that are asked for all the time. Others, transfers among them, take the chain.
fn is_plain(qtype: RecordType) -> bool {
    matches!(
        qtype,
        RecordType::A
            | RecordType::AAAA
            | RecordType::SRV
            | RecordType::PTR
            | RecordType::TXT
            | RecordType::CNAME
            | RecordType::MX
            | RecordType::NS
            | RecordType::SOA
            | RecordType::HTTPS
            | RecordType::SVCB
    )
}
