//! `forward`: names elsewhere, asked of upstreams.

mod datagrams;
mod error;
mod flights;
mod host;
mod https;
mod peer;
mod pool;
mod spec;
mod target;
mod tls;
mod upstream;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::seq::SliceRandom;
use tokio::sync::Semaphore;
use tokio::time::Instant;

pub use host::Host;
pub use https::DohMethod;
pub use pool::Limits;
pub(super) use spec::PLUGIN;
pub use spec::{Policy, Spec};
pub use target::{Over, Target};
pub use tls::{Files, Tls};
pub use upstream::Check;

use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::message::question::{Query, Transport};
use crate::message::reply::{Failure, ResponseCode};
use crate::message::{addressed, rcode_name, rcode_of, skim, truncate};
use crate::metrics::Metrics;
use flights::{Flights, Outcome};
use peer::{Peer, Secured, Way};
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
    metrics: Arc<Metrics>,
}

impl Forward {
    /// A handler that asks the upstreams of `spec`, in the order of `secured`, which says who is asked over TLS or HTTPS.
    #[must_use]
    fn new(spec: Spec, secured: Vec<Option<Secured>>, metrics: &Arc<Metrics>) -> Self {
        let upstream = |(target, secured): (&Target, Option<Secured>)| {
            let peer = Peer::new(target.address, secured, spec.limits, metrics);
            let check = spec.check.clone();
            Arc::new(Upstream::new(
                peer,
                (spec.max_fails, check),
                spec.force_tcp,
                Arc::clone(metrics),
            ))
        };
        let targets = spec.upstreams.iter().zip(secured);
        let upstreams = targets.map(upstream).collect();
        let slots = spec.max_concurrent.map(Semaphore::new);
        Self {
            spec,
            upstreams,
            turn: AtomicUsize::new(0),
            slots,
            flights: Flights::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// The upstreams in the order to try, those that are down last.
    fn order(&self) -> Vec<&Arc<Upstream>> {
        let mut order: Vec<_> = self.upstreams.iter().collect();
        match self.spec.policy {
            Policy::Random => order.shuffle(&mut rand::rng()),
            // As in CoreDNS the second comes first.
            Policy::RoundRobin => {
                let turn = self.turn.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
                order.rotate_left(turn % self.upstreams.len().max(1));
            }
            Policy::Sequential => {}
        }
        order.sort_by_key(|upstream| upstream.is_down());
        order
    }

    async fn answer(&self, query: &Query) -> Outcome {
        let udp_asked = query.transport == Transport::Udp || self.spec.prefer_udp;
        let way = match (udp_asked && !self.spec.force_tcp, self.spec.prefer_udp) {
            (false, _) => Way::Tcp,
            (true, true) => Way::UdpThenTcp,
            (true, false) => Way::Udp,
        };
        let ask = || self.ask(query, way);
        let wire = self.flights.once(query, way, ask).await?;
        Ok(skim::with_opt_for(query, addressed(query, wire)))
    }

    async fn ask(&self, query: &Query, way: Way) -> Outcome {
        let _slot = match self.slots.as_ref().map(Semaphore::try_acquire) {
            Some(Err(_)) => {
                self.metrics.upstreams.rejected.inc();
                let most = self.spec.max_concurrent.unwrap_or_default();
                let why = format!("concurrent queries exceeded maximum {most}");
                return Err(Failure {
                    rcode: ResponseCode::Refused,
                    why: why.into(),
                    is_live: false,
                });
            }
            Some(Ok(slot)) => Some(slot),
            None => None,
        };
        if self.upstreams.iter().all(|upstream| upstream.is_down()) {
            self.metrics.upstreams.all_down.inc();
            if self.spec.failfast {
                return Err(Failure::servfail("no healthy proxies"));
            }
        }
        let mut last = Failure::servfail("plugin/forward: no answer from any upstream");
        let attempts = self.attempts(query, way, &mut last);
        match tokio::time::timeout(DEADLINE, attempts).await {
            Ok(Some(wire)) => Ok(wire),
            Ok(None) | Err(_) => Err(last),
        }
    }

    /// Each upstream, and each once more, up to as many as the file allows.
    async fn attempts(&self, query: &Query, way: Way, last: &mut Failure) -> Option<Vec<u8>> {
        let order = self.order();
        let most = match self.spec.max_attempts {
            0 => 2 * order.len(),
            most => most,
        };
        // Whoever is asked again, because an answer was lost or late, is asked the same.
        let id = rand::random();
        let mut kept = None;
        for (tried, upstream) in order.iter().cycle().take(most).enumerate() {
            let start = Instant::now();
            if let Some(metadata) = &query.metadata {
                metadata.set("forward/upstream", upstream.peer.address.to_string());
            }
            let asked = upstream.peer.ask(query, id, way).await;
            if let Ok(wire) = &asked {
                let to = upstream.peer.address.to_string();
                let labels = ["forward", &to, &rcode_name(rcode_of(wire))];
                let duration = self.metrics.upstreams.duration.with_label_values(&labels);
                duration.observe(start.elapsed().as_secs_f64());
            }
            match asked {
                Ok(wire) if self.spec.failover.contains(&rcode_of(&wire)) => {
                    kept = Some(wire);
                    // Each upstream has a say once.
                    if tried + 1 >= order.len() {
                        break;
                    }
                }
                Ok(wire) => return Some(wire),
                Err(error) => {
                    *last = failure(upstream, &error);
                    if error::is_wrong(&error) {
                        return None;
                    }
                    upstream::check_until_up(upstream);
                }
            }
        }
        kept
    }

    /// Whether the file has the next `forward` of the block asked instead.
    fn is_for_the_next(&self, wire: &[u8]) -> bool {
        let rcode = rcode_of(wire);
        let is_nodata = || rcode == ResponseCode::NoError && wire.get(6..8) == Some(&[0, 0]);
        self.spec.next.contains(&rcode) || self.spec.next_on_nodata && is_nodata()
    }
}

/// What `errors` says of an upstream; a reply to another question is FORMERR for the client, as in CoreDNS.
fn failure(upstream: &Upstream, error: &io::Error) -> Failure {
    let rcode = if error::is_wrong(error) {
        ResponseCode::FormErr
    } else {
        ResponseCode::ServFail
    };
    let address = upstream.peer.address;
    Failure {
        rcode,
        why: error::words(address, error).into(),
        is_live: false,
    }
}

impl Plugin for Forward {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let qname = &query.question.qname;
        if !self.spec.from.covers(qname) || self.spec.except.cover(qname) {
            return next.handle(query);
        }
        async move {
            let wire = self.answer(query).await?;
            if self.spec.is_followed && self.is_for_the_next(&wire) {
                tracing::debug!(rcode = %rcode_name(rcode_of(&wire)), "the next forward is asked");
                return next.handle(query).await;
            }
            Ok(Reply::Raw(truncate(query, wire)))
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests;
