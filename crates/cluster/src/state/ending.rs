//! Deletes: at once, or when nothing holds the object any more.

use std::sync::Arc;

use headless_objects::object::{add_finalizer, has_ended, is_ending};
use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::Value;

use super::State;
use super::admitting::Write;
use super::converting::Ready;
use crate::custom;
use crate::kinds::{self, Kind};
use crate::objects::Key;
use crate::status::ApiStatus;
use crate::webhooks::Operation;

/// What a delete request asks for.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// `gracePeriodSeconds`.
    pub grace: Option<i64>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub revision: Option<String>,
    /// `propagationPolicy`.
    pub propagation: Propagation,
    /// Nothing is kept.
    pub dry_run: bool,
}

/// What becomes of dependents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go after their owner.
    #[default]
    Background,
    /// They go before their owner.
    Foreground,
    /// They stay, without owner.
    Orphan,
}

/// How long a Pod may take to end where it does not say, in seconds.
const GRACE: i64 = 30;

/// What a delete does.
pub(crate) struct Ending {
    /// The owner that goes without its dependents, where that is asked for.
    orphans: Option<Arc<Value>>,
    what: What,
}

enum What {
    /// Nothing. The object that is answered; `None`: the dry run of what would be gone.
    Same(Option<Arc<Value>>),
    Gone(Key),
    Stays(Ready),
}

impl State {
    /// Deletes an object, or begins to. `None`: it is gone.
    ///
    /// # Errors
    /// 404, a precondition that does not hold, a webhook that refuses.
    pub fn delete(
        &mut self,
        now: Timestamp,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Option<Arc<Value>>, ApiStatus> {
        let ending = self.ending(now, key, options)?;
        Ok(self.end(ending))
    }

    /// What a delete will do; nothing is changed yet.
    ///
    /// # Errors
    /// As [`State::delete`].
    pub(crate) fn ending(
        &self,
        now: Timestamp,
        key: &Key,
        options: &DeleteOptions,
    ) -> Result<Ending, ApiStatus> {
        let info = key.kind.info();
        let old = Arc::clone(self.get(key)?);
        preconditions(key, &old, options)?;
        let write = Write {
            key,
            operation: Operation::Delete,
            old: &old,
            dry_run: options.dry_run,
        };
        self.mutate(write, &mut Value::Null)?;
        self.approve(write, &Value::Null)?;
        let shown = self.as_written(key, &old)?;
        let grace = grace(info, &old, options.grace);
        let mut object = Value::clone(&old);
        self.hold_for_dependents(&mut object, options.propagation);
        if key.kind == custom::DEFINITION {
            add_finalizer(&mut object, custom::CLEANUP);
        }
        let stays = grace > 0 || has_finalizers(&object) || info.is(kinds::NAMESPACE);
        let is_orphaning = options.propagation == Propagation::Orphan && self.plane.controllers;
        let orphans = (is_orphaning && !options.dry_run).then(|| Arc::clone(&old));
        if stays {
            mark(info, &mut object, (now, grace));
        }
        let what = match (stays, options.dry_run) {
            (false, true) => What::Same(None),
            (false, false) => What::Gone(key.clone()),
            (true, _) if object == *old => What::Same(Some(shown)),
            (true, true) => What::Same(Some(self.ready(key, object)?.shown())),
            (true, false) => What::Stays(self.ready(key, object)?),
        };
        Ok(Ending { orphans, what })
    }

    /// Does what a delete will do. `None`: the object is gone.
    pub(crate) fn end(&mut self, ending: Ending) -> Option<Arc<Value>> {
        if let Some(owner) = ending.orphans {
            self.orphan_dependents(&owner);
        }
        match ending.what {
            What::Same(object) => object,
            What::Gone(key) => {
                self.objects.remove(&key);
                None
            }
            What::Stays(ready) => Some(self.put(ready)),
        }
    }

    /// Removes an object whose end has come, whatever holds it.
    pub fn remove(&mut self, key: &Key) {
        self.objects.remove(key);
    }
}

/// Marks an object as one that is to end so many seconds from now; its end can only come sooner than was said before.
fn mark(info: &Kind, object: &mut Value, (now, grace): (Timestamp, i64)) {
    if info.is(kinds::NAMESPACE) {
        object["status"]["phase"] = "Terminating".into();
    }
    let meta = &mut object["metadata"];
    let (begins, before) = (
        meta["deletionTimestamp"].is_null(),
        meta["deletionGracePeriodSeconds"].as_i64(),
    );
    if !begins && before.is_none_or(|before| grace >= before) {
        return;
    }
    // As in `rest.BeforeDelete`: the end is an object's new generation.
    if let Some(generation) = meta["generation"].as_i64().filter(|_| begins) {
        meta["generation"] = (generation + 1).into();
    }
    let end = now.saturating_add(jiff::SignedDuration::from_secs(grace));
    meta["deletionTimestamp"] = timestamp(end.unwrap_or(now)).into();
    // The strategy of namespaces marks them itself.
    if !info.is(kinds::NAMESPACE) {
        meta["deletionGracePeriodSeconds"] = grace.into();
    }
}

/// Refuses a delete of another object, or of another revision, than it is for.
fn preconditions(key: &Key, old: &Value, options: &DeleteOptions) -> Result<(), ApiStatus> {
    let info = key.kind.info();
    let meta = &old["metadata"];
    if let Some(uid) = options
        .uid
        .as_ref()
        .filter(|uid| meta["uid"] != uid.as_str())
    {
        return Err(ApiStatus::other_uid(info, &key.name, uid, &meta["uid"]));
    }
    if let Some(revision) = options
        .revision
        .as_ref()
        .filter(|r| meta["resourceVersion"] != r.as_str())
    {
        let present = &meta["resourceVersion"];
        return Err(ApiStatus::other_revision(
            info, &key.name, revision, present,
        ));
    }
    Ok(())
}

/// Whether nothing holds an object any more that is on its way out.
pub(super) fn ends_now(info: &Kind, object: &Value) -> bool {
    let grace = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    is_ending(object)
        && !has_finalizers(object)
        && grace.unwrap_or_default() <= 0
        && !info.is(kinds::NAMESPACE)
}

pub(super) fn has_finalizers(object: &Value) -> bool {
    object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|f| !f.is_empty())
}

/// How long the object may take to end: only a Pod on a node takes time.
fn grace(info: &Kind, object: &Value, asked: Option<i64>) -> i64 {
    let unscheduled = object["spec"]["nodeName"]
        .as_str()
        .unwrap_or_default()
        .is_empty();
    if !info.is(kinds::POD) || unscheduled || has_ended(object) {
        return 0;
    }
    let present = object["metadata"]["deletionGracePeriodSeconds"].as_i64();
    asked
        // As `podStrategy.CheckGracefulDelete` has it.
        .map(|asked| if asked < 0 { 1 } else { asked })
        .or(present)
        .or_else(|| object["spec"]["terminationGracePeriodSeconds"].as_i64())
        .unwrap_or(GRACE)
        .max(0)
}
