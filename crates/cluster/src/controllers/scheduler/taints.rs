//! What keeps Pods away from a node, and who bears it.

use serde_json::Value;

/// Whether Pods of this spec may come to a node with its taints.
pub(super) fn tolerates_all(spec: &Value, node: &Value) -> bool {
    tolerates_those(spec, node, |effect| effect != "PreferNoSchedule")
}

pub(super) fn tolerates_those(spec: &Value, node: &Value, meant: impl Fn(&str) -> bool) -> bool {
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    let mut taints = taints.map(Taint::of);
    taints.all(|taint| !meant(taint.effect) || tolerates(spec, &taint))
}

pub(super) fn tolerates(spec: &Value, taint: &Taint<'_>) -> bool {
    let all = spec["tolerations"].as_array();
    all.into_iter().flatten().any(|toleration| {
        let field = |name: &str| toleration[name].as_str().unwrap_or_default();
        let exists = field("operator") == "Exists";
        let effect = field("effect");
        (effect.is_empty() || effect == taint.effect)
            && (field("key") == taint.key || (field("key").is_empty() && exists))
            && (exists || field("value") == taint.value)
    })
}

/// What keeps Pods away from a node.
pub(super) struct Taint<'a> {
    key: &'a str,
    value: &'a str,
    effect: &'a str,
}

/// The taint that a cordoned node has.
pub(super) const CORDON: Taint<'static> = Taint {
    key: "node.kubernetes.io/unschedulable",
    value: "",
    effect: "NoSchedule",
};

impl<'a> Taint<'a> {
    fn of(taint: &'a Value) -> Self {
        let field = |name: &str| taint[name].as_str().unwrap_or_default();
        Self {
            key: field("key"),
            value: field("value"),
            effect: field("effect"),
        }
    }
}
