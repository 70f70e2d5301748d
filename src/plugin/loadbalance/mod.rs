//! `loadbalance`: the records of each answer in a new order each time.

mod weights;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use rand::RngExt;
use rand::seq::SliceRandom;
use tracing::{error, info};

use self::weights::Weights;
use super::block::{Block, Link, Parts};
use super::kit::{Directives, Network, Registration, duration};
use super::passage::{Passage, Way};
use super::watched::Watched;
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::Query;
use crate::message::record::{Record, RecordType};
use crate::message::reply::ResponseCode;

/// What the directive says.
#[derive(Clone, Debug, Default)]
struct Spec {
    /// `None`: a new order each time.
    weighted: Option<Weighted>,
    /// Addresses in these networks come first, those in the first one before the others.
    prefer: Vec<Network>,
}

/// `weighted FILE { reload DURATION }`.
#[derive(Clone, Debug)]
struct Weighted {
    file: Token,
    reload: Duration,
}

pub(super) const PLUGIN: Registration = Registration {
    name: "loadbalance",
    setup,
};

/// As in CoreDNS the policy of the last of several counts, and what all of them prefer.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let mut spec = Spec::default();
    for directive in directives.iter() {
        spec.read(directive, block)?;
    }
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

impl Spec {
    fn read(&mut self, directive: &Directive, block: &Block) -> Result<(), CorefileError> {
        const EXPECTED: &str = "round_robin, `weighted` with a file, or nothing";
        self.weighted = match &directive.args[..] {
            [] => None,
            [policy] if policy.text == "round_robin" => None,
            [policy, file] if policy.text == "weighted" => Some(Weighted {
                file: block.path(file),
                reload: RELOAD,
            }),
            [policy, ..] => {
                let problem = format!("'{}' is no policy, or has other arguments", policy.text);
                return Err(policy.error(problem, EXPECTED));
            }
        };
        for property in &directive.body {
            match (property.name.text.as_str(), &mut self.weighted) {
                ("prefer", None) => self.prefer(property)?,
                ("reload", Some(weighted)) => {
                    weighted.reload = duration(property.one_arg("a duration, or 0s")?)?;
                }
                (_, None) => return Err(directive.unknown_property(property, "prefer")),
                (_, Some(_)) => return Err(directive.unknown_property(property, "reload")),
            }
        }
        Ok(())
    }

    fn prefer(&mut self, property: &Directive) -> Result<(), CorefileError> {
        for arg in &property.args {
            let problem = || arg.error(format!("'{}' is no network", arg.text), "a CIDR");
            self.prefer
                .push(Network::cidr(&arg.text).ok_or_else(problem)?);
        }
        Ok(())
    }
}

/// How often a file of weights is looked at: CoreDNS's.
const RELOAD: Duration = Duration::from_secs(30);

impl Link for Spec {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let weights = self.weighted.as_ref().map(Weighted::read).transpose()?;
        Ok(Arc::new(Loadbalance {
            weights,
            prefer: self.prefer.clone(),
        }))
    }
}

impl Weighted {
    /// The file, which may come later, but may not be wrong now.
    fn read(&self) -> Result<Watched<Weights>, CorefileError> {
        let expected = "names, and below each its addresses with their weights";
        let problem = |problem: String| self.file.error(problem, expected);
        let path = self.file.text.clone();
        let first = |octets: io::Result<Vec<u8>>| match octets {
            Err(error) if !self.reload.is_zero() => {
                error!(file = %path, %error, "the weights cannot be read, and may come later");
                Ok(Weights::default())
            }
            octets => weights(&path, octets).map_err(|error| problem(format!("{path}: {error}"))),
        };
        let named = path.clone();
        Watched::checked(&path, self.reload, first, move |octets, _| {
            let said = "the weights cannot be read, and stay as they were";
            weights(&named, octets)
                .inspect_err(|error| error!(file = %named, %error, "{said}"))
                .ok()
        })
    }
}

/// The weights of a file's octets.
fn weights(file: &str, octets: io::Result<Vec<u8>>) -> Result<Weights, String> {
    let octets = octets.map_err(|error| error.to_string())?;
    let weights = Weights::read(&String::from_utf8_lossy(&octets))?;
    info!(%file, "the weights have been read");
    Ok(weights)
}

/// The handler.
struct Loadbalance {
    /// `None`: a new order each time.
    weights: Option<Watched<Weights>>,
    prefer: Vec<Network>,
}

impl Loadbalance {
    /// Whether each order is as good as another.
    fn turns(&self) -> bool {
        self.weights.is_none() && self.prefer.is_empty()
    }

    /// Puts records into the policy's order.
    fn order(&self, qtype: RecordType, records: &mut [Record]) {
        let Some(weights) = &self.weights else {
            shuffle(records);
            return;
        };
        if matches!(qtype, RecordType::A | RecordType::AAAA | RecordType::SRV)
            && records.iter().any(|record| addressed(record).is_some())
        {
            let [addresses, _] = group(records);
            bring_forward(addresses, &weights.get());
        }
    }

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
    fn passage(&self) -> Passage<'_> {
        if self.turns() {
            Passage(Way::Turns)
        } else {
            Passage(Way::Sees)
        }
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let mut reply = next.handle(query).await?;
            if self.turns() && reply.turn(rand::random()) {
                return Ok(reply);
            }
            if !reply.has_an_order() {
                return Ok(reply);
            }
            Ok(match reply.into_composed(&query.question) {
                Some(mut reply) => {
                    self.order(query.question.qtype, &mut reply.answer);
                    self.prefer(&mut reply.answer);
                    self.order(query.question.qtype, &mut reply.additional);
                    reply.into()
                }
                None => Reply::refusal(ResponseCode::ServFail),
            })
        }
        .boxed()
    }
}

/// Aliases first and in order, then what is no address in order, then addresses shuffled, then mail exchanges shuffled.
fn shuffle(records: &mut [Record]) {
    for part in group(records) {
        part.shuffle(&mut rand::rng());
    }
}

/// Puts aliases first, then all that is no address and no mail exchange, each in its order; the addresses that follow,
/// and the exchanges.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: every other type is alike"
)]
fn group(records: &mut [Record]) -> [&mut [Record]; 2] {
    let rank = |record: &Record| match record.record_type() {
        RecordType::CNAME => 0,
        RecordType::A | RecordType::AAAA => 2,
        RecordType::MX => 3,
        _ => 1,
    };
    records.sort_by_key(rank);
    let addresses = records.partition_point(|r| rank(r) < 2);
    let exchanges = records.partition_point(|r| rank(r) < 3);
    let (before, exchanges) = records.split_at_mut(exchanges);
    [&mut before[addresses..], exchanges]
}

/// Swaps the first address with one that is drawn by weight.
fn bring_forward(addresses: &mut [Record], weights: &Weights) {
    let weight = |record: &Record| addressed(record).map_or(0, |ip| weights.of(record, ip));
    let sum: u32 = addresses.iter().map(weight).sum();
    if sum == 0 {
        return;
    }
    let mut drawn = rand::rng().random_range(0..sum);
    let first = addresses.iter().position(|record| {
        let weight = weight(record);
        let is_it = drawn < weight;
        drawn = drawn.saturating_sub(weight);
        is_it
    });
    addresses.swap(0, first.unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record;
    use crate::name::absolute;

    #[test]
    fn an_address_comes_first_as_often_as_its_weight_says() {
        let owner = absolute("w.test").unwrap();
        let weights = Weights::read("w.test\n10.0.0.1 1\n10.0.0.2 2\n10.0.0.3 5").unwrap();
        let mut first = [0_u32; 3];
        for _ in 0..8000 {
            let mut records: Vec<_> = (1..=3)
                .map(|i| record::address(owner.clone(), 5, [10, 0, 0, i].into()))
                .collect();
            bring_forward(&mut records, &weights);
            let Some(IpAddr::V4(ip)) = addressed(&records[0]) else {
                panic!("no address");
            };
            first[usize::from(ip.octets()[3]) - 1] += 1;
        }
        // Expected 1000, 2000, 5000; six standard deviations are 180 at most, and 268.
        let far = |seen: u32, wanted: u32| seen.abs_diff(wanted) > 270;
        let wanted = [1000, 2000, 5000];
        let off = first
            .iter()
            .zip(wanted)
            .any(|(seen, wanted)| far(*seen, wanted));
        assert!(!off, "{first:?}");
    }

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
