//! `local`: names and addresses of this machine alone, which must not be asked of anybody else (RFC 6303, RFC 6761).

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Query, Question, RecordType};
use crate::message::record::{self, Record};
use crate::message::reply::{Composed, ResponseCode};
use crate::metrics::Metrics;
use crate::name::{Name, Origins, Qname, absolute};

pub(super) const PLUGIN: Registration = Registration {
    name: "local",
    setup,
};

/// A week: these never change.
const TTL: u32 = 604_800;

/// What is answered here besides `localhost`.
const ZONES: [&str; 3] = ["127.in-addr.arpa", "0.in-addr.arpa", "255.in-addr.arpa"];

/// What the directive says.
#[derive(Clone, Debug)]
struct Spec {
    localhost: Origins,
    reverse: Origins,
    /// `localhost.` followed by anything is answered too: it comes from a search list.
    prefix: bool,
}

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let reverse: Vec<Name> = ZONES.iter().map(|zone| named(zone)).collect();
    // As in CoreDNS the last counts.
    let mut does_prefix = true;
    for directive in directives.iter() {
        directive.no_args()?;
        does_prefix = prefix(directive)?;
    }
    let local = Spec {
        localhost: vec![named("localhost")].into(),
        reverse: reverse.into(),
        prefix: does_prefix,
    };
    block.links.push((PLUGIN.name, Box::new(local)));
    Ok(())
}

fn prefix(directive: &Directive) -> Result<bool, CorefileError> {
    let mut prefix = true;
    for property in &directive.body {
        if property.name.text != "localhost_prefix" {
            return Err(directive.unknown_property(property, "localhost_prefix"));
        }
        let arg = property.one_arg("on or off")?;
        prefix = match arg.text.as_str() {
            "on" => true,
            "off" => false,
            other => return Err(arg.error(format!("'{other}' is neither"), "on or off")),
        };
    }
    Ok(prefix)
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Local {
            spec: self.clone(),
            metrics: Arc::clone(&parts.metrics),
        }))
    }
}

/// The handler.
struct Local {
    spec: Spec,
    metrics: Arc<Metrics>,
}

impl Spec {
    fn answer(&self, question: &Question) -> Option<Composed> {
        let qname = &question.qname;
        let owner = qname.to_name(0);
        if let Some((zone, _)) = self.reverse.of(qname) {
            return Some(reverse(owner, &zone.name, question.qtype));
        }
        let is_itself = qname.len() == 1;
        self.is_localhost(qname)
            .then(|| localhost(owner, question.qtype, is_itself))
    }

    /// Whether the name is `localhost`, or that with something before it or behind it.
    fn is_localhost(&self, qname: &Qname) -> bool {
        self.localhost.cover(qname) || self.prefix && qname.is(0, b"localhost")
    }
}

/// `itself`: the name is `localhost` alone, which is a zone's.
fn localhost(owner: Name, qtype: RecordType, itself: bool) -> Composed {
    if qtype == RecordType::A {
        positive(record::address(owner, TTL, Ipv4Addr::LOCALHOST.into()))
    } else if qtype == RecordType::AAAA {
        positive(record::address(owner, TTL, Ipv6Addr::LOCALHOST.into()))
    } else if itself {
        of_zone(owner, qtype)
    } else {
        denied(owner, ResponseCode::NoError)
    }
}

fn reverse(owner: Name, zone: &Name, qtype: RecordType) -> Composed {
    if owner == *zone {
        return of_zone(owner, qtype);
    }
    if owner != named("1.0.0.127.in-addr.arpa") {
        return denied(zone.clone(), ResponseCode::NXDomain);
    }
    if qtype == RecordType::PTR {
        return positive(record::pointer(owner, TTL, named("localhost")));
    }
    denied(zone.clone(), ResponseCode::NoError)
}

fn denied(zone: Name, rcode: ResponseCode) -> Composed {
    Composed {
        authority: vec![soa(zone)],
        ..Composed::empty(rcode)
    }
}

/// The name of a zone: its SOA and NS, and nothing else.
fn of_zone(owner: Name, qtype: RecordType) -> Composed {
    if qtype == RecordType::SOA {
        positive(soa(owner))
    } else if qtype == RecordType::NS {
        positive(record::server(owner, TTL, named("localhost")))
    } else {
        denied(owner, ResponseCode::NoError)
    }
}

fn positive(answer: Record) -> Composed {
    Composed {
        answer: vec![answer],
        ..Composed::empty(ResponseCode::NoError)
    }
}

/// A name of ours; the root where it is none.
fn named(text: &str) -> Name {
    absolute(text).unwrap_or_else(|_| Name::root())
}

fn soa(zone: Name) -> Record {
    record::authority(zone, TTL, named("localhost"), named("root.localhost"))
}

impl Plugin for Local {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let qname = &query.question.qname;
        if self.spec.is_localhost(qname) && qname.len() > 1 {
            self.metrics.localhost.inc();
        }
        match self.spec.answer(&query.question) {
            Some(reply) => futures::future::ready(Ok(reply.into())).boxed(),
            None => next.handle(query),
        }
    }
}
