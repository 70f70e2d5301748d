//! The kinds that definitions make: read again when one changes, and objects of them completed and checked.

use std::sync::Arc;

use headless_objects::object::is_ending;
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::Value;

use super::ending::has_finalizers;
use super::{Author, DeleteOptions, Part, State};
use crate::custom::{self, CLEANUP, Customs, DEFINITION, Served};
use crate::kind::KindId;
use crate::objects::Key;
use crate::status::ApiStatus;

impl State {
    /// The kinds that definitions make here.
    pub(crate) fn customs(&self) -> &Customs {
        &self.customs
    }

    /// Establishes new definitions, empties those that end, and reads all again where one has changed.
    pub(crate) fn redefine(&mut self, now: Timestamp) {
        loop {
            let changed = match self.objects.since(self.defined) {
                Some(mut changes) => changes.any(|change| {
                    let kind = change.key.kind;
                    kind == DEFINITION || (kind.is_defined() && change.deleted)
                }),
                None => true,
            };
            self.defined = self.objects.revision();
            if !changed {
                return;
            }
            let all = self.objects.list(DEFINITION, None);
            let all: Vec<_> = all
                .map(|(key, one)| (key.clone(), Arc::clone(one)))
                .collect();
            for (key, definition) in all {
                if is_ending(&definition) {
                    self.empty(now, &key, &definition);
                } else if let Some(accepted) = custom::accepted(&definition, &timestamp(now)) {
                    let author = Author::new("kube-apiserver", now).through(DEFINITION, "status");
                    let accept =
                        |state: &mut Self| state.update(&key, Part::Status, accepted, false);
                    // It has just been read.
                    drop(self.by(Some(author), accept));
                }
            }
            self.customs = Customs::of(&self.objects);
        }
    }

    /// Deletes the objects of a definition that ends, and the definition once there are none.
    fn empty(&mut self, now: Timestamp, key: &Key, definition: &Value) {
        for instance in custom::instances(&self.objects, definition) {
            if self
                .objects
                .get(&instance)
                .is_some_and(|one| !is_ending(one))
            {
                // It is there, and nothing is asked of it.
                drop(self.delete(now, &instance, &DeleteOptions::default()));
            }
        }
        if !custom::instances(&self.objects, definition).is_empty() {
            return;
        }
        let mut left = definition.clone();
        if let Some(finalizers) = left["metadata"]["finalizers"].as_array_mut() {
            finalizers.retain(|finalizer| finalizer != CLEANUP);
        }
        if !has_finalizers(&left) {
            self.objects.remove(key);
        } else if left != *definition {
            self.objects.put(key.clone(), left);
        }
    }

    /// What a definition says of a kind, in the version of the present write where there is one.
    pub(super) fn served(&self, kept: KindId) -> Option<&Arc<Served>> {
        if !kept.is_defined() {
            return None;
        }
        let asked = self.author.as_ref().and_then(|author| author.kind());
        let asked = asked.filter(|kind| kind.kept() == kept.kept());
        let asked = asked.and_then(|kind| self.customs.get(kind));
        asked.or_else(|| self.customs.any_version(kept.kept()))
    }

    /// Whether a kind's status is written by a subresource of its own.
    pub(super) fn has_status(&self, kind: KindId) -> bool {
        match self.served(kind) {
            Some(served) => served.status,
            None => kind.info().subresources.contains(&"status"),
        }
    }

    /// Fills in what the API server fills in.
    ///
    /// # Errors
    /// 404 for a kind that no definition makes here.
    pub(super) fn complete(&self, kind: KindId, object: &mut Value) -> Result<(), ApiStatus> {
        (kind.info().does.defaults)(object);
        match self.served(kind) {
            Some(served) => {
                custom::prune(&served.schema, object);
                custom::fill(&served.schema, object);
                Ok(())
            }
            None if kind.is_defined() => Err(ApiStatus::no_such_path()),
            None => Ok(()),
        }
    }

    /// Refuses an object that its definition's schema refuses; of a status only that is looked at.
    pub(super) fn check_custom(
        &self,
        kind: KindId,
        part: Part,
        object: &Value,
    ) -> Result<(), ApiStatus> {
        let Some(served) = self.served(kind) else {
            return Ok(());
        };
        let (prefix, wrong) = match part {
            Part::Main | Part::Debugging => ("", custom::check(&served.schema, object)),
            Part::Status => {
                let schema = &served.schema["properties"]["status"];
                ("status.", custom::check(schema, &object["status"]))
            }
        };
        if wrong.is_empty() {
            return Ok(());
        }
        let wrong = wrong.into_iter();
        let field = |field: String| format!("{prefix}{field}");
        let causes = wrong.map(|wrong| (field(wrong.field), wrong.reason, wrong.message));
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let causes = causes.collect();
        Err(ApiStatus::invalid_fields(kind.info(), name, causes))
    }
}
