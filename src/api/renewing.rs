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
use kube::client::Body;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::workers::{Workers, broken};
use super::{ApiError, Listener, Made, Sent, connect_once};
use crate::apiserver::ApiServer;

/// How long a request may take until its answer begins: what the client allows, and what a credential plugin takes.
const HEAD: Duration = Duration::from_secs(60);

/// How long a start waits for credentials: shorter than it waits for what is watched with them.
const START: Duration = Duration::from_secs(4);

/// How long a request waits for new credentials.
const RENEWAL: Duration = Duration::from_secs(10);

/// After a renewal that hangs, the next is tried after this; after each further one, after twice as long.
const AFTER_HUNG: Duration = Duration::from_secs(10);
const LONGEST: Duration = Duration::from_secs(600);

/// After a renewal that fails, the next is tried after this.
const AFTER_FAILED: Duration = Duration::from_millis(500);

/// The same failure is said again after this.
const SAID: Duration = Duration::from_secs(60);

/// A client, with what it takes to make it anew.
#[derive(Clone)]
pub(super) struct Renewing {
    server: ApiServer,
    workers: Arc<Workers>,
    current: Arc<Mutex<Current>>,
    listener: Option<Listener>,
    /// Whoever renews.
    gate: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Current {
    /// `None`: none could be made yet.
    client: Option<Made>,
    /// How many clients there were before it.
    number: u64,
    /// How many renewals hang.
    hung: u32,
    /// Before this none is tried: the last one failed or hangs.
    next: Option<Instant>,
    /// When it was said last that none could be made.
    said: Option<Instant>,
}

type Outcome = Result<Made, ApiError>;

impl Renewing {
    /// Makes the first client, and returns its namespace too. Where credentials do not come in time, requests wait for
    /// them.
    pub(super) async fn start(
        server: ApiServer,
        workers: Arc<Workers>,
        listener: Option<Listener>,
    ) -> Result<(Self, String), ApiError> {
        let renewing = Self {
            server,
            workers,
            current: Arc::default(),
            listener,
            gate: Arc::default(),
        };
        match renewing.make(START).await {
            Some(Ok(made)) => {
                let ns = made.client.default_namespace().to_owned();
                renewing.lock().client = Some(made);
                Ok((renewing, ns))
            }
            Some(Err(error)) => Err(error),
            None => {
                warn!("credentials are waited for: a plugin or a file hangs");
                Ok((renewing, "default".to_owned()))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> (Option<Made>, u64) {
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
            Err(error) => tls(error).is_some() || is_credential(error),
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
        made: Option<Made>,
        request: Request<Body>,
    ) -> Result<Response<Body>, kube::Error> {
        let Some(Made { client, host }) = made else {
            return Err(kube::Error::Service(NoCredentials.into()));
        };
        let method = request.method().clone();
        let sent = async move { client.send(request).await };
        let sent = self.workers.run(HEAD, sent).await;
        let answer = sent
            .map_err(|error| kube::Error::Service(error.into()))
            .flatten();
        if let Some(listener) = &self.listener {
            listener(Sent {
                method: method.as_str(),
                host: &host,
                code: answer.as_ref().ok().map(|answer| answer.status().as_u16()),
            });
        }
        answer
    }

    /// Replaces the client of that number; where no new client can be made, the old one stays.
    async fn renew(&self, number: u64) {
        let _gate = self.gate.lock().await;
        let (now, current) = (Instant::now(), self.lock().number);
        let waits = self.lock().next.is_some_and(|next| now < next);
        if current != number || waits {
            return;
        }
        if let Some(made) = self.make(RENEWAL).await {
            self.take(made);
        }
    }

    /// Makes a client; `None`: that hangs, and its outcome is taken when it comes.
    async fn make(&self, most: Duration) -> Option<Outcome> {
        let server = self.server.clone();
        let making = self
            .workers
            .begin(async move { connect_once(&server).await });
        let mut making = match making {
            Ok(making) => making,
            Err(error) => return Some(Err(ApiError::Workers(error))),
        };
        let whole = |made: Result<Outcome, JoinError>| match made {
            Ok(made) => made,
            Err(error) => Err(ApiError::Workers(broken(error))),
        };
        if let Ok(made) = tokio::time::timeout(most, &mut making).await {
            return Some(whole(made));
        }
        {
            let mut current = self.lock();
            let wait = AFTER_HUNG.saturating_mul(2_u32.saturating_pow(current.hung));
            current.next = Some(Instant::now() + wait.min(LONGEST));
            current.hung += 1;
        }
        let renewing = self.clone();
        tokio::spawn(async move {
            let made = whole(making.await);
            renewing.lock().hung -= 1;
            renewing.take(made);
        });
        None
    }

    fn take(&self, made: Outcome) {
        let (now, mut current) = (Instant::now(), self.lock());
        match made {
            Ok(made) => {
                debug!("credentials read again");
                current.client = Some(made);
                current.number += 1;
                current.next = None;
                current.said = None;
            }
            Err(error) => {
                current.next = Some(now + AFTER_FAILED);
                let lately = |said: Instant| now.duration_since(said) < SAID;
                if !current.said.is_some_and(lately) {
                    warn!(%error, "credentials cannot be read again");
                    current.said = Some(now);
                }
            }
        }
    }
}

/// There is no client yet.
#[derive(Debug, thiserror::Error)]
#[error("the credentials are not there yet: a plugin or a file hangs")]
struct NoCredentials;

/// Whether the credentials themselves are what is wrong: they can be no header, or there are none.
fn is_credential(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if error.is::<NoCredentials>() || error.is::<kube::client::AuthError>() {
            return true;
        }
        next = error.source();
    }
    false
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
    inner(error)
}

/// Whether the server has left an HTTP/2 connection without an error: it answers on another (RFC 9113 section 6.8). After a
/// 401 kube-apiserver does, so that nobody floods it unknown; what else was asked on the connection ends with it.
pub(super) fn has_left(error: &kube::Error) -> bool {
    inner(error).is_some_and(|error: &h2::Error| {
        error.is_go_away() && error.reason() == Some(h2::Reason::NO_ERROR)
    })
}

/// The error of this type that is behind another.
fn inner<E: std::error::Error + 'static>(error: &kube::Error) -> Option<&E> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
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
