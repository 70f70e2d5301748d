//! Which time of its schedule a CronJob has missed, and which comes next (`mostRecentScheduleTime` and its kin).

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cron::Schedule;

/// Beyond so many missed times it is said that there are many.
const MANY: i64 = 100;

/// A schedule, and now.
pub(super) struct Due<'a> {
    pub(super) now: Timestamp,
    pub(super) schedule: &'a Schedule,
    pub(super) zone: &'a TimeZone,
}

/// The last of the times that have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missed {
    pub(super) at: Timestamp,
    pub(super) many: bool,
}

/// What has been missed since a time.
enum Recent {
    Nothing,
    Last(Missed),
    /// Something, but none of it is due any more.
    Past,
}

/// So many seconds later.
pub(super) fn later(at: Timestamp, seconds: i64) -> Option<Timestamp> {
    at.checked_add(SignedDuration::from_secs(seconds)).ok()
}

/// Since when times count: the last that a Job was started for, or when the CronJob was made.
fn since(cron: &Value) -> Timestamp {
    let last = cron["status"]["lastScheduleTime"].as_str();
    let made = cron["metadata"]["creationTimestamp"].as_str();
    let since = last.or(made).and_then(|time| time.parse().ok());
    since.unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Due<'_> {
    fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.schedule.next(after, self.zone)
    }

    /// The last time that a Job is still to be started for; none before the deadline for starting.
    ///
    /// # Errors
    /// A schedule that no time, or only one, fits.
    pub(super) fn missed(&self, cron: &Value) -> Result<Option<Missed>, &'static str> {
        let deadline = cron["spec"]["startingDeadlineSeconds"].as_i64();
        let earliest = deadline.and_then(|seconds| later(self.now, seconds.checked_neg()?));
        let since = since(cron);
        match self.recent(earliest.map_or(since, |earliest| earliest.max(since)))? {
            Recent::Last(missed) => Ok(Some(missed)),
            Recent::Nothing | Recent::Past => Ok(None),
        }
    }

    /// When the schedule is to be looked at next.
    pub(super) fn after(&self, cron: &Value) -> Option<Timestamp> {
        let since = since(cron);
        self.next(match self.recent(since) {
            Ok(Recent::Nothing) => since,
            Ok(Recent::Last(missed)) => missed.at,
            Ok(Recent::Past) | Err(_) => self.now,
        })
    }

    fn recent(&self, since: Timestamp) -> Result<Recent, &'static str> {
        const WRONG: &str = "time difference between two schedules is less than 1 second";
        let first = self.next(since).ok_or(WRONG)?;
        if self.now < first {
            return Ok(Recent::Nothing);
        }
        let second = self.next(first).ok_or(WRONG)?;
        if self.now < second {
            let missed = Missed {
                at: first,
                many: false,
            };
            return Ok(Recent::Last(missed));
        }
        // About as many as would fit if they were as far apart as the first two; from the last but one on each is looked at.
        let apart = second.duration_since(first).as_secs();
        let many = self.now.duration_since(first).as_secs() / apart + 1;
        let near = apart.checked_mul(many - 2);
        let mut last = None;
        let mut at = near.and_then(|near| self.next(later(first, near)?));
        while let Some(due) = at.filter(|due| *due <= self.now) {
            last = Some(due);
            at = self.next(due);
        }
        Ok(last.map_or(Recent::Past, |at| {
            Recent::Last(Missed {
                at,
                many: many > MANY,
            })
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// What is missed, and when it is looked again, at that time.
    fn missed(schedule: &str, now: &str, deadline: Option<i64>) -> (Option<Missed>, Timestamp) {
        let cron = json!({
            "metadata": {"creationTimestamp": "2026-03-02T10:00:30Z"}, "spec": {"startingDeadlineSeconds": deadline},
        });
        let due = Due {
            now: time(now),
            schedule: &Schedule::read(schedule).unwrap(),
            zone: &TimeZone::UTC,
        };
        (due.missed(&cron).unwrap(), due.after(&cron).unwrap())
    }

    #[test]
    fn the_last_time_that_was_missed_counts_and_whether_there_are_many() {
        // Schedule, now, deadline for starting; what was missed, where there are many with a mark; when to look again.
        const CASES: &str = "
            */10 * * * *       | 02T10:05:00 |     |              | 02T10:10:00
            */10 * * * *       | 02T10:10:00 |     | 02T10:10:00  | 02T10:20:00
            */10 * * * *       | 02T12:34:00 |     | 02T12:30:00  | 02T12:40:00
            * * * * *          | 03T10:00:00 |     | 03T10:00:00+ | 03T10:01:00
            * * * * *          | 03T10:00:00 | 600 | 03T10:00:00  | 03T10:01:00
            0 12 * * *         | 03T11:00:00 | 600 |              | 03T12:00:00
            30 6-16/4 * * 1-5  | 09T08:00:00 |     | 09T06:30:00  | 09T10:30:00
            @every 90s         | 02T10:05:10 |     | 02T10:05:00  | 02T10:06:30";
        let read = |text: &str| time(&format!("2026-03-{text}Z"));
        for case in CASES.trim().lines() {
            let parts: Vec<_> = case.split('|').map(str::trim).collect();
            let [schedule, now, deadline, last, next] = parts[..] else {
                panic!("{case}");
            };
            let wanted = (!last.is_empty()).then(|| Missed {
                at: read(last.trim_end_matches('+')),
                many: last.ends_with('+'),
            });
            let now = format!("2026-03-{now}Z");
            let seen = missed(schedule, &now, deadline.parse().ok());
            assert_eq!(seen, (wanted, read(next)), "{case}");
        }
    }
}
