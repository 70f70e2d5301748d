//! `forward`: names elsewhere, asked of upstreams.

mod exchange;
mod flights;
mod spec;
mod upstream;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::seq::SliceRandom;
use tokio::sync::Semaphore;

pub(super) use spec::PLUGIN;
pub use spec::{Policy, Spec};

use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::message::question::{Query, Transport};
use crate::message::reply::{Failure, ResponseCode};
use crate::message::{addressed, truncate};
use flights::{Flights, Outcome};
use upstream::Upstream;

/// How long one query may take in all: CoreDNS's, and what stub resolvers wait before they ask again.
const DEADLINE: Duration = Duration::from_secs(5);

/// The handler.
pub struct Forward {
    spec: Spec,
    upstreams: Vec<Arc<Upstream>>,
    turn: AtomicUsize,
    slots: Option<Semaphore>,
    flights: Flights,
}

impl Forward {
    /// A handler that asks the upstreams of `spec`.
    #[must_use]
    pub fn new(spec: Spec) -> Self {
        let upstreams = spec
            .upstreams
            .iter()
            .map(|(address, _)| Arc::new(Upstream::new(*address, spec.max_fails)))
            .collect();
        let slots = spec.max_concurrent.map(Semaphore::new);
        Self {
            spec,
            upstreams,
            turn: AtomicUsize::new(0),
            slots,
            flights: Flights::default(),
        }
    }

    /// The upstreams in the order to try, those that are down last.
    fn order(&self) -> Vec<&Arc<Upstream>> {
        let mut order: Vec<_> = self.upstreams.iter().collect();
        match self.spec.policy {
            Policy::Random => order.shuffle(&mut rand::rng()),
            Policy::RoundRobin => order.rotate_left(
                self.turn.fetch_add(1, Ordering::Relaxed) % self.upstreams.len().max(1),
            ),
            Policy::Sequential => {}
        }
        order.sort_by_key(|upstream| upstream.is_down());
        order
    }

    async fn answer(&self, query: &Query) -> Handled {
        let udp_asked = query.transport == Transport::Udp || self.spec.prefer_udp;
        let over_udp = udp_asked && !self.spec.force_tcp;
        let ask = || self.ask(query, over_udp);
        let wire = self.flights.once(query, over_udp, ask).await?;
        Ok(Reply::Raw(truncate(query, addressed(query, wire))))
    }

    async fn ask(&self, query: &Query, over_udp: bool) -> Outcome {
        let _slot = match self.slots.as_ref().map(Semaphore::try_acquire) {
            Some(Err(_)) => {
                let why = "plugin/forward: max_concurrent queries are waiting for upstreams";
                return Err(Failure {
                    rcode: ResponseCode::Refused,
                    why: why.into(),
                });
            }
            Some(Ok(slot)) => Some(slot),
            None => None,
        };
        let mut last = String::from("no upstream");
        let attempts = async {
            for upstream in self.order() {
                match exchange::ask(upstream.address, query, over_udp).await {
                    Ok(wire) => return Some(wire),
                    Err(error) => {
                        last = format!("{}: {error}", upstream.address);
                        upstream::check_until_up(upstream);
                    }
                }
            }
            None
        };
        match tokio::time::timeout(DEADLINE, attempts).await {
            Ok(Some(wire)) => Ok(wire),
            Ok(None) | Err(_) => Err(Failure::servfail(format_args!(
                "plugin/forward: no answer from any upstream, last: {last}"
            ))),
        }
    }
}

impl Plugin for Forward {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let qname = &query.question.qname;
        if !self.spec.from.covers(qname) || self.spec.except.cover(qname) {
            return next.handle(query);
        }
        self.answer(query).boxed()
    }
}

#[cfg(test)]
mod tests;
