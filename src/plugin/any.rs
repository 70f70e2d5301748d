//! `any`: the smallest answer to a question of type ANY (RFC 8482 section 4.2).

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{Query, RecordType};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};

pub(super) const PLUGIN: Registration = Registration { name: "any", setup };

/// CoreDNS's, after the number of the RFC.
const TTL: u32 = 8482;

#[derive(Clone, Debug)]
struct Any;

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    directives.all_bare()?;
    block.links.push((PLUGIN.name, Box::new(Any)));
    Ok(())
}

impl Plugin for Any {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        if query.question.qtype != RecordType::ANY {
            return next.handle(query);
        }
        let owner = query.question.qname.to_name(0);
        let info = record::host_info(owner, TTL, "ANY obsoleted", "See RFC 8482");
        let reply = Composed {
            answer: vec![info],
            ..Composed::empty(ResponseCode::NoError)
        };
        futures::future::ready(Ok(reply.into())).boxed()
    }
}
