//! `kubernetes`: the cluster's names, from a zone that a watch keeps.

mod compose;
mod spec;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

pub use compose::{Outcome, compose, compose_with, positive};
pub use spec::{Spec, parse};

use super::{Handled, Next, Plugin};
use crate::message::question::{Query, Question, RecordType};
use crate::message::reply::{Failure, Reply, ResponseCode};
use crate::name::Name;
use crate::zone::{Records, View, Zone};

/// The handler.
pub struct Kubernetes {
    /// What the stanza shows.
    pub view: View,
    /// Of these names, those that do not exist go to the next plugin.
    pub fallthrough: Vec<Name>,
    /// The names.
    pub zone: Arc<Zone>,
}

impl Plugin for Kubernetes {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        self.answer(query, next).boxed()
    }
}

impl Kubernetes {
    async fn answer(&self, query: &Query, next: Next<'_>) -> Handled {
        let question = &query.question;
        let transfer = matches!(question.qtype, RecordType::AXFR | RecordType::IXFR);
        if transfer && self.view.zone_of(&question.qname).is_some() {
            return Err(Failure {
                rcode: ResponseCode::Refused,
                why: "plugin/kubernetes: no transfers".into(),
            });
        }
        let answer = self.zone.lookup(&self.view, question);
        let falls = self
            .fallthrough
            .iter()
            .any(|zone| zone.zone_of(&question.qname));
        match compose(&self.view, self.zone.serial(), question, answer, falls) {
            Outcome::Reply(reply) => Ok(reply.into()),
            Outcome::Next => next.handle(query).await,
            Outcome::Fail(failure) => Err(failure),
            Outcome::Follow { records, targets } => follow(query, next, records, targets).await,
        }
    }
}

/// Asks this server for what aliases lead to, as the same client.
///
/// An answer that holds nothing leaves the bare alias, as in CoreDNS; no answer at all is SERVFAIL, so that nobody
/// takes an upstream's absence for the name's.
pub(super) async fn follow(
    query: &Query,
    next: Next<'_>,
    mut records: Records,
    targets: Vec<Name>,
) -> Handled {
    let mut truncated = false;
    for target in targets {
        let question = Question {
            qname: target,
            ..query.question.clone()
        };
        let reply = match next.ask(query, question).await {
            Ok(reply) => reply,
            Err(failure) if failure.rcode == ResponseCode::Refused => Reply::refusal(failure.rcode),
            Err(failure) => return Err(failure),
        };
        if let Some(reply) = reply.into_composed() {
            records.answer.extend(reply.answer);
            truncated |= reply.truncated;
        }
    }
    let mut reply = positive(records);
    reply.truncated = truncated;
    Ok(reply.into())
}
