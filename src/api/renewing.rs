//! A client that is made anew when the server refuses what it was made with.
//!
//! Tokens and certificates are rotated on disk. Kube reads a token's file and a CA again once a minute, a client's own
//! certificate never; a name cannot wait that long. So a refusal (401, 403, or TLS) has everything read again at once.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::FutureExt;
use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use tracing::{debug, warn};

use super::once;
use crate::apiserver::ApiServer;

/// Where a client can be had again.
#[derive(Clone)]
pub(super) struct Renewing {
    server: ApiServer,
    /// The client, and how many there were before it.
    current: Arc<Mutex<(Client, u64)>>,
}

impl Renewing {
    pub(super) fn new(server: ApiServer, client: Client) -> Self {
        let current = Arc::new(Mutex::new((client, 0)));
        Self { server, current }
    }

    fn current(&self) -> (Client, u64) {
        let current = self.current.lock();
        current
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Body>, kube::Error> {
        let (client, number) = self.current();
        let again = again(&request);
        let outcome = client.send(request).await;
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
        match again {
            Some(request) if now != number => client.send(request).await,
            _ => outcome,
        }
    }

    /// Replaces the client of that number; what was read last stays where nothing better can be had.
    async fn renew(&self, number: u64) {
        match once(&self.server).await {
            Ok(client) => {
                let mut current = self
                    .current
                    .lock()
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                if current.1 == number {
                    debug!("credentials read again");
                    *current = (client, number + 1);
                }
            }
            Err(error) => warn!(%error, "credentials cannot be read again"),
        }
    }
}

/// The request once more, where its body can be sent twice.
fn again(request: &Request<Body>) -> Option<Request<Body>> {
    let mut again = Request::new(request.body().try_clone()?);
    *again.method_mut() = request.method().clone();
    *again.uri_mut() = request.uri().clone();
    *again.headers_mut() = request.headers().clone();
    Some(again)
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
