//! Values of records with a code of their own: digits of other bases, addresses of hardware, bitmaps, names for numbers.

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use super::value::{Octets, Word, counted, number, of_type};
use crate::name::Name;

/// Hexadecimal digits.
pub(super) fn hex(text: &str) -> Octets {
    let wrong = || format!("'{text}' is no whole number of hexadecimal octets");
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|digit| {
            digit
                .to_digit(16)
                .and_then(|digit| u8::try_from(digit).ok())
        })
        .collect();
    let digits = digits
        .filter(|digits| digits.len().is_multiple_of(2))
        .ok_or_else(wrong)?;
    let pairs = digits.chunks_exact(2);
    Ok(pairs.map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// RFC 4648 section 4, with padding or without.
pub(super) fn base64(text: &str) -> Octets {
    let digits = text.trim_end_matches('=');
    let octets = BASE64_STANDARD_NO_PAD.decode(digits);
    octets.map_err(|_| format!("'{text}' is no base64"))
}

/// `YYYYMMDDHHmmSS`, or seconds since 1970 (RFC 4034 section 3.2).
pub(super) fn date(text: &str) -> Octets {
    Ok(time(text)?.to_be_bytes().to_vec())
}

/// Seconds since 1970, modulo 2^32.
fn time(text: &str) -> Result<u32, String> {
    let wrong = || format!("'{text}' is no time");
    if text.len() != 14 || !text.bytes().all(|octet| octet.is_ascii_digit()) {
        return number(text, u32::MAX).map_err(|_| wrong());
    }
    let part = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let parts: [Option<i64>; 6] = [
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(8, 10),
        part(10, 12),
        part(12, 14),
    ];
    let [
        Some(year),
        Some(month @ 1..=12),
        Some(day @ 1..=31),
        Some(hour @ 0..=23),
        Some(minute @ 0..=59),
        Some(second @ 0..=59),
    ] = parts
    else {
        return Err(wrong());
    };
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > last {
        return Err(wrong());
    }
    // Days from 1970-01-01 of the proleptic Gregorian calendar; the year begins in March, so that its last day is the odd one.
    let (year, month) = if month < 3 {
        (year - 1, month + 9)
    } else {
        (year, month - 3)
    };
    let days = 365 * year + year / 4 - year / 100 + year / 400;
    let days = days + (153 * month + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    u32::try_from(seconds.rem_euclid(1 << 32)).map_err(|_| wrong())
}

/// Digits of base 32 that sort as what they stand for (RFC 4648 section 7), with their number of octets before them.
pub(super) fn hash(text: &str) -> Octets {
    let wrong = || format!("'{text}' is no base32hex");
    let (mut octets, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for digit in text.chars() {
        bits = (bits << 5 | digit.to_digit(32).ok_or_else(wrong)?) & 0xfff;
        held += 5;
        if held >= 8 {
            held -= 8;
            octets.push((bits >> held).to_be_bytes()[3]);
        }
    }
    counted(&octets)
}

/// `-` for none, or hexadecimal digits, with their number of octets before them (RFC 5155 section 3.3).
pub(super) fn salt(text: &str) -> Octets {
    let octets = if text == "-" { Vec::new() } else { hex(text)? };
    counted(&octets)
}

/// Six octets with dashes between them (RFC 7043 section 3.2).
pub(super) fn eui48(text: &str) -> Octets {
    parted(text, '-', 6, 2)
}

/// Eight octets with dashes between them (RFC 7043 section 4.2).
pub(super) fn eui64(text: &str) -> Octets {
    parted(text, '-', 8, 2)
}

/// Half of an IPv6 address: four numbers with colons between them (RFC 6742 sections 2.1.2 and 2.3.2).
pub(super) fn locator(text: &str) -> Octets {
    parted(text, ':', 4, 4)
}

/// So many parts, each of so many hexadecimal digits.
fn parted(text: &str, mark: char, parts: usize, digits: usize) -> Octets {
    let has: Vec<&str> = text.split(mark).collect();
    if has.len() != parts || has.iter().any(|part| part.len() != digits) {
        return Err(format!(
            "'{text}' is not {parts} times {digits} digits with `{mark}` between them"
        ));
    }
    hex(&has.concat())
}

/// Types, as a bitmap: windows of 256, each with the octets up to its last one (RFC 4034 section 4.1.2).
pub(super) fn types(words: &[Word], _: &Name) -> Octets {
    let words = words.iter().map(|word| of_type(&word.text));
    let mut types = words.collect::<Result<Vec<_>, _>>()?;
    types.sort_unstable();
    let mut octets = Vec::new();
    for window in types.chunk_by(|a, b| a >> 8 == b >> 8) {
        let mut bits = [0_u8; 32];
        for number in window {
            bits[usize::from(number & 0xff) / 8] |= 0x80 >> (number % 8);
        }
        let last = bits.iter().rposition(|octet| *octet != 0);
        let length = last.map_or(0, |last| last + 1);
        octets.push(window[0].to_be_bytes()[0]);
        octets.extend(counted(&bits[..length])?);
    }
    Ok(octets)
}

/// Kinds of certificates (RFC 4398 section 2.1).
const CERTIFICATES: &[(&str, u32)] = &[
    ("PKIX", 1),
    ("SPKI", 2),
    ("PGP", 3),
    ("IPKIX", 4),
    ("IPIX", 4),
    ("ISPKI", 5),
    ("IPGP", 6),
    ("ACPKIX", 7),
    ("IACPKIX", 8),
    ("URI", 253),
    ("OID", 254),
];

/// Algorithms of DNSSEC, as the registry ("DNS Security Algorithm Numbers") and Go's tools write them.
const ALGORITHMS: &[(&str, u32)] = &[
    ("RSAMD5", 1),
    ("DH", 2),
    ("DSA", 3),
    ("RSASHA1", 5),
    ("DSA-NSEC3-SHA1", 6),
    ("RSASHA1-NSEC3-SHA1", 7),
    ("RSASHA256", 8),
    ("RSASHA512", 10),
    ("ECC-GOST", 12),
    ("ECDSAP256SHA256", 13),
    ("ECDSAP384SHA384", 14),
    ("ED25519", 15),
    ("ED448", 16),
    ("INDIRECT", 252),
    ("PRIVATEDNS", 253),
    ("PRIVATEOID", 254),
];

/// A kind of certificate, by name or number.
pub(super) fn certificate(text: &str) -> Octets {
    Ok(named(text, CERTIFICATES, u16::MAX.into())?.to_be_bytes()[2..].to_vec())
}

/// An algorithm, by name or number.
pub(super) fn algorithm(text: &str) -> Octets {
    Ok(named(text, ALGORITHMS, u8::MAX.into())?.to_be_bytes()[3..].to_vec())
}

fn named(text: &str, names: &[(&str, u32)], most: u32) -> Result<u32, String> {
    let mut names = names.iter();
    match names.find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        Some((_, found)) => Ok(*found),
        None => number(text, most),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_seconds_since_1970() {
        assert_eq!(time("19700101000000"), Ok(0));
        assert_eq!(time("20000229235959"), Ok(951_868_799));
        assert_eq!(time("20380119031408"), Ok(2_147_483_648));
        assert_eq!(time("77"), Ok(77));
        for wrong in [
            "20001301000000",
            "20260231000000",
            "20260131240000",
            "20260131006000",
            "-026+1+1+1+1+1",
        ] {
            assert_eq!(time(wrong), Err(format!("'{wrong}' is no time")));
        }
    }
}
