//! Garbage collection: dependents of owners that are gone, the contents of namespaces that end.

use headless_objects::object::is_ending;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::{Action, Step};
use crate::kinds::{self, KindId};
use crate::objects::{Key, Objects, blocks, owners};
use crate::state::State;

/// What is on its way out.
#[derive(Debug, Default)]
pub(super) struct Collector {
    /// Namespaces that end, and owners that wait for their dependents.
    ending: BTreeSet<Key>,
}

impl Collector {
    pub(super) fn step(&mut self, step: &Step<'_>) -> Vec<Action> {
        let namespaces = kinds::NAMESPACE;
        let mut actions = Vec::new();
        let mut gone = Vec::new();
        for change in step.changes {
            if change.deleted {
                gone.extend(change.new["metadata"]["uid"].as_str());
            } else if step
                .objects
                .get(&change.key)
                .is_some_and(|present| is_orphan(step.objects, &change.key, present))
            {
                actions.push(Action::Delete(change.key.clone(), None));
            }
            let ends = is_ending(&change.new);
            if ends && (change.key.kind == namespaces || State::is_foreground_deleted(&change.new))
            {
                self.ending.insert(change.key.clone());
            }
        }
        if !gone.is_empty() {
            let left = step.objects.owned_by(&gone);
            let left = left.filter(|(key, object)| is_orphan(step.objects, key, object));
            actions.extend(left.map(|(key, _)| Action::Delete(key.clone(), None)));
        }
        self.ending
            .retain(|key| step.objects.get(key).is_some_and(|o| is_ending(o)));
        for key in &self.ending {
            actions.extend(if key.kind == namespaces {
                empty(step.objects, key)
            } else {
                dependents_first(step.objects, key)
            });
        }
        actions.dedup();
        actions
    }
}

/// Whether an object has owners, none of which is there any more, and is not on its way out itself.
fn is_orphan(objects: &Objects, key: &Key, object: &Value) -> bool {
    let mut owners = owners(object).peekable();
    if owners.peek().is_none() || is_ending(object) {
        return false;
    }
    !owners.any(|owner| {
        let Some(kind) = KindId::of_object(owner) else {
            return true; // of a kind that this cluster does not have: not ours to judge
        };
        let ns = if kind.info().namespaced { &*key.ns } else { "" };
        let name = owner["name"].as_str().unwrap_or_default();
        objects
            .named(kind.kept(), ns, name)
            .is_some_and(|present| present["metadata"]["uid"] == owner["uid"])
    })
}

/// Deletes what is left in a namespace, and the namespace when nothing is.
fn empty(objects: &Objects, namespace: &Key) -> Vec<Action> {
    let inside = KindId::all()
        .filter(|kind| kind.info().namespaced)
        .flat_map(|kind| objects.list(kind, Some(&namespace.name)));
    let inside: Vec<_> = inside.collect();
    if inside.is_empty() {
        return vec![Action::Remove(namespace.clone())];
    }
    delete_staying(inside)
}

/// Deletes what an owner waits for, and lets it go when nothing is left.
fn dependents_first(objects: &Objects, owner: &Key) -> Vec<Action> {
    let Some(uid) = objects
        .get(owner)
        .and_then(|o| o["metadata"]["uid"].as_str())
    else {
        return Vec::new();
    };
    let uids = [uid];
    let owned = objects.owned_by(&uids);
    let owned: Vec<_> = owned.filter(|(_, object)| blocks(object, uid)).collect();
    if owned.is_empty() {
        return vec![Action::FinishForeground(owner.clone())];
    }
    delete_staying(owned)
}

/// Deletes those that are not on their way out already.
fn delete_staying(objects: Vec<(&Key, &Arc<Value>)>) -> Vec<Action> {
    let staying = objects.into_iter().filter(|(_, object)| !is_ending(object));
    staying
        .map(|(key, _)| Action::Delete(key.clone(), None))
        .collect()
}
