//! `nsid`: the server's name for itself, for clients that ask for it (RFC 5001).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration, host_name};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::CorefileError;
use crate::message::question::{Edns, Query};
use crate::message::skim;

pub(super) const PLUGIN: Registration = Registration {
    name: "nsid",
    setup,
};

/// The option's code (RFC 5001 section 2.1).
const NSID: u16 = 3;

/// `nsid [TEXT...]`; without text the host's name.
#[derive(Clone, Debug)]
struct Nsid(String);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    directive.no_body()?;
    let words: Vec<&str> = directive.args.iter().map(|arg| arg.text.as_str()).collect();
    let text = if words.is_empty() {
        host_name()
    } else {
        words.join(" ")
    };
    block.links.push((PLUGIN.name, Box::new(Nsid(text))));
    Ok(())
}

/// Whether the options have an empty NSID, which asks for the server's.
fn is_asked(mut options: &[u8]) -> bool {
    while let [c0, c1, l0, l1, rest @ ..] = options {
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        if u16::from_be_bytes([*c0, *c1]) == NSID {
            return true;
        }
        options = rest.get(length..).unwrap_or_default();
    }
    false
}

impl Plugin for Nsid {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let Some(edns) = query.edns.filter(|_| is_asked(&query.options)) else {
            return next.handle(query);
        };
        async move {
            let reply = next.handle(query).await?;
            if matches!(reply, Reply::Transfer(_)) {
                return Ok(reply);
            }
            // As CoreDNS, whose reply with this option always has DO.
            let query = Query {
                edns: Some(Edns {
                    dnssec_ok: true,
                    ..edns
                }),
                ..query.clone()
            };
            let octets = reply.encode(&query).into_first();
            let mut octets = skim::with_opt_for(&query, octets);
            skim::add_option(&mut octets, NSID, self.0.as_bytes());
            Ok(Reply::Raw(octets))
        }
        .boxed()
    }
}
