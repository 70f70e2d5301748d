//! What is waited for, and why, as lines for a person: sets, claims and Pods that are not where they shall be.

use headless_objects::object::{condition, container_statuses, is_ready};
use serde_json::Value;

use super::controllers::missing_volume;
use super::faults::Faults;
use super::kinds;
use super::objects::{Key, Objects};

/// The lines: of sets first, then of claims, then of Pods.
pub(super) fn lines(objects: &Objects) -> Vec<String> {
    let sets = objects.list(kinds::STATEFUL_SET, None);
    let sets = sets.filter_map(|(key, set)| line("set  ", key, of_set(objects, set)));
    let claims = objects.list(kinds::PERSISTENT_VOLUME_CLAIM, None);
    let claims = claims.filter_map(|(key, claim)| line("claim", key, of_claim(objects, claim)));
    let pods = objects.list(kinds::POD, None);
    let pods = pods.filter_map(|(key, pod)| line("pod  ", key, of_pod(objects, pod)));
    sets.chain(claims).chain(pods).collect()
}

fn line(what: &str, key: &Key, why: Option<String>) -> Option<String> {
    Some(format!("wait  {what} {}/{}: {}", key.ns, key.name, why?))
}

/// What keeps a set from making its Pods: the last warning about it.
fn of_set(objects: &Objects, set: &Value) -> Option<String> {
    let count = |of: &Value| of.as_i64().unwrap_or_default();
    if count(&set["status"]["replicas"]) >= count(&set["spec"]["replicas"]) {
        return None;
    }
    let events = objects.list(kinds::EVENT, set["metadata"]["namespace"].as_str());
    let warnings = events.filter(|(_, event)| {
        event["type"] == "Warning" && event["involvedObject"]["uid"] == set["metadata"]["uid"]
    });
    let time = |event: &Value| event["lastTimestamp"].as_str().map(str::to_owned);
    let last = warnings.max_by_key(|(_, event)| time(event))?;
    last.1["message"].as_str().map(str::to_owned)
}

fn of_claim(objects: &Objects, claim: &Value) -> Option<String> {
    if claim["status"]["phase"] != "Pending" {
        return None;
    }
    let class = claim["spec"]["storageClassName"]
        .as_str()
        .unwrap_or_default();
    let classes = objects.list(kinds::STORAGE_CLASS, None);
    let classes: Vec<_> = classes.map(|(key, _)| key.name.as_str()).collect();
    let is_there = classes.contains(&class);
    Some(match (class, is_there) {
        ("", _) => "it asks for no StorageClass, and no PersistentVolume without one fits".into(),
        (class, true) => {
            format!("no PersistentVolume of the StorageClass {class:?} fits, and none is made")
        }
        (class, false) => format!(
            "no StorageClass {class:?}; there is: {}",
            classes.join(", ")
        ),
    })
}

fn of_pod(objects: &Objects, pod: &Value) -> Option<String> {
    if is_ready(pod) || pod["status"]["phase"] == "Succeeded" {
        return None;
    }
    let scheduled = condition(pod, "PodScheduled").filter(|c| c["status"] == "False");
    if let Some(why) = scheduled.and_then(|scheduled| scheduled["message"].as_str()) {
        return Some(why.to_owned());
    }
    if let Some((volume, why)) = missing_volume(objects, pod) {
        return Some(format!("its volume {volume}: {why}"));
    }
    let stuck = container_statuses(pod).find_map(|status| {
        let message = status["state"]["waiting"]["message"].as_str()?;
        let name = status["name"].as_str().unwrap_or_default();
        Some(format!("its container {name}: {message}"))
    });
    let (faults, _) = Faults::of(pod);
    let asked = faults
        .unready
        .then(|| "its annotation embedded.headless-dns/ready says that it is not".to_owned());
    let ready = condition(pod, "Ready").and_then(|ready| ready["message"].as_str());
    let phase = pod["status"]["phase"].as_str().unwrap_or_default();
    let why = stuck.or(asked).or_else(|| ready.map(str::to_owned));
    Some(why.unwrap_or_else(|| format!("it is {phase}")))
}
