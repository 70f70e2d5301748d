//! The server's life: bind everything, run, drain.

mod chain;
pub mod files;
mod sockets;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::broadcast;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::admin::{self, Readiness, Token};
use crate::api::Client;
use crate::apiserver::ApiServer;
use crate::corefile::{self, Source};
use crate::listen;
use crate::metrics::Metrics;
use crate::plugin::{Block, Router, read_blocks};
use crate::store::Change;
use crate::watch::Watches;
use crate::zone::Zone;
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
}

/// The API server of stanzas that name none.
pub enum Ambient {
    /// A client, made already.
    Client(Client),
    /// How to make one.
    Server(ApiServer),
}

/// A server with its sockets bound.
pub struct Program {
    dns: listen::Bound,
    admin: Vec<admin::Bound>,
    stanzas: Vec<Watched>,
    lameduck: Duration,
    readiness: Readiness,
    serving: Token,
    lines: Vec<String>,
}

/// A `kubernetes` stanza at work.
struct Watched {
    watches: Watches,
    startup_timeout: Duration,
    ready: Token,
}

impl Program {
    /// Reads the Corefile, starts the watches and binds every socket.
    ///
    /// # Errors
    /// A Corefile that cannot be used, an API server that is not configured, an address that cannot be had.
    pub async fn bind(setup: Setup<'_>) -> anyhow::Result<Self> {
        let blocks = corefile::parse(setup.name, setup.text, setup.source)
            .and_then(|blocks| read_blocks(&blocks, setup.source));
        let blocks = blocks?;
        for (name, why) in blocks.iter().flat_map(|block| &block.without_effect) {
            info!(plugin = %name, "accepted without effect: {why}");
        }
        let interfaces = setup.interfaces;
        let readiness = Readiness::default();
        let serving = readiness.token("dns");
        let metrics = Arc::new(Metrics::default());
        let mut listeners = Listeners::new(setup.port, &interfaces, &metrics);
        let (mut stanzas, mut lines) = (Vec::new(), Vec::new());
        for block in &blocks {
            let local = listeners.local_addresses(block)?;
            let (chain, stanza) =
                chain::chain(block, &setup.api, local, (&readiness, &metrics)).await?;
            stanzas.extend(stanza);
            lines.extend(listeners.add(block, &chain)?);
        }
        let dns = listeners.bind()?;
        let local: Vec<_> = interfaces.iter().map(|(_, ip)| *ip).collect();
        for block in &blocks {
            sockets::check_upstreams(block, &dns.addresses(), &local)?;
        }
        let (admin, lameduck) = probes(&blocks, &readiness, &metrics).await?;
        Ok(Self {
            dns,
            admin,
            stanzas,
            lameduck,
            readiness,
            serving,
            lines,
        })
    }

    /// The DNS sockets' addresses.
    #[must_use]
    pub fn addresses(&self) -> Vec<std::net::SocketAddr> {
        self.dns.addresses()
    }

    /// The probes' addresses, in the order of the file.
    ///
    /// # Errors
    /// What the system says.
    pub fn probes(&self) -> std::io::Result<Vec<std::net::SocketAddr>> {
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

    /// Serves until `shutdown`. Then the server goes on as a lame duck, drains, ends the watches, and last the probes.
    ///
    /// # Errors
    /// A task that ended though nobody asked it to.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let (stop_dns, stop_admin) = (CancellationToken::new(), CancellationToken::new());
        let mut tasks = JoinSet::new();
        for bound in self.admin {
            tasks.spawn(bound.run(stop_admin.clone()));
        }
        let (mut watching, mut synced) = (JoinSet::new(), JoinSet::new());
        for stanza in self.stanzas {
            synced.spawn(synced_in_time(
                stanza.watches.synced(),
                stanza.startup_timeout,
            ));
            watching.spawn(keep(stanza));
        }
        tokio::select! {
            _all = synced.join_all() => {}
            () = shutdown.cancelled() => {}
            Some(ended) = watching.join_next() => return Err(ended_by_itself(ended)),
        }
        let mut dns = tokio::spawn(self.dns.run(stop_dns.clone()));
        drop(self.serving);
        let outcome = tokio::select! {
            () = shutdown.cancelled() => Ok(()),
            Some(ended) = watching.join_next() => Err(ended_by_itself(ended)),
            Some(ended) = tasks.join_next() => Err(ended_by_itself(ended.map(|()| "a probe's server stopped".into()))),
            ended = &mut dns => Err(match ended {
                Ok(Err(ended)) => ended.into(),
                Ok(Ok(())) => anyhow::anyhow!("the DNS server stopped"),
                Err(broken) => broken.into(),
            }),
        };
        // From here on probes hear that this server is leaving, though it still answers.
        let _leaving = self.readiness.token("shutdown");
        if outcome.is_ok() {
            tokio::time::sleep(self.lameduck).await;
            stop_dns.cancel();
            dns.await
                .context("the DNS server broke while it drained")??;
        }
        drop(watching);
        stop_admin.cancel();
        while tasks.join_next().await.is_some() {}
        outcome
    }
}

/// Holds a stanza's watches, and its readiness until they are synced. Returns only when a watch has died.
async fn keep(mut stanza: Watched) -> String {
    let synced = stanza.watches.synced();
    tokio::select! {
        ended = stanza.watches.ended() => return ended,
        () = synced => drop(stanza.ready),
    }
    stanza.watches.ended().await
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

/// Binds the probes; an address that several blocks name is bound once. Also the longest lame duck.
async fn probes(
    blocks: &[Block],
    readiness: &Readiness,
    metrics: &Arc<Metrics>,
) -> anyhow::Result<(Vec<admin::Bound>, Duration)> {
    let (mut bound, mut lameduck, mut seen) = (Vec::new(), Duration::ZERO, Vec::new());
    for block in blocks {
        if let Some(ready) = &block.ready
            && !seen.contains(&("ready", &ready.address))
        {
            bound.push(admin::Bound::ready(&ready.address, readiness.clone()).await?);
            seen.push(("ready", &ready.address));
        }
        if let Some(address) = &block.metrics
            && !seen.contains(&("metrics", address))
        {
            let metrics = Arc::clone(metrics);
            bound.push(admin::Bound::metrics(address, move || metrics.text()).await?);
            seen.push(("metrics", address));
        }
        if let Some(health) = &block.health {
            lameduck = lameduck.max(health.lameduck);
            if !seen.contains(&("health", &health.address)) {
                bound.push(admin::Bound::health(&health.address).await?);
                seen.push(("health", &health.address));
            }
        }
    }
    Ok((bound, lameduck))
}
