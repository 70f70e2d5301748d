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
    let spec = super::object(policy, "spec");
    default(spec, "failurePolicy", "Fail");
    matched(spec, "matchConstraints");
}

/// `ValidatingAdmissionPolicyBinding` and `MutatingAdmissionPolicyBinding`.
pub(crate) fn policy_binding(binding: &mut Value) {
    matched(super::object(binding, "spec"), "matchResources");
}

/// Which objects are meant.
fn matched(spec: &mut Value, field: &str) {
    let Some(matched) = spec.get_mut(field) else {
        return;
    };
    default(matched, "matchPolicy", "Equivalent");
    default(matched, "namespaceSelector", json!({}));
    default(matched, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        for rule in items(matched, rules) {
            default(rule, "scope", "*");
        }
    }
}

/// `RoleBinding` and `ClusterRoleBinding`: users and groups are of the group of roles, accounts of none.
pub(crate) fn roles(binding: &mut Value) {
    const GROUP: &str = "rbac.authorization.k8s.io";
    let group = |of: &mut Value| {
        if of["apiGroup"].as_str().is_none_or(str::is_empty) {
            of["apiGroup"] = GROUP.into();
        }
    };
    for subject in items(binding, "subjects") {
        if matches!(subject["kind"].as_str(), Some("User" | "Group")) {
            group(subject);
        }
    }
    group(super::object(binding, "roleRef"));
}

pub(crate) fn csi_driver(driver: &mut Value) {
    let spec = super::object(driver, "spec");
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
