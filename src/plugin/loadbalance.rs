//! `loadbalance`: the records of each answer in a new order each time.

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::seq::SliceRandom;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive};
use crate::message::question::Query;
use crate::message::record::{Record, RecordType};
use crate::message::reply::ResponseCode;

/// The handler.
#[derive(Clone, Debug)]
pub struct Loadbalance;

pub(super) const PLUGIN: Registration = Registration {
    name: "loadbalance",
    setup,
};

/// As in CoreDNS several are one.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    directives.iter().try_for_each(check)?;
    block.links.push((PLUGIN.name, Box::new(Loadbalance)));
    Ok(())
}

fn check(directive: &Directive) -> Result<(), CorefileError> {
    directive.no_body()?;
    match &directive.args[..] {
        [] => Ok(()),
        [policy] if policy.text == "round_robin" => Ok(()),
        [policy, ..] => Err(policy.error(
            format!("the policy '{}' is not supported", policy.text),
            "round_robin, or nothing",
        )),
    }
}

impl Plugin for Loadbalance {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let reply = next.handle(query).await?;
            if !reply.has_an_order() {
                return Ok(reply);
            }
            Ok(match reply.into_composed(&query.question) {
                Some(mut reply) => {
                    shuffle(&mut reply.answer);
                    shuffle(&mut reply.additional);
                    reply.into()
                }
                None => Reply::refusal(ResponseCode::ServFail),
            })
        }
        .boxed()
    }
}

/// Aliases first and in order, then what is no address in order, then addresses shuffled.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: every other type is alike"
)]
fn shuffle(records: &mut [Record]) {
    let rank = |record: &Record| match record.record_type() {
        RecordType::CNAME => 0,
        RecordType::A | RecordType::AAAA => 2,
        _ => 1,
    };
    records.sort_by_key(rank);
    let addresses = records.partition_point(|r| rank(r) < 2);
    records[addresses..].shuffle(&mut rand::rng());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record;
    use crate::name::absolute;

    #[test]
    fn addresses_change_places_and_nothing_else_does() {
        let owner = absolute("redis.default.svc.cluster.local").unwrap();
        let alias = record::cname(owner.clone(), 5, absolute("example.com").unwrap());
        let mut records: Vec<_> = (0..100)
            .map(|i| record::address(owner.clone(), 5, [10, 0, 0, i].into()))
            .collect();
        let before = records.clone();
        records.push(alias.clone());
        shuffle(&mut records);
        assert_eq!(records[0], alias);
        assert_ne!(records[1..], before);
        records[1..].sort_by_key(|r| {
            r.data
                .to_string()
                .rsplit('.')
                .next()
                .unwrap()
                .parse::<u8>()
                .unwrap()
        });
        assert_eq!(records[1..], before);
    }
}
