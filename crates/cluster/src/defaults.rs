//! What the API server fills in where an object says nothing.

mod kept;
mod pods;
mod workloads;

use serde_json::{Value, json};

use crate::kind::{Kind, KindId};

use headless_objects::podspec::{self, default, items};

pub(super) use kept::{csi_driver, policy, policy_binding, roles, webhooks};
pub(super) use pods::pod;
pub(super) use workloads::{
    autoscaler, cron_job, daemon_set, deployment, endpoints, job, limit_range, network_policy,
    pod_template, replica_set, replication_controller,
};

/// The object at `key`, made where it is missing.
fn object<'a>(parent: &'a mut Value, key: &str) -> &'a mut Value {
    default(parent, key, json!({}));
    &mut parent[key]
}

pub(super) fn namespace(namespace: &mut Value) {
    let name = namespace["metadata"]["name"].clone();
    let labels = object(object(namespace, "metadata"), "labels");
    labels["kubernetes.io/metadata.name"] = name;
    default(
        object(namespace, "spec"),
        "finalizers",
        json!(["kubernetes"]),
    );
    default(object(namespace, "status"), "phase", "Active");
}

pub(super) fn secret(secret: &mut Value) {
    default(secret, "type", "Opaque");
    // `stringData` is written, `data` is read.
    let Some(strings) = secret.as_object_mut().and_then(|s| s.remove("stringData")) else {
        return;
    };
    use base64::Engine as _;
    let data = object(secret, "data");
    for (key, value) in strings.as_object().into_iter().flatten() {
        let bytes = value.as_str().unwrap_or_default();
        data[key] = base64::engine::general_purpose::STANDARD
            .encode(bytes)
            .into();
    }
}

pub(super) fn priority_class(class: &mut Value) {
    default(class, "preemptionPolicy", "PreemptLowerPriority");
}

pub(super) fn storage_class(class: &mut Value) {
    default(class, "reclaimPolicy", "Delete");
    default(class, "volumeBindingMode", "Immediate");
}

pub(super) fn volume(volume: &mut Value) {
    let spec = object(volume, "spec");
    default(spec, "persistentVolumeReclaimPolicy", "Retain");
    default(spec, "volumeMode", "Filesystem");
    if spec["hostPath"].is_object() {
        default(&mut spec["hostPath"], "type", "");
    }
    default(object(volume, "status"), "phase", "Available");
}

/// A node gives what it has. Of its ranges of addresses the first is told by itself, and counts.
pub(super) fn node(node: &mut Value) {
    let has = node["status"]["capacity"].clone();
    if has.is_object() {
        default(&mut node["status"], "allocatable", has);
    }
    let Some(spec) = node.get_mut("spec").filter(|spec| spec.is_object()) else {
        return;
    };
    let (range, first) = (spec["podCIDR"].clone(), spec["podCIDRs"][0].clone());
    if range.as_str().is_some_and(|range| !range.is_empty()) && range != first {
        spec["podCIDRs"] = json!([range]);
    } else if first.is_string() {
        spec["podCIDR"] = first;
    }
}

pub(super) fn slice(slice: &mut Value) {
    for port in items(slice, "ports") {
        default(port, "name", "");
        default(port, "protocol", "TCP");
    }
}

/// What the API server makes of an object once it is admitted, before it looks at it (`PrepareForCreate`, `PrepareForUpdate`).
/// `old`: what it was, where it is not new.
pub(super) fn prepare(info: &Kind, object: &mut Value, old: Option<&Value>) {
    if info.is(KindId::named("PersistentVolumeClaim")) {
        sources(
            &mut object["spec"],
            old.map_or(&Value::Null, |old| &old["spec"]),
        );
    } else if info.is(KindId::named("Pod")) && old.is_none() {
        pods::new_pod(object);
    }
    match (info.group, info.kind, old) {
        ("batch", "Job", None) => workloads::new_job(object),
        ("apps", "DaemonSet", Some(old)) => workloads::next_template(object, old),
        _ => {}
    }
}

/// What a claim's volume begins with is told in two fields alike; the older one takes claims and snapshots only.
fn sources(spec: &mut Value, old: &Value) {
    let ns = spec["dataSourceRef"]["namespace"].as_str();
    if ns.is_some_and(|ns| !ns.is_empty()) && !old["dataSourceRef"].is_object() {
        spec.as_object_mut()
            .map(|spec| spec.remove("dataSourceRef"));
    }
    let (source, reference) = (spec["dataSource"].clone(), spec["dataSourceRef"].clone());
    let known = match source["kind"].as_str() {
        Some("PersistentVolumeClaim") => source["apiGroup"].as_str().is_none_or(str::is_empty),
        Some("VolumeSnapshot") => source["apiGroup"] == "snapshot.storage.k8s.io",
        Some(_) | None => false,
    };
    if !known && !old["dataSource"].is_object() && !reference.is_object() {
        spec.as_object_mut().map(|spec| spec.remove("dataSource"));
    } else if source.is_object() {
        default(spec, "dataSourceRef", source);
    } else if reference.is_object() && reference["namespace"].as_str().is_none_or(str::is_empty) {
        spec["dataSource"] = reference;
    }
}

/// A claim, or a set's template of claims.
pub(super) fn claim(claim: &mut Value) {
    default(object(claim, "spec"), "volumeMode", "Filesystem");
    default(object(claim, "status"), "phase", "Pending");
}

pub(super) fn service(service: &mut Value) {
    if service["spec"]["type"] == "LoadBalancer"
        && let Some(balancer) = service.pointer_mut("/status/loadBalancer")
    {
        for place in items(balancer, "ingress").filter(|place| place["ip"].is_string()) {
            default(place, "ipMode", "VIP");
        }
    }
    let spec = object(service, "spec");
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    affinity(spec);
    for port in items(spec, "ports") {
        default(port, "protocol", "TCP");
        default(port, "port", 0);
        let number = port["port"].clone();
        let target = &port["targetPort"];
        if number.is_number() && (target.is_null() || target == 0 || target == "") {
            port["targetPort"] = number;
        }
    }
    if spec["type"] != "ExternalName" {
        default(spec, "internalTrafficPolicy", "Cluster");
    }
    let is_outside = match spec["type"].as_str() {
        Some("NodePort" | "LoadBalancer") => true,
        Some("ClusterIP") => spec["externalIPs"]
            .as_array()
            .is_some_and(|ips| !ips.is_empty()),
        _ => false,
    };
    if is_outside {
        default(spec, "externalTrafficPolicy", "Cluster");
    }
    if spec["type"] == "LoadBalancer" {
        default(spec, "allocateLoadBalancerNodePorts", true);
    }
}

/// A client that is remembered is for three hours; where none is, nothing is said of how long.
fn affinity(spec: &mut Value) {
    let lasts = spec.pointer("/sessionAffinityConfig/clientIP/timeoutSeconds");
    let is_said = lasts.is_some_and(|seconds| !seconds.is_null());
    if spec["sessionAffinity"] == "ClientIP" && !is_said {
        spec["sessionAffinityConfig"] = json!({"clientIP": {"timeoutSeconds": 10_800}});
    } else if spec["sessionAffinity"] == "None" {
        spec.as_object_mut()
            .map(|spec| spec.remove("sessionAffinityConfig"));
    }
}

pub(super) fn stateful_set(set: &mut Value) {
    let spec = object(set, "spec");
    default(spec, "replicas", 1);
    default(spec, "podManagementPolicy", "OrderedReady");
    default(spec, "revisionHistoryLimit", 10);
    let strategy = object(spec, "updateStrategy");
    // The block is made only where the type was left out.
    if strategy.get("type").is_none_or(Value::is_null) {
        default(strategy, "type", "RollingUpdate");
        object(strategy, "rollingUpdate");
    }
    if strategy["type"] == "RollingUpdate" && strategy["rollingUpdate"].is_object() {
        default(&mut strategy["rollingUpdate"], "partition", 0);
        default(&mut strategy["rollingUpdate"], "maxUnavailable", 1);
    }
    let retention = object(spec, "persistentVolumeClaimRetentionPolicy");
    default(retention, "whenDeleted", "Retain");
    default(retention, "whenScaled", "Retain");
    let template = object(spec, "template");
    podspec::fill(object(template, "spec"));
    for template in items(spec, "volumeClaimTemplates") {
        default(template, "apiVersion", "v1");
        default(template, "kind", "PersistentVolumeClaim");
        claim(template);
    }
}
