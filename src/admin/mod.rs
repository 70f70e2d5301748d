//! HTTP for probes and scrapes: `/health`, `/ready` and `/metrics`.

mod http;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// What the program waits for before it is ready: tokens, each with the name of its holder.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<String>>>);

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

    /// Who is not ready, sorted.
    #[must_use]
    pub fn missing(&self) -> Vec<String> {
        let mut names = self.names().clone();
        names.sort_unstable();
        names.dedup();
        names
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        let mut names = self.readiness.names();
        if let Some(at) = names.iter().position(|name| *name == self.name) {
            names.swap_remove(at);
        }
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
}

impl Bound {
    /// Binds `/health`: always 200 `OK`.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn health(address: &str) -> Result<Self, BindError> {
        Self::bind(
            address,
            Router::new().route("/health", get(|| async { "OK" })),
        )
        .await
    }

    /// Binds `/ready`: 200 `OK`, or 503 with the names of who is not ready.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn ready(address: &str, readiness: Readiness) -> Result<Self, BindError> {
        Self::bind(
            address,
            Router::new()
                .route("/ready", get(ready))
                .with_state(readiness),
        )
        .await
    }

    /// Binds `/metrics`: what `text` says at the time.
    ///
    /// # Errors
    /// Where the address cannot be had.
    pub async fn metrics(
        address: &str,
        text: impl Fn() -> String + Clone + Send + Sync + 'static,
    ) -> Result<Self, BindError> {
        // Prometheus' exposition format.
        let kind = [("content-type", "text/plain; version=0.0.4; charset=utf-8")];
        let page = get(move || {
            let text = text();
            async move { (kind, text) }
        });
        let missing = || async { (StatusCode::NOT_FOUND, "404 page not found\n") };
        let router = Router::new().route("/metrics", page).fallback(missing);
        Self::bind(address, router).await
    }

    async fn bind(address: &str, router: Router) -> Result<Self, BindError> {
        // `:8080` is every address, IPv6 where there is any.
        let hosts = if address.starts_with(':') {
            vec![format!("[::]{address}"), format!("0.0.0.0{address}")]
        } else {
            vec![address.into()]
        };
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for host in hosts {
            match TcpListener::bind(&host).await {
                Ok(listener) => return Ok(Self { listener, router }),
                Err(error) => last = error,
            }
        }
        Err(BindError {
            address: address.into(),
            source: last,
        })
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
        http::serve(self.listener, self.router, shutdown).await;
    }
}

async fn ready(State(readiness): State<Readiness>) -> (StatusCode, String) {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, "OK".into())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, missing.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_when_the_last_token_is_dropped() {
        let readiness = Readiness::default();
        let tokens = [
            readiness.token("kubernetes"),
            readiness.token("dns"),
            readiness.token("kubernetes"),
        ];
        assert_eq!(readiness.missing(), ["dns", "kubernetes"]);
        let [first, dns, second] = tokens;
        drop(first);
        drop(dns);
        assert_eq!(readiness.missing(), ["kubernetes"]);
        drop(second);
        assert!(readiness.missing().is_empty());
    }
}
