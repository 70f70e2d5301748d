//! What the API server fills in of Pods: where they say nothing, and what it makes of a new one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use headless_objects::object::array;
use headless_objects::podspec::{self, containers, default, items};
use headless_objects::{quality, quantity};

use super::object;

/// Lists of containers that ask for resources.
const LISTS: [&str; 2] = ["initContainers", "containers"];

pub(crate) fn pod(pod: &mut Value) {
    podspec::fill(object(pod, "spec"));
    let spec = &mut pod["spec"];
    default(spec, "enableServiceLinks", true);
    // What is less than nothing is as little as there may be.
    if spec["terminationGracePeriodSeconds"]
        .as_i64()
        .is_some_and(|seconds| seconds < 0)
    {
        spec["terminationGracePeriodSeconds"] = 1.into();
    }
    requests(spec);
    if spec["hostNetwork"] == true {
        host_ports(spec);
    }
    let quality = quality::class(spec);
    let status = object(pod, "status");
    default(status, "phase", "Pending");
    default(status, "qosClass", quality);
}

/// In the host's network a container's ports are the host's (`defaultHostNetworkPorts`).
fn host_ports(spec: &mut Value) {
    for list in LISTS {
        for container in items(spec, list) {
            for port in items(container, "ports") {
                if port["hostPort"].as_i64().unwrap_or(0) == 0 && port["containerPort"].is_number()
                {
                    port["hostPort"] = port["containerPort"].clone();
                }
            }
        }
    }
}

/// A limit without a request is a request too (`SetDefaults_Pod`).
fn requests(spec: &mut Value) {
    for list in LISTS {
        for container in items(spec, list) {
            let limits = container["resources"]["limits"].clone();
            for (resource, limit) in limits.as_object().into_iter().flatten() {
                default(
                    object(&mut container["resources"], "requests"),
                    resource,
                    limit.clone(),
                );
            }
        }
    }
}

/// What the API server makes of a new Pod, once it is admitted.
pub(crate) fn new_pod(pod: &mut Value) {
    let is_gated = array(&pod["spec"]["schedulingGates"]).next().is_some();
    let labels = pod["metadata"]["labels"].clone();
    let spec = &mut pod["spec"];
    keyed(spec, &labels);
    whole(spec);
    pod["status"]["qosClass"] = quality::class(spec).into();
    if is_gated {
        pod["status"]["conditions"] = json!([{
            "type": "PodScheduled", "status": "False", "reason": "SchedulingGated",
            "lastTransitionTime": pod["metadata"]["creationTimestamp"],
            "message": "Scheduling is blocked due to non-empty scheduling gates",
        }]);
    }
}

/// Merges the values that a Pod has of `matchLabelKeys` and `mismatchLabelKeys` into the selectors beside them.
fn keyed(spec: &mut Value, labels: &Value) {
    for spread in items(spec, "topologySpreadConstraints") {
        merge_keys(spread, &[("matchLabelKeys", "In")], labels);
    }
    let both = [("matchLabelKeys", "In"), ("mismatchLabelKeys", "NotIn")];
    for side in ["podAffinity", "podAntiAffinity"] {
        let Some(side) = spec.pointer_mut(&format!("/affinity/{side}")) else {
            continue;
        };
        for term in items(side, "requiredDuringSchedulingIgnoredDuringExecution") {
            merge_keys(term, &both, labels);
        }
        for term in items(side, "preferredDuringSchedulingIgnoredDuringExecution") {
            if let Some(term) = term.get_mut("podAffinityTerm") {
                merge_keys(term, &both, labels);
            }
        }
    }
}

fn merge_keys(term: &mut Value, lists: &[(&str, &str)], labels: &Value) {
    if !term["labelSelector"].is_object() {
        return;
    }
    for (list, operator) in lists {
        let keys: Vec<_> = array(&term[*list]).filter_map(Value::as_str).collect();
        let wanted = keys.into_iter().filter(|key| labels[*key].is_string());
        let wanted: Vec<_> = wanted
            .map(|key| json!({"key": key, "operator": operator, "values": [labels[key]]}))
            .collect();
        if wanted.is_empty() {
            continue;
        }
        let selector = &mut term["labelSelector"];
        default(selector, "matchExpressions", json!([]));
        if let Some(all) = selector["matchExpressions"].as_array_mut() {
            all.extend(wanted);
        }
    }
}

/// Amounts by their resources: nanoparts, and how the first of them was written.
type Amounts = BTreeMap<String, (i128, String)>;

fn amounts(container: &Value, kind: &str) -> Amounts {
    let given = container["resources"][kind]
        .as_object()
        .into_iter()
        .flatten();
    let read = given.filter_map(|(resource, amount)| {
        let text = amount.as_str()?;
        Some((resource.clone(), (quantity::nanos(text)?, text.to_owned())))
    });
    read.collect()
}

fn add(all: &mut Amounts, more: &Amounts) {
    for (resource, (nanos, text)) in more {
        let sum = all.entry(resource.clone());
        sum.or_insert_with(|| (0, text.clone())).0 += nanos;
    }
}

fn at_least(all: &mut Amounts, least: &Amounts) {
    for (resource, (nanos, text)) in least {
        let most = all.entry(resource.clone());
        let most = most.or_insert_with(|| (*nanos, text.clone()));
        most.0 = most.0.max(*nanos);
    }
}

/// What the containers have together: those that run at once, or as much as the most needy init container (KEP-753).
fn together(spec: &Value, kind: &str) -> Amounts {
    let (mut all, mut before, mut most) = (Amounts::new(), Amounts::new(), Amounts::new());
    for container in array(&spec["containers"]) {
        add(&mut all, &amounts(container, kind));
    }
    for container in array(&spec["initContainers"]) {
        let own = amounts(container, kind);
        if crate::policy::is_sidecar(container) {
            add(&mut all, &own);
            add(&mut before, &own);
            at_least(&mut most, &before);
        } else {
            let mut while_it_runs = own;
            add(&mut while_it_runs, &before);
            at_least(&mut most, &while_it_runs);
        }
    }
    at_least(&mut all, &most);
    all
}

/// Fills in what a Pod has as a whole, where it says any of it (`DefaultPodLevelResources`, KEP-2837).
fn whole(spec: &mut Value) {
    let says = |spec: &Value, kind: &str| {
        let given = spec["resources"][kind].as_object();
        given.is_some_and(|given| !given.is_empty())
    };
    if !says(spec, "requests") && !says(spec, "limits") {
        return;
    }
    let is_page = |name: &str| name.starts_with("hugepages-");
    let is_of_pods = |name: &str| ["cpu", "memory"].contains(&name) || is_page(name);
    let (limits, asked) = (together(spec, "limits"), together(spec, "requests"));
    let has = |spec: &Value, kind: &str, name: &str| spec["resources"][kind][name].is_string();
    for (name, amount) in limits.iter().filter(|(name, _)| is_page(name)) {
        if !has(spec, "requests", name) {
            put(spec, ("limits", name), amount);
        }
    }
    for (name, amount) in &asked {
        if is_of_pods(name) && !is_page(name) {
            put(spec, ("requests", name), amount);
        }
    }
    let most = amounts(spec, "limits");
    for (name, amount) in most.iter().filter(|(name, _)| is_of_pods(name)) {
        put(spec, ("requests", name), amount);
    }
    for (name, request) in amounts(spec, "requests") {
        let limited = |c: &Value| c["resources"]["limits"][&name].is_string();
        let Some(limit) = limits.get(&name).filter(|_| is_of_pods(&name)) else {
            continue;
        };
        if containers(spec).all(limited) {
            let most = if request.0 > limit.0 { &request } else { limit };
            put(spec, ("limits", &name), most);
        }
    }
}

/// Writes an amount where none is.
fn put(spec: &mut Value, (kind, resource): (&str, &str), (nanos, text): &(i128, String)) {
    if let Some(shown) = quantity::like(*nanos, text) {
        default(object(&mut spec["resources"], kind), resource, shown);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(mut made: Value) -> Value {
        pod(&mut made);
        new_pod(&mut made);
        made
    }

    #[test]
    fn ports_in_the_network_of_the_host_are_the_host_s() {
        let ports = json!([{"containerPort": 80}, {"containerPort": 81, "hostPort": 82}]);
        let spec = |host: bool| {
            let container = json!({"name": "c", "image": "i", "ports": ports});
            json!({"spec": {"hostNetwork": host, "initContainers": [container], "containers": [container]}})
        };
        let numbers = |pod: &Value| -> Vec<Value> {
            let all = containers(&pod["spec"]).flat_map(|c| array(&c["ports"]));
            all.map(|port| port["hostPort"].clone()).collect()
        };
        let (host, own) = (made(spec(true)), made(spec(false)));
        assert_eq!(numbers(&host), [80, 82, 80, 82]);
        assert_eq!(
            numbers(&own),
            [Value::Null, json!(82), Value::Null, json!(82)]
        );
    }

    #[test]
    fn keys_of_labels_are_merged_into_the_selectors_beside_them() {
        let term = json!({
            "topologyKey": "t", "labelSelector": {"matchLabels": {"a": "b"}}, "matchLabelKeys": ["l", "none"],
            "mismatchLabelKeys": ["m"],
        });
        let pod = made(json!({
            "metadata": {"labels": {"l": "1", "m": "2"}},
            "spec": {
                "containers": [],
                "topologySpreadConstraints": [{"labelSelector": {}, "matchLabelKeys": ["l"]}, {"matchLabelKeys": ["l"]}],
                "affinity": {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"podAffinityTerm": term}]}},
            },
        }));
        let key = |key: &str, operator: &str, value: &str| json!({"key": key, "operator": operator, "values": [value]});
        let spread = &pod["spec"]["topologySpreadConstraints"];
        assert_eq!(
            spread[0]["labelSelector"]["matchExpressions"],
            json!([key("l", "In", "1")])
        );
        assert_eq!(spread[1], json!({"matchLabelKeys": ["l"]}));
        let merged = pod.pointer("/spec/affinity/podAntiAffinity/preferredDuringSchedulingIgnoredDuringExecution/0/podAffinityTerm/labelSelector/matchExpressions");
        assert_eq!(
            merged,
            Some(&json!([key("l", "In", "1"), key("m", "NotIn", "2")]))
        );
    }

    #[test]
    fn what_a_pod_has_as_a_whole_is_filled_in() {
        let one = json!({"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}});
        let spec =
            |resources: Value| json!({"spec": {"resources": resources, "containers": [one, one]}});
        let pod = made(spec(json!({"limits": {"memory": "4Gi"}})));
        let wanted = json!({
            "limits": {"memory": "4Gi", "cpu": "4"}, "requests": {"cpu": "2", "memory": "2Gi"},
        });
        assert_eq!(pod["spec"]["resources"], wanted);
        assert_eq!(pod["status"]["qosClass"], "Burstable");
        assert_eq!(made(spec(json!({})))["spec"]["resources"], json!({}));
    }

    #[test]
    fn a_gated_pod_says_that_it_is() {
        let pod = made(json!({"spec": {"containers": [], "schedulingGates": [{"name": "g"}]}}));
        assert_eq!(pod["status"]["conditions"][0]["reason"], "SchedulingGated");
        let free = made(json!({"spec": {"containers": []}}));
        assert_eq!(free["status"]["conditions"], Value::Null);
    }
}
