//! What the server notes of itself for its metrics: how long changes take to be answered, and its own health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::broadcast;
use tokio::time::Instant;
use tracing::{info, warn};

use super::sockets::reachable;
use crate::endpoint::{Kind, Service};
use crate::metrics::{Health, Metrics, Process};
use crate::process;
use crate::store::Change;
use crate::zone::{Scope, Zone};

/// Says what the first lists had, and how long they took.
pub(super) fn synced(zone: &Zone, took: Duration) {
    let services = zone.services(Scope::Cluster);
    let endpoints: usize = services.iter().map(|data| data.len()).sum();
    info!(services = services.len(), endpoints, ?took, "synced");
}

/// Notes how long each change of a slice took from its cause until it is answered, as long as there are changes.
/// (Kubernetes' service level indicator "DNS programming latency".)
pub(super) async fn programming(mut changes: broadcast::Receiver<Change>, metrics: Arc<Metrics>) {
    loop {
        match changes.recv().await {
            Ok(change) => {
                if let Some((began, service)) = change.programmed() {
                    let took = seconds_since(began);
                    let kind = [service_kind(service)];
                    metrics.programming.with_label_values(&kind).observe(took);
                }
            }
            // Some were missed: a sample is as good.
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return std::future::pending().await,
        }
    }
}

/// The label of a Service. A controller writes the slices of those that have a selector.
fn service_kind(service: &Service) -> &'static str {
    match service.kind {
        Kind::Headless => "headless_with_selector",
        Kind::ClusterIp(_) | Kind::ExternalName(_) => "cluster_ip",
    }
}

/// Seconds since a time that is given in microseconds since 1970; 0 where another clock is ahead of this one.
fn seconds_since(micros: i64) -> f64 {
    #[expect(
        clippy::disallowed_methods,
        reason = "the time is another machine's: only the wall clock compares"
    )]
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let since = Duration::from_micros(u64::try_from(micros).unwrap_or(0));
    now.saturating_sub(since).as_secs_f64()
}

/// Notes what the system says of this process.
pub(super) fn process(noted: &Process) {
    let (received, sent) = process::network_octets();
    for (counter, now) in [(&noted.received, received), (&noted.sent, sent)] {
        counter.inc_by(now.saturating_sub(counter.get()));
    }
    #[expect(clippy::cast_precision_loss, reason = "as client_golang shows it")]
    noted.most_memory.set(process::most_memory() as f64);
    if let Ok(runtime) = Handle::try_current() {
        let tasks = runtime.metrics().num_alive_tasks();
        noted
            .tasks
            .set(u32::try_from(tasks).unwrap_or(u32::MAX).into());
    }
}

/// How often the server's health is looked at, and how long that may take: CoreDNS's.
const EVERY: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks `/health` at this address again and again, and notes how long it took.
pub(super) async fn health(address: SocketAddr, metrics: Arc<Metrics>) {
    let at = reachable(address);
    loop {
        tokio::time::sleep(EVERY).await;
        look(at, &metrics.health).await;
    }
}

async fn look(at: SocketAddr, health: &Health) {
    let start = Instant::now();
    let outcome = tokio::time::timeout(PATIENCE, ask(at)).await;
    let took = start.elapsed();
    health.duration.observe(took.as_secs_f64());
    match outcome {
        Ok(Ok(())) if took < EVERY => {}
        Ok(Ok(())) => warn!(%at, ?took, "the server's own health check is slow"),
        Ok(Err(error)) => {
            health.failures.inc();
            warn!(%at, %error, "the server's own health check failed");
        }
        Err(_) => {
            health.failures.inc();
            warn!(%at, "the server's own health check had no answer");
        }
    }
}

async fn ask(at: SocketAddr) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(at).await?;
    let request = format!("GET /health HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut status = [0; 12];
    stream.read_exact(&mut status).await?;
    if &status == b"HTTP/1.1 200" {
        Ok(())
    } else {
        Err(std::io::Error::other(
            String::from_utf8_lossy(&status).into_owned(),
        ))
    }
}
