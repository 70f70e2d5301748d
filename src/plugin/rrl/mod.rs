//! `rrl`: how many replies alike a client's network gets in a second (CoreDNS's external plugin of that name), so that
//! nobody has others flooded with replies that they did not ask for.

mod accounts;
mod spec;

use std::sync::{Arc, Mutex, PoisonError};

use ahash::RandomState;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::block::{Link, Parts};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::CorefileError;
use crate::message::question::{Query, RecordType, Transport};
use crate::message::reply::{Composed, ResponseCode};
use crate::metrics::Metrics;
use crate::throttle::Throttle;
use accounts::{Accounts, Verdict};
pub(super) use spec::PLUGIN;
use spec::Spec;

/// Replies that are counted together (BIND 9's categories).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Category {
    Response,
    NoData,
    NxDomain,
    Referral,
    Error,
    /// Questions, whatever comes of them.
    Request,
}

/// The handler.
struct Rrl {
    spec: Spec,
    accounts: Mutex<Accounts>,
    /// Accounts are told apart by hashes that nobody outside can foresee.
    hasher: RandomState,
    metrics: Arc<Metrics>,
    start: Instant,
    full: Throttle,
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Rrl {
            accounts: Mutex::new(Accounts::new(self.window, self.room, self.slip)),
            spec: self.clone(),
            hasher: RandomState::new(),
            metrics: Arc::clone(&parts.metrics),
            start: Instant::now(),
            full: Throttle::new(1),
        }))
    }
}

impl Rrl {
    /// What becomes of a reply, or a request, of this category; `name` and `qtype`: of what they are alike.
    fn account(
        &self,
        (query, server): (&Query, &str),
        category: Category,
        alike: (&str, Option<RecordType>),
    ) -> Verdict {
        let Some(interval) = self.spec.interval(category) else {
            return Verdict::Passes;
        };
        let network = self.spec.network(query.route.client.ip());
        let key = self.hasher.hash_one((network, category, alike));
        let now = self.start.elapsed();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = accounts.debit(now, key, interval);
        drop(accounts);
        if verdict == Verdict::NoRoom {
            if let Some(before) = self.full.pass(now) {
                warn!(
                    before,
                    "the table of replies is full: new ones are not limited"
                );
            }
            return Verdict::Passes;
        }
        if verdict == Verdict::Passes {
            return verdict;
        }
        let counter = match category {
            Category::Request => &self.metrics.rrl.requests,
            Category::Response
            | Category::NoData
            | Category::NxDomain
            | Category::Referral
            | Category::Error => &self.metrics.rrl.responses,
        };
        counter.with_label_values(&[server]).inc();
        debug!(client = %query.route.client, qname = %query.question.qname, ?category, "beyond its rate");
        if self.spec.report_only {
            return Verdict::Passes;
        }
        verdict
    }

    /// A reply, as far as it may go out.
    fn limited(&self, (query, server): (&Query, &str), handled: Handled) -> Handled {
        let (category, name, qtype, reply) = match handled {
            Err(failure) => (Category::Error, String::new(), None, Err(failure)),
            Ok(reply @ (Reply::Transfer(_) | Reply::Nothing)) => return Ok(reply),
            Ok(reply) => {
                let octets = reply.encode(query).into_first().unwrap_or_default();
                let (category, name, qtype) = alike(query, &octets);
                (category, name, qtype, Ok(Reply::Raw(octets)))
            }
        };
        match self.account((query, server), category, (&name, qtype)) {
            Verdict::Passes | Verdict::NoRoom => reply,
            Verdict::Dropped => Ok(Reply::Nothing),
            Verdict::Slips => Ok(Composed {
                truncated: true,
                ..Composed::empty(ResponseCode::NoError)
            }
            .into()),
        }
    }
}

/// The category of a message, and the name and type that those alike have.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: every other code is alike"
)]
fn alike(query: &Query, octets: &[u8]) -> (Category, String, Option<RecordType>) {
    let qname = || query.question.qname.to_lowercase().to_string();
    let qtype = Some(query.question.qtype);
    let count = |at: usize| octets.get(at..at + 2).is_some_and(|count| count != [0, 0]);
    // The zone that says so, as any name below it would be denied alike.
    let authority = || Composed::read(octets).and_then(|reply| reply.authority.into_iter().next());
    let rcode = octets.get(3).copied().unwrap_or(2) & 0x0f;
    match ResponseCode::from(0, rcode) {
        _ if count(6) => (Category::Response, qname(), qtype),
        ResponseCode::NXDomain => {
            let zone = authority().map(|record| record.name.to_lowercase().to_string());
            (Category::NxDomain, zone.unwrap_or_default(), None)
        }
        ResponseCode::NoError => match authority() {
            Some(record) if record.record_type() == RecordType::NS => (
                Category::Referral,
                record.name.to_lowercase().to_string(),
                qtype,
            ),
            Some(_) | None => (Category::NoData, qname(), None),
        },
        _ => (Category::Error, String::new(), None),
    }
}

impl Plugin for Rrl {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        // Who has a connection, or a cookie, is who it says.
        let is_proven = query.transport == Transport::Tcp || query.has_cookie;
        if is_proven || !next.is_client_s() || !self.spec.origins.cover(&query.question.qname) {
            return next.handle(query);
        }
        async move {
            let server = Arc::clone(next.server());
            match self.account((query, &server), Category::Request, ("", None)) {
                Verdict::Passes | Verdict::NoRoom => {}
                Verdict::Dropped | Verdict::Slips => return Ok(Reply::Nothing),
            }
            let handled = next.handle(query).await;
            self.limited((query, &server), handled)
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
