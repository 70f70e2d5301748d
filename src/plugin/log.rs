//! `log`: a line per query, in CoreDNS's formats.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::info;

use super::block::Block;
use super::kit::{Directives, Registration, origins};
use super::{Handled, Next, Plugin};
use crate::answer::{Messages, Reply};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Query, RecordType, Transport};
use crate::message::reply::ResponseCode;
use crate::message::{rcode_name, skim};
use crate::name::{Name, Origins};

/// `log [NAMES...] [FORMAT] { class CLASS... }`.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    names: Origins,
    format: String,
    /// Empty: all.
    classes: Vec<Class>,
}

/// What kind of reply a line is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Denial,
    Error,
    Success,
}

const COMMON: &str = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration}"#;
const COMBINED: &str = r#"{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" {rcode} {>rflags} {rsize} {duration} "{>opcode}""#;

pub(super) const PLUGIN: Registration = Registration { name: "log", setup };

/// The rules of a block, of which the first whose name fits decides.
#[derive(Clone, Debug)]
struct Log {
    /// In the order of the file.
    rules: Arc<[Rule]>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let rules: Result<Arc<[Rule]>, _> = directives.iter().map(parse).collect();
    let log = Log { rules: rules? };
    block.links.push((PLUGIN.name, Box::new(log)));
    Ok(())
}

fn parse(directive: &Directive) -> Result<Rule, CorefileError> {
    let (mut args, mut format) = (&directive.args[..], COMMON.to_owned());
    if let Some((last, names)) = args.split_last()
        && last.text.contains('{')
    {
        args = names;
        format = last
            .text
            .replace("{common}", COMMON)
            .replace("{combined}", COMBINED);
    }
    let names = if args.is_empty() {
        vec![Name::root()].into()
    } else {
        origins(args)?.into()
    };
    let mut classes = Vec::new();
    for property in &directive.body {
        match property.name.text.as_str() {
            "class" => classes.extend(parse_classes(property)?),
            _ => return Err(directive.unknown_property(property, "class")),
        }
    }
    Ok(Rule {
        names,
        format,
        classes,
    })
}

fn parse_classes(property: &Directive) -> Result<Vec<Class>, CorefileError> {
    const EXPECTED: &str = "success, denial, error or all";
    let mut classes = Vec::new();
    for arg in property.some_args(EXPECTED)? {
        match arg.text.as_str() {
            "success" => classes.push(Class::Success),
            "denial" => classes.push(Class::Denial),
            "error" => classes.push(Class::Error),
            "all" => classes.extend([Class::Success, Class::Denial, Class::Error]),
            _ => return Err(arg.error(format!("unknown class '{}'", arg.text), EXPECTED)),
        }
    }
    Ok(classes)
}

impl Plugin for Log {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let start = tokio::time::Instant::now();
            let handled = next.handle(query).await;
            let fits = |rule: &&Rule| rule.names.cover(&query.question.qname);
            if let Some(rule) = self.rules.iter().find(fits) {
                let refusal;
                let reply = match &handled {
                    Ok(reply) => reply,
                    Err(failure) => {
                        refusal = Reply::refusal(failure.rcode);
                        &refusal
                    }
                };
                let wire = match reply.clone().encode(&asked(query, &handled)) {
                    Messages::One(wire) => wire,
                    Messages::Many(messages) => messages.concat(),
                };
                if rule.classes.is_empty() || rule.classes.contains(&kind(&wire).0) {
                    info!(target: "dns", "{}", line(&rule.format, query, &wire, start.elapsed()));
                }
            }
            handled
        }
        .boxed()
    }
}

/// The query that decides over a reply's size: as in CoreDNS, a failure is written without an OPT record.
fn asked(query: &Query, handled: &Handled) -> Query {
    Query {
        edns: query.edns.filter(|_| handled.is_ok()),
        ..query.clone()
    }
}

/// The response code of a message, without its upper bits.
fn rcode(wire: &[u8]) -> ResponseCode {
    ResponseCode::from(0, wire.get(3).copied().unwrap_or_default() & 0x0f)
}

/// What kind of reply it is, in CoreDNS's words; that is metadata too.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: every other code is alike"
)]
fn kind(wire: &[u8]) -> (Class, &'static str) {
    let places = skim::places(wire).unwrap_or_default();
    let has = |section, rtype: Option<u16>| {
        let mut fits = places.iter().filter(|place| place.section == section);
        fits.any(|place| rtype.is_none_or(|rtype| place.rtype == rtype))
    };
    let soa = u16::from(RecordType::SOA);
    match rcode(wire) {
        ResponseCode::NoError if has(0, None) => (Class::Success, "NOERROR"),
        ResponseCode::NoError if has(1, Some(soa)) => (Class::Denial, "NODATA"),
        ResponseCode::NoError if has(1, None) => (Class::Success, "DELEGATION"),
        ResponseCode::NoError => (Class::Success, "NOERROR"),
        ResponseCode::NXDomain => (Class::Denial, "NXDOMAIN"),
        ResponseCode::ServFail | ResponseCode::NotImp => (Class::Error, "SERVERERROR"),
        _ => (Class::Error, "OTHERERROR"),
    }
}

/// `format` with its placeholders filled in.
fn line(format: &str, query: &Query, wire: &[u8], took: Duration) -> String {
    let question = &query.question;
    let remote = match query.client {
        SocketAddr::V4(v4) => v4.ip().to_string(),
        SocketAddr::V6(v6) => format!("[{}]", v6.ip()),
    };
    let transport = match query.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
    };
    let plain = match query.transport {
        Transport::Udp => 512,
        Transport::Tcp => u16::MAX,
    };
    let buffer = query.edns.map_or(plain, |edns| edns.udp_size);
    let fields = [
        ("{remote}", remote),
        ("{port}", query.client.port().to_string()),
        ("{>id}", query.id.to_string()),
        ("{type}", question.qtype.to_string()),
        ("{class}", question.qclass.to_string()),
        ("{name}", question.qname.to_lowercase().to_string()),
        ("{proto}", transport.to_owned()),
        ("{size}", query.size.to_string()),
        ("{>do}", query.edns.is_some_and(|e| e.dnssec_ok).to_string()),
        ("{>bufsize}", buffer.to_string()),
        ("{rcode}", rcode_name(rcode(wire))),
        ("{>rflags}", flags(wire)),
        ("{rsize}", wire.len().to_string()),
        ("{duration}", format!("{}s", took.as_secs_f64())),
        ("{>opcode}", u8::from(query.opcode).to_string()),
    ];
    let line = fields
        .iter()
        .fold(format.to_owned(), |line, (name, value)| {
            line.replace(name, value)
        });
    metadata(&line, wire)
}

/// `{/plugin/label}` filled in; what nobody publishes is `-`.
fn metadata(line: &str, wire: &[u8]) -> String {
    let (class, kind) = kind(wire);
    let class = match class {
        Class::Denial => "denial",
        Class::Error => "error",
        Class::Success => "success",
    };
    let mut text = line
        .replace("{/log/class}", class)
        .replace("{/log/type}", kind);
    while let Some(start) = text.find("{/")
        && let Some(length) = text[start..].find('}')
    {
        text.replace_range(start..=start + length, "-");
    }
    text
}

fn flags(wire: &[u8]) -> String {
    let [high, low] = wire.get(2..4).map_or([0, 0], |b| [b[0], b[1]]);
    let names = [
        (high, 0x80, "qr"),
        (high, 4, "aa"),
        (high, 2, "tc"),
        (high, 1, "rd"),
        (low, 0x80, "ra"),
        (low, 0x20, "ad"),
        (low, 0x10, "cd"),
    ];
    let set: Vec<_> = names
        .iter()
        .filter(|(byte, bit, _)| byte & bit != 0)
        .map(|(.., name)| *name)
        .collect();
    set.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::encode;
    use crate::message::question::RecordType;
    use crate::message::reply::Composed;
    use crate::plugin::tests::{error, query, read};

    #[test]
    fn the_common_line_is_coredns_s() {
        let query = query("Redis.default.svc.cluster.local", RecordType::A);
        let reply = Composed {
            authoritative: true,
            ..Composed::empty(ResponseCode::NXDomain)
        };
        let wire = encode(&query, &reply);
        assert_eq!(
            line(COMMON, &query, &wire, Duration::from_micros(1500)),
            r#"127.0.0.1:5353 - 7 "A IN redis.default.svc.cluster.local. udp 0 false 512" NXDOMAIN qr,aa,rd 49 0.0015s"#
        );
    }

    #[test]
    fn names_format_and_classes_are_read() {
        let spec = read(
            "log example.org. \"{name} {rcode}\" {\n class denial error\n}",
            |directives| parse(directives.only()?),
        )
        .unwrap();
        assert_eq!(
            spec.names,
            vec![crate::name::absolute("example.org").unwrap()].into()
        );
        assert_eq!(
            (spec.format.as_str(), &spec.classes[..]),
            ("{name} {rcode}", &[Class::Denial, Class::Error][..])
        );
        assert_eq!(error("log {\n class nothing\n}"), "unknown class 'nothing'");
    }
}
