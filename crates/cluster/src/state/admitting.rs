//! Webhooks in a write: those that may change the object first, then those that may refuse it.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Author, State};
use crate::apply;
use crate::kind::KindId;
use crate::objects::Key;
use crate::patch::PatchType;
use crate::plane::Plugin;
use crate::status::ApiStatus;
use crate::webhooks::{self, Asked, Dialogue, Hook, Operation, Question, Verdict};

/// A write, as webhooks are asked about it.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) key: &'a Key,
    pub(super) operation: Operation,
    /// Null where it is new.
    pub(super) old: &'a Value,
    pub(super) dry_run: bool,
}

/// Webhooks that were called and may be again (`reinvocationPolicy: IfNeeded`).
#[derive(Default)]
struct Called {
    /// Nobody has changed the object since.
    settled: Vec<(String, usize)>,
    /// Another has: they are to be called again.
    due: Vec<(String, usize)>,
}

impl Called {
    fn note(&mut self, hook: &Hook, has_changed: bool) {
        if has_changed {
            self.due.append(&mut self.settled);
        }
        if hook.again {
            self.settled.push(hook.of.clone());
        }
    }
}

/// What a new object has from the server alone; webhooks that change objects see it before.
const OF_SERVER: [&str; 2] = ["uid", "creationTimestamp"];

impl State {
    /// Has webhooks change an object; says whether any was asked. `object`: null where it is deleted.
    ///
    /// # Errors
    /// What they refuse, a call without answer, and that one has to be asked first.
    pub(super) fn mutate(&self, write: Write<'_>, object: &mut Value) -> Result<bool, ApiStatus> {
        let Some((author, dialogue)) = self.asks(Plugin::MutatingAdmissionWebhook) else {
            return Ok(false);
        };
        let is_new = write.operation == Operation::Create;
        let kept = if is_new { hide(object) } else { Vec::new() };
        let mut called = Called::default();
        let mut is_asked = false;
        for again in [false, true] {
            for listed in webhooks::listed(&self.objects, true) {
                let asked = asked(author, write, object);
                let hook = listed.met(&self.objects, &asked);
                let Some(hook) = hook.filter(|hook| !again || called.due.contains(&hook.of)) else {
                    continue;
                };
                let request = self.request(author, &asked, &hook)?;
                let before = object.clone();
                if let Some(patch) = put(dialogue, &hook, request)? {
                    self.change((author, write.key.kind), &hook, (object, &patch))?;
                }
                called.note(&hook, before != *object);
                is_asked = true;
            }
        }
        for (field, value) in kept {
            object["metadata"][field] = value;
        }
        Ok(is_asked)
    }

    /// Has webhooks look at an object that is complete. `object`: null where it is deleted.
    ///
    /// # Errors
    /// As [`State::mutate`].
    pub(super) fn approve(&self, write: Write<'_>, object: &Value) -> Result<(), ApiStatus> {
        let Some((author, dialogue)) = self.asks(Plugin::ValidatingAdmissionWebhook) else {
            return Ok(());
        };
        let asked = asked(author, write, object);
        for listed in webhooks::listed(&self.objects, false) {
            if let Some(hook) = listed.met(&self.objects, &asked) {
                put(dialogue, &hook, self.request(author, &asked, &hook)?)?;
            }
        }
        Ok(())
    }

    /// Who writes, and whom he asks: requests ask, for objects and their status; what works beside the server does not.
    fn asks(&self, plugin: Plugin) -> Option<(&Author, &Arc<Dialogue>)> {
        let author = self.author.as_ref().filter(|_| self.plane.admits(plugin))?;
        let is_asked = ["", "status"].contains(&author.subresource());
        Some((author, author.dialogue().filter(|_| is_asked)?))
    }

    /// The `AdmissionRequest`, but for its uid.
    fn request(&self, author: &Author, asked: &Asked<'_>, hook: &Hook) -> Result<Value, ApiStatus> {
        let mut request = request(author, asked, hook);
        for (field, object) in [("object", asked.object), ("oldObject", asked.old)] {
            if !object.is_null() {
                let shown = self.converted((author, hook.kind), object.clone())?;
                request[field] = Arc::unwrap_or_clone(apply::shown(shown));
            }
        }
        Ok(request)
    }

    /// An object of the author's write in a version of its kind.
    fn converted(
        &self,
        (author, kind): (&Author, KindId),
        object: Value,
    ) -> Result<Arc<Value>, ApiStatus> {
        let dialogue = author.dialogue().map(|dialogue| &**dialogue);
        self.one_in_version(kind, &Arc::new(object), dialogue)
    }

    /// Changes an object as a webhook wants it changed, in the version that it was shown, and completes it again.
    fn change(
        &self,
        (author, kept): (&Author, KindId),
        hook: &Hook,
        (object, patch): (&mut Value, &Value),
    ) -> Result<(), ApiStatus> {
        if object.is_null() {
            let name = &hook.name;
            let why = format!(
                "admission webhook {name:?} attempted to modify the object, which is not supported for this operation"
            );
            return Err(ApiStatus::internal(&why));
        }
        let shown = self.converted((author, hook.kind), object.clone())?;
        let mut changed = Arc::unwrap_or_clone(shown);
        PatchType::Json
            .apply(&mut changed, patch, "")
            .map_err(|status| ApiStatus::internal(&status.message))?;
        if !changed.is_object() {
            let why = format!(
                "admission webhook {:?} made no object of the object",
                hook.name
            );
            return Err(ApiStatus::internal(&why));
        }
        hook.kind.to_kept(&mut changed);
        let back = self.written(kept);
        if back.is_defined() {
            let converted = self.converted((author, back), changed)?;
            changed = Arc::unwrap_or_clone(converted);
        }
        crate::types::check(kept.info(), &mut changed)?;
        self.complete(kept, &mut changed)?;
        *object = changed;
        Ok(())
    }
}

/// Takes out of a new object what it has from the server alone. Gives it.
fn hide(object: &mut Value) -> Vec<(&'static str, Value)> {
    let Some(meta) = object["metadata"].as_object_mut() else {
        return Vec::new();
    };
    let text = |field: &str| meta.get(field).and_then(Value::as_str).unwrap_or_default();
    let prefix = text("generateName");
    let is_drawn = !prefix.is_empty() && text("name").starts_with(prefix);
    let hidden = OF_SERVER.into_iter().chain(is_drawn.then_some("name"));
    let hidden = hidden.filter_map(|field| Some((field, meta.shift_remove(field)?)));
    hidden.collect()
}

fn asked<'a>(author: &'a Author, write: Write<'a>, object: &'a Value) -> Asked<'a> {
    let shown = if object.is_null() { write.old } else { object };
    Asked {
        kind: author.kind().unwrap_or(write.key.kind),
        subresource: author.subresource(),
        operation: write.operation,
        ns: &write.key.ns,
        name: shown["metadata"]["name"].as_str().unwrap_or_default(),
        object,
        old: write.old,
        dry_run: write.dry_run,
    }
}

/// Asks one webhook. Gives the changes that it wants.
fn put(dialogue: &Dialogue, hook: &Hook, request: Value) -> Result<Option<Value>, ApiStatus> {
    let name = &hook.name;
    if request["dryRun"] == true && !hook.takes_dry_run {
        return Err(ApiStatus::bad_request(format!(
            "admission webhook {name:?} does not support dry run"
        )));
    }
    let question = Question {
        hook: hook.clone(),
        request,
    };
    match dialogue.ask(question)? {
        Verdict::Allowed(patch, _) => Ok(patch),
        Verdict::Denied(status, _) => Err(status),
        Verdict::Failed(why) if hook.fails => {
            let why = format!("failed calling webhook {name:?}: {why}");
            Err(ApiStatus::internal(&why))
        }
        Verdict::Failed(error) => {
            tracing::warn!(webhook = %name, %error, "a webhook gives no answer, and is passed over");
            Ok(None)
        }
    }
}

/// The `AdmissionRequest`, but for its uid and its objects.
fn request(author: &Author, asked: &Asked<'_>, hook: &Hook) -> Value {
    let options = match asked.operation {
        Operation::Create => "CreateOptions",
        Operation::Update => "UpdateOptions",
        Operation::Delete => "DeleteOptions",
    };
    let mut options = json!({"kind": options, "apiVersion": "meta.k8s.io/v1"});
    if asked.operation != Operation::Delete {
        options["fieldManager"] = author.manager().into();
    }
    if asked.dry_run {
        options["dryRun"] = json!(["All"]);
    }
    let mut request = json!({
        "kind": webhooks::kind(hook.kind), "resource": webhooks::resource(hook.kind),
        "requestKind": webhooks::kind(asked.kind), "requestResource": webhooks::resource(asked.kind),
        "operation": asked.operation.name(), "userInfo": author.user(),
        "object": null, "oldObject": null, "dryRun": asked.dry_run, "options": options,
    });
    let is_namespace = asked.kind.kept() == crate::kinds::NAMESPACE;
    if asked.kind.info().namespaced {
        request["namespace"] = asked.ns.into();
    }
    // One that the server is still to give is left out.
    if !asked.name.is_empty() {
        request["name"] = asked.name.into();
        if is_namespace {
            request["namespace"] = asked.name.into();
        }
    }
    if !asked.subresource.is_empty() {
        request["subResource"] = asked.subresource.into();
        request["requestSubResource"] = asked.subresource.into();
    }
    request
}
