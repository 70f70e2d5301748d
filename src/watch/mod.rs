//! Lists and watches of an API server, into one store.
//!
//! Every watch runs on its own and feeds one bounded channel; one task owns the store. A watch never ends: what goes
//! wrong is tried again, soon, for a name that is late is a name that is wrong.

mod lenient;
mod protobuf;
mod stream;
pub mod wire;

use std::sync::Arc;
use std::time::SystemTime;

use kube::Client;
use kube::runtime::watcher;
use tokio::sync::{broadcast, mpsc, watch};
use tokio::task::JoinSet;

use crate::api::{Away, Connection};
use crate::metrics::Metrics;
use crate::store::{Change, Event, List, Resource, Store};
use crate::zone::Zone;
use headless_objects::selector::Selector;
use wire::{EndpointSlice, Namespace, Pod, Reading, Service, ServiceImport, StatefulSet};

/// Events that may wait for the store; a watch that is faster waits. Each holds a slice: more would show in a relist.
const QUEUE: usize = 128;

/// Changes that may wait for who listens; who is slower misses the oldest. Each holds on to what was there before.
const CHANGES: usize = 1024;

/// Where a cluster's DNS server and its Service stand, as kubeadm and every distribution have it.
pub const OF_DNS: &str = "kube-system";

/// What to watch, and how to read it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of Services, slices and Pods.
    pub labels: Selector,
    /// Of namespaces, and as in CoreDNS of ServiceImports.
    pub namespace_labels: Selector,
    /// How objects are read.
    pub reading: Reading,
    /// Slices are not watched.
    pub noendpoints: bool,
    /// Pods are watched.
    pub pods: bool,
    /// StatefulSets are watched, where that is granted: names do not wait for them.
    pub sets: bool,
    /// ServiceImports and their slices are watched.
    pub multicluster: bool,
    /// Only these namespaces are watched, each by itself: a Role in each is enough. Empty: all at once. Where the right is
    /// there, the Services of [`OF_DNS`] are watched too.
    pub namespaces: Vec<Box<str>>,
    /// Where what cannot be read is counted.
    pub metrics: Option<Arc<Metrics>>,
}

impl Options {
    /// The watches; see [`Options::must_deliver`].
    #[must_use]
    pub fn watches(&self) -> Vec<List> {
        let mut watches = vec![Resource::Namespaces, Resource::Services];
        watches.extend((!self.noendpoints).then_some(Resource::Slices));
        watches.extend(self.pods.then_some(Resource::Pods));
        watches.extend(self.sets.then_some(Resource::Sets));
        if self.multicluster {
            watches.extend([Resource::Imports, Resource::ImportSlices]);
        }
        if self.namespaces.is_empty() {
            return watches.into_iter().map(List::from).collect();
        }
        let mut lists = Vec::new();
        for resource in watches {
            let each = self.namespaces.iter().cloned();
            lists.extend(each.map(|ns| List { resource, ns }));
            let is_of_dns = matches!(resource, Resource::Services | Resource::Slices);
            if is_of_dns && !self.namespaces.iter().any(|ns| **ns == *OF_DNS) {
                let ns = OF_DNS.into();
                lists.push(List { resource, ns });
            }
        }
        lists
    }

    /// Whether nothing is denied before a watch has delivered its first list: what StatefulSets say is how sure a denial is.
    #[must_use]
    pub fn must_deliver(list: &List) -> bool {
        list.resource != Resource::Sets
    }

    /// Whether answers can do without a watch, where the right to it is missing. A namespace that is named here is taken to
    /// exist then; without the Service that has this server's address, NS records are of the address itself.
    #[must_use]
    pub fn can_do_without(&self, list: &List) -> bool {
        let is_named = self.namespaces.contains(&list.ns);
        list.resource == Resource::Sets
            || !list.ns.is_empty() && (list.resource == Resource::Namespaces || !is_named)
    }
}

/// Watches that run; dropping it ends them.
pub struct Watches {
    /// The names they keep.
    pub zone: Arc<Zone>,
    synced: watch::Receiver<bool>,
    changes: broadcast::Sender<Change>,
    connection: Arc<Connection<List>>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Starts to watch.
    #[must_use]
    pub fn start(client: &Client, options: &Options) -> Self {
        let zone = Arc::new(Zone::default());
        let (events, queue) = mpsc::channel(QUEUE);
        let (synced, is_synced) = watch::channel(false);
        let watches = options.watches().into_iter();
        let awaited = watches.filter(Options::must_deliver);
        let store = Store::new(Arc::clone(&zone), awaited);
        let mut tasks = JoinSet::new();
        let (changes, _) = broadcast::channel(CHANGES);
        tasks.spawn(keep(
            store,
            Arc::clone(&zone),
            queue,
            (synced, changes.clone()),
        ));
        let connection = Arc::new(Connection::over(options.watches().len()));
        if let Some(metrics) = &options.metrics {
            tokio::spawn(show_away(connection.away(), Arc::clone(metrics)));
        }
        let client = protobuf::client(client);
        for list in options.watches() {
            let (resource, config) = (list.resource, config(&list, options));
            let feed = stream::Feed {
                optional: options.can_do_without(&list),
                list,
                reading: options.reading,
                events: events.clone(),
                metrics: options.metrics.clone(),
                connection: Arc::clone(&connection),
            };
            match resource {
                Resource::Namespaces => {
                    tasks.spawn(stream::run::<Namespace>(client.clone(), config, feed))
                }
                Resource::Services => {
                    tasks.spawn(stream::run::<Service>(client.clone(), config, feed))
                }
                Resource::Slices | Resource::ImportSlices => {
                    tasks.spawn(stream::run::<EndpointSlice>(client.clone(), config, feed))
                }
                Resource::Sets => {
                    tasks.spawn(stream::run::<StatefulSet>(client.clone(), config, feed))
                }
                Resource::Pods => tasks.spawn(stream::run::<Pod>(client.clone(), config, feed)),
                Resource::Imports => {
                    tasks.spawn(stream::run::<ServiceImport>(client.clone(), config, feed))
                }
            };
        }
        Self {
            zone,
            synced: is_synced,
            changes,
            connection,
            tasks,
        }
    }

    /// What changes from now on.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Whether the API server is away, as it changes.
    #[must_use]
    pub fn away(&self) -> watch::Receiver<Option<Away>> {
        self.connection.away()
    }

    /// Waits until the zone is synced; for ever, where the store has died before.
    pub fn synced(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut synced = self.synced.clone();
        async move {
            if synced.wait_for(|synced| *synced).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Waits for a watch to end, which none does by itself: the reason.
    pub async fn ended(&mut self) -> String {
        match self.tasks.join_next().await {
            Some(Err(error)) => format!("a watch ended: {error}"),
            Some(Ok(())) | None => "a watch ended".into(),
        }
    }
}

/// Shows whether the API server is away, as long as it is watched.
async fn show_away(mut away: watch::Receiver<Option<Away>>, metrics: Arc<Metrics>) {
    let mut shown = false;
    loop {
        let is_away = away.borrow_and_update().is_some();
        if is_away != shown {
            metrics.away.add(if is_away { 1.0 } else { -1.0 });
            shown = is_away;
        }
        if away.changed().await.is_err() {
            break;
        }
    }
    if shown {
        metrics.away.dec();
    }
}

/// The one writer of the zone.
async fn keep(
    mut store: Store,
    zone: Arc<Zone>,
    mut queue: mpsc::Receiver<Event>,
    (synced, changes): (watch::Sender<bool>, broadcast::Sender<Change>),
) {
    while let Some(event) = queue.recv().await {
        for change in store.handle(unix_time(), event) {
            // Most of the time nobody listens.
            let _nobody = changes.send(change);
        }
        synced.send_if_modified(|synced| !std::mem::replace(synced, zone.synced()) && *synced);
    }
}

fn unix_time() -> u32 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the clock enters here, for the zone's serial"
    )]
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

fn config(list: &List, options: &Options) -> watcher::Config {
    let selector = match list.resource {
        Resource::Namespaces | Resource::Imports => options.namespace_labels.to_string(),
        Resource::Services | Resource::Slices | Resource::Pods => options.labels.to_string(),
        Resource::ImportSlices => wire::IMPORT_NAME.to_owned(),
        // Their labels are not those of their Services.
        Resource::Sets => String::new(),
    };
    let mut config = watcher::Config::default().streaming_lists();
    if !selector.is_empty() {
        config = config.labels(&selector);
    }
    if list.resource == Resource::Namespaces && !list.ns.is_empty() {
        config = config.fields(&format!("metadata.name={}", list.ns));
    }
    if list.resource == Resource::Pods {
        // A Pod that has ended has given its address back.
        config =
            config.fields("status.phase!=Succeeded,status.phase!=Failed,status.phase!=Unknown");
    }
    config
}
