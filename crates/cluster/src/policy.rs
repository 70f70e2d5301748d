//! Which containers are started again, and which run beside the others.

use serde_json::Value;

/// Whether it is an init container that runs on (KEP-753); a container that has its own policy is none.
pub(crate) fn is_sidecar(container: &Value) -> bool {
    container["restartPolicy"] == "Always"
}

/// Whether a container that has ended with this code is started again: its own rules and policy come before the Pod's
/// (KEP-5307).
pub(crate) fn is_restarted(spec: &Value, container: &Value, code: i64) -> bool {
    let rules = container["restartPolicyRules"].as_array();
    let matches = |rule: &Value| {
        let values = rule["exitCodes"]["values"].as_array();
        let listed = values.is_some_and(|values| values.contains(&code.into()));
        listed == (rule["exitCodes"]["operator"] == "In")
    };
    if rules.into_iter().flatten().any(matches) {
        return true;
    }
    let own = container["restartPolicy"].as_str();
    match own.or_else(|| spec["restartPolicy"].as_str()) {
        Some("Never") => false,
        Some("OnFailure") => code != 0,
        _ => true,
    }
}
