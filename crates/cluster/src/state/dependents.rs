//! Owners that are deleted, and what becomes of those that depend on them; namespaces whose contents are gone.

use std::sync::Arc;

use headless_objects::object::{add_finalizer, is_ending};
use serde_json::Value;

use super::ending::has_finalizers;
use super::{Propagation, State};
use crate::objects::{Key, blocks};
use crate::status::ApiStatus;

/// What holds an object until its dependents are gone.
const FOREGROUND: &str = "foregroundDeletion";

/// What holds an object until its dependents have no owner any more.
const ORPHAN: &str = "orphan";

impl State {
    /// Has an object that is deleted wait for what is to become of its dependents. A garbage collector that is there is done
    /// at once with orphans, and with an object that nothing depends on.
    pub(super) fn hold_for_dependents(&self, object: &mut Value, propagation: Propagation) {
        let collects = self.plane.controllers;
        match propagation {
            Propagation::Foreground if !collects || self.has_dependents(object) => {
                add_finalizer(object, FOREGROUND);
            }
            Propagation::Orphan if !collects => add_finalizer(object, ORPHAN),
            Propagation::Foreground | Propagation::Orphan | Propagation::Background => {}
        }
    }

    /// Takes over which finalizers of its own a namespace has (`finalize`); one that ends is gone with the last.
    ///
    /// # Errors
    /// 404; a revision that is not the present one.
    pub(crate) fn finalize(&mut self, key: &Key, wanted: &Value) -> Result<Arc<Value>, ApiStatus> {
        let old = Arc::clone(self.get(key)?);
        let revision = wanted["metadata"]["resourceVersion"].as_str();
        let mut object = Value::clone(&old);
        if let Some(revision) = revision.filter(|revision| !revision.is_empty()) {
            object["metadata"]["resourceVersion"] = revision.into();
        }
        super::preconditions(key, super::metadata(&mut object)?, &old)?;
        object["spec"]["finalizers"] = wanted["spec"]["finalizers"].clone();
        let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
        if is_empty(&object["spec"]["finalizers"]) {
            object["spec"]
                .as_object_mut()
                .map(|spec| spec.remove("finalizers"));
            if is_ending(&object) && !has_finalizers(&object) {
                self.objects.remove(key);
                return Ok(Arc::new(object));
            }
        }
        Ok(self.objects.put(key.clone(), object))
    }

    /// Takes an owner's finalizer for foreground deletion away once no dependent is left.
    pub fn finish_foreground(&mut self, key: &Key) {
        let Some(owner) = self.objects.get(key).cloned() else {
            return;
        };
        let uid = owner["metadata"]["uid"].as_str().unwrap_or_default();
        if self
            .objects
            .owned_by(&[uid])
            .any(|(_, object)| blocks(object, uid))
        {
            return;
        }
        let mut object = Value::clone(&owner);
        if let Some(finalizers) = object["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|f| f != FOREGROUND);
        }
        self.objects.put(key.clone(), object.clone());
        if !has_finalizers(&object) {
            self.objects.remove(key);
        }
    }

    /// Whether the object waits for its dependents to go first.
    #[must_use]
    pub fn is_foreground_deleted(object: &Value) -> bool {
        object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|f| f.iter().any(|f| f == FOREGROUND))
    }

    fn has_dependents(&self, owner: &Value) -> bool {
        owner["metadata"]["uid"]
            .as_str()
            .is_some_and(|uid| self.objects.owned_by(&[uid]).next().is_some())
    }

    pub(super) fn orphan_dependents(&mut self, owner: &Value) {
        let Some(uid) = owner["metadata"]["uid"].as_str() else {
            return;
        };
        let owned: Vec<Key> = self
            .objects
            .owned_by(&[uid])
            .map(|(key, _)| key.clone())
            .collect();
        for key in owned {
            if let Some(mut object) = self.objects.get(&key).map(|o| Value::clone(o)) {
                if let Some(refs) = object["metadata"]["ownerReferences"].as_array_mut() {
                    refs.retain(|r| r["uid"] != uid);
                }
                if object["metadata"]["ownerReferences"]
                    .as_array()
                    .is_some_and(Vec::is_empty)
                {
                    object["metadata"]
                        .as_object_mut()
                        .map(|m| m.remove("ownerReferences"));
                }
                self.objects.put(key, object);
            }
        }
    }
}
