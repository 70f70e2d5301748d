//! Events: said once and counted when they are said again, and gone after an hour, as on a real cluster.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use ahash::AHashMap;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Action, Step};
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::state::State;
use headless_objects::object::{name, ns};
use headless_objects::rfc3339::timestamp;

/// How long an Event is kept after it was last said (kube-apiserver's `--event-ttl`).
const KEPT: Duration = Duration::from_hours(1);

/// Reasons that are said as warnings.
const WARNINGS: &[&str] = &[
    "BackoffLimitExceeded",
    "DeadlineExceeded",
    "Evicted",
    "Failed",
    "FailedCreate",
    "FailedIndexes",
    "FailedMount",
    "FailedScheduling",
    "InvalidSchedule",
    "MaxFailedIndexesExceeded",
    "MissSchedule",
    "PodFailurePolicy",
    "ProvisioningFailed",
    "TooManyMissedTimes",
    "UnexpectedJob",
    "UnknownTimeZone",
    "UnparseableSchedule",
];

/// An Event about an object.
pub(super) fn event(
    now: Timestamp,
    about: &Value,
    component: &str,
    (reason, message): (&str, String),
) -> Action {
    let meta = &about["metadata"];
    let ns = meta["namespace"].as_str().unwrap_or("default").to_owned();
    let time = timestamp(now);
    let kind = if WARNINGS.contains(&reason) {
        "Warning"
    } else {
        "Normal"
    };
    // The same said again has the same name.
    let mut same = DefaultHasher::new();
    (meta["uid"].as_str(), component, reason, &message).hash(&mut same);
    Action::Say(json!({
        "metadata": {"name": format!("{}.{:016x}", name(about), same.finish()), "namespace": ns},
        "involvedObject": {
            "apiVersion": about["apiVersion"], "kind": about["kind"], "name": meta["name"], "namespace": meta["namespace"],
            "uid": meta["uid"], "resourceVersion": meta["resourceVersion"],
        },
        "reason": reason, "message": message, "type": kind, "count": 1,
        "firstTimestamp": time, "lastTimestamp": time,
        "source": {"component": component}, "reportingComponent": component, "reportingInstance": "",
    }))
}

/// Where an Event is.
fn key_of(event: &Value) -> Key {
    Key::new(kinds::EVENT, ns(event), name(event))
}

/// The action, unless its Event has been said already.
pub(super) fn once(objects: &Objects, action: Action) -> Option<Action> {
    let said = matches!(&action, Action::Say(event) if objects.get(&key_of(event)).is_some());
    (!said).then_some(action)
}

/// Writes an Event, or counts it where it has been said before.
pub(super) fn say(state: &mut State, now: Timestamp, event: Value) {
    let key = key_of(&event);
    let before = state.objects.get(&key).map(|before| Value::clone(before));
    let outcome = match before {
        None => state.create(now, key.kind, &key.ns, event, false),
        Some(mut again) => {
            again["count"] = (again["count"].as_i64().unwrap_or(1) + 1).into();
            again["lastTimestamp"] = event["lastTimestamp"].clone();
            state.update(&key, crate::state::Part::Main, again, false)
        }
    };
    // Its namespace may be about to end: then nobody is left to read it.
    drop(outcome);
}

/// Which Events are kept until when.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    until: AHashMap<Key, Timestamp>,
    /// In the order of their times; what has been said again since, or is gone, is passed over.
    queue: VecDeque<(Timestamp, Key)>,
}

impl Expiry {
    /// Removes what is too old; and when to look again.
    pub(super) fn step(&mut self, step: &Step<'_>) -> (Vec<Action>, Option<Timestamp>) {
        for change in step.changes.iter().filter(|c| c.key.kind == kinds::EVENT) {
            if change.deleted {
                self.until.remove(&change.key);
            } else {
                let until = step.now.saturating_add(KEPT).unwrap_or(step.now);
                self.until.insert(change.key.clone(), until);
                self.queue.push_back((until, change.key.clone()));
            }
        }
        let mut old = Vec::new();
        while let Some((until, key)) = self.queue.front() {
            let stands = self.until.get(key) == Some(until);
            if stands && *until > step.now {
                return (old, Some(*until));
            }
            if stands {
                self.until.remove(key);
                old.push(Action::Remove(key.clone()));
            }
            self.queue.pop_front();
        }
        (old, None)
    }
}
