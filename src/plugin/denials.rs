//! Why names of the cluster have no records, counted: on each lane by itself, and added to what is scraped now and then.

use crate::metrics::{IntCounterVec, LocalCounter};
use crate::zone::Reason;

/// Of all lanes.
#[derive(Clone)]
pub(super) struct Denials(IntCounterVec);

impl Denials {
    /// Counts here, by `reason`.
    pub(super) fn new(counters: &IntCounterVec) -> Self {
        Self(counters.clone())
    }

    pub(super) fn count(&self, reason: Reason) {
        self.0.with_label_values(&[reason.key()]).inc();
    }

    /// Counts for one lane.
    pub(super) fn of_lane(&self) -> OfLane {
        OfLane {
            all: self.clone(),
            counts: Vec::new(),
        }
    }
}

/// What is counted on one lane.
pub(super) struct OfLane {
    all: Denials,
    /// Those that have come, by their names.
    counts: Vec<(&'static str, LocalCounter)>,
}

impl OfLane {
    pub(super) fn count(&mut self, reason: Reason) {
        let key = reason.key();
        match self.counts.iter().find(|(known, _)| *known == key) {
            Some((_, counter)) => counter.inc(),
            None => {
                let counter = self.all.0.with_label_values(&[key]).local();
                counter.inc();
                self.counts.push((key, counter));
            }
        }
    }

    /// Adds what was counted to what is scraped.
    pub(super) fn settle(&self) {
        self.counts.iter().for_each(|(_, counter)| counter.flush());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    #[test]
    fn what_a_lane_counts_is_scraped_once_it_is_settled() {
        let metrics = Metrics::default();
        let denials = Denials::new(&metrics.denied);
        let counted = |reason: &str| metrics.denied.with_label_values(&[reason]).get();
        let mut lane = denials.of_lane();
        lane.count(Reason::NotReady(1));
        lane.count(Reason::NotReady(2));
        lane.count(Reason::NoSuchService);
        denials.count(Reason::NoSuchService);
        assert_eq!((counted("not_ready"), counted("no_such_service")), (0, 1));
        lane.settle();
        lane.settle();
        assert_eq!((counted("not_ready"), counted("no_such_service")), (2, 2));
    }
}
