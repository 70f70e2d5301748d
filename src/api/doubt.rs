//! Whether the server at the end of a watch is still the one that was listed.
//!
//! A watch that goes on from its version sees nothing of what a server has that was restored from a backup, or of another
//! that has taken the address over and happens to have that version. Both come with a lost connection: so a list follows
//! each, a few seconds later, and not from all replicas at once.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// Between the loss and the list: the server is to come up first, and each replica asks at a moment of its own.
const FIRST: Duration = Duration::from_secs(1);
const SPREAD: Duration = Duration::from_secs(3);

/// Where connections are lost all the time, lists come less and less often, up to this.
const LONGEST: Duration = Duration::from_secs(300);

/// What a watch's client tells.
#[derive(Clone, Debug, Default)]
pub(super) struct Losses(Arc<Notify>);

impl Losses {
    /// A connection was lost: a request failed, or a watch ended before its time.
    pub(super) fn tell(&self) {
        self.0.notify_one();
    }
}

/// When the next list is due.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    losses: Losses,
    due: Option<Instant>,
    /// The list before, and how many came without a longer pause.
    last: Option<Instant>,
    count: u32,
}

impl Doubt {
    /// For the client.
    pub(super) fn losses(&self) -> Losses {
        self.losses.clone()
    }

    /// Waits until a list is due; `random` in 0..1.
    pub(super) async fn due(&mut self, random: f64) {
        loop {
            let wait = self.due;
            let due = async {
                match wait {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {
                    self.due = None;
                    return;
                }
                () = self.losses.0.notified() => self.lost(Instant::now(), random),
            }
        }
    }

    fn lost(&mut self, now: Instant, random: f64) {
        if self.due.is_some() {
            return;
        }
        if self
            .last
            .is_none_or(|last| now.duration_since(last) > 2 * LONGEST)
        {
            self.count = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.count.min(9)).min(LONGEST);
        let earliest = self.last.map_or(now, |last| last + pause);
        let soon = now + FIRST + SPREAD.mul_f64(random);
        self.due = Some(soon.max(earliest));
    }

    /// A list begins, whyever.
    pub(super) fn listing(&mut self) {
        self.due = None;
        self.last = Some(Instant::now());
        self.count += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When lists come, in seconds, where a connection is lost every second.
    async fn lists(seconds: u64) -> Vec<u64> {
        let (mut doubt, start) = (Doubt::default(), Instant::now());
        let losses = doubt.losses();
        tokio::spawn(async move {
            loop {
                losses.tell();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut lists = Vec::new();
        while start.elapsed() < Duration::from_secs(seconds) {
            doubt.due(0.5).await;
            doubt.listing();
            lists.push(start.elapsed().as_secs());
        }
        lists
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_follows_a_loss_soon_and_many_losses_ever_more_seldom() {
        let all = lists(2000).await;
        assert_eq!(all[0], 2);
        let pauses: Vec<u64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.is_sorted() && pauses.contains(&300), "{pauses:?}");
    }
}
