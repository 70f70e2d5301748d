//! Values as they are written in records: names, times, numbers, texts and octets (RFC 1035 section 5.1).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::message::types::type_named;
use crate::name::{Name, absolute, join};

/// A word as it is written, without its quotation marks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// With its escapes.
    pub text: String,
    /// It stood in quotation marks.
    pub is_quoted: bool,
    /// Nothing stood between the word before and this one.
    pub is_glued: bool,
}

/// Octets of a record's data, or what is wrong with the text, for a person.
pub(super) type Octets = Result<Vec<u8>, String>;

pub(super) const NOT_WHOLE: &str = "the record is not whole";

/// The number of a type's name: the registry's, or `TYPE123` (RFC 3597 section 5).
pub(super) fn numbered(rtype: &str) -> Option<u16> {
    let numbered = rtype
        .get(..4)
        .filter(|head| head.eq_ignore_ascii_case("TYPE"));
    match numbered.map(|_| number(&rtype[4..], u16::MAX.into())) {
        Some(Ok(number)) => u16::try_from(number).ok(),
        Some(Err(_)) | None => type_named(rtype).map(u16::from),
    }
}

/// A name of text; without a final dot it ends in `origin`, which is `@` too.
///
/// # Errors
/// Text that is no name.
pub fn name(text: &str, origin: &Name) -> Result<Name, String> {
    if text == "@" {
        return Ok(origin.clone());
    }
    let no_name = |why: &dyn std::fmt::Display| format!("'{text}' is no name: {why}");
    let name = absolute(text).map_err(|error| no_name(&error))?;
    let before = text.strip_suffix('.').unwrap_or_default();
    let escapes = before.bytes().rev().take_while(|octet| *octet == b'\\');
    if text.ends_with('.') && escapes.count() % 2 == 0 {
        return Ok(name);
    }
    let labels: Vec<&[u8]> = name.iter().collect();
    join(&labels, origin).ok_or_else(|| no_name(&"the name has more than 255 octets"))
}

/// Seconds, as a number or as BIND writes them: `1w2d3h4m5s`; what has no unit at the end is seconds too, as in CoreDNS.
#[must_use]
pub fn seconds(text: &str) -> Option<u32> {
    let (mut all, mut rest) = (0_u32, text);
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, behind) = rest.split_at(digits);
        let unit = match behind.as_bytes().first().map(u8::to_ascii_lowercase) {
            Some(b's') | None => 1,
            Some(b'm') => 60,
            Some(b'h') => 3600,
            Some(b'd') => 86_400,
            Some(b'w') => 604_800,
            Some(_) => return None,
        };
        all = all.checked_add(number.parse::<u32>().ok()?.checked_mul(unit)?)?;
        rest = behind.get(1..).unwrap_or_default();
    }
    Some(all).filter(|_| !text.is_empty())
}

/// A number in decimal digits.
pub(super) fn number(text: &str, most: u32) -> Result<u32, String> {
    let number = text.parse().ok();
    number
        .filter(|number| *number <= most && !text.starts_with('+'))
        .ok_or_else(|| format!("'{text}' is no number from 0 to {most}"))
}

pub(super) fn u8(text: &str) -> Octets {
    Ok(number(text, u8::MAX.into())?.to_be_bytes()[3..].to_vec())
}

pub(super) fn u16(text: &str) -> Octets {
    Ok(number(text, u16::MAX.into())?.to_be_bytes()[2..].to_vec())
}

pub(super) fn u32(text: &str) -> Octets {
    Ok(number(text, u32::MAX)?.to_be_bytes().to_vec())
}

/// Seconds, or `1h30m`.
pub(super) fn duration(text: &str) -> Octets {
    let seconds = seconds(text).ok_or_else(|| format!("'{text}' is no time"))?;
    Ok(seconds.to_be_bytes().to_vec())
}

pub(super) fn v4(text: &str) -> Octets {
    let ip = text.parse::<Ipv4Addr>();
    let ip = ip.map_err(|_| format!("'{text}' is no IPv4 address"))?;
    Ok(ip.octets().to_vec())
}

pub(super) fn v6(text: &str) -> Octets {
    let ip = text.parse::<Ipv6Addr>();
    let ip = ip.map_err(|_| format!("'{text}' is no IPv6 address"))?;
    Ok(ip.octets().to_vec())
}

pub(super) fn of_type(text: &str) -> Result<u16, String> {
    numbered(text).ok_or_else(|| format!("'{text}' is no type"))
}

/// A type, by its name.
pub(super) fn rtype(text: &str) -> Octets {
    Ok(of_type(text)?.to_be_bytes().to_vec())
}

/// Octets with their number before them, at most 255 (RFC 1035 section 3.3).
pub(super) fn counted(octets: &[u8]) -> Octets {
    let length = u8::try_from(octets.len()).map_err(|_| "a text has 255 octets at most")?;
    Ok([&[length], octets].concat())
}

/// A text with its length before it.
pub(super) fn text(word: &str) -> Octets {
    counted(&unescaped(word)?)
}

/// A number with a point, as a text.
pub(super) fn decimal(word: &str) -> Octets {
    let number = word.parse::<f64>();
    number.map_err(|_| format!("'{word}' is no number"))?;
    text(word)
}

/// Texts, each with its length before it; one that is too long for that is several, as in CoreDNS.
pub(super) fn texts(words: &[Word], _: &Name) -> Octets {
    let mut octets = Vec::new();
    for word in words {
        let text = unescaped(&word.text)?;
        if text.is_empty() {
            octets.push(0);
        }
        for part in text.chunks(u8::MAX.into()) {
            octets.extend(counted(part)?);
        }
    }
    if words.is_empty() {
        return Err(NOT_WHOLE.into());
    }
    Ok(octets)
}

/// Two texts, as CoreDNS reads them: the second is what is left, the first may hold both, and the second may be missing.
pub(super) fn pair(words: &[Word], _: &Name) -> Octets {
    let texts: Vec<&str> = match words {
        [] => return Err(NOT_WHOLE.into()),
        [only] => only.text.split_ascii_whitespace().collect(),
        several => several.iter().map(|word| word.text.as_str()).collect(),
    };
    let (first, others) = texts.split_first().unwrap_or((&"", &[]));
    Ok([text(first)?, text(&others.join(" "))?].concat())
}

/// The octets of a word (RFC 1035 section 5.1): `\DDD` is one in decimal, `\X` is X.
pub(super) fn unescaped(word: &str) -> Result<Vec<u8>, String> {
    let (mut octets, mut rest) = (Vec::new(), word.as_bytes());
    while let [first, others @ ..] = rest {
        let (octet, behind) = match (first, others) {
            (b'\\', [a, b, c, behind @ ..]) if [a, b, c].iter().all(|c| c.is_ascii_digit()) => {
                let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
                let number = u8::try_from(100 * a + 10 * b + c);
                let error = |_| format!("'{word}': an octet is 255 at most");
                (number.map_err(error)?, behind)
            }
            (b'\\', [octet, behind @ ..]) => (*octet, behind),
            (octet, behind) => (*octet, behind),
        };
        octets.push(octet);
        rest = behind;
    }
    Ok(octets)
}
