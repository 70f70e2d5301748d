//! Where the zone keeps things by key: many read while one writes. What is read is a copy, mostly of an `Arc`, so that no
//! guard leaves this file.

use std::borrow::Borrow;
use std::hash::Hash;

#[cfg(not(feature = "model"))]
use shared::Shared;

#[cfg(feature = "model")]
use model::Shared;

/// Things by key.
#[derive(Debug)]
pub(super) struct Map<K: Eq + Hash, V>(Shared<K, V>);

impl<K: Eq + Hash, V> Default for Map<K, V> {
    fn default() -> Self {
        Self(Shared::default())
    }
}

impl<K: Eq + Hash, V: Clone> Map<K, V> {
    pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)
    }

    pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains(key)
    }

    /// Puts a value in the place of what was there, or takes that out.
    pub(super) fn set(&self, key: K, value: Option<V>) {
        self.change(key, |_| value);
    }

    /// Puts what comes of the value that is there in its place.
    pub(super) fn change(&self, key: K, change: impl FnOnce(Option<V>) -> Option<V>) {
        self.0.change(key, change);
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<(K, V)>
    where
        K: Clone,
    {
        self.0.all()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(not(feature = "model"))]
mod shared {
    use super::{Borrow, Hash};
    use dashmap::{DashMap, Entry};
    use foldhash::fast::RandomState;

    #[derive(Debug)]
    pub(super) struct Shared<K: Eq + Hash, V>(DashMap<K, V, RandomState>);

    impl<K: Eq + Hash, V> Default for Shared<K, V> {
        fn default() -> Self {
            Self(DashMap::default())
        }
    }

    impl<K: Eq + Hash, V: Clone> Shared<K, V> {
        pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            self.0.get(key).map(|entry| entry.value().clone())
        }

        pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
        where
            K: Borrow<Q>,
        {
            self.0.contains_key(key)
        }

        pub(super) fn change(&self, key: K, change: impl FnOnce(Option<V>) -> Option<V>) {
            match self.0.entry(key) {
                Entry::Occupied(mut entry) => match change(Some(entry.get().clone())) {
                    Some(value) => drop(entry.insert(value)),
                    None => drop(entry.remove()),
                },
                Entry::Vacant(entry) => {
                    if let Some(value) = change(None) {
                        entry.insert(value);
                    }
                }
            }
        }

        pub(super) fn all(&self) -> Vec<(K, V)>
        where
            K: Clone,
        {
            let all = self.0.iter();
            all.map(|entry| (entry.key().clone(), entry.value().clone()))
                .collect()
        }

        pub(super) fn len(&self) -> usize {
            self.0.len()
        }
    }
}

/// The same for `src/zone/tests/model.rs`, which has a scheduler decide who runs at each access.
#[cfg(feature = "model")]
mod model {
    use std::collections::HashMap;

    use super::{Borrow, Hash};
    use foldhash::fast::RandomState;
    use shuttle::sync::{Mutex, MutexGuard};

    #[derive(Debug)]
    pub(super) struct Shared<K: Eq + Hash, V>(Mutex<HashMap<K, V, RandomState>>);

    impl<K: Eq + Hash, V> Default for Shared<K, V> {
        fn default() -> Self {
            Self(Mutex::new(HashMap::default()))
        }
    }

    impl<K: Eq + Hash, V: Clone> Shared<K, V> {
        fn lock(&self) -> MutexGuard<'_, HashMap<K, V, RandomState>> {
            self.0.lock().expect("nobody panics while holding it")
        }

        pub(super) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<V>
        where
            K: Borrow<Q>,
        {
            self.lock().get(key).cloned()
        }

        pub(super) fn contains<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
        where
            K: Borrow<Q>,
        {
            self.lock().contains_key(key)
        }

        pub(super) fn change(&self, key: K, change: impl FnOnce(Option<V>) -> Option<V>) {
            let mut all = self.lock();
            if let Some(value) = change(all.get(&key).cloned()) {
                all.insert(key, value);
            } else {
                all.remove(&key);
            }
        }

        pub(super) fn all(&self) -> Vec<(K, V)>
        where
            K: Clone,
        {
            let all = self.lock();
            all.iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        }

        pub(super) fn len(&self) -> usize {
            self.lock().len()
        }
    }
}
