//! Logs of containers that pretend: the Pod's own story, a line for each thing that became of it.

use http::{Response, StatusCode};
use serde_json::Value;

use super::call::{Body, Call, reply};
use super::kinds;
use super::objects::{Key, Objects};
use super::status::ApiStatus;
use headless_objects::object::{container_statuses, name};

/// A container that is asked for.
pub(super) struct Asked<'a> {
    pub(super) container: &'a str,
    pub(super) status: &'a Value,
}

/// Answers `GET …/pods/NAME/log`.
///
/// # Errors
/// 404: no such Pod; 400: which container, one that the Pod has not, one that has not been started.
pub(super) fn answer(
    objects: &Objects,
    key: &Key,
    call: &Call,
) -> Result<Response<Body>, ApiStatus> {
    let pod = objects
        .get(key)
        .ok_or_else(|| ApiStatus::not_found(key.kind.info(), &key.name))?;
    let asked = asked(pod, call.parameters.text("container"))?;
    if call.parameters.flag("previous") && !asked.status["lastState"]["terminated"].is_object() {
        return Err(no_previous(asked.container, &key.name));
    }
    if let Some(reason) = waits(asked.status) {
        return Err(waiting(asked.container, &key.name, reason));
    }
    let mut lines = story(objects, pod, &asked);
    if let Ok(tail) = call.parameters.text("tailLines").parse::<usize>() {
        lines.drain(..lines.len().saturating_sub(tail));
    }
    let stamped = call.parameters.flag("timestamps");
    let mut text = String::new();
    for (time, line) in lines {
        if stamped {
            text.push_str(&time);
            text.push(' ');
        }
        text.push_str(&line);
        text.push('\n');
    }
    if let Ok(limit) = call.parameters.text("limitBytes").parse::<usize>() {
        while text.len() > limit {
            text.pop();
        }
    }
    Ok(reply(StatusCode::OK, "text/plain", text.into()))
}

/// The container that a request means: the Pod's only one, where it names none.
///
/// # Errors
/// 400: which container, or one that the Pod has not.
pub(super) fn asked<'a>(pod: &'a Value, wanted: &str) -> Result<Asked<'a>, ApiStatus> {
    let names = |list: &str| -> Vec<&'a str> {
        let all = pod["spec"][list].as_array().into_iter().flatten();
        all.filter_map(|container| container["name"].as_str())
            .collect()
    };
    let (inits, containers) = (names("initContainers"), names("containers"));
    let container = match (wanted, &containers[..]) {
        ("", [only]) => only,
        ("", _) => {
            let mut choice = format!("choose one of: [{}]", containers.join(" "));
            if !inits.is_empty() {
                choice.push_str(&format!(
                    " or one of the init containers: [{}]",
                    inits.join(" ")
                ));
            }
            return Err(ApiStatus::bad_request(format!(
                "a container name must be specified for pod {}, {choice}",
                name(pod)
            )));
        }
        (wanted, _) => inits
            .iter()
            .chain(&containers)
            .find(|c| **c == wanted)
            .ok_or_else(|| {
                ApiStatus::bad_request(format!(
                    "container {wanted} is not valid for pod {}",
                    name(pod)
                ))
            })?,
    };
    let status = container_statuses(pod).find(|status| status["name"] == *container);
    Ok(Asked {
        container,
        status: status.unwrap_or(&Value::Null),
    })
}

/// 400: there was no run before.
pub(super) fn no_previous(container: &str, pod: &str) -> ApiStatus {
    ApiStatus::bad_request(format!(
        "previous terminated container \"{container}\" in pod \"{pod}\" not found"
    ))
}

/// 400: there is no run yet.
pub(super) fn waiting(container: &str, pod: &str, reason: &str) -> ApiStatus {
    ApiStatus::bad_request(format!(
        "container \"{container}\" in pod \"{pod}\" is waiting to start: {reason}"
    ))
}

/// Why a container has not been started; `None`: it has, now or before.
fn waits(status: &Value) -> Option<&str> {
    if status.is_null() {
        return Some("ContainerCreating");
    }
    let reason = status["state"]["waiting"]["reason"].as_str()?;
    status["lastState"]["terminated"]
        .is_null()
        .then_some(reason)
}

/// The lines, each with its time, in the order of their times.
fn story(objects: &Objects, pod: &Value, asked: &Asked<'_>) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let uid = &pod["metadata"]["uid"];
    let ns = pod["metadata"]["namespace"].as_str();
    let events = objects.list(kinds::EVENT, ns);
    let events = events.filter(|(_, event)| event["involvedObject"]["uid"] == *uid);
    let mut lines: Vec<_> = events
        .map(|(_, event)| {
            let what = format!("{}: {}", text(&event["reason"]), text(&event["message"]));
            (text(&event["lastTimestamp"]), what)
        })
        .collect();
    for state in [&asked.status["lastState"], &asked.status["state"]] {
        if let Some(started) = state["running"]["startedAt"].as_str() {
            let line = format!(
                "container {} runs, in pretence: no program does",
                asked.container
            );
            lines.push((started.to_owned(), line));
        }
        if let Some(code) = state["terminated"]["exitCode"].as_i64() {
            let line = format!(
                "container {} has ended, in pretence, with exit code {code}",
                asked.container
            );
            lines.push((text(&state["terminated"]["finishedAt"]), line));
        }
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    lines
}
