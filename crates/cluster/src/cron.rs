//! When a CronJob's Jobs are due, as robfig/cron v3 reads and reckons it, in its words.

use std::time::Duration;

use headless_objects::go_duration;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan, Zoned};

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

/// Schedules with a name.
const NAMED: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Marks a field that any number fits: days of the month and of the week are then asked for together.
const ANY: u64 = 1 << 63;

/// In how many years a time is looked for.
const YEARS: i16 = 5;

/// When something is due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Schedule {
    /// At these minutes, hours, days, months and days of the week, each a set of bits.
    At([u64; 5]),
    /// Again and again, after as long.
    Every(Duration),
}

impl Schedule {
    /// Reads a schedule; a time zone before it is passed over.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        let zoned = ["TZ=", "CRON_TZ="]
            .iter()
            .any(|begin| text.starts_with(begin));
        let text = match text.split_once(' ') {
            Some((_, rest)) if zoned => rest.trim(),
            _ => text,
        };
        if let Some(lasts) = text.strip_prefix("@every ") {
            return period(text, lasts);
        }
        if text.starts_with('@') {
            let named = NAMED.iter().find(|(name, _)| *name == text);
            let (_, same) = named.ok_or_else(|| format!("unrecognized descriptor: {text}"))?;
            return fields(same);
        }
        fields(text)
    }

    /// The first time after this one that is due, in this time zone; `None`: there is none within five years.
    pub(crate) fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let after = Timestamp::from_second(after.as_second()).ok()?;
        match self {
            Self::Every(period) => after.checked_add(*period).ok(),
            Self::At(fields) => at(fields, after.checked_add(1.second()).ok()?, zone),
        }
    }
}

/// The time zone of this name; the database's own letters count.
pub(crate) fn zone(name: &str) -> Option<TimeZone> {
    let zone = TimeZone::get(name).ok()?;
    (zone.iana_name() == Some(name)).then_some(zone)
}

/// The first time from this one on that fits. What a clock skips when summer begins is not due, what it shows twice when
/// summer ends is due twice.
fn at(fields: &[u64; 5], from: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let [minutes, hours, _, months, _] = fields;
    let mut time = from.to_zoned(zone.clone());
    let last = time.year().saturating_add(YEARS);
    while time.year() <= last {
        let (minute, second) = (i64::from(time.minute()), i64::from(time.second()));
        time = if !has(*months, time.month()) {
            let month = time.first_of_month().ok()?;
            month.checked_add(1.month()).ok()?.start_of_day().ok()?
        } else if !is_day(fields, &time) {
            time.tomorrow().ok()?.start_of_day().ok()?
        } else if !has(*hours, time.hour()) {
            let left = 3_600 - 60 * minute - second;
            time.checked_add(left.seconds()).ok()?
        } else if !has(*minutes, time.minute()) || second > 0 {
            time.checked_add((60 - second).seconds()).ok()?
        } else {
            return Some(time.timestamp());
        };
    }
    None
}

fn has(bits: u64, number: i8) -> bool {
    u32::try_from(number).is_ok_and(|number| bits >> number & 1 == 1)
}

fn is_day([_, _, of_month, _, of_week]: &[u64; 5], time: &Zoned) -> bool {
    let month = has(*of_month, time.day());
    let week = has(*of_week, time.weekday().to_sunday_zero_offset());
    if (of_month | of_week) & ANY > 0 {
        month && week
    } else {
        month || week
    }
}

/// `@every`: at least a second, in whole seconds.
fn period(text: &str, lasts: &str) -> Result<Schedule, String> {
    // A negative one is taken, and means a second.
    let size = lasts.strip_prefix('-').unwrap_or(lasts);
    let signs = lasts.len() - size.len() + usize::from(size.starts_with('+'));
    let read = go_duration(size).filter(|_| signs < 2);
    let period = read.ok_or_else(|| {
        format!("failed to parse duration {text}: time: invalid duration {lasts:?}")
    })?;
    let seconds = if lasts.starts_with('-') {
        1
    } else {
        period.as_secs().max(1)
    };
    Ok(Schedule::Every(Duration::from_secs(seconds)))
}

fn fields(text: &str) -> Result<Schedule, String> {
    let given: Vec<_> = text.split_whitespace().collect();
    if given.len() != FIELDS.len() {
        let all = given.join(" ");
        return Err(format!(
            "expected exactly 5 fields, found {}: [{all}]",
            given.len()
        ));
    }
    let mut all = [0; FIELDS.len()];
    for ((bits, field), bounds) in all.iter_mut().zip(given).zip(FIELDS) {
        for range in field.split(',').filter(|range| !range.is_empty()) {
            *bits |= part(range, bounds)?;
        }
    }
    Ok(Schedule::At(all))
}

/// The numbers of a range, as bits.
fn part(text: &str, (least, most, names): (i64, i64, &[&str])) -> Result<u64, String> {
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
    checked(text, (least, most), (start, end, step))?;
    let is_any = ["*", "?"].contains(&ends[0]) && step == 1;
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    let numbers = (start..=end).step_by(step);
    let bits = numbers.fold(0, |bits, number| bits | 1 << number);
    Ok(if is_any { bits | ANY } else { bits })
}

fn checked(
    text: &str,
    (least, most): (i64, i64),
    (start, end, step): (i64, i64, i64),
) -> Result<(), String> {
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
        for (taken, seconds) in [("@every 5s", 5), ("@every -5s", 1), ("@every +1m30s", 90)] {
            let period = Schedule::Every(Duration::from_secs(seconds));
            assert_eq!(Schedule::read(taken), Ok(period), "{taken}");
        }
        for refused in ["@every --5s", "@every -+5s", "@every +-5s", "@every -"] {
            assert!(Schedule::read(refused).is_err(), "{refused}");
        }
    }

    /// The next three times that are due, after this one, in this zone.
    fn due(schedule: &str, after: &str, zone: &str) -> Vec<String> {
        let zone = TimeZone::get(zone).unwrap();
        let schedule = Schedule::read(schedule).unwrap();
        let mut at: Timestamp = after.parse().unwrap();
        let mut all = Vec::new();
        while let Some(next) = schedule.next(at, &zone).filter(|_| all.len() < 3) {
            all.push(next.to_zoned(zone.clone()).strftime("%F %R%z").to_string());
            at = next;
        }
        all
    }

    #[test]
    fn what_is_due_next_fits_every_field() {
        // Of the days of the month and of the week either will do, where both are asked for; a step is not any.
        const CASES: &str = "
            * * * * *                    | 2026-02-27 10:08 | 2026-02-27 10:09 | 2026-02-27 10:10
            7/20 10 * * *                | 2026-02-27 10:27 | 2026-02-27 10:47 | 2026-02-28 10:07
            @hourly                      | 2026-02-27 11:00 | 2026-02-27 12:00 | 2026-02-27 13:00
            @weekly                      | 2026-03-01 00:00 | 2026-03-08 00:00 | 2026-03-15 00:00
            0 0 29 2 ?                   | 2028-02-29 00:00 | 2032-02-29 00:00 | 2036-02-29 00:00
            0 9 1,15 * MON               | 2026-03-01 09:00 | 2026-03-02 09:00 | 2026-03-09 09:00
            0 9 */2 * MON                | 2026-03-01 09:00 | 2026-03-02 09:00 | 2026-03-03 09:00
            0 9 * * MON                  | 2026-03-02 09:00 | 2026-03-09 09:00 | 2026-03-16 09:00
            30 6-16/4 * jan-mar mon-fri  | 2026-02-27 10:30 | 2026-02-27 14:30 | 2026-03-02 06:30";
        let after = "2026-02-27T10:07:30.5Z";
        for case in CASES.trim().lines() {
            let mut parts = case.split('|').map(str::trim);
            let schedule = parts.next().unwrap();
            let wanted: Vec<_> = parts.map(|time| format!("{time}+0000")).collect();
            assert_eq!(due(schedule, after, "UTC"), wanted, "{schedule}");
        }
        assert_eq!(due("59 23 31 2 *", after, "UTC"), Vec::<String>::new());
    }

    #[test]
    fn what_a_clock_skips_is_not_due_and_what_it_shows_twice_is_due_twice() {
        let in_berlin = |after| due("30 2 * * *", after, "Europe/Berlin");
        assert_eq!(
            in_berlin("2026-03-28T12:00:00Z"),
            [
                "2026-03-30 02:30+0200",
                "2026-03-31 02:30+0200",
                "2026-04-01 02:30+0200"
            ]
        );
        assert_eq!(
            in_berlin("2026-10-24T12:00:00Z"),
            [
                "2026-10-25 02:30+0200",
                "2026-10-25 02:30+0100",
                "2026-10-26 02:30+0100"
            ]
        );
    }
}
