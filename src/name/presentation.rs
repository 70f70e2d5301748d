//! Names as text (RFC 1035 section 5.1).

use super::Name;

/// Text that is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoName {
    /// Nothing stands between two dots.
    #[error("a label is empty")]
    EmptyLabel,
    /// Nothing, or a number above 255, stands behind a backslash.
    #[error("a backslash has no octet behind it")]
    Escape,
    /// A label has more than 63 octets, or all of it more than 255 (RFC 1035 section 2.3.4).
    #[error("a label has more than 63 octets, or the name more than 255")]
    TooLong,
}

/// Reads an absolute name from text; the final dot is optional. A label may have any octets (RFC 2181 section 11):
/// `\\DDD` is one in decimal, `\\X` is X.
///
/// # Errors
/// Text that is no name.
pub fn absolute(text: &str) -> Result<Name, NoName> {
    if matches!(text, "" | ".") {
        return Ok(Name::root());
    }
    let mut octets = text.bytes();
    let (mut labels, mut label) = (Vec::new(), Vec::new());
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => label.push(escaped(&mut octets)?),
            b'.' => labels.push(std::mem::take(&mut label)),
            octet => label.push(octet),
        }
    }
    if !label.is_empty() {
        labels.push(label);
    }
    if labels.iter().any(Vec::is_empty) {
        return Err(NoName::EmptyLabel);
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).map_err(|_| NoName::TooLong)
}

/// The octet behind a backslash.
fn escaped(octets: &mut std::str::Bytes<'_>) -> Result<u8, NoName> {
    let first = octets.next().ok_or(NoName::Escape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut number = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit);
        number = number * 10 + u16::from(digit.ok_or(NoName::Escape)? - b'0');
    }
    u8::try_from(number).map_err(|_| NoName::Escape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::wire;

    fn read(text: &str) -> Result<Vec<u8>, NoName> {
        absolute(text).map(|name| wire(&name).to_vec())
    }

    #[test]
    fn a_name_is_read_with_any_octets_in_its_labels() {
        for (text, octets) in [
            ("", &b"\0"[..]),
            (".", b"\0"),
            ("a.Test", b"\x01a\x04Test\0"),
            ("a.test.", b"\x01a\x04test\0"),
            ("-x.0/25.test", b"\x02-x\x040/25\x04test\0"),
            (r"a\.b.test", b"\x03a.b\x04test\0"),
            (r"\252.test", b"\x01\xfc\x04test\0"),
            (r"\\\000.test", b"\x02\\\0\x04test\0"),
            ("xn--zzzz--.test", b"\x0axn--zzzz--\x04test\0"),
            ("b\u{fc}.test", b"\x03b\xc3\xbc\x04test\0"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(octets), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_name_is_none() {
        let long = "a".repeat(64);
        let longer = "a.".repeat(128);
        for (text, error) in [
            ("a..b", NoName::EmptyLabel),
            (".a", NoName::EmptyLabel),
            ("..", NoName::EmptyLabel),
            (r"a\", NoName::Escape),
            (r"a\25", NoName::Escape),
            (r"a\256", NoName::Escape),
            (&long, NoName::TooLong),
            (&longer, NoName::TooLong),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for octet in 0..=255_u8 {
            let wire = [1, octet, 1, b'x', 0];
            let qname = crate::name::Qname::read(&wire).unwrap();
            assert_eq!(read(&qname.to_string()).unwrap(), wire, "{octet}");
        }
    }
}
