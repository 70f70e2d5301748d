//! `scale`: an object with replicas, as autoscaling/v1 has it.

use headless_objects::selector::Selector;
use http::Method;
use serde_json::{Value, json};

use super::call::Call;
use super::patch::PatchType;
use super::request::Target;
use super::shared::Shared;
use super::state::{Config, Part, scaled};
use super::status::ApiStatus;
use super::{applying, schema};

const API_VERSION: &str = "autoscaling/v1";

/// The type of a `Scale`.
const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// The `Scale` of an object that has replicas.
pub(super) fn scale(set: &Value) -> Value {
    let selector = &set["spec"]["selector"];
    // A ReplicationController's is of labels alone.
    let selector = if set["kind"] == "ReplicationController" {
        Selector::of(&json!({"matchLabels": selector}))
    } else {
        Selector::of(selector)
    };
    let selector = selector.unwrap_or_default();
    let meta = &set["metadata"];
    // None are left out, as Go's encoder leaves zero out.
    let replicas = set["spec"]["replicas"]
        .as_i64()
        .filter(|replicas| *replicas > 0);
    let spec = replicas.map_or_else(|| json!({}), |replicas| json!({"replicas": replicas}));
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": meta["name"], "namespace": meta["namespace"], "uid": meta["uid"],
            "resourceVersion": meta["resourceVersion"], "creationTimestamp": meta["creationTimestamp"],
        },
        "spec": spec,
        "status": {"replicas": set["status"]["replicas"].as_i64().unwrap_or_default(), "selector": selector.to_string()},
    })
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
    let new = shared.write_by(Some(author), |state| {
        let mut object = Value::clone(state.get(key)?);
        let mut wanted = scale(&object);
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
        object["spec"]["replicas"] = wanted["spec"]["replicas"]
            .as_i64()
            .unwrap_or_default()
            .into();
        state.update(key, Part::Main, object, dry_run)
    })?;
    Ok(scale(&new))
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
    let new = shared.write_by(Some(author), |state| {
        let live = scale(state.get(&key)?);
        state.apply_scale(&key, (SCALE, &live), &config)
    })?;
    Ok(scale(&new))
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
