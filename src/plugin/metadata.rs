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
    let zones = Origins::from(directives.origins(&directive.args)?);
    block.collected = Some(zones.clone());
    block.links.push((PLUGIN.name, Box::new(Spec(zones))));
    Ok(())
}

impl Link for Spec {
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(Collector::new(self.0.clone(), parts)))
    }
}

/// The handler.
pub(super) struct Collector {
    /// For their names plugins say what they know before the query goes on.
    zones: Origins,
    cluster: Option<Cluster>,
    /// The name of the block's view; empty where it has none.
    view: Arc<str>,
}

impl Collector {
    pub(super) fn new(zones: Origins, parts: &Parts) -> Self {
        Self {
            zones,
            cluster: parts.cluster.clone(),
            view: Arc::clone(&parts.view),
        }
    }

    /// What is known of a query from the start.
    pub(super) fn collect(&self, query: &Query) -> Metadata {
        let metadata = Metadata::default();
        if self.zones.cover(&query.question.qname) {
            if !self.view.is_empty() {
                metadata.set("view/name", &*self.view);
            }
            if let Some(cluster) = &self.cluster {
                kubernetes::publish(cluster, query, &metadata);
            }
        }
        metadata
    }
}

impl Plugin for Collector {
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            let query = Query {
                metadata: Some(Arc::new(self.collect(query))),
                ..query.clone()
            };
            next.handle(&query).await
        }
        .boxed()
    }
}
