//! Objects of custom kinds in the versions of their definition: the same but for the version's name, or converted by its webhook.

use std::sync::Arc;

use serde_json::Value;

use super::State;
use crate::kind::KindId;
use crate::objects::Key;
use crate::status::ApiStatus;
use crate::webhooks::{Conversion, Dialogue};

/// An object that is ready to be written.
pub(crate) struct Ready {
    key: Key,
    /// As it will be kept.
    kept: Arc<Value>,
    /// The same in the version of the write.
    shown: Arc<Value>,
}

impl Ready {
    /// The object in the version of the write.
    pub(super) fn shown(self) -> Arc<Value> {
        self.shown
    }
}

impl State {
    /// What has to be asked of a webhook, so that objects are in this version of their kind; `None`: nothing.
    pub(crate) fn conversion(&self, kind: KindId, objects: &[Arc<Value>]) -> Option<Conversion> {
        if !kind.is_defined() {
            return None;
        }
        let (converter, schema) = self.customs.converter(kind)?;
        let desired = kind.info().api_version();
        let others = objects.iter().filter(|one| one["apiVersion"] != *desired);
        let objects: Vec<_> = others.cloned().collect();
        (!objects.is_empty()).then(|| Conversion {
            converter: converter.clone(),
            desired,
            schema: Arc::clone(schema),
            objects,
        })
    }

    /// Objects in this version of their kind. `dialogue`: that of the request that asks for them.
    ///
    /// # Errors
    /// What the webhook that converts them fails with, and that it has to be asked first.
    pub(crate) fn in_version(
        &self,
        kind: KindId,
        objects: Vec<Arc<Value>>,
        dialogue: Option<&Dialogue>,
    ) -> Result<Vec<Arc<Value>>, ApiStatus> {
        let Some(conversion) = self.conversion(kind, &objects) else {
            return Ok(objects.iter().map(|one| kind.converted(one)).collect());
        };
        let Some(dialogue) = dialogue else {
            let why = conversion.failed("it is called for requests only");
            return Err(ApiStatus::unknown(why));
        };
        let converted = dialogue.convert(conversion)?;
        Ok(merged(kind, objects, converted))
    }

    /// One object in this version of its kind.
    ///
    /// # Errors
    /// As [`State::in_version`].
    pub(crate) fn one_in_version(
        &self,
        kind: KindId,
        object: &Arc<Value>,
        dialogue: Option<&Dialogue>,
    ) -> Result<Arc<Value>, ApiStatus> {
        let one = self.in_version(kind, vec![Arc::clone(object)], dialogue)?;
        let one = one.into_iter().next();
        Ok(one.expect("each object has its converted one"))
    }

    /// The version of a kind that the present write is in, where its objects are written in the request's.
    pub(super) fn written(&self, kept: KindId) -> KindId {
        let asked = self.author.as_ref().and_then(|author| author.kind());
        let is_of = |kind: &KindId| kind.is_defined() && kind.kept() == kept;
        asked.filter(is_of).unwrap_or(kept)
    }

    /// An object that is kept, in the version of the present write.
    pub(super) fn as_written(
        &self,
        key: &Key,
        object: &Arc<Value>,
    ) -> Result<Arc<Value>, ApiStatus> {
        match &self.author {
            Some(author) if author.kind().is_some_and(KindId::is_defined) => {
                let dialogue = author.dialogue().map(|dialogue| &**dialogue);
                self.one_in_version(self.written(key.kind), object, dialogue)
            }
            _ => Ok(Arc::clone(object)),
        }
    }

    /// Whether an object is in another version than new ones are kept in.
    pub(super) fn is_stale(&self, key: &Key, kept: &Value) -> bool {
        let of = self.served(key.kind);
        of.is_some_and(|served| kept["apiVersion"] != *served.kept.kind.info().api_version())
    }

    /// Makes an object ready to be written: in the version that its kind is kept in.
    ///
    /// # Errors
    /// As [`State::in_version`].
    pub(super) fn ready(&self, key: &Key, object: Value) -> Result<Ready, ApiStatus> {
        let object = Arc::new(object);
        let author = self.author.as_ref();
        let dialogue = author.and_then(|author| author.dialogue());
        let dialogue = dialogue.map(|dialogue| &**dialogue);
        let kept = self.served(key.kind).map(|served| served.kept.kind);
        let asks = |kind| {
            let one = std::slice::from_ref(&object);
            self.conversion(kind, one).is_some()
        };
        let kept = match kept {
            // What works beside the server calls no webhook: the object stays in its version until a request writes it.
            Some(kind) if dialogue.is_some() || !asks(kind) => {
                self.one_in_version(kind, &object, dialogue)?
            }
            Some(_) | None => object,
        };
        Ok(Ready {
            key: key.clone(),
            shown: self.as_written(key, &kept)?,
            kept,
        })
    }

    /// Writes an object. Gives it as it then is, in the version of the write.
    pub(super) fn put(&mut self, ready: Ready) -> Arc<Value> {
        let Ready { key, kept, shown } = ready;
        let is_same = Arc::ptr_eq(&kept, &shown);
        let put = self.objects.put(key, Value::clone(&kept));
        if is_same {
            return put;
        }
        let mut shown = Arc::unwrap_or_clone(shown);
        shown["metadata"]["resourceVersion"] = put["metadata"]["resourceVersion"].clone();
        Arc::new(shown)
    }

    /// Writes an object, unless the request is a dry run. Gives it as it then is, in the version of the write.
    ///
    /// # Errors
    /// As [`State::in_version`].
    pub(super) fn keep(
        &mut self,
        key: &Key,
        object: Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiStatus> {
        let ready = self.ready(key, object)?;
        Ok(if dry_run {
            ready.shown
        } else {
            self.put(ready)
        })
    }
}

/// Objects with those of another version replaced by what they were converted to.
pub(crate) fn merged(
    kind: KindId,
    objects: Vec<Arc<Value>>,
    converted: Vec<Arc<Value>>,
) -> Vec<Arc<Value>> {
    let desired = kind.info().api_version();
    let mut converted = converted.into_iter();
    let objects = objects.into_iter().map(|one| {
        if one["apiVersion"] == *desired {
            one
        } else {
            converted.next().unwrap_or(one)
        }
    });
    objects.collect()
}
