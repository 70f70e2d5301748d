//! What the API server refuses of a Job that is written again.

use headless_objects::object::array;
use headless_objects::podspec::items;
use serde_json::Value;

use super::job_policy::{kept_failure, kept_success};
use crate::field::Errors;
use crate::place::Place;

/// What a Job may become; `old`: all of it.
pub(super) fn update(spec: &Place<'_>, old: &Value, errors: &mut Errors) {
    let (whole, old) = (old, &old["spec"]);
    let indexed = spec.of("completionMode").text() == "Indexed";
    let (all, at_a_time) = (spec.of("completions"), spec.of("parallelism"));
    // An indexed Job grows by both at once.
    if !indexed {
        errors.unchanged(&all, &old["completions"]);
    } else if all.is_given() && *all.value != old["completions"] && all.value != at_a_time.value {
        let what = "can only be modified in tandem with spec.parallelism";
        errors.bad(&all, what);
    }
    errors.stays(&spec.of("selector"), &old["selector"]);
    changed_template(&spec.of("template"), whole, errors);
    for field in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        let place = spec.of(field);
        let kept = match field {
            "podFailurePolicy" => kept_failure(place.value),
            "successPolicy" => kept_success(place.value),
            _ => place.shown(),
        };
        if *place.value != old[field] {
            errors.invalid(&place, &kept, "field is immutable");
        }
    }
}

/// The template of Pods stays; where none runs, what they need and which nodes they want may change.
fn changed_template(template: &Place<'_>, old: &Value, errors: &mut Errors) {
    let (status, before) = (&old["status"], &old["spec"]["template"]);
    let pauses =
        |condition: &Value| condition["type"] == "Suspended" && condition["status"] == "True";
    let idle = status["startTime"].is_null() || array(&status["conditions"]).any(pauses);
    let free =
        old["spec"]["suspend"] == true && idle && status["active"].as_i64().unwrap_or(0) == 0;
    if !free {
        errors.stays(template, before);
    } else if without_needs(&template.value["spec"]) != without_needs(&before["spec"]) {
        let spec = template.of("spec");
        errors.invalid(&spec, spec.value, "field is immutable");
    }
}

/// A Pod's spec without what it needs of its node.
fn without_needs(spec: &Value) -> Value {
    let mut spec = spec.clone();
    for list in ["initContainers", "containers"] {
        for container in items(&mut spec, list) {
            container.as_object_mut().map(|c| c.remove("resources"));
        }
    }
    let Some(fields) = spec.as_object_mut() else {
        return spec;
    };
    for field in ["nodeSelector", "tolerations", "schedulingGates"] {
        fields.remove(field);
    }
    let affinity = fields.get_mut("affinity").and_then(Value::as_object_mut);
    let left = affinity.map(|affinity| {
        affinity.remove("nodeAffinity");
        affinity.len()
    });
    if left == Some(0) {
        fields.remove("affinity");
    }
    spec
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn job(suspend: bool, status: Value) -> Value {
        let container = json!({"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}});
        let pod = json!({"nodeSelector": {"a": "b"}, "containers": [container]});
        json!({"spec": {"suspend": suspend, "template": {"spec": pod}}, "status": status})
    }

    /// Where a change of a Job's template is refused.
    fn refused(old: &Value, field: &str, value: Value) -> Vec<String> {
        let (mut new, mut errors) = (old.clone(), Errors::default());
        new["spec"]["template"]["spec"][field] = value;
        update(&Place::new(&new["spec"], "spec"), old, &mut errors);
        errors.0.iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn a_job_that_waits_may_want_other_nodes_and_more_of_them() {
        let (runs, waits) = (job(false, json!({})), job(true, json!({})));
        let stopping = job(true, json!({"startTime": "2020-01-01T00:00:00Z"}));
        let paused = json!({"startTime": "2020-01-01T00:00:00Z", "conditions": [{"type": "Suspended", "status": "True"}]});
        let paused = job(true, paused);
        let container = |image: &str, cpu: &str| json!([{"name": "c", "image": image, "resources": {"requests": {"cpu": cpu}}}]);
        let nodes = json!({"nodeAffinity": {"x": 1}});
        let pods = json!({"podAffinity": {"x": 1}});
        for (field, value, is_free) in [
            ("nodeSelector", json!({"a": "c"}), true),
            ("tolerations", json!([{"operator": "Exists"}]), true),
            ("schedulingGates", json!([{"name": "g"}]), true),
            ("affinity", nodes, true),
            ("containers", container("i", "2"), true),
            ("containers", container("j", "1"), false),
            ("affinity", pods, false),
            ("hostNetwork", json!(true), false),
        ] {
            let of_idle: &[&str] = if is_free {
                &[]
            } else {
                &["spec.template.spec"]
            };
            assert_eq!(refused(&waits, field, value.clone()), of_idle, "{field}");
            assert_eq!(refused(&paused, field, value.clone()), of_idle, "{field}");
            for busy in [&runs, &stopping] {
                assert_eq!(refused(busy, field, value.clone()), ["spec.template"]);
            }
        }
    }
}
