//! The options of an OPT record: each a code, a length and its octets (RFC 6891 section 6.1.2).

/// A server's name for itself (RFC 5001 section 2.1).
pub const NSID: u16 = 3;

/// A client's cookie, and a server's (RFC 7873 section 4).
pub const COOKIE: u16 = 10;

/// A client's network (RFC 7871 section 6).
pub const CLIENT_SUBNET: u16 = 8;

/// All options but those of one code.
#[must_use]
pub fn without(octets: &[u8], code: u16) -> Vec<u8> {
    let others = each(octets).filter(|(other, _)| *other != code);
    let others = others.filter_map(|(code, data)| written(code, data));
    others.flatten().collect()
}

/// The options up to the first that is not whole.
pub fn each(mut octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let (&[c0, c1, l0, l1], rest) = octets.split_first_chunk()?;
        let (data, next) = rest.split_at_checked(u16::from_be_bytes([l0, l1]).into())?;
        octets = next;
        Some((u16::from_be_bytes([c0, c1]), data))
    })
}

/// Whether every option is whole.
#[must_use]
pub fn are_whole(octets: &[u8]) -> bool {
    let lengths = each(octets).map(|(code, data)| size_of_val(&code) + 2 + data.len());
    lengths.sum::<usize>() == octets.len()
}

/// An option as it is written; `None` where its data are more than 65,535 octets.
#[must_use]
pub fn written(code: u16, data: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(data.len()).ok()?;
    Some([&code.to_be_bytes(), &length.to_be_bytes(), data].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_as_they_are_written_up_to_one_that_is_not_whole() {
        let octets = [written(NSID, b"").unwrap(), written(0xffee, b"ab").unwrap()].concat();
        assert_eq!(octets, [0, 3, 0, 0, 0xff, 0xee, 0, 2, b'a', b'b']);
        let read = |octets| each(octets).collect::<Vec<_>>();
        assert_eq!(read(&octets), [(NSID, &b""[..]), (0xffee, b"ab")]);
        assert!(are_whole(&octets) && are_whole(b""));
        for cut in [1, 3, 9] {
            assert!(!are_whole(&octets[..cut]), "{cut}");
        }
        assert_eq!(read(&octets[..9]), [(NSID, &b""[..])]);
        assert_eq!(written(NSID, &[0; 65_536]), None);
    }
}
