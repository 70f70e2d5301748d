//! The set's status, counted anew each time.

use serde_json::{Value, json};

use super::revision::{Revisions, name};
use super::spec::{Member, Spec, Update};

/// What the Pods and revisions say.
pub(super) fn of(
    set: &Value,
    spec: &Spec<'_>,
    members: &[Member<'_>],
    revisions: &Revisions,
) -> Value {
    let (current, update) = (name(&revisions.current), name(&revisions.update));
    let count = |fits: &dyn Fn(&Member<'_>) -> bool| {
        i64::try_from(members.iter().filter(|m| fits(m)).count()).unwrap_or(i64::MAX)
    };
    let replicas = count(&|_| true);
    let (ready, available) = (count(&|m| m.ready), count(&|m| m.available));
    let at = |revision: &str| count(&|m| !m.terminating && m.revision == revision);
    let updated = at(update);
    // An update is complete when every Pod is there, Ready and of the new revision.
    let complete = spec.update != Update::OnDelete
        && [updated, ready, replicas]
            .iter()
            .all(|n| *n == spec.replicas);
    let old = &set["status"];
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": replicas, "availableReplicas": available,
        "currentRevision": if complete { update } else { current }, "updateRevision": update,
        "collisionCount": old["collisionCount"].as_i64().unwrap_or_default(),
    });
    let counts = [
        ("readyReplicas", ready),
        ("updatedReplicas", updated),
        (
            "currentReplicas",
            if complete { updated } else { at(current) },
        ),
    ];
    for (field, n) in counts.into_iter().filter(|(_, n)| *n > 0) {
        status[field] = n.into();
    }
    // Conditions are somebody else's.
    if !old["conditions"].is_null() {
        status["conditions"] = old["conditions"].clone();
    }
    status
}
