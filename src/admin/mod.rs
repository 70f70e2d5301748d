//! HTTP for probes and scrapes: `/health`, `/ready` and `/metrics`; and for who asks about names.

mod http;
mod names;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

pub use names::{Answering, Answers, Changes, Names, Refusal};

/// What the program waits for before it is ready: tokens, each with the name of its holder.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Awaited>);

#[derive(Debug, Default)]
struct Awaited {
    names: Mutex<Vec<String>>,
    checks: Mutex<Vec<Check>>,
    /// A token was dropped.
    less: Notify,
}

/// Somebody who is asked at each probe whether he is ready.
struct Check {
    name: String,
    is_ready: Box<dyn Fn() -> bool + Send + Sync>,
    /// Once ready he is not asked any more.
    until_ready: bool,
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

/// Who waits for all others: the sockets.
pub const LAST: &str = "dns";

/// Somebody is not ready until this is dropped.
#[derive(Debug)]
pub struct Token {
    readiness: Readiness,
    name: String,
}

impl Readiness {
    /// Not ready until the token is dropped.
    #[must_use]
    pub fn token(&self, name: &str) -> Token {
        self.names().push(name.into());
        Token {
            readiness: self.clone(),
            name: name.into(),
        }
    }

    /// Asks at each probe, always or until he is ready once.
    pub fn check(
        &self,
        name: &str,
        continuously: bool,
        is_ready: impl Fn() -> bool + Send + Sync + 'static,
    ) {
        self.checks().push(Check {
            name: name.into(),
            is_ready: Box::new(is_ready),
            until_ready: !continuously,
        });
    }

    /// Who is not ready, sorted; those that others wait for, if there are such.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut names = self.names().clone();
        self.checks().retain(|check| {
            let is_ready = (check.is_ready)();
            if !is_ready {
                names.push(check.name.clone());
            }
            !(is_ready && check.until_ready)
        });
        names.sort_unstable();
        names.dedup();
        if names.len() > 1 {
            names.retain(|name| name != LAST);
        }
        names
    }

    /// Waits until nobody is missing.
    async fn complete(&self) {
        loop {
            let mut less = pin!(self.0.less.notified());
            // What is dropped between the look and the wait is told too.
            less.as_mut().enable();
            if self.missing().is_empty() {
                return;
            }
            less.await;
        }
    }

    fn names(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn checks(&self) -> MutexGuard<'_, Vec<Check>> {
        self.0.checks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut names = self.readiness.names();
        if let Some(at) = names.iter().position(|name| *name == self.name) {
            names.swap_remove(at);
        }
        drop(names);
        self.readiness.0.less.notify_waiters();
    }
}

/// An address that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} (http): {source}")]
pub struct BindError {
    address: String,
    source: io::Error,
}

/// A probe's socket, bound and not served yet.
pub struct Bound {
    listener: TcpListener,
    router: Router,
    kind: Kind,
    /// Is cancelled when it is told to end.
    ends: CancellationToken,
}

/// What a probe is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whether the process lives.
    Health,
    /// Whether it is to be asked.
    Ready,
    /// What it has counted.
    Metrics,
    /// What it knows of names.
    Names,
}

impl Kind {
    /// How many connections it has at a time: those of probes live a moment only, those of who waits for a name longer.
    fn connections(self) -> usize {
        match self {
            Self::Health | Self::Ready | Self::Metrics => 100,
            Self::Names => 2000,
        }
    }
}

/// Sockets of probes by what the file calls them, for a server that takes over from another.
#[derive(Debug, Default)]
pub struct Kept(Vec<(String, std::net::TcpListener)>);

impl Kept {
    /// The same sockets once more.
    ///
    /// # Errors
    /// What the system says, mostly that there are too many.
    pub fn try_clone(&self) -> io::Result<Self> {
        let again = |(address, listener): &(String, std::net::TcpListener)| {
            Ok((address.clone(), listener.try_clone()?))
        };
        self.0
            .iter()
            .map(again)
            .collect::<io::Result<_>>()
            .map(Self)
    }
}

/// Binds probes.
#[derive(Debug, Default)]
pub struct Binder {
    previous: Kept,
    kept: Kept,
}

impl Binder {
    /// Takes over the sockets of another server, where it has the same.
    #[must_use]
    pub fn taking_over(previous: Kept) -> Self {
        Self {
            previous,
            kept: Kept::default(),
        }
    }

    /// The sockets, for a server that takes over.
    #[must_use]
    pub fn keep(self) -> Kept {
        self.kept
    }

    /// Binds `/health`: always 200 `OK`.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn health(&mut self, address: &str) -> Result<Bound, BindError> {
        let router = Router::new().route("/health", get(|| async { "OK" }));
        self.bind(address, router, Kind::Health).await
    }

    /// Binds `/ready`: 200 `OK`, or 503 with the names of who is not ready.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn ready(&mut self, address: &str, readiness: Readiness) -> Result<Bound, BindError> {
        let router = Router::new()
            .route("/ready", get(ready))
            .with_state(readiness);
        self.bind(address, router, Kind::Ready).await
    }

    /// Binds `/metrics`: what `text` says at the time.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn metrics(
        &mut self,
        address: &str,
        text: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) -> Result<Bound, BindError> {
        // Prometheus' exposition format.
        let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
        let page = get(move || {
            let text = text();
            async move { (kind, text) }
        });
        let router = Router::new().route("/metrics", page);
        self.bind(address, router, Kind::Metrics).await
    }

    /// Binds what tells of names.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn names(&mut self, address: &str, names: Names) -> Result<Bound, BindError> {
        let ends = names.ends.clone();
        let bound = self.bind(address, names.router(), Kind::Names).await?;
        Ok(Bound { ends, ..bound })
    }

    async fn bind(
        &mut self,
        address: &str,
        router: Router,
        kind: Kind,
    ) -> Result<Bound, BindError> {
        let error = |source| BindError {
            address: address.into(),
            source,
        };
        let mut previous = self.previous.0.iter();
        let listener = match previous.find(|(known, _)| known == address) {
            Some((_, kept)) => kept.try_clone().map_err(error)?,
            None => listen(address).await.map_err(error)?,
        };
        let kept = listener.try_clone().map_err(error)?;
        self.kept.0.push((address.into(), kept));
        let listener = TcpListener::from_std(listener).map_err(error)?;
        let missing = || async { (StatusCode::NOT_FOUND, "404 page not found\n") };
        let router = router.fallback(missing);
        Ok(Bound {
            listener,
            router,
            kind,
            ends: CancellationToken::new(),
        })
    }
}

async fn listen(address: &str) -> io::Result<std::net::TcpListener> {
    // `:8080` is every address, IPv6 where there is any.
    let hosts = if address.starts_with(':') {
        vec![format!("[::]{address}"), format!("0.0.0.0{address}")]
    } else {
        vec![address.into()]
    };
    let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for host in hosts {
        match TcpListener::bind(&host).await {
            Ok(listener) => return listener.into_std(),
            Err(error) => last = error,
        }
    }
    Err(last)
}

impl Bound {
    /// What it is asked.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The address that is bound.
    ///
    /// # Errors
    /// What the system says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `shutdown`, then what is asked already, for a moment.
    pub async fn run(self, shutdown: CancellationToken) {
        let most = self.kind.connections();
        let ends = async {
            shutdown.cancelled().await;
            self.ends.cancel();
        };
        let served = http::serve(self.listener, (self.router, most), shutdown.clone());
        tokio::join!(served, ends);
    }
}

/// How long a probe that comes too early is kept: less than the second that the kubelet waits for an answer. The next one
/// may come ten seconds later, and a roll-out waits for it.
const HELD: Duration = Duration::from_millis(800);

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let _in_time = tokio::time::timeout(HELD, readiness.complete()).await;
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "OK".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join(","))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn ready_when_the_last_token_is_dropped() {
        let readiness = Readiness::default();
        let tokens = [
            readiness.token("kubernetes"),
            readiness.token("dns"),
            readiness.token("kubernetes"),
        ];
        assert_eq!(readiness.missing(), ["kubernetes"]);
        let [first, dns, second] = tokens;
        drop(first);
        drop(second);
        assert_eq!(readiness.missing(), ["dns"]);
        drop(dns);
        assert!(readiness.missing().is_empty());
    }

    #[test]
    fn who_is_asked_counts_at_each_probe_or_until_ready_once() {
        let flag = Arc::new(AtomicBool::new(false));
        let readiness = Readiness::default();
        for (name, continuously) in [("once", false), ("always", true)] {
            let flag = Arc::clone(&flag);
            readiness.check(name, continuously, move || flag.load(Ordering::Relaxed));
        }
        assert_eq!(readiness.missing(), ["always", "once"]);
        flag.store(true, Ordering::Relaxed);
        assert!(readiness.missing().is_empty());
        flag.store(false, Ordering::Relaxed);
        assert_eq!(readiness.missing(), ["always"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_comes_too_early_is_kept_for_a_while() {
        let readiness = Readiness::default();
        let token = readiness.token("kubernetes");
        let late = ready(State(readiness.clone())).await;
        assert_eq!(
            late,
            (StatusCode::SERVICE_UNAVAILABLE, "kubernetes".to_owned())
        );
        let soon = tokio::spawn(ready(State(readiness.clone())));
        tokio::time::sleep(HELD / 2).await;
        drop(token);
        assert_eq!(soon.await.unwrap(), (StatusCode::OK, "OK".to_owned()));
    }
}
