//! LOC: where something is on the earth, and how large it is (RFC 1876).

use super::value::{NOT_WHOLE, Octets, Word, number};
use crate::name::Name;

/// The equator, and the prime meridian, in thousandths of a second of arc (section 2).
const MIDDLE: u32 = 1 << 31;

/// One degree in the same.
const DEGREE: u32 = 3_600_000;

/// A size of 1 m, and precisions of 10 km and 10 m, which stand for what is left out (section 3).
const SIZES: [u8; 3] = [0x12, 0x16, 0x13];

/// `D [M [S]] N|S D [M [S]] E|W ALTITUDE [SIZE [HORIZONTAL [VERTICAL]]]` (section 3).
pub(super) fn location(words: &[Word], _: &Name) -> Octets {
    let mut words = words.iter().map(|word| word.text.as_str());
    let latitude = angle(&mut words, 90, ["N", "S"])?;
    let longitude = angle(&mut words, 180, ["E", "W"])?;
    let altitude = altitude(words.next().ok_or(NOT_WHOLE)?)?;
    // The version of the form.
    let mut octets = vec![0];
    for default in SIZES {
        octets.push(words.next().map_or(Ok(default), size)?);
    }
    if words.next().is_some() {
        return Err("there is something behind the record".into());
    }
    for number in [latitude, longitude, altitude] {
        octets.extend(number.to_be_bytes());
    }
    Ok(octets)
}

fn angle<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    most: u32,
    sides: [&str; 2],
) -> Result<u32, String> {
    let mut next = || words.next().ok_or(NOT_WHOLE);
    let is_side = |word: &str| sides.iter().any(|side| side.eq_ignore_ascii_case(word));
    let mut angle = number(next()?, most)? * DEGREE;
    let mut word = next()?;
    if !is_side(word) {
        angle += number(word, 59)? * (DEGREE / 60);
        word = next()?;
    }
    if !is_side(word) {
        angle += seconds(word)?;
        word = next()?;
    }
    if angle > most * DEGREE {
        return Err(format!("{most} degrees are the most"));
    }
    match sides.map(|side| side.eq_ignore_ascii_case(word)) {
        [true, _] => Ok(MIDDLE + angle),
        [_, true] => Ok(MIDDLE - angle),
        [false, false] => Err(format!("'{word}' is neither {} nor {}", sides[0], sides[1])),
    }
}

/// Seconds in thousandths.
fn seconds(word: &str) -> Result<u32, String> {
    let seconds = word.parse::<f64>().ok();
    let seconds = seconds.filter(|seconds| (0.0..60.0).contains(seconds));
    let seconds = seconds.ok_or_else(|| format!("'{word}' is no number of seconds below 60"))?;
    Ok((1000.0 * seconds) as u32)
}

/// Metres, as centimetres above 100,000 m below the sea's level.
fn altitude(word: &str) -> Result<u32, String> {
    let metres = word.strip_suffix(['m', 'M']).unwrap_or(word).parse::<f64>();
    let metres = metres.ok().filter(|metres| metres.is_finite());
    let metres = metres.ok_or_else(|| format!("'{word}' is no altitude in metres"))?;
    Ok((metres * 100.0 + 10_000_000.0 + 0.5) as u32)
}

/// Metres, as a digit and a power of ten centimetres.
fn size(word: &str) -> Result<u8, String> {
    const MOST: u32 = 90_000_000;
    let wrong = |_| format!("'{word}' is no size in metres, {MOST} at most");
    let digits = word.strip_suffix(['m', 'M']).unwrap_or(word);
    let (metres, centimetres) = match digits.split_once('.') {
        None => (number(digits, MOST).map_err(wrong)?, 0),
        Some((_, part)) if part.len() > 2 => return Err(wrong(String::new())),
        Some((metres, part)) => {
            let part = format!("{part}{}", if part.len() == 1 { "0" } else { "" });
            let metres = if metres.is_empty() { "0" } else { metres };
            let most = if part == "00" { MOST } else { MOST - 1 };
            (
                number(metres, most).map_err(wrong)?,
                number(&part, 99).map_err(wrong)?,
            )
        }
    };
    let (mut digit, mut power) = if metres > 0 {
        (metres, 2)
    } else {
        (centimetres, 0)
    };
    while digit >= 10 {
        digit /= 10;
        power += 1;
    }
    Ok((digit << 4 | power).to_be_bytes()[3])
}
