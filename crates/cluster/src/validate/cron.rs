//! Times of CronJobs, as robfig/cron reads them, in its words.

use jiff::tz;

use crate::cron::{self, Schedule};
use crate::field::Errors;
use crate::place::Place;

/// `schedule`.
pub(super) fn times(spec: &Place<'_>, errors: &mut Errors) {
    let schedule = spec.of("schedule");
    if schedule.is_empty() {
        return errors.required(schedule, "");
    }
    if let Err(what) = Schedule::read(schedule.text()) {
        errors.bad(&schedule, &what);
    }
    if schedule.text().contains("TZ") {
        let what = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
        errors.bad(&schedule, what);
    }
}

/// `timeZone`: a name of the IANA's database.
pub(super) fn zone(zone: &Place<'_>, errors: &mut Errors) {
    if !zone.is_given() {
        return;
    }
    let good = |c: char| c.is_ascii_alphanumeric() || ".-_+".contains(c);
    let part = |part: &str| {
        (1..=14).contains(&part.len())
            && ![".", ".."].contains(&part)
            && !part.starts_with('-')
            && part.chars().all(good)
    };
    let known = || tz::db().is_definitively_empty() || cron::zone(zone.text()).is_some();
    if zone.is_empty() {
        errors.bad(zone, "timeZone must be nil or non-empty string");
    } else if zone.text().eq_ignore_ascii_case("local") {
        let what =
            "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        errors.bad(zone, what);
    } else if !zone.text().split('/').all(part) || !known() {
        errors.bad(zone, &format!("unknown time zone {}", zone.text()));
    }
}
