//! Data of records, from text to octets and back.

use super::*;
use crate::message::text::words;

fn origin() -> Name {
    absolute("z.test").unwrap()
}

fn data(text: &str) -> Result<RData, String> {
    let words = words(text)?;
    read(&words[0].text, &words[1..], &origin())
}

/// The octets of a record's data.
fn octets(text: &str) -> Vec<u8> {
    let record = Record::from_rdata(Name::root(), 0, data(text).unwrap());
    let query = crate::message::question::Query {
        transport: crate::message::question::Transport::Tcp,
        ..crate::message::question::Query::plain(
            crate::message::question::Question::new(Name::root(), 1.into()),
            ([127, 0, 0, 1], 53).into(),
        )
    };
    let wire = crate::message::encode_transfer(&query, &[record], true);
    // Header, question, and the head of the record, whose owner is the root.
    wire[12 + 5 + 11..].to_vec()
}

#[test]
fn a_name_without_a_final_dot_ends_in_the_origin() {
    for (text, wanted) in [
        ("@", "z.test."),
        ("a", "a.z.test."),
        ("a.b", "a.b.z.test."),
        ("a.", "a."),
        (r"a\\.", r"a\\."),
        (".", "."),
    ] {
        assert_eq!(name(text, &origin()).unwrap().to_string(), wanted, "{text}");
    }
    let dotted = name(r"a\.", &origin()).unwrap();
    assert_eq!(dotted.iter().next(), Some(&b"a."[..]));
    let long = format!("{}x", "x".repeat(62) + &".x".repeat(94));
    assert!(name(&long, &origin()).is_err());
}

#[test]
fn each_type_s_fields_become_its_octets() {
    for (text, wanted) in [
        ("MX 10 mail.", &b"\x00\x0a\x04mail\x00"[..]),
        ("DNAME t.", b"\x01t\x00"),
        ("DS 12345 8 2 49FD 46e6", b"\x30\x39\x08\x02\x49\xfd\x46\xe6"),
        ("DNSKEY 257 3 8 AwEA AQ==", b"\x01\x01\x03\x08\x03\x01\x00\x01"),
        ("CAA 0 issue \"ca.test\"", b"\x00\x05issueca.test"),
        ("NAPTR 1 2 \"S\" \"\" \"\" a.", b"\x00\x01\x00\x02\x01S\x00\x00\x01a\x00"),
        ("RP a. b.", b"\x01a\x00\x01b\x00"),
        ("SSHFP 1 1 0a0b", b"\x01\x01\x0a\x0b"),
        ("TXT a \"b c\" \"\"", b"\x01a\x03b c\x00"),
        ("URI 1 2 \"x:y\"", b"\x00\x01\x00\x02x:y"),
        (
            // The example of RFC 4034 section 4.3.
            "NSEC host.example.com. A MX RRSIG NSEC TYPE1234",
            b"\x04host\x07example\x03com\x00\x00\x06\x40\x01\x00\x00\x00\x03\x04\x1b\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x20",
        ),
        (
            "RRSIG A 5 3 86400 20030322173103 20030220173103 2642 e. oJB1",
            b"\x00\x01\x05\x03\x00\x01\x51\x80\x3e\x7c\x9d\xd7\x3e\x55\x10\xd7\x0a\x52\x01e\x00\xa0\x90\x75",
        ),
        (r"TYPE65280 \# 3 0102 03", b"\x01\x02\x03"),
        (r"A \# 4 0a000001", b"\x0a\x00\x00\x01"),
        (r"TYPE65280 \# 0", b""),
        ("SVCB 1 . alpn=h2", b"\x00\x01\x00\x00\x01\x00\x03\x02h2"),
        ("HTTPS 0 a", b"\x00\x00\x01a\x01z\x04test\x00"),
    ] {
        assert_eq!(octets(text), wanted, "{text}");
    }
}

#[test]
fn data_that_are_none_say_why() {
    for (text, why) in [
        ("A", NOT_WHOLE),
        ("A 10.0.0", "'10.0.0' is no IPv4 address"),
        ("A 10.0.0.1 x", "there is something behind the record"),
        ("MX 65536 a", "'65536' is no number from 0 to 65535"),
        ("DS 1 8 256 00", "'256' is no number from 0 to 255"),
        ("DS 1 8 2 0", "'0' is no whole number of hexadecimal octets"),
        (
            "DS 1 8 2 0g",
            "'0g' is no whole number of hexadecimal octets",
        ),
        ("DNSKEY 1 3 8 *", "'*' is no base64"),
        ("NSEC a. BOGUS", "'BOGUS' is no type"),
        ("BOGUS a", "'BOGUS' is no type"),
        ("SOA a b 1 2x 3 4 5", "'2x' is no time"),
        (r"TYPE65280 \# 2 00", "the data have 1 octets, and not 2"),
        (r"TXT \256", r"'\256': an octet is 255 at most"),
        (
            r"SVCB 1 . alpn=\x",
            r"'alpn=\x': an escape cannot be read here",
        ),
    ] {
        assert_eq!(data(text).unwrap_err(), why, "{text}");
    }
}

#[test]
fn seconds_have_units_or_none() {
    for (text, wanted) in [
        ("0", Some(0)),
        ("3600", Some(3600)),
        ("1h", Some(3600)),
        ("1W2d3H4m5s", Some(788_645)),
        ("", None),
        ("h", None),
        ("1x", None),
        ("1h1", None),
        ("4294967296", None),
        ("99999w", None),
        ("-1", None),
    ] {
        assert_eq!(seconds(text), wanted, "{text}");
    }
    assert_eq!(time("19700101000000"), Ok(0));
    assert_eq!(time("20000229235959"), Ok(951_868_799));
    assert_eq!(time("20380119031408"), Ok(2_147_483_648));
    assert_eq!(time("77"), Ok(77));
    assert!(time("20001301000000").is_err());
}
