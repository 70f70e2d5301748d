//! What the API server refuses of kinds that make Pods and are only kept.

use serde_json::Value;

use super::stateful_set::selector;
use super::words::labels;
use super::{Errors, pod_spec};

/// apps/v1 Deployment, ReplicaSet and DaemonSet: their Pods run always, and what they select stays.
pub fn workload(object: &Value, old: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    selector(spec, errors);
    errors.at_least("spec.replicas", &spec["replicas"], 0);
    template(spec, errors);
    let policy = &spec["template"]["spec"]["restartPolicy"];
    errors.one_of("spec.template.spec.restartPolicy", policy, &["Always"]);
    if old.is_some_and(|old| old["spec"]["selector"] != spec["selector"]) {
        errors.invalid("spec.selector", &spec["selector"], "field is immutable");
    }
}

/// batch/v1 Job: its Pods end.
pub fn job(object: &Value, _: Option<&Value>, errors: &mut Errors) {
    let spec = &object["spec"];
    for field in ["parallelism", "completions", "backoffLimit"] {
        errors.at_least(&format!("spec.{field}"), &spec[field], 0);
    }
    template(spec, errors);
    if spec["template"]["spec"]["restartPolicy"] == "Always" {
        let what = "valid values: \"OnFailure\", \"Never\"";
        errors.required("spec.template.spec.restartPolicy", what);
    }
}

fn template(spec: &Value, errors: &mut Errors) {
    let template = &spec["template"];
    let at = "spec.template.labels";
    labels(&template["metadata"]["labels"], at, errors);
    pod_spec(&template["spec"], "spec.template.spec", errors);
}
