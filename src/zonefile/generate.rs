//! `$GENERATE FIRST-LAST[/STEP] ...`: a record for each number, which stands in the place of each `$`, as BIND has it.

use std::fmt::Write;

use crate::message::rdata::Word;

/// How many records one line makes at most: BIND's and CoreDNS's.
const MOST: u32 = 65_536;

/// The numbers of a range.
///
/// # Errors
/// What is wrong, for a person.
pub(super) fn numbers(range: &str) -> Result<impl Iterator<Item = u32> + use<>, String> {
    let wrong = || format!("'{range}' is no range such as 1-10 or 0-100/10");
    let (ends, step) = range.split_once('/').unwrap_or((range, "1"));
    let (first, last) = ends.split_once('-').ok_or_else(wrong)?;
    let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
    let (first, last, step) = (number(first)?, number(last)?, number(step)?);
    let steps = last
        .checked_sub(first)
        .and_then(|all| all.checked_div(step));
    if steps.ok_or_else(wrong)? >= MOST {
        return Err(format!("'{range}' has more than {MOST} numbers"));
    }
    let step = usize::try_from(step).map_err(|_| wrong())?;
    Ok((first..=last).step_by(step))
}

/// The words of the record of a number.
///
/// # Errors
/// What is wrong, for a person.
pub(super) fn with(words: &[Word], number: u32) -> Result<Vec<Word>, String> {
    let word = |word: &Word| {
        Ok(Word {
            text: filled(&word.text, number)?,
            ..word.clone()
        })
    };
    words.iter().map(word).collect()
}

fn filled(text: &str, number: u32) -> Result<String, String> {
    let (mut filled, mut rest) = (String::new(), text);
    while let Some(at) = rest.find(['$', '\\']) {
        let (before, found) = rest.split_at(at);
        filled += before;
        if let Some(escaped) = found.strip_prefix('\\') {
            let length = escaped.chars().next().map_or(0, char::len_utf8);
            filled += &found[..=length];
            rest = &escaped[length..];
            continue;
        }
        rest = &found[1..];
        if let Some(behind) = rest.strip_prefix('$') {
            filled.push('$');
            rest = behind;
            continue;
        }
        let form = rest.strip_prefix('{').and_then(|form| form.split_once('}'));
        match form {
            Some((form, behind)) => {
                shown(form, number, &mut filled)
                    .ok_or_else(|| format!("'${{{form}}}' is no form such as ${{0,3,d}}"))?;
                rest = behind;
            }
            None if rest.starts_with('{') => return Err(format!("'{text}': a `}}` is missing")),
            None => shown("0", number, &mut filled).ok_or("no number")?,
        }
    }
    Ok(filled + rest)
}

/// Writes a number as `OFFSET[,WIDTH[,BASE]]` says; `None`: that is none.
fn shown(form: &str, number: u32, into: &mut String) -> Option<()> {
    let mut parts = form.split(',');
    let offset: i64 = parts.next()?.parse().ok()?;
    let width: usize = parts.next().unwrap_or("0").parse().ok()?;
    let base = parts.next().unwrap_or("d");
    // Wider than any name.
    if width > 255 || parts.next().is_some() {
        return None;
    }
    let number = u64::try_from(i64::from(number).checked_add(offset)?).ok()?;
    let written = match base {
        "d" => write!(into, "{number:0width$}"),
        "o" => write!(into, "{number:0width$o}"),
        "x" => write!(into, "{number:0width$x}"),
        "X" => write!(into, "{number:0width$X}"),
        _ => return None,
    };
    written.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_in_the_place_of_each_dollar() {
        for (text, wanted) in [
            ("g$", "g17"),
            ("$.$", "17.17"),
            ("$$$", "$17"),
            ("a${-7}b", "a10b"),
            ("${3,4}", "0020"),
            ("${0,4,x}", "0011"),
            ("${0,0,o}", "21"),
            ("${10,1,X}", "1B"),
            (r"\$1", r"\$1"),
            (r"a\\$", r"a\\17"),
            ("none", "none"),
        ] {
            assert_eq!(filled(text, 17).as_deref(), Ok(wanted), "{text}");
        }
        for text in ["${", "${x}", "${0,1,q}", "${0,1,d,2}", "${-18}", "${0,256}"] {
            assert!(filled(text, 17).is_err(), "{text}");
        }
    }

    #[test]
    fn a_range_has_a_step_and_an_end() {
        let all = |range: &str| numbers(range).map(Iterator::collect::<Vec<_>>);
        assert_eq!(all("1-4"), Ok(vec![1, 2, 3, 4]));
        assert_eq!(all("0-10/5"), Ok(vec![0, 5, 10]));
        assert_eq!(all("7-7"), Ok(vec![7]));
        for range in ["4-1", "1", "1-", "a-b", "1-4/0", "-1-4", "0-65536"] {
            assert!(all(range).is_err(), "{range}");
        }
    }
}
