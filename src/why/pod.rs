//! Why a Pod is not Ready, by what it says of itself.

use headless_objects::object::{condition, is_ready};
use serde_json::Value;

use super::Cause;
use super::objects::{array, is_ending, name, ns, text};

/// Whether it has an address.
pub(super) fn has_address(pod: &Value) -> bool {
    !text(&pod["status"]["podIP"]).is_empty()
}

/// Why it is no endpoint that is ready; `None`: it is Ready, and nothing is wrong with it.
pub(super) fn unready(pod: &Value) -> Option<Cause> {
    let (called, space) = (name(pod), ns(pod));
    let status = &pod["status"];
    let reason = text(&status["reason"]);
    if is_ending(pod) {
        return Some(Cause::new(
            "pod-is-ending",
            format!("Pod {called} is being deleted"),
            "a Pod that takes its place has the name when it is Ready; a finalizer, or a node that is away, can keep it",
        ));
    }
    match text(&status["phase"]) {
        phase @ ("Succeeded" | "Failed") => {
            let why = if reason.is_empty() {
                String::new()
            } else {
                format!(" ({reason})")
            };
            return Some(Cause::new(
                "pod-has-ended",
                format!("Pod {called} has ended: {phase}{why}"),
                format!("kubectl -n {space} describe pod {called} says why"),
            ));
        }
        "Unknown" => return Some(node_is_away(pod)),
        _ => {}
    }
    let ready = condition(pod, "Ready");
    if ready.is_some_and(|ready| ready["status"] == "Unknown") {
        return Some(node_is_away(pod));
    }
    if is_ready(pod) && has_address(pod) {
        return None;
    }
    let found = unscheduled(pod)
        .or_else(|| container(pod, "initContainerStatuses"))
        .or_else(|| container(pod, "containerStatuses"))
        .or_else(|| gate(pod));
    Some(found.unwrap_or_else(|| {
        if !has_address(pod) {
            return Cause::new(
                "no-pod-ip",
                format!("Pod {called} has no address yet"),
                "wait; where it takes long, look at the network plugin of its node",
            );
        }
        let message = ready
            .map(|ready| text(&ready["message"]))
            .unwrap_or_default();
        Cause::new(
            "pod-not-ready",
            format!(
                "Pod {called} is not Ready{}{message}",
                if message.is_empty() { "" } else { ": " }
            ),
            format!("kubectl -n {space} describe pod {called} says more"),
        )
    }))
}

fn node_is_away(pod: &Value) -> Cause {
    let node = text(&pod["spec"]["nodeName"]);
    Cause::new(
        "node-is-away",
        format!(
            "node {node} of Pod {} does not report: whether the Pod runs is not known",
            name(pod)
        ),
        format!("kubectl describe node {node}; where the machine is gone, delete the Node"),
    )
}

fn unscheduled(pod: &Value) -> Option<Cause> {
    let (called, space) = (name(pod), ns(pod));
    if !text(&pod["spec"]["nodeName"]).is_empty() {
        return None;
    }
    let scheduled = condition(pod, "PodScheduled");
    let message = scheduled
        .map(|said| text(&said["message"]))
        .unwrap_or_default();
    Some(match scheduled.map(|said| text(&said["reason"])) {
        Some("SchedulingGated") => Cause::new(
            "scheduling-gated",
            format!("Pod {called} is held by a scheduling gate"),
            "whoever has set spec.schedulingGates has to take it away",
        ),
        Some(_) => Cause::new(
            "unschedulable",
            format!("no node takes Pod {called}: {message}"),
            format!(
                "kubectl -n {space} describe pod {called}; a claim that is not bound, taints and requests are the usual reasons"
            ),
        ),
        None => Cause::new(
            "not-scheduled",
            format!("no scheduler has looked at Pod {called}"),
            "look whether kube-scheduler runs, and whether spec.schedulerName names one that does",
        ),
    })
}

/// What is wrong with the first container that is not ready.
fn container(pod: &Value, field: &str) -> Option<Cause> {
    let init = field.starts_with("init");
    let is_done = |container: &&Value| match init {
        true => {
            let ended = &container["state"]["terminated"];
            ended["exitCode"] == 0 || container["started"] == true
        }
        false => container["ready"] == true,
    };
    let container = array(&pod["status"][field]).find(|container| !is_done(container))?;
    let (called, space, which) = (name(pod), ns(pod), text(&container["name"]));
    let it = format!("container {which} of Pod {called}");
    let logs = format!("kubectl -n {space} logs {called} -c {which}");
    if let Some(cause) = waiting(container, &it, &logs) {
        return Some(cause);
    }
    if init {
        let failed = &container["state"]["terminated"]["exitCode"];
        return Some(match failed.as_i64() {
            Some(code) => Cause::new("init-failed", format!("init {it} ended with {code}"), logs),
            None => Cause::new("init-runs", format!("init {it} has not ended yet"), logs),
        });
    }
    Some(unready_container(pod, container, &it, logs))
}

/// What a container waits for.
fn waiting(container: &Value, it: &str, logs: &str) -> Option<Cause> {
    let waiting = &container["state"]["waiting"];
    let (reason, message) = (text(&waiting["reason"]), text(&waiting["message"]));
    let image = text(&container["image"]);
    let last = &container["lastState"]["terminated"];
    Some(match reason {
        "" => return None,
        "ErrImagePull" | "ImagePullBackOff" | "InvalidImageName" | "ErrImageNeverPull" => {
            Cause::new(
                "image",
                format!("the image {image} of {it} cannot be had ({reason})"),
                "look at its name and tag, and at the pull secret",
            )
        }
        "CrashLoopBackOff" if last["reason"] == "OOMKilled" => Cause::new(
            "out-of-memory",
            format!("{it} was killed as it needs more memory than its limit"),
            "raise resources.limits.memory, or have it take less",
        ),
        "CrashLoopBackOff" => Cause::new(
            "crash-loop",
            format!("{it} ends again and again, last with {}", last["exitCode"]),
            format!("{logs} --previous"),
        ),
        "CreateContainerConfigError" => Cause::new(
            "container-config",
            format!("{it} lacks a ConfigMap or Secret: {message}"),
            "make it, or mark it optional",
        ),
        "ContainerCreating" | "PodInitializing" => Cause::new(
            "being-made",
            format!("{it} is being made"),
            "wait; where it takes long, the Pod's events name a volume or network that is not there",
        ),
        other => Cause::new(
            "container-does-not-start",
            format!("{it} does not start ({other}): {message}"),
            "look at its command, its volumes and its security context",
        ),
    })
}

/// Why a container that runs is not ready.
fn unready_container(pod: &Value, container: &Value, it: &str, logs: String) -> Cause {
    let mut specs = array(&pod["spec"]["containers"]);
    let spec = specs.find(|spec| spec["name"] == container["name"]);
    let has = |probe: &str| spec.is_some_and(|spec| spec[probe].is_object());
    if container["state"]["terminated"].is_object() {
        let code = &container["state"]["terminated"]["exitCode"];
        return Cause::new(
            "container-has-ended",
            format!("{it} has ended with {code}"),
            logs,
        );
    }
    if container["started"] == false && has("startupProbe") {
        return Cause::new(
            "startup-probe",
            format!("{it} runs, and its startupProbe has not succeeded yet"),
            logs,
        );
    }
    if has("readinessProbe") {
        return Cause::new(
            "readiness-probe",
            format!("{it} runs, and its readinessProbe fails"),
            logs,
        );
    }
    Cause::new("container-not-ready", format!("{it} is not ready"), logs)
}

/// A readiness gate that is not true.
fn gate(pod: &Value) -> Option<Cause> {
    let mut gates = array(&pod["spec"]["readinessGates"]).map(|gate| text(&gate["conditionType"]));
    let open = |gate: &str| condition(pod, gate).is_some_and(|said| said["status"] == "True");
    let closed = gates.find(|gate| !open(gate))?;
    Some(Cause::new(
        "readiness-gate",
        format!(
            "the containers of Pod {} are ready, and its readiness gate {closed} is not true",
            name(pod)
        ),
        "whoever sets that condition (mostly a controller of load balancers) has to run and to say so",
    ))
}
