//! `kubernetes`: the cluster's names, from a zone that a watch keeps.

mod metadata;
mod spec;

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;

pub(super) use metadata::publish;
pub(super) use spec::PLUGIN;

use super::denials::Denials;
use super::passage::{AtOnce, Passage, Way, Written};
use super::router::NO_NEXT;
use super::{Handled, Next, Plugin};
use crate::answer::{Pens, Turn, Words, ZoneReply, put, rcode, write};
use crate::message::question::{Query, Question, RecordType};
use crate::message::records::Records;
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::message::wire::limit;
use crate::name::{Name, Origins};
use crate::zone::{Answer, Asked, Found, Shown, Zone};

/// The handler of `kubernetes`, and of `k8s_external`.
pub struct Kubernetes {
    /// The directive's name.
    pub name: &'static str,
    /// What it shows.
    pub shown: Shown,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Origins,
    /// The names.
    pub zone: Arc<Zone>,
    /// A plugin before this one has questions wait for names that are about to be there, and counts what is denied of them.
    pub holds: bool,
    /// Where it counts why names have no records.
    pub(in crate::plugin) denials: Denials,
}

impl Plugin for Kubernetes {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        match self.shown.place(&question.qname, question.qtype) {
            Some(asked) => {
                let asked = asked.within(limit(query.transport, query.edns));
                self.answer(query, &asked, next)
            }
            None => next.handle(query),
        }
    }

    fn passage(&self) -> Passage<'_> {
        Passage(Way::Answers(self))
    }
}

impl Kubernetes {
    fn answer<'a>(
        &'a self,
        query: &'a Query,
        asked: &Asked<'_>,
        next: Next<'a>,
    ) -> BoxFuture<'a, Handled> {
        if matches!(asked.qtype(), RecordType::AXFR | RecordType::IXFR) {
            return now(Err(Failure {
                rcode: ResponseCode::Refused,
                why: format!("plugin/{}: no transfers", self.name).into(),
                is_live: false,
            }));
        }
        let answer = self.zone.lookup(asked);
        let is_whole = self.is_whole(&answer, asked);
        let is_held = self.holds && answer.is_pending();
        let is_passed_on = matches!(answer, Answer::Denied(_)) && !is_whole;
        if let Some(reason) = answer.reason().filter(|_| !is_held && !is_passed_on) {
            self.denials.count(reason);
        }
        if is_whole {
            return now(Ok(ZoneReply::new(answer, &self.shown, &self.zone).into()));
        }
        match &answer {
            Answer::Denied(_) => next.handle(query),
            Answer::Unanswerable(_) => {
                let words = Words::of(&answer, asked).map(|words| words.to_string());
                now(Err(Failure::servfail(words.unwrap_or_default()).live()))
            }
            Answer::Leads { targets, .. } => {
                let mut records = Records::new(asked.name());
                write(&answer, asked, (self.zone.serial(), None), &mut records);
                follow(query, next, records, targets.clone()).boxed()
            }
            Answer::Found(_) => {
                let mut records = Records::new(asked.name());
                write(&answer, asked, (self.zone.serial(), None), &mut records);
                glue(query, next, records, hosts(&answer, asked)).boxed()
            }
        }
    }

    /// Whether the answer is the reply, without anybody else being asked.
    fn is_whole(&self, answer: &Answer, asked: &Asked<'_>) -> bool {
        match answer {
            Answer::Denied(denied) => !(denied.is_absent() && self.fallthrough.cover(asked.name())),
            Answer::Found(_) => hosts(answer, asked).is_empty(),
            Answer::Leads { .. } | Answer::Unanswerable(_) => false,
        }
    }
}

impl AtOnce for Kubernetes {
    fn shown(&self) -> &Shown {
        &self.shown
    }

    fn denials(&self) -> &Denials {
        &self.denials
    }

    fn at_once(
        &self,
        (query, asked): (&Query, &Asked<'_>),
        turn: Turn,
        pens: &mut Pens,
        out: &mut Vec<u8>,
    ) -> Option<Written> {
        let answer = self.zone.lookup(asked);
        // A cache may not let the TTL of `dns-version` through, and addresses behind aliases have an order of their own.
        let is_odd = matches!(answer, Answer::Found(Found::Version | Found::Pieces(_)));
        let is_held = self.holds && answer.is_pending();
        if is_odd || is_held || !self.is_whole(&answer, asked) {
            return None;
        }
        let manner = (self.zone.serial(), turn);
        let size = put(&answer, (query, asked), manner, pens, out);
        Some(Written {
            rcode: rcode(&answer),
            size,
            denied: answer.reason(),
        })
    }
}

/// The hosts that SRV records of an external zone lead to.
fn hosts(answer: &Answer, asked: &Asked<'_>) -> Vec<Name> {
    match answer {
        Answer::Found(Found::Service(selection)) if asked.qtype() == RecordType::SRV => {
            selection.hosts(asked.name())
        }
        Answer::Found(_) | Answer::Leads { .. } | Answer::Denied(_) | Answer::Unanswerable(_) => {
            Vec::new()
        }
    }
}

fn now<'a>(handled: Handled) -> BoxFuture<'a, Handled> {
    futures::future::ready(handled).boxed()
}

/// How long a reply waits for the addresses of hosts that it names.
const GLUE: Duration = Duration::from_secs(2);

/// Asks this server for the addresses of hosts that SRV records lead to; a host that has none is without, as in CoreDNS.
async fn glue(query: &Query, next: Next<'_>, mut records: Records, hosts: Vec<Name>) -> Handled {
    let addresses = |host: Name, qtype| async move {
        let question = Question {
            qtype,
            ..query.question.clone()
        };
        let query = Query {
            question,
            ..query.clone()
        };
        let reply = next.ask(&query, host).await;
        reply
            .ok()
            .flatten()
            .map_or(Vec::new(), |reply| reply.answer)
    };
    let both = |host: Name| {
        let v4 = addresses(host.clone(), RecordType::A);
        futures::future::join(v4, addresses(host, RecordType::AAAA))
    };
    let all = futures::future::join_all(hosts.into_iter().map(both));
    // The reply does not need them: it does not wait as long as its client does.
    if let Ok(found) = tokio::time::timeout(GLUE, all).await {
        let found = found.into_iter().flat_map(|(v4, v6)| [v4, v6]);
        records.additional.extend(found.flatten());
    }
    Ok(Composed::authoritative(ResponseCode::NoError, records).into())
}

/// Asks this server for what aliases lead to, as the same client.
///
/// An answer that holds nothing leaves the bare alias, as in CoreDNS; no answer at all is SERVFAIL, so that nobody
/// takes an upstream's absence for the name's.
async fn follow(
    query: &Query,
    next: Next<'_>,
    mut records: Records,
    targets: Vec<Name>,
) -> Handled {
    let mut truncated = false;
    for target in targets {
        match next.ask(query, target).await {
            // Another cluster whose names have not come yet.
            Ok(Some(reply)) if reply.is_live && reply.rcode == ResponseCode::ServFail => {
                return Err(Failure::servfail("what an alias leads to is not known yet").live());
            }
            Ok(Some(reply)) => {
                records.answer.extend(reply.answer);
                truncated |= reply.truncated;
            }
            Ok(None) => {}
            // There is nobody to ask.
            Err(failure) if failure.rcode == ResponseCode::Refused || &*failure.why == NO_NEXT => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Composed {
        truncated,
        ..Composed::authoritative(ResponseCode::NoError, records)
    }
    .into())
}
