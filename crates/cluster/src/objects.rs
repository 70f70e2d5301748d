//! The objects and their history: an ordered map, a revision that counts writes, and the last writes for watches.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value;

use super::kind::KindId;

/// Whether an owner of this UID waits for the object where its dependents go first.
pub(super) fn blocks(object: &Value, uid: &str) -> bool {
    owners(object).any(|owner| owner["uid"] == uid && owner["blockOwnerDeletion"] == true)
}

/// Where an object is. Ordered by kind, namespace and name, as lists are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The kind.
    pub kind: KindId,
    /// The namespace; empty for kinds without.
    pub ns: String,
    /// The name.
    pub name: String,
}

impl Key {
    /// Where the object of this name is; `ns`: empty for kinds without.
    #[must_use]
    pub fn new(kind: KindId, ns: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            kind,
            ns: ns.into(),
            name: name.into(),
        }
    }

    /// The key of an object, from its own fields; `None`: this cluster does not have its kind.
    #[must_use]
    pub fn of(object: &Value) -> Option<Self> {
        let meta = &object["metadata"];
        let text = |field: &str| meta[field].as_str().unwrap_or_default().to_owned();
        Some(Self {
            kind: KindId::of_object(object)?.kept(),
            ns: text("namespace"),
            name: text("name"),
        })
    }
}

/// What a write did.
#[derive(Clone, Debug)]
pub struct Change {
    /// The revision it made.
    pub revision: u64,
    /// The object.
    pub key: Key,
    /// Before; `None`: created.
    pub old: Option<Arc<Value>>,
    /// After, or at deletion the last state with the deletion's revision.
    pub new: Arc<Value>,
    /// Whether it was removed.
    pub deleted: bool,
}

/// How many changes a watch may lag behind before it must list again. Each holds an object, a slice of a hundred
/// endpoints at times, so this is what bounds memory while a large set starts.
const HISTORY: usize = 2_000;

/// Every object.
#[derive(Debug, Default)]
pub struct Objects {
    map: BTreeMap<Key, Arc<Value>>,
    revision: u64,
    history: VecDeque<Change>,
    /// Revisions up to this are gone from the history.
    compacted: u64,
}

impl Objects {
    /// The number of the last write.
    #[must_use]
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// An object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Value>> {
        self.map.get(key)
    }

    /// The object of this name; `ns`: empty for kinds without.
    #[must_use]
    pub fn named(&self, kind: KindId, ns: &str, name: &str) -> Option<&Arc<Value>> {
        self.get(&Key::new(kind, ns, name))
    }

    /// The objects of a kind in a namespace, or in all of them, by key.
    pub fn list<'a>(
        &'a self,
        kind: KindId,
        ns: Option<&'a str>,
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let from = Key::new(kind, ns.unwrap_or_default(), "");
        self.map
            .range(from..)
            .take_while(move |(key, _)| key.kind == kind && ns.is_none_or(|ns| key.ns == ns))
    }

    /// The objects that one of these UIDs owns.
    pub fn owned_by<'a>(
        &'a self,
        uids: &'a [&str],
    ) -> impl Iterator<Item = (&'a Key, &'a Arc<Value>)> {
        let owned =
            |object: &Value| owners(object).any(|o| uids.iter().any(|uid| o["uid"] == *uid));
        let all = KindId::all().flat_map(|kind| self.list(kind, None));
        all.filter(move |(_, object)| owned(object))
    }

    /// Writes an object; sets its `resourceVersion`.
    pub fn put(&mut self, key: Key, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let new = Arc::new(object);
        let old = self.map.insert(key.clone(), Arc::clone(&new));
        self.record(Change {
            revision: self.revision,
            key,
            old,
            new: Arc::clone(&new),
            deleted: false,
        });
        new
    }

    /// Removes an object; returns its last state.
    pub fn remove(&mut self, key: &Key) -> Option<Arc<Value>> {
        let old = self.map.remove(key)?;
        self.revision += 1;
        let mut last = Value::clone(&old);
        last["metadata"]["resourceVersion"] = self.revision.to_string().into();
        let new = Arc::new(last);
        self.record(Change {
            revision: self.revision,
            key: key.clone(),
            old: Some(old),
            new: Arc::clone(&new),
            deleted: true,
        });
        Some(new)
    }

    /// The changes after `revision`; `None` where some of them are forgotten, or where this cluster has not come so
    /// far: the client has the revision from another cluster that ran here before.
    #[must_use]
    pub fn since(&self, revision: u64) -> Option<impl Iterator<Item = &Change>> {
        if revision < self.compacted || revision > self.revision {
            return None;
        }
        let start = self
            .history
            .partition_point(|change| change.revision <= revision);
        Some(self.history.range(start..))
    }

    /// Forgets all changes so far: a watch from before gets 410.
    pub fn compact(&mut self) {
        self.history.clear();
        self.compacted = self.revision;
    }

    fn record(&mut self, change: Change) {
        if self.history.len() == HISTORY
            && let Some(gone) = self.history.pop_front()
        {
            self.compacted = gone.revision;
        }
        self.history.push_back(change);
    }
}

/// The `ownerReferences` of an object.
pub fn owners(object: &Value) -> impl Iterator<Item = &Value> {
    object["metadata"]["ownerReferences"]
        .as_array()
        .into_iter()
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn key(name: &str) -> Key {
        Key::new(KindId::named("Pod"), "default", name)
    }

    #[test]
    fn a_watch_sees_each_write_after_its_revision_once() {
        let mut objects = Objects::default();
        objects.put(key("a"), json!({"metadata": {}}));
        objects.put(key("b"), json!({"metadata": {}}));
        objects.remove(&key("a"));
        let seen: Vec<_> = objects
            .since(1)
            .unwrap()
            .map(|c| (c.revision, c.key.name.as_str(), c.deleted))
            .collect();
        assert_eq!(seen, [(2, "b", false), (3, "a", true)]);
        assert_eq!(
            objects.since(2).unwrap().next().unwrap().new["metadata"]["resourceVersion"],
            "3"
        );
    }

    #[test]
    fn a_revision_before_the_compaction_is_gone() {
        let mut objects = Objects::default();
        objects.put(key("a"), json!({"metadata": {}}));
        objects.compact();
        objects.put(key("b"), json!({"metadata": {}}));
        assert!(objects.since(0).is_none());
        assert!(objects.since(3).is_none(), "from a cluster before this one");
        assert_eq!(objects.since(1).unwrap().count(), 1);
    }

    #[test]
    fn a_list_is_one_kind_and_one_namespace_in_order() {
        let mut objects = Objects::default();
        for (ns, name) in [("b", "x"), ("a", "y"), ("a", "x"), ("ab", "z")] {
            objects.put(
                Key {
                    ns: ns.into(),
                    ..key(name)
                },
                json!({"metadata": {}}),
            );
        }
        objects.put(
            Key {
                kind: KindId::named("Secret"),
                ..key("s")
            },
            json!({"metadata": {}}),
        );
        let names = |ns| {
            objects
                .list(KindId::named("Pod"), ns)
                .map(|(k, _)| format!("{}/{}", k.ns, k.name))
                .collect::<Vec<_>>()
        };
        assert_eq!(names(Some("a")), ["a/x", "a/y"]);
        assert_eq!(names(None), ["a/x", "a/y", "ab/z", "b/x"]);
    }
}
