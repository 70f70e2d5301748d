//! Defaults of kinds that make Pods, and of others that stand beside them, which are kept and that OpenAPI does not tell.

use serde_json::{Value, json};

use headless_objects::object::name;
use headless_objects::podspec::{self, default, items};

use super::object;

/// A template of Pods.
fn template(parent: &mut Value) {
    podspec::fill(object(object(parent, "template"), "spec"));
}

pub(crate) fn pod_template(object: &mut Value) {
    template(object);
}

pub(crate) fn deployment(deployment: &mut Value) {
    let spec = object(deployment, "spec");
    default(spec, "replicas", 1);
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
    let strategy = object(spec, "strategy");
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", "25%");
        default(rolling, "maxSurge", "25%");
    }
    template(spec);
}

/// Which template of a DaemonSet it is, counted from 1; older clients read it.
const GENERATION: &str = "deprecated.daemonset.template.generation";

/// Counts a DaemonSet's template on where it is another one.
pub(super) fn next_template(set: &mut Value, old: &Value) {
    let before = old["metadata"]["annotations"][GENERATION].as_str();
    let before: i64 = before.and_then(|count| count.parse().ok()).unwrap_or(1);
    let changed = set["spec"]["template"] != old["spec"]["template"];
    let count = before + i64::from(changed);
    object(object(set, "metadata"), "annotations")[GENERATION] = count.to_string().into();
}

pub(crate) fn daemon_set(set: &mut Value) {
    let annotations = object(object(set, "metadata"), "annotations");
    default(annotations, GENERATION, "1");
    let spec = object(set, "spec");
    default(spec, "revisionHistoryLimit", 10);
    let strategy = object(spec, "updateStrategy");
    default(strategy, "type", "RollingUpdate");
    if strategy["type"] == "RollingUpdate" {
        let rolling = object(strategy, "rollingUpdate");
        default(rolling, "maxUnavailable", 1);
        default(rolling, "maxSurge", 0);
    }
    template(spec);
}

pub(crate) fn replica_set(set: &mut Value) {
    let spec = object(set, "spec");
    default(spec, "replicas", 1);
    template(spec);
}

/// A controller without labels or selector has those of its template.
pub(crate) fn replication_controller(controller: &mut Value) {
    let spec = object(controller, "spec");
    default(spec, "replicas", 1);
    // Without a template there is nothing to fill in.
    if spec["template"].is_object() {
        template(spec);
    }
    let labels = controller["spec"]["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        default(&mut controller["spec"], "selector", labels.clone());
        default(object(controller, "metadata"), "labels", labels);
    }
}

/// The rules of a Job's spec for Pods that have failed.
fn failure_rules(spec: &mut Value) {
    let Some(policy) = spec.get_mut("podFailurePolicy") else {
        return;
    };
    for rule in items(policy, "rules") {
        for condition in items(rule, "onPodConditions") {
            if condition["status"] == "" {
                condition["status"] = Value::Null;
            }
            default(condition, "status", "True");
        }
    }
}

pub(crate) fn job(job: &mut Value) {
    let spec = object(job, "spec");
    if spec["completions"].is_null() && spec["parallelism"].is_null() {
        default(spec, "completions", 1);
    }
    default(spec, "parallelism", 1);
    let limit = if spec["backoffLimitPerIndex"].is_null() {
        6
    } else {
        i32::MAX
    };
    default(spec, "backoffLimit", limit);
    default(spec, "completionMode", "NonIndexed");
    default(spec, "suspend", false);
    let replaced = if spec["podFailurePolicy"].is_object() {
        "Failed"
    } else {
        "TerminatingOrFailed"
    };
    default(spec, "podReplacementPolicy", replaced);
    default(spec, "manualSelector", false);
    failure_rules(spec);
    template(spec);
    let labels = spec["template"]["metadata"]["labels"].clone();
    if labels.is_object() {
        default(object(job, "metadata"), "labels", labels);
    }
}

/// A new Job selects its Pods by its uid, unless it says how.
pub(super) fn new_job(job: &mut Value) {
    let (uid, called) = (job["metadata"]["uid"].clone(), name(job).to_owned());
    let spec = object(job, "spec");
    if spec["manualSelector"] == true {
        return;
    }
    const UID: &str = "batch.kubernetes.io/controller-uid";
    object(object(spec, "selector"), "matchLabels")[UID] = uid.clone();
    let labels = object(object(&mut spec["template"], "metadata"), "labels");
    for (key, value) in [
        (UID, uid.clone()),
        ("batch.kubernetes.io/job-name", called.clone().into()),
        ("controller-uid", uid),
        ("job-name", called.into()),
    ] {
        labels[key] = value;
    }
    let labels = labels.clone();
    default(object(job, "metadata"), "labels", labels);
}

pub(crate) fn cron_job(job: &mut Value) {
    let spec = object(job, "spec");
    default(spec, "concurrencyPolicy", "Allow");
    default(spec, "suspend", false);
    default(spec, "successfulJobsHistoryLimit", 3);
    default(spec, "failedJobsHistoryLimit", 1);
    let made = object(object(spec, "jobTemplate"), "spec");
    failure_rules(made);
    template(made);
}

/// An autoscaler without a metric keeps the processors at 80 %.
pub(crate) fn autoscaler(scaler: &mut Value) {
    let spec = object(scaler, "spec");
    default(spec, "minReplicas", 1);
    let target = json!({"type": "Utilization", "averageUtilization": 80});
    let cpu = json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]);
    default(spec, "metrics", cpu);
    if spec["behavior"].is_object() {
        let both = json!({"type": "Percent", "value": 100, "periodSeconds": 15});
        let four = json!({"type": "Pods", "value": 4, "periodSeconds": 15});
        let up = object(&mut spec["behavior"], "scaleUp");
        default(up, "stabilizationWindowSeconds", 0);
        default(up, "selectPolicy", "Max");
        default(up, "policies", json!([four, both]));
        let down = object(&mut spec["behavior"], "scaleDown");
        default(down, "selectPolicy", "Max");
        default(down, "policies", json!([both]));
    }
}

/// Limits of containers without defaults: what is the most is what is given, and what is given is what is asked for.
pub(crate) fn limit_range(range: &mut Value) {
    for item in items(object(range, "spec"), "limits").filter(|item| item["type"] == "Container") {
        for (from, to) in [
            ("max", "default"),
            ("default", "defaultRequest"),
            ("min", "defaultRequest"),
        ] {
            let amounts = item[from].clone();
            for (resource, amount) in amounts.as_object().into_iter().flatten() {
                default(object(item, to), resource, amount.clone());
            }
        }
    }
}

pub(crate) fn network_policy(policy: &mut Value) {
    let spec = object(policy, "spec");
    for rules in ["ingress", "egress"] {
        for rule in items(spec, rules) {
            items(rule, "ports").for_each(tcp);
        }
    }
    let has_egress = spec["egress"]
        .as_array()
        .is_some_and(|rules| !rules.is_empty());
    let types = if has_egress {
        json!(["Ingress", "Egress"])
    } else {
        json!(["Ingress"])
    };
    default(spec, "policyTypes", types);
}

pub(crate) fn endpoints(endpoints: &mut Value) {
    for subset in items(endpoints, "subsets") {
        items(subset, "ports").for_each(tcp);
    }
}

fn tcp(port: &mut Value) {
    default(port, "protocol", "TCP");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_of_a_daemon_set_are_counted() {
        let set = |image: &str, count: &str| {
            json!({
                "metadata": {"annotations": {GENERATION: count}},
                "spec": {"template": {"spec": {"containers": [{"image": image}]}}},
            })
        };
        let count = |mut new: Value, old: &Value| {
            next_template(&mut new, old);
            new["metadata"]["annotations"][GENERATION].clone()
        };
        assert_eq!(count(set("b", "9"), &set("a", "2")), "3");
        assert_eq!(count(set("a", "9"), &set("a", "2")), "2");
    }
}
