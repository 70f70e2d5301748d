//! `autopath`: walks the client's search list for the client, which then need not ask once for each element.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Cluster, Link, Parts};
use super::kit::{Directives, Registration, ResolvConf};
use super::{Handled, Next, Plugin};
use crate::corefile::{CorefileError, Directive, Token};
use crate::message::question::{Query, Question};
use crate::message::record;
use crate::message::reply::{Composed, ResponseCode};
use crate::metrics::Metrics;
use crate::name::{Name, Origin, Origins, join};

/// `autopath [ZONES...] RESOLV-CONF|@kubernetes`.
#[derive(Clone, Debug, PartialEq)]
struct Spec {
    token: Token,
    /// Names in these are walked.
    origins: Origins,
    /// Where search lists come from.
    search: Search,
}

/// Where a client's search list comes from.
#[derive(Clone, Debug, PartialEq)]
enum Search {
    /// The same for everybody.
    Fixed(Vec<Origin>),
    /// That of the Pod that asks, then this one: the server's own.
    Kubernetes(Vec<Origin>),
}

/// Where the server's own search list stands.
const RESOLV_CONF: &str = "/etc/resolv.conf";

pub(super) const PLUGIN: Registration = Registration {
    name: "autopath",
    setup,
};

/// As in CoreDNS the last of several counts.
fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let mut last = parse(directives, directives.first)?;
    for directive in directives.iter().skip(1) {
        last = parse(directives, directive)?;
    }
    block.links.push((PLUGIN.name, Box::new(last)));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        let (origins, search) = (self.origins.clone(), self.search.clone());
        let cluster = match search {
            Search::Fixed(_) => None,
            Search::Kubernetes(_) => Some(parts.cluster(&self.token)?.clone()),
        };
        Ok(Arc::new(Autopath {
            origins,
            search,
            cluster,
            metrics: Arc::clone(&parts.metrics),
        }))
    }
}

fn parse(directives: &Directives<'_>, directive: &Directive) -> Result<Spec, CorefileError> {
    directive.no_body()?;
    let args = directive.some_args("a file like /etc/resolv.conf, or @kubernetes")?;
    let Some((from, origins)) = args.split_last() else {
        return Err(directive
            .name
            .error("`autopath` needs an argument", "@kubernetes"));
    };
    let list = |text: &str| {
        let search = ResolvConf::read(text).search.domains.into_iter();
        search.map(Origin::from).collect::<Vec<_>>()
    };
    let search = if from.text == "@kubernetes" {
        let own = directives.source.read("", RESOLV_CONF);
        Search::Kubernetes(own.map(|text| list(&text)).unwrap_or_default())
    } else if from.text.starts_with('@') {
        let problem = format!("{} does not offer search lists", from.text);
        return Err(from.error(problem, "@kubernetes, or a file like /etc/resolv.conf"));
    } else {
        let text = directives.source.read("", &from.text).map_err(|error| {
            from.error(
                format!("cannot read {}: {error}", from.text),
                "@kubernetes, or a file like /etc/resolv.conf",
            )
        })?;
        Search::Fixed(list(&text))
    };
    Ok(Spec {
        token: directive.name.clone(),
        origins: directives.origins(origins)?.into(),
        search,
    })
}

struct Autopath {
    origins: Origins,
    search: Search,
    /// The block's cluster, where search lists come from it.
    cluster: Option<Cluster>,
    metrics: Arc<Metrics>,
}

impl Plugin for Autopath {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        self.walk(query, next).boxed()
    }
}

impl Autopath {
    /// The search list of whoever asks, without the root that ends it; empty: not to be walked.
    fn search(&self, query: &Query) -> Vec<Origin> {
        let own = match &self.search {
            Search::Fixed(list) => return list.clone(),
            Search::Kubernetes(own) => own,
        };
        let Some(Cluster { zone, view }) = &self.cluster else {
            return Vec::new();
        };
        let pods = zone.pods_at(query.route.client.ip());
        let origin = view.origins.of(&query.question.qname);
        let (Some(pod), Some((origin, _))) = (pods.first(), origin) else {
            return Vec::new();
        };
        let apex = &origin.name;
        let of_pod = [
            join(&[pod.ns.as_bytes(), b"svc"], apex),
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
        let (Some(first), true) = (search.first(), self.origins.cover(qname)) else {
            return next.handle(query).await;
        };
        // A name is walked only where it ends in the first element, which the client's resolver has added; that element
        // alone is a name like any other.
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
                    let reply = answer_as_asked(query, reply.into_composed(&asked.question));
                    if reply.rcode != ResponseCode::NXDomain {
                        let counter = &self.metrics.autopath;
                        counter.with_label_values(&[next.server()]).inc();
                        return Ok(reply.into());
                    }
                    denied = denied.or(Some(reply));
                }
                // This name failed. If an earlier one was denied, the client gets that denial, and goes on with its
                // list.
                Err(failure) => return denied.map_or(Err(failure), |reply| Ok(reply.into())),
            }
        }
        let denied = denied.unwrap_or_else(|| Composed::empty(ResponseCode::NXDomain));
        Ok(denied.into())
    }
}

/// The reply under the name that was asked: an alias leads to where it was found.
fn answer_as_asked(query: &Query, reply: Option<Composed>) -> Composed {
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
