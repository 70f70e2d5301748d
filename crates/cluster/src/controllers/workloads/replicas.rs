//! ReplicaSets and ReplicationControllers: as many Pods of a template as are asked for.

use std::time::Duration;

use headless_objects::object::{array, condition, has_ended, is_ending, is_ready, name};
use jiff::Timestamp;
use serde_json::Value;

use super::claim::claim;
use super::ranking::by_rank;
use super::{
    AGAIN, Action, BURST, Decided, LONGEST, REPLICA_SET, component, count, count_available, pod_of,
    selector, set_status, spec_number,
};
use crate::controllers::Step;
use crate::controllers::events::event;
use crate::kinds;
use crate::objects::Key;

pub(super) fn decide(step: &Step<'_>, key: &Key, set: &Value) -> Decided {
    let Some(selector) = selector(key.kind, set) else {
        return Decided::default();
    };
    let claimed = claim(step.objects, kinds::POD, (key, set), &selector);
    if !claimed.actions.is_empty() {
        return Decided::to(claimed.actions);
    }
    let active = claimed.mine.iter().copied();
    let active: Vec<_> = active
        .filter(|(_, pod)| !is_ending(pod) && !has_ended(pod))
        .collect();
    let (mut actions, tries) = if is_ending(set) {
        (Vec::new(), false)
    } else {
        manage(step, key, set, &active)
    };
    let pods: Vec<_> = active.iter().map(|(_, pod)| *pod).collect();
    let ending = claimed.mine.iter();
    let ending = ending.filter(|(_, pod)| is_ending(pod) && !has_ended(pod));
    let (available, mut wake) =
        count_available(&pods, spec_number(set, "minReadySeconds", 0), step.now);
    let mut status = counted(set, &pods, available);
    if key.kind == REPLICA_SET {
        status["terminatingReplicas"] = count(ending.count()).into();
    }
    if !tries {
        forget_failure(&mut status);
    }
    actions.extend(set_status(key, set, status));
    if tries {
        let failing = failing_since(set).map(|since| step.now.duration_since(since));
        let failing = failing.and_then(|failing| Duration::try_from(failing).ok());
        let pause = failing.map_or(AGAIN, |failing| failing.clamp(AGAIN, LONGEST));
        let at = step.now.saturating_add(pause).unwrap_or(step.now);
        wake = Some(wake.map_or(at, |wake| wake.min(at)));
    }
    Decided { actions, wake }
}

/// Since when the API server refuses Pods of the set.
fn failing_since(set: &Value) -> Option<Timestamp> {
    let since = condition(set, "ReplicaFailure")?["lastTransitionTime"].as_str()?;
    since.parse().ok()
}

/// The Pods to make or to delete, and whether some are to be made.
fn manage(
    step: &Step<'_>,
    key: &Key,
    set: &Value,
    active: &[(&Key, &Value)],
) -> (Vec<Action>, bool) {
    let wanted = usize::try_from(spec_number(set, "replicas", 1)).unwrap_or_default();
    // Where the last was refused, one is enough to see whether the others would be.
    let most = if failing_since(set).is_some() {
        1
    } else {
        BURST
    };
    if let Some(lacking) = wanted.checked_sub(active.len()).filter(|n| *n > 0) {
        let one = || Action::CreatePod(key.clone(), pod_of(set));
        let actions = std::iter::repeat_with(one).take(lacking.min(most));
        return (actions.collect(), true);
    }
    let many = (active.len() - wanted).min(BURST);
    let gone = by_rank(active).into_iter().take(many);
    let actions = gone.flat_map(|(at, pod)| {
        let message = format!("Deleted pod: {}", name(pod));
        [
            Action::Delete(at.clone(), None),
            event(
                step.now,
                set,
                component(key.kind),
                ("SuccessfulDelete", message),
            ),
        ]
    });
    (actions.collect(), false)
}

/// The status with the Pods counted.
fn counted(set: &Value, pods: &[&Value], available: i64) -> Value {
    let labels = set["spec"]["template"]["metadata"]["labels"].as_object();
    let is_labelled = |pod: &&&Value| {
        let has = &pod["metadata"]["labels"];
        let mut wanted = labels.into_iter().flatten();
        wanted.all(|(key, value)| has[key] == *value)
    };
    let mut status = headless_objects::object::fields(&set["status"]);
    let counts = [
        ("replicas", count(pods.len())),
        (
            "fullyLabeledReplicas",
            count(pods.iter().filter(is_labelled).count()),
        ),
        (
            "readyReplicas",
            count(pods.iter().filter(|pod| is_ready(pod)).count()),
        ),
        ("availableReplicas", available),
    ];
    for (field, number) in counts {
        set_count(&mut status, field, number);
    }
    status["observedGeneration"] = set["metadata"]["generation"].clone();
    status
}

/// Writes a count as Go does: zeros are left out, but for `replicas`.
pub(super) fn set_count(status: &mut Value, field: &str, number: i64) {
    if number == 0 && field != "replicas" {
        status
            .as_object_mut()
            .map(|fields| fields.shift_remove(field));
    } else {
        status[field] = number.into();
    }
}

fn forget_failure(status: &mut Value) {
    let others = array(&status["conditions"]).filter(|c| c["type"] != "ReplicaFailure");
    let others: Vec<_> = others.cloned().collect();
    if others.is_empty() {
        status
            .as_object_mut()
            .map(|fields| fields.shift_remove("conditions"));
    } else {
        status["conditions"] = others.into();
    }
}
