//! Evictions: deletes of Pods that a disruption budget may hold up.

use headless_objects::object::{condition, has_ended, is_ending, is_ready};
use headless_objects::rfc3339::timestamp;
use http::{Response, StatusCode};
use serde_json::{Value, json};

use super::call::{Body, Call, json as reply};
use super::controllers::budgets;
use super::deleting;
use super::objects::Key;
use super::schema;
use super::shared::Shared;
use super::state::{DeleteOptions, Part, State};
use super::status::ApiStatus;

const EVICTION: &str = "io.k8s.api.policy.v1.Eviction";

/// Evicts a Pod.
pub(super) fn evict(shared: &Shared, key: &Key, call: &Call) -> Result<Response<Body>, ApiStatus> {
    call.is_object("Eviction")?;
    let mut eviction = call.object()?;
    let unreadable = |problem: &str| {
        ApiStatus::bad_request(format!(
            "Eviction in version \"v1\" cannot be handled as a Eviction: {problem}"
        ))
    };
    if let Some(other) = eviction["kind"].as_str().filter(|kind| *kind != "Eviction") {
        let version = eviction["apiVersion"].as_str().unwrap_or("policy/v1");
        return Err(ApiStatus::bad_request(format!(
            "{other} in version \"v1\" cannot be handled as a Eviction: no kind {other:?} is registered for version {version:?} in scheme \
             \"pkg/runtime/scheme.go:111\""
        )));
    }
    schema::check(EVICTION, &mut eviction).map_err(|mistyped| unreadable(&mistyped.problem))?;
    if eviction["metadata"]["name"] != *key.name {
        let why = "name in URL does not match name in Eviction object";
        return Err(ApiStatus::bad_request(why));
    }
    let mut options = deleting::read(&eviction["deleteOptions"])?;
    options.dry_run |= call.parameters.dry_run("CreateOptions")?;
    shared.write(|state| {
        let now = timestamp(shared.now());
        obey(state, key, (options.dry_run, &now))?;
        delete(state, (shared, key), options, &now)
    })?;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(reply(StatusCode::CREATED, &done))
}

/// Takes the eviction from the Pod's budget.
///
/// # Errors
/// A budget that does not allow it.
fn obey(state: &mut State, key: &Key, (dry_run, now): (bool, &str)) -> Result<(), ApiStatus> {
    let pod = state.get(key)?;
    let phase = pod["status"]["phase"].as_str().unwrap_or("Pending");
    if is_ending(pod) || has_ended(pod) || phase == "Pending" {
        return Ok(());
    }
    let (budget_key, budget) = match budgets::of_pod(&state.objects, &key.ns, pod)[..] {
        [] => return Ok(()),
        [(budget_key, budget)] => (budget_key.clone(), budget.clone()),
        _ => {
            let why = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.";
            return Err(ApiStatus::unknown(why));
        }
    };
    let (name, status) = (&*budget_key.name, &budget["status"]);
    let number = |field: &str| status[field].as_i64().unwrap_or_default();
    let (healthy, desired) = (number("currentHealthy"), number("desiredHealthy"));
    let is_enough = healthy >= desired && desired > 0;
    if !is_ready(pod)
        && (is_enough || budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow")
    {
        return Ok(());
    }
    let refused = |why: String| Err(ApiStatus::too_many_evictions(why));
    if number("observedGeneration")
        < budget["metadata"]["generation"]
            .as_i64()
            .unwrap_or_default()
    {
        return refused(format!(
            "The disruption budget {name} is still being processed by the server."
        ));
    }
    let allowed = number("disruptionsAllowed");
    if allowed <= 0 {
        let is_failure = |c: &&Value| c["reason"] == "SyncFailed";
        return refused(
            match condition(&budget, budgets::ALLOWED).filter(is_failure) {
                Some(failed) => format!(
                    "The disruption budget {name} does not allow evicting pods currently because it failed sync: {}",
                    failed["message"].as_str().unwrap_or_default()
                ),
                None if healthy <= desired => {
                    format!(
                        "The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
                    )
                }
                None => {
                    format!("The disruption budget {name} does not allow evicting pods currently")
                }
            },
        );
    }
    if !dry_run {
        let mut new = budget.clone();
        budgets::allow(&mut new["status"], allowed - 1, now);
        state.update(&budget_key, Part::Status, new, false)?;
    }
    Ok(())
}

/// Says on the Pod why it goes, and deletes it.
fn delete(
    state: &mut State,
    (shared, key): (&Shared, &Key),
    mut options: DeleteOptions,
    now: &str,
) -> Result<(), ApiStatus> {
    let dry_run = std::mem::replace(&mut options.dry_run, true);
    state.delete(shared.now(), key, &options)?;
    if dry_run {
        return Ok(());
    }
    let mut pod = Value::clone(state.get(key)?);
    let mut conditions = pod["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    conditions.retain(|condition| condition["type"] != "DisruptionTarget");
    conditions.push(json!({
        "type": "DisruptionTarget", "status": "True", "lastProbeTime": null, "lastTransitionTime": now,
        "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting",
    }));
    pod["status"]["conditions"] = conditions.into();
    state.update(key, Part::Status, pod, false)?;
    (options.dry_run, options.revision) = (false, None);
    state.delete(shared.now(), key, &options).map(drop)
}
