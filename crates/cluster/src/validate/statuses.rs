//! What the API server refuses of a status that is written by itself: the rest of the object stands as it was.

use serde_json::Value;

use crate::field::Errors;
use crate::place::Place;

/// How counts of a status stand to each other: the first may not be greater than the second.
type Most = (&'static str, &'static str);

/// What is counted in the status of a kind.
struct Counts {
    counts: &'static [&'static str],
    most: &'static [Most],
    /// How the status is called where a count of ready ones is meant; its own status is always called `status.`.
    ready: &'static str,
}

fn status(object: &Value) -> Place<'_> {
    Place::new(&object["status"], "status")
}

impl Counts {
    fn check(&self, (object, old): (&Value, &Value), errors: &mut Errors) {
        let status = status(object);
        errors.not_negative(&status, self.counts);
        errors.not_negative(&status, &["observedGeneration", "collisionCount"]);
        for (field, than) in self.most {
            let (place, most) = (status.of(field), status.of(than));
            if place.number() > most.number() {
                let than = if *than == "replicas" {
                    "status.replicas"
                } else {
                    self.ready
                };
                errors.bad(&place, &format!("cannot be greater than {than}"));
            }
        }
        let collisions = |object: &Value| object["status"]["collisionCount"].as_i64();
        if collisions(object) < collisions(old) {
            errors.bad(&status.of("collisionCount"), "cannot be decremented");
        }
    }
}

/// apps/v1 StatefulSet.
pub fn stateful_set_status(object: &Value, old: &Value, errors: &mut Errors) {
    const COUNTS: Counts = Counts {
        counts: &[
            "replicas",
            "readyReplicas",
            "currentReplicas",
            "updatedReplicas",
            "availableReplicas",
        ],
        most: &[
            ("readyReplicas", "replicas"),
            ("currentReplicas", "replicas"),
            ("updatedReplicas", "replicas"),
            ("availableReplicas", "replicas"),
            ("availableReplicas", "readyReplicas"),
        ],
        ready: "status.readyReplicas",
    };
    COUNTS.check((object, old), errors);
}

/// apps/v1 Deployment.
pub fn deployment_status(object: &Value, old: &Value, errors: &mut Errors) {
    const COUNTS: Counts = Counts {
        counts: &[
            "replicas",
            "updatedReplicas",
            "readyReplicas",
            "availableReplicas",
            "unavailableReplicas",
            "terminatingReplicas",
        ],
        most: &[
            ("updatedReplicas", "replicas"),
            ("readyReplicas", "replicas"),
            ("availableReplicas", "replicas"),
            ("availableReplicas", "readyReplicas"),
        ],
        ready: "readyReplicas",
    };
    COUNTS.check((object, old), errors);
}

/// apps/v1 ReplicaSet and v1 ReplicationController.
pub fn replicas_status(object: &Value, old: &Value, errors: &mut Errors) {
    const COUNTS: Counts = Counts {
        counts: &[
            "replicas",
            "fullyLabeledReplicas",
            "readyReplicas",
            "availableReplicas",
            "terminatingReplicas",
        ],
        most: &[
            ("fullyLabeledReplicas", "replicas"),
            ("readyReplicas", "replicas"),
            ("availableReplicas", "replicas"),
            ("availableReplicas", "readyReplicas"),
        ],
        ready: "readyReplicas",
    };
    COUNTS.check((object, old), errors);
}

/// apps/v1 DaemonSet.
pub fn daemon_set_status(object: &Value, old: &Value, errors: &mut Errors) {
    const COUNTS: Counts = Counts {
        counts: &[
            "currentNumberScheduled",
            "numberMisscheduled",
            "desiredNumberScheduled",
            "numberReady",
            "updatedNumberScheduled",
            "numberAvailable",
            "numberUnavailable",
        ],
        most: &[],
        ready: "",
    };
    COUNTS.check((object, old), errors);
}

/// policy/v1 PodDisruptionBudget.
pub fn budget_status(object: &Value, _: &Value, errors: &mut Errors) {
    let counts = [
        "disruptionsAllowed",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
    ];
    errors.not_negative(&status(object), &counts);
}

/// v1 Node: its status is checked with the rest of it, then as always.
pub fn node_status(object: &Value, old: &Value, errors: &mut Errors) {
    super::node(object, Some(old), errors);
}

/// v1 Namespace: the phase says whether it is being deleted.
pub fn namespace_status(object: &Value, _: &Value, errors: &mut Errors) {
    let ends = headless_objects::object::is_ending(object);
    let phase = Place::new(&object["status"]["phase"], "status.Phase");
    let (only, what) = if ends {
        (
            "Terminating",
            "may only be 'Terminating' if `deletionTimestamp` is not empty",
        )
    } else {
        (
            "Active",
            "may only be 'Active' if `deletionTimestamp` is empty",
        )
    };
    if phase.text() != only {
        errors.bad(&phase, what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(check: fn(&Value, &Value, &mut Errors), new: Value, old: Value) -> Vec<String> {
        let mut errors = Errors::default();
        check(
            &json!({"status": new}),
            &json!({"status": old}),
            &mut errors,
        );
        errors.0.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn counts_of_a_status_fit_each_other() {
        let good = json!({"replicas": 2, "readyReplicas": 2, "availableReplicas": 1});
        let bad = json!({"replicas": 1, "readyReplicas": -1, "availableReplicas": 2});
        let whole = |ready: &str| {
            vec![
                "status.readyReplicas: Invalid value: -1: must be greater than or equal to 0".to_owned(),
                "status.availableReplicas: Invalid value: 2: cannot be greater than status.replicas".to_owned(),
                format!("status.availableReplicas: Invalid value: 2: cannot be greater than {ready}"),
            ]
        };
        for (check, ready) in [
            (
                stateful_set_status as fn(&Value, &Value, &mut Errors),
                "status.readyReplicas",
            ),
            (deployment_status, "readyReplicas"),
            (replicas_status, "readyReplicas"),
        ] {
            assert_eq!(said(check, good.clone(), json!({})), Vec::<String>::new());
            assert_eq!(said(check, bad.clone(), json!({})), whole(ready));
        }
    }

    #[test]
    fn collisions_are_never_fewer_than_before() {
        for check in [stateful_set_status, deployment_status, daemon_set_status] {
            let said = said(
                check,
                json!({"collisionCount": 1}),
                json!({"collisionCount": 2}),
            );
            assert_eq!(
                said,
                ["status.collisionCount: Invalid value: 1: cannot be decremented"]
            );
        }
    }

    #[test]
    fn a_namespace_that_stays_is_active() {
        let what = "status.Phase: Invalid value: \"Terminating\": may only be 'Active' if `deletionTimestamp` is empty";
        assert_eq!(
            said(namespace_status, json!({"phase": "Terminating"}), json!({})),
            [what]
        );
        assert!(said(namespace_status, json!({"phase": "Active"}), json!({})).is_empty());
    }
}
