//! The policies of a Job as Go keeps them, which is how the API server shows them.

use serde_json::{Value, json};

use super::values::{shown, shown_texts};

/// `successPolicy` as Go keeps it.
pub(super) fn kept_success(policy: &Value) -> Value {
    kept_rules(policy, |rule| {
        let names = [
            ("SucceededIndexes", "succeededIndexes"),
            ("SucceededCount", "succeededCount"),
        ];
        shown(rule, &names)
    })
}

/// `podFailurePolicy` as Go keeps it.
pub(super) fn kept_failure(policy: &Value) -> Value {
    kept_rules(policy, |rule| {
        let text = |of: &Value, field: &str| of[field].as_str().unwrap_or_default().to_owned();
        let codes = |codes: &Value| {
            json!({
                "ContainerName": codes["containerName"], "Operator": text(codes, "operator"), "Values": codes["values"],
            })
        };
        let condition = |one: &Value| shown_texts(one, &[("Type", "type"), ("Status", "status")]);
        let (given, conditions) = (&rule["onExitCodes"], rule["onPodConditions"].as_array());
        json!({
            "Action": text(rule, "action"), "OnExitCodes": given.is_object().then(|| codes(given)),
            "OnPodConditions": conditions.map(|all| all.iter().map(condition).collect::<Vec<_>>()),
        })
    })
}

/// The rules of a policy as Go keeps them.
fn kept_rules(policy: &Value, kept: fn(&Value) -> Value) -> Value {
    if policy.is_null() {
        return Value::Null;
    }
    let rules = policy["rules"].as_array().filter(|rules| !rules.is_empty());
    json!({"Rules": rules.map(|rules| rules.iter().map(kept).collect::<Vec<_>>())})
}
