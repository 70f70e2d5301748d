//! `sandbox`: an embedded cluster, the reconciler and the DNS server in one process.
//!
//! As a library, for tests of programs that want names:
//!
//! ```no_run
//! # async fn test() -> anyhow::Result<()> {
//! use headless_dns::sandbox::{Options, Sandbox};
//! let sandbox = Sandbox::start(Options::default()).await?;
//! sandbox.ready().await?;
//! println!("{} answers redis-0.redis.default.svc.cluster.local", sandbox.dns());
//! # Ok(())
//! # }
//! ```

mod runtime;
mod view;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use anyhow::Context;
use futures::FutureExt;
use serde_json::Value;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::Client;
use crate::corefile::{CorefileError, Source};
use crate::goal::Goal;
use crate::listen::interface_addresses;
use crate::plugin::kit::ResolvConf;
use crate::reconciler;
use crate::serve::asking::{Asker, Waiting, Wanted};
use crate::serve::files::Files;
use crate::serve::{Ambient, Beside, Kept, Program, Resources, Setup};
use crate::store::Change;
use crate::zone::Zone;
use headless_cluster::plane::Plane;
use headless_cluster::{Certificates, Cluster, Delays};
use runtime::Running;
pub use runtime::Runtime;

/// The manifest that is applied where none is given.
pub const REDIS: &str = include_str!("../config/redis.yaml");

/// What a Pod of the namespace `default` has in its `/etc/resolv.conf`.
pub(crate) const RESOLV_CONF: &str =
    "search default.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n";

const COREFILE: &str = include_str!("../config/sandbox.Corefile");

/// What a sandbox is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// What to apply: a name for errors, and the text.
    pub manifests: Vec<(String, String)>,
    /// Where DNS is answered; port 0 is any free one.
    pub dns: SocketAddr,
    /// Where the API is served; port 0 is any free one.
    pub address: SocketAddr,
    /// With which certificates.
    pub api: Api,
    /// What of a control plane there is.
    pub plane: Plane,
    /// Where it is told over HTTP what is known of names, and shown as a page; without it nowhere. A loopback address.
    pub admin: Option<SocketAddr>,
    /// How long Pods take.
    pub delays: Delays,
    /// Whether objects of kinds that the sandbox does not have are left out, instead of refused.
    pub skip_unknown: bool,
    /// What runs Pods; without it they pretend.
    pub run: Option<Runtime>,
}

/// With which certificates the API is served.
#[derive(Clone, Debug, Default)]
pub enum Api {
    /// Those of an authority that lives as long as the sandbox; there is a kubeconfig.
    #[default]
    Own,
    /// Those of somebody else, who makes kubeconfigs too.
    As(Certificates),
}

impl Default for Options {
    fn default() -> Self {
        let any = SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0);
        Self {
            manifests: vec![("redis.yaml".into(), REDIS.into())],
            dns: any,
            address: any,
            api: Api::Own,
            plane: Plane::default(),
            admin: None,
            delays: Delays::default(),
            skip_unknown: false,
            run: None,
        }
    }
}

/// A sandbox that runs; dropping it ends it.
pub struct Sandbox {
    cluster: Cluster,
    applied: Vec<Value>,
    /// What of the manifests was left out, or is odd, as lines for a person.
    remarks: Vec<String>,
    dns: SocketAddr,
    api: SocketAddr,
    admin: Option<SocketAddr>,
    kubeconfig: Value,
    zone: Arc<Zone>,
    shutdown: CancellationToken,
    reconciler: JoinHandle<()>,
    server: JoinHandle<anyhow::Result<()>>,
    /// What runs Pods, where they do not pretend.
    running: Option<Running>,
    /// What has ended that should not have.
    broken: watch::Sender<Option<String>>,
}

impl Sandbox {
    /// Binds every socket, then applies the manifests.
    ///
    /// # Errors
    /// An address that cannot be had; a manifest that is refused, with file, line and field.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let (sandbox, _changes) = Self::begin(options).await?;
        Ok(sandbox)
    }

    /// Starts a sandbox; returns the changes of its names too.
    pub(crate) async fn begin(
        options: Options,
    ) -> anyhow::Result<(Self, broadcast::Receiver<Change>)> {
        let mut running = options.run.clone().map(Running::start).transpose()?;
        let mut cluster = Cluster::start(headless_cluster::Options {
            delays: options.delays,
            seed: None,
            runtime: running.as_ref().map(Running::runtime),
            published: options
                .run
                .as_ref()
                .map_or_else(Vec::new, |run| run.published.clone()),
            plane: options.plane.clone(),
        });
        let (api, kubeconfig) = match &options.api {
            Api::Own => cluster.listen(options.address).await?,
            Api::As(certificates) => {
                let bound = cluster.listen_as(options.address, certificates).await?;
                (bound, Value::Null)
            }
        };
        let shown = view::beside(cluster.client(), cluster.changed());
        let mut program = bind(&options, cluster.client(), shown).await?;
        let admin = program.probes()?.first().copied();
        let dns = *program
            .addresses()
            .first()
            .context("the sandbox's Corefile listens on nothing")?;
        let zone = program
            .zones()
            .pop()
            .context("the sandbox's Corefile has no kubernetes stanza")?;
        let changes = program.changes().pop();
        let changes = changes.context("the sandbox's Corefile has no kubernetes stanza")?;
        if let Some(running) = &mut running {
            running.serve(&mut program, &mut cluster).await?;
            running.proxy(dns).await?;
        }
        let (applied, remarks) = apply(&cluster, &options)?;
        let shutdown = CancellationToken::new();
        let broken = watch::Sender::new(None);
        let run = reconciler::run(cluster.client(), cluster.clock());
        let reconciler = tokio::spawn(noticed("the reconciler", run, broken.clone()));
        let run = program.run(shutdown.clone());
        let server = tokio::spawn(noticed("the DNS server", run, broken.clone()));
        let sandbox = Self {
            cluster,
            applied,
            remarks,
            dns,
            api,
            admin,
            kubeconfig,
            zone,
            shutdown,
            reconciler,
            server,
            running,
            broken,
        };
        Ok((sandbox, changes))
    }

    /// Waits for a part of the sandbox to end that should not; says which.
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        tokio::select! {
            why = self.cluster.broken() => why,
            Ok(why) = broken.wait_for(Option::is_some) => why.clone().unwrap_or_default(),
        }
    }

    /// Where DNS is answered, over UDP and TCP.
    #[must_use]
    pub fn dns(&self) -> SocketAddr {
        self.dns
    }

    /// Where the API is served.
    #[must_use]
    pub fn api(&self) -> SocketAddr {
        self.api
    }

    /// Where it is told what is known of names.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The kubeconfig of one who may do everything; null where the certificates are somebody else's.
    #[must_use]
    pub fn kubeconfig(&self) -> &Value {
        &self.kubeconfig
    }

    /// A client of the API, in this process.
    #[must_use]
    pub fn client(&self) -> Client {
        self.cluster.client()
    }

    /// The names.
    #[must_use]
    pub fn zone(&self) -> &Arc<Zone> {
        &self.zone
    }

    /// What of the manifests was left out, or is odd, as lines for a person.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The process whose namespaces are those of the node, where Pods run.
    #[must_use]
    pub fn node(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.node.process())
    }

    /// Where SOCKS 5 is served, where it is.
    #[must_use]
    pub fn socks(&self) -> Option<SocketAddr> {
        self.running.as_ref().and_then(Running::socks)
    }

    /// The cluster.
    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// Waits until the Pods of every applied set are Ready, other applied Pods are Running, and the sets' names answer
    /// on the socket. Returns the names.
    ///
    /// # Errors
    /// The server's socket cannot be asked.
    pub async fn ready(&self) -> anyhow::Result<Vec<String>> {
        for object in &self.applied {
            self.cluster
                .wait_until(|cluster| {
                    cluster
                        .present(object)
                        .is_none_or(|present| is_ready(&present))
                })
                .await;
        }
        let names: Vec<String> = self
            .applied
            .iter()
            .flat_map(|object| self.names(object))
            .collect();
        self.wait(&names, Goal::Address).await?;
        Ok(names)
    }

    /// Waits until each of the names answers so: names as a Pod of the namespace `default` would look them up.
    ///
    /// # Errors
    /// Text that is no name; the server's socket cannot be asked.
    pub async fn wait(&self, names: &[impl AsRef<str>], goal: Goal) -> anyhow::Result<()> {
        let search = &ResolvConf::read(RESOLV_CONF).search;
        let wanted = names.iter().map(|name| Wanted::new(name.as_ref(), search));
        let wanted = wanted.collect::<anyhow::Result<Vec<_>>>()?;
        let asker = Asker::new(Some(self.dns), &Files).await?;
        Waiting::new(asker.looking(goal), wanted)
            .finish(|_, _| {})
            .await;
        Ok(())
    }

    /// The names that a StatefulSet's Pods have, where the Service that gives them is there.
    fn names(&self, object: &Value) -> Vec<String> {
        let Some(set) = self
            .cluster
            .present(object)
            .filter(|set| set["kind"] == "StatefulSet")
        else {
            return Vec::new();
        };
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (name, ns, service) = (
            text(&set["metadata"]["name"]),
            text(&set["metadata"]["namespace"]),
            text(&set["spec"]["serviceName"]),
        );
        let key = serde_json::json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": service, "namespace": ns}});
        if self.cluster.present(&key).is_none() {
            return Vec::new();
        }
        let start = set["spec"]["ordinals"]["start"]
            .as_i64()
            .unwrap_or_default();
        let ordinals = start..start + set["spec"]["replicas"].as_i64().unwrap_or_default();
        ordinals
            .map(|ordinal| format!("{name}-{ordinal}.{service}.{ns}.svc.cluster.local"))
            .collect()
    }

    /// Ends everything: queries at hand are answered, then the sockets are free.
    ///
    /// # Errors
    /// What broke meanwhile.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.shutdown.cancel();
        let served = (&mut self.server).await.context("the DNS server broke")?;
        self.reconciler.abort();
        self.cluster.stop().await;
        if let Some(running) = self.running.take() {
            running.end().await;
        }
        served
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.shutdown.cancel();
        self.reconciler.abort();
        self.server.abort();
        if let Some(running) = &self.running {
            running.node.end();
        }
    }
}

/// Applies the manifests. Returns the objects, and what is to be remarked on.
fn apply(cluster: &Cluster, options: &Options) -> anyhow::Result<(Vec<Value>, Vec<String>)> {
    let (mut applied, mut remarks) = (Vec::new(), Vec::new());
    for (file, text) in &options.manifests {
        let known = cluster.apply_known(file, text)?;
        applied.extend(known.applied);
        if let Some(first) = known.unknown.first().filter(|_| !options.skip_unknown) {
            anyhow::bail!("{first} (--skip-unknown goes on without such objects)");
        }
        let unknown = known.unknown.iter();
        remarks.extend(unknown.map(|unknown| format!("skip  {unknown}")));
        let warnings = known.warnings.iter();
        remarks.extend(warnings.map(|warning| format!("warn  {warning}: the last counts")));
    }
    Ok((applied, remarks))
}

/// The DNS server, with its sockets bound.
async fn bind(options: &Options, client: Client, beside: Beside) -> anyhow::Result<Program> {
    let Options { dns, admin, .. } = *options;
    let setup = Setup {
        name: "config/sandbox.Corefile",
        text: COREFILE,
        source: &Addresses { dns, admin },
        port: dns.port(),
        interfaces: interface_addresses().context("cannot list the interfaces")?,
        api: Ambient::Client(client),
        namespaces: Vec::new(),
        resources: Resources::default(),
        previous: Kept::default(),
        beside: Some(beside),
    };
    Program::bind(setup).await.map_err(|error| {
        // This Corefile is ours: its lines would mean nothing to the reader of the error.
        match error.downcast::<CorefileError>() {
            Ok(error) => anyhow::anyhow!("{}", error.problem()),
            Err(other) => other,
        }
    })
}

/// Runs a task of the sandbox, and says so when it has ended.
async fn noticed<T>(
    what: &str,
    task: impl Future<Output = T>,
    broken: watch::Sender<Option<String>>,
) -> T {
    let outcome = AssertUnwindSafe(task).catch_unwind().await;
    let how = if outcome.is_ok() {
        "has stopped"
    } else {
        "broke"
    };
    broken.send_replace(Some(format!("{what} {how}")));
    outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Whether an applied object is where it shall be: only sets and Pods take time.
fn is_ready(object: &Value) -> bool {
    match object["kind"].as_str() {
        Some("StatefulSet") => {
            let status = &object["status"];
            status["observedGeneration"] == object["metadata"]["generation"]
                && status["readyReplicas"].as_i64().unwrap_or_default()
                    == object["spec"]["replicas"].as_i64().unwrap_or(1)
        }
        Some("Pod") => object["status"]["phase"] == "Running",
        _ => true,
    }
}

/// The addresses that the sandbox's Corefile asks for as variables.
struct Addresses {
    dns: SocketAddr,
    admin: Option<SocketAddr>,
}

impl Source for Addresses {
    fn read(&self, _: &str, path: &str) -> io::Result<String> {
        match path {
            "admin" => {
                let admin = self.admin.map(|address| format!("admin {address}\n"));
                Ok(admin.unwrap_or_default())
            }
            "forward" => Ok(self.forward()),
            _ => Files.read("", path),
        }
    }

    fn glob(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn env(&self, name: &str) -> Option<String> {
        match name {
            "SANDBOX_ADDRESS" => Some(self.dns.ip().to_string()),
            "SANDBOX_PORT" => Some(self.dns.port().to_string()),
            _ => None,
        }
    }
}

impl Addresses {
    fn forward(&self) -> String {
        // A machine without resolvers has nobody to ask about other names.
        let resolvers = Files.read("", "/etc/resolv.conf").unwrap_or_default();
        let own = self.dns.port() == 53;
        let usable = !ResolvConf::read(&resolvers).nameservers.is_empty() && !own;
        if usable {
            "forward . /etc/resolv.conf {\n max_concurrent 1000\n}\n".into()
        } else {
            String::new()
        }
    }
}
