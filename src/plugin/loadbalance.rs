//! `loadbalance`: the records of each answer in a new order each time.

use std::net::IpAddr;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::seq::SliceRandom;

use super::block::Block;
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, cidr};
use crate::message::question::Query;
use crate::message::record::{Record, RecordType};
use crate::message::reply::ResponseCode;

/// The handler.
#[derive(Clone, Debug, Default)]
struct Loadbalance {
    /// Addresses in these networks come first, those in the first one before the others.
    prefer: Vec<Network>,
}

pub(super) const PLUGIN: Registration = Registration {
    name: "loadbalance",
    setup,
};

/// As in CoreDNS the last of several counts.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let mut last = Loadbalance::default();
    for directive in directives.iter() {
        last = read(directive)?;
    }
    block.links.push((PLUGIN.name, Box::new(last)));
    Ok(())
}

fn read(directive: &Directive) -> Result<Loadbalance, CorefileError> {
    match &directive.args[..] {
        [] => {}
        [policy] if policy.text == "round_robin" => {}
        [policy, ..] => {
            return Err(policy.error(
                format!("the policy '{}' is not supported", policy.text),
                "round_robin, or nothing",
            ));
        }
    }
    let mut prefer = Vec::new();
    for property in &directive.body {
        if property.name.text != "prefer" {
            return Err(directive.unknown_property(property, "prefer"));
        }
        for arg in &property.args {
            let problem = || arg.error(format!("'{}' is no network", arg.text), "a CIDR");
            let (address, bits) = cidr(&arg.text).ok_or_else(problem)?;
            prefer.push(Network(address, bits));
        }
    }
    Ok(Loadbalance { prefer })
}

/// A network: an address and the length of its prefix, in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network(IpAddr, u8);

impl Network {
    fn has(self, address: IpAddr) -> bool {
        let Self(network, bits) = self;
        match (network, address) {
            (IpAddr::V4(a), IpAddr::V4(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
            }
            (IpAddr::V6(a), IpAddr::V6(b)) => {
                let differ = a.to_bits() ^ b.to_bits();
                differ.checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Loadbalance {
    /// Sorts the preferred addresses before the others; else the order stays.
    fn prefer(&self, records: &mut [Record]) {
        if self.prefer.is_empty() {
            return;
        }
        let first = records
            .iter()
            .position(|record| addressed(record).is_some());
        let Some(first) = first else {
            return;
        };
        records[first..].sort_by_key(|record| {
            let address = addressed(record);
            let mut networks = self.prefer.iter();
            let place = networks.position(|network| address.is_some_and(|ip| network.has(ip)));
            place.unwrap_or(usize::MAX)
        });
    }
}

/// The address that a record gives.
fn addressed(record: &Record) -> Option<IpAddr> {
    let is_address = matches!(record.record_type(), RecordType::A | RecordType::AAAA);
    record.data.ip_addr().filter(|_| is_address)
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
                    self.prefer(&mut reply.answer);
                    shuffle(&mut reply.additional);
                    reply.into()
                }
                None => Reply::refusal(ResponseCode::ServFail),
            })
        }
        .boxed()
    }
}

/// Aliases first and in order, then what is no address in order, then addresses shuffled, then mail exchanges shuffled.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: every other type is alike"
)]
fn shuffle(records: &mut [Record]) {
    let rank = |record: &Record| match record.record_type() {
        RecordType::CNAME => 0,
        RecordType::A | RecordType::AAAA => 2,
        RecordType::MX => 3,
        _ => 1,
    };
    records.sort_by_key(rank);
    let addresses = records.partition_point(|r| rank(r) < 2);
    let exchanges = records.partition_point(|r| rank(r) < 3);
    records[addresses..exchanges].shuffle(&mut rand::rng());
    records[exchanges..].shuffle(&mut rand::rng());
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
