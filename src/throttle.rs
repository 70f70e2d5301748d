//! Lines that clients can cause are logged a few times a second, and those left out are counted.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Lets so many lines through in each second.
#[derive(Debug)]
pub struct Throttle {
    most: u32,
    second: AtomicU64,
    passed: AtomicU32,
    left_out: AtomicU64,
}

impl Throttle {
    /// One that lets `most` lines a second through.
    #[must_use]
    pub const fn new(most: u32) -> Self {
        Self {
            most,
            second: AtomicU64::new(0),
            passed: AtomicU32::new(0),
            left_out: AtomicU64::new(0),
        }
    }

    /// How many lines were left out before this one, if it may be written now. `since`: the time since a fixed moment.
    ///
    /// Where several threads ask at the turn of a second, a line more may pass.
    #[must_use]
    pub fn pass(&self, since: Duration) -> Option<u64> {
        let second = since.as_secs();
        if self.second.swap(second, Ordering::Relaxed) != second {
            self.passed.store(0, Ordering::Relaxed);
        }
        if self.passed.fetch_add(1, Ordering::Relaxed) < self.most {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_lines_a_second_pass_and_the_others_are_counted() {
        let throttle = Throttle::new(2);
        let pass = |ms| throttle.pass(Duration::from_millis(ms));
        assert_eq!(
            [pass(0), pass(10), pass(20), pass(999)],
            [Some(0), Some(0), None, None]
        );
        assert_eq!(
            [pass(1000), pass(1001), pass(1002)],
            [Some(2), Some(0), None]
        );
        assert_eq!(pass(5000), Some(1));
    }
}
