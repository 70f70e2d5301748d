//! Resource records as text (RFC 1035 section 5.1).

use hickory_proto::rr::DNSClass;

use super::entries::Entries;
use super::rdata::{self, Word, seconds};
use super::record::Record;
use super::types::class_named;
use crate::name::Name;

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
    let words = words(text)?;
    let [owner, rest @ ..] = &words[..] else {
        return Err(NONE.into());
    };
    let root = Name::root();
    let owner = rdata::name(&owner.text, &root)?;
    record_of(owner, rest, Some(TTL), &root)
}

/// The record of an owner from what stands behind its name. `ttl`: that of one that says none, in seconds; `origin`: what
/// names without a final dot end in.
///
/// # Errors
/// What is wrong, for a person.
pub fn record_of(
    owner: Name,
    words: &[Word],
    ttl: Option<u32>,
    origin: &Name,
) -> Result<Record, String> {
    let (own, class, rest) = head(words);
    let [rtype, data @ ..] = rest else {
        return Err(NONE.into());
    };
    let data = rdata::read(&rtype.text, data, origin)?;
    let ttl = own.or(ttl).ok_or("there is no TTL, nor one before")?;
    let mut record = Record::from_rdata(owner, ttl, data);
    record.dns_class = class.unwrap_or(DNSClass::IN);
    Ok(record)
}

/// The TTL and the class, in either order, and what stands behind them.
#[must_use]
pub fn head(words: &[Word]) -> (Option<u32>, Option<DNSClass>, &[Word]) {
    let (mut ttl, mut class, mut rest) = (None, None, words);
    while let [first, behind @ ..] = rest {
        match (seconds(&first.text), class_of(&first.text)) {
            (Some(seconds), _) if ttl.is_none() => ttl = Some(seconds),
            (_, Some(named)) if class.is_none() => class = Some(named),
            (Some(_) | None, _) => break,
        }
        rest = behind;
    }
    (ttl, class, rest)
}

/// A class by its name, or as `CLASS123` (RFC 3597 section 5).
fn class_of(word: &str) -> Option<DNSClass> {
    let numbered = word
        .get(..5)
        .filter(|head| head.eq_ignore_ascii_case("CLASS"));
    let numbered = numbered.and_then(|_| word[5..].parse().ok());
    class_named(word).or_else(|| numbered.map(|number: u16| DNSClass::from(number)))
}

/// The words of a line, up to a comment.
///
/// # Errors
/// A quotation mark that closes nothing, and brackets that are none.
pub fn words(line: &str) -> Result<Vec<Word>, String> {
    let entry = Entries::new(line).next().transpose();
    entry
        .map(|entry| entry.map_or_else(Vec::new, |entry| entry.words))
        .map_err(|(_, problem)| problem)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record::RData;

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
            (
                "a.test. 60 IN SRV 0 0 h.test.",
                "'h.test.' is no number from 0 to 65535",
            ),
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
                r"a.test. 60 IN SVCB 1 . port=a\;b",
                r"`port`: 'a\;b' is no number from 0 to 65535",
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
