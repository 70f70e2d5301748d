//! How fast a watch may ask: whatever a server answers, and however soon, pauses come between requests in the long run.

use std::time::Duration;

use tokio::time::Instant;

/// Requests at a steady rate, with a few at once in between.
#[derive(Debug)]
pub(super) struct Pace {
    /// The time between two requests, in the long run.
    every: Duration,
    /// How many may come at once.
    at_once: u32,
    /// When the next would come if none came at once.
    next: Option<Instant>,
}

impl Pace {
    pub(super) fn new(every: Duration, at_once: u32) -> Self {
        Self {
            every,
            at_once,
            next: None,
        }
    }

    /// How long the request that is at hand has to wait.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let due = self.next.map_or(now, |next| next.max(now));
        self.next = Some(due + self.every);
        let ahead = due.duration_since(now);
        ahead.saturating_sub(self.every * self.at_once)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_come_at_once_and_the_others_at_the_rate() {
        let (mut pace, start) = (Pace::new(Duration::from_millis(200), 3), Instant::now());
        let waits = |pace: &mut Pace, at| {
            let now = start + Duration::from_secs(at);
            [(); 6].map(|()| pace.wait(now).as_millis())
        };
        assert_eq!(waits(&mut pace, 0), [0, 0, 0, 0, 200, 400]);
        // After a while the same again.
        assert_eq!(waits(&mut pace, 60), [0, 0, 0, 0, 200, 400]);
    }
}
