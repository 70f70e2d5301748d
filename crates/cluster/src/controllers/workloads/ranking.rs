//! Which Pods of a set go first where there are too many of them (Kubernetes' `ActivePodsWithRanks`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use headless_objects::object::{condition, container_statuses, is_ready};
use serde_json::Value;

use crate::objects::Key;

/// Says how dear a Pod is to its user: a Pod that costs less goes first.
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// What decides, in this order; the least goes first.
type Rank<'a> = (
    bool,
    u8,
    bool,
    i64,
    Reverse<usize>,
    Reverse<&'a str>,
    Reverse<i64>,
    Reverse<&'a str>,
);

/// The Pods, those that go first at the front.
pub(super) fn by_rank<'a>(pods: &[(&'a Key, &'a Value)]) -> Vec<(&'a Key, &'a Value)> {
    let mut on_node: BTreeMap<&str, usize> = BTreeMap::new();
    let node = |pod: &'a Value| pod["spec"]["nodeName"].as_str().unwrap_or_default();
    for (_, pod) in pods {
        *on_node.entry(node(pod)).or_default() += 1;
    }
    let mut ranked = pods.to_vec();
    ranked.sort_by_key(|(_, pod)| rank(pod, on_node.get(node(pod)).copied().unwrap_or_default()));
    ranked
}

fn rank(pod: &Value, beside: usize) -> Rank<'_> {
    let phase = match pod["status"]["phase"].as_str() {
        Some("Running") => 2,
        Some("Unknown") => 1,
        _ => 0,
    };
    let cost = pod["metadata"]["annotations"][COST].as_str();
    let ready = condition(pod, "Ready").and_then(|ready| ready["lastTransitionTime"].as_str());
    let restarts = container_statuses(pod).filter_map(|status| status["restartCount"].as_i64());
    (
        pod["spec"]["nodeName"].is_string(),
        phase,
        is_ready(pod),
        cost.and_then(|cost| cost.parse().ok()).unwrap_or_default(),
        Reverse(beside),
        Reverse(ready.unwrap_or_default()),
        Reverse(restarts.max().unwrap_or_default()),
        Reverse(
            pod["metadata"]["creationTimestamp"]
                .as_str()
                .unwrap_or_default(),
        ),
    )
}
