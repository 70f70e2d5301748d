//! The health of an upstream: after a failure it is checked until it answers again.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use tracing::{info, warn};

use super::exchange;
use crate::message::question::{Query, Question, RecordType};
use crate::name::Name;

/// Time between checks: CoreDNS's.
const INTERVAL: Duration = Duration::from_millis(500);

/// Somebody to ask.
pub(super) struct Upstream {
    pub(super) address: SocketAddr,
    max_fails: u32,
    fails: AtomicU32,
    checking: AtomicBool,
}

impl Upstream {
    pub(super) fn new(address: SocketAddr, max_fails: u32) -> Self {
        Self {
            address,
            max_fails,
            fails: AtomicU32::new(0),
            checking: AtomicBool::new(false),
        }
    }

    pub(super) fn is_down(&self) -> bool {
        self.max_fails > 0 && self.fails.load(Ordering::Relaxed) > self.max_fails
    }
}

/// Asks `. NS` until there is a reply, unless somebody does already. Ends when the upstream is dropped.
pub(super) fn check_until_up(upstream: &Arc<Upstream>) {
    if upstream.checking.swap(true, Ordering::AcqRel) {
        return;
    }
    let (weak, address) = (Arc::downgrade(upstream), upstream.address);
    tokio::spawn(async move {
        let query = Query::plain(Question::new(Name::root(), RecordType::NS), address);
        while let Some(upstream) = weak.upgrade() {
            if exchange::ask(address, &query, true).await.is_ok() {
                if upstream.is_down() {
                    info!(upstream = %address, "the upstream answers again");
                }
                upstream.fails.store(0, Ordering::Relaxed);
                upstream.checking.store(false, Ordering::Release);
                return;
            }
            let was_down = upstream.is_down();
            upstream.fails.fetch_add(1, Ordering::Relaxed);
            if !was_down && upstream.is_down() {
                warn!(upstream = %address, "the upstream does not answer");
            }
            drop(upstream);
            tokio::time::sleep(INTERVAL).await;
        }
    });
}
