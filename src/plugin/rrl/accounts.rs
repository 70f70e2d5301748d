//! Who has had how many replies alike: an account for each kind, of which each reply takes one interval.

use std::collections::HashMap;
use std::time::Duration;

use ahash::RandomState;

/// An account holds at most so much: who was silent for a while has a second's replies at once.
const MOST: i64 = 1_000_000_000;

/// How often a full table is looked through for accounts that nobody uses.
const SWEEP: Duration = Duration::from_secs(1);

/// What becomes of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Passes,
    Dropped,
    /// It is to go out cut short, so that an honest client asks over TCP.
    Slips,
    /// Nobody knows: the table is full.
    NoRoom,
}

/// An account. Times are in nanoseconds since a fixed moment.
#[derive(Debug)]
struct Account {
    /// From when on it holds something; what it holds is the time since then.
    since: i64,
    /// How many were dropped since one slipped through.
    dropped: u32,
}

/// All accounts.
#[derive(Debug)]
pub(super) struct Accounts {
    /// What an account may owe.
    window: i64,
    room: usize,
    /// One of so many slips through; 0: none.
    slip: u32,
    accounts: HashMap<u64, Account, RandomState>,
    swept: Option<Duration>,
}

impl Accounts {
    pub(super) fn new(window: Duration, room: usize, slip: u32) -> Self {
        Self {
            window: nanos(window),
            room,
            slip,
            accounts: HashMap::default(),
            swept: None,
        }
    }

    /// Takes a reply's interval from the account.
    pub(super) fn debit(&mut self, now: Duration, key: u64, interval: Duration) -> Verdict {
        let (time, interval) = (nanos(now), nanos(interval));
        let Some(account) = self.accounts.get_mut(&key) else {
            if self.accounts.len() >= self.room && !self.sweep(now) {
                return Verdict::NoRoom;
            }
            let since = time - MOST + interval;
            self.accounts.insert(key, Account { since, dropped: 0 });
            return Verdict::Passes;
        };
        let holds = (time - account.since).min(MOST) - interval;
        let holds = holds.max(-self.window);
        account.since = time - holds;
        if holds >= 0 {
            return Verdict::Passes;
        }
        account.dropped += 1;
        if self.slip > 0 && account.dropped >= self.slip {
            account.dropped = 0;
            return Verdict::Slips;
        }
        Verdict::Dropped
    }

    /// Forgets accounts that are as good as new; whether there is room then.
    fn sweep(&mut self, now: Duration) -> bool {
        let lately = |swept: Duration| now < swept + SWEEP;
        if !self.swept.is_some_and(lately) {
            self.swept = Some(now);
            let time = nanos(now);
            self.accounts
                .retain(|_, account| time - account.since < MOST);
        }
        self.accounts.len() < self.room
    }
}

fn nanos(time: Duration) -> i64 {
    i64::try_from(time.as_nanos())
        .unwrap_or(i64::MAX / 4)
        .min(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(5);

    /// Ten replies a second are allowed.
    const INTERVAL: Duration = Duration::from_millis(100);

    /// How many of `count` replies at this time pass.
    fn passed(accounts: &mut Accounts, at: u64, count: u32) -> usize {
        let debit = |_| accounts.debit(Duration::from_secs(at), 7, INTERVAL);
        (0..count)
            .map(debit)
            .filter(|v| *v == Verdict::Passes)
            .count()
    }

    #[test]
    fn a_second_s_replies_pass_at_once_and_what_is_owed_is_waited_for() {
        let mut accounts = Accounts::new(WINDOW, 100, 0);
        assert_eq!(passed(&mut accounts, 0, 10), 10);
        assert_eq!(passed(&mut accounts, 0, 1000), 0);
        // It owes five seconds at the most.
        assert_eq!(passed(&mut accounts, 5, 1), 0);
        assert_eq!(passed(&mut accounts, 6, 100), 9);
        assert_eq!(passed(&mut accounts, 1000, 100), 10);
        // Another has its own.
        let other = accounts.debit(Duration::from_secs(1000), 8, INTERVAL);
        assert_eq!(other, Verdict::Passes);
    }

    #[test]
    fn one_of_so_many_slips_through() {
        let mut accounts = Accounts::new(WINDOW, 100, 3);
        passed(&mut accounts, 0, 10);
        let debit = |_| accounts.debit(Duration::ZERO, 7, INTERVAL);
        use Verdict::{Dropped, Slips};
        let verdicts: Vec<_> = (0..6).map(debit).collect();
        assert_eq!(verdicts, [Dropped, Dropped, Slips, Dropped, Dropped, Slips]);
    }

    #[test]
    fn a_full_table_takes_no_more_until_accounts_are_as_good_as_new() {
        let mut accounts = Accounts::new(WINDOW, 2, 0);
        let mut debit = |at, key| accounts.debit(Duration::from_secs(at), key, INTERVAL);
        assert_eq!([debit(0, 1), debit(0, 2)], [Verdict::Passes; 2]);
        assert_eq!(debit(0, 3), Verdict::NoRoom);
        assert_eq!(debit(0, 2), Verdict::Passes);
        assert_eq!(debit(2, 3), Verdict::Passes);
    }
}
