//! An API server between the reconciler and the embedded cluster: it counts what is asked of it, and fails as told.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::FutureExt;
use headless_cluster::Cluster;
use headless_cluster::server::{Api, Body};
use headless_dns::api::Client;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use serde_json::json;
use tokio::sync::Notify;

/// What becomes of a request; the first rule that says something counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is served.
    Serve,
    /// It gets this code, and this reason.
    Refuse(u16, &'static str),
    /// It is served, and the reply is lost.
    Lose,
    /// It is served, and the reply comes when that is allowed.
    Hold,
    /// Whoever sent it breaks.
    Panic,
}

/// Decides over a request by its method and path.
type Rule = Box<dyn FnMut(&Method, &str) -> Fate + Send>;

struct State {
    rule: Rule,
    calls: BTreeMap<String, usize>,
    release: Arc<Notify>,
}

/// The API server.
#[derive(Clone)]
pub(crate) struct Faulty {
    api: Api,
    state: Arc<Mutex<State>>,
}

impl Faulty {
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let state = State {
            rule: Box::new(|_, _| Fate::Serve),
            calls: BTreeMap::new(),
            release: Arc::default(),
        };
        Self {
            api: cluster.api().clone(),
            state: Arc::new(Mutex::new(state)),
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }

    /// From now on requests fare so.
    pub(crate) fn rule(&self, rule: impl FnMut(&Method, &str) -> Fate + Send + 'static) {
        self.state.lock().unwrap().rule = Box::new(rule);
    }

    /// The first so many requests of this method whose path ends so fare so, the others well.
    pub(crate) fn first(&self, count: usize, method: Method, end: &'static str, fate: Fate) {
        let mut left = count;
        self.rule(move |m, path| {
            if *m != method || !path.ends_with(end) || left == 0 {
                return Fate::Serve;
            }
            left -= 1;
            fate
        });
    }

    /// The reply to the first such request waits until it is released.
    pub(crate) fn hold(&self, method: Method, end: &'static str) -> Arc<Notify> {
        self.first(1, method, end, Fate::Hold);
        Arc::clone(&self.state.lock().unwrap().release)
    }

    /// How often each was asked for since this was asked last: `POST pods`, `WATCH pods`, `LIST pods`.
    pub(crate) fn calls(&self) -> BTreeMap<String, usize> {
        std::mem::take(&mut self.state.lock().unwrap().calls)
    }
}

/// What a request is: a verb of the API and a resource.
fn describe(method: &Method, uri: &http::Uri) -> String {
    let path = uri.path().split("/namespaces/").last().unwrap_or_default();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    // Below a namespace its name comes first, elsewhere group and version.
    let parts = if uri.path().contains("/namespaces/") {
        &parts[1..]
    } else {
        &parts[parts.len() - 1..]
    };
    let watch = uri
        .query()
        .is_some_and(|query| query.contains("watch=true"));
    let verb = match (method.as_str(), parts.len()) {
        ("GET", 1) if watch => "WATCH",
        ("GET", 1) => "LIST",
        (method, _) => method,
    };
    let sub = parts
        .get(2)
        .map(|sub| format!("/{sub}"))
        .unwrap_or_default();
    format!("{verb} {}{sub}", parts.first().copied().unwrap_or_default())
}

impl tower::Service<Request<kube::client::Body>> for Faulty {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let (fate, release) = {
            let mut state = self.state.lock().unwrap();
            let what = describe(request.method(), request.uri());
            *state.calls.entry(what).or_default() += 1;
            let fate = (state.rule)(request.method(), request.uri().path());
            (fate, Arc::clone(&state.release))
        };
        let api = self.api.clone();
        async move {
            match fate {
                Fate::Serve => Ok(api.call(request).await),
                Fate::Refuse(code, reason) => Ok(refusal(code, reason)),
                Fate::Lose => {
                    api.call(request).await;
                    Err(std::io::ErrorKind::ConnectionReset.into())
                }
                Fate::Hold => {
                    let reply = api.call(request).await;
                    release.notified().await;
                    Ok(reply)
                }
                Fate::Panic => panic!("as told"),
            }
        }
        .boxed()
    }
}

fn refusal(code: u16, reason: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "as told", "reason": reason});
    let body = http_body_util::Full::new(bytes::Bytes::from(status.to_string())).boxed_unsync();
    let mut response = Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}
