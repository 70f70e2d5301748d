//! How long a Job waits after Pods have failed: each failure in a row doubles the pause.

use std::collections::BTreeMap;
use std::time::Duration;

use headless_objects::backoff;
use headless_objects::object::uid;
use jiff::Timestamp;
use serde_json::Value;

use super::Look;
use super::pods::{finished_at, has_failed, has_succeeded};

/// The first pause, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_mins(10));

/// What is remembered of Jobs' Pods that may be gone, by the Job's UID.
#[derive(Debug, Default)]
pub(in super::super) struct Pauses(BTreeMap<String, Failures>);

/// The failures in a row.
#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    many: u32,
    last: Option<Timestamp>,
}

/// When a pause is over that begins at this time, after so many failures in a row.
pub(super) fn over(last: Timestamp, failures: u32) -> Option<Timestamp> {
    let more = failures.checked_sub(1)?;
    last.checked_add(backoff(PAUSES.0, PAUSES.1, more)).ok()
}

impl Pauses {
    /// Forgets a Job that is over.
    pub(in super::super) fn forget(&mut self, job: &Value) {
        self.0.remove(uid(job));
    }

    /// Notes what has ended since the last look. Gives when the pause is over.
    pub(super) fn note(&mut self, look: &Look<'_>) -> Option<Timestamp> {
        let fresh: Vec<_> = look.fresh().collect();
        let times = |ended: &dyn Fn(&Value) -> bool| -> Vec<Timestamp> {
            let ended = fresh.iter().filter(|pod| ended(pod));
            ended.filter_map(|pod| finished_at(pod)).collect()
        };
        let success = times(&|pod| has_succeeded(pod)).into_iter().max();
        let mut failed = times(&|pod| has_failed(look.job, pod));
        let known = self.0.entry(uid(look.job).to_owned()).or_default();
        if let Some(success) = success {
            failed.retain(|at| *at > success);
            *known = Failures::default();
        }
        let more = u32::try_from(failed.len()).unwrap_or(u32::MAX);
        known.many = known.many.saturating_add(more);
        known.last = failed.into_iter().max().or(known.last);
        over(known.last?, known.many)
    }
}
