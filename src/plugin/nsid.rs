//! `nsid`: the server's name for itself, for clients that ask for it (RFC 5001).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration, host_name};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::CorefileError;
use crate::message::options::{self, NSID};
use crate::message::question::{Edns, Query};
use crate::message::skim;

pub(super) const PLUGIN: Registration = Registration {
    name: "nsid",
    setup,
};

/// `nsid [TEXT...]`; without text the host's name.
#[derive(Clone, Debug)]
struct Nsid(String);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    directive.no_body()?;
    if directive.args.is_empty() {
        directive.bare()?;
    }
    let words: Vec<&str> = directive.args.iter().map(|arg| arg.text.as_str()).collect();
    let text = if words.is_empty() {
        host_name()
    } else {
        words.join(" ")
    };
    block.links.push((PLUGIN.name, Box::new(Nsid(text))));
    Ok(())
}

impl Plugin for Nsid {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        // An empty one asks for the server's.
        let is_asked = || options::each(&query.options).any(|(code, _)| code == NSID);
        let Some(edns) = query.edns.filter(|_| is_asked()) else {
            return next.handle(query);
        };
        async move {
            let reply = next.handle(query).await?;
            if !reply.is_message() {
                return Ok(reply);
            }
            // As CoreDNS, whose own replies with this option always have DO.
            let dnssec_ok = edns.dnssec_ok || !matches!(reply, Reply::Raw(_));
            let query = Query {
                edns: Some(Edns { dnssec_ok, ..edns }),
                ..query.clone()
            };
            let octets = reply.encode(&query).into_first().unwrap_or_default();
            let mut octets = skim::with_opt_for(&query, octets);
            let text = self.0.as_bytes().to_vec();
            skim::edit_options(&mut octets, |options| {
                match options.iter_mut().find(|(code, _)| *code == NSID) {
                    Some((_, there)) => *there = text,
                    None => options.push((NSID, text)),
                }
            });
            Ok(Reply::Raw(octets))
        }
        .boxed()
    }
}
