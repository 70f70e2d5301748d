//! A client that is made anew when the server refuses what it was made with.
//!
//! Tokens and certificates are rotated on disk. Kube reads a token's file and a CA again once a minute, a client's own
//! certificate never; a name cannot wait that long. So a refusal (401, 403, or TLS) has everything read again at once.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tracing::{debug, warn};

use super::credentialed;
use super::workers::Workers;
use crate::apiserver::ApiServer;

/// How long a request may take until its answer begins: what the client allows, and what a credential plugin takes.
const HEAD: Duration = Duration::from_secs(60);

/// How long it may take to have credentials again.
const RENEWAL: Duration = Duration::from_secs(10);

/// A client, with what it takes to make it anew.
#[derive(Clone)]
pub(super) struct Renewing {
    server: ApiServer,
    workers: Arc<Workers>,
    current: Arc<Mutex<Current>>,
}

struct Current {
    client: Client,
    /// How many clients there were before it.
    number: u64,
    /// Why it could not be replaced; said once.
    failed: Option<String>,
}

impl Renewing {
    pub(super) fn new(server: ApiServer, client: Client, workers: Arc<Workers>) -> Self {
        let current = Arc::new(Mutex::new(Current {
            client,
            number: 0,
            failed: None,
        }));
        Self {
            server,
            workers,
            current,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> (Client, u64) {
        let current = self.lock();
        (current.client.clone(), current.number)
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (client, number) = self.current();
        let replay = replay(&request);
        let outcome = self.send_with(client, request).await;
        let refused = match &outcome {
            // Half-written files make a client without credentials, and that is a user with few rights.
            Ok(response) => matches!(
                response.status(),
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
            ),
            Err(error) => tls(error).is_some(),
        };
        if !refused {
            return outcome;
        }
        self.renew(number).await;
        let (client, now) = self.current();
        match replay {
            Some(request) if now != number => self.send_with(client, request).await,
            _ => outcome,
        }
    }

    async fn send_with(
        &self,
        client: Client,
        request: Request<Body>,
    ) -> Result<Response<Body>, kube::Error> {
        let sent = async move { client.send(request).await };
        let sent = self.workers.run(HEAD, sent).await;
        sent.map_err(|error| kube::Error::Service(error.into()))?
    }

    /// Replaces the client of that number; where no new client can be made, the old one stays.
    async fn renew(&self, number: u64) {
        let made = credentialed(&self.workers, &self.server, RENEWAL).await;
        let mut current = self.lock();
        match made {
            Ok(client) if current.number == number => {
                debug!("credentials read again");
                *current = Current {
                    client,
                    number: number + 1,
                    failed: None,
                };
            }
            Ok(_) => {}
            Err(error) => {
                let error = error.to_string();
                if current.failed.as_ref() != Some(&error) {
                    warn!(%error, "credentials cannot be read again");
                    current.failed = Some(error);
                }
            }
        }
    }
}

/// The request once more, where its body can be sent twice.
fn replay(request: &Request<Body>) -> Option<Request<Body>> {
    let mut replay = Request::new(request.body().try_clone()?);
    *replay.method_mut() = request.method().clone();
    *replay.uri_mut() = request.uri().clone();
    *replay.headers_mut() = request.headers().clone();
    Some(replay)
}

impl tower::Service<Request<Body>> for Renewing {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

/// What TLS has against the server, or the server against us.
pub(super) fn tls(error: &kube::Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(tls);
        }
        // An io::Error does not name what it wraps as its source.
        let io = error.downcast_ref::<io::Error>();
        if let Some(inner) = io.and_then(io::Error::get_ref) {
            next = Some(inner);
            continue;
        }
        next = error.source();
    }
    None
}
