//! What is asked for most, of any number of keys, in memory that stays the same: a space-saving sketch (Metwally, Agrawal
//! and El Abbadi 2005) in buckets of eight, so that a count is found in two lines of the processor's cache.
//!
//! Each key belongs to one bucket. A key that is new to a full bucket takes the place of the one that was counted least
//! there, and its count: what a key's count may be too high by is kept beside it. A key that has more than an eighth of
//! what its bucket counts is always there.

use std::collections::BTreeMap;

/// Keys of a bucket: their tags are a line of the cache, and their counts are the next.
const WAYS: usize = 8;

/// Counts of keys, each at most so many octets.
#[derive(Clone, Debug)]
pub(super) struct Sketch {
    buckets: Box<[Bucket]>,
    /// Octets that a key's place has: its length, and the key.
    place: usize,
    keys: Box<[u8]>,
}

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
struct Bucket {
    /// Whole hashes, which stand for the keys; 0: nobody has the place.
    tags: [u64; WAYS],
    counts: [u64; WAYS],
    overs: [u64; WAYS],
}

/// A key, and how often it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The key.
    pub key: Box<[u8]>,
    /// How often it has come at most.
    pub count: u64,
    /// By how much that may be too high.
    pub over: u64,
}

impl Sketch {
    /// One of so many places, a power of two and at least eight, for keys of at most `key` octets: 255 at most.
    pub(super) fn new(places: usize, key: usize) -> Self {
        Self {
            buckets: vec![Bucket::default(); places / WAYS].into(),
            place: key + 1,
            keys: vec![0; places * (key + 1)].into(),
        }
    }

    /// Octets that one of so many places takes.
    pub(super) const fn octets(places: usize, key: usize) -> usize {
        places / WAYS * size_of::<Bucket>() + places * (key + 1)
    }

    /// Counts a key by its hash; one that is too long is not counted.
    pub(super) fn count(&mut self, hash: u64, key: &[u8]) {
        let (tag, at) = self.find(hash);
        let bucket = &mut self.buckets[at];
        if let Some(way) = bucket.tags.iter().position(|known| *known == tag) {
            bucket.counts[way] += 1;
            return;
        }
        let length = u8::try_from(key.len()).ok();
        let Some(length) = length.filter(|_| key.len() < self.place) else {
            return;
        };
        let least = bucket.least();
        let way = bucket.counts.iter().position(|count| *count == least);
        let way = way.unwrap_or(0);
        bucket.tags[way] = tag;
        bucket.overs[way] = least;
        bucket.counts[way] = least + 1;
        let start = (at * WAYS + way) * self.place;
        self.keys[start] = length;
        self.keys[start + 1..=start + key.len()].copy_from_slice(key);
    }

    /// The tag of a hash, and its bucket.
    fn find(&self, hash: u64) -> (u64, usize) {
        let mask = self.buckets.len() - 1;
        // The mask keeps no more than there are buckets.
        (hash.max(1), hash as usize & mask)
    }

    /// Everything that is counted, by its tag.
    fn all(&self) -> impl Iterator<Item = (u64, Counted)> {
        let places = self.keys.chunks(self.place).zip(0..);
        places.filter_map(|(place, at): (&[u8], usize)| {
            let (bucket, way) = (&self.buckets[at / WAYS], at % WAYS);
            let counted = Counted {
                key: place[1..=usize::from(place[0])].into(),
                count: bucket.counts[way],
                over: bucket.overs[way],
            };
            let tag = bucket.tags[way];
            (tag != 0).then_some((tag, counted))
        })
    }

    /// How often a key that is not there may have come: as often as that of its bucket that was counted least; `None`: it
    /// is there.
    fn missed(&self, tag: u64) -> Option<u64> {
        let bucket = &self.buckets[self.find(tag).1];
        (!bucket.tags.contains(&tag)).then(|| bucket.least())
    }
}

impl Bucket {
    /// How often that of its keys has come that has come least.
    fn least(&self) -> u64 {
        self.counts.iter().copied().fold(u64::MAX, u64::min)
    }
}

/// What several sketches of one size have counted together, what came most often first.
pub(super) fn merged(sketches: &[Sketch]) -> Vec<Counted> {
    let mut sums: BTreeMap<u64, Counted> = BTreeMap::new();
    for (tag, counted) in sketches.iter().flat_map(Sketch::all) {
        let known = sums.get_mut(&tag);
        match known {
            Some(sum) => {
                sum.count += counted.count;
                sum.over += counted.over;
            }
            None => {
                sums.insert(tag, counted);
            }
        }
    }
    for (tag, sum) in &mut sums {
        let missed: u64 = sketches
            .iter()
            .filter_map(|sketch| sketch.missed(*tag))
            .sum();
        sum.count += missed;
        sum.over += missed;
    }
    let mut all: Vec<Counted> = sums.into_values().collect();
    // Of two that have come as often for certain, and may have come as often, the key decides.
    let rank = |counted: &Counted| (counted.count, counted.count - counted.over);
    all.sort_unstable_by(|a, b| rank(b).cmp(&rank(a)).then_with(|| a.key.cmp(&b.key)));
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A hash that leads to a bucket by the key's first octet.
    fn hash(key: u8) -> u64 {
        u64::from(key) + 1 + (u64::from(key) << 32)
    }

    fn sketch(places: usize, keys: &[u8]) -> Sketch {
        let mut sketch = Sketch::new(places, 2);
        keys.iter()
            .for_each(|key| sketch.count(hash(*key), &[*key]));
        sketch
    }

    fn counted(key: u8, count: u64, over: u64) -> Counted {
        Counted {
            key: [key].into(),
            count,
            over,
        }
    }

    #[test]
    fn what_is_new_to_a_full_bucket_takes_the_place_and_the_count_of_what_came_least() {
        let mut keys: Vec<u8> = (1..=8).flat_map(|key| [key, key]).collect();
        keys.push(1);
        let full = merged(&[sketch(8, &keys)]);
        assert_eq!(full[0], counted(1, 3, 0));
        assert_eq!(full[1..].len(), 7);
        keys.push(9);
        let after = merged(&[sketch(8, &keys)]);
        assert_eq!(after[..2], [counted(1, 3, 0), counted(9, 3, 2)]);
        assert!(!after.iter().any(|one| one.key[0] == 2), "{after:?}");
    }

    #[test]
    fn a_key_that_is_too_long_is_not_counted_and_a_short_one_leaves_nothing_of_a_longer() {
        let mut sketch = Sketch::new(8, 2);
        sketch.count(7, b"abc");
        assert_eq!(merged(&[sketch.clone()]), []);
        (1..=8).for_each(|hash| sketch.count(hash, b"ab"));
        sketch.count(9, b"c");
        let keys = merged(&[sketch]).into_iter().map(|one| one.key);
        assert!(
            keys.clone().any(|key| *key == *b"c"),
            "{:?}",
            keys.collect::<Vec<_>>()
        );
    }

    proptest! {
        #[test]
        fn each_key_came_at_most_as_often_as_is_said_and_no_less_than_that_without_what_may_be_too_much(
            parts in prop::collection::vec(prop::collection::vec(0_u8..40, 0..400), 1..4),
        ) {
            let sketches: Vec<Sketch> = parts.iter().map(|keys| sketch(16, keys)).collect();
            let list = merged(&sketches);
            let came = |key: u8| parts.iter().flatten().filter(|one| **one == key).count() as u64;
            for one in &list {
                let came = came(one.key[0]);
                prop_assert!((one.count - one.over..=one.count).contains(&came), "{one:?} {came}");
            }
            // Two buckets in each: what came more than an eighth of all is in none left out.
            let all: usize = parts.iter().map(Vec::len).sum();
            for key in (0..40).filter(|key| came(*key) > all as u64 / 8) {
                prop_assert!(list.iter().any(|one| one.key[0] == key), "{key}");
            }
            prop_assert!(list.is_sorted_by_key(|one| std::cmp::Reverse(one.count)));
        }
    }
}
