//! Defaults of kinds that are only kept, and that OpenAPI does not tell.

use serde_json::{Value, json};

use headless_objects::podspec::{default, items};

fn webhook(webhook: &mut Value) {
    default(webhook, "failurePolicy", "Fail");
    default(webhook, "matchPolicy", "Equivalent");
    default(webhook, "namespaceSelector", json!({}));
    default(webhook, "objectSelector", json!({}));
    default(webhook, "timeoutSeconds", 10);
    if webhook["clientConfig"]["service"].is_object() {
        default(&mut webhook["clientConfig"]["service"], "port", 443);
    }
    for rule in items(webhook, "rules") {
        default(rule, "scope", "*");
    }
}

/// A configuration of webhooks; those that change objects are called once.
pub(crate) fn webhooks(configuration: &mut Value) {
    let mutates = configuration["kind"] == "MutatingWebhookConfiguration";
    for one in items(configuration, "webhooks") {
        webhook(one);
        if mutates {
            default(one, "reinvocationPolicy", "Never");
        }
    }
}

/// `ValidatingAdmissionPolicy` and `MutatingAdmissionPolicy`.
pub(crate) fn policy(policy: &mut Value) {
    let spec = &mut policy["spec"];
    default(spec, "failurePolicy", "Fail");
    if let Some(constraints) = spec.get_mut("matchConstraints") {
        default(constraints, "matchPolicy", "Equivalent");
        default(constraints, "namespaceSelector", json!({}));
        default(constraints, "objectSelector", json!({}));
        for rules in ["resourceRules", "excludeResourceRules"] {
            for rule in items(constraints, rules) {
                default(rule, "scope", "*");
            }
        }
    }
}

/// `RoleBinding` and `ClusterRoleBinding`: users and groups are of the group of roles, accounts of none.
pub(crate) fn roles(binding: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    for subject in items(binding, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            default(subject, "apiGroup", GROUP);
        }
    }
    if binding["roleRef"].is_object() {
        default(&mut binding["roleRef"], "apiGroup", GROUP);
    }
}

pub(crate) fn csi_driver(driver: &mut Value) {
    let spec = &mut driver["spec"];
    default(spec, "attachRequired", true);
    for field in [
        "podInfoOnMount",
        "storageCapacity",
        "requiresRepublish",
        "seLinuxMount",
        "preventPodSchedulingIfMissing",
    ] {
        default(spec, field, false);
    }
    default(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    if spec["volumeLifecycleModes"]
        .as_array()
        .is_none_or(Vec::is_empty)
    {
        spec["volumeLifecycleModes"] = json!(["Persistent"]);
    }
}
