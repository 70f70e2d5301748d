//! Fair shares of a lane: where questions come faster than they are answered, those of clients that ask far more than
//! others are let through in part only, so that the others' are not lost with them.
//!
//! Whether a lane falls behind is told by its queue, which is not empty for a while then; a queue that is full now and then
//! is a burst. Who asks most is told by samples, in a table of fixed size. How much of it passes is found by trying: a
//! quarter each time that the lane still falls behind, and slowly more where it does not; of one that asks for nearly all,
//! a sixteenth at once.

use std::net::IpAddr;
use std::time::Duration;

/// A client: an IPv4 address, or the /64 that an IPv6 address is in (its holder has all of them).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Client {
    V4(u32),
    V6(u64),
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => {
                let prefix = address.to_bits() >> 64;
                Self::V6(u64::try_from(prefix).unwrap_or_default())
            }
        }
    }
}

/// A client of which only a part passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limited {
    pub(super) client: Client,
    /// How many of 2^32 datagrams pass.
    pub(super) passes: u32,
}

/// A queue that was not empty for so long is one that grows: longer than a container that has used up its share of the
/// processor is kept waiting (`cpu.max` is counted in 100 ms).
const STANDING: Duration = Duration::from_millis(150);

/// Between two decisions to let less through; the first has to show what it does.
const LESS: Duration = Duration::from_millis(50);

/// Between two decisions to let more through: where there is room at once, and where the lane is busy.
const MORE: Duration = Duration::from_millis(250);
const MORE_BUSY: Duration = Duration::from_secs(1);

/// Of full batches one in so many is looked at.
const SAMPLED: u32 = 8;

/// So many questions have to be looked at before somebody is limited: of fewer, chance makes some client ask too much.
const ENOUGH: u32 = 256;

/// Clients that are told apart at a time. One that asks for more than a tenth of all is among them for sure.
const ROOM: usize = 128;

/// Clients that are limited at a time: those with the most questions.
pub(super) const LIMITED: usize = 32;

/// Who asks more than a fair share and a half, and more than one of so many questions, is limited.
const ONE_IN: u32 = 20;

/// So few passing is as good as none.
const LEAST: u32 = 1 << 16;

/// The state of one lane. Times are since a fixed moment.
#[derive(Debug, Default)]
pub(super) struct Shares {
    /// When the queue was last seen empty.
    empty: Duration,
    decided: Duration,
    /// Batches since then, and how many of them were full.
    batches: u32,
    full: u32,
    /// The clients of the questions looked at, with how many those are.
    samples: Vec<(Client, u32)>,
    looked_at: u32,
    limited: Vec<Limited>,
}

impl Shares {
    /// Takes note of a batch, or of a wait for one; whether its clients are to be looked at.
    pub(super) fn saw(&mut self, now: Duration, is_full: bool) -> bool {
        self.batches += 1;
        if is_full {
            self.full += 1;
        } else {
            self.empty = now;
        }
        is_full && self.batches.is_multiple_of(SAMPLED)
    }

    /// A question of this client, in a batch that is to be looked at.
    pub(super) fn sample(&mut self, client: Client) {
        self.looked_at += 1;
        if let Some((_, count)) = self.samples.iter_mut().find(|(known, _)| *known == client) {
            *count += 1;
        } else if self.samples.len() < ROOM {
            self.samples.push((client, 1));
        } else {
            // As in the algorithm of Misra and Gries: those that ask much stay.
            self.samples.iter_mut().for_each(|(_, count)| *count -= 1);
            self.samples.retain(|(_, count)| *count > 0);
        }
    }

    /// Whether the queue has not been empty for a while.
    pub(super) fn is_behind(&self, now: Duration) -> bool {
        now.saturating_sub(self.empty) > STANDING
    }

    /// Who is limited from now on, where that has changed.
    pub(super) fn decide(&mut self, now: Duration) -> Option<&[Limited]> {
        let waited = now.saturating_sub(self.decided);
        let is_behind = self.is_behind(now);
        let is_busy = self.full * 2 > self.batches;
        let changed = match (is_behind, is_busy) {
            (true, _) if waited >= LESS && self.looked_at >= ENOUGH => self.limit(),
            (false, true) if waited >= MORE_BUSY => self.allow(5, 4),
            (false, false) if waited >= MORE => self.allow(2, 1),
            (true | false, _) => return None,
        };
        self.decided = now;
        (self.batches, self.full, self.looked_at) = (0, 0, 0);
        self.samples.clear();
        changed.then_some(&self.limited)
    }

    /// Lets less of those through that ask for more than their share; whether there are such.
    fn limit(&mut self) -> bool {
        let clients = u32::try_from(self.samples.len()).unwrap_or(u32::MAX).max(1);
        // One that is alone takes nothing from anybody.
        let fair = self.looked_at * 3 / 2 / clients;
        let many = fair.max(self.looked_at / ONE_IN);
        let mut greedy: Vec<(Client, u32)> = self.samples.clone();
        greedy.retain(|(_, count)| *count > many);
        greedy.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (client, count) in &greedy {
            let mut known = self.limited.iter();
            let at = known.position(|known| known.client == *client);
            let at = at.unwrap_or(self.limited.len());
            if at == self.limited.len() && at < LIMITED {
                let is_flood = u64::from(*count) * 10 > u64::from(self.looked_at) * 9;
                self.limited.push(Limited {
                    client: *client,
                    passes: if is_flood { u32::MAX / 4 } else { u32::MAX },
                });
            }
            if let Some(limited) = self.limited.get_mut(at) {
                limited.passes = (limited.passes / 4).max(LEAST);
            }
        }
        !greedy.is_empty()
    }

    /// Lets so much more through; whether there was a limit.
    fn allow(&mut self, times: u64, of: u64) -> bool {
        let changed = !self.limited.is_empty();
        self.limited.retain_mut(|limited| {
            let more = u64::from(limited.passes) * times / of;
            limited.passes = u32::try_from(more).unwrap_or(u32::MAX);
            limited.passes < u32::MAX
        });
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FLOODER: Client = Client::V4(7);

    /// A second of a lane that answers 10,000 questions, of which `others` come from 100 clients and `flood` from one; how
    /// many of the others' are lost, in percent.
    struct Lane {
        shares: Shares,
        now: Duration,
        queue: u32,
    }

    const BATCH: u32 = 32;
    const CAPACITY: u32 = 10_000;
    const QUEUE: u32 = 5_000;

    impl Lane {
        fn new() -> Self {
            Self {
                shares: Shares::default(),
                now: Duration::ZERO,
                queue: 0,
            }
        }

        fn second(&mut self, others: u32, flood: u32) -> u32 {
            let (mut lost, mut number) = (0, 0_u32);
            let steps = CAPACITY / BATCH;
            for step in 0..steps {
                let passes = self.passes(FLOODER);
                let flood = (u64::from(flood / steps) * u64::from(passes)) >> 32;
                let coming = others / steps + u32::try_from(flood).unwrap();
                let room = QUEUE - self.queue;
                lost += others / steps * coming.saturating_sub(room) / coming.max(1);
                self.queue += coming.min(room);
                let size = self.queue.min(BATCH);
                self.queue -= size;
                self.now += Duration::from_secs(1) / steps;
                if self.shares.saw(self.now, size == BATCH) {
                    for i in 0..size {
                        number += 1;
                        // As they are mixed in what comes.
                        let is_other = (i * coming / size) % coming < others / steps;
                        let other = Client::V6(u64::from(number % 100));
                        self.shares.sample(if is_other { other } else { FLOODER });
                    }
                }
                let _filter = self.shares.decide(self.now);
                assert!(step < steps);
            }
            lost * 100 / others.max(1)
        }

        fn passes(&self, client: Client) -> u32 {
            let mut limited = self.shares.limited.iter();
            limited
                .find(|known| known.client == client)
                .map_or(u32::MAX, |known| known.passes)
        }
    }

    #[test]
    fn a_flood_of_ten_times_what_can_be_answered_costs_others_little_and_is_forgotten() {
        let mut lane = Lane::new();
        assert_eq!(lane.second(4_000, 0), 0);
        let first = lane.second(4_000, 100_000);
        assert!(first < 40, "{first}");
        let losses: Vec<u32> = (0..9).map(|_| lane.second(4_000, 100_000)).collect();
        assert_eq!(losses, [0; 9]);
        let passes = f64::from(lane.passes(FLOODER)) / f64::from(u32::MAX);
        // Some of what is left goes to the flooder.
        assert!((0.01..0.07).contains(&passes), "{passes}");
        for _ in 0..20 {
            lane.second(4_000, 0);
        }
        assert_eq!(lane.shares.limited, []);
    }

    #[test]
    fn one_other_is_enough_to_have_a_share() {
        let mut shares = Shares::default();
        let mut now = Duration::ZERO;
        while shares.limited.is_empty() {
            now += Duration::from_millis(1);
            if shares.saw(now, true) {
                (0..31).for_each(|_| shares.sample(FLOODER));
                shares.sample(Client::V4(1));
            }
            let _filter = shares.decide(now);
            assert!(now < 3 * STANDING);
        }
        assert_eq!(shares.limited[0].client, FLOODER);
    }

    #[test]
    fn a_sixteenth_passes_at_first_of_a_client_that_asks_for_nearly_all_and_else_a_quarter() {
        let first = |of_client: u32| {
            let mut shares = Shares::default();
            (0..of_client).for_each(|_| shares.sample(FLOODER));
            (of_client..1_000).for_each(|i| shares.sample(Client::V6(u64::from(i % 100))));
            assert!(shares.limit());
            u32::MAX / shares.limited[0].passes
        };
        assert_eq!([first(901), first(899)], [16, 4]);
    }

    #[test]
    fn nobody_is_limited_who_is_alone_or_asks_like_others() {
        let mut alone = Lane::new();
        alone.second(0, 50_000);
        assert_eq!(alone.shares.limited, []);
        let mut alike = Lane::new();
        alike.second(50_000, 500);
        assert_eq!(alike.shares.limited, []);
    }

    #[test]
    fn the_table_keeps_those_that_ask_most() {
        let mut shares = Shares::default();
        for i in 0..10_000 {
            shares.sample(Client::V6(i));
            shares.sample(FLOODER);
        }
        assert!(shares.samples.len() <= ROOM);
        assert!(shares.samples.iter().any(|(client, _)| *client == FLOODER));
    }
}
