//! `autopath`: walks the client's search list for it, so that it need not ask once for each element.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::registry::Setup;
use super::{Handled, Next, Plugin};
use crate::corefile::CorefileError;
use crate::message::question::{Query, Question};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};
use crate::name::{Name, Origin, Origins, absolute, join};
use crate::zone::{Shown, Zone};

/// `autopath [ZONES...] RESOLV-CONF|@kubernetes`.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// Names in these are walked.
    pub zones: Origins,
    /// The search list: of the client's Pod, then of a file.
    pub search: Search,
}

/// Where a client's search list comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Search {
    /// The same for everybody.
    Fixed(Vec<Origin>),
    /// That of the Pod that asks, then this one: the server's own.
    Kubernetes(Vec<Origin>),
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
    let zones = setup.zones(zones)?.into();
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
fn search_list(text: &str) -> Vec<Origin> {
    let mut lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("search"));
    let last = lines
        .rfind(|rest| rest.starts_with(char::is_whitespace))
        .unwrap_or_default();
    last.split_whitespace()
        .filter_map(|name| absolute(name).ok().map(|name| name.to_lowercase().into()))
        .collect()
}

/// The handler.
pub struct Autopath {
    /// The directive.
    pub spec: Spec,
    /// The zone and view of the block's `kubernetes`.
    pub kubernetes: Option<(Arc<Zone>, Shown)>,
}

impl Plugin for Autopath {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        self.walk(query, next).boxed()
    }
}

impl Autopath {
    /// The search list of whoever asks, without the root that ends it; empty: not to be walked.
    fn search(&self, query: &Query) -> Vec<Origin> {
        let own = match &self.spec.search {
            Search::Fixed(list) => return list.clone(),
            Search::Kubernetes(own) => own,
        };
        let Some((zone, shown)) = &self.kubernetes else {
            return Vec::new();
        };
        let pods = zone.pods_at(query.client.ip().to_canonical());
        let origin = shown.origins().of(&query.question.qname);
        let (Some((ns, _)), Some((origin, _))) = (pods.first(), origin) else {
            return Vec::new();
        };
        let apex = &origin.name;
        let of_pod = [
            join(&[ns.as_bytes(), b"svc"], apex),
            join(&[b"svc"], apex),
            Some(apex.clone()),
        ];
        of_pod
            .into_iter()
            .flatten()
            .map(Origin::from)
            .chain(own.iter().cloned())
            .collect()
    }

    async fn walk(&self, query: &Query, next: Next<'_>) -> Handled {
        let qname = &query.question.qname;
        let search = self.search(query);
        let (Some(first), true) = (search.first(), self.spec.zones.cover(qname)) else {
            return next.handle(query).await;
        };
        // Only what the client's resolver has put the first element behind is walked; the bare element is a name.
        if !first.covers(qname) || qname.len() == first.labels {
            return next.handle(query).await;
        }
        let base: Vec<&[u8]> = qname.labels().take(qname.len() - first.labels).collect();
        let mut denied = None;
        let elements = search.iter().map(|origin| &origin.name);
        for element in elements.chain([&Name::root()]) {
            let Some(name) = join(&base, element) else {
                continue;
            };
            let question = Question {
                qname: name.into(),
                ..query.question.clone()
            };
            let asked = Query {
                question,
                ..query.clone()
            };
            match next.handle(&asked).await {
                Ok(reply) => {
                    let reply = under(query, reply.into_composed(&asked.question));
                    if reply.rcode != ResponseCode::NXDomain {
                        return Ok(reply.into());
                    }
                    denied = denied.or(Some(reply));
                }
                // Nobody could say: the first denial is true of the name that was asked, and the client walks on.
                Err(failure) => return denied.map_or(Err(failure), |reply| Ok(reply.into())),
            }
        }
        let denied = denied.unwrap_or_else(|| Composed::empty(ResponseCode::NXDomain));
        Ok(denied.into())
    }
}

/// The reply under the name that was asked: an alias leads to where it was found.
fn under(query: &Query, reply: Option<Composed>) -> Composed {
    let Some(mut reply) = reply else {
        return Composed::empty(ResponseCode::ServFail);
    };
    let qname = query.question.qname.to_name(0);
    if let Some(found) = reply.answer.first().filter(|record| record.name != qname) {
        let alias = record::cname(qname, found.ttl, found.name.clone());
        reply.answer.insert(0, alias);
    }
    reply
}
