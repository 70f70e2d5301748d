//! `autopath`: walks the client's search list for it, so that it need not ask once for each element.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::registry::Setup;
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{Query, Question};
use crate::message::record;
use crate::message::reply::{Reply, ResponseCode};
use crate::name::{Name, absolute, below};
use crate::zone::{View, Zone};

/// `autopath [ZONES...] RESOLV-CONF|@kubernetes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Names in these are walked.
    pub zones: Vec<Name>,
    /// The search list: of the client's Pod, then of a file.
    pub search: Search,
}

/// Where a client's search list comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The same for everybody.
    Fixed(Vec<Name>),
    /// That of the Pod that asks, then this one: the server's own.
    Kubernetes(Vec<Name>),
}

/// Where the server's own search list stands.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Reads the directive.
///
/// # Errors
/// Where it is wrong, or its file cannot be read.
pub fn parse(setup: &Setup<'_>) -> Result<Spec, CorefileError> {
    let directive = setup.directive;
    directive.no_body()?;
    let args = directive.some_args("a file like /etc/resolv.conf, or @kubernetes")?;
    let Some((source, zones)) = args.split_last() else {
        return Err(directive
            .name
            .error("`autopath` needs an argument", "@kubernetes"));
    };
    let zones = setup.zones(zones)?;
    if source.text == "@kubernetes" {
        let own = setup
            .source
            .read("", RESOLV_CONF)
            .map(|text| search_list(&text));
        return Ok(Spec {
            zones,
            search: Search::Kubernetes(own.unwrap_or_default()),
        });
    }
    if source.text.starts_with('@') {
        let problem = format!("{} does not offer search lists", source.text);
        return Err(source.error(problem, "@kubernetes, or a file like /etc/resolv.conf"));
    }
    let text = setup.source.read("", &source.text).map_err(|error| {
        source.error(
            format!("cannot read {}: {error}", source.text),
            "@kubernetes, or a file like /etc/resolv.conf",
        )
    })?;
    Ok(Spec {
        zones,
        search: Search::Fixed(search_list(&text)),
    })
}

/// The `search` line of a resolv.conf; the last one counts.
fn search_list(text: &str) -> Vec<Name> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"));
    let last = lines
        .rfind(|rest| rest.starts_with(char::is_whitespace))
        .unwrap_or_default();
    last.split_whitespace()
        .filter_map(|name| absolute(name).ok().map(|name| name.to_lowercase()))
        .collect()
}

/// The handler.
pub struct Autopath {
    /// The directive.
    pub spec: Spec,
    /// The zone and view of the block's `kubernetes`.
    pub kubernetes: Option<(Arc<Zone>, View)>,
}

impl Plugin for Autopath {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        self.walk(query, next).boxed()
    }
}

impl Autopath {
    /// The search list of whoever asks, without the root that ends it; empty: not to be walked.
    fn search(&self, query: &Query) -> Vec<Name> {
        let own = match &self.spec.search {
            Search::Fixed(list) => return list.clone(),
            Search::Kubernetes(own) => own,
        };
        let Some((zone, view)) = &self.kubernetes else {
            return Vec::new();
        };
        let pods = zone.pods_at(query.client.ip().to_canonical());
        let (Some((ns, _)), Some(apex)) = (pods.first(), view.zone_of(&query.question.qname))
        else {
            return Vec::new();
        };
        let of_pod = [
            below(&[ns.as_bytes(), b"svc"], apex),
            below(&[b"svc"], apex),
            Some(apex.clone()),
        ];
        of_pod
            .into_iter()
            .flatten()
            .chain(own.iter().cloned())
            .collect()
    }

    async fn walk(&self, query: &Query, next: Next<'_>) -> Handled {
        let qname = &query.question.qname;
        let search = self.search(query);
        let (Some(first), true) = (
            search.first(),
            self.spec.zones.iter().any(|zone| zone.zone_of(qname)),
        ) else {
            return next.handle(query).await;
        };
        // Only what the client's resolver has put the first element behind is walked; the bare element is a name.
        if !first.zone_of(qname) || qname.num_labels() == first.num_labels() {
            return next.handle(query).await;
        }
        let base: Vec<&[u8]> = qname
            .iter()
            .take(usize::from(qname.num_labels() - first.num_labels()))
            .collect();
        let mut denied = None;
        for element in search.iter().chain([&Name::root()]) {
            let Some(name) = below(&base, element) else {
                continue;
            };
            let question = Question {
                qname: name,
                ..query.question.clone()
            };
            let asked = Query {
                question,
                ..query.clone()
            };
            match next.handle(&asked).await {
                Ok(reply) if reply.rcode() == ResponseCode::NXDomain => {
                    denied = denied.or(Some(reply))
                }
                Ok(reply) => return Ok(under(query, reply)),
                // Nobody could say: the first denial is true of the name that was asked, and the client walks on.
                Err(failure) => {
                    return denied.map_or(Err(failure), |reply| Ok(under(query, reply)));
                }
            }
        }
        denied.map_or_else(
            || Ok(Reply::refusal(ResponseCode::NXDomain)),
            |reply| Ok(under(query, reply)),
        )
    }
}

/// The reply under the name that was asked: an alias leads to where it was found.
fn under(query: &Query, reply: Reply) -> Reply {
    let Some(mut composed) = reply.into_composed() else {
        return Reply::refusal(ResponseCode::ServFail);
    };
    let qname = &query.question.qname;
    let found = composed.answer.iter().find(|record| record.name != *qname);
    if let Some((target, ttl)) = found
        .filter(|_| composed.answer[0].name != *qname)
        .map(|r| (r.name.clone(), r.ttl))
    {
        composed
            .answer
            .insert(0, record::cname(qname.clone(), ttl, target));
    }
    composed.into()
}
