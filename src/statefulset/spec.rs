//! The fields of a set and its Pods that the algorithm reads.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::identity::ordinal_of;

/// A set, read.
pub(super) struct Spec<'a> {
    pub(super) name: &'a str,
    pub(super) replicas: i64,
    pub(super) start: i64,
    pub(super) ordered: bool,
    pub(super) min_ready: SignedDuration,
    pub(super) update: Update,
    pub(super) history: usize,
    pub(super) deleted: bool,
}

/// The update strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Update {
    OnDelete,
    /// `None`: the `rollingUpdate` block is absent, which is not the same as a partition of 0.
    Rolling(Option<i64>),
}

impl<'a> Spec<'a> {
    pub(super) fn of(set: &'a Value) -> Self {
        let spec = &set["spec"];
        let number = |value: &Value, default: i64| value.as_i64().unwrap_or(default).max(0);
        let rolling = &spec["updateStrategy"]["rollingUpdate"];
        Self {
            name: set["metadata"]["name"].as_str().unwrap_or_default(),
            replicas: number(&spec["replicas"], 1),
            start: number(&spec["ordinals"]["start"], 0),
            ordered: spec["podManagementPolicy"] != "Parallel",
            min_ready: SignedDuration::from_secs(number(&spec["minReadySeconds"], 0)),
            update: match spec["updateStrategy"]["type"].as_str() {
                Some("OnDelete") => Update::OnDelete,
                _ => Update::Rolling(
                    rolling
                        .is_object()
                        .then(|| number(&rolling["partition"], 0)),
                ),
            },
            history: usize::try_from(number(&spec["revisionHistoryLimit"], 10))
                .unwrap_or(usize::MAX),
            deleted: set["metadata"]["deletionTimestamp"].is_string(),
        }
    }

    /// Whether an ordinal is in force.
    pub(super) fn holds(&self, ordinal: i64) -> bool {
        (self.start..self.start + self.replicas).contains(&ordinal)
    }

    /// The lowest ordinal that an update touches: the partition counts from `ordinals.start`.
    pub(super) fn first_updated(&self) -> i64 {
        match self.update {
            Update::Rolling(partition) => self.start + partition.unwrap_or(0),
            Update::OnDelete => i64::MAX,
        }
    }
}

/// A Pod of a set, read.
#[derive(Clone, Debug)]
pub(super) struct Member<'a> {
    pub(super) pod: &'a Value,
    pub(super) name: &'a str,
    pub(super) uid: &'a str,
    pub(super) ordinal: i64,
    pub(super) ready: bool,
    pub(super) available: bool,
    /// When it becomes available, where only time is missing.
    pub(super) due: Option<Timestamp>,
    pub(super) terminating: bool,
    /// Phase Failed or Succeeded.
    pub(super) ended: bool,
    /// The name of the revision it was made from.
    pub(super) revision: &'a str,
}

impl<'a> Member<'a> {
    /// `None` for a Pod whose name is not one of the set's.
    pub(super) fn of(
        set: &str,
        pod: &'a Value,
        (now, min_ready): (Timestamp, SignedDuration),
    ) -> Option<Self> {
        let (meta, status) = (&pod["metadata"], &pod["status"]);
        let name = meta["name"].as_str()?;
        let condition = status["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|c| c["type"] == "Ready");
        let ready =
            status["phase"] == "Running" && condition.is_some_and(|c| c["status"] == "True");
        let since = || {
            let time = condition?["lastTransitionTime"].as_str()?;
            time.parse::<Timestamp>().ok()?.checked_add(min_ready).ok()
        };
        // Without a time it is never available, but where none is asked for.
        let due = if min_ready.is_zero() { None } else { since() };
        let available = ready && (min_ready.is_zero() || due.is_some_and(|due| due <= now));
        Some(Self {
            pod,
            name,
            uid: meta["uid"].as_str().unwrap_or_default(),
            ordinal: ordinal_of(set, name)?,
            ready,
            available,
            due: due.filter(|_| ready && !available),
            terminating: meta["deletionTimestamp"].is_string(),
            ended: matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")),
            revision: meta["labels"]["controller-revision-hash"]
                .as_str()
                .unwrap_or_default(),
        })
    }

    pub(super) fn unavailable(&self) -> bool {
        !self.available || self.terminating
    }
}
