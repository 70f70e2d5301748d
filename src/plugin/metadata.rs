//! `metadata`: what plugins say of a query is collected, for `log`, `rewrite` and `template` to read.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use super::block::{Block, Cluster, Link, Parts};
use super::kit::{Directives, Registration};
use super::{Handled, Next, Plugin, kubernetes};
use crate::corefile::CorefileError;
use crate::message::metadata::Metadata;
use crate::message::question::Query;
use crate::name::Origins;

pub(super) const PLUGIN: Registration = Registration {
    name: "metadata",
    setup,
};

/// `metadata [ZONES...]`.
#[derive(Debug)]
struct Spec(Origins);

fn setup(directives: &Directives<'_>, block: &mut Block) -> Result<(), CorefileError> {
    let directive = directives.only()?;
    directive.no_body()?;
    let zones = directives.origins(&directive.args)?.into();
    block.links.push((PLUGIN.name, Box::new(Spec(zones))));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Collector {
            zones: self.0.clone(),
            cluster: parts.cluster.clone(),
        }))
    }
}

/// The handler.
struct Collector {
    /// For their names `kubernetes` says what it knows before the query goes on.
    zones: Origins,
    cluster: Option<Cluster>,
}

impl Plugin for Collector {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let metadata = Arc::new(Metadata::default());
            if let Some(cluster) = &self.cluster
                && self.zones.cover(&query.question.qname)
            {
                kubernetes::publish(cluster, query, &metadata);
            }
            let query = Query {
                metadata: Some(metadata),
                ..query.clone()
            };
            next.handle(&query).await
        }
        .boxed()
    }
}
