//! Times of CronJobs, as robfig/cron reads them, in its words.

use headless_objects::go_duration;
use jiff::tz::{self, TimeZone};

use crate::field::Errors;
use crate::place::Place;

/// Fields: the least, the most, and names of the numbers from the least on.
const FIELDS: [(i64, i64, &[&str]); 5] = [
    (0, 59, &[]),
    (0, 23, &[]),
    (1, 31, &[]),
    (
        1,
        12,
        &[
            "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
        ],
    ),
    (0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

const NAMED: &[&str] = &[
    "@yearly",
    "@annually",
    "@monthly",
    "@weekly",
    "@daily",
    "@midnight",
    "@hourly",
];

/// `schedule`.
pub(super) fn times(spec: &Place<'_>, errors: &mut Errors) {
    let schedule = spec.of("schedule");
    if schedule.is_empty() {
        return errors.required(schedule, "");
    }
    if let Err(what) = read(schedule.text()) {
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
    let known = || tz::db().is_definitively_empty() || TimeZone::get(zone.text()).is_ok();
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

fn read(text: &str) -> Result<(), String> {
    let zoned = ["TZ=", "CRON_TZ="]
        .iter()
        .any(|begin| text.starts_with(begin));
    let text = match text.split_once(' ') {
        Some((_, rest)) if zoned => rest.trim(),
        _ => text,
    };
    if let Some(lasts) = text.strip_prefix("@every ") {
        let what = || format!("failed to parse duration {text}: time: invalid duration {lasts:?}");
        // A negative one is taken, and means a second.
        let size = lasts.strip_prefix('-').unwrap_or(lasts);
        let signs = lasts.len() - size.len() + usize::from(size.starts_with('+'));
        let read = go_duration(size).filter(|_| signs < 2);
        return read.map(drop).ok_or_else(what);
    }
    if text.starts_with('@') {
        let known = NAMED.contains(&text);
        let what = || format!("unrecognized descriptor: {text}");
        return known.then_some(()).ok_or_else(what);
    }
    let given: Vec<_> = text.split_whitespace().collect();
    if given.len() != 5 {
        let all = given.join(" ");
        return Err(format!(
            "expected exactly 5 fields, found {}: [{all}]",
            given.len()
        ));
    }
    for (field, bounds) in given.iter().zip(FIELDS) {
        for range in field.split(',').filter(|range| !range.is_empty()) {
            part(range, bounds)?;
        }
    }
    Ok(())
}

fn part(text: &str, (least, most, names): (i64, i64, &[&str])) -> Result<(), String> {
    let parts: Vec<_> = text.split('/').collect();
    let ends: Vec<_> = parts[0].split('-').collect();
    let named = |text: &str| {
        let named = names
            .iter()
            .position(|name| name.eq_ignore_ascii_case(text));
        match named.and_then(|at| i64::try_from(at).ok()) {
            Some(at) => Ok(at + least),
            None => number(text),
        }
    };
    let (start, mut end) = match ends[..] {
        ["*" | "?", ..] => (least, most),
        [one] => (named(one)?, named(one)?),
        [from, to] => (named(from)?, named(to)?),
        _ => return Err(format!("too many hyphens: {text}")),
    };
    let step = match parts[..] {
        [_] => 1,
        [_, step] => number(step)?,
        _ => return Err(format!("too many slashes: {text}")),
    };
    if parts.len() == 2 && ends.len() == 1 {
        end = most;
    }
    if start < least {
        return Err(format!(
            "beginning of range ({start}) below minimum ({least}): {text}"
        ));
    }
    if end > most {
        return Err(format!(
            "end of range ({end}) above maximum ({most}): {text}"
        ));
    }
    if start > end {
        return Err(format!(
            "beginning of range ({start}) beyond end of range ({end}): {text}"
        ));
    }
    if step == 0 {
        return Err(format!("step of range should be a positive number: {text}"));
    }
    Ok(())
}

fn number(text: &str) -> Result<i64, String> {
    let number: i64 = text.parse().map_err(|_| {
        format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax")
    })?;
    if number < 0 {
        return Err(format!("negative number ({number}) not allowed: {text}"));
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_has_one_sign_at_most() {
        for taken in ["@every 5s", "@every -5s", "@every +1m30s"] {
            assert_eq!(read(taken), Ok(()), "{taken}");
        }
        for refused in ["@every --5s", "@every -+5s", "@every +-5s", "@every -"] {
            assert!(read(refused).is_err(), "{refused}");
        }
    }
}
