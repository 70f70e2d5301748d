//! Waits that double.

use std::time::Duration;

/// The wait after so many failures in a row: `first`, then twice as long each time, up to `longest`.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(16)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_never_overflow() {
        let [first, longest] = [20, 500].map(Duration::from_millis);
        let waits = [0, 1, 4, 5, u32::MAX].map(|n| backoff(first, longest, n).as_millis());
        assert_eq!(waits, [20, 40, 320, 500, 500]);
    }
}
