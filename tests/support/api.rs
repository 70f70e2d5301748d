//! An API server between the code under test and the embedded cluster, or a real server: what becomes of each request
//! is decided by a rule.

use std::collections::BTreeMap;
use std::error::Error;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use headless_cluster::Cluster;
use headless_cluster::server::Api;
use headless_dns::api::Client;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::client::Body;
use serde_json::json;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: HeaderMap,
}

impl Asked {
    fn of(request: &Request<Body>) -> Self {
        Self {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
        }
    }

    /// A watch that begins with what is there.
    pub fn is_streaming_list(&self) -> bool {
        self.query.contains("sendInitialEvents=true")
    }

    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true")
    }

    /// Whether the request has that method, and its path ends in `end`.
    pub fn is(&self, method: &Method, end: &str) -> bool {
        self.method == *method && self.path.ends_with(end)
    }

    /// A verb of the API and a resource: `POST pods`, `WATCH pods`, `PATCH pods/status`.
    fn describe(&self) -> String {
        let below = self.path.split("/namespaces/").last().unwrap_or_default();
        let parts: Vec<&str> = below.split('/').filter(|part| !part.is_empty()).collect();
        // Below a namespace its name comes first, elsewhere group and version.
        let parts = if self.path.contains("/namespaces/") {
            &parts[1..]
        } else {
            &parts[parts.len() - 1..]
        };
        let verb = match (self.method.as_str(), parts.len()) {
            ("GET", 1) if self.is_watch() => "WATCH",
            ("GET", 1) => "LIST",
            (method, _) => method,
        };
        let sub = parts.get(2).map(|sub| format!("/{sub}"));
        let resource = parts.first().copied().unwrap_or_default();
        format!("{verb} {resource}{}", sub.unwrap_or_default())
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The server behind this one serves it.
    Serve,
    /// It is served as if it asked for JSON.
    ServeJson,
    /// It gets this code.
    Refuse(u16),
    /// It gets this code, and this reason.
    RefuseAs(u16, &'static str),
    /// It gets 429, and is to come again in a second.
    Busy,
    /// It gets this body, and then the end.
    Body(Vec<u8>),
    /// It gets this reply.
    Reply(Odd),
    /// There is no connection.
    Unreachable,
    /// It is served, and the reply is lost.
    Lose,
    /// It is served, and the reply comes when that is allowed.
    Hold,
    /// It is never answered.
    Never,
    /// It panics, in the task that sent it.
    Panic,
}

/// A reply that no API server should give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Odd {
    pub code: u16,
    pub media_type: &'static str,
    /// Another header, such as `location`.
    pub header: Option<(&'static str, &'static str)>,
    pub body: Vec<u8>,
    /// What comes behind the body.
    pub then: Then,
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    Ends,
    /// The connection is lost.
    Breaks,
    /// Nothing comes any more.
    Hangs,
}

/// Decides over a request.
type Rule = Box<dyn FnMut(&Asked) -> Fate + Send>;

/// The server behind this one.
#[derive(Clone)]
enum Behind {
    Embedded(Api),
    Server(Client),
}

struct State {
    behind: Behind,
    rule: Rule,
    calls: BTreeMap<String, usize>,
    release: Arc<Notify>,
    /// Replies that are under way break off when this is cancelled.
    broken: CancellationToken,
    /// Nothing more comes of them when this is cancelled.
    stalled: CancellationToken,
}

/// The API server.
#[derive(Clone)]
pub struct FakeApi {
    state: Arc<Mutex<State>>,
}

impl FakeApi {
    /// Before the embedded cluster; every request is served.
    pub fn new(cluster: &Cluster) -> Self {
        Self::before(Behind::Embedded(cluster.api().clone()))
    }

    /// Before a real server.
    pub fn before_server(client: &Client) -> Self {
        Self::before(Behind::Server(client.clone()))
    }

    /// Before the embedded cluster, with a rule.
    pub fn ruled(cluster: &Cluster, rule: impl FnMut(&Asked) -> Fate + Send + 'static) -> Self {
        let api = Self::new(cluster);
        api.rule(rule);
        api
    }

    fn before(behind: Behind) -> Self {
        let state = State {
            behind,
            rule: Box::new(|_| Fate::Serve),
            calls: BTreeMap::new(),
            release: Arc::default(),
            broken: CancellationToken::new(),
            stalled: CancellationToken::new(),
        };
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// From now on this rule decides over requests.
    pub fn rule(&self, rule: impl FnMut(&Asked) -> Fate + Send + 'static) {
        self.lock().rule = Box::new(rule);
    }

    /// From now on all requests have this fate.
    pub fn all(&self, fate: Fate) {
        self.rule(move |_| fate.clone());
    }

    /// From now on another cluster is behind this server.
    pub fn move_to(&self, cluster: &Cluster) {
        self.lock().behind = Behind::Embedded(cluster.api().clone());
    }

    /// The first `count` requests of this method whose path ends in `end` have this fate; the others are served.
    pub fn first(&self, count: usize, method: Method, end: &'static str, fate: Fate) {
        let mut left = count;
        self.rule(move |asked| {
            if left == 0 || !asked.is(&method, end) {
                return Fate::Serve;
            }
            left -= 1;
            fate.clone()
        });
    }

    /// The reply to the first such request waits until it is released.
    pub fn hold(&self, method: Method, end: &'static str) -> Arc<Notify> {
        self.first(1, method, end, Fate::Hold);
        Arc::clone(&self.lock().release)
    }

    /// Replies that are under way break.
    pub fn break_open(&self) {
        let new = CancellationToken::new();
        std::mem::replace(&mut self.lock().broken, new).cancel();
    }

    /// Of replies that are under way nothing more comes.
    pub fn stall(&self) {
        let new = CancellationToken::new();
        std::mem::replace(&mut self.lock().stalled, new).cancel();
    }

    /// How many requests there were of each verb and resource since the last call: `POST pods`, `WATCH pods`.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.lock().calls)
    }
}

type BoxError = Box<dyn Error + Send + Sync>;

type Reply = UnsyncBoxBody<Bytes, BoxError>;

type Outcome = Result<Response<Reply>, BoxError>;

impl Behind {
    async fn serve(&self, request: Request<Body>) -> Outcome {
        match self {
            Self::Embedded(api) => Ok(api.call(request).await.map(reply)),
            Self::Server(client) => Ok(client.send(request).await?.map(reply)),
        }
    }
}

impl tower::Service<Request<Body>> for FakeApi {
    type Response = Response<Reply>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Outcome>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let asked = Asked::of(&request);
        let (behind, fate, release, ends) = {
            let mut state = self.lock();
            *state.calls.entry(asked.describe()).or_default() += 1;
            let fate = (state.rule)(&asked);
            let ends = [state.broken.clone(), state.stalled.clone()];
            (state.behind.clone(), fate, Arc::clone(&state.release), ends)
        };
        async move {
            let lost = |kind: io::ErrorKind| Err(io::Error::from(kind).into());
            match fate {
                Fate::Serve => {
                    let served = behind.serve(request).await?;
                    Ok(served.map(|body| until(body, ends)))
                }
                Fate::ServeJson => {
                    let json = HeaderValue::from_static("application/json");
                    request.headers_mut().insert(header::ACCEPT, json);
                    behind.serve(request).await
                }
                Fate::Refuse(code) => Ok(refusal(code, "", 0)),
                Fate::RefuseAs(code, reason) => Ok(refusal(code, reason, 0)),
                Fate::Busy => {
                    let mut busy = refusal(429, "TooManyRequests", 1);
                    let second = HeaderValue::from_static("1");
                    busy.headers_mut().insert(header::RETRY_AFTER, second);
                    Ok(busy)
                }
                Fate::Body(body) => Ok(Response::new(reply(Full::from(body)))),
                Fate::Reply(odd) => Ok(odd.response(ends)),
                Fate::Unreachable => lost(io::ErrorKind::ConnectionRefused),
                Fate::Lose => {
                    behind.serve(request).await?;
                    lost(io::ErrorKind::ConnectionReset)
                }
                Fate::Hold => {
                    let served = behind.serve(request).await;
                    release.notified().await;
                    served
                }
                Fate::Never => std::future::pending().await,
                // Without a line of the test run's own hook.
                Fate::Panic => std::panic::resume_unwind(Box::new("as told")),
            }
        }
        .boxed()
    }
}

impl Odd {
    fn response(self, ends: [CancellationToken; 2]) -> Response<Reply> {
        let then = self.then;
        let frames = futures::stream::once(async { Ok(Frame::data(Bytes::from(self.body))) });
        let behind = futures::stream::once(async move {
            match then {
                Then::Ends => Ok(Frame::data(Bytes::new())),
                Then::Breaks => Err(BoxError::from(io::Error::from(
                    io::ErrorKind::ConnectionReset,
                ))),
                Then::Hangs => std::future::pending().await,
            }
        });
        let body = StreamBody::new(frames.chain(behind)).boxed_unsync();
        let mut response = Response::new(until(body, ends));
        *response.status_mut() = StatusCode::from_u16(self.code).unwrap();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(self.media_type),
        );
        if let Some((name, value)) = self.header {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

fn refusal(code: u16, reason: &str, retry_after_seconds: u8) -> Response<Reply> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "as told", "reason": reason,
        "details": {"retryAfterSeconds": retry_after_seconds},
    });
    let mut response = Response::new(reply(Full::from(status.to_string())));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

fn reply<B>(body: B) -> Reply
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}

/// The body, up to the moment the connection breaks or stalls.
fn until(body: Reply, ends: [CancellationToken; 2]) -> Reply {
    let frames = futures::stream::unfold((body, ends), |(mut body, ends)| async move {
        let [broken, stalled] = &ends;
        tokio::select! {
            biased;
            () = stalled.cancelled() => std::future::pending().await,
            () = broken.cancelled() => None,
            frame = body.frame() => frame.map(|frame| (frame, (body, ends))),
        }
    });
    StreamBody::new(frames).boxed_unsync()
}
