//! Back-off for Pods that end as soon as they are made: upstream makes them again without a pause.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use headless_objects::backoff;
use headless_objects::object::has_ended;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// The pause before the second Pod in a row that has ended is replaced; it doubles with each.
const FIRST: Duration = Duration::from_secs(1);

/// The longest pause: the kubelet's, between restarts of a container.
const LONGEST: Duration = Duration::from_mins(5);

/// A Pod that ends this long after the one before does not count as one more in a row, as with the kubelet.
const FORGET: SignedDuration = SignedDuration::from_mins(10);

/// How often in a row each of a set's Pods has ended, by name: the one thing that a plan must remember.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Failures(BTreeMap<String, Failed>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Failed {
    /// The last of them.
    uid: String,
    in_a_row: u32,
    at: Timestamp,
}

impl Failures {
    /// Takes note of the Pods that have ended; of each once.
    pub fn note(&mut self, now: Timestamp, pods: &[Arc<Value>]) {
        self.0
            .retain(|_, failed| now.duration_since(failed.at) < FORGET);
        for pod in pods.iter().filter(|pod| has_ended(pod)) {
            let text = |field: &str| {
                let value = pod["metadata"][field].as_str();
                value.unwrap_or_default().to_owned()
            };
            let uid = text("uid");
            let failed = self.0.entry(text("name")).or_insert_with(|| Failed {
                uid: String::new(),
                in_a_row: 0,
                at: now,
            });
            if failed.uid != uid {
                *failed = Failed {
                    uid,
                    in_a_row: failed.in_a_row + 1,
                    at: now,
                };
            }
        }
    }

    /// From when on a Pod of this name may be replaced, where it must wait.
    pub(super) fn replace_at(&self, pod: &str) -> Option<Timestamp> {
        let failed = self.0.get(pod)?;
        let doublings = failed.in_a_row.checked_sub(2)?;
        failed
            .at
            .checked_add(backoff(FIRST, LONGEST, doublings))
            .ok()
    }
}
