//! Data of records, from text to octets and back.

use super::*;
use crate::message::text::words;
use crate::name::absolute;

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

/// Type and data as text, and the octets of the data.
const WRITTEN: &[(&str, &[u8])] = &[
        ("MX 10 mail.", b"\x00\x0a\x04mail\x00"),
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
        ("HINFO \"PC unix\"", b"\x02PC\x04unix"),
        ("HINFO PC", b"\x02PC\x00"),
        ("ISDN 150862028003217 004", b"\x0f150862028003217\x03004"),
        ("GPOS -32.6 116.8 10", b"\x05-32.6\x05116.8\x0210"),
        (
            "LOC 42 21 54 N 71 06 18 W -24m 30m",
            b"\x00\x33\x16\x13\x89\x17\x2d\xd0\x70\xbe\x15\xf0\x00\x98\x8d\x20",
        ),
        (
            "LOC 52 14 05.123 N 0 8 50 E 10m 1m 10.5m .02m",
            b"\x00\x12\x13\x20\x8b5WC\x80\x08\x16P\x00\x98\x9ah",
        ),
        (
            "LOC 1 S 180 E 0",
            b"\x00\x12\x16\x13\x7f\xc9\x11\x80\xa6\x9f\xb2\x00\x00\x98\x96\x80",
        ),
        ("EID 0a 0b", b"\x0a\x0b"),
        ("CERT PKIX 1 RSASHA256 AQID", b"\x00\x01\x00\x01\x08\x01\x02\x03"),
        ("DS 1 ecdsap256sha256 2 0a", b"\x00\x01\x0d\x02\x0a"),
        (
            "APL 1:192.168.32.0/21 !1:192.168.38.0/28 2:2001:db8::/32 1:0.0.0.0/0",
            b"\x00\x01\x15\x03\xc0\xa8\x20\x00\x01\x1c\x83\xc0\xa8&\x00\x02\x20\x04\x20\x01\x0d\xb8\x00\x01\x00\x00",
        ),
        ("APL", b""),
        ("IPSECKEY 10 1 2 192.0.2.38 AQID", b"\x0a\x01\x02\xc0\x00\x02\x26\x01\x02\x03"),
        ("IPSECKEY 10 3 2 g AQ ID", b"\x0a\x03\x02\x01g\x01z\x04test\x00\x01\x02\x03"),
        ("IPSECKEY 10 0 0 .", b"\x0a\x00\x00"),
        ("AMTRELAY 10 1 1 203.0.113.15", b"\x0a\x81\xcb\x00\x71\x0f"),
        ("HIP 2 2001 AQID rvs.", b"\x02\x02\x00\x03\x20\x01\x01\x02\x03\x03rvs\x00"),
        (
            "NSEC3 1 1 12 aabbccdd 2t7b4g4vsa5smi47k61mv5bv1a22bojr A RRSIG",
            b"\x01\x01\x00\x0c\x04\xaa\xbb\xcc\xdd\x14\x17N\xb2@\x9f\xe2\x8b\xcbH\x87\xa1\x83o\x95\x7f\x0a\x84%\xe2{\x00\x06\x40\x00\x00\x00\x00\x02",
        ),
        ("NSEC3PARAM 1 0 0 -", b"\x01\x00\x00\x00\x00"),
        ("UINFO \"a b\"", b"\x03a b"),
        ("UID 1", b"\x00\x00\x00\x01"),
        ("NID 10 0014:4fff:ff20:ee64", b"\x00\x0a\x00\x14O\xff\xff\x20\xeed"),
        ("L32 10 10.1.2.0", b"\x00\x0a\x0a\x01\x02\x00"),
        ("EUI48 00-00-5e-00-53-2a", b"\x00\x00^\x00S*"),
        ("EUI64 00-00-5e-ef-10-00-00-2a", b"\x00\x00^\xef\x10\x00\x00*"),
        (
            // Values with escapes, as RFC 9460 appendix D.2 has them.
            r#"SVCB 1 . alpn="f\\\\oo\\,bar,h2""#,
            b"\x00\x01\x00\x00\x01\x00\x0c\x08f\\oo,bar\x02h2",
        ),
        (
            r#"HTTPS 1 a key667="hello\210qoo" port=53 mandatory=port,alpn alpn=h2 no-default-alpn"#,
            b"\x00\x01\x01a\x01z\x04test\x00\x00\x00\x00\x04\x00\x01\x00\x03\x00\x01\x00\x03\x02h2\x00\x02\x00\x00\x00\x03\x00\x02\x00\x35\x02\x9b\x00\x09hello\xd2qoo",
        ),
        ("SVCB 1 . alpn=h2", b"\x00\x01\x00\x00\x01\x00\x03\x02h2"),
        ("HTTPS 0 a", b"\x00\x00\x01a\x01z\x04test\x00"),
];

#[test]
fn each_type_s_fields_become_its_octets() {
    for (text, wanted) in WRITTEN {
        assert_eq!(octets(text), *wanted, "{text}");
    }
}

/// Type and data as text, and why they are none.
const WRONG: &[(&str, &str)] = &[
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
        "ATMA x",
        r"ATMA has no form as text here but `\# LENGTH HEX`",
    ),
    ("MX +1 a", "'+1' is no number from 0 to 65535"),
    ("LOC 91 N 0 E 0", "'91' is no number from 0 to 90"),
    ("LOC 90 0 0.1 N 0 E 0", "90 degrees are the most"),
    ("LOC 1 N 2 X 0", "'X' is no number from 0 to 59"),
    ("LOC 1 1 1 E 2 E 0", "'E' is neither N nor S"),
    (
        "LOC 1 1 60 N 2 E 0",
        "'60' is no number of seconds below 60",
    ),
    (
        "LOC 1 N 2 E 0 1m 0.005m",
        "'0.005m' is no size in metres, 90000000 at most",
    ),
    ("LOC 1 N 2 E up", "'up' is no altitude in metres"),
    (
        "LOC 1 N 2 E 0 1.234",
        "'1.234' is no size in metres, 90000000 at most",
    ),
    (
        "LOC 1 N 2 E 0 1 1 1 1",
        "there is something behind the record",
    ),
    (
        "APL 1:10.1.0.0/8",
        "'1:10.1.0.0/8' is no prefix such as !1:10.0.0.0/8",
    ),
    (
        "APL 2:10.0.0.0/8",
        "'2:10.0.0.0/8' is no prefix such as !1:10.0.0.0/8",
    ),
    ("IPSECKEY 1 0 2 a. AQID", "'a.': a gateway of kind 0 is `.`"),
    (
        "IPSECKEY 1 4 2 a. AQID",
        "4 is no kind of gateway from 0 to 3",
    ),
    (
        "EUI48 00-00",
        "'00-00' is not 6 times 2 digits with `-` between them",
    ),
    ("NSEC3 1 0 0 - w A", "'w' is no base32hex"),
    (
        r"SVCB 1 . alpn=\\x",
        r"`alpn`: `\` stands before neither `,` nor `\`",
    ),
    ("SVCB 1 . alpn=a,", "`alpn`: a protocol is missing"),
    ("SVCB 1 . port=1 port=2", "`port` stands twice"),
    ("SVCB 1 . key3=1", "'key3' is no key"),
    ("SVCB 1 . key65535=1", "'key65535' is no key"),
    ("SVCB 1 . ohttp=1", "`ohttp`: it has no value"),
    (
        "SVCB 1 . port=\"1\"alpn=h2",
        "'alpn=h2': KEY, KEY=VALUE or KEY=\"VALUE\" was expected",
    ),
];

#[test]
fn data_that_are_none_say_why() {
    for (text, why) in WRONG {
        assert_eq!(data(text).unwrap_err(), *why, "{text}");
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
        ("1h1", Some(3601)),
        ("+1", None),
        ("4294967296", None),
        ("99999w", None),
        ("-1", None),
    ] {
        assert_eq!(seconds(text), wanted, "{text}");
    }
}

#[test]
fn a_text_that_is_too_long_for_one_is_several() {
    let long = "x".repeat(300);
    let octets = octets(&format!("TXT {long} \"\""));
    assert_eq!((octets[0], octets[256], octets[302]), (255, 45, 0));
    assert_eq!(octets.len(), 303);
    let tag = data(&format!("CAA 0 {long} x"));
    assert_eq!(tag.unwrap_err(), "a text has 255 octets at most");
}
