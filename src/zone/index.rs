//! Positions by hash: finds an endpoint in a set of any size without a scan, in four bytes each for most sets.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// Seed of the hashes: they are compared within one process only, and a collision costs one comparison.
const HASHER: FixedState = FixedState::with_seed(0);

/// Positions, sorted by the hash of what stands there.
#[derive(Debug)]
pub(super) enum Index {
    /// Up to 65,536: half of each entry is the hash, half the position.
    Small(Box<[u32]>),
    /// More.
    Large(Box<[u64]>),
}

impl Index {
    /// Indexes hashes (of [`hash_of`]) with their positions.
    pub(super) fn new(entries: &[(u32, u32)]) -> Self {
        let largest = entries.iter().map(|(_, position)| *position).max();
        if largest.is_none_or(|position| position <= u32::from(u16::MAX)) {
            let pack = |(hash, position): &(u32, u32)| (hash & HIGH) | position;
            let mut packed: Box<[u32]> = entries.iter().map(pack).collect();
            packed.sort_unstable();
            return Self::Small(packed);
        }
        let pack = |(hash, position): &(u32, u32)| (u64::from(*hash) << 32) | u64::from(*position);
        let mut packed: Box<[u64]> = entries.iter().map(pack).collect();
        packed.sort_unstable();
        Self::Large(packed)
    }

    /// The positions of that hash, and few others.
    pub(super) fn find(&self, hash: u32) -> impl Iterator<Item = usize> {
        let (small, large) = match self {
            Self::Small(packed) => (range(packed, hash & HIGH, hash | LOW), &[][..]),
            Self::Large(packed) => {
                let from = u64::from(hash) << 32;
                (&[][..], range(packed, from, from | u64::from(u32::MAX)))
            }
        };
        let small = small.iter().map(|entry| (entry & LOW) as usize);
        let position =
            |entry: &u64| usize::try_from(entry & u64::from(u32::MAX)).unwrap_or_default();
        small.chain(large.iter().map(position))
    }
}

const LOW: u32 = 0xffff;
const HIGH: u32 = !LOW;

fn range<T: Ord + Copy>(sorted: &[T], from: T, to: T) -> &[T] {
    let start = sorted.partition_point(|entry| *entry < from);
    let length = sorted[start..].partition_point(|entry| *entry <= to);
    &sorted[start..start + length]
}

pub(super) fn hash_of<T: Hash + ?Sized>(key: &T) -> u32 {
    let wide = HASHER.hash_one(key);
    u32::try_from(wide >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_position_is_found_by_its_hash_in_small_and_in_large_sets() {
        for size in [0, 1, 100, 65_536, 65_537, 200_000] {
            let entries: Vec<_> = (0..size).map(|i| (hash_of(&i), i)).collect();
            let index = Index::new(&entries);
            assert_eq!(matches!(index, Index::Small(_)), size <= 65_536);
            for i in (0..size).step_by(997) {
                assert!(
                    index.find(hash_of(&i)).any(|at| at == i as usize),
                    "{i} of {size}"
                );
            }
        }
        let index = Index::new(&[(7, 0), (7, 1), (7 << 16, 2)]);
        assert_eq!(index.find(7).collect::<Vec<_>>(), [0, 1]);
    }
}
