//! The set's status, counted anew each time.

use headless_objects::object::name;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::conditions::{self, Progress, Stall};
use super::member::Member;
use super::revision::Revisions;
use super::spec::Spec;

/// What the Pods and revisions say.
pub(super) struct Counts<'a> {
    replicas: i64,
    ready: i64,
    available: i64,
    updated: i64,
    current: i64,
    /// Every Pod is there, Ready and of the new revision.
    pub(super) complete: bool,
    revisions: &'a Revisions,
}

pub(super) fn count<'a>(
    spec: &Spec<'_>,
    members: &[Member<'_>],
    revisions: &'a Revisions,
) -> Counts<'a> {
    let count = |fits: &dyn Fn(&Member<'_>) -> bool| {
        i64::try_from(members.iter().filter(|m| fits(m)).count()).unwrap_or(i64::MAX)
    };
    let at = |revision: &str| count(&|m| !m.terminating && m.revision == revision);
    let (replicas, ready, updated) = (
        count(&|_| true),
        count(&|m| m.ready),
        at(name(&revisions.update)),
    );
    Counts {
        replicas,
        ready,
        available: count(&|m| m.available),
        updated,
        current: at(name(&revisions.current)),
        complete: [updated, ready, replicas]
            .iter()
            .all(|n| *n == spec.replicas),
        revisions,
    }
}

/// The status, from the one the set has.
pub(super) fn status(
    now: Timestamp,
    set: &Value,
    counts: &Counts<'_>,
    (stall, progress): (Option<&Stall>, Progress),
) -> Value {
    let update = name(&counts.revisions.update);
    // When an update is complete, the update revision becomes the current one.
    let (current, at_current) = if counts.complete {
        (update, counts.updated)
    } else {
        (name(&counts.revisions.current), counts.current)
    };
    let mut status = json!({
        "observedGeneration": set["metadata"]["generation"], "replicas": counts.replicas, "availableReplicas": counts.available,
        "currentRevision": current, "updateRevision": update, "collisionCount": counts.revisions.collisions,
    });
    let zero_is_left_out = [
        ("readyReplicas", counts.ready),
        ("updatedReplicas", counts.updated),
        ("currentReplicas", at_current),
    ];
    for (field, n) in zero_is_left_out.into_iter().filter(|(_, n)| *n > 0) {
        status[field] = n.into();
    }
    let conditions = conditions::conditions(now, &set["status"]["conditions"], stall, progress);
    if !conditions.is_null() {
        status["conditions"] = conditions;
    }
    status
}
