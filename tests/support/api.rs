//! An API server between the code under test and the embedded cluster, or in place of one: what becomes of each request
//! is decided by a rule.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::FutureExt;
use headless_cluster::Cluster;
use headless_cluster::server::{Api, Body};
use headless_dns::api::Client;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use serde_json::json;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub headers: http::HeaderMap,
}

impl Asked {
    /// A watch that begins with what is there.
    pub fn is_streaming_list(&self) -> bool {
        self.query.contains("sendInitialEvents=true")
    }

    pub fn is_watch(&self) -> bool {
        self.query.split('&').any(|pair| pair == "watch=true")
    }
}

/// What becomes of a request.
#[derive(Clone, Debug)]
pub enum Fate {
    /// The embedded cluster serves it.
    Serve,
    /// It gets this code.
    Refuse(u16),
    /// It gets this body, and then the end.
    Body(Vec<u8>),
}

/// Decides over a request.
type Rule = Box<dyn FnMut(&Asked) -> Fate + Send>;

/// The API server.
#[derive(Clone)]
pub struct FakeApi {
    api: Api,
    rule: Arc<Mutex<Rule>>,
}

impl FakeApi {
    pub fn new(cluster: &Cluster, rule: impl FnMut(&Asked) -> Fate + Send + 'static) -> Self {
        Self {
            api: cluster.api().clone(),
            rule: Arc::new(Mutex::new(Box::new(rule))),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(self.clone(), "default")
    }
}

impl tower::Service<Request<kube::client::Body>> for FakeApi {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<kube::client::Body>) -> Self::Future {
        let asked = Asked {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            headers: request.headers().clone(),
        };
        let fate = self.rule.lock().unwrap()(&asked);
        let api = self.api.clone();
        async move {
            match fate {
                Fate::Serve => Ok(api.call(request).await),
                Fate::Refuse(code) => Ok(refusal(code)),
                Fate::Body(body) => Ok(Response::new(whole(body))),
            }
        }
        .boxed()
    }
}

fn whole(body: impl Into<bytes::Bytes>) -> Body {
    Full::new(body.into()).boxed_unsync()
}

fn refusal(code: u16) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "as told", "reason": ""});
    let mut response = Response::new(whole(status.to_string()));
    *response.status_mut() = http::StatusCode::from_u16(code).unwrap();
    response
}
