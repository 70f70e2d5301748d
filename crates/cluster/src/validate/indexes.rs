//! Numbers of an Indexed Job as text: `1,3-5`.

/// A run of numbers: its first and its last.
type Run = (i64, i64);

/// How many numbers the text means.
///
/// # Errors
/// What is wrong with it, as Kubernetes' `validateIndexesFormat` says it.
pub(super) fn total(text: &str, completions: i64) -> Result<i64, String> {
    let (mut total, mut last) = (0, None::<i64>);
    for part in text.split(',').filter(|_| !text.is_empty()) {
        let (from, to) = run(part, completions)?;
        in_order(last, from)?;
        total += to - from + 1;
        last = Some(to);
    }
    Ok(total)
}

fn in_order(previous: Option<i64>, current: i64) -> Result<(), String> {
    match previous {
        Some(previous) if previous >= current => Err(format!(
            "non-increasing order, previous: {previous}, current: {current}"
        )),
        Some(_) | None => Ok(()),
    }
}

fn run(part: &str, completions: i64) -> Result<Run, String> {
    let number = |text: &str| match text.parse::<i64>() {
        Ok(number) if number >= completions => Err(format!("too large index: {text:?}")),
        Ok(number) => Ok(number),
        Err(_) => Err(format!(
            "cannot convert string to integer for index: {text:?}"
        )),
    };
    match part.split('-').collect::<Vec<_>>()[..] {
        [one] => number(one).map(|one| (one, one)),
        [from, to] => {
            let (from, to) = (number(from)?, number(to)?);
            in_order(Some(from), to)?;
            Ok((from, to))
        }
        _ => Err(format!(
            "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

/// The first number that both texts mean; what cannot be read of them is passed over.
pub(super) fn overlap(completed: &str, failed: &str, completions: i64) -> Option<i64> {
    let runs = |text: &str| -> Vec<Run> {
        let parts = text.split(',');
        parts
            .filter_map(|part| run(part, completions).ok())
            .collect()
    };
    let (mut completed, mut failed) = (runs(completed), runs(failed));
    completed.sort_unstable();
    failed.sort_unstable();
    let (mut completed, mut failed) = (
        completed.into_iter().peekable(),
        failed.into_iter().peekable(),
    );
    while let (Some((from, to)), Some((first, last))) = (completed.peek(), failed.peek()) {
        if from <= last && first <= to {
            return Some(*from.max(first));
        }
        if to < first {
            completed.next();
        } else {
            failed.next();
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_counted_or_it_is_said_what_is_wrong() {
        let wrong = [
            (
                "1-2-3",
                "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
            ),
            ("x", "cannot convert string to integer for index: \"x\""),
            ("3,", "cannot convert string to integer for index: \"\""),
            ("2-9", "too large index: \"9\""),
            ("2-2", "non-increasing order, previous: 2, current: 2"),
            ("2-4,4", "non-increasing order, previous: 4, current: 4"),
        ];
        for (text, what) in wrong {
            assert_eq!(total(text, 9), Err(what.to_owned()), "{text}");
        }
        for (text, many) in [("", 0), ("3", 1), ("0,2-4,8", 5)] {
            assert_eq!(total(text, 9), Ok(many), "{text}");
        }
    }

    #[test]
    fn what_has_succeeded_has_not_failed() {
        assert_eq!(overlap("0,4-6", "1-3,7", 9), None);
        assert_eq!(overlap("0,4-6", "1-3,6-7", 9), Some(6));
        assert_eq!(overlap("", "1", 9), None);
    }
}
