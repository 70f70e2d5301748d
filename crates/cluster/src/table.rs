//! Server-side tables: what `kubectl get` prints.

mod events;
mod kept;
mod scaling;
mod workloads;

use headless_objects::object::{array, condition, controller, is_ending, is_ready};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::kind::{Column, Kind};

/// The table of some objects.
#[must_use]
pub(super) fn table(kind: &Kind, objects: &[Value], now: Timestamp, include: &str) -> Value {
    let name: Column = ("Name", false, |object, _| {
        object["metadata"]["name"].clone()
    });
    let mut columns = kind.does.columns.to_vec();
    let at = if kind.does.name_is_last {
        columns.len()
    } else {
        0
    };
    columns.insert(at, (name.0, kind.does.name_is_last, name.2));
    let heading = |(name, wide, _): &Column| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": "string", "format": format, "description": "", "priority": i32::from(*wide)})
    };
    let headings: Vec<Value> = columns.iter().map(heading).collect();
    let rows = objects.iter().map(|object| {
        let cells: Vec<Value> = columns.iter().map(|(_, _, cell)| cell(object, now)).collect();
        let shown = match include {
            "None" => Value::Null,
            "Object" => object.clone(),
            _ => json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]}),
        };
        json!({"cells": cells, "object": shown})
    });
    let rows: Vec<_> = rows.collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": headings, "rows": rows})
}

/// How long ago, as kubectl shows it: `5s`, `2m10s`, `3h`, `4d`.
fn age(object: &Value, now: Timestamp) -> Value {
    since(&object["metadata"]["creationTimestamp"], now)
}

pub(crate) fn since(time: &Value, now: Timestamp) -> Value {
    let Some(then) = time.as_str().and_then(|t| t.parse::<Timestamp>().ok()) else {
        return "<unknown>".into();
    };
    let seconds = now.duration_since(then).as_secs();
    headless_objects::age(seconds.try_into().unwrap_or(0)).into()
}

const AGE: Column = ("Age", false, age);

fn or_none(value: &Value) -> Value {
    if value.is_null() || value == "" {
        "<none>".into()
    } else {
        value.clone()
    }
}

fn joined(values: impl Iterator<Item = String>, empty: &str) -> Value {
    let text = values.collect::<Vec<_>>().join(",");
    if text.is_empty() {
        empty.into()
    } else {
        text.into()
    }
}

fn count(value: &Value) -> usize {
    value.as_object().map_or(0, serde_json::Map::len)
}

fn texts<'a>(values: &'a Value, field: &'a str) -> impl Iterator<Item = String> + 'a {
    array(values).map(move |v| v[field].as_str().unwrap_or_default().to_owned())
}

pub(super) use events::*;
pub(super) use kept::*;
pub(super) use scaling::*;
pub(super) use workloads::*;

pub(super) const AGE_ONLY: &[Column] = &[AGE];

pub(super) const CONFIG_MAP: &[Column] = &[
    ("Data", false, |o, _| {
        (count(&o["data"]) + count(&o["binaryData"])).into()
    }),
    AGE,
];

pub(super) const SECRET: &[Column] = &[
    ("Type", false, |o, _| o["type"].clone()),
    ("Data", false, |o, _| count(&o["data"]).into()),
    AGE,
];

pub(super) const NAMESPACE: &[Column] =
    &[("Status", false, |o, _| o["status"]["phase"].clone()), AGE];

pub(super) const NODE: &[Column] = &[
    ("Status", false, |o, _| {
        let ready = match (condition(o, "Ready"), is_ready(o)) {
            (_, true) => "Ready",
            (None, false) => "Unknown",
            (Some(_), false) => "NotReady",
        };
        let cordoned = o["spec"]["unschedulable"] == true;
        let cordoned = if cordoned { ",SchedulingDisabled" } else { "" };
        format!("{ready}{cordoned}").into()
    }),
    ("Roles", false, |o, _| {
        const ROLE: &str = "node-role.kubernetes.io/";
        let labels = o["metadata"]["labels"].as_object().into_iter().flatten();
        let mut roles: Vec<_> = labels
            .filter_map(|(label, value)| match label.strip_prefix(ROLE) {
                Some(role) => Some(role.to_owned()),
                None if label == "kubernetes.io/role" => value.as_str().map(str::to_owned),
                None => None,
            })
            .filter(|role| !role.is_empty())
            .collect();
        roles.sort_unstable();
        joined(roles.into_iter(), "<none>")
    }),
    AGE,
    ("Version", false, |o, _| {
        o["status"]["nodeInfo"]["kubeletVersion"].clone()
    }),
    ("Internal-IP", true, |o, _| address(o, "InternalIP")),
    ("External-IP", true, |o, _| address(o, "ExternalIP")),
    ("OS-Image", true, |o, _| of_node(o, "osImage")),
    ("Kernel-Version", true, |o, _| of_node(o, "kernelVersion")),
    ("Container-Runtime", true, |o, _| {
        of_node(o, "containerRuntimeVersion")
    }),
];

fn address(node: &Value, of: &str) -> Value {
    let mut all = array(&node["status"]["addresses"]);
    let found = all.find(|address| address["type"] == of);
    found.map_or_else(|| "<none>".into(), |found| found["address"].clone())
}

fn of_node(node: &Value, field: &str) -> Value {
    match node["status"]["nodeInfo"][field].as_str() {
        Some(text) if !text.is_empty() => text.into(),
        _ => "<unknown>".into(),
    }
}

pub(super) const POD: &[Column] = &[
    ("Ready", false, |o, _| {
        let sidecars =
            array(&o["spec"]["initContainers"]).filter(|c| c["restartPolicy"] == "Always");
        let init = array(&o["status"]["initContainerStatuses"]).filter(|c| is_sidecar(o, c));
        let statuses = init.chain(array(&o["status"]["containerStatuses"]));
        let ready = statuses.filter(|c| c["ready"] == true).count();
        let all = sidecars.chain(array(&o["spec"]["containers"])).count();
        format!("{ready}/{all}").into()
    }),
    ("Status", false, |o, _| {
        if is_ending(o) {
            "Terminating".into()
        } else {
            pod_status(o)
        }
    }),
    ("Restarts", false, |o, _| {
        // Restarts of init containers count until all of those are done, restarts of sidecars always.
        let initialized = initializing(o).is_none();
        let counts = |c: &&Value| !initialized || is_sidecar(o, c);
        array(&o["status"]["initContainerStatuses"])
            .filter(counts)
            .chain(array(&o["status"]["containerStatuses"]))
            .filter_map(|c| c["restartCount"].as_i64())
            .sum::<i64>()
            .to_string()
            .into()
    }),
    AGE,
    ("IP", true, |o, _| or_none(&o["status"]["podIP"])),
    ("Node", true, |o, _| or_none(&o["spec"]["nodeName"])),
    ("Nominated Node", true, |o, _| {
        or_none(&o["status"]["nominatedNodeName"])
    }),
    ("Readiness Gates", true, |o, _| {
        let gates = || array(&o["spec"]["readinessGates"]);
        let kind = |gate: &Value| {
            gate["conditionType"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        };
        let open = gates().filter(|gate| {
            condition(o, &kind(gate)).is_some_and(|condition| condition["status"] == "True")
        });
        match gates().count() {
            0 => "<none>".into(),
            all => format!("{}/{all}", open.count()).into(),
        }
    }),
];

/// Whether a container's status is that of an init container that runs on.
fn is_sidecar(pod: &Value, status: &Value) -> bool {
    let mut containers = array(&pod["spec"]["initContainers"]);
    containers.any(|c| c["name"] == status["name"] && c["restartPolicy"] == "Always")
}

/// The first init container that has not done its work, and which it is.
fn initializing(pod: &Value) -> Option<(usize, &Value)> {
    let done = |c: &Value| c["state"]["terminated"]["exitCode"] == 0 || c["started"] == true;
    let mut init = array(&pod["status"]["initContainerStatuses"]).enumerate();
    init.find(|(_, c)| !done(c))
}

fn is_gated(pod: &Value) -> bool {
    condition(pod, "PodScheduled").is_some_and(|c| c["reason"] == "SchedulingGated")
}

/// As kubectl has it: what the first init container waits for, else what a container does.
fn pod_status(pod: &Value) -> Value {
    if let Some((at, first)) = initializing(pod) {
        let state = &first["state"];
        let reason = state["terminated"]["reason"]
            .as_str()
            .or_else(|| state["waiting"]["reason"].as_str());
        return match reason.filter(|reason| *reason != "PodInitializing") {
            Some(reason) => format!("Init:{reason}").into(),
            None => format!(
                "Init:{at}/{}",
                array(&pod["spec"]["initContainers"]).count()
            )
            .into(),
        };
    }
    let statuses = || array(&pod["status"]["containerStatuses"]);
    let ended = |status: &Value| -> Option<String> {
        let states = ["waiting", "terminated"];
        let mut reasons = states
            .iter()
            .filter_map(|s| status["state"][*s]["reason"].as_str());
        reasons.next().map(str::to_owned)
    };
    let runs = statuses().any(|c| c["ready"] == true && c["state"]["running"].is_object());
    match statuses().find_map(ended) {
        Some(done) if done == "Completed" && runs => {
            if is_ready(pod) { "Running" } else { "NotReady" }.into()
        }
        Some(reason) => reason.into(),
        None if is_gated(pod) => "SchedulingGated".into(),
        None => {
            let reason = pod["status"]["reason"].as_str();
            reason.map_or_else(|| pod["status"]["phase"].clone(), Value::from)
        }
    }
}

/// Where a Service is reached from outside, as kubectl has it.
fn external(service: &Value) -> String {
    let spec = &service["spec"];
    if let Some(name) = spec["externalName"].as_str() {
        return name.to_owned();
    }
    let given = array(&spec["externalIPs"]).filter_map(Value::as_str);
    let ingress = array(&service["status"]["loadBalancer"]["ingress"]);
    let ingress = ingress.filter_map(|i| i["ip"].as_str().or_else(|| i["hostname"].as_str()));
    let balances = spec["type"] == "LoadBalancer";
    let all: Vec<_> = ingress.filter(|_| balances).chain(given).collect();
    match all.is_empty() {
        true if balances => "<pending>".into(),
        true => "<none>".into(),
        false => all.join(","),
    }
}

pub(super) const SERVICE: &[Column] = &[
    ("Type", false, |o, _| o["spec"]["type"].clone()),
    ("Cluster-IP", false, |o, _| or_none(&o["spec"]["clusterIP"])),
    ("External-IP", false, |o, _| external(o).into()),
    ("Port(s)", false, |o, _| {
        let port = |p: &Value| match p["nodePort"].as_i64() {
            Some(node) => format!(
                "{}:{node}/{}",
                p["port"],
                p["protocol"].as_str().unwrap_or_default()
            ),
            None => format!(
                "{}/{}",
                p["port"],
                p["protocol"].as_str().unwrap_or_default()
            ),
        };
        joined(array(&o["spec"]["ports"]).map(port), "<none>")
    }),
    AGE,
    ("Selector", true, |o, _| {
        let pairs = o["spec"]["selector"].as_object().into_iter().flatten();
        joined(
            pairs.map(|(k, v)| format!("{k}={}", v.as_str().unwrap_or_default())),
            "<none>",
        )
    }),
];

pub(super) const SLICE: &[Column] = &[
    ("AddressType", false, |o, _| o["addressType"].clone()),
    ("Ports", false, |o, _| {
        joined(
            array(&o["ports"]).map(|p| {
                if p["port"].is_null() {
                    "*".into()
                } else {
                    p["port"].to_string()
                }
            }),
            "<unset>",
        )
    }),
    ("Endpoints", false, |o, _| {
        let all: Vec<String> = array(&o["endpoints"])
            .flat_map(|e| array(&e["addresses"]))
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        match all.len() {
            0 => "<unset>".into(),
            1..=3 => all.join(",").into(),
            n => format!("{} + {} more...", all[..3].join(","), n - 3).into(),
        }
    }),
    AGE,
];

pub(super) const STATEFUL_SET: &[Column] = &[
    ("Ready", false, |o, _| {
        format!(
            "{}/{}",
            o["status"]["readyReplicas"].as_i64().unwrap_or_default(),
            o["spec"]["replicas"]
        )
        .into()
    }),
    AGE,
    ("Containers", true, |o, _| {
        joined(
            texts(&o["spec"]["template"]["spec"]["containers"], "name"),
            "<none>",
        )
    }),
    ("Images", true, |o, _| {
        joined(
            texts(&o["spec"]["template"]["spec"]["containers"], "image"),
            "<none>",
        )
    }),
];

pub(super) const REVISION: &[Column] = &[
    ("Controller", false, |o, _| {
        controller(o).map_or_else(
            || "<none>".into(),
            |r| {
                let group = r["apiVersion"]
                    .as_str()
                    .and_then(|v| v.split_once('/'))
                    .map_or(String::new(), |(g, _)| format!(".{g}"));
                let kind = r["kind"].as_str().unwrap_or_default().to_lowercase();
                format!("{kind}{group}/{}", r["name"].as_str().unwrap_or_default()).into()
            },
        )
    }),
    ("Revision", false, |o, _| o["revision"].clone()),
    AGE,
];

pub(super) const LEASE: &[Column] = &[
    ("Holder", false, |o, _| {
        or_none(&o["spec"]["holderIdentity"])
    }),
    AGE,
];

fn modes(value: &Value) -> Value {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => "RWO".to_owned(),
        Some("ReadOnlyMany") => "ROX".to_owned(),
        Some("ReadWriteMany") => "RWX".to_owned(),
        Some("ReadWriteOncePod") => "RWOP".to_owned(),
        other => other.unwrap_or_default().to_owned(),
    };
    joined(array(value).map(short), "")
}

fn text_or_empty(value: &Value) -> Value {
    if value.is_null() {
        "".into()
    } else {
        value.clone()
    }
}

pub(super) const CLAIM: &[Column] = &[
    ("Status", false, |o, _| {
        if is_ending(o) {
            "Terminating".into()
        } else {
            o["status"]["phase"].clone()
        }
    }),
    ("Volume", false, |o, _| {
        text_or_empty(&o["spec"]["volumeName"])
    }),
    ("Capacity", false, |o, _| {
        text_or_empty(&o["status"]["capacity"]["storage"])
    }),
    ("Access Modes", false, |o, _| {
        modes(&o["status"]["accessModes"])
    }),
    ("StorageClass", false, |o, _| {
        text_or_empty(&o["spec"]["storageClassName"])
    }),
    ("VolumeAttributesClass", false, |_, _| "<unset>".into()),
    AGE,
    ("VolumeMode", true, |o, _| o["spec"]["volumeMode"].clone()),
];

pub(super) const VOLUME: &[Column] = &[
    ("Capacity", false, |o, _| {
        o["spec"]["capacity"]["storage"].clone()
    }),
    ("Access Modes", false, |o, _| {
        modes(&o["spec"]["accessModes"])
    }),
    ("Reclaim Policy", false, |o, _| {
        o["spec"]["persistentVolumeReclaimPolicy"].clone()
    }),
    ("Status", false, |o, _| o["status"]["phase"].clone()),
    ("Claim", false, |o, _| {
        match (
            &o["spec"]["claimRef"]["namespace"],
            &o["spec"]["claimRef"]["name"],
        ) {
            (Value::String(ns), Value::String(name)) => format!("{ns}/{name}").into(),
            _ => "".into(),
        }
    }),
    ("StorageClass", false, |o, _| {
        text_or_empty(&o["spec"]["storageClassName"])
    }),
    ("VolumeAttributesClass", false, |_, _| "<unset>".into()),
    ("Reason", false, |o, _| {
        text_or_empty(&o["status"]["reason"])
    }),
    AGE,
    ("VolumeMode", true, |o, _| o["spec"]["volumeMode"].clone()),
];

pub(super) const PRIORITY_CLASS: &[Column] = &[
    ("Value", false, |o, _| o["value"].clone()),
    ("Global-Default", false, |o, _| {
        (o["globalDefault"] == true).into()
    }),
    AGE,
    ("PreemptionPolicy", false, |o, _| {
        o["preemptionPolicy"].clone()
    }),
];

pub(super) const STORAGE_CLASS: &[Column] = &[
    ("Provisioner", false, |o, _| o["provisioner"].clone()),
    ("ReclaimPolicy", false, |o, _| o["reclaimPolicy"].clone()),
    ("VolumeBindingMode", false, |o, _| {
        o["volumeBindingMode"].clone()
    }),
    ("AllowVolumeExpansion", false, |o, _| {
        (o["allowVolumeExpansion"] == true).to_string().into()
    }),
    AGE,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_since_a_time_that_can_be_read() {
        let now: Timestamp = "2026-01-10T00:00:00Z".parse().unwrap();
        for (then, wanted) in [
            ("2026-01-09T23:59:55Z", "5s"),
            ("2026-01-05T22:00:00Z", "4d2h"),
            // Made by a clock that is ahead.
            ("2026-01-10T00:00:05Z", "0s"),
            ("soon", "<unknown>"),
        ] {
            assert_eq!(since(&then.into(), now), wanted);
        }
    }

    #[test]
    fn a_row_has_a_cell_for_each_column() {
        let pod = json!({"metadata": {"name": "redis-0"}, "spec": {"containers": [{}]}, "status": {"phase": "Pending"}});
        let table = table(
            crate::kinds::KindId::named("Pod").info(),
            &[pod],
            Timestamp::UNIX_EPOCH,
            "None",
        );
        let cells = table["rows"][0]["cells"].as_array().unwrap();
        assert_eq!(
            cells[..4],
            ["redis-0", "0/1", "Pending", "0"].map(Value::from)
        );
        assert_eq!(
            cells.len(),
            table["columnDefinitions"].as_array().unwrap().len()
        );
    }
}
