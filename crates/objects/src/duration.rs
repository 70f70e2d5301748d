//! Durations as Go writes them: `5s`, `1m30s`, `300ms`, `1.5h`; and ages as kubectl does.

use std::time::Duration;

/// Reads a Go duration; `None` where it is none. A negative one is none here: no setting has use for it.
#[must_use]
pub fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..end].parse().ok()?;
        rest = &rest[end..];
        let end = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        seconds += number
            * match &rest[..end] {
                "ns" => 1e-9,
                "us" | "µs" | "μs" => 1e-6,
                "ms" => 1e-3,
                "s" => 1.0,
                "m" => 60.0,
                "h" => 3600.0,
                _ => return None,
            };
        rest = &rest[end..];
    }
    Duration::try_from_secs_f64(seconds).ok()
}

/// Seconds as kubectl shows an age (`HumanDuration` of k8s.io/apimachinery): `5s`, `2m10s`, `3h`, `4d`.
#[must_use]
pub fn age(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let with = |whole: u64, unit: &str, rest: u64, small: &str| {
        if rest == 0 {
            format!("{whole}{unit}")
        } else {
            format!("{whole}{unit}{rest}{small}")
        }
    };
    match seconds {
        ..120 => format!("{seconds}s"),
        120..600 => with(minutes, "m", seconds % 60, "s"),
        600..10_800 => format!("{minutes}m"),
        10_800..28_800 => with(hours, "h", minutes % 60, "m"),
        28_800..172_800 => format!("{hours}h"),
        172_800..691_200 => with(days, "d", hours % 24, "h"),
        _ => format!("{days}d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_durations_are_read_and_others_refused() {
        for (text, ms) in [
            ("5s", 5_000),
            ("1m30s", 90_000),
            ("300ms", 300),
            ("1.5h", 5_400_000),
            ("0", 0),
            ("0s", 0),
        ] {
            assert_eq!(go_duration(text), Some(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "5", "s", "-5s", "5 s", "5x", "1..5s"] {
            assert_eq!(go_duration(text), None, "{text}");
        }
    }
    #[test]
    fn ages_read_as_kubectl_s() {
        let (minute, hour, day) = (60, 3600, 86_400);
        for (seconds, wanted) in [
            (5, "5s"),
            (119, "119s"),
            (2 * minute, "2m"),
            (2 * minute + 10, "2m10s"),
            (30 * minute, "30m"),
            (3 * hour + 30 * minute, "3h30m"),
            (9 * hour + 1, "9h"),
            (4 * day + 2 * hour, "4d2h"),
            (8 * day + hour, "8d"),
        ] {
            assert_eq!(age(seconds), wanted);
        }
    }
}
