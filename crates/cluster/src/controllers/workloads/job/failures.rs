//! What a Job's `podFailurePolicy` makes of a Pod that has failed (KEP-3329).

use headless_objects::object::{array, name, ns};
use serde_json::Value;

/// What comes of a Pod's failure.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It counts towards the limit.
    Counts,
    /// It counts for nothing.
    Ignored,
    /// It counts, and its number is not tried again.
    FailsIndex,
    /// It counts, and the Job fails, for this reason.
    FailsJob(String),
}

/// What the first rule that fits says; without one a failure counts.
pub(super) fn fate(job: &Value, pod: &Value) -> Fate {
    let rules = array(&job["spec"]["podFailurePolicy"]["rules"]);
    let mut fits = rules
        .enumerate()
        .filter_map(|(at, rule)| Some((at, rule, why(rule, pod)?)));
    let Some((at, rule, why)) = fits.next() else {
        return Fate::Counts;
    };
    match rule["action"].as_str() {
        Some("Ignore") => Fate::Ignored,
        Some("FailIndex") => Fate::FailsIndex,
        Some("FailJob") => Fate::FailsJob(format!("{why} matching FailJob rule at index {at}")),
        _ => Fate::Counts,
    }
}

/// What of the Pod a rule fits.
fn why(rule: &Value, pod: &Value) -> Option<String> {
    let (codes, named) = (&rule["onExitCodes"], format!("{}/{}", ns(pod), name(pod)));
    if codes.is_object() {
        let lists = ["containerStatuses", "initContainerStatuses"];
        let mut all = lists.iter().flat_map(|list| array(&pod["status"][list]));
        let (container, code) = all.find_map(|status| exit(codes, status))?;
        return Some(format!(
            "Container {container} for pod {named} failed with exit code {code}"
        ));
    }
    let wanted = &rule["onPodConditions"];
    let fits = |told: &&Value| {
        let mut wanted = array(wanted);
        wanted.any(|wanted| wanted["type"] == told["type"] && wanted["status"] == told["status"])
    };
    let told = array(&pod["status"]["conditions"]).find(fits)?;
    let kind = told["type"].as_str().unwrap_or_default();
    Some(format!("Pod {named} has condition {kind}"))
}

/// The container and its exit code, where they fit.
fn exit<'a>(codes: &Value, status: &'a Value) -> Option<(&'a str, i64)> {
    let container = status["name"].as_str()?;
    let code = status["state"]["terminated"]["exitCode"].as_i64()?;
    let is_meant = codes["containerName"]
        .as_str()
        .is_none_or(|meant| meant == container);
    let is_listed = array(&codes["values"]).any(|value| *value == code);
    let fits = match codes["operator"].as_str() {
        Some("In") => is_listed,
        Some("NotIn") => !is_listed,
        _ => false,
    };
    (is_meant && code != 0 && fits).then_some((container, code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let job = json!({"spec": {"podFailurePolicy": {"rules": [
            {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
            {"action": "FailJob", "onExitCodes": {"containerName": "a", "operator": "In", "values": [3, 4]}},
            {"action": "FailIndex", "onExitCodes": {"operator": "NotIn", "values": [1, 4]}},
            {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}},
        ]}}});
        let pod =
            |status: Value| json!({"metadata": {"namespace": "n", "name": "p"}, "status": status});
        let exited = |name: &str, code: i64| {
            let ended = json!({"terminated": {"exitCode": code}});
            pod(json!({"containerStatuses": [{"name": name, "state": ended}]}))
        };
        let disrupted = |status: &str| {
            pod(json!({"conditions": [{"type": "DisruptionTarget", "status": status}]}))
        };
        let why =
            "Container a for pod n/p failed with exit code 3 matching FailJob rule at index 1";
        let cases = [
            (disrupted("True"), Fate::Ignored),
            (disrupted("False"), Fate::Counts),
            (exited("a", 3), Fate::FailsJob(why.to_owned())),
            (exited("b", 3), Fate::FailsIndex),
            (exited("b", 4), Fate::Counts),
            (exited("b", 1), Fate::Counts),
            (exited("a", 0), Fate::Counts),
        ];
        for (pod, wanted) in cases {
            assert_eq!(fate(&job, &pod), wanted, "{pod}");
        }
    }
}
