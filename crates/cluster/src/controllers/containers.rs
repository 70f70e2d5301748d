//! A Pod's containers as the kubelet reports them: init containers in their order, then the others.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::faults::Faults;
use headless_objects::backoff;
use headless_objects::rfc3339::timestamp;

/// The pause before a container that has ended is started again; it doubles up to [`LONGEST`], as the kubelet's does.
const FIRST: Duration = Duration::from_secs(10);

/// The longest pause.
const LONGEST: Duration = Duration::from_mins(5);

/// How far a Pod's containers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// An init container has not done its work: nothing after it is started.
    Initializing,
    /// All are started.
    Started,
}

/// The status of a Pod after each of its containers has been tried: phase, conditions, statuses of the containers.
///
/// `retry`: containers that wait after a crash are started once more, which counts as a restart.
pub(super) fn status(now: Timestamp, pod: &Value, faults: &Faults, retry: bool) -> Value {
    let mut status = pod["status"].clone();
    let time = timestamp(now);
    let mut tried = Tried {
        progress: Progress::Started,
        ends: None,
        all_ready: true,
    };
    for (list, field) in [
        ("initContainers", "initContainerStatuses"),
        ("containers", "containerStatuses"),
    ] {
        let statuses = tried.all(&time, (pod, list, field), faults, retry);
        if !statuses.is_empty() {
            status[field] = statuses.into();
        }
    }
    let initialized = tried.progress == Progress::Started;
    let going = if initialized { "Running" } else { "Pending" };
    status["phase"] = tried.ends.unwrap_or(going).into();
    let ready = initialized && tried.all_ready && tried.ends.is_none() && !faults.unready;
    for (kind, holds, reason) in [
        ("PodScheduled", true, ""),
        ("Initialized", initialized, "ContainersNotInitialized"),
        ("ContainersReady", ready, "ContainersNotReady"),
        ("Ready", ready, "ContainersNotReady"),
    ] {
        let holds = if holds { "True" } else { "False" };
        condition(&mut status, (kind, holds), reason, &time);
    }
    if faults.unready {
        unready(&mut status);
    }
    status
}

/// Says of no container that it is ready.
pub(super) fn unready(status: &mut Value) {
    let containers = status["containerStatuses"].as_array_mut();
    for container in containers.into_iter().flatten() {
        container["ready"] = false.into();
    }
}

/// What has become of the containers so far.
struct Tried {
    progress: Progress,
    /// The phase of a Pod that is never restarted and whose containers have ended.
    ends: Option<&'static str>,
    all_ready: bool,
}

impl Tried {
    /// The statuses of one list of containers.
    fn all(
        &mut self,
        time: &str,
        (pod, list, field): (&Value, &str, &str),
        faults: &Faults,
        retry: bool,
    ) -> Vec<Value> {
        let old = pod["status"][field].as_array();
        let mut statuses = Vec::new();
        for container in pod["spec"][list].as_array().into_iter().flatten() {
            let name = text(&container["name"]);
            let old = old.into_iter().flatten().find(|s| s["name"] == name);
            let run = Run {
                id: format!("fake://{}/{name}", text(&pod["metadata"]["uid"])),
                init: list == "initContainers",
                sidecar: container["restartPolicy"] == "Always",
                exit: faults.exits.get(name).copied(),
                waits: self.progress == Progress::Initializing,
                restarts: pod["spec"]["restartPolicy"] != "Never",
                retry,
            };
            let new = run.status(time, container, old);
            if run.init && !run.waits && !run.is_past(&new) {
                self.progress = Progress::Initializing;
            }
            if let (false, Some(code), false) = (run.waits, run.exit, run.restarts) {
                self.ends = Some(if code == 0 { "Succeeded" } else { "Failed" });
            }
            self.all_ready &= (run.init && !run.sidecar) || new["ready"] == true;
            statuses.push(new);
        }
        statuses
    }
}

/// Sets a condition, with the time of its last change.
pub(super) fn condition(status: &mut Value, (kind, holds): (&str, &str), reason: &str, time: &str) {
    let mut new =
        json!({"type": kind, "status": holds, "lastProbeTime": null, "lastTransitionTime": time});
    if holds != "True" {
        new["reason"] = reason.into();
    }
    let mut all = status["conditions"].as_array().cloned().unwrap_or_default();
    match all.iter_mut().find(|c| c["type"] == kind) {
        Some(old) => {
            if old["status"] == holds {
                new["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = new;
        }
        None => all.push(new),
    }
    status["conditions"] = all.into();
}

/// How often a Pod's containers have been restarted in all, and whether one of them waits for its next restart.
pub(super) fn restarts(pod: &Value) -> (i64, bool) {
    let lists = ["initContainerStatuses", "containerStatuses"];
    let all = lists
        .iter()
        .flat_map(|list| pod["status"][list].as_array().into_iter().flatten());
    all.fold((0, false), |(count, waits), status| {
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

/// A container's run.
struct Run {
    id: String,
    init: bool,
    /// An init container that runs on.
    sidecar: bool,
    /// The code with which it ends as soon as it is started.
    exit: Option<i64>,
    /// An init container before it has not done its work.
    waits: bool,
    /// Whether one that has ended is started again.
    restarts: bool,
    retry: bool,
}

impl Run {
    fn status(&self, time: &str, container: &Value, old: Option<&Value>) -> Value {
        let count = old.map_or(0, |old| old["restartCount"].as_i64().unwrap_or_default());
        let crashed =
            old.is_some_and(|old| old["state"]["waiting"]["reason"] == "CrashLoopBackOff");
        let count = count + i64::from(crashed && (self.retry || self.exit.is_none()));
        let ended = |code: i64| {
            let reason = if code == 0 { "Completed" } else { "Error" };
            json!({"terminated": {
                "exitCode": code, "reason": reason, "startedAt": time, "finishedAt": time, "containerID": self.id,
            }})
        };
        let (state, last, ready) = match self.exit {
            _ if self.waits => (
                json!({"waiting": {"reason": "PodInitializing"}}),
                json!({}),
                false,
            ),
            Some(code) if self.restarts && !(self.init && !self.sidecar && code == 0) => {
                let message = format!(
                    "back-off {}s restarting failed container={}",
                    pause(count).as_secs(),
                    text(&container["name"])
                );
                (
                    json!({"waiting": {"reason": "CrashLoopBackOff", "message": message}}),
                    ended(code),
                    false,
                )
            }
            Some(code) => (ended(code), json!({}), self.init && code == 0),
            None if self.init && !self.sidecar => (ended(0), json!({}), true),
            None => (json!({"running": {"startedAt": time}}), json!({}), true),
        };
        // A state that goes on keeps its times.
        let goes_on = old.map(|old| &old["state"]);
        let goes_on = goes_on.filter(|old| same_state(old, &state)).cloned();
        let last = if last == json!({}) {
            old.map_or(last, |old| old["lastState"].clone())
        } else {
            last
        };
        json!({
            "name": container["name"], "image": container["image"], "imageID": "", "containerID": self.id, "ready": ready,
            "started": ready && (self.sidecar || !self.init), "restartCount": count,
            "state": goes_on.unwrap_or(state), "lastState": last,
        })
    }

    /// Whether an init container lets the next be started: it has done its work, or is a sidecar that runs.
    fn is_past(&self, status: &Value) -> bool {
        if self.sidecar {
            status["started"] == true
        } else {
            status["state"]["terminated"]["exitCode"] == 0
        }
    }
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

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
