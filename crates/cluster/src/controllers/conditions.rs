//! What a Pod's status says of the whole, as the kubelet derives it from its containers' statuses: phase and conditions.

use headless_objects::object::{array, has_ended};
use serde_json::{Value, json};

use crate::policy::{is_restarted, is_sidecar};

/// A condition that is to be set.
pub(super) struct Condition<'a> {
    pub(super) kind: &'a str,
    /// `True`, `False` or `Unknown`.
    pub(super) holds: &'a str,
    pub(super) reason: &'a str,
    pub(super) message: &'a str,
}

impl Condition<'_> {
    /// Sets it on an object, with the time of its last change.
    pub(super) fn set(&self, object: &mut Value, time: &str) {
        let generation = object["metadata"]["generation"].clone();
        let status = &mut object["status"];
        let mut new = json!({
            "type": self.kind, "status": self.holds, "lastProbeTime": null, "lastTransitionTime": time,
        });
        if !generation.is_null() {
            new["observedGeneration"] = generation;
        }
        for (field, text) in [("reason", self.reason), ("message", self.message)] {
            if !text.is_empty() {
                new[field] = text.into();
            }
        }
        let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
        match all.iter_mut().find(|c| c["type"] == self.kind) {
            Some(old) => {
                if old["status"] == self.holds {
                    new["lastTransitionTime"] = old["lastTransitionTime"].clone();
                }
                *old = new;
            }
            None => all.push(new),
        }
        status["conditions"] = all.into();
    }
}

/// Sets a started Pod's phase and conditions by the statuses of its containers.
pub(super) fn derive(pod: &mut Value, time: &str) {
    pod["status"]["phase"] = phase(pod, false).into();
    set_all(pod, time);
}

/// As [`derive`], for a Pod whose containers have been stopped for good.
pub(super) fn derive_last(pod: &mut Value, time: &str) {
    pod["status"]["phase"] = phase(pod, true).into();
    set_all(pod, time);
}

/// Sets the conditions that a Pod has by its phase and the statuses of its containers.
pub(super) fn set_all(pod: &mut Value, time: &str) {
    let has_address = pod["status"]["podIP"].is_string() && !has_ended(pod);
    let containers = containers_ready(pod);
    let ready = match &containers {
        Ok(()) => gates_open(pod),
        Err(why) => Err(why.clone()),
    };
    let all = [
        (
            "PodReadyToStartContainers",
            has_address.then_some(()).ok_or_else(none),
        ),
        ("Initialized", initialized(pod)),
        ("Ready", ready),
        ("ContainersReady", containers),
        ("PodScheduled", Ok(())),
    ];
    for (kind, outcome) in all {
        let (reason, message) = match &outcome {
            Ok(()) if kind == "Initialized" && pod["status"]["phase"] == "Succeeded" => {
                ("PodCompleted", "")
            }
            Ok(()) => ("", ""),
            Err((reason, message)) => (*reason, message.as_str()),
        };
        let holds = if outcome.is_ok() { "True" } else { "False" };
        let condition = Condition {
            kind,
            holds,
            reason,
            message,
        };
        condition.set(pod, time);
    }
    pod["status"]["observedGeneration"] = pod["metadata"]["generation"].clone();
}

/// Why a condition does not hold: reason and message.
type Why = (&'static str, String);

fn none() -> Why {
    ("", String::new())
}

/// Each container of a list with its status, null where it has none.
pub(super) fn with_status<'a>(pod: &'a Value, list: &str) -> Vec<(&'a Value, &'a Value)> {
    let statuses = if list == "initContainers" {
        &pod["status"]["initContainerStatuses"]
    } else {
        &pod["status"]["containerStatuses"]
    };
    let of = |container: &Value| {
        let found = array(statuses).find(|s| s["name"] == container["name"]);
        found.unwrap_or(&Value::Null)
    };
    array(&pod["spec"][list]).map(|c| (c, of(c))).collect()
}

/// Names as Go prints a list of them: `[a b]`.
fn listed<'a>(names: impl Iterator<Item = &'a Value>) -> String {
    let names: Vec<_> = names.filter_map(Value::as_str).collect();
    format!("[{}]", names.join(" "))
}

fn containers_ready(pod: &Value) -> Result<(), Why> {
    match pod["status"]["phase"].as_str() {
        Some("Succeeded") => return Err(("PodCompleted", String::new())),
        Some("Failed") => return Err(("PodFailed", String::new())),
        _ => {}
    }
    let sidecars = with_status(pod, "initContainers")
        .into_iter()
        .filter(|(c, _)| is_sidecar(c));
    let all = sidecars.chain(with_status(pod, "containers"));
    let unready: Vec<_> = all.filter(|(_, status)| status["ready"] != true).collect();
    if unready.is_empty() {
        return Ok(());
    }
    let names = listed(unready.iter().map(|(container, _)| &container["name"]));
    Err((
        "ContainersNotReady",
        format!("containers with unready status: {names}"),
    ))
}

/// Whether every condition that a readiness gate names holds (KEP-580).
fn gates_open(pod: &Value) -> Result<(), Why> {
    let wrong = |gate: &Value| {
        let kind = gate["conditionType"].as_str().unwrap_or_default();
        match headless_objects::object::condition(pod, kind).map(|c| &c["status"]) {
            None => Some(format!(
                "corresponding condition of pod readiness gate {kind:?} does not exist."
            )),
            Some(status) if status != "True" => Some(format!(
                "the status of pod readiness gate {kind:?} is not \"True\", but {}",
                status.as_str().unwrap_or_default()
            )),
            Some(_) => None,
        }
    };
    let wrong: Vec<_> = array(&pod["spec"]["readinessGates"])
        .filter_map(wrong)
        .collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(("ReadinessGatesNotReady", wrong.join(", ")))
}

fn initialized(pod: &Value) -> Result<(), Why> {
    if has_started(pod) || pod["status"]["phase"] == "Succeeded" {
        return Ok(());
    }
    let all = with_status(pod, "initContainers").into_iter();
    let incomplete = all.filter(|(container, status)| !is_past(container, status));
    let incomplete: Vec<_> = incomplete
        .map(|(container, _)| &container["name"])
        .collect();
    if incomplete.is_empty() {
        return Ok(());
    }
    let names = listed(incomplete.into_iter());
    Err((
        "ContainersNotInitialized",
        format!("containers with incomplete status: {names}"),
    ))
}

/// Whether an init container lets the next be started: it has done its work, or is a sidecar that runs.
pub(super) fn is_past(container: &Value, status: &Value) -> bool {
    if is_sidecar(container) {
        status["started"] == true
    } else {
        status["state"]["terminated"]["exitCode"] == 0
    }
}

/// Whether a container that is no init container has been started, now or before.
fn has_started(pod: &Value) -> bool {
    with_status(pod, "containers").iter().any(|(_, status)| {
        let is = |what: &str| status["state"][what].is_object();
        is("running") || is("terminated") || status["lastState"]["terminated"].is_object()
    })
}

/// Whether all containers that are no init containers have ended for good.
pub(super) fn have_ended(pod: &Value) -> bool {
    let all = with_status(pod, "containers");
    all.iter().all(|(container, status)| {
        let code = status["state"]["terminated"]["exitCode"].as_i64();
        code.is_some_and(|code| !is_restarted(&pod["spec"], container, code))
    })
}

/// How a container has ended, now or before its present waiting.
fn exit_code(status: &Value) -> Option<i64> {
    let ended = |state: &Value| state["terminated"]["exitCode"].as_i64();
    ended(&status["state"]).or_else(|| {
        let waits = status["state"]["waiting"].is_object();
        ended(&status["lastState"]).filter(|_| waits)
    })
}

/// A Pod's phase by the statuses of its containers (the kubelet's `getPhase`). `last`: nothing is started again.
fn phase(pod: &Value, last: bool) -> &'static str {
    let spec = &pod["spec"];
    let mut pending = false;
    let mut running = 0;
    for (container, status) in with_status(pod, "initContainers") {
        if is_sidecar(container) {
            running += usize::from(status["state"]["running"].is_object());
            let waits = status["started"] != true && exit_code(status).is_none();
            pending |= waits && !has_started(pod);
            continue;
        }
        match exit_code(status) {
            Some(0) if status["state"]["terminated"].is_object() => {}
            Some(code) if code != 0 => {
                if !is_restarted(spec, container, code) {
                    return "Failed";
                }
            }
            _ => pending = true,
        }
    }
    let (mut stopped, mut for_good, mut succeeded) = (0, 0, 0);
    for (container, status) in with_status(pod, "containers") {
        match exit_code(status) {
            Some(code) => {
                stopped += 1;
                for_good += usize::from(last || !is_restarted(spec, container, code));
                succeeded += usize::from(code == 0 && status["state"]["terminated"].is_object());
            }
            None if status["state"]["running"].is_object() => running += 1,
            None => pending = true,
        }
    }
    match () {
        () if pending => "Pending",
        () if running > 0 || stopped > for_good => "Running",
        () if stopped == succeeded => "Succeeded",
        () => "Failed",
    }
}
