//! Resource records as text (RFC 1035 section 5.1).

use hickory_proto::serialize::txt::Parser;

use super::record::Record;
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
    // The owner is read here: for hickory-proto a label is text, and `\\DDD` octal.
    let (owner, rest) = text.trim_start().split_once([' ', '\t']).ok_or(NONE)?;
    let owner = match owner {
        "@" => Name::root(),
        owner if owner.starts_with(';') => return Err(NONE.into()),
        owner => absolute(owner).map_err(|error| format!("'{owner}' is no name: {error}"))?,
    };
    let zone = format!("$ORIGIN .\n$TTL {TTL}\n. {rest}\n");
    let (_, sets) = Parser::new(zone, None, Some(Name::root()))
        .parse()
        .map_err(|error| error.to_string())?;
    if has_more(rest) {
        return Err("there is something behind the record".into());
    }
    let mut records = sets
        .into_values()
        .flat_map(|set| set.records_without_rrsigs().cloned().collect::<Vec<_>>());
    match (records.next(), records.next()) {
        (Some(mut record), None) => {
            record.name = owner;
            Ok(record)
        }
        (None, _) => Err(NONE.into()),
        (Some(_), Some(_)) => Err("there is more than one record".into()),
    }
}

/// Whether more words stand behind the type than its records have, for types of a few words; hickory-proto passes them over.
fn has_more(rest: &str) -> bool {
    let words = rest.split(';').next().unwrap_or_default();
    let mut words = words.split_whitespace();
    let counts = [
        ("A", 1),
        ("AAAA", 1),
        ("CNAME", 1),
        ("NS", 1),
        ("PTR", 1),
        ("MX", 2),
        ("SRV", 4),
    ];
    let found = words.find_map(|word| {
        let mut counts = counts.iter();
        counts.find(|(name, _)| name.eq_ignore_ascii_case(word))
    });
    found.is_some_and(|(_, count)| words.count() > *count)
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
        assert!(record("a.test. 60 IN A nowhere").is_err());
        assert!(record("a.test. 60 IN A 10.0.0.1 # c").is_err());
        assert!(record("a.test. 60 IN A 10.0.0.1 ; c").is_ok());
        assert!(record("").is_err());
        let odd = record(r"-x\252.test. 60 IN A 10.0.0.1").unwrap();
        assert_eq!(odd.name.iter().next(), Some(&b"-x\xfc"[..]));
    }
}
