//! `chaos`: names of class CHAOS, with which a server speaks of itself (RFC 4892).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration, host_name};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{DNSClass, Query, RecordType};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};

pub(super) const PLUGIN: Registration = Registration {
    name: "chaos",
    setup,
};

/// `chaos [VERSION] [AUTHORS...]`.
#[derive(Clone, Debug)]
struct Chaos {
    version: String,
    authors: Vec<String>,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    directives.iter().try_for_each(Directive::no_body)?;
    let directive = directives.last();
    let mut words = directive.args.iter().map(|arg| arg.text.clone());
    let own = || format!("headless-dns-{}", env!("CARGO_PKG_VERSION"));
    let chaos = Chaos {
        version: trimmed(words.next().unwrap_or_else(own)),
        authors: words.map(trimmed).collect(),
    };
    block.any_class = true;
    block.links.push((PLUGIN.name, Box::new(chaos)));
    Ok(())
}

/// The first 255 octets, which is what a string of a TXT record takes (RFC 1035 section 3.3.14).
fn trimmed(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(255));
    text
}

impl Chaos {
    /// What a name says; `None`: it is none of these.
    fn texts(&self, qname: &str) -> Option<Vec<String>> {
        match qname {
            "version.bind." | "version.server." => Some(vec![self.version.clone()]),
            "authors.bind." => Some(self.authors.clone()),
            "hostname.bind." | "id.server." => Some(vec![host_name()]),
            _ => None,
        }
    }
}

impl Plugin for Chaos {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let question = &query.question;
        if question.qclass != DNSClass::CH || question.qtype != RecordType::TXT {
            return next.handle(query);
        }
        let Some(texts) = self.texts(&question.qname.to_lowercase().to_string()) else {
            return next.handle(query);
        };
        let owner = question.qname.to_name(0);
        let reply = Composed {
            answer: texts
                .iter()
                .map(|text| record::chaos(owner.clone(), 0, text))
                .collect(),
            ..Composed::empty(ResponseCode::NoError)
        };
        futures::future::ready(Ok(reply.into())).boxed()
    }
}
