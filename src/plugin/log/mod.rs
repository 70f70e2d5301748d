//! `log`: a line per query, in CoreDNS's formats.

mod format;

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::info;

use self::format::Format;
use super::block::Block;
use super::kit::{Directives, Registration, Sized, origins, sized};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::{DNSClass, Query, RecordType, Transport};
use crate::message::reply::ResponseCode;
use crate::message::{PLAIN_UDP_SIZE, class_name, rcode_name, rcode_of, skim, type_name};
use crate::name::{Name, Origins, Qname};

/// `log [NAMES...] [FORMAT] { class CLASS... }`.
#[derive(Clone, Debug, PartialEq)]
struct Rule {
    names: Origins,
    format: Format,
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

pub(super) const PLUGIN: Registration = Registration { name: "log", setup };

/// The rules of a block, of which the first whose name fits decides.
#[derive(Clone, Debug)]
struct Log {
    /// In the order of the file.
    rules: Arc<[Rule]>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let rules: Result<Arc<[Rule]>, _> = directives.iter().map(|it| parse(it, block)).collect();
    let log = Log { rules: rules? };
    block.links.push((PLUGIN.name, Box::new(log)));
    Ok(())
}

fn parse(directive: &Directive, block: &mut Block) -> Result<Rule, CorefileError> {
    let (mut names, mut format) = (directive.args.clone(), Format::default());
    let is_format = |arg: &Token| arg.text.contains('{');
    if let Some(last) = names.pop_if(|last| is_format(last)) {
        format = Format::read(&last.text);
    }
    let strays = names.extract_if(.., |arg| is_format(arg)).count();
    if strays > 0 {
        let why =
            "a format that is not the last argument is a name to CoreDNS, which nobody asks for";
        block.without_effect.push((PLUGIN.name.into(), why));
    }
    let names = if names.is_empty() && strays == 0 {
        vec![Name::root()].into()
    } else {
        origins(&names)?.into()
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
        let fits = |rule: &&Rule| rule.names.cover(&query.question.qname);
        let Some(rule) = self.rules.iter().find(fits) else {
            return next.handle(query);
        };
        async move {
            let start = tokio::time::Instant::now();
            let (wire, size, handled) = match next.handle(query).await {
                Ok(reply) => {
                    let Sized { reply, first, size } = sized(reply, query);
                    (first, size, Ok(reply))
                }
                Err(failure) => {
                    let wire = refusal(query, failure.rcode);
                    let size = wire.len();
                    (wire, size, Err(failure))
                }
            };
            let facts = Facts {
                query,
                wire: &wire,
                size,
                took: start.elapsed(),
            };
            rule.say(&facts);
            handled
        }
        .boxed()
    }
}

/// What the server will answer: as in CoreDNS, its size is that without an OPT record.
fn refusal(query: &Query, rcode: ResponseCode) -> Vec<u8> {
    let query = Query {
        edns: None,
        ..query.clone()
    };
    Reply::refusal(rcode)
        .encode(&query)
        .into_first()
        .unwrap_or_default()
}

impl Rule {
    /// Writes the line, where it is asked for.
    fn say(&self, facts: &Facts<'_>) {
        let (class, kind) = facts.kind();
        if let Some(metadata) = &facts.query.metadata {
            metadata.set("log/class", class.name());
            metadata.set("log/type", kind);
        }
        if !self.classes.is_empty() && !self.classes.contains(&class) {
            return;
        }
        info!(
            target: "dns",
            plugin = "log",
            client_ip = %facts.client(),
            client_port = facts.query.route.client.port(),
            qname = %facts.qname(),
            qtype = type_name(facts.qtype()),
            qclass = class_name(facts.qclass()),
            protocol = facts.transport(),
            id = facts.query.id,
            opcode = facts.opcode(),
            request_size = facts.query.size,
            dnssec_ok = facts.dnssec_ok(),
            bufsize = facts.udp_size(),
            rcode = %facts.rcode(),
            response_size = facts.size,
            duration_seconds = facts.took.as_secs_f64(),
            "{}",
            self.format.line(facts)
        );
    }
}

impl Class {
    /// Its name as metadata.
    fn name(self) -> &'static str {
        match self {
            Self::Denial => "denial",
            Self::Error => "error",
            Self::Success => "success",
        }
    }
}

/// What is known of a query when its reply is there.
struct Facts<'a> {
    query: &'a Query,
    /// The reply, or the first message of a transfer.
    wire: &'a [u8],
    /// Octets of the reply, as CoreDNS counts them.
    size: usize,
    took: Duration,
}

impl Facts<'_> {
    fn client(&self) -> IpAddr {
        self.query.route.client.ip()
    }

    /// In lower case.
    fn qname(&self) -> Qname {
        self.query.question.qname.to_lowercase()
    }

    fn qtype(&self) -> RecordType {
        self.query.question.qtype
    }

    fn qclass(&self) -> DNSClass {
        self.query.question.qclass
    }

    fn transport(&self) -> &'static str {
        match self.query.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
        }
    }

    fn opcode(&self) -> u8 {
        self.query.opcode.into()
    }

    fn dnssec_ok(&self) -> bool {
        self.query.edns.is_some_and(|edns| edns.dnssec_ok)
    }

    /// What the client takes, in octets.
    fn udp_size(&self) -> u16 {
        match (self.query.transport, self.query.edns) {
            (Transport::Udp, None) => PLAIN_UDP_SIZE,
            (Transport::Udp, Some(edns)) => edns.udp_size.max(PLAIN_UDP_SIZE),
            // As in CoreDNS what is said of datagrams does not matter.
            (Transport::Tcp, _) => u16::MAX,
        }
    }

    /// The response code without its upper bits; `-`: nothing is sent.
    fn rcode(&self) -> Cow<'static, str> {
        match self.wire {
            [] => "-".into(),
            wire => rcode_name(rcode_of(wire)).into(),
        }
    }

    /// What kind of reply it is, in CoreDNS's words; that is metadata too.
    fn kind(&self) -> (Class, &'static str) {
        match (self.wire, self.qtype()) {
            ([], _) => (Class::Error, "OTHERERROR"),
            (_, RecordType::AXFR | RecordType::IXFR) => (Class::Error, "META"),
            (wire, _) => kind(wire),
        }
    }
}

/// What kind a message is.
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
    match rcode_of(wire) {
        ResponseCode::NoError if has(0, None) => (Class::Success, "NOERROR"),
        ResponseCode::NoError if has(1, Some(soa)) => (Class::Denial, "NODATA"),
        ResponseCode::NoError if has(1, None) => (Class::Success, "DELEGATION"),
        ResponseCode::NoError => (Class::Success, "NOERROR"),
        ResponseCode::NXDomain => (Class::Denial, "NXDOMAIN"),
        ResponseCode::ServFail | ResponseCode::NotImp => (Class::Error, "SERVERERROR"),
        _ => (Class::Error, "OTHERERROR"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plugin::tests::{error, query, read};

    #[test]
    fn names_format_and_classes_are_read() {
        let spec = read(
            "log example.org. \"{name} {rcode}\" {\n class denial error\n}",
            |directives| parse(directives.only()?, &mut Block::default()),
        )
        .unwrap();
        assert_eq!(
            spec.names,
            vec![crate::name::absolute("example.org").unwrap()].into()
        );
        assert_eq!(
            (spec.format, &spec.classes[..]),
            (
                Format::read("{name} {rcode}"),
                &[Class::Denial, Class::Error][..]
            )
        );
        assert_eq!(error("log {\n class nothing\n}"), "unknown class 'nothing'");
    }

    #[test]
    fn a_query_that_gets_no_reply_is_an_error_and_a_transfer_is_of_its_own_kind() {
        let kind = |qtype, wire: &[u8]| {
            let query = query("a.test", qtype);
            let (size, took) = (wire.len(), Duration::ZERO);
            let facts = Facts {
                query: &query,
                wire,
                size,
                took,
            };
            let line = Format::read("{rcode} {rsize} {>rflags}").line(&facts);
            (line, facts.kind())
        };
        let nothing = ("- 0 -".to_owned(), (Class::Error, "OTHERERROR"));
        assert_eq!(kind(RecordType::A, &[]), nothing);
        let wire = [0, 7, 0x84, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let (class, empty) = (Class::Success, "NOERROR 12 qr,aa".to_owned());
        assert_eq!(
            kind(RecordType::A, &wire),
            (empty.clone(), (class, "NOERROR"))
        );
        let of_transfer = (empty, (Class::Error, "META"));
        assert_eq!(kind(RecordType::AXFR, &wire), of_transfer);
    }
}
