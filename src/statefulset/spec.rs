//! The fields of a set that the algorithm reads.

use headless_objects::object::{is_ending, name};
use jiff::SignedDuration;
use serde_json::Value;

/// A set, read.
pub(super) struct Spec<'a> {
    pub(super) name: &'a str,
    pub(super) replicas: i64,
    pub(super) start: i64,
    pub(super) ordered: bool,
    pub(super) min_ready: SignedDuration,
    pub(super) update: Update,
    pub(super) history: usize,
    pub(super) retention: Retention,
    pub(super) deleted: bool,
}

/// The update strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    OnDelete,
    /// KEP-3541: everything old goes before anything new comes.
    Recreate,
    /// `None`: the `rollingUpdate` block is absent, which is not the same as a partition of 0.
    Rolling(Option<Rolling>),
}

/// The block `rollingUpdate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rolling {
    /// Counts from `ordinals.start`.
    partition: i64,
    /// Of `maxUnavailable`, at least 1.
    budget: i64,
}

/// `persistentVolumeClaimRetentionPolicy`: which end deletes claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retention {
    /// The end of the set.
    pub(super) with_set: bool,
    /// Scaling down.
    pub(super) with_pod: bool,
}

impl<'a> Spec<'a> {
    pub(super) fn of(set: &'a Value) -> Self {
        let spec = &set["spec"];
        let replicas = number(&spec["replicas"], 1);
        let retention = &spec["persistentVolumeClaimRetentionPolicy"];
        Self {
            name: name(set),
            replicas,
            start: number(&spec["ordinals"]["start"], 0),
            ordered: spec["podManagementPolicy"] != "Parallel",
            min_ready: SignedDuration::from_secs(number(&spec["minReadySeconds"], 0)),
            update: Update::of(&spec["updateStrategy"], replicas),
            history: usize::try_from(number(&spec["revisionHistoryLimit"], 10))
                .unwrap_or(usize::MAX),
            retention: Retention {
                with_set: retention["whenDeleted"] == "Delete",
                with_pod: retention["whenScaled"] == "Delete",
            },
            deleted: is_ending(set),
        }
    }

    /// Whether an ordinal is in force.
    pub(super) fn holds(&self, ordinal: i64) -> bool {
        (self.start..self.start + self.replicas).contains(&ordinal)
    }

    /// The lowest ordinal that a rolling update touches.
    pub(super) fn first_updated(&self) -> i64 {
        match self.update {
            Update::Rolling(block) => self.start + block.map_or(0, |block| block.partition),
            Update::OnDelete | Update::Recreate => i64::MAX,
        }
    }

    /// How many Pods an update may have unavailable at a time.
    pub(super) fn budget(&self) -> i64 {
        match self.update {
            Update::Rolling(Some(block)) => block.budget,
            Update::Rolling(None) | Update::OnDelete | Update::Recreate => 1,
        }
    }
}

impl Update {
    fn of(strategy: &Value, replicas: i64) -> Self {
        match strategy["type"].as_str() {
            Some("OnDelete") => return Self::OnDelete,
            Some("Recreate") => return Self::Recreate,
            _ => {}
        }
        let block = &strategy["rollingUpdate"];
        Self::Rolling(block.is_object().then(|| Rolling {
            partition: number(&block["partition"], 0),
            budget: budget(&block["maxUnavailable"], replicas),
        }))
    }
}

fn number(value: &Value, default: i64) -> i64 {
    value.as_i64().unwrap_or(default).max(0)
}

/// `maxUnavailable`: a count, or a percentage of the replicas, rounded down; at least 1 (KEP-961).
fn budget(value: &Value, replicas: i64) -> i64 {
    let percent = value.as_str().and_then(|text| text.strip_suffix('%'));
    let share = percent.and_then(|digits| digits.parse::<i64>().ok());
    let count = match share {
        Some(percent) => replicas.saturating_mul(percent) / 100,
        None => number(value, 1),
    };
    count.max(1)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn s62_the_budget_of_an_update_is_a_count_or_a_percentage_rounded_down_and_at_least_one() {
        let cases = [
            (json!(null), 5, 1),
            (json!(3), 5, 3),
            (json!(0), 5, 1),
            (json!("10%"), 25, 2),
            (json!("50%"), 5, 2),
            (json!("10%"), 5, 1),
            (json!("100%"), 5, 5),
            (json!("0%"), 0, 1),
        ];
        for (value, replicas, wanted) in cases {
            assert_eq!(budget(&value, replicas), wanted, "{value} of {replicas}");
        }
    }
}
