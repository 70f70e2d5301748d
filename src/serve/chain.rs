//! From a block to its chain, and the watches that it needs.

use std::net::IpAddr;
use std::sync::Arc;

use tracing::info;

use super::{Ambient, Setup, Watched};
use crate::admin::Readiness;
use crate::api::{self, ApiError, Client, Listener};
use crate::apiserver::ApiServer;
use crate::corefile::CorefileError;
use crate::metrics::Metrics;
use crate::plugin::Stanza;
use crate::plugin::{
    Answering, Block, Carried, Chain, Cluster, Filter, Parts, Plugin, way_to_zone,
};
use crate::process::{self, whole};
use crate::watch::{self, Watches};
use crate::zone::{PodMode, View};

/// A block's handlers, in order; its watches, where it has a `kubernetes` directive. `local`: by which addresses others
/// reach it.
pub(super) async fn chain(
    block: &Block,
    setup: &Setup<'_>,
    local: Vec<IpAddr>,
    readiness: &Readiness,
    (metrics, carried): (&Arc<Metrics>, &Arc<Carried>),
) -> Result<(Answering, Option<Watched>), CorefileError> {
    let mut stanza = None;
    let mut parts = Parts {
        waiting: Some(process::budget(setup.resources.memory).waiting),
        metrics: Arc::clone(metrics),
        carried: Arc::clone(carried),
        said: block.said.clone(),
        view: view_name(block),
        ..Parts::default()
    };
    if let Some(spec) = &block.kubernetes {
        let mut options = options(spec);
        options.metrics = Some(Arc::clone(metrics));
        let has = |plugin| block.links.iter().any(|(name, _)| *name == plugin);
        options.reading.pod_labels = has("metadata");
        options.sets = has("pending");
        parts.holds = has("pending");
        let client = client(spec, &setup.api, Some(counting(metrics)));
        let client = client.await.map_err(|error| {
            let problem = whole(&error);
            spec.api_token.error(problem, "an API server to watch")
        })?;
        let view = Arc::new(View {
            local_addresses: local,
            ..spec.view.clone()
        });
        let started = Watched {
            watches: Watches::start(&client, &options),
            view: Arc::clone(&view),
            client,
            startup_timeout: spec.startup_timeout,
            ready: readiness.token("kubernetes"),
        };
        parts.changes = Some(started.watches.changes());
        parts.cluster = Some(Cluster {
            zone: Arc::clone(&started.watches.zone),
            view,
        });
        stanza = Some(started);
    }
    let links = 0..block.links.len();
    let chain: Result<Vec<_>, _> = links.map(|at| link(block, at, &mut parts)).collect();
    let chain: Chain = chain?.into();
    let zone = &block.keys[0].token.text;
    match way_to_zone(&chain) {
        Some(Ok(_)) => info!(%zone, "what the cluster's zone answers is answered at once"),
        Some(Err(at)) => {
            let plugin = block.links[at].0;
            info!(%zone, %plugin, "each question takes the chain of plugins, as one has to see it");
        }
        None => {}
    }
    monitor(block, &chain, readiness);
    let view = view(block, &parts);
    Ok((Answering { chain, view }, stanza))
}

/// What metrics call the questions that a block takes.
pub(super) fn view_name(block: &Block) -> Arc<str> {
    let view = block.view.as_ref();
    view.map_or_else(|| "".into(), |view| view.name())
}

/// Which questions a block takes.
pub(super) fn view(block: &Block, parts: &Parts) -> Option<Arc<dyn Filter>> {
    let view = block.view.as_ref();
    view.map(|view| view.filter(parts))
}

/// Has the plugins asked at probes that are not ready at all times.
fn monitor(block: &Block, chain: &Chain, readiness: &Readiness) {
    let Some(ready) = &block.ready else {
        return;
    };
    for ((name, _), plugin) in block.links.iter().zip(&**chain) {
        if plugin.is_ready().is_some() {
            let plugin = Arc::clone(plugin);
            let is_ready = move || plugin.is_ready() == Some(true);
            readiness.check(name, ready.continuously, is_ready);
        }
    }
}

/// The handler of a block's link.
pub(super) fn link(
    block: &Block,
    at: usize,
    parts: &mut Parts,
) -> Result<Arc<dyn Plugin>, CorefileError> {
    parts.followed_by = block.links.get(at + 1).map_or("", |(name, _)| *name);
    block.links[at].1.build(parts)
}

/// A client of the API server that a stanza names, or of the one that all others have.
pub(super) async fn client(
    spec: &Stanza,
    api: &Ambient,
    listener: Option<Listener>,
) -> Result<Client, ApiError> {
    match (&spec.api, api) {
        (ApiServer::Ambient, Ambient::Client(client)) => Ok(client.clone()),
        (ApiServer::Ambient, Ambient::Server(server)) => api::connect(server, listener).await,
        (named, _) => api::connect(named, listener).await,
    }
}

/// Counts requests to API servers, under client-go's labels.
fn counting(metrics: &Arc<Metrics>) -> Listener {
    let requests = metrics.api_requests.clone();
    Arc::new(move |sent| {
        let code = sent.code.map(|code| code.to_string());
        let code = code.unwrap_or_else(|| "<error>".to_owned());
        let labels = [code.as_str(), sent.method, sent.host];
        requests.with_label_values(&labels).inc();
    })
}

/// What a stanza watches.
pub(super) fn options(spec: &Stanza) -> watch::Options {
    watch::Options {
        labels: spec.labels.clone(),
        namespace_labels: spec.namespace_labels.clone(),
        reading: watch::wire::Reading {
            endpoint_pod_names: spec.endpoint_pod_names,
            zonal: spec.view.zonal,
            pod_labels: false,
        },
        noendpoints: spec.noendpoints,
        pods: spec.view.pods == PodMode::Verified,
        sets: false,
        multicluster: !spec.view.multicluster.is_empty(),
        namespaces: spec.view.namespaces.clone(),
        metrics: None,
    }
}
