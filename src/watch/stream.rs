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
use tracing::{error, info, warn};

use super::wire::{Reading, Wire, key_of, object_of, service_of};
use crate::api::{self, Connection, watching};
use crate::metrics::Metrics;
use crate::store::{Event, Fact, List, Object, ObjectKey, Resource};

/// Where a watch's events go.
pub(super) struct Feed {
    pub(super) list: List,
    /// Answers can do without it, where the right to it is missing.
    pub(super) optional: bool,
    pub(super) reading: Reading,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) metrics: Option<Arc<Metrics>>,
    pub(super) connection: Arc<Connection<List>>,
}

/// How long a watch must be silent to count as connected: longer than a connection may take to be made or to fail.
const QUIET: Duration = Duration::from_secs(6);

/// How long until a right that is not needed is looked for again: as each sidecar of a cluster may.
const RARELY: Duration = Duration::from_secs(60);

/// Watches until nobody takes events any more.
pub(super) async fn run<K>(client: Client, config: watcher::Config, feed: Feed)
where
    K: Wire + kube::Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    let is_namespaces = feed.list.resource == Resource::Namespaces;
    let ns = Some(&*feed.list.ns).filter(|ns| !is_namespaces && !ns.is_empty());
    let mut stream = watching::<K>(client, &(), ns, config).boxed();
    let (mut cluster, mut does_without) = (None, false);
    while let Some(next) = next_or_quiet(&mut stream, &feed).await {
        let event = match next {
            Ok(event) => event,
            Err(failure) if failure.denied && feed.optional => {
                feed.connection.does_without(&feed.list);
                if !std::mem::replace(&mut does_without, true) && do_without(&feed).await.is_err() {
                    return;
                }
                tokio::time::sleep(RARELY).await;
                continue;
            }
            Err(failure) => {
                let meanwhile = "what is known stays served";
                feed.connection
                    .failed(&feed.list, failure.reason, meanwhile);
                continue;
            }
        };
        // A list that begins has delivered nothing yet.
        if !matches!(event, api::Event::Reset) {
            feed.connection.works(&feed.list);
        }
        if let (true, api::Event::Apply(object)) = (is_namespaces, &event) {
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
    feed.connection.works(&feed.list);
    stream.next().await
}

/// Ends the list of a watch for which the right is missing and not needed: a namespace that was named is taken to exist.
async fn do_without(feed: &Feed) -> Result<(), mpsc::error::SendError<Event>> {
    let (resource, ns) = (feed.list.resource, &feed.list.ns);
    info!(?resource, %ns, "the right to watch it is missing, and not needed");
    feed.events.send(Event::Reset(feed.list.clone())).await?;
    if resource == Resource::Namespaces {
        let key = ObjectKey {
            ns: "".into(),
            name: ns.clone(),
        };
        let is_there = Event::Apply(Object::from(key), Fact::Namespace);
        feed.events.send(is_there).await?;
    }
    feed.events.send(Event::Synced(feed.list.clone())).await
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
    let resource = feed.list.resource;
    match event {
        api::Event::Reset => Event::Reset(feed.list.clone()),
        api::Event::Synced => Event::Synced(feed.list.clone()),
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
        let kind = format!("{:?}", feed.list.resource).to_lowercase();
        metrics.unreadable.with_label_values(&[&kind]).inc();
    }
    let resource = feed.list.resource;
    Event::Unreadable(resource, key_of(meta), service_of(resource, meta))
}
