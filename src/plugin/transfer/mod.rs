//! `transfer`: whole zones to those who may have them (RFC 5936; RFC 1995 in its shortest form), who are told of changes.

mod notify;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::info;

use super::block::{Block, Cluster, Link, Parts};
use super::kit::{Directives, Registration, server};
use super::passage::{Passage, Way};
use super::{Chain, Handled, Next, Plugin};
use crate::answer::{self, Reply};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Query, RecordType, Transport};
use crate::message::reply::{Failure, ResponseCode};
use crate::name::{Origins, Qname};
use crate::zone::{Shown, Zone};

/// `transfer [ZONES...] { to *|ADDRESS...; source ADDRESS }`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    origins: Origins,
    /// Everybody may have them.
    everybody: bool,
    /// Who may have them, and is told when they change.
    to: Vec<SocketAddr>,
    /// From where they are told.
    source: Option<IpAddr>,
}

impl Rule {
    /// The rule of the longest zone that has the name, wherever it stands in the file; of two alike, the first.
    fn of<'r>(rules: &'r [Self], qname: &Qname) -> Option<&'r Self> {
        let place = |rule: &&Self| rule.origins.of(qname).map(|(_, left)| left);
        let covers = rules.iter().filter(|rule| place(rule).is_some());
        covers.min_by_key(place)
    }

    fn allows(&self, client: IpAddr) -> bool {
        self.everybody || self.to.iter().any(|to| to.ip() == client)
    }
}

pub(super) const PLUGIN: Registration = Registration {
    name: "transfer",
    setup,
};

/// The directives of a block, in the order of the file.
#[derive(Debug)]
struct Spec(Vec<Rule>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let mut rules = Vec::new();
    for directive in directives.iter() {
        rules.push(parse(directives, directive)?);
    }
    block.links.push((PLUGIN.name, Box::new(Spec(rules))));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let cluster = parts.cluster.clone();
        Ok(Arc::new(Transfer {
            rules: self.0.clone(),
            zone: cluster.map(|Cluster { zone, view }| (zone, Shown::Kubernetes(view))),
        }))
    }
}

fn parse(directives: &Directives<'_>, directive: &Directive) -> Result<Rule, CorefileError> {
    const EXPECTED: &str = "`*`, or addresses";
    let mut rule = Rule {
        origins: directives.origins(&directive.args)?.into(),
        everybody: false,
        to: Vec::new(),
        source: None,
    };
    for property in &directive.body {
        match property.name.text.as_str() {
            "to" => {
                for arg in property.some_args(EXPECTED)? {
                    if arg.text == "*" {
                        rule.everybody = true;
                    } else {
                        rule.to.push(server(arg, EXPECTED)?);
                    }
                }
            }
            "source" => {
                let arg = property.one_arg("an address of this machine")?;
                if rule.source.is_some() {
                    let problem = "`source` stands twice in this directive";
                    return Err(property.name.error(problem, "it once"));
                }
                let ip = arg.text.parse().map_err(|_| {
                    let problem = format!("{} is no address", arg.text);
                    arg.error(problem, "an address of this machine")
                })?;
                rule.source = Some(ip);
            }
            _ => return Err(directive.unknown_property(property, "to or source")),
        }
    }
    if rule.to.is_empty() && !rule.everybody {
        return Err(directive.name.error(
            "`transfer` to nobody",
            "a line `to *`, or `to` with addresses",
        ));
    }
    Ok(rule)
}

struct Transfer {
    /// In the order of the file.
    rules: Vec<Rule>,
    /// Of the block's `kubernetes`, where it has one.
    zone: Option<(Arc<Zone>, Shown)>,
}

impl Plugin for Transfer {
    fn passage(&self) -> Passage<'_> {
        Passage(Way::Clear)
    }

    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        match self.transfer(query, next) {
            Some(handled) => futures::future::ready(handled).boxed(),
            None => next.handle(query),
        }
    }

    fn begin(&self, chain: &Chain) {
        if self.has_nobody(chain) {
            info!(
                plugin = PLUGIN.name,
                "accepted without effect: no plugin beside it has a zone to transfer"
            );
        }
        notify::watch(self.rules.clone(), chain);
    }
}

impl Transfer {
    /// Whether no plugin beside it has zones, nor ever will.
    fn has_nobody(&self, chain: &Chain) -> bool {
        self.zone.is_none() && chain.iter().all(|link| link.offers().is_none())
    }

    /// `None`: no transfer, or not of ours.
    fn transfer(&self, query: &Query, next: Next<'_>) -> Option<Handled> {
        let question = &query.question;
        if !matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
            return None;
        }
        // As in CoreDNS a name below the cluster's zone is transferred as if it were one.
        let apex = question.qname.to_lowercase();
        let rule = Rule::of(&self.rules, &apex)?;
        let cluster = self.zone.as_ref();
        let cluster = cluster.and_then(|(zone, shown)| {
            let asked = shown.place(&apex, question.qtype)?;
            Some((zone, asked))
        });
        let mut offers = next.offers().into_iter();
        let file = match cluster {
            Some(_) => None,
            None => Some(offers.find(|zone| Qname::from(&zone.apex) == apex)?),
        };
        let client = query.route.client.ip();
        if query.transport == Transport::Udp || !rule.allows(client) {
            let why = "plugin/transfer: not over UDP, nor to this client";
            return Some(Err(Failure {
                rcode: ResponseCode::Refused,
                why: why.into(),
                is_live: false,
            }));
        }
        let knows =
            |serial| question.qtype == RecordType::IXFR && query.ixfr_serial == Some(serial);
        let transfer = match (cluster, file) {
            (Some((zone, asked)), _) if knows(zone.serial()) => {
                answer::Transfer::unchanged(query, zone, &asked)
            }
            (Some((zone, asked)), _) => answer::Transfer::whole(query, zone, &asked),
            (None, Some(zone)) => {
                let records: Vec<_> = zone.records().cloned().collect();
                answer::Transfer::of(query, records, knows(zone.serial()))
            }
            (None, None) => return None,
        };
        Some(Ok(Reply::Transfer(Box::new(transfer))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::build;
    use crate::name::{Name, absolute};
    use crate::plugin::tests::{block, query};
    use crate::plugin::{Parts, Router};
    use crate::zone::View;

    #[test]
    fn what_has_zones_now_or_later_is_somebody_to_transfer_from() {
        for (beside, wanted) in [
            ("whoami", true),
            ("secondary z.test {\n transfer from 192.0.2.1\n}", false),
            ("auto z.test {\n directory nowhere\n}", false),
            ("file nowhere z.test", false),
        ] {
            let block = block(&format!("transfer {{\n to *\n}}\n{beside}"));
            let built = block.links.iter().map(|(_, link)| {
                let built = link.build(&Parts::default());
                built.unwrap()
            });
            let chain: Chain = built.collect();
            let transfer = Transfer {
                rules: Vec::new(),
                zone: None,
            };
            assert_eq!(transfer.has_nobody(&chain), wanted, "{beside}");
        }
    }

    /// The kind of CVE-2026-33489.
    #[test]
    fn the_longest_zone_says_who_may_have_it_wherever_it_stands() {
        let rules = [
            "transfer cluster.local {\n to *\n}\n",
            "transfer secret.svc.cluster.local {\n to 192.0.2.1\n}\n",
        ];
        let [wide, narrow] = rules;
        for file in [[wide, narrow].concat(), [narrow, wide].concat()] {
            let view = View {
                origins: vec![absolute("cluster.local").unwrap()].into(),
                ..View::default()
            };
            let parts = Parts {
                cluster: Some(Cluster {
                    zone: build::zone(&["apply namespace secret"]),
                    view: view.into(),
                }),
                ..Parts::default()
            };
            let link = block(&file).links.remove(0).1.build(&parts).unwrap();
            let router = Router::new(vec![(Name::root(), Arc::from([link]))], false);
            let rcode = |qname| {
                let query = Query {
                    transport: Transport::Tcp,
                    ..query(qname, RecordType::AXFR)
                };
                futures::executor::block_on(router.answer(&query)).rcode()
            };
            assert_eq!(rcode("secret.svc.cluster.local"), ResponseCode::Refused);
            assert_eq!(rcode("svc.cluster.local"), ResponseCode::NoError);
        }
    }
}
