//! Disruption budgets: how many of their Pods are healthy, and how many may be evicted now.

use headless_objects::object::{controller, is_ending, is_ready};
use headless_objects::rfc3339::timestamp;
use headless_objects::selector::Selector;
use serde_json::{Value, json};

use super::{Action, Step, about, touched};
use crate::kinds::{self, KindId};
use crate::objects::{Key, Objects};
use crate::state::Part;

/// The condition that says whether a Pod may be evicted.
pub(crate) const ALLOWED: &str = "DisruptionAllowed";

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let mut budgets = touched(step, "PodDisruptionBudget");
    let of_pods = touched(step, "Pod")
        .into_iter()
        .chain(touched(step, "StatefulSet"));
    for namespace in of_pods
        .map(|key| key.ns)
        .collect::<std::collections::BTreeSet<_>>()
    {
        let there = step
            .objects
            .list(kinds::POD_DISRUPTION_BUDGET, Some(&namespace));
        budgets.extend(there.map(|(key, _)| key.clone()));
    }
    let decided = budgets.iter().filter_map(|key| {
        let budget = step.objects.get(key)?;
        let status = about(key, || {
            status(step.objects, (key, budget), &timestamp(step.now))
        })?;
        let mut new = Value::clone(budget);
        new["status"] = status;
        (new != **budget).then(|| Action::Update(key.clone(), Part::Status, new))
    });
    decided.collect()
}

/// The budgets that cover a Pod.
pub(crate) fn of_pod<'a>(
    objects: &'a Objects,
    ns: &'a str,
    pod: &'a Value,
) -> Vec<(&'a Key, &'a Value)> {
    let all = objects.list(kinds::POD_DISRUPTION_BUDGET, Some(ns));
    let covering = all.filter(|(_, budget)| selector(budget).is_some_and(|s| covers(&s, pod)));
    covering.map(|(key, budget)| (key, &**budget)).collect()
}

fn selector(budget: &Value) -> Option<Selector> {
    Selector::of(&budget["spec"]["selector"])
}

fn covers(selector: &Selector, pod: &Value) -> bool {
    let labels = &pod["metadata"]["labels"];
    selector.matches(|key| labels[key].as_str())
}

/// What a budget's status is to say.
fn status(objects: &Objects, (key, budget): (&Key, &Value), now: &str) -> Value {
    let all = objects
        .list(kinds::POD, Some(&key.ns))
        .map(|(_, pod)| &**pod);
    let selector = selector(budget);
    let is_covered = |pod: &&Value| selector.as_ref().is_some_and(|s| covers(s, pod));
    let pods: Vec<&Value> = all.filter(is_covered).collect();
    let mut status = budget["status"].clone();
    status["observedGeneration"] = budget["metadata"]["generation"].clone();
    let (expected, desired) = match wanted(objects, &key.ns, (&budget["spec"], &pods)) {
        Ok(wanted) => wanted,
        Err(why) => {
            status["disruptionsAllowed"] = 0.into();
            tell(&mut status, ("False", "SyncFailed", &why), now);
            return status;
        }
    };
    let healthy = pods
        .iter()
        .filter(|pod| !is_ending(pod) && is_ready(pod))
        .count();
    let healthy = i64::try_from(healthy).unwrap_or(i64::MAX);
    status["currentHealthy"] = healthy.into();
    status["desiredHealthy"] = desired.into();
    status["expectedPods"] = expected.into();
    let allowed = if expected > 0 {
        (healthy - desired).max(0)
    } else {
        0
    };
    allow(&mut status, allowed, now);
    status
}

/// Writes how many Pods may be evicted.
pub(crate) fn allow(status: &mut Value, allowed: i64, now: &str) {
    status["disruptionsAllowed"] = allowed.into();
    let said = if allowed > 0 {
        ("True", "SufficientPods", "")
    } else {
        ("False", "InsufficientPods", "")
    };
    tell(status, said, now);
}

fn tell(status: &mut Value, (holds, reason, message): (&str, &str, &str), now: &str) {
    let mut new = json!({
        "type": ALLOWED, "status": holds, "observedGeneration": status["observedGeneration"], "lastTransitionTime": now,
        "reason": reason, "message": message,
    });
    let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
    if let Some(old) = all
        .iter()
        .find(|c| c["type"] == ALLOWED && c["status"] == holds)
    {
        new["lastTransitionTime"] = old["lastTransitionTime"].clone();
    }
    all.retain(|c| c["type"] != ALLOWED);
    all.push(new);
    status["conditions"] = all.into();
}

/// How many Pods there are to be, and how many of them healthy.
fn wanted(
    objects: &Objects,
    ns: &str,
    (spec, pods): (&Value, &[&Value]),
) -> Result<(i64, i64), String> {
    if let Some(desired) = spec["minAvailable"].as_i64() {
        return Ok((i64::try_from(pods.len()).unwrap_or(i64::MAX), desired));
    }
    let expected = scale(objects, ns, pods)?;
    if spec["maxUnavailable"].is_null() {
        return Ok((expected, part(&spec["minAvailable"], expected)));
    }
    let desired = expected - part(&spec["maxUnavailable"], expected);
    Ok((expected, desired.max(0)))
}

/// A number, or a share, rounded up.
pub(super) fn part(value: &Value, of: i64) -> i64 {
    let share = value.as_str().and_then(|text| text.strip_suffix('%'));
    match share.and_then(|share| share.parse::<i64>().ok()) {
        Some(share) => share.saturating_mul(of).saturating_add(99) / 100,
        None => value.as_i64().unwrap_or_default(),
    }
}

/// The replicas of all that control the Pods.
fn scale(objects: &Objects, ns: &str, pods: &[&Value]) -> Result<i64, String> {
    let mut scales = std::collections::BTreeMap::new();
    for pod in pods {
        let Some(owner) = controller(pod) else {
            continue;
        };
        let found = top(objects, ns, owner);
        let Some((uid, replicas)) = found else {
            let name = &pod["metadata"]["name"];
            return Err(format!("found no controllers for pod {name}"));
        };
        scales.insert(uid, replicas);
    }
    Ok(scales.values().sum())
}

/// Who says how many Pods there are to be: of a ReplicaSet, its Deployment.
fn top(objects: &Objects, ns: &str, owner: &Value) -> Option<(String, i64)> {
    let name = owner["name"].as_str().unwrap_or_default();
    let object = objects.named(KindId::of_object(owner)?.kept(), ns, name)?;
    if object["metadata"]["uid"] != owner["uid"] {
        return None;
    }
    let above = controller(object);
    if let Some(above) = above.filter(|_| owner["kind"] == "ReplicaSet")
        && above["kind"] == "Deployment"
    {
        return top(objects, ns, above);
    }
    let replicas = object["spec"]["replicas"].as_i64()?;
    Some((
        owner["uid"].as_str().unwrap_or_default().to_owned(),
        replicas,
    ))
}
