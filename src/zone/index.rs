//! Places by hash: finds an endpoint in a large set without a scan, and takes over a changed slice without going through
//! the others.

use std::hash::{BuildHasher, Hash};
use std::sync::Arc;

use foldhash::fast::FixedState;
use smallvec::SmallVec;

/// Seed of the hashes: they are compared within one process only, and a collision costs one comparison.
const HASHER: FixedState = FixedState::with_seed(0);

/// Where an endpoint is: its slice, and its place in that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub(super) slice: u32,
    pub(super) within: u32,
}

impl Place {
    pub(super) fn new(slice: usize, within: usize) -> Self {
        // Both count things in memory that have some 100 octets each.
        let small = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            slice: small(slice),
            within: small(within),
        }
    }
}

/// What is at a place, by hash; of several at one place one is the smallest.
pub(super) type Entry = (u32, Place);

/// Up to so many entries are not kept: to go through the things themselves is as fast.
const FEW: usize = 16;

/// Entries of one bucket on average: as many as one goes through as fast as one finds the bucket.
const BUCKET: usize = 32;

/// Places, sorted by the hash of what stands there, in buckets by the upper bits of the hash. Buckets are shared with the
/// index that this one was made from.
#[derive(Clone, Debug, Default)]
pub(super) struct Index {
    /// As many as a power of two, mostly one; none where there are few entries.
    buckets: SmallVec<[Arc<[Entry]>; 1]>,
    len: usize,
    /// How many entries have the hash of one before them.
    twins: usize,
}

impl Index {
    /// Indexes entries whose hashes are of [`hash_of`].
    pub(super) fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_unstable();
        let count = match entries.len() {
            0..=FEW => 0,
            many => (many / BUCKET).next_power_of_two(),
        };
        let mut rest = &entries[..];
        let buckets = (0..count).map(|bucket| {
            let here = rest.partition_point(|(hash, _)| bucket_of(*hash, count) <= bucket);
            let (bucket, after) = rest.split_at(here);
            rest = after;
            bucket.into()
        });
        Self {
            buckets: buckets.collect(),
            len: entries.len(),
            twins: twins(&entries),
        }
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether two entries have one hash: then they are the same, but for a rare collision.
    pub(super) fn has_twins(&self) -> bool {
        self.twins > 0
    }

    /// Whether its entries are kept, and can be found.
    pub(super) fn is_kept(&self) -> bool {
        !self.buckets.is_empty()
    }

    /// The same without the entries `old`, which it has, and with `new`. It is one that keeps its entries.
    pub(super) fn replaced(&self, mut old: Vec<Entry>, mut new: Vec<Entry>) -> Self {
        let (count, len) = (self.buckets.len(), self.len - old.len() + new.len());
        if len > 4 * BUCKET * count || 4 * len < BUCKET * count {
            let kept = self
                .buckets
                .iter()
                .flat_map(|bucket| bucket.iter().copied());
            old.sort_unstable();
            let kept = kept.filter(|entry| old.binary_search(entry).is_err());
            return Self::new(kept.chain(new).collect());
        }
        old.sort_unstable();
        new.sort_unstable();
        let mut index = Self {
            len,
            ..self.clone()
        };
        let (mut old, mut new) = (&old[..], &new[..]);
        while let Some(next) = old.first().into_iter().chain(new.first()).min() {
            let at = bucket_of(next.0, count);
            let within =
                |entries: &[Entry]| entries.partition_point(|e| bucket_of(e.0, count) <= at);
            let (goes, old_rest) = old.split_at(within(old));
            let (comes, new_rest) = new.split_at(within(new));
            (old, new) = (old_rest, new_rest);
            if goes != comes {
                index.change(at, goes, comes);
            }
        }
        index
    }

    fn change(&mut self, at: usize, goes: &[Entry], comes: &[Entry]) {
        let bucket = &mut self.buckets[at];
        let kept = bucket
            .iter()
            .filter(|entry| goes.binary_search(entry).is_err());
        let mut entries: Vec<Entry> = kept.chain(comes).copied().collect();
        entries.sort_unstable();
        self.twins = self.twins - twins(bucket) + twins(&entries);
        *bucket = entries.into();
    }

    /// The entries of that hash, which is not made where none are kept.
    pub(super) fn find(&self, hash: impl FnOnce() -> u32) -> &[Entry] {
        if !self.is_kept() {
            return &[];
        }
        let hash = hash();
        let bucket = &self.buckets[bucket_of(hash, self.buckets.len())];
        let start = bucket.partition_point(|(known, _)| *known < hash);
        let alike = bucket[start..]
            .iter()
            .take_while(|(known, _)| *known == hash);
        &bucket[start..start + alike.count()]
    }
}

/// Which of so many buckets, a power of two, has this hash.
fn bucket_of(hash: u32, count: usize) -> usize {
    let place = (u64::from(hash) * count as u64) >> 32;
    usize::try_from(place).unwrap_or_default()
}

fn twins(sorted: &[Entry]) -> usize {
    sorted
        .windows(2)
        .filter(|pair| pair[0].0 == pair[1].0)
        .count()
}

pub(super) fn hash_of<T: Hash + ?Sized>(key: &T) -> u32 {
    let wide = HASHER.hash_one(key);
    u32::try_from(wide >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(slice: u32, keys: std::ops::Range<u32>) -> Vec<Entry> {
        let keys = keys.enumerate();
        let place = |within: usize| Place {
            slice,
            within: u32::try_from(within).unwrap(),
        };
        keys.map(|(i, key)| (hash_of(&key), place(i))).collect()
    }

    fn found(index: &Index, key: u32) -> Vec<Place> {
        let entries = index.find(|| hash_of(&key)).iter();
        entries.map(|(_, place)| *place).collect()
    }

    #[test]
    fn each_place_is_found_by_its_hash_in_small_and_in_large_sets() {
        assert!(!Index::new(entries(7, 0..16)).is_kept());
        for size in [17, 33, 100, 5000] {
            let index = Index::new(entries(7, 0..size));
            for within in 0..size {
                assert_eq!(found(&index, within), [Place { slice: 7, within }]);
            }
            assert_eq!((index.len(), index.has_twins()), (size as usize, false));
            assert_eq!(found(&index, size), []);
        }
    }

    #[test]
    fn an_index_with_a_replaced_slice_is_the_one_of_all_slices() {
        let mut slices: Vec<Vec<Entry>> = (0..40).map(|at| entries(at, 0..2)).collect();
        let mut index = Index::new(slices.concat());
        // Sets grow and shrink, and have keys in common.
        for step in 0..400_u32 {
            let at = step * 7 % 40;
            let size = if step < 250 { 90 } else { step % 3 };
            let new = entries(at, at * 80..at * 80 + size.max(1));
            let old = std::mem::replace(&mut slices[at as usize], new.clone());
            index = index.replaced(old, new);
            let whole = Index::new(slices.concat());
            let all = |index: &Index| index.buckets.iter().flat_map(|b| b.to_vec()).collect();
            let (ours, wanted): (Vec<Entry>, Vec<Entry>) = (all(&index), all(&whole));
            assert_eq!(ours, wanted);
            assert_eq!((index.len, index.twins), (whole.len, whole.twins));
        }
        assert!(index.len() < 100);
    }
}
