//! `transfer`: whole zones to those who may have them (RFC 5936; RFC 1995 in its shortest form).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tracing::info;

use super::block::{Block, Cluster, Link, Parts};
use super::kit::{Directives, Registration};
use super::passage::{Passage, Way};
use super::{Handled, Next, Plugin};
use crate::answer::{self, Reply};
use crate::corefile::{CorefileError, Directive};
use crate::message::question::{Query, RecordType, Transport};
use crate::message::reply::{Failure, ResponseCode};
use crate::name::Origins;
use crate::zone::{Shown, Zone};

/// `transfer [ZONES...] { to *|ADDRESS... }`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    origins: Origins,
    /// Who may have them; `None`: everybody.
    to: Option<Vec<IpAddr>>,
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
        if cluster.is_none() {
            info!(
                plugin = PLUGIN.name,
                "accepted without effect: no plugin beside it has a zone to transfer"
            );
        }
        Ok(Arc::new(Transfer {
            rules: self.0.clone(),
            zone: cluster.map(|Cluster { zone, view }| (zone, Shown::Kubernetes(view))),
        }))
    }
}

fn parse(directives: &Directives<'_>, directive: &Directive) -> Result<Rule, CorefileError> {
    const EXPECTED: &str = "`*`, or addresses";
    let origins = directives.origins(&directive.args)?.into();
    let (mut everybody, mut to) = (false, Vec::new());
    for property in &directive.body {
        if property.name.text != "to" {
            return Err(directive.unknown_property(property, "to"));
        }
        for arg in property.some_args(EXPECTED)? {
            // A port is for notifications, which are not sent.
            let with_port = arg.text.parse().map(|address: SocketAddr| address.ip());
            let bare = arg.text.trim_matches(['[', ']']);
            match with_port.or_else(|_| bare.parse()) {
                Ok(ip) => to.push(ip),
                Err(_) if arg.text == "*" => everybody = true,
                Err(_) => return Err(arg.error(format!("{} is no address", arg.text), EXPECTED)),
            }
        }
    }
    if to.is_empty() && !everybody {
        return Err(directive.name.error(
            "`transfer` to nobody",
            "a line `to *`, or `to` with addresses",
        ));
    }
    Ok(Rule {
        origins,
        to: (!everybody).then_some(to),
    })
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
        match self.transfer(query) {
            Some(handled) => futures::future::ready(handled).boxed(),
            None => next.handle(query),
        }
    }
}

impl Transfer {
    /// `None`: no transfer, or not of ours.
    fn transfer(&self, query: &Query) -> Option<Handled> {
        let question = &query.question;
        if !matches!(question.qtype, RecordType::AXFR | RecordType::IXFR) {
            return None;
        }
        // As in CoreDNS a name below a zone is transferred as if it were one.
        let apex = question.qname.to_lowercase();
        // The longest zone says who may have it, wherever it stands in the file; of two alike, the first.
        let place = |rule: &&Rule| rule.origins.of(&apex).map(|(_, left)| left);
        let covers = self.rules.iter().filter(|rule| place(rule).is_some());
        let rule = covers.min_by_key(place)?;
        let (zone, shown) = self.zone.as_ref()?;
        let asked = shown.place(&apex, question.qtype)?;
        let allowed = rule
            .to
            .as_ref()
            .is_none_or(|to| to.contains(&query.route.client.ip().to_canonical()));
        if query.transport == Transport::Udp || !allowed {
            let why = "plugin/transfer: not over UDP, nor to this client";
            return Some(Err(Failure {
                rcode: ResponseCode::Refused,
                why: why.into(),
            }));
        }
        let is_known =
            question.qtype == RecordType::IXFR && query.ixfr_serial == Some(zone.serial());
        let transfer = match is_known {
            true => answer::Transfer::unchanged(query, zone, &asked),
            false => answer::Transfer::whole(query, zone, &asked),
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
