//! `whoami`: what the server sees of its client: address, port, transport. Mostly to try a server out.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{Query, Transport};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};
use crate::name::{Name, absolute};

pub(super) const PLUGIN: Registration = Registration {
    name: "whoami",
    setup,
};

#[derive(Clone, Debug)]
struct Whoami;

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    directives.all_bare()?;
    block.links.push((PLUGIN.name, Box::new(Whoami)));
    Ok(())
}

impl Plugin for Whoami {
    fn handle<'a>(&'a self, query: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        futures::future::ready(Ok(reply(query).into())).boxed()
    }
}

/// The client's address as a record of the name that was asked, and its port as a SRV record below it.
fn reply(query: &Query) -> Composed {
    let owner = query.question.qname.to_name(0);
    let client = query.route.client;
    let label = match query.transport {
        Transport::Udp => "_udp",
        Transport::Tcp => "_tcp",
    };
    let below = absolute(&format!(
        "{label}.{}",
        owner.to_string().trim_start_matches('.')
    ))
    .unwrap_or_else(|_| owner.clone());
    Composed {
        authoritative: true,
        additional: vec![
            record::address(owner, 0, client.ip()),
            record::service(below, 0, client.port(), Name::root()),
        ],
        ..Composed::empty(ResponseCode::NoError)
    }
}
