//! One watch, from the API server into the store's channel.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use kube::Client;
use kube::api::ObjectMeta;
use kube::runtime::watcher;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tracing::{error, warn};

use super::wire::{Reading, Wire, key_of, object_of, service_of};
use crate::api::{self, Connection, watching};
use crate::metrics::Metrics;
use crate::store::{Event, Fact, Resource};

/// Where a watch's events go.
pub(super) struct Feed {
    pub(super) resource: Resource,
    pub(super) reading: Reading,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) connection: Arc<Connection<Resource>>,
}

/// How long a watch must be silent to count as connected: longer than a connection may take to be made or to fail.
const QUIET: Duration = Duration::from_secs(6);

/// Watches until nobody takes events any more.
pub(super) async fn run<K>(client: Client, config: watcher::Config, feed: Feed)
where
    K: Wire + kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let mut stream = watching::<K>(client, &(), None, config).boxed();
    let mut cluster = None;
    while let Some(next) = next_or_quiet(&mut stream, &feed).await {
        let event = match next {
            Ok(event) => event,
            Err(reason) => {
                feed.connection
                    .failed(feed.resource, reason, "what is known stays served");
                continue;
            }
        };
        // A list that begins has delivered nothing yet.
        if !matches!(event, api::Event::Reset) {
            feed.connection.works(feed.resource);
        }
        if let (Resource::Namespaces, api::Event::Apply(object)) = (feed.resource, &event) {
            identify(&mut cluster, object.meta());
        }
        if feed.events.send(translate(&feed, event)).await.is_err() {
            return;
        }
    }
}

/// The watcher's next event. A watcher that is silent for [`QUIET`] counts as connected, as kube does not say when it
/// has opened a watch again.
async fn next_or_quiet<T>(stream: &mut (impl Stream<Item = T> + Unpin), feed: &Feed) -> Option<T> {
    if let Ok(next) = tokio::time::timeout(QUIET, stream.next()).await {
        return next;
    }
    feed.connection.works(feed.resource);
    stream.next().await
}

/// The namespace whose UID tells one cluster from another, as tools of Kubernetes use it.
const IDENTITY: &str = "kube-system";

/// Says where the API server is another cluster's than before; what it has is taken all the same.
fn identify(cluster: &mut Option<String>, namespace: &ObjectMeta) {
    if namespace.name.as_deref() != Some(IDENTITY) || namespace.uid.is_none() {
        return;
    }
    let before = std::mem::replace(cluster, namespace.uid.clone());
    if before.is_some_and(|before| Some(&before) != namespace.uid.as_ref()) {
        warn!(
            "the API server is another cluster's than before: its namespace {IDENTITY} has another UID"
        );
    }
}

fn translate<K: Wire + kube::Resource>(feed: &Feed, event: api::Event<K>) -> Event {
    let resource = feed.resource;
    match event {
        api::Event::Reset => Event::Reset(resource),
        api::Event::Synced => Event::Synced(resource),
        api::Event::Delete(meta) => Event::Delete(resource, object_of(&meta)),
        // A namespace says all with its name.
        api::Event::Unreadable(meta) if resource == Resource::Namespaces => {
            Event::Apply(object_of(&meta), Fact::Namespace)
        }
        api::Event::Unreadable(meta) => unreadable(feed, &meta),
        api::Event::Apply(object) => {
            let seen = object_of(object.meta());
            // A panic costs this object.
            let fact = catch_unwind(AssertUnwindSafe(|| {
                object.fact(resource.scope(), feed.reading)
            }));
            match fact {
                Ok(Some(fact)) => Event::Apply(seen, fact),
                Ok(None) => Event::Confirm(resource, seen.key),
                Err(_) => {
                    error!(?resource, ns = %seen.key.ns, name = %seen.key.name, "panicked while reading an object, which is left out");
                    unreadable(feed, object.meta())
                }
            }
        }
    }
}

fn unreadable(feed: &Feed, meta: &ObjectMeta) -> Event {
    if let Some(metrics) = &feed.metrics {
        let kind = format!("{:?}", feed.resource).to_lowercase();
        metrics.unreadable.with_label_values(&[&kind]).inc();
    }
    Event::Unreadable(feed.resource, key_of(meta), service_of(feed.resource, meta))
}
