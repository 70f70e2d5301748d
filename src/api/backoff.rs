//! How long to wait before the next try.

use std::time::Duration;

use headless_objects::backoff;
use tracing::warn;

/// The first wait: an API server that drops a connection is mostly back at once.
const FIRST: Duration = Duration::from_millis(10);

/// The longest: a name must follow its Pod within a second of the API server's return.
const LONGEST: Duration = Duration::from_millis(500);

/// The longest that a server's `Retry-After` is obeyed: one that says an hour has mostly been mistaken.
const ASKED: Duration = Duration::from_secs(30);

/// Waits that double, each shortened by a random part of up to a half.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next wait; `random` in 0..1, `asked`: what the server's `Retry-After` says.
    pub(super) fn next(&mut self, random: f64, asked: Option<Duration>) -> Duration {
        let doubled = backoff(FIRST, LONGEST, self.failures);
        self.failures = self.failures.saturating_add(1);
        match asked {
            Some(asked) if asked > ASKED => {
                let (asked, obeyed) = (asked.as_secs(), ASKED.as_secs());
                warn!("the API server says to wait {asked} s: it is asked again after {obeyed} s");
                ASKED
            }
            Some(asked) => asked,
            None => doubled.mul_f64(1.0 - random / 2.0),
        }
    }

    /// Something worked: the next wait is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_a_second_and_start_over_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8)
            .map(|_| backoff.next(0.0, None).as_millis())
            .collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 320, 500, 500]);
        assert_eq!(backoff.next(1.0, None).as_millis(), 250);
        assert_eq!(backoff.next(0.0, Some(Duration::from_secs(3))).as_secs(), 3);
        let hour = Duration::from_secs(3600);
        assert_eq!(backoff.next(0.0, Some(hour)).as_secs(), 30);
        backoff.reset();
        assert_eq!(backoff.next(0.0, None).as_millis(), 10);
    }
}
