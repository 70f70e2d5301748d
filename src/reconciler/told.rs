//! Which Events are written, as client-go's correlator has it: the same again is counted, many alike become one, and of
//! one object only so many are told of.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use jiff::Timestamp;

/// From so many different messages of one reason on they are told of as one (client-go `defaultAggregateMaxEvents`).
const ALIKE: usize = 10;

/// After this time without one of them they are told apart again.
const ALIKE_FOR: Duration = Duration::from_mins(10);

/// Events of one object and type that are written at once; after them one each [`REFILL`].
const BURST: f64 = 25.0;

/// How long until one more may be written.
const REFILL: Duration = Duration::from_mins(5);

/// The most objects and Events that are remembered (client-go `maxLruCacheEntries`).
const MOST: usize = 4_096;

/// An Event as it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Said<'a> {
    /// Of the object that it is about.
    pub(super) uid: &'a str,
    /// `Normal` or `Warning`.
    pub(super) kind: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

/// What is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tell {
    pub(super) message: String,
    /// Tells the Event's name from those of others.
    pub(super) suffix: String,
    /// How often it has been said; above 1 its Event is there already.
    pub(super) count: u64,
    pub(super) first: Timestamp,
}

/// What has been told.
#[derive(Debug, Default)]
pub(super) struct Told {
    alike: HashMap<[String; 3], (Timestamp, BTreeSet<String>)>,
    events: HashMap<[String; 4], (Timestamp, Tell)>,
    left: HashMap<[String; 2], (Timestamp, f64)>,
    /// How many there have been: at one time there may be several.
    number: i128,
}

impl Told {
    /// What to write of this Event; `None`: nothing, too much has been said.
    pub(super) fn next(&mut self, now: Timestamp, said: Said<'_>) -> Option<Tell> {
        let [uid, kind, reason] = [said.uid, said.kind, said.reason].map(str::to_owned);
        let message = self.combined(now, said);
        self.number += 1;
        let new = Tell {
            suffix: format!("{:x}", now.as_nanosecond() + self.number),
            message: message.clone(),
            count: 0,
            first: now,
        };
        // Of those that are combined, whatever their messages, there is one.
        let key = if message == said.message {
            message
        } else {
            String::new()
        };
        let key = [uid.clone(), kind.clone(), reason, key];
        let (seen, tell) = self.events.entry(key).or_insert_with(|| (now, new.clone()));
        *seen = now;
        tell.count += 1;
        tell.message = new.message;
        let tell = tell.clone();
        forget(&mut self.events, |(seen, _)| *seen);
        self.may(now, [uid, kind]).then_some(tell)
    }

    /// The message, or one that stands for many alike.
    fn combined(&mut self, now: Timestamp, said: Said<'_>) -> String {
        let key = [said.uid, said.kind, said.reason].map(str::to_owned);
        let (seen, messages) = self
            .alike
            .entry(key)
            .or_insert_with(|| (now, BTreeSet::new()));
        if now.duration_since(*seen).unsigned_abs() > ALIKE_FOR {
            messages.clear();
        }
        *seen = now;
        messages.insert(said.message.to_owned());
        let combined = messages.len() >= ALIKE;
        if combined {
            messages.pop_first();
        }
        forget(&mut self.alike, |(seen, _)| *seen);
        if combined {
            format!("(combined from similar events): {}", said.message)
        } else {
            said.message.to_owned()
        }
    }

    /// Whether one more of an object may be written, which is then counted.
    fn may(&mut self, now: Timestamp, key: [String; 2]) -> bool {
        let (seen, left) = self.left.entry(key).or_insert((now, BURST));
        let passed = now.duration_since(*seen).as_secs_f64().max(0.0);
        *left = (*left + passed / REFILL.as_secs_f64()).min(BURST);
        *seen = now;
        let may = *left >= 1.0;
        if may {
            *left -= 1.0;
        }
        forget(&mut self.left, |(seen, _)| *seen);
        may
    }
}

/// Forgets what was said the longest ago, where there is too much.
fn forget<K: Clone + Eq + std::hash::Hash, V>(
    all: &mut HashMap<K, V>,
    seen: impl Fn(&V) -> Timestamp,
) {
    if all.len() <= MOST {
        return;
    }
    let oldest = all.iter().min_by_key(|(_, value)| seen(value));
    if let Some(key) = oldest.map(|(key, _)| key.clone()) {
        all.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(message: &str) -> Said<'_> {
        Said {
            uid: "u",
            kind: "Normal",
            reason: "SuccessfulCreate",
            message,
        }
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_same_again_is_counted() {
        let mut told = Told::default();
        let first = told.next(at(1), said("made a")).unwrap();
        let again = told.next(at(5), said("made a")).unwrap();
        let other = told.next(at(6), said("made b")).unwrap();
        assert_eq!((first.count, again.count, other.count), (1, 2, 1));
        assert_eq!((first.suffix == again.suffix, again.first), (true, at(1)));
        assert_ne!(other.suffix, first.suffix);
    }

    #[test]
    fn many_alike_become_one_and_of_these_only_so_many_are_written() {
        let mut told = Told::default();
        let messages: Vec<_> = (0..40).map(|i| format!("made {i:02}")).collect();
        let all = messages.iter().map(|m| told.next(at(1), said(m)));
        let all: Vec<_> = all.map(|tell| tell.map(|t| (t.message, t.count))).collect();
        assert_eq!(all[8], Some(("made 08".into(), 1)));
        assert_eq!(
            all[9],
            Some(("(combined from similar events): made 09".into(), 1))
        );
        assert_eq!(
            all[24],
            Some(("(combined from similar events): made 24".into(), 16))
        );
        assert_eq!(all[25..], vec![None; 15]);
        // One more after five minutes, and told apart again after ten without.
        let later = told.next(at(302), said("made 40")).unwrap();
        assert_eq!(
            (later.message.as_str(), later.count),
            ("(combined from similar events): made 40", 32)
        );
        let later = told.next(at(1_000), said("made 41")).unwrap();
        assert_eq!((later.message.as_str(), later.count), ("made 41", 1));
    }

    #[test]
    fn what_was_said_the_longest_ago_is_forgotten() {
        let mut told = Told::default();
        for i in 0..=MOST {
            let uid = format!("u{i}");
            let one = Said {
                uid: &uid,
                ..said("made a")
            };
            assert_eq!(told.next(at(i.try_into().unwrap()), one).unwrap().count, 1);
        }
        let sizes = [told.alike.len(), told.events.len(), told.left.len()];
        assert_eq!(sizes, [MOST; 3]);
    }
}
