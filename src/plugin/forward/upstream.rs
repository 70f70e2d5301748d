//! The health of an upstream: after a failure it is checked until it answers again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tracing::{info, warn};

use super::peer::{Peer, Way};
use crate::message::question::{Query, Question, RecordType};
use crate::metrics::Metrics;
use crate::name::Name;

/// The least time between two checks, whatever the file says.
const LEAST: Duration = Duration::from_millis(1);

/// How an upstream is checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The time between two checks.
    pub every: Duration,
    /// Whether the upstream is asked to recurse.
    pub recursion: bool,
    /// The name to ask for.
    pub domain: Name,
}

/// Somebody to ask.
pub(super) struct Upstream {
    pub(super) peer: Peer,
    max_fails: u32,
    check: Check,
    way: Way,
    fails: AtomicU32,
    checking: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Upstream {
    pub(super) fn new(
        peer: Peer,
        (max_fails, check): (u32, Check),
        force_tcp: bool,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            peer,
            max_fails,
            check,
            way: if force_tcp { Way::Tcp } else { Way::Udp },
            fails: AtomicU32::new(0),
            checking: AtomicBool::new(false),
            metrics,
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.max_fails > 0 && self.fails.load(Ordering::Relaxed) > self.max_fails
    }
}

/// Asks the upstream until there is a reply, unless that is done already. Ends when the upstream is dropped. An upstream
/// that is never down is not checked.
pub(super) fn check_until_up(upstream: &Arc<Upstream>) {
    if upstream.max_fails == 0 || upstream.checking.swap(true, Ordering::AcqRel) {
        return;
    }
    let weak = Arc::downgrade(upstream);
    let Check {
        every,
        recursion,
        domain,
    } = upstream.check.clone();
    let query = Query {
        recursion_desired: recursion,
        ..Query::plain(Question::new(domain, RecordType::NS), upstream.peer.address)
    };
    tokio::spawn(async move {
        // What a check takes is part of the time until the next.
        let mut pause = tokio::time::interval(every.max(LEAST));
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pause.tick().await;
        while let Some(upstream) = weak.upgrade() {
            let address = upstream.peer.address;
            if upstream.peer.probe(&query, upstream.way).await {
                if upstream.is_down() {
                    info!(upstream = %address, "the upstream answers again");
                }
                upstream.fails.store(0, Ordering::Relaxed);
                upstream.checking.store(false, Ordering::Release);
                return;
            }
            let failures = &upstream.metrics.upstreams.failures;
            failures
                .with_label_values(&["forward", &address.to_string()])
                .inc();
            let was_down = upstream.is_down();
            upstream.fails.fetch_add(1, Ordering::Relaxed);
            if !was_down && upstream.is_down() {
                warn!(upstream = %address, "the upstream does not answer");
            }
            drop(upstream);
            pause.tick().await;
        }
    });
}
