//! What SVCB and HTTPS records say of a service: `KEY[=VALUE]` (RFC 9460).

use std::collections::BTreeMap;

use super::coded::base64;
use super::value::{Octets, Word, counted, number, u16, unescaped, v4, v6};
use crate::name::Name;

/// The keys that have a name, by number (section 14.3.2 and the registry).
const KEYS: [&str; 9] = [
    "mandatory",
    "alpn",
    "no-default-alpn",
    "port",
    "ipv4hint",
    "ech",
    "ipv6hint",
    "dohpath",
    "ohttp",
];

/// Keys with their values, by number, each once (sections 2.1 and 2.2).
pub(super) fn parameters(words: &[Word], _: &Name) -> Octets {
    let mut parameters = BTreeMap::new();
    let mut words = words.iter().peekable();
    while let Some(word) = words.next() {
        if word.is_quoted || word.is_glued {
            return Err(format!(
                "'{}': KEY, KEY=VALUE or KEY=\"VALUE\" was expected",
                word.text
            ));
        }
        let (key, mut value) = word.text.split_once('=').unwrap_or((&word.text, ""));
        if word.text.ends_with('=') && value.is_empty() {
            let quoted = words.next_if(|next| next.is_glued && next.is_quoted);
            value = quoted.map_or(value, |quoted| &quoted.text);
        }
        let number = numbered(key)?;
        let octets = value_of(number, value).map_err(|why| format!("`{key}`: {why}"))?;
        if parameters.insert(number, octets).is_some() {
            return Err(format!("`{key}` stands twice"));
        }
    }
    let mut octets = Vec::new();
    for (number, value) in parameters {
        let length = u16::try_from(value.len()).map_err(|_| "a value has 65535 octets at most")?;
        octets.extend(number.to_be_bytes());
        octets.extend(length.to_be_bytes());
        octets.extend(value);
    }
    Ok(octets)
}

/// The number of a key: of its name, or `key123`.
fn numbered(key: &str) -> Result<u16, String> {
    let named = KEYS.iter().position(|known| *known == key);
    let other = key
        .strip_prefix("key")
        .filter(|digits| !digits.starts_with('0'));
    // The last is reserved, and one with a name is to be written by it.
    let other = other.and_then(|digits| number(digits, u32::from(u16::MAX) - 1).ok());
    let other = other.and_then(|number| usize::try_from(number).ok());
    let found = named.or_else(|| other.filter(|number| *number >= KEYS.len()));
    let found = found.and_then(|number| u16::try_from(number).ok());
    found.ok_or_else(|| format!("'{key}' is no key"))
}

fn value_of(key: u16, value: &str) -> Octets {
    let listed = |read: fn(&str) -> Octets| {
        let all = value.split(',').map(read);
        Ok(all.collect::<Result<Vec<_>, _>>()?.concat())
    };
    let name = KEYS.get(usize::from(key)).copied();
    match name {
        Some("mandatory") => {
            let keys = value.split(',').map(numbered);
            let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
            keys.sort_unstable();
            Ok(keys.iter().flat_map(|key| key.to_be_bytes()).collect())
        }
        Some("alpn") => protocols(value),
        Some("no-default-alpn" | "ohttp") if !value.is_empty() => Err("it has no value".into()),
        Some("port") => u16(value),
        Some("ipv4hint") => listed(v4),
        Some("ipv6hint") => listed(v6),
        Some("ech") => base64(value),
        Some(_) | None => unescaped(value),
    }
}

/// A list with commas, each with its length before it; `\,` and `\\` belong to a member (appendix A.1).
fn protocols(value: &str) -> Octets {
    let text = unescaped(value)?;
    let (mut octets, mut member, mut rest) = (Vec::new(), Vec::new(), &text[..]);
    loop {
        let is_end = matches!(rest, [] | [b',', ..]);
        if is_end {
            if member.is_empty() {
                return Err("a protocol is missing".into());
            }
            octets.extend(counted(&member)?);
            member.clear();
        }
        rest = match rest {
            [] => return Ok(octets),
            [b',', behind @ ..] => behind,
            [b'\\', octet @ (b'\\' | b','), behind @ ..] => {
                member.push(*octet);
                behind
            }
            [b'\\', ..] => return Err("`\\` stands before neither `,` nor `\\`".into()),
            [octet, behind @ ..] => {
                member.push(*octet);
                behind
            }
        };
    }
}
