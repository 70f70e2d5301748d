//! The API over HTTP, as one `tower::Service`: in this process, or through hyper.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use headless_objects::envelope::MEDIA_TYPE;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tracing::error;

use super::discovery;
use super::protobuf;
use super::request::{Parameters, Target};
use super::state::State;
use super::status::ApiStatus;
use super::verbs;

/// A reply's body: whole, or a watch's stream.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The largest request body: etcd's limit for an object, twice over.
const MAX_BODY: usize = 3 << 20;

/// The embedded API server.
#[derive(Clone)]
pub struct Api {
    pub(super) shared: Arc<Shared>,
}

/// What requests, watches and controllers share.
pub(super) struct Shared {
    state: Mutex<State>,
    /// The last revision: whoever waits for a change waits here.
    pub(super) changed: watch::Sender<u64>,
    clock: Clock,
    /// Requests that broke the server.
    panics: AtomicU64,
}

/// Tokio's clock, told as time of day: a paused clock stands still here too. It can be moved on.
struct Clock {
    start: Timestamp,
    since: tokio::time::Instant,
    /// Milliseconds.
    moved: AtomicU64,
}

impl Shared {
    pub(super) fn new(state: State) -> Self {
        let clock = Clock {
            start: Timestamp::now(),
            since: tokio::time::Instant::now(),
            moved: AtomicU64::new(0),
        };
        Self {
            changed: watch::Sender::new(state.objects.revision()),
            state: Mutex::new(state),
            clock,
            panics: AtomicU64::new(0),
        }
    }

    /// Does what a request asks for; a panic costs that request.
    pub(super) fn guard<T>(
        &self,
        request: &str,
        answer: impl FnOnce() -> Result<T, ApiStatus>,
    ) -> Result<T, ApiStatus> {
        catch_unwind(AssertUnwindSafe(answer)).unwrap_or_else(|_| {
            let panics = self.panics.fetch_add(1, Ordering::Relaxed) + 1;
            error!(request, panics, "the embedded API broke at a request");
            Err(ApiStatus::broken())
        })
    }

    pub(super) fn now(&self) -> Timestamp {
        let moved = Duration::from_millis(self.clock.moved.load(Ordering::Relaxed));
        let passed = self.clock.since.elapsed().saturating_add(moved);
        self.clock
            .start
            .saturating_add(passed)
            .unwrap_or(self.clock.start)
    }

    /// Moves the clock on. Who waits for a time must look at it again: a change tells of it.
    pub(super) fn advance(&self, duration: Duration) {
        let moved = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.clock.moved.fetch_add(moved, Ordering::Relaxed);
    }

    /// The state, to read.
    pub(super) fn read(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The state, to change; then whoever waits is told.
    pub(super) fn write<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.read();
        let outcome = change(&mut state);
        let revision = state.objects.revision();
        drop(state);
        self.changed
            .send_if_modified(|seen| std::mem::replace(seen, revision) != revision);
        outcome
    }
}

/// A request, read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) parameters: Parameters,
    pub(super) accept: String,
    pub(super) content_type: String,
    pub(super) body: Bytes,
}

impl Call {
    /// The body as an object.
    pub(super) fn object(&self) -> Result<Value, ApiStatus> {
        if self.content_type.starts_with(MEDIA_TYPE) {
            return protobuf::decode(&self.body);
        }
        // kubectl sends JSON; a person with curl may send YAML.
        if self.content_type.contains("yaml") {
            let text = std::str::from_utf8(&self.body)
                .map_err(|_| ApiStatus::bad_request("the body is not UTF-8"))?;
            return serde_saphyr::from_str(text).map_err(|error| {
                ApiStatus::bad_request(format!("the body is no YAML object: {error}"))
            });
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiStatus::bad_request(format!("the body is no JSON object: {error}")))
    }

    /// The body as an object; null where there is none.
    pub(super) fn optional_object(&self) -> Result<Value, ApiStatus> {
        if self.body.is_empty() {
            Ok(Value::Null)
        } else {
            self.object()
        }
    }

    /// Whether a table is asked for.
    pub(super) fn wants_table(&self) -> bool {
        self.accept
            .split(',')
            .next()
            .is_some_and(|first| first.contains("as=Table"))
    }
}

impl Api {
    /// Answers a request.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (parts, body) = request.into_parts();
        let limited = http_body_util::Limited::new(body, MAX_BODY);
        let body = match limited.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) => {
                return failure(&ApiStatus::bad_request(format!(
                    "the body cannot be read: {error}"
                )));
            }
        };
        let text = |name| {
            parts
                .headers
                .get(name)
                .and_then(|v: &http::HeaderValue| v.to_str().ok())
                .unwrap_or_default()
                .to_owned()
        };
        let call = Call {
            method: parts.method,
            parameters: Parameters::parse(parts.uri.query().unwrap_or_default()),
            accept: text(header::ACCEPT),
            content_type: text(header::CONTENT_TYPE),
            body,
        };
        let path: Vec<&str> = parts
            .uri
            .path()
            .split('/')
            .filter(|p| !p.is_empty())
            .collect();
        let what = format!("{} {}", call.method, parts.uri.path());
        let answered = self.shared.guard(&what, || self.answer(&path, &call));
        answered.unwrap_or_else(|status| failure(&status))
    }

    fn answer(&self, path: &[&str], call: &Call) -> Result<Response<Body>, ApiStatus> {
        if let Some(document) = discovery::document(path).filter(|_| call.method == Method::GET) {
            return Ok(match document.as_str() {
                Some(text) => reply(StatusCode::OK, "text/plain", Bytes::from(text.to_owned())),
                None => json(StatusCode::OK, &document),
            });
        }
        if !discovery::serves(path) {
            let text = Bytes::from_static(b"404 page not found\n");
            return Ok(reply(StatusCode::NOT_FOUND, "text/plain", text));
        }
        let target = Target::parse(path).ok_or_else(ApiStatus::no_such_path)?;
        if let (Some(subresource), kind) = (&target.subresource, target.kind.info())
            && !kind.subresources.contains(&subresource.as_str())
        {
            return Err(ApiStatus::no_such_path());
        }
        verbs::answer(&self.shared, &target, call)
    }
}

impl<B> tower::Service<Request<B>> for Api
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let api = self.clone();
        async move { Ok(Self::call(&api, request).await) }.boxed()
    }
}

/// A reply of one JSON document.
pub(super) fn json(code: StatusCode, document: &Value) -> Response<Body> {
    reply(code, "application/json", Bytes::from(document.to_string()))
}

/// An error.
pub(super) fn failure(status: &ApiStatus) -> Response<Body> {
    json(
        StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        &status.object(),
    )
}

fn reply(code: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    stream(code, media_type, Full::new(body).boxed_unsync())
}

/// A reply with this body.
pub(super) fn stream(code: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    response
}
