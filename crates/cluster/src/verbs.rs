//! The verbs of the API: get, list, watch, create, update, patch, delete, and the subresources.

use std::sync::Arc;

use http::{Method, Response, StatusCode};
use serde_json::{Value, json};

use super::call::{Body, Call, json as reply, metadata};
use super::kinds::{self, Kind, KindId};
use super::objects::Key;
use super::paging::Continue;
use super::patch::PatchType;
use super::received::{self, Received, warn};
use super::request::{Filter, Target};
use super::shared::Shared;
use super::state::{Part, State};
use super::status::ApiStatus;
use super::{
    apply, applying, deleting, evicting, idle, issuing, logs, reviews, scaling, schema, watching,
};

/// Objects of a list that is not limited by the client.
const UNLIMITED: usize = usize::MAX;

/// What is said of a method that a path does not have.
pub(super) const NO_METHOD: &str =
    "the server does not allow this method on the requested resource";

/// Namespaces that stay (kube-apiserver's admission plugin `NamespaceLifecycle`).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];

/// Answers a request for objects.
pub(super) fn answer(
    shared: &Arc<Shared>,
    target: &Target,
    call: &Call,
) -> Result<Response<Body>, ApiStatus> {
    let info = target.kind.info();
    let holds_object = [Method::POST, Method::PUT].contains(&call.method)
        || call.method == Method::DELETE && !call.body.is_empty();
    if holds_object {
        call.check_media_type()?;
    }
    if let Some(subresource) = &target.subresource {
        return sub(shared, target, subresource, call);
    }
    call.check_accepted()?;
    let verb = verb(target, call);
    let verb = info.verbs.iter().find(|served| **served == verb);
    match verb.copied().unwrap_or_default() {
        "watch" => watching::watch(shared, target, call),
        "list" => list(shared, target, call),
        "get" => {
            let object = get(shared, target, call)?;
            Ok(reply(
                StatusCode::OK,
                &shown(shared, target.kind, call, &object),
            ))
        }
        "create" if reviews::is_one(info) => {
            let Received { object, warnings } = received::object(info, call)?;
            let ns = target.ns.as_deref().unwrap_or_default();
            let answered = reviews::answer(shared, (info, ns), &call.user, object)?;
            Ok(warn(reply(StatusCode::CREATED, &answered), &warnings))
        }
        "create" => {
            let Received {
                object,
                mut warnings,
            } = received(shared, target, call)?;
            warnings.extend(idle::said(info));
            let ns = target.ns.clone().unwrap_or_default();
            let dry_run = call.parameters.dry_run("CreateOptions")?;
            let author = applying::author(target, call, "CreateOptions")?;
            let made = shared.write_by(Some(author), |state| {
                state.create(call.now, target.kind.kept(), &ns, object, dry_run)
            })?;
            let made = shown(shared, target.kind, call, &made);
            Ok(warn(reply(StatusCode::CREATED, &made), &warnings))
        }
        "update" => {
            let (new, warnings) = replace(shared, target, Part::Main, call)?;
            let new = shown(shared, target.kind, call, &new);
            Ok(warn(reply(StatusCode::OK, &new), &warnings))
        }
        "patch" => {
            let (new, warnings, code) = patch(shared, target, Part::Main, call)?;
            let new = shown(shared, target.kind, call, &new);
            Ok(warn(reply(code, &new), &warnings))
        }
        "delete" => delete(shared, target, call),
        "deletecollection" => delete_collection(shared, target, call),
        _ => Err(ApiStatus::not_served(NO_METHOD)),
    }
}

fn get(shared: &Shared, target: &Target, call: &Call) -> Result<Arc<Value>, ApiStatus> {
    let state = shared.read();
    call.parameters.check_revision(state.objects.revision())?;
    present(&state, target, call)
}

/// An object that is there, in the version that is asked for.
fn present(state: &State, target: &Target, call: &Call) -> Result<Arc<Value>, ApiStatus> {
    let kept = state.get(&target.key())?;
    state.one_in_version(target.kind, kept, Some(&call.dialogue))
}

/// What discovery calls what a request asks for; empty: it asks for nothing that there is.
fn verb(target: &Target, call: &Call) -> &'static str {
    let is_everywhere = target.kind.info().namespaced && target.ns.is_none();
    match (&call.method, &target.name) {
        // Objects are made and deleted in one namespace.
        (&Method::POST | &Method::DELETE, None) if is_everywhere => "",
        (&Method::GET, None) if call.parameters.flag("watch") => "watch",
        (&Method::GET, None) => "list",
        (&Method::GET, Some(_)) => "get",
        (&Method::POST, None) => "create",
        (&Method::PUT, Some(_)) => "update",
        (&Method::PATCH, Some(_)) => "patch",
        (&Method::DELETE, Some(_)) => "delete",
        (&Method::DELETE, None) => "deletecollection",
        _ => "",
    }
}

/// The object of a create or an update, as it is kept.
fn received(shared: &Shared, target: &Target, call: &Call) -> Result<Received, ApiStatus> {
    let mut received = received::object(target.kind.info(), call)?;
    let served = shared.read().customs().get(target.kind).cloned();
    received::prune(target.kind.info(), call, served.as_deref(), &mut received)?;
    target.kind.to_kept(&mut received.object);
    Ok(received)
}

/// The object, or its table or its metadata where those are asked for.
fn shown(shared: &Shared, kind: KindId, call: &Call, object: &Arc<Value>) -> Value {
    let object = kind.to_served(object);
    if call.wants_table() {
        let mut table = shared.table(
            kind,
            &[Value::clone(&object)],
            call.parameters.text("includeObject"),
        );
        table["metadata"]["resourceVersion"] = object["metadata"]["resourceVersion"].clone();
        return table;
    }
    if call.wants_metadata() {
        return metadata(&object);
    }
    Value::clone(&object)
}

fn list(shared: &Arc<Shared>, target: &Target, call: &Call) -> Result<Response<Body>, ApiStatus> {
    let info = target.kind.info();
    let limit = call.parameters.number("limit")?.filter(|limit| *limit > 0);
    let limit = limit.map_or(UNLIMITED, |limit| {
        usize::try_from(limit).unwrap_or(UNLIMITED)
    });
    call.parameters.number("timeoutSeconds")?;
    let filter = call.parameters.filter(target.kind)?;
    call.parameters.check_initial(false)?;
    call.parameters.check_match()?;
    let from = Continue::read(call.parameters.text("continue"))?;
    let state = shared.read();
    call.parameters.check_revision(state.objects.revision())?;
    let (kind, ns) = (target.kind.kept(), target.ns.as_deref());
    let (revision, all) = from.page(&state.objects, kind, ns)?;
    let (keys, objects): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let objects = state.in_version(target.kind, objects, Some(&call.dialogue))?;
    drop(state);
    let converted = keys.into_iter().zip(objects);
    let mut matching = converted.filter(|(_, object)| filter.matches(object));
    let page: Vec<(Key, Arc<Value>)> = matching.by_ref().take(limit).collect();
    let remaining = matching.count();
    let mut meta = json!({"resourceVersion": revision.to_string()});
    if let (true, Some((last, _))) = (remaining > 0, page.last()) {
        meta["continue"] = Continue::write(revision, last).into();
        // With a selector the API server does not count what is left.
        let selects = |name| !call.parameters.text(name).is_empty();
        if !selects("labelSelector") && !selects("fieldSelector") {
            meta["remainingItemCount"] = remaining.into();
        }
    }
    let items: Vec<Value> = page
        .into_iter()
        .map(|(_, object)| Arc::unwrap_or_clone(apply::shown(object)))
        .collect();
    let document = if call.wants_table() {
        let mut table = shared.table(target.kind, &items, call.parameters.text("includeObject"));
        table["metadata"] = meta;
        table
    } else if call.wants_metadata() {
        let items: Vec<_> = items.iter().map(metadata).collect();
        json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": meta, "items": items})
    } else {
        collection(info, meta, items)
    };
    Ok(reply(StatusCode::OK, &document))
}

/// A list. Its kind tells the kind of the items, which therefore leave theirs out; custom resources keep it.
fn collection(info: &Kind, mut meta: Value, mut items: Vec<Value>) -> Value {
    if info.custom() {
        // Where a list of custom resources ends it says so.
        meta["continue"] = meta.get("continue").cloned().unwrap_or_else(|| "".into());
    } else {
        for fields in items.iter_mut().filter_map(Value::as_object_mut) {
            fields.retain(|field, _| field != "kind" && field != "apiVersion");
        }
    }
    json!({"kind": format!("{}List", info.kind), "apiVersion": info.api_version(), "metadata": meta, "items": items})
}

/// The object that takes the place of another, and what is to be warned of.
fn replace(
    shared: &Shared,
    target: &Target,
    part: Part,
    call: &Call,
) -> Result<(Arc<Value>, Vec<String>), ApiStatus> {
    let Received { object, warnings } = received(shared, target, call)?;
    let dry_run = call.parameters.dry_run("UpdateOptions")?;
    let author = applying::author(target, call, "UpdateOptions")?;
    let key = target.key();
    let new = shared.write_by(Some(author), |state| {
        state.get(&key)?;
        received::has_revision(target.kind.info(), &object)?;
        state.update(&key, part, object, dry_run)
    })?;
    Ok((new, warnings))
}

/// The object that a patch leaves, what is to be warned of, and the code: 201 where an apply has made it.
fn patch(
    shared: &Shared,
    target: &Target,
    part: Part,
    call: &Call,
) -> Result<(Arc<Value>, Vec<String>, StatusCode), ApiStatus> {
    if applying::is_one(call) {
        let (applied, code) = applying::apply(shared, target, part, call)?;
        return Ok((applied, Vec::new(), code));
    }
    let (key, info) = (target.key(), target.kind.info());
    let kind = PatchType::of(&call.content_type)?;
    if kind == PatchType::Strategic && info.custom() {
        return Err(ApiStatus::unsupported_media_type(
            "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
             application/merge-patch+json, application/apply-patch+yaml",
        ));
    }
    let (patch, twice) = call.patch()?;
    let dry_run = call.parameters.dry_run("PatchOptions")?;
    let author = applying::author(target, call, "PatchOptions")?;
    shared.write_by(Some(author), |state| {
        let old = apply::shown(present(state, target, call)?);
        let mut object = Value::clone(&old);
        kind.apply(&mut object, &patch, info.of)?;
        let shown = |patched: &Value| kind.shown(&patch, patched);
        let mut received = received::patched(info, call, (object, twice), shown)?;
        let served = state.customs().get(target.kind).map(|served| &**served);
        received::prune(info, call, served, &mut received)?;
        let Received {
            mut object,
            warnings,
        } = received;
        // A patch without a revision is for whatever is there.
        let revision = &object["metadata"]["resourceVersion"];
        if *revision == "0" || *revision == old["metadata"]["resourceVersion"] {
            object["metadata"]
                .as_object_mut()
                .map(|m| m.remove("resourceVersion"));
        }
        target.kind.to_kept(&mut object);
        let new = state.update(&key, part, object, dry_run)?;
        Ok((new, warnings, StatusCode::OK))
    })
}

fn delete(shared: &Shared, target: &Target, call: &Call) -> Result<Response<Body>, ApiStatus> {
    let options = deleting::options(call)?;
    let key = target.key();
    if key.kind == kinds::NAMESPACE && IMMORTAL.contains(&&*key.name) {
        let of = ("", "namespaces");
        let why = "this namespace may not be deleted";
        return Err(ApiStatus::forbidden_object(of, &key.name, why));
    }
    let author = applying::deleting(target, call);
    let (before, left) = shared.write_by(Some(author), |state| {
        let before = state.get(&key)?.clone();
        state
            .delete(call.now, &key, &options)
            .map(|left| (before, left))
    })?;
    if let Some(object) = left {
        return Ok(reply(StatusCode::OK, &target.kind.to_served(&object)));
    }
    let info = target.kind.info();
    if info.does.returned {
        return Ok(reply(StatusCode::OK, &target.kind.to_served(&before)));
    }
    let mut details = json!({"name": key.name, "group": info.group, "kind": info.plural, "uid": before["metadata"]["uid"]});
    if info.group.is_empty() {
        details.as_object_mut().map(|d| d.remove("group"));
    }
    Ok(reply(
        StatusCode::OK,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}),
    ))
}

fn delete_collection(
    shared: &Shared,
    target: &Target,
    call: &Call,
) -> Result<Response<Body>, ApiStatus> {
    let options = deleting::options(call)?;
    let filter: Filter = call.parameters.filter(target.kind)?;
    let info = target.kind.info();
    let author = applying::deleting(target, call);
    let items: Vec<Value> = shared.write_by(Some(author), |state: &mut State| {
        let all = state
            .objects
            .list(target.kind.kept(), target.ns.as_deref())
            .map(|(key, object)| (key.clone(), Arc::clone(object)));
        let (keys, objects): (Vec<_>, Vec<_>) = all.unzip();
        let objects = state.in_version(target.kind, objects, Some(&call.dialogue))?;
        let all = keys.into_iter().zip(objects.into_iter().map(apply::shown));
        let all = all.filter(|(_, object)| filter.matches(object));
        let all: Vec<(Key, Arc<Value>)> = all.collect();
        // Webhooks are asked about all before the first goes, so that none is asked twice. Those before a refused one go.
        let (mut endings, mut refused) = (Vec::new(), None);
        for (key, _) in &all {
            match state.ending(call.now, key, &options) {
                Ok(ending) => endings.push(ending),
                Err(status) if call.dialogue.waits() => return Err(status),
                Err(status) => {
                    refused = Some(status);
                    break;
                }
            }
        }
        for ending in endings {
            state.end(ending);
        }
        if let Some(status) = refused {
            return Err(status);
        }
        Ok::<_, ApiStatus>(
            all.into_iter()
                .map(|(_, object)| Value::clone(&object))
                .collect(),
        )
    })?;
    let meta = json!({"resourceVersion": shared.read().objects.revision().to_string()});
    Ok(reply(StatusCode::OK, &collection(info, meta, items)))
}

fn sub(
    shared: &Arc<Shared>,
    target: &Target,
    subresource: &str,
    call: &Call,
) -> Result<Response<Body>, ApiStatus> {
    let key = target.key();
    match (subresource, &call.method) {
        ("status" | "ephemeralcontainers", &Method::GET) => {
            let object = present(&shared.read(), target, call)?;
            let object = target.kind.to_served(&object);
            Ok(reply(StatusCode::OK, &object))
        }
        ("status" | "ephemeralcontainers", &Method::PUT) => {
            let (new, warnings) = replace(shared, target, part(subresource), call)?;
            let new = target.kind.to_served(&new);
            Ok(warn(reply(StatusCode::OK, &new), &warnings))
        }
        ("status" | "ephemeralcontainers", &Method::PATCH) => {
            let (new, warnings, code) = patch(shared, target, part(subresource), call)?;
            let new = target.kind.to_served(&new);
            Ok(warn(reply(code, &new), &warnings))
        }
        ("scale", &Method::GET) => {
            let state = shared.read();
            let scale = scaling::scale(state.get(&key)?, scaling::paths(&state, target))?;
            Ok(reply(StatusCode::OK, &scale))
        }
        ("scale", &Method::PUT | &Method::PATCH) => {
            let scale = scaling::set(shared, target, call)?;
            Ok(reply(StatusCode::OK, &scale))
        }
        ("finalize", &Method::PUT) => {
            let Received { object, .. } = received(shared, target, call)?;
            let new = shared.write(|state| state.finalize(&key, &object))?;
            Ok(reply(StatusCode::OK, &target.kind.to_served(&new)))
        }
        ("binding", &Method::POST) => bind(shared, &key, call),
        ("eviction", &Method::POST) => evicting::evict(shared, &key, call),
        ("token", &Method::POST) => issuing::issue(shared, &key, call),
        ("log", &Method::GET) => logs::answer(shared, (&key, call)),
        ("exec" | "attach" | "portforward", _) => {
            shared.read().get(&key)?;
            let why = if shared.runtime.is_some() {
                "a connection over TCP was expected, which can become a stream"
            } else {
                "the Pods of this cluster have names and addresses, but no containers that run; those of `headless-dns sandbox --run` do"
            };
            Err(ApiStatus::not_served(format!(
                "{subresource} is not served: {why}"
            )))
        }
        _ => Err(ApiStatus::not_served(NO_METHOD)),
    }
}

/// The part that a subresource writes.
fn part(subresource: &str) -> Part {
    if subresource == "ephemeralcontainers" {
        Part::Debugging
    } else {
        Part::Status
    }
}

/// Gives a Pod its node.
fn bind(shared: &Shared, key: &Key, call: &Call) -> Result<Response<Body>, ApiStatus> {
    call.is_object("Binding")?;
    let binding = call.object()?;
    if binding["metadata"]["name"] != *key.name {
        return Err(ApiStatus::bad_request(
            "name in URL does not match name in Binding object",
        ));
    }
    let node = binding["target"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    shared.write(|state| {
        let mut pod = Value::clone(state.get(key)?);
        if pod["spec"]["nodeName"].is_string() {
            return Err(ApiStatus::conflict(
                key.kind.info(),
                &key.name,
                "pod is already assigned to a node",
            ));
        }
        pod["spec"]["nodeName"] = node.into();
        state.update(key, Part::Main, pod, false)
    })?;
    Ok(reply(
        StatusCode::CREATED,
        &json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}),
    ))
}

impl Call {
    /// The patch, and the paths of fields that stand in it more than once.
    pub(super) fn patch(&self) -> Result<(Value, Vec<String>), ApiStatus> {
        schema::object(&self.body).map_err(|_| ApiStatus::bad_request("invalid JSON patch"))
    }
}
