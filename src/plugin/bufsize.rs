//! `bufsize`: how large a datagram a client may say that it takes.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Edns, Query};
use crate::message::{UDP_SIZE, skim, truncate};

pub(super) const PLUGIN: Registration = Registration {
    name: "bufsize",
    setup,
};

/// `bufsize [OCTETS]`: the largest size, in octets.
#[derive(Clone, Debug)]
struct Bufsize(u16);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    const EXPECTED: &str = "octets, from 512 to 4096";
    directives.iter().try_for_each(Directive::no_body)?;
    let directive = directives.last();
    let size = match &directive.args[..] {
        [] => UDP_SIZE,
        [arg] => {
            let problem = || arg.error(format!("'{}' is no size", arg.text), EXPECTED);
            let size = arg.text.parse().ok();
            size.filter(|size| (512..=4096).contains(size))
                .ok_or_else(problem)?
        }
        [_, more, ..] => return Err(more.error("`bufsize` has one argument", EXPECTED)),
    };
    block.links.push((PLUGIN.name, Box::new(Bufsize(size))));
    Ok(())
}

impl Plugin for Bufsize {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let Some(edns) = query.edns.filter(|edns| edns.udp_size > self.0) else {
            return next.handle(query);
        };
        async move {
            let query = Query {
                edns: Some(Edns {
                    udp_size: self.0,
                    ..edns
                }),
                ..query.clone()
            };
            let reply = next.handle(&query).await?;
            if !reply.is_message() {
                return Ok(reply);
            }
            // Whoever composes it last knows only the client's own size.
            let octets = reply.encode(&query).into_first().unwrap_or_default();
            Ok(Reply::Raw(truncate(
                &query,
                skim::with_opt_for(&query, octets),
            )))
        }
        .boxed()
    }
}
