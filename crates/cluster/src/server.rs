//! The API over HTTP, as one `tower::Service`: in this process, or through hyper.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError};

pub use super::call::Body;
use super::call::{Call, failure, json, reply};
use super::received::warn;
use super::request::{self, Parameters, Target};
use super::shared::Shared;
use super::status::ApiStatus;
use super::user::User;
use super::verbs;
use super::{asking, authorizing, discovery, idle, metrics};

/// The largest request body: etcd's limit for an object, twice over.
const MAX_BODY: usize = 3 << 20;

/// How long webhooks may be asked about one request: kube-apiserver's own limit for a request.
const PATIENCE: Duration = Duration::from_secs(60);

/// The embedded API server.
#[derive(Clone)]
pub struct Api {
    pub(super) shared: Arc<Shared>,
}

impl Api {
    /// Answers a request.
    pub async fn call<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        // One who has come in over TLS is known; in this process everybody is the administrator.
        let user = request.extensions().get::<User>().cloned();
        let user = match authorizing::admitted(&self.shared, user.unwrap_or_default(), &request) {
            Ok(user) => user,
            Err(status) => return failure(&status),
        };
        let (parts, body) = request.into_parts();
        let limited = http_body_util::Limited::new(body, MAX_BODY);
        let body = match limited.collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return failure(&ApiStatus::too_large(format!("limit is {MAX_BODY}")));
            }
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
            agent: text(header::USER_AGENT),
            user,
            now: self.shared.now(),
            dialogue: Arc::default(),
            body,
        };
        let path = request::parts(parts.uri.path());
        let what = format!("{} {}", call.method, parts.uri.path());
        let begun = tokio::time::Instant::now();
        loop {
            if begun.elapsed() > PATIENCE {
                // Whoever changes the object each time in between would have them asked for ever.
                let why =
                    "webhooks have been asked again and again, as the object has changed each time";
                return failure(&ApiStatus::timed_out(why));
            }
            let answered = self.shared.guard(&what, || self.answer(&path, &call));
            let Some(question) = call.dialogue.question() else {
                let answered = answered.unwrap_or_else(|status| failure(&status));
                return warn(answered, &call.dialogue.warnings());
            };
            asking::answer(&self.shared, question, &call.dialogue).await;
        }
    }

    fn answer(&self, path: &[&str], call: &Call) -> Result<Response<Body>, ApiStatus> {
        if path == ["openapi", "v2"] && call.accept.contains("protobuf") {
            let media_type = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
            let document = Bytes::from_static(discovery::SWAGGER_PROTOBUF);
            return Ok(reply(StatusCode::OK, media_type, document));
        }
        let customs = self.shared.read().customs().clone();
        let document = discovery::document(path, &customs);
        if let Some(document) = document {
            if call.method != Method::GET {
                return Err(ApiStatus::not_served(verbs::NO_METHOD));
            }
            return Ok(match document.as_str() {
                Some(text) => reply(StatusCode::OK, "text/plain", Bytes::from(text.to_owned())),
                None => json(StatusCode::OK, &document),
            });
        }
        if path == ["metrics"] && call.method == Method::GET {
            let text = Bytes::from(metrics::text(&self.shared));
            return Ok(reply(StatusCode::OK, "text/plain; version=0.0.4", text));
        }
        if !discovery::serves(path, &customs) {
            let text = Bytes::from_static(b"404 page not found\n");
            return Ok(reply(StatusCode::NOT_FOUND, "text/plain", text));
        }
        let target = Target::parse(path).ok_or_else(ApiStatus::no_such_path)?;
        let kind = target.kind.info();
        let has = |name: &str| match customs.get(target.kind) {
            Some(served) => match name {
                "status" => served.status,
                "scale" => served.scale.is_some(),
                _ => false,
            },
            None => kind.subresources.contains(&name),
        };
        if !customs.has(target.kind) {
            return Err(ApiStatus::no_such_path());
        }
        if target.subresource.as_deref().is_some_and(|name| !has(name)) {
            let name = target.name.as_deref().unwrap_or_default();
            return Err(match customs.get(target.kind) {
                Some(_) => ApiStatus::not_found(kind, name),
                None => ApiStatus::no_such_path(),
            });
        }
        let answered = verbs::answer(&self.shared, &target, call);
        let Some(words) = idle::deprecated(kind) else {
            return answered;
        };
        let answered = answered.unwrap_or_else(|status| failure(&status));
        Ok(warn(answered, &[words.to_owned()]))
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
