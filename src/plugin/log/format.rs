//! The format of a line: text, and places that a query, its reply and metadata fill.

use std::fmt::Write;

use super::Facts;
use crate::message::{class_name, type_name};

const COMMON: &str = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;

/// What stands where there is no value.
const NOTHING: &str = "-";

/// A format, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Format(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    /// Its place in [`FIELDS`].
    Field(usize),
    /// `{/plugin/label}`.
    Metadata(String),
}

/// `{name}`: how it is written into a line.
type Field = fn(&Facts<'_>, &mut String) -> std::fmt::Result;

/// The fields that are known: CoreDNS's.
const FIELDS: &[(&str, Field)] = &[
    ("{type}", |facts, line| {
        line.write_str(&type_name(facts.qtype()))
    }),
    ("{name}", |facts, line| write!(line, "{}", facts.qname())),
    ("{class}", |facts, line| {
        line.write_str(&class_name(facts.qclass()))
    }),
    ("{proto}", |facts, line| {
        write!(line, "{}", facts.transport())
    }),
    ("{size}", |facts, line| write!(line, "{}", facts.query.size)),
    ("{remote}", |facts, line| {
        address(line, Some(facts.client()))
    }),
    ("{port}", |facts, line| {
        write!(line, "{}", facts.query.route.client.port())
    }),
    ("{local}", |facts, line| {
        let server = facts.query.route.server;
        address(line, server.map(|server| server.ip()))
    }),
    ("{>id}", |facts, line| write!(line, "{}", facts.query.id)),
    ("{>opcode}", |facts, line| {
        write!(line, "{}", facts.opcode())
    }),
    ("{>do}", |facts, line| write!(line, "{}", facts.dnssec_ok())),
    ("{>bufsize}", |facts, line| {
        write!(line, "{}", facts.udp_size())
    }),
    ("{rcode}", |facts, line| line.write_str(&facts.rcode())),
    ("{rsize}", |facts, line| write!(line, "{}", facts.size)),
    ("{duration}", |facts, line| {
        write!(line, "{}s", facts.took.as_secs_f64())
    }),
    ("{>rflags}", |facts, line| flags(facts.wire, line)),
];

impl Default for Format {
    fn default() -> Self {
        Self::read(COMMON)
    }
}

impl Format {
    /// Reads a format. What is in braces and no place that is known is text.
    pub(super) fn read(text: &str) -> Self {
        let whole = text
            .replace("{common}", COMMON)
            .replace("{combined}", &format!("{COMMON} \"{{>opcode}}\""));
        let (mut parts, mut rest) = (Vec::new(), &whole[..]);
        // The brace that closes counts, and the last one before it that opens: `{ {name} }` has one place.
        while let Some(end) = rest.find('}') {
            let (piece, after) = rest.split_at(end + 1);
            let start = piece.rfind('{').unwrap_or_default();
            let (before, place) = piece.split_at(start);
            match part(place) {
                Some(part) => parts.extend([Part::Text(before.to_owned()), part]),
                None => parts.push(Part::Text(piece.to_owned())),
            }
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| !matches!(part, Part::Text(text) if text.is_empty()));
        Self(parts)
    }

    /// The line for a query and its reply.
    pub(super) fn line(&self, facts: &Facts<'_>) -> String {
        let mut line = String::new();
        for part in &self.0 {
            // A text takes whatever is written to it.
            let _ = match part {
                Part::Text(text) => line.write_str(text),
                Part::Field(i) => FIELDS[*i].1(facts, &mut line),
                Part::Metadata(label) => {
                    let metadata = facts.query.metadata.as_ref();
                    let value = metadata.and_then(|metadata| metadata.get(label));
                    line.write_str(value.as_deref().unwrap_or(NOTHING))
                }
            };
        }
        line
    }
}

/// The place that a text in braces is.
fn part(place: &str) -> Option<Part> {
    if let Some(label) = place.strip_prefix("{/") {
        return Some(Part::Metadata(label.trim_end_matches('}').to_owned()));
    }
    let field = FIELDS.iter().position(|(name, _)| *name == place)?;
    Some(Part::Field(field))
}

/// An address as it stands in a URL (RFC 3986 section 3.2.2).
fn address(line: &mut String, ip: Option<std::net::IpAddr>) -> std::fmt::Result {
    match ip {
        Some(ip) if ip.is_ipv6() => write!(line, "[{ip}]"),
        Some(ip) => write!(line, "{ip}"),
        None => line.write_str(NOTHING),
    }
}

/// The flags that are set in a header (RFC 1035 section 4.1.1).
fn flags(wire: &[u8], line: &mut String) -> std::fmt::Result {
    let Some([high, low]) = wire.get(2..).and_then(|flags| flags.first_chunk().copied()) else {
        return line.write_str(NOTHING);
    };
    let names = [
        (high, 0x80, "qr"),
        (high, 4, "aa"),
        (high, 2, "tc"),
        (high, 1, "rd"),
        (low, 0x80, "ra"),
        (low, 0x40, "z"),
        (low, 0x20, "ad"),
        (low, 0x10, "cd"),
    ];
    let set = names.iter().filter(|(byte, bit, _)| byte & bit != 0);
    let set: Vec<_> = set.map(|(.., name)| *name).collect();
    line.write_str(&set.join(","))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::message::encode;
    use crate::message::question::RecordType;
    use crate::message::reply::{Composed, ResponseCode};
    use crate::plugin::tests::query;

    #[test]
    fn places_are_filled_and_all_else_is_text() {
        let query = query("Redis.default.svc.cluster.local", RecordType::A);
        let reply = Composed {
            authoritative: true,
            ..Composed::empty(ResponseCode::NXDomain)
        };
        let facts = Facts {
            query: &query,
            wire: &encode(&query, &reply),
            size: 49,
            took: Duration::from_micros(1500),
        };
        let common = r#"127.0.0.1:5353 - 7 "A IN redis.default.svc.cluster.local. udp 0 false 512" NXDOMAIN qr,aa,rd 49 0.0015s"#;
        for (format, wanted) in [
            ("{common}", common),
            ("{combined}", &format!("{common} \"0\"")),
            (
                "{ {type} } x} {Type} {>nothing} {",
                "{ A } x} {Type} {>nothing} {",
            ),
            ("[{local}|{/forward/upstream}]", "[-|-]"),
        ] {
            assert_eq!(Format::read(format).line(&facts), wanted, "{format}");
        }
        assert_eq!(Format::default().line(&facts), common);
    }
}
