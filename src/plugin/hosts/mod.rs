//! `hosts`: names and addresses of a file like /etc/hosts, and of lines in the Corefile.

mod table;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::warn;

use self::table::{Table, address};
use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration, duration, fallthrough, flag};
use super::watched::Watched;
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Query, Question, RecordType};
use crate::message::record::{self, Record};
use crate::message::reply::{Composed, Failure, ResponseCode};
use crate::name::Origins;

pub(super) const PLUGIN: Registration = Registration {
    name: "hosts",
    setup,
};

/// `hosts [FILE [ZONES...]] { ADDRESS NAMES...; ... }`.
#[derive(Clone, Debug)]
struct Spec {
    file: String,
    origins: Origins,
    /// Lines of the Corefile, which come after the file's.
    inline: String,
    fallthrough: Option<Origins>,
    /// Other types of known names are asked of the next plugin.
    other_types_fall: bool,
    ttl: u32,
    /// Addresses have names.
    reverse: bool,
    /// How often the file is looked at; zero: once.
    reload: Duration,
}

const PROPERTIES: &str = "an address with names (before `fallthrough`), fallthrough, fallthrough_unsupported, no_reverse, reload or ttl";

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    let (file, zones) = match &directive.args[..] {
        [] => ("/etc/hosts".to_owned(), &[][..]),
        [file, zones @ ..] => (block.path(file).text, zones),
    };
    let mut spec = Spec {
        file,
        origins: directives.origins(zones)?.into(),
        inline: String::new(),
        fallthrough: None,
        other_types_fall: false,
        ttl: 3600,
        reverse: true,
        reload: Duration::from_secs(5),
    };
    for property in &directive.body {
        spec.property(directive, property)?;
    }
    if spec.other_types_fall && spec.fallthrough.is_none() {
        let problem = "`fallthrough_unsupported` needs `fallthrough`";
        return Err(directive.name.error(problem, "`fallthrough` beside it"));
    }
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Spec {
    fn property(
        &mut self,
        directive: &Directive,
        property: &Directive,
    ) -> Result<(), CorefileError> {
        match property.name.text.as_str() {
            "fallthrough" => self.fallthrough = Some(fallthrough(property)?),
            "fallthrough_unsupported" => self.other_types_fall = flag(property)?,
            "no_reverse" => self.reverse = !flag(property)?,
            "ttl" => self.ttl = ttl(property)?,
            "reload" => self.reload = duration(property.one_arg("a duration, or 0")?)?,
            // As in CoreDNS `fallthrough` ends the addresses.
            word if address(word).is_some() && self.fallthrough.is_none() => {
                self.inline += &(words(property) + "\n");
            }
            // A variable that is not set: CoreDNS starts too.
            "" => warn!(line = %words(property), "a line of `hosts` begins with no address"),
            _ => return Err(directive.unknown_property(property, PROPERTIES)),
        }
        Ok(())
    }
}

/// The words of a line, with a blank between them.
fn words(line: &Directive) -> String {
    let words = std::iter::once(&line.name).chain(&line.args);
    words
        .map(|word| word.text.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

fn ttl(property: &Directive) -> Result<u32, CorefileError> {
    const EXPECTED: &str = "seconds from 1 to 65535";
    let arg = property.one_arg(EXPECTED)?;
    let ttl = arg
        .text
        .parse()
        .ok()
        .filter(|ttl| (1..=65_535).contains(ttl));
    ttl.ok_or_else(|| arg.error(format!("'{}' is no TTL", arg.text), EXPECTED))
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let entries = parts.metrics.hosts.entries.with_label_values(&[&self.file]);
        let changed = parts.metrics.hosts.changed.clone();
        let (file, inline) = (self.file.clone(), self.inline.clone());
        let table = move |text: &str| {
            let table = Table::read(&format!("{text}\n{inline}"));
            entries.set(u32::try_from(table.len()).unwrap_or(u32::MAX).into());
            table
        };
        let none = table("");
        let table = Watched::new(
            &self.file,
            self.reload,
            none,
            move |octets, _| match octets {
                // What of it is no UTF-8 is no name.
                Ok(octets) => {
                    changed.set(last_change(&file));
                    Some(table(&String::from_utf8_lossy(&octets)))
                }
                Err(error) => {
                    warn!(%file, %error, "a hosts file cannot be read");
                    (error.kind() == io::ErrorKind::NotFound).then(|| table(""))
                }
            },
        );
        Ok(Arc::new(Hosts {
            spec: self.clone(),
            table,
        }))
    }
}

/// When a file was changed last, in seconds since 1970; 0 where it is gone.
fn last_change(file: &str) -> f64 {
    let changed = std::fs::metadata(file).and_then(|of_file| of_file.modified());
    let since = changed.map(|at| {
        at.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    });
    since.unwrap_or_default().as_secs_f64()
}

/// The handler.
struct Hosts {
    spec: Spec,
    table: Watched<Table>,
}

impl Hosts {
    /// The answer, where the table knows the name.
    fn answer(&self, question: &Question) -> Option<Composed> {
        let table = self.table.get();
        let qname = &question.qname;
        let owner = qname.to_lowercase().to_name(0);
        let ttl = self.spec.ttl;
        if question.qtype == RecordType::PTR {
            let address = qname.reverse_address().filter(|_| self.spec.reverse)?;
            let names = table.names(address);
            let ours = names.filter(|name| self.spec.origins.cover(&(*name).into()));
            let answer = ours.map(|name| record::pointer(owner.clone(), ttl, name.clone()));
            return positive(answer.collect()).filter(|reply| !reply.answer.is_empty());
        }
        if !self.spec.origins.cover(qname) {
            return None;
        }
        let addresses = table.addresses(&owner.to_string())?.iter();
        let (v4, v6) = (
            question.qtype == RecordType::A,
            question.qtype == RecordType::AAAA,
        );
        let fits = |ip: &&std::net::IpAddr| v4 && ip.is_ipv4() || v6 && ip.is_ipv6();
        let answer = addresses.filter(fits);
        positive(
            answer
                .map(|ip| record::address(owner.clone(), ttl, *ip))
                .collect(),
        )
    }
}

fn positive(answer: Vec<Record>) -> Option<Composed> {
    Some(Composed {
        authoritative: true,
        answer,
        ..Composed::empty(ResponseCode::NoError)
    })
}

impl Plugin for Hosts {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        let addresses = matches!(question.qtype, RecordType::A | RecordType::AAAA);
        let falls = |fallthrough: &Option<Origins>| {
            let origins = fallthrough.as_ref();
            origins.is_some_and(|origins| origins.cover(&question.qname))
        };
        let is_ptr = question.qtype == RecordType::PTR;
        match self.answer(question) {
            Some(reply) if addresses || is_ptr || !self.spec.other_types_fall => {
                futures::future::ready(Ok(reply.into())).boxed()
            }
            // What has no name here may have one elsewhere.
            None if is_ptr || !self.spec.origins.cover(&question.qname) => next.handle(query),
            _ if falls(&self.spec.fallthrough) => next.handle(query),
            Some(_) | None => {
                // Without a word, as in CoreDNS: names that nobody has are asked for all the time.
                futures::future::ready(Err(Failure::servfail(""))).boxed()
            }
        }
    }
}
