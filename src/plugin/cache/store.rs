//! What is kept: replies by question, each for as long as its TTL says, as many as there is room for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ahash::RandomState;
use indexmap::IndexMap;
use rand::RngExt;
use tokio::time::Instant;

use super::kind::Kind;
use crate::message::question::{DNSClass, Query, RecordType};
use crate::message::reply::Composed;
use crate::name::Qname;

/// What a kept reply depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// In lower case.
    qname: Qname,
    qtype: RecordType,
    qclass: DNSClass,
    dnssec_ok: bool,
    checking_disabled: bool,
}

impl Key {
    pub(super) fn of(query: &Query) -> Self {
        let question = &query.question;
        Self {
            qname: question.qname.to_lowercase(),
            qtype: question.qtype,
            qclass: question.qclass,
            dnssec_ok: query.edns.is_some_and(|edns| edns.dnssec_ok),
            checking_disabled: query.checking_disabled,
        }
    }
}

/// A reply that is kept.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) reply: Composed,
    pub(super) kind: Kind,
    pub(super) stored: Instant,
    /// For how long it is fresh, in seconds.
    pub(super) ttl: u32,
    /// The wildcard of a zone that answered, where metadata are asked for.
    pub(super) wildcard: Option<String>,
    /// The positive reply that this one, which has no answer, came after: where old ones are better than none.
    pub(super) good: Option<Arc<Self>>,
    asked: Mutex<Asked>,
}

/// How often an entry was asked for lately.
#[derive(Debug)]
struct Asked {
    times: u32,
    last: Instant,
    /// It is being fetched anew.
    refreshing: bool,
    /// Until then it is not fetched, as that has failed.
    rests: Option<Instant>,
}

impl Entry {
    pub(super) fn new(reply: Composed, (kind, ttl): (Kind, u32), now: Instant) -> Self {
        Self {
            reply,
            kind,
            stored: now,
            ttl,
            wildcard: None,
            good: None,
            asked: Mutex::new(Asked {
                times: 0,
                last: now,
                refreshing: false,
                rests: None,
            }),
        }
    }

    /// How long ago it was stored.
    fn age(&self, now: Instant) -> Duration {
        now.duration_since(self.stored)
    }

    /// How many seconds it is still fresh; `None`: it is not any more.
    pub(super) fn left(&self, now: Instant) -> Option<u32> {
        let age = u32::try_from(self.age(now).as_secs()).unwrap_or(u32::MAX);
        let fresh = self.age(now) < Duration::from_secs(self.ttl.into());
        fresh.then(|| self.ttl.saturating_sub(age))
    }

    /// Whether it was fresh not longer ago than this.
    pub(super) fn is_usable(&self, now: Instant, stale: Duration) -> bool {
        self.age(now) < Duration::from_secs(self.ttl.into()) + stale
    }

    /// Notes that it was asked for; how often that was without a pause longer than `pause`.
    pub(super) fn ask(&self, now: Instant, pause: Duration) -> u32 {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(asked.last) > pause {
            asked.times = 0;
        }
        asked.times += 1;
        asked.last = now;
        asked.times
    }

    /// The positive reply of an entry, where it has one.
    pub(super) fn positive(entry: &Arc<Self>) -> Option<Arc<Self>> {
        match entry.kind {
            Kind::Success => Some(Arc::clone(entry)),
            Kind::Denial | Kind::Failure | Kind::Referral | Kind::Incomplete | Kind::Other => {
                entry.good.clone()
            }
        }
    }

    /// Whether somebody has to fetch it anew: the first who asks this has to, but for a while after a failure.
    pub(super) fn begin_refresh(&self, now: Instant) -> bool {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let rests = asked.rests.is_some_and(|until| now < until);
        !rests && !std::mem::replace(&mut asked.refreshing, true)
    }

    /// Nobody fetches it any more. `rests`: until when nobody is to, as it has failed.
    pub(super) fn end_refresh(&self, rests: Option<Instant>) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.refreshing = false;
        asked.rests = rests;
    }
}

type Entries = IndexMap<Key, Arc<Entry>, RandomState>;

/// Replies of one kind.
#[derive(Debug)]
pub(super) struct Store {
    room: usize,
    entries: Mutex<Entries>,
}

impl Store {
    pub(super) fn new(room: usize) -> Self {
        Self {
            room,
            entries: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.lock().get(key).cloned()
    }

    /// Keeps an entry; where there is no room, any other goes, which is said.
    pub(super) fn insert(&self, key: Key, entry: Arc<Entry>) -> bool {
        let mut entries = self.lock();
        let is_full = entries.len() >= self.room && !entries.contains_key(&key);
        if is_full {
            let any = rand::rng().random_range(0..entries.len().max(1));
            entries.swap_remove_index(any);
        }
        if self.room > 0 {
            entries.insert(key, entry);
        }
        is_full
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    pub(super) fn remove(&self, key: &Key) {
        self.lock().swap_remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::reply::ResponseCode;
    use crate::plugin::tests::query;

    fn key(qname: &str) -> Key {
        Key::of(&query(qname, RecordType::A))
    }

    fn entry(ttl: u32, now: Instant) -> Arc<Entry> {
        let reply = Composed::empty(ResponseCode::NoError);
        Arc::new(Entry::new(reply, (Kind::Referral, ttl), now))
    }

    #[tokio::test(start_paused = true)]
    async fn where_there_is_no_room_another_goes_and_a_name_is_one_in_any_case() {
        let (store, now) = (Store::new(2), Instant::now());
        let names = ["a.test", "B.test", "b.TEST", "c.test"];
        let evicted = names.map(|qname| store.insert(key(qname), entry(5, now)));
        assert_eq!(evicted, [false, false, false, true]);
        assert!(store.get(&key("C.test")).is_some());
        let others = ["a.test", "b.test"].map(|qname| store.get(&key(qname)).is_some());
        assert_eq!(others.iter().filter(|there| **there).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_entry_is_fresh_for_its_ttl_and_usable_a_while_longer() {
        let start = Instant::now();
        let entry = entry(10, start);
        let at = |millis| start + Duration::from_millis(millis);
        let left = [0, 999, 1000, 9999, 10_000].map(|millis| entry.left(at(millis)));
        assert_eq!(left, [Some(10), Some(10), Some(9), Some(1), None]);
        let stale = Duration::from_secs(5);
        let usable = [14_999, 15_000].map(|millis| entry.is_usable(at(millis), stale));
        assert_eq!(usable, [true, false]);
        let minute = Duration::from_secs(60);
        let asked = [0, 1000, 62_000].map(|millis| entry.ask(at(millis), minute));
        assert_eq!(asked, [1, 2, 1]);
    }
}
