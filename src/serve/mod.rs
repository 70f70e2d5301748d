//! The server's life: bind everything, run, drain.

pub mod against;
pub mod asking;
mod beside;
mod chain;
pub mod check;
pub mod files;
mod known;
mod loops;
mod observed;
mod sockets;
pub mod walk;

use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use ring::digest;
use tokio::sync::broadcast;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::{self, Readiness, Token};
use crate::api::Client;
use crate::apiserver::ApiServer;
use crate::corefile::{self, CorefileError, Source};
use crate::listen;
use crate::metrics::Metrics;
use crate::plugin::{AdminApi, Block, Carried, LoopProbe, Reload, Router, read_blocks};
use crate::process;
use crate::store::Change;
use crate::watch::Watches;
use crate::zone::{View, Zone};
pub use beside::Beside;
use known::Known;
use sockets::Listeners;

/// What a server is made from.
pub struct Setup<'a> {
    /// What errors call the Corefile, and where its imports start.
    pub name: &'a str,
    /// The Corefile.
    pub text: &'a str,
    /// Files and environment.
    pub source: &'a dyn Source,
    /// The port of keys without one.
    pub port: u16,
    /// The machine's interfaces: each one's name with one of its addresses.
    pub interfaces: Vec<(String, IpAddr)>,
    /// The API server of stanzas that name none.
    pub api: Ambient,
    /// The namespaces of stanzas that name none, lower case; empty: all.
    pub namespaces: Vec<Box<str>>,
    /// What it may take of the machine.
    pub resources: Resources,
    /// What a server hands over that this one follows.
    pub previous: Kept,
    /// What its `admin` tells beside names.
    pub beside: Option<Beside>,
}

/// What a server may take of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resources {
    /// How many threads answer datagrams at each address; `None`: what the file says, else one for each core.
    pub threads: Option<usize>,
    /// Memory, in octets; `None`: a little less than the machine has, or the control group lets it have.
    pub memory: Option<u64>,
}

/// What one server hands to the next: sockets, which stay open between the two, what was counted, and what is kept.
#[derive(Default)]
pub struct Kept {
    dns: listen::Kept,
    admin: admin::Kept,
    metrics: Option<Arc<Metrics>>,
    carried: Arc<Carried>,
}

/// The API server of stanzas that name none.
pub enum Ambient {
    /// A client, made already.
    Client(Client),
    /// How to make one.
    Server(ApiServer),
}

impl Kept {
    /// The same once more.
    ///
    /// # Errors
    /// What the system says of a socket.
    pub fn try_clone(&self) -> std::io::Result<Self> {
        Ok(Self {
            dns: self.dns.try_clone()?,
            admin: self.admin.try_clone()?,
            metrics: self.metrics.clone(),
            carried: Arc::clone(&self.carried),
        })
    }

    /// Hands over no more than sockets and counters.
    pub fn forget(&mut self) {
        self.carried = Arc::default();
    }

    /// Shows a hash of what was read last.
    pub fn show_content(&self, content: &str) {
        if let Some(metrics) = &self.metrics {
            let hash = digest::digest(&digest::SHA512, content.as_bytes());
            let octets = hash.as_ref().iter();
            let value: String = octets.map(|octet| format!("{octet:02x}")).collect();
            metrics.reload.version.reset();
            let labels = ["sha512", value.as_str()];
            metrics.reload.version.with_label_values(&labels).set(1.0);
        }
    }

    /// Counts a server that was to take over and could not.
    pub fn count_failure(&self) {
        if let Some(metrics) = &self.metrics {
            metrics.reload.failed.inc();
        }
    }
}

/// A server with its sockets bound.
pub struct Program {
    dns: listen::Bound,
    admin: Vec<admin::Bound>,
    stanzas: Vec<Watched>,
    lameduck: Duration,
    serving: Token,
    lines: Vec<String>,
    kept: Kept,
    metrics: Arc<Metrics>,
    /// Where its own health is asked for.
    health: Vec<SocketAddr>,
    /// How often the file is looked at, and how much sooner or later that may be.
    reload: Option<Reload>,
    /// Questions that find loops, and whom to ask.
    loops: Vec<(LoopProbe, SocketAddr)>,
    /// It follows another server, whose probes answer until this one does.
    follows: bool,
    /// Cancelled when it serves.
    started: CancellationToken,
    /// What clients may take.
    budget: listen::Budget,
}

/// The server blocks of a Corefile; what of it has no effect is said.
fn read(setup: &Setup<'_>) -> anyhow::Result<Vec<Block>> {
    let mut blocks = corefile::parse(setup.name, setup.text, setup.source)?;
    if blocks.is_empty() {
        warn!(file = %setup.name, "the Corefile is empty: `whoami` answers every question");
        blocks = corefile::parse(setup.name, corefile::EMPTY, setup.source)?;
    }
    let mut blocks = read_blocks(&blocks, setup.source)?;
    for block in &mut blocks {
        block.restrict(&setup.namespaces);
    }
    for (name, why) in blocks.iter().flat_map(|block| &block.without_effect) {
        info!(plugin = %name, "accepted without effect: {why}");
    }
    Ok(blocks)
}

/// Asks others for what is to be known before the handlers are made.
async fn prepare(blocks: &mut [Block]) -> Result<(), CorefileError> {
    for (_, link) in blocks.iter_mut().flat_map(|block| &mut block.links) {
        link.prepare().await?;
    }
    Ok(())
}

/// A `kubernetes` stanza at work.
struct Watched {
    watches: Watches,
    /// What is shown of it.
    view: Arc<View>,
    client: Client,
    startup_timeout: Duration,
    ready: Token,
}

impl Program {
    /// Reads the Corefile, starts the watches and binds every socket.
    ///
    /// # Errors
    /// A Corefile that cannot be used, an API server that is not configured, an address that cannot be had.
    pub async fn bind(mut setup: Setup<'_>) -> anyhow::Result<Self> {
        let mut blocks = read(&setup)?;
        prepare(&mut blocks).await?;
        let interfaces = std::mem::take(&mut setup.interfaces);
        let readiness = Readiness::default();
        let serving = readiness.token(admin::LAST);
        let Kept {
            dns: sockets,
            admin: probes,
            metrics,
            carried,
        } = std::mem::take(&mut setup.previous);
        let carried = Arc::new(carried.next());
        let follows = metrics.is_some();
        let metrics = metrics.unwrap_or_default();
        known::begin(&metrics);
        let mut listeners = Listeners::new(setup.port, &interfaces, &metrics);
        let (mut stanzas, mut lines) = (Vec::new(), Vec::new());
        let mut known = Vec::new();
        for block in &blocks {
            let local = listeners.local_addresses(block)?;
            let (answering, stanza) =
                chain::chain(block, &setup, local, &readiness, (&metrics, &carried)).await?;
            known.extend(knowing(block, stanza.as_ref(), (&metrics, &setup.beside))?);
            stanzas.extend(stanza);
            answering.begin();
            lines.extend(listeners.add(block, &answering)?);
        }
        let mut dns = listeners.bind(sockets, lanes(setup.resources.threads, &blocks))?;
        let local: Vec<_> = interfaces.iter().map(|(_, ip)| *ip).collect();
        let loops = loop_probes(&blocks, setup.port, &dns.addresses(), &local)?;
        let mut binder = admin::Binder::taking_over(probes);
        let (mut admin, health) = bind_probes(&blocks, &readiness, &metrics, &mut binder).await?;
        for (api, known) in known {
            admin.push(known::bind(&mut binder, &api, known).await?);
        }
        let lameducks = blocks.iter().filter_map(|block| block.health.as_ref());
        let lameduck = lameducks.map(|health| health.lameduck).max();
        Ok(Self {
            kept: Kept {
                dns: dns.keep(),
                admin: binder.keep(),
                metrics: Some(Arc::clone(&metrics)),
                carried,
            },
            metrics,
            reload: blocks.iter().find_map(|block| block.reload),
            loops,
            follows,
            started: CancellationToken::new(),
            budget: process::budget(setup.resources.memory),
            dns,
            admin,
            health,
            stanzas,
            lameduck: lameduck.unwrap_or_default(),
            serving,
            lines,
        })
    }

    /// Answers on two more sockets, which somebody else has bound, as on its first.
    ///
    /// # Errors
    /// A socket that cannot be used.
    pub fn adopt(&mut self, sockets: (UdpSocket, TcpListener)) -> anyhow::Result<()> {
        let first = self.dns.routers().into_iter().next();
        let router = first.context("nothing is served")?;
        Ok(self.dns.adopt(sockets, router)?)
    }

    /// The DNS sockets' addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.dns.addresses()
    }

    /// The probes' addresses, in the order of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn probes(&self) -> std::io::Result<Vec<SocketAddr>> {
        self.admin.iter().map(admin::Bound::address).collect()
    }

    /// What answers on each of the sockets, to be asked in this process.
    #[must_use]
    pub fn routers(&self) -> Vec<Arc<Router>> {
        self.dns.routers()
    }

    /// What is served, a line per zone and port, as CoreDNS prints it.
    #[must_use]
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The zones of the stanzas, in the order of the file.
    #[must_use]
    pub fn zones(&self) -> Vec<Arc<Zone>> {
        self.stanzas
            .iter()
            .map(|stanza| Arc::clone(&stanza.watches.zone))
            .collect()
    }

    /// What changes from now on, of each stanza in the order of the file.
    #[must_use]
    pub fn changes(&self) -> Vec<broadcast::Receiver<Change>> {
        let stanzas = self.stanzas.iter();
        stanzas.map(|stanza| stanza.watches.changes()).collect()
    }

    /// What is handed to the server that takes over from this one.
    #[must_use]
    pub fn keep(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// How often the file is looked at.
    #[must_use]
    pub fn reload(&self) -> Option<Reload> {
        self.reload
    }

    /// Cancelled when this server answers.
    #[must_use]
    pub fn started(&self) -> CancellationToken {
        self.started.clone()
    }

    /// Serves until `shutdown`. Then the server goes on as a lame duck, whose `/ready` is closed; it drains, ends the
    /// watches, and last the other probes.
    ///
    /// # Errors
    /// A task that ended though nobody asked it to.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        self.run_until(shutdown, CancellationToken::new()).await
    }

    /// The same; also ends where another server has taken over, which nobody is to notice.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_until(
        self,
        shutdown: CancellationToken,
        taken_over: CancellationToken,
    ) -> anyhow::Result<()> {
        // A socket that is kept too would not close.
        drop(self.kept);
        let (stop_dns, stops) = (CancellationToken::new(), Stops::new());
        let mut tasks = JoinSet::new();
        let mut admin = self.admin;
        if !self.follows {
            probe(&mut tasks, admin.drain(..), &stops);
        }
        let (mut watching, mut synced) = (JoinSet::new(), JoinSet::new());
        for stanza in self.stanzas {
            synced.spawn(synced_in_time(
                stanza.watches.synced(),
                stanza.startup_timeout,
            ));
            watching.spawn(keep(stanza, Arc::clone(&self.metrics)));
        }
        tokio::select! {
            _all = synced.join_all() => {}
            () = shutdown.cancelled() => {}
            Some(ended) = watching.join_next() => return Err(ended_by_itself(ended)),
        }
        let heard = self.dns.heard();
        let mut dns = tokio::spawn(self.dns.run(stop_dns.clone(), self.budget));
        drop(self.serving);
        probe(&mut tasks, admin.drain(..), &stops);
        self.started.cancel();
        let mut looking = JoinSet::new();
        for address in self.health {
            looking.spawn(observed::health(address, Arc::clone(&self.metrics)));
        }
        let outcome = tokio::select! {
            said = loops::first(self.loops) => {
                error!(target: "dns_fatal", "{said}");
                Err(anyhow::anyhow!("a question came back to this server"))
            }
            () = shutdown.cancelled() => Ok(()),
            () = taken_over.cancelled() => Ok(()),
            Some(ended) = watching.join_next() => Err(ended_by_itself(ended)),
            Some(ended) = tasks.join_next() => Err(ended_by_itself(ended.map(|()| "a probe's server stopped".into()))),
            ended = &mut dns => Err(stopped(ended)),
        };
        // Where another server has taken over, its probes have the say.
        let ending = if taken_over.is_cancelled() {
            &stops.all
        } else {
            &stops.ready
        };
        ending.cancel();
        if outcome.is_ok() {
            if !taken_over.is_cancelled() && !self.lameduck.is_zero() {
                leave(self.lameduck, &heard).await;
            }
            stop_dns.cancel();
            dns.await
                .context("the DNS server broke while it drained")??;
        }
        drop(watching);
        stops.all.cancel();
        while tasks.join_next().await.is_some() {}
        outcome
    }
}

/// What is known of a block's names, where it is to be told.
fn knowing(
    block: &Block,
    stanza: Option<&Watched>,
    (metrics, beside): (&Arc<Metrics>, &Option<Beside>),
) -> Result<Option<(AdminApi, Arc<Known>)>, CorefileError> {
    let Some(api) = &block.admin else {
        return Ok(None);
    };
    known::check(block)?;
    let Some(stanza) = stanza else {
        return Ok(None);
    };
    let shown = View::clone(&stanza.view).into();
    let known = Known::start(stanza, (shown, api.history), metrics, beside.clone());
    Ok(Some((api.clone(), known)))
}

/// How long nobody has asked when all have gone to other servers: whoever asks often has asked by then.
const QUIET: Duration = Duration::from_millis(500);

/// How long a server that leaves waits for those who still ask: with `lameduck 5s` it is gone in half of the 30 s that the
/// kubelet gives it.
const LINGER: Duration = Duration::from_secs(10);

/// Waits as long as the file says, and then until nobody asks any more: a client whose socket the cluster still leads here
/// would lose what it asks.
async fn leave(lameduck: Duration, heard: &listen::Heard) {
    tokio::time::sleep(lameduck).await;
    let (deadline, mut before) = (Instant::now() + LINGER, heard.total());
    while Instant::now() < deadline {
        tokio::time::sleep(QUIET).await;
        let now = heard.total();
        if now == before {
            return;
        }
        before = now;
    }
}

/// How many threads answer datagrams at each address.
fn lanes(threads: Option<usize>, blocks: &[Block]) -> usize {
    let asked = blocks.iter().filter_map(|block| block.multisocket).max();
    threads.or(asked).unwrap_or_else(process::cores)
}

/// The questions that find loops, and whom to ask; a block without one must not have an upstream that is this server.
fn loop_probes(
    blocks: &[Block],
    port: u16,
    bound: &[SocketAddr],
    local: &[IpAddr],
) -> Result<Vec<(LoopProbe, SocketAddr)>, CorefileError> {
    let mut probes = Vec::new();
    for block in blocks {
        let own = sockets::own_addresses(block, port, bound);
        match (&block.probe, own.first()) {
            // Started, it finds loops by itself, those through others too.
            (Some(probe), Some(server)) if block.upstreams().next().is_some() => {
                probes.push((probe.clone(), *server));
            }
            // Nobody leads its questions anywhere.
            (Some(_), _) => {}
            (None, _) => sockets::check_upstreams(block, &own, local)?,
        }
    }
    Ok(probes)
}

/// The error for sockets that are served no more.
fn stopped(ended: Result<Result<(), listen::ServerEnded>, JoinError>) -> anyhow::Error {
    match ended {
        Ok(Err(ended)) => ended.into(),
        Ok(Ok(())) => anyhow::anyhow!("the DNS server stopped"),
        Err(broken) => broken.into(),
    }
}

/// When probes end.
struct Stops {
    all: CancellationToken,
    /// Those that say whether this server is to be asked end as soon as it is not.
    ready: CancellationToken,
}

impl Stops {
    fn new() -> Self {
        let all = CancellationToken::new();
        Self {
            ready: all.child_token(),
            all,
        }
    }

    fn of(&self, kind: admin::Kind) -> CancellationToken {
        match kind {
            admin::Kind::Ready => self.ready.clone(),
            admin::Kind::Health | admin::Kind::Metrics | admin::Kind::Names => self.all.clone(),
        }
    }
}

/// Serves probes until they are to end.
fn probe(tasks: &mut JoinSet<()>, bound: impl Iterator<Item = admin::Bound>, stops: &Stops) {
    for bound in bound {
        let stop = stops.of(bound.kind());
        tasks.spawn(bound.run(stop));
    }
}

/// Holds a stanza's watches, and its readiness until they are synced. Returns only when a watch has died.
async fn keep(mut stanza: Watched, metrics: Arc<Metrics>) -> String {
    let (synced, began) = (stanza.watches.synced(), Instant::now());
    tokio::select! {
        ended = stanza.watches.ended() => return ended,
        () = synced => drop(stanza.ready),
    }
    observed::synced(&stanza.watches.zone, began.elapsed());
    // What the first lists say was so before.
    let changes = stanza.watches.changes();
    tokio::select! {
        ended = stanza.watches.ended() => ended,
        () = observed::programming(changes, metrics) => String::new(),
    }
}

/// The error for a task that has ended, though it should not: what it returned, or how it broke.
fn ended_by_itself(ended: Result<String, JoinError>) -> anyhow::Error {
    anyhow::anyhow!(ended.unwrap_or_else(|error| error.to_string()))
}

/// Waits for the first lists, but not for ever: what is known by then is served, and nothing is denied.
async fn synced_in_time(synced: impl Future<Output = ()>, patience: Duration) {
    if tokio::time::timeout(patience, synced).await.is_err() {
        warn!(
            "serving before the API server has delivered everything: unknown names are SERVFAIL until then"
        );
    }
}

/// A probe; as in CoreDNS names are answered all the same where `/ready` or `/metrics` has no address.
fn or_said(bound: Result<admin::Bound, admin::BindError>) -> Option<admin::Bound> {
    bound.inspect_err(|error| error!("{error}")).ok()
}

/// Binds the probes, and says where `/health` is; an address that several blocks name is bound once.
async fn bind_probes(
    blocks: &[Block],
    readiness: &Readiness,
    metrics: &Arc<Metrics>,
    binder: &mut admin::Binder,
) -> anyhow::Result<(Vec<admin::Bound>, Vec<SocketAddr>)> {
    let (mut bound, mut seen) = (Vec::new(), Vec::new());
    let mut own = Vec::new();
    for block in blocks {
        if let Some(ready) = &block.ready
            && !seen.contains(&("ready", &ready.address))
        {
            bound.extend(or_said(
                binder.ready(&ready.address, readiness.clone()).await,
            ));
            seen.push(("ready", &ready.address));
        }
        if let Some(address) = &block.metrics
            && !seen.contains(&("metrics", address))
        {
            let metrics = Arc::clone(metrics);
            let text = move || {
                observed::process(&metrics.process);
                metrics.text()
            };
            bound.extend(or_said(binder.metrics(address, text).await));
            seen.push(("metrics", address));
        }
        if let Some(health) = &block.health
            && !seen.contains(&("health", &health.address))
        {
            let socket = binder.health(&health.address).await?;
            own.push(socket.address()?);
            bound.push(socket);
            seen.push(("health", &health.address));
        }
    }
    Ok((bound, own))
}
