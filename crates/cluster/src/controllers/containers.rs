//! A Pod's containers as the kubelet reports them: init containers in their order, then the others.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions::{self, is_past};
use crate::faults::Faults;
use crate::policy::{is_restarted, is_sidecar};
use headless_objects::backoff;
use headless_objects::object::{array, container_statuses, controller, fields, uid};
use headless_objects::rfc3339::timestamp;

/// The pause before a container that has ended is started again; it doubles up to [`LONGEST`], as the kubelet's does.
const FIRST: Duration = Duration::from_secs(10);

/// The longest pause.
const LONGEST: Duration = Duration::from_mins(5);

/// The lists of a spec with those of the status.
pub(super) const LISTS: [(&str, &str); 2] = [
    ("initContainers", "initContainerStatuses"),
    ("containers", "containerStatuses"),
];

/// The same of what is added to a Pod that is there: no part of its phase, and never started again.
pub(super) const EPHEMERAL: (&str, &str) = ("ephemeralContainers", "ephemeralContainerStatuses");

/// What a Pod's containers depend on beside its spec.
pub(super) struct Given<'a> {
    pub(super) now: Timestamp,
    pub(super) faults: &'a Faults,
    /// Containers that wait after a crash are started once more, which counts as a restart.
    pub(super) retry: bool,
    /// Why containers cannot be started, by their names.
    pub(super) blocked: BTreeMap<String, String>,
}

/// The Pod after each of its containers has been tried: statuses of the containers, phase, conditions.
pub(super) fn tried(pod: &Value, given: &Given<'_>) -> Value {
    let mut tried = pod.clone();
    let time = timestamp(given.now);
    let mut initializes = false;
    for (list, field) in LISTS {
        let mut statuses = Vec::new();
        for (container, old) in conditions::with_status(pod, list) {
            let run = Run {
                given,
                time: &time,
                pod,
                container,
                init: list == "initContainers",
                waits: initializes,
            };
            let new = run.status(old);
            initializes |= run.init && !is_past(container, &new);
            statuses.push(new);
        }
        if !statuses.is_empty() {
            tried["status"][field] = statuses.into();
        }
    }
    let ephemeral = ephemeral(pod, &time);
    if !ephemeral.is_empty() {
        tried["status"][EPHEMERAL.1] = ephemeral.into();
    }
    stop_sidecars(&mut tried, &time);
    if given.faults.unready {
        unready(&mut tried["status"]);
    }
    conditions::derive(&mut tried, &time);
    tried
}

/// The statuses of a Pod's ephemeral containers, which run from when they are seen.
fn ephemeral(pod: &Value, time: &str) -> Vec<Value> {
    let status = |container: &Value| {
        let known = array(&pod["status"][EPHEMERAL.1]).find(|s| s["name"] == container["name"]);
        known.cloned().unwrap_or_else(|| {
            let name = container["name"].as_str().unwrap_or_default();
            json!({
                "name": name, "image": container["image"], "imageID": "", "containerID": format!("fake://{}/{name}", uid(pod)),
                "ready": false, "restartCount": 0, "state": {"running": {"startedAt": time}}, "lastState": {},
            })
        })
    };
    array(&pod["spec"][EPHEMERAL.0]).map(status).collect()
}

/// Sidecars end once no other container is left that runs or is to run.
fn stop_sidecars(pod: &mut Value, time: &str) {
    if conditions::have_ended(pod) {
        stop_list(pod, "initContainerStatuses", (0, time));
    }
}

/// A Pod that is on its node and whose containers are not there yet.
pub(super) fn creating(pod: &Value, now: Timestamp) -> Value {
    let mut creating = pod.clone();
    let inits = pod["spec"]["initContainers"].as_array();
    let first = inits.is_none_or(Vec::is_empty);
    let reason = if first {
        "ContainerCreating"
    } else {
        "PodInitializing"
    };
    for (list, field) in LISTS {
        let waiting = |container: &Value| {
            json!({
                "name": container["name"], "image": container["image"], "imageID": "", "ready": false, "started": false,
                "restartCount": 0, "state": {"waiting": {"reason": reason}}, "lastState": {},
            })
        };
        let all = pod["spec"][list].as_array().into_iter().flatten();
        let all: Vec<_> = all.map(waiting).collect();
        if !all.is_empty() {
            creating["status"][field] = all.into();
        }
    }
    creating["status"]["phase"] = "Pending".into();
    conditions::set_all(&mut creating, &timestamp(now));
    creating
}

/// A Pod whose containers have been stopped for good, with this exit code.
pub(super) fn stopped(pod: &Value, code: i64, now: Timestamp) -> Value {
    let mut stopped = pod.clone();
    let time = timestamp(now);
    for (_, field) in LISTS.into_iter().chain([EPHEMERAL]) {
        stop_list(&mut stopped, field, (code, &time));
    }
    conditions::derive_last(&mut stopped, &time);
    stopped
}

fn stop_list(pod: &mut Value, field: &str, (code, time): (i64, &str)) {
    for status in pod["status"][field].as_array_mut().into_iter().flatten() {
        if let Some(started) = status["state"]["running"].get("startedAt").cloned() {
            let id = status["containerID"].clone();
            status["state"] = ended(code, (&started, &time.into()), &id);
            status["ready"] = false.into();
            status["started"] = false.into();
        }
    }
}

/// The state of a container that has ended.
pub(super) fn ended(code: i64, (from, to): (&Value, &Value), id: &Value) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    json!({"terminated": {
        "exitCode": code, "reason": reason, "startedAt": from, "finishedAt": to, "containerID": id,
    }})
}

/// Says of no container that it is ready.
pub(super) fn unready(status: &mut Value) {
    let containers = status["containerStatuses"].as_array_mut();
    for container in containers.into_iter().flatten() {
        container["ready"] = false.into();
    }
}

/// How often a Pod's containers have been restarted in all, and whether one of them waits for its next restart.
pub(super) fn restarts(pod: &Value) -> (i64, bool) {
    container_statuses(pod).fold((0, false), |(count, waits), status| {
        let crashes = status["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        (
            count + status["restartCount"].as_i64().unwrap_or_default(),
            waits || crashes,
        )
    })
}

/// How long a container waits for its next restart, after so many.
pub(super) fn pause(restarts: i64) -> Duration {
    let doublings = u32::try_from(restarts).unwrap_or(u32::MAX);
    backoff(FIRST, LONGEST, doublings)
}

/// A container that is tried.
struct Run<'a> {
    given: &'a Given<'a>,
    time: &'a str,
    pod: &'a Value,
    container: &'a Value,
    init: bool,
    /// An init container before it has not done its work.
    waits: bool,
}

impl Run<'_> {
    fn status(&self, old: &Value) -> Value {
        let name = self.container["name"].as_str().unwrap_or_default();
        let uid = uid(self.pod);
        let id = Value::from(format!("fake://{uid}/{name}"));
        let exit = self.given.faults.exits.get(name).copied();
        let crashed = old["state"]["waiting"]["reason"] == "CrashLoopBackOff";
        let count = old["restartCount"].as_i64().unwrap_or_default()
            + i64::from(crashed && (self.given.retry || exit.is_none()));
        let (state, last) = self.state(old, (exit, count), &id);
        let runs = state["running"].is_object();
        let done = self.init && state["terminated"]["exitCode"] == 0;
        // A state that goes on keeps its times.
        let state = if same_state(&old["state"], &state) {
            old["state"].clone()
        } else {
            state
        };
        let last = last.unwrap_or_else(|| fields(&old["lastState"]));
        json!({
            "name": self.container["name"], "image": self.container["image"], "imageID": "", "containerID": id,
            "ready": runs || done, "started": runs, "restartCount": count, "state": state, "lastState": last,
        })
    }

    /// The state, and the one before where it is another than it was.
    fn state(
        &self,
        old: &Value,
        (exit, count): (Option<i64>, i64),
        id: &Value,
    ) -> (Value, Option<Value>) {
        let time = Value::from(self.time);
        let name = self.container["name"].as_str().unwrap_or_default();
        let spec = &self.pod["spec"];
        let works = self.init && !is_sidecar(self.container);
        if self.waits {
            return (json!({"waiting": {"reason": "PodInitializing"}}), None);
        }
        let is_new = old["state"]["running"].is_null() && old["state"]["terminated"].is_null();
        if let Some(why) = self.given.blocked.get(name).filter(|_| is_new) {
            return (
                json!({"waiting": {"reason": "CreateContainerConfigError", "message": why}}),
                None,
            );
        }
        match exit {
            Some(code) if is_restarted(spec, self.container, code) && !(works && code == 0) => {
                let pause = pause(count).as_secs();
                let message = format!("back-off {pause}s restarting failed container={name}");
                let waiting =
                    json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}});
                (waiting, Some(ended(code, (&time, &time), id)))
            }
            Some(code) => (ended(code, (&time, &time), id), None),
            None if works || (!self.init && is_work(self.pod)) => {
                (ended(0, (&time, &time), id), None)
            }
            // What has ended for good stays so.
            None if old["state"]["terminated"].is_object() && !self.starts_again(old) => {
                (old["state"].clone(), None)
            }
            None => (json!({"running": {"startedAt": time}}), None),
        }
    }

    fn starts_again(&self, old: &Value) -> bool {
        let code = old["state"]["terminated"]["exitCode"].as_i64();
        code.is_some_and(|code| is_restarted(&self.pod["spec"], self.container, code))
    }
}

/// Whether a Pod is there for work that ends: a Job's, whose pretended programs are done at once.
fn is_work(pod: &Value) -> bool {
    controller(pod).is_some_and(|of| of["kind"] == "Job")
}

/// Whether two states are of the same kind: running, ended with a code, waiting for a reason.
fn same_state(a: &Value, b: &Value) -> bool {
    let kind = |state: &Value| {
        (
            state["running"].is_object(),
            state["terminated"]["exitCode"].as_i64(),
            state["waiting"].clone(),
        )
    };
    kind(a) == kind(b)
}
