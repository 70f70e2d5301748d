//! A Pod of a set, with what the algorithm reads of it.

use headless_objects::object::{condition, has_ended, is_ending};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::set::ordinal_of;

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
        let condition = condition(pod, "Ready");
        let ready =
            status["phase"] == "Running" && condition.is_some_and(|c| c["status"] == "True");
        let since = || {
            time(&condition?["lastTransitionTime"])?
                .checked_add(min_ready)
                .ok()
        };
        // Where `minReadySeconds` is not 0, a Pod whose condition has no time never becomes available.
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
            terminating: is_ending(pod),
            ended: has_ended(pod),
            revision: meta["labels"]["controller-revision-hash"]
                .as_str()
                .unwrap_or_default(),
        })
    }

    pub(super) fn unavailable(&self) -> bool {
        !self.available || self.terminating
    }

    /// Since when a Pod that is not Ready has been so: when its condition last changed, or when it was made, if later.
    pub(super) fn unready_since(&self) -> Timestamp {
        let turned = condition(self.pod, "Ready").and_then(|c| time(&c["lastTransitionTime"]));
        let made = time(&self.pod["metadata"]["creationTimestamp"]);
        made.max(turned).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

fn time(value: &Value) -> Option<Timestamp> {
    value.as_str()?.parse().ok()
}
