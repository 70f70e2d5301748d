//! `acl`: who may ask what; decided by the client's address and the question's type.

use std::net::IpAddr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Link, Parts};
use super::kit::{Directives, Network, Registration, qtype};
use super::{Handled, Next, Plugin};
use crate::answer::Reply;
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::{Query, RecordType};
use crate::message::reply::{Composed, ResponseCode, Said};
use crate::metrics::Metrics;
use crate::name::{Origin, Origins};

pub(super) const PLUGIN: Registration = Registration { name: "acl", setup };

/// What a list of types is made of.
const TYPES: &str = "a type such as `AAAA`, or `*`";

/// What becomes of a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Allow,
    /// REFUSED.
    Block,
    /// An empty answer.
    Filter,
    /// No reply.
    Drop,
}

/// `ACTION [type QTYPE...] [net SOURCE...]`.
#[derive(Clone, Debug, PartialEq)]
struct Policy {
    action: Action,
    /// `None`: all.
    types: Option<Vec<RecordType>>,
    /// `None`: all.
    networks: Option<Vec<Network>>,
}

impl Policy {
    fn fits(&self, client: IpAddr, qtype: RecordType) -> bool {
        let types = self.types.as_ref();
        let networks = self.networks.as_ref();
        types.is_none_or(|types| types.contains(&qtype))
            && networks.is_none_or(|all| all.iter().any(|network| network.has(client)))
    }
}

/// `acl [ZONES...] { POLICIES }`.
#[derive(Clone, Debug)]
struct Rule {
    origins: Origins,
    /// The first that fits counts.
    policies: Vec<Policy>,
}

/// The directives of a block, in the order of the file.
#[derive(Debug)]
struct Spec(Vec<Rule>);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let spec = Spec(rules(directives)?);
    block.links.push((PLUGIN.name, Box::new(spec)));
    Ok(())
}

fn rules(directives: &Directives<'_>) -> Result<Vec<Rule>, CorefileError> {
    let rule = |directive: &Directive| {
        let policies = directive.body.iter().map(policy);
        Ok(Rule {
            origins: directives.origins(&directive.args)?.into(),
            policies: policies.collect::<Result<_, _>>()?,
        })
    };
    directives.iter().map(rule).collect()
}

fn policy(line: &Directive) -> Result<Policy, CorefileError> {
    let action = match line.name.text.to_lowercase().as_str() {
        "allow" => Action::Allow,
        "block" => Action::Block,
        "filter" => Action::Filter,
        "drop" => Action::Drop,
        other => {
            let problem = format!("'{other}' is no action of `acl`");
            return Err(line.name.error(problem, "allow, block, filter or drop"));
        }
    };
    let mut rest = &line.args[..];
    // As in CoreDNS a section that comes again adds to the first; `*`, and the type `None`, end what their section says.
    let (mut types, mut networks) = (Section::default(), Section::default());
    while let [word, behind @ ..] = rest {
        let end = behind.iter().position(begins).unwrap_or(behind.len());
        let (args, others) = behind.split_at(end);
        match word.text.to_lowercase().as_str() {
            "type" => types.add((word, args), ["*", "None"], |arg| qtype(arg, TYPES))?,
            "net" => networks.add((word, args), ["*", "*"], network)?,
            other => {
                let problem = format!("'{other}' is neither `type` nor `net`");
                return Err(word.error(problem, "`type` with types, or `net` with networks"));
            }
        }
        rest = others;
    }
    Ok(Policy {
        action,
        types: types.listed(),
        networks: networks.listed(),
    })
}

/// Whether a section begins with this word.
fn begins(word: &Token) -> bool {
    ["type", "net"].contains(&word.text.to_lowercase().as_str())
}

/// What the sections of one kind list.
struct Section<T> {
    listed: Option<Vec<T>>,
    is_all: bool,
}

impl<T> Default for Section<T> {
    fn default() -> Self {
        Self {
            listed: None,
            is_all: false,
        }
    }
}

impl<T> Section<T> {
    fn add(
        &mut self,
        (word, args): (&Token, &[Token]),
        all: [&str; 2],
        read: impl Fn(&Token) -> Result<T, CorefileError>,
    ) -> Result<(), CorefileError> {
        if args.is_empty() {
            let problem = format!("`{}` lists nothing", word.text);
            return Err(word.error(problem, "what it is about, or `*`"));
        }
        let before_all = args
            .iter()
            .take_while(|arg| !all.contains(&arg.text.as_str()));
        let listed = before_all.map(read).collect::<Result<Vec<_>, _>>()?;
        self.is_all |= listed.len() < args.len();
        self.listed.get_or_insert_default().extend(listed);
        Ok(())
    }

    /// `None`: all.
    fn listed(self) -> Option<Vec<T>> {
        self.listed.filter(|_| !self.is_all)
    }
}

fn network(arg: &Token) -> Result<Network, CorefileError> {
    Network::read(&arg.text).ok_or_else(|| {
        let problem = format!("'{}' is no network", arg.text);
        arg.error(problem, "an address, a CIDR such as `10.0.0.0/8`, or `*`")
    })
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Acl {
            rules: self.0.clone(),
            metrics: Arc::clone(&parts.metrics),
            view: Arc::clone(&parts.view),
        }))
    }
}

/// The handler.
struct Acl {
    rules: Vec<Rule>,
    metrics: Arc<Metrics>,
    /// A label.
    view: Arc<str>,
}

impl Acl {
    /// What becomes of a question, and the zone whose rule says so.
    fn decide(&self, query: &Query) -> (Action, Option<&Origin>) {
        let question = &query.question;
        let client = query.route.client.ip();
        for rule in &self.rules {
            let Some((zone, _)) = rule.origins.of(&question.qname) else {
                continue;
            };
            let mut policies = rule.policies.iter();
            if let Some(policy) = policies.find(|policy| policy.fits(client, question.qtype)) {
                return (policy.action, Some(zone));
            }
        }
        (Action::Allow, None)
    }

    fn count(&self, action: Action, server: &str, zone: Option<&Origin>) {
        let metrics = &self.metrics.acl;
        let counter = match action {
            Action::Allow => {
                return metrics
                    .allowed
                    .with_label_values(&[server, &self.view])
                    .inc();
            }
            Action::Block => &metrics.blocked,
            Action::Filter => &metrics.filtered,
            Action::Drop => &metrics.dropped,
        };
        let zone = zone.map_or(String::new(), |zone| zone.name.to_lowercase().to_string());
        counter
            .with_label_values(&[server, &zone, &self.view])
            .inc();
    }
}

/// INFO-CODEs of RFC 8914, sections 4.16 and 4.18.
const BLOCKED: u16 = 15;
const FILTERED: u16 = 17;

/// A reply without records that says why.
fn denial(rcode: ResponseCode, code: u16, query: &Query) -> Reply {
    let said = Said {
        code,
        text: "".into(),
    };
    Composed {
        error: Some(said),
        edns: Some(Said::edns(query)),
        ..Composed::empty(rcode)
    }
    .into()
}

impl Plugin for Acl {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        let (action, zone) = self.decide(query);
        self.count(action, next.server(), zone);
        let reply = match action {
            Action::Allow => return next.handle(query),
            Action::Block => denial(ResponseCode::Refused, BLOCKED, query),
            Action::Filter => denial(ResponseCode::NoError, FILTERED, query),
            Action::Drop => Reply::Nothing,
        };
        futures::future::ready(Ok(reply)).boxed()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;
    use crate::plugin::tests::{error, query, read};

    fn action(file: &str, client: &str, (qname, qtype): (&str, RecordType)) -> Action {
        let acl = Acl {
            rules: read(file, rules).unwrap(),
            metrics: Arc::default(),
            view: "".into(),
        };
        let mut query = query(qname, qtype);
        query.route = SocketAddr::new(client.parse().unwrap(), 5353).into();
        acl.decide(&query).0
    }

    #[test]
    fn the_first_policy_that_fits_counts() {
        let file = "acl cluster.local {\n allow type TXT net 10.1.0.0/24 fd00::5\n\
            BLOCK NET 10.1.0.77/16\n drop type A AAAA\n filter type * net *\n}";
        let (a, txt) = (RecordType::A, RecordType::TXT);
        for (client, qname, qtype, wanted) in [
            ("10.1.0.5", "x.cluster.local", txt, Action::Allow),
            ("fd00::5", "cluster.LOCAL", txt, Action::Allow),
            ("fd00::6", "x.cluster.local", txt, Action::Filter),
            ("10.1.0.5", "x.cluster.local", a, Action::Block),
            ("::ffff:10.1.9.9", "x.cluster.local", txt, Action::Block),
            ("10.2.0.1", "x.cluster.local", a, Action::Drop),
            ("10.1.0.5", "example.org", a, Action::Allow),
        ] {
            let found = action(file, client, (qname, qtype));
            assert_eq!(found, wanted, "{client} {qname} {qtype}");
        }
    }

    #[test]
    fn a_policy_that_is_none_is_refused_with_what_was_expected() {
        for (line, problem) in [
            ("blok", "'blok' is no action of `acl`"),
            ("block type", "`type` lists nothing"),
            ("block type net 10.0.0.1", "`type` lists nothing"),
            ("block type BOGUS", "'BOGUS' is no type"),
            ("block type a", "'a' is no type"),
            ("block net 10.0.0.0/33", "'10.0.0.0/33' is no network"),
            ("block net example.org", "'example.org' is no network"),
            ("block for A", "'for' is neither `type` nor `net`"),
        ] {
            assert_eq!(error(&format!("acl {{\n{line}\n}}")), problem);
        }
    }
}
