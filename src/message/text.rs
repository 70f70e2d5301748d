//! Resource records as text (RFC 1035 section 5.1).

use hickory_proto::rr::rdata::{CNAME, MX, NS, PTR, SRV, TXT};
use hickory_proto::serialize::txt::Parser;

use super::record::{RData, Record};
use crate::name::{Name, absolute};

/// The TTL of a record that says none, in seconds: that of Go's and BIND's tools.
const TTL: u32 = 3600;

const NONE: &str = "there is no record";

/// Reads one record; names without a final dot are complete all the same.
///
/// # Errors
/// What is wrong, for a person.
pub fn record(text: &str) -> Result<Record, String> {
    // A zone file's directives could have other files read.
    if text.trim_start().starts_with('$') || text.contains('\n') {
        return Err("a record was expected, in one line".into());
    }
    // Names and texts are read here: for hickory-proto a label is text, `\\DDD` octal, and `\\;` begins a comment.
    let words = words(text)?;
    let [owner, rest @ ..] = &words[..] else {
        return Err(NONE.into());
    };
    let is_type = |word: &&Word<'_>| !is_ttl_or_class(word.text);
    let at = rest.iter().take_while(|word| !is_type(word)).count();
    let [rtype, data @ ..] = &rest[at..] else {
        return Err(NONE.into());
    };
    let own = own_data(rtype.text, data)?;
    let shown = match own {
        Some(_) => STAND_IN.to_owned(),
        None => written(&rest[at..])?,
    };
    let mut record = read(&format!(". {} {shown}", written(&rest[..at])?))?;
    record.name = name(owner)?;
    if let Some(data) = own {
        record.data = data;
    }
    Ok(record)
}

/// A record in the place of one whose data are read here.
const STAND_IN: &str = "A 0.0.0.0";

/// A word as it is written, without its quotation marks.
struct Word<'t> {
    text: &'t str,
    is_quoted: bool,
}

/// The words of a line, up to a comment.
fn words(line: &str) -> Result<Vec<Word<'_>>, String> {
    let (mut words, mut rest) = (Vec::new(), line.trim_start());
    while !rest.is_empty() && !rest.starts_with(';') {
        let is_quoted = rest.starts_with('"');
        rest = &rest[usize::from(is_quoted)..];
        let mut is_escaped = false;
        let ends = |c: char| {
            let ends = !is_escaped
                && match is_quoted {
                    true => c == '"',
                    false => c.is_whitespace() || c == ';' || c == '"',
                };
            is_escaped = !is_escaped && c == '\\';
            ends
        };
        let end = rest.find(ends);
        if is_quoted && end.is_none() {
            return Err("a quotation mark is missing".into());
        }
        let (text, behind) = rest.split_at(end.unwrap_or(rest.len()));
        words.push(Word { text, is_quoted });
        rest = behind[usize::from(is_quoted)..].trim_start();
    }
    Ok(words)
}

fn is_ttl_or_class(word: &str) -> bool {
    let classes = ["IN", "CH", "HS", "ANY"];
    word.starts_with(|c: char| c.is_ascii_digit())
        || classes.iter().any(|class| word.eq_ignore_ascii_case(class))
}

/// Words for hickory-proto, which reads escapes otherwise than everybody.
fn written(words: &[Word<'_>]) -> Result<String, String> {
    let mut text = String::new();
    for word in words {
        if word.text.contains('\\') {
            return Err(format!("'{}': an escape cannot be read here", word.text));
        }
        let mark = if word.is_quoted { "\"" } else { "" };
        text += &format!("{mark}{}{mark} ", word.text);
    }
    Ok(text)
}

/// The record of a line in which nothing is odd.
fn read(line: &str) -> Result<Record, String> {
    let zone = format!("$ORIGIN .\n$TTL {TTL}\n{line}\n");
    let (_, sets) = Parser::new(zone, None, Some(Name::root()))
        .parse()
        .map_err(|error| error.to_string())?;
    let mut records = sets
        .into_values()
        .flat_map(|set| set.records_without_rrsigs().cloned().collect::<Vec<_>>());
    match (records.next(), records.next()) {
        (Some(record), None) => Ok(record),
        (None, _) => Err(NONE.into()),
        (Some(_), Some(_)) => Err("there is more than one record".into()),
    }
}

/// Data in which there are names or texts; `None`: of another type.
fn own_data(rtype: &str, data: &[Word<'_>]) -> Result<Option<RData>, String> {
    let rtype = rtype.to_ascii_uppercase();
    let count = match rtype.as_str() {
        "A" | "AAAA" | "CNAME" | "NS" | "PTR" => 1,
        "MX" => 2,
        "SRV" => 4,
        "TXT" => data.len(),
        _ => return Ok(None),
    };
    if data.len() > count {
        return Err("there is something behind the record".into());
    }
    if data.len() < count || data.is_empty() {
        return Err("the record is not whole".into());
    }
    let last = || name(&data[count - 1]);
    let number = |at: usize| {
        let text = data[at].text;
        text.parse()
            .map_err(|_| format!("'{text}' is no number from 0 to 65535"))
    };
    Ok(Some(match rtype.as_str() {
        "CNAME" => RData::CNAME(CNAME(last()?)),
        "NS" => RData::NS(NS(last()?)),
        "PTR" => RData::PTR(PTR(last()?)),
        "MX" => RData::MX(MX::new(number(0)?, last()?)),
        "SRV" => RData::SRV(SRV::new(number(0)?, number(1)?, number(2)?, last()?)),
        "TXT" => {
            let texts = data.iter().map(octets).collect::<Result<Vec<_>, _>>()?;
            RData::TXT(TXT::from_bytes(texts.iter().map(Vec::as_slice).collect()))
        }
        _ => return Ok(None),
    }))
}

fn name(word: &Word<'_>) -> Result<Name, String> {
    let text = word.text;
    if text == "@" {
        return Ok(Name::root());
    }
    absolute(text).map_err(|error| format!("'{text}' is no name: {error}"))
}

/// The octets of a text, at most 255 (RFC 1035 sections 3.3 and 5.1).
fn octets(word: &Word<'_>) -> Result<Vec<u8>, String> {
    let (mut octets, mut rest) = (Vec::new(), word.text.as_bytes());
    while let [first, others @ ..] = rest {
        let (octet, behind) = match (first, others) {
            (
                b'\\',
                [
                    a @ b'0'..=b'9',
                    b @ b'0'..=b'9',
                    c @ b'0'..=b'9',
                    behind @ ..,
                ],
            ) => {
                let [a, b, c] = [a, b, c].map(|digit| u16::from(digit - b'0'));
                let number = u8::try_from(100 * a + 10 * b + c);
                (
                    number.map_err(|_| format!("'{}': an octet is 255 at most", word.text))?,
                    behind,
                )
            }
            (b'\\', [octet, behind @ ..]) => (*octet, behind),
            (octet, behind) => (*octet, behind),
        };
        octets.push(octet);
        rest = behind;
    }
    if octets.len() > 255 {
        return Err("a text has 255 octets at most".into());
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_with_and_without_class_and_ttl() {
        for (text, wanted) in [
            ("a.test. 60 IN A 10.0.0.1", "a.test. 60 IN A 10.0.0.1"),
            ("fixed.test IN A 10.0.0.1", "fixed.test. 3600 IN A 10.0.0.1"),
            ("a.test 1h IN A 10.0.0.2", "a.test. 3600 IN A 10.0.0.2"),
            (
                "_h._tcp.test. 15 IN SRV 0 50 80 h.test.",
                "_h._tcp.test. 15 IN SRV 0 50 80 h.test.",
            ),
            (
                "version.bind. 0 CH TXT \"hidden\"",
                "version.bind. 0 CH TXT hidden",
            ),
        ] {
            assert_eq!(record(text).unwrap().to_string(), wanted);
        }
        let odd = record(r"-x\252.test. 60 IN A 10.0.0.1").unwrap();
        assert_eq!(odd.name.iter().next(), Some(&b"-x\xfc"[..]));
    }

    #[test]
    fn a_line_that_is_no_record_is_refused_with_its_reason() {
        for (text, why) in [
            ("", "there is no record"),
            ("a.test.", "there is no record"),
            ("; a.test. IN A 10.0.0.1", "there is no record"),
            ("a.test. 60 IN A", "the record is not whole"),
            (
                "a.test. 60 IN A 10.0.0.1 # c",
                "there is something behind the record",
            ),
            ("a.test. 60 IN SRV 0 0 h.test.", "the record is not whole"),
            (
                "a.test. 60 IN MX x h.test.",
                "'x' is no number from 0 to 65535",
            ),
            ("a.test. 60 IN TXT \"x", "a quotation mark is missing"),
            (
                r"a.test. 60 IN TXT \256",
                r"'\256': an octet is 255 at most",
            ),
            (
                r"a.test. 60 IN CAA 0 issue a\;b",
                r"'a\;b': an escape cannot be read here",
            ),
        ] {
            assert_eq!(record(text).unwrap_err(), why, "{text}");
        }
        assert!(record("a.test. 60 IN A nowhere").is_err());
        assert!(record("a.test. 60 IN A 10.0.0.1 ; c").is_ok());
    }

    /// Templates put what clients ask into such lines.
    #[test]
    fn an_escape_stands_for_its_octet_in_names_and_texts() {
        let data = |text: &str| {
            record(&format!("a.test. 60 IN {text}"))
                .unwrap()
                .data
                .to_string()
        };
        assert_eq!(data(r"CNAME a\;b.x.test."), r"a\;b.x.test.");
        assert_eq!(
            data(r"CNAME evil\.example\;b.x.test."),
            r"evil\.example\;b.x.test."
        );
        let RData::TXT(text) = record(r#"a. IN TXT "a;\"b\255" c"#).unwrap().data else {
            panic!("it is TXT")
        };
        let wanted: [&[u8]; 2] = [b"a;\"b\xff", b"c"];
        assert!(text.txt_data.iter().map(|text| &**text).eq(wanted));
    }

    /// The kind of CVE-2026-123572 to -123574 and of CVE-2018-17419: words that made other readers panic.
    #[test]
    fn hostile_words_are_an_error_or_text_in_any_record() {
        let long = "x".repeat(5000);
        let labels = ["x"; 60].join(".");
        let words = [
            "\"",
            "\\",
            "\\1",
            ",",
            ",,",
            "(",
            ")",
            "alpn=\"",
            "alpn=\\",
            "=",
            "-1",
            "@",
            "*",
            ".",
            "..",
            "\u{0}",
            "\u{ff}",
            "#",
            "\\#",
            "65536",
            "4294967296",
            &long,
            &labels,
        ];
        let types = [
            "A",
            "AAAA",
            "CNAME",
            "NS",
            "PTR",
            "MX 1",
            "SRV 0 0 1",
            "TXT",
            "HTTPS 1",
            "SVCB 1 .",
            "CAA 0 issue",
            "TLSA 3 1 1",
            "SSHFP 1 1",
            "TA 1 1 1",
            "NAPTR 1 1",
            "SOA",
            "DNSKEY",
            "OPENPGPKEY",
            "CERT",
            "HINFO",
            "LOC",
            "TYPE65280",
        ];
        for rtype in types {
            for word in words {
                for quoted in [word.to_owned(), format!("\"{word}\"")] {
                    // Nothing but that it returns is asked of it.
                    drop(record(&format!("a.test. 60 IN {rtype} {quoted}")));
                }
            }
        }
    }
}
