//! `minimal`: of a positive reply only the answer section.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::Query;
use crate::message::reply::{Composed, ResponseCode};

pub(super) const PLUGIN: Registration = Registration {
    name: "minimal",
    setup,
};

#[derive(Clone, Debug)]
struct Minimal;

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    directives.all_bare()?;
    block.links.push((PLUGIN.name, Box::new(Minimal)));
    Ok(())
}

impl Plugin for Minimal {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let reply = next.handle(query).await?;
            if reply.rcode() != ResponseCode::NoError || !reply.is_message() {
                return Ok(reply);
            }
            Ok(match reply.clone().into_composed(&query.question) {
                Some(composed) if !composed.answer.is_empty() => Composed {
                    authority: Vec::new(),
                    additional: Vec::new(),
                    ..composed
                }
                .into(),
                Some(_) | None => reply,
            })
        }
        .boxed()
    }
}
