#![doc = include_str!("../README.md")]
//!
//! The core ([`state`]) is pure: `now` and a seed are given. [`server`] speaks HTTP; controllers are decision functions that
//! one task steps.

mod accounts;
pub mod addresses;
mod admission;
mod apply;
mod applying;
mod asking;
pub mod authority;
mod authorizing;
mod bearers;
mod call;
pub mod controllers;
mod cron;
mod custom;
mod defaults;
mod definitions;
mod deleting;
mod discovery;
mod evicting;
mod faults;
pub mod field;
mod idle;
mod issuing;
pub mod kind;
pub mod kinds;
mod listen;
mod logs;
pub mod manifest;
mod metrics;
pub mod objects;
mod options;
mod paging;
mod patch;
mod place;
pub mod plane;
mod policy;
mod protobuf;
pub mod published;
mod random;
mod ranges;
mod rbac;
mod received;
mod request;
mod reviews;
pub mod runtime;
mod scaling;
mod schema;
pub mod server;
mod shared;
pub mod state;
pub mod status;
mod story;
mod streaming;
mod table;
pub mod tokens;
pub mod types;
mod user;
pub mod validate;
mod verbs;
mod versions;
mod waiting;
mod watching;
mod webhooks;
mod yaml;

use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use controllers::Delays;
pub use discovery::GIT_VERSION;
pub use listen::{Certificates, ListenError};
pub use story::Story;

use kinds::KindId;
use manifest::{Document, ManifestError};
use objects::Key;
use plane::{Authorization, Plane};
use published::Published;
use runtime::Runtime;
use server::Api;
use shared::Shared;
use state::{Author, Part, State};

/// A cluster that runs; dropping it ends it.
pub struct Cluster {
    api: Api,
    tasks: JoinSet<()>,
    /// What has ended that should not have.
    broken: watch::Sender<Option<String>>,
    /// How the API is served over TLS, once it is.
    acceptor: Option<listen::Acceptor>,
}

/// What a cluster is made from.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// How long Pods take.
    pub delays: Delays,
    /// The seed of uids and of the ends of generated names; without a seed they differ each time.
    pub seed: Option<u64>,
    /// What runs the programs of Pods; without it they pretend.
    pub runtime: Option<Arc<dyn Runtime>>,
    /// Services that are reached from outside, where something runs Pods.
    pub published: Vec<Published>,
    /// What of a control plane there is.
    pub plane: Plane,
}

impl From<Delays> for Options {
    fn from(delays: Delays) -> Self {
        Self {
            delays,
            ..Self::default()
        }
    }
}

/// What has become of a manifest.
#[derive(Debug)]
pub struct Known {
    /// The objects.
    pub applied: Vec<Value>,
    /// Objects of kinds that this cluster does not have, which were left out.
    pub unknown: Vec<ManifestError>,
    /// Keys that stand twice.
    pub warnings: Vec<ManifestError>,
}

impl Cluster {
    /// Starts a cluster: one node, a default StorageClass, the namespaces every cluster has.
    #[must_use]
    pub fn start(options: impl Into<Options>) -> Self {
        let Options {
            delays,
            seed,
            runtime,
            published,
            plane,
        } = options.into();
        let mut state = State::of(plane.clone(), seed.unwrap_or_else(rand::random));
        let now = Timestamp::now();
        let author = Author::new("kube-apiserver", now);
        state.by(Some(author), |state| boot(state, &plane, now));
        state.aggregate(now);
        let runs = runtime.is_some();
        let mut cluster = Self::with(state, runtime);
        let shared = Arc::clone(&cluster.api.shared);
        let of_runtime = runs.then(|| (shared.tokens.clone(), published));
        let controllers = if plane.controllers {
            controllers::Controllers::new(delays, of_runtime)
        } else {
            controllers::Controllers::none()
        };
        cluster.spawn("the controllers", controllers::run(shared, controllers));
        cluster
    }

    fn with(state: State, runtime: Option<Arc<dyn Runtime>>) -> Self {
        Self {
            api: Api {
                shared: Arc::new(Shared::new(state, runtime)),
            },
            tasks: JoinSet::new(),
            broken: watch::Sender::new(None),
            acceptor: None,
        }
    }

    fn spawn(&mut self, what: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let broken = self.broken.clone();
        self.tasks.spawn(async move {
            let how = match AssertUnwindSafe(task).catch_unwind().await {
                Ok(()) => "have stopped",
                Err(_) => "broke",
            };
            broken.send_replace(Some(format!("{what} of the embedded cluster {how}")));
        });
    }

    /// Waits for a part of the cluster to end that should not; says which.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        let why = broken.wait_for(Option::is_some).await;
        why.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    /// A cluster that holds these objects as they are, and in which nothing else happens: no defaults, no checks, no
    /// controllers. For tests of what reads objects.
    ///
    /// # Panics
    /// An object of a kind that this cluster does not have.
    #[must_use]
    pub fn holding(objects: &[Value]) -> Self {
        let cluster = Self::with(State::new(0), None);
        objects.iter().for_each(|object| cluster.put(object));
        cluster
    }

    /// Puts an object beside those that are there, as it is.
    ///
    /// # Panics
    /// An object of a kind that this cluster does not have.
    pub fn put(&self, object: &Value) {
        let key = Key::of(object).expect("the object is of a kind that the table has");
        let put = |state: &mut State| drop(state.objects.put(key, object.clone()));
        self.api.shared.write(put);
    }

    /// A client in this process.
    #[must_use]
    pub fn client(&self) -> kube::Client {
        kube::Client::new(self.api.clone(), "default")
    }

    /// The API, as a `tower::Service`.
    #[must_use]
    pub fn api(&self) -> &Api {
        &self.api
    }

    /// Serves the API over HTTPS too. Returns the address, and a kubeconfig of one who may do everything: nobody else
    /// comes in.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub async fn listen(
        &mut self,
        address: SocketAddr,
    ) -> Result<(SocketAddr, Value), ListenError> {
        let (door, kubeconfig) = listen::bind(address).await?;
        Ok((self.open(door), kubeconfig))
    }

    /// Serves the API over HTTPS with certificates that somebody else has made. Returns the address.
    ///
    /// # Errors
    /// An address that cannot be had; certificates that cannot be read.
    pub async fn listen_as(
        &mut self,
        address: SocketAddr,
        certificates: &Certificates,
    ) -> Result<SocketAddr, ListenError> {
        let door = listen::bind_as(address, certificates).await?;
        Ok(self.open(door))
    }

    fn open(&mut self, door: listen::Door) -> SocketAddr {
        let author = Author::new("kube-apiserver", self.api.shared.now());
        let publish = |state: &mut State| {
            state.publish(door.certificate);
            state.advertise(door.address.port());
        };
        self.api.shared.write_by(Some(author), publish);
        self.acceptor = Some(door.acceptor.clone());
        let api = self.api.clone();
        self.spawn(
            "the connections",
            listen::serve(door.listener, door.acceptor, api),
        );
        door.address
    }

    /// Serves the API on one more socket, as on that of [`listen`](Self::listen): at 10.96.0.1, for Pods that run.
    ///
    /// # Errors
    /// A socket that cannot be used.
    ///
    /// # Panics
    /// The API is not served over TLS yet.
    pub fn listen_also(&mut self, listener: std::net::TcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let acceptor = self.acceptor.clone().expect("`listen` comes first");
        let api = self.api.clone();
        self.spawn(
            "the connections of Pods",
            listen::serve(listener, acceptor, api),
        );
        Ok(())
    }

    /// What has happened and happens, as lines for a person.
    #[must_use]
    pub fn story(&self) -> Story {
        Story::new(&self.api.shared)
    }

    /// Counts what changes: the last revision.
    #[must_use]
    pub fn changed(&self) -> watch::Receiver<u64> {
        self.api.shared.changed.subscribe()
    }

    /// What is waited for, and why, as lines for a person: claims without a volume, Pods without a node or not Ready.
    #[must_use]
    pub fn waiting(&self) -> Vec<String> {
        waiting::lines(&self.api.shared.read().objects)
    }

    /// The time of day, as this cluster has it.
    pub fn clock(&self) -> impl Fn() -> Timestamp + Send + Sync + 'static {
        let shared = Arc::clone(&self.api.shared);
        move || shared.now()
    }

    /// Creates the objects of a manifest, or replaces those that are there. Returns them.
    ///
    /// # Errors
    /// What is wrong, with file, line and field; the objects before it are kept. An object of a kind that this cluster
    /// does not have.
    pub fn apply(&self, file: &str, text: &str) -> Result<Vec<Value>, ManifestError> {
        let mut manifest = manifest::parse(file, text)?;
        match manifest.unknown.pop() {
            Some(unknown) => Err(manifest.unknown.into_iter().next().unwrap_or(unknown)),
            None => self.apply_documents(file, manifest.documents),
        }
    }

    /// The same without the objects of kinds that this cluster does not have, which are named, as are keys that stand
    /// twice.
    ///
    /// # Errors
    /// As `apply`.
    pub fn apply_known(&self, file: &str, text: &str) -> Result<Known, ManifestError> {
        let manifest = manifest::parse(file, text)?;
        Ok(Known {
            applied: self.apply_documents(file, manifest.documents)?,
            unknown: manifest.unknown,
            warnings: manifest.warnings,
        })
    }

    fn apply_documents(
        &self,
        file: &str,
        documents: Vec<Document>,
    ) -> Result<Vec<Value>, ManifestError> {
        let mut applied = Vec::new();
        for document in documents {
            let mut object = document.object.clone();
            received::of_manifest(document.kind.info(), &mut object)
                .map_err(|(field, problem)| document.error(file, &problem, Some(&field)))?;
            let meta = &object["metadata"];
            let ns = if document.kind.info().namespaced {
                meta["namespace"].as_str().unwrap_or("default")
            } else {
                ""
            };
            let name = meta["name"].as_str().unwrap_or_default();
            let key = Key::new(document.kind.kept(), ns, name);
            document.kind.to_kept(&mut object);
            let shared = &self.api.shared;
            let apply = |state: &mut State| match state.objects.get(&key) {
                Some(_) => state.update(&key, Part::Main, object.clone(), false),
                None => state.create(shared.now(), key.kind, &key.ns, object.clone(), false),
            };
            let author = Author::new("headless-dns", shared.now()).through(document.kind, "");
            let outcome = shared.guard(file, || shared.write_by(Some(author), apply));
            let made = outcome.map_err(|status| {
                document.error(
                    file,
                    &status.message,
                    status.details["causes"][0]["field"].as_str(),
                )
            })?;
            applied.push(Arc::unwrap_or_clone(apply::shown(made)));
        }
        Ok(applied)
    }

    /// The present state of an object that was applied.
    #[must_use]
    pub fn present(&self, object: &Value) -> Option<Value> {
        let key = Key::of(object)?;
        self.api
            .shared
            .read()
            .objects
            .get(&key)
            .map(|object| Arc::unwrap_or_clone(apply::shown(Arc::clone(object))))
    }

    /// Waits until something holds, looking after every change.
    pub async fn wait_until(&self, holds: impl Fn(&Self) -> bool) {
        let mut changed = self.api.shared.changed.subscribe();
        while !holds(self) {
            // There is no error: the sender is part of `self`.
            let _ended = changed.changed().await;
        }
    }

    /// Ends the cluster and waits until its sockets are free.
    pub async fn stop(&mut self) {
        self.tasks.shutdown().await;
    }

    /// Forgets the history, as etcd's compaction does: watches from before get 410.
    pub fn compact(&self) {
        self.api.shared.write(|state| state.objects.compact());
    }
}

/// What is there before anybody asks.
fn boot(state: &mut State, plane: &Plane, now: Timestamp) {
    let mut create = |kind: &str, ns: &str, object: Value| {
        let made = state.create(now, KindId::named(kind), ns, object, false);
        made.expect("the objects that every cluster has are valid");
    };
    for name in ["default", "kube-node-lease", "kube-public", "kube-system"] {
        create("Namespace", "", json!({"metadata": {"name": name}}));
    }
    if plane.authorization == Authorization::Roles {
        for object in rbac::bootstrap() {
            let (kind, ns) = (
                object["kind"].clone(),
                object["metadata"]["namespace"].clone(),
            );
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            create(&text(&kind), &text(&ns), object);
        }
    }
    if plane.controllers {
        create("Node", "", controllers::node(controllers::NODE, now));
        let default = json!({"storageclass.kubernetes.io/is-default-class": "true"});
        create(
            "StorageClass",
            "",
            json!({"metadata": {"name": "standard", "annotations": default}, "provisioner": "headless-dns/embedded"}),
        );
    }
    for (name, value) in [("cluster", 2_000_000_000), ("node", 2_000_001_000)] {
        let name = format!("system-{name}-critical");
        create(
            "PriorityClass",
            "",
            json!({"metadata": {"name": name}, "value": value}),
        );
    }
    let (address, port) = (plane.advertised.ip(), plane.advertised.port());
    let ports = json!([{"name": "https", "port": 443, "targetPort": port}]);
    let labels = json!({"component": "apiserver", "provider": "kubernetes"});
    create(
        "Service",
        "default",
        json!({"metadata": {"name": "kubernetes", "labels": labels}, "spec": {"clusterIP": plane.services.api(), "ports": ports}}),
    );
    let slice = json!({
        "metadata": {"name": "kubernetes", "labels": {"kubernetes.io/service-name": "kubernetes"}}, "addressType": if address.is_ipv4() { "IPv4" } else { "IPv6" },
        "endpoints": [{"addresses": [address], "conditions": {"ready": true}}],
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
    });
    create("EndpointSlice", "default", slice);
}

#[cfg(test)]
mod tests;
