//! `scale`: an object with replicas, as autoscaling/v1 has it.

use headless_objects::selector::Selector;
use http::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::custom::Paths;
use super::patch::PatchType;
use super::request::Target;
use super::shared::Shared;
use super::state::{Config, Part, State, scaled};
use super::status::ApiStatus;
use super::{applying, schema};

const API_VERSION: &str = "autoscaling/v1";

/// The type of a `Scale`.
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// Where an object of a custom kind has its replicas; `None`: it is of another kind.
pub(super) fn paths<'s>(state: &'s State, target: &Target) -> Option<&'s Paths> {
    state.customs().get(target.kind)?.scale.as_ref()
}

/// The `Scale` of an object that has replicas. `paths`: where one of a custom kind has them.
///
/// # Errors
/// 500: it has none.
pub(super) fn scale(set: &Value, paths: Option<&Paths>) -> Result<Value, ApiStatus> {
    let meta = &set["metadata"];
    let (spec, status) = match paths {
        None => of_built_in(set),
        Some(paths) => of_custom(set, paths)?,
    };
    Ok(json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": spec, "status": status,
    }))
}

fn of_built_in(set: &Value) -> (Value, Value) {
    let selector = &set["spec"]["selector"];
    // A ReplicationController's is of labels alone.
    let selector = if set["kind"] == "ReplicationController" {
        Selector::of(&json!({"matchLabels": selector}))
    } else {
        Selector::of(selector)
    };
    let present = set["status"]["replicas"].as_i64().unwrap_or_default();
    (
        spec(&set["spec"]["replicas"]),
        json!({"replicas": present, "selector": selector.unwrap_or_default().to_string()}),
    )
}

fn of_custom(object: &Value, paths: &Paths) -> Result<(Value, Value), ApiStatus> {
    let wanted = paths.wanted.get(object);
    if !wanted.is_number() {
        let path = paths.wanted.text();
        let why = format!("the spec replicas field {path:?} does not exist");
        return Err(ApiStatus::internal(&why));
    }
    let mut status = json!({"replicas": paths.present.get(object).as_i64().unwrap_or_default()});
    let selector = paths.selector.as_ref().map(|path| path.get(object));
    if let Some(Value::String(selector)) = selector {
        status["selector"] = selector.as_str().into();
    }
    Ok((spec(wanted), status))
}

/// None are left out, as Go's encoder leaves zero out.
fn spec(replicas: &Value) -> Value {
    let replicas = replicas.as_i64().filter(|replicas| *replicas > 0);
    replicas.map_or_else(|| json!({}), |replicas| json!({"replicas": replicas}))
}

/// Sets the replicas of an object by its `Scale`; gives that as it then is.
///
/// # Errors
/// A `Scale` that is none, and what the object refuses.
pub(super) fn set(shared: &Shared, target: &Target, call: &Call) -> Result<Value, ApiStatus> {
    if applying::is_one(call) {
        return applied(shared, target, call);
    }
    let key = &target.key();
    let dry_run = call.parameters.dry_run("UpdateOptions")?;
    let author = applying::author(target, call, "UpdateOptions")?;
    shared.write_by(Some(author), |state| {
        let mut object = Value::clone(state.get(key)?);
        let paths = paths(state, target).cloned();
        let mut wanted = scale(&object, paths.as_ref())?;
        if call.method == Method::PUT {
            wanted = call.object()?;
            read_scale(call, &mut wanted)?;
            applying::is_named(&wanted, key)?;
            scaled::is_written_to(key, &object, &wanted)?;
        } else {
            PatchType::of(&call.content_type)?.apply(&mut wanted, &call.patch()?.0, "")?;
            read_scale(call, &mut wanted)?;
            applying::is_named(&wanted, key)?;
        }
        ApiStatus::check_scale(&key.name, &wanted)?;
        scaled::is_of(key, &object, &wanted)?;
        object["metadata"]["resourceVersion"] = wanted["metadata"]["resourceVersion"].take();
        let replicas = wanted["spec"]["replicas"].as_i64().unwrap_or_default();
        match &paths {
            None => object["spec"]["replicas"] = replicas.into(),
            Some(paths) => paths.wanted.set(&mut object, replicas.into()),
        }
        let new = state.update(key, Part::Main, object, dry_run)?;
        scale(&new, paths.as_ref())
    })
}

fn applied(shared: &Shared, target: &Target, call: &Call) -> Result<Value, ApiStatus> {
    let dry_run = call.parameters.dry_run("PatchOptions")?;
    let author = applying::author(target, call, "PatchOptions")?;
    let config = Config {
        object: applying::config((API_VERSION, "Scale"), target, call)?,
        force: call.parameters.flag("force"),
        dry_run,
    };
    let key = target.key();
    shared.write_by(Some(author), |state| {
        let paths = paths(state, target).cloned();
        let live = scale(state.get(&key)?, paths.as_ref())?;
        let path = paths.as_ref().map(|paths| &paths.wanted);
        let new = state.apply_scale(&key, (SCALE, &live), &config, path)?;
        scale(&new, paths.as_ref())
    })
}

/// Refuses a `Scale` that is none.
fn read_scale(call: &Call, scale: &mut Value) -> Result<(), ApiStatus> {
    let shown = scale.to_string();
    let Err(mistyped) = schema::check(SCALE, scale) else {
        return Ok(());
    };
    Err(if call.method == Method::PATCH {
        ApiStatus::invalid_patch(&shown, &mistyped.problem)
    } else {
        let problem = mistyped.problem;
        ApiStatus::bad_request(format!(
            "Scale in version \"v1\" cannot be handled as a Scale: {problem}"
        ))
    })
}
