//! What tells of names: requests that are answered in JSON, what changes as it comes (server-sent events), and a page that
//! shows both.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, StatusCode, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;
use tokio::sync::mpsc::Receiver;
use tokio_util::sync::CancellationToken;

/// The page's files. They know nothing: who has no token may read them too.
const FILES: [(&str, &str, &str); 6] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/page.html"),
    ),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page/page.js"),
    ),
    (
        "/kit.js",
        "text/javascript; charset=utf-8",
        include_str!("page/kit.js"),
    ),
    (
        "/cluster.js",
        "text/javascript; charset=utf-8",
        include_str!("page/cluster.js"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    ("/page.svg", "image/svg+xml", include_str!("page/page.svg")),
];

/// What a browser may do with the page: nothing that leads elsewhere (Content Security Policy level 3).
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// With every answer.
const HEADERS: [(HeaderName, &str); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// What is wrong with what it asks.
    Wrong(String),
    /// There is no such path.
    Unknown,
    /// Somebody else who was to be asked does not say.
    Elsewhere(String),
}

/// An answer, in JSON.
pub type Answering = Pin<Box<dyn Future<Output = Result<String, Refusal>> + Send>>;

/// Answers requests by their path, and the keys and values behind it.
pub type Answers = Arc<dyn Fn(&'static str, Vec<(String, String)>) -> Answering + Send + Sync>;

/// Tells what changes from now on, in JSON of one line; an empty line is a sign of life.
pub type Changes = Arc<dyn Fn() -> Receiver<String> + Send + Sync>;

/// What tells of names.
pub struct Names {
    /// What a request has to bring along (RFC 6750 section 2.1).
    pub token: Option<Box<str>>,
    /// The paths that have answers; `/changes` is another.
    pub paths: Vec<&'static str>,
    /// Those.
    pub answers: Answers,
    /// What changes.
    pub changes: Changes,
    /// Is cancelled when the server is told to end, for answers that wait.
    pub ends: CancellationToken,
}

impl Names {
    pub(super) fn router(self) -> Router {
        let mut router = Router::new();
        for path in self.paths {
            let answers = Arc::clone(&self.answers);
            let page = move |uri: Uri| async move { answered(&answers, path, &uri).await };
            router = router.route(path, get(page));
        }
        let changes = self.changes;
        let told = move || async move { told(changes()) };
        let token = self.token.clone();
        let guarded = move |request: Request, next: Next| guarded(token.clone(), request, next);
        let mut router = router
            .route("/changes", get(told))
            .route_layer(middleware::from_fn(guarded));
        for (path, kind, text) in FILES {
            let file = get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
            router = router.route(path, file);
        }
        let is_open = self.token.is_none();
        let led = move |request: Request, next: Next| led(is_open, request, next);
        router.layer(middleware::from_fn(led))
    }
}

/// Turns a request away that a browser was led to make by somebody else's name (DNS rebinding): where there is no token,
/// whoever reaches the address may ask, and a browser reaches it for any page. Such a name has a dot.
async fn led(is_open: bool, request: Request, next: Next) -> Response {
    let mut response = if is_open && is_foreign(request.headers()) {
        let why = "the Host is somebody's name: ask by address, or as localhost";
        said(StatusCode::FORBIDDEN, problem(why))
    } else {
        next.run(request).await
    };
    for (name, value) in HEADERS {
        let value = header::HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

fn is_foreign(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).map(|host| host.as_bytes());
    let host = String::from_utf8_lossy(host.unwrap_or_default());
    // A port stands behind a name or an address; an IPv6 address stands in brackets.
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) | None => &host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    let is_local = name.to_ascii_lowercase().ends_with(".localhost");
    name.contains('.') && !is_local && address.parse::<IpAddr>().is_err()
}

/// Turns a request away that does not bring the token along.
async fn guarded(token: Option<Box<str>>, request: Request, next: Next) -> Response {
    if is_allowed(request.headers(), token.as_deref()) {
        return next.run(request).await;
    }
    let refusal = said(
        StatusCode::UNAUTHORIZED,
        problem("a token is missing, or another"),
    );
    // Who may not ask keeps no connection from those who may.
    ([(header::CONNECTION, "close")], refusal).into_response()
}

async fn answered(answers: &Answers, path: &'static str, uri: &Uri) -> Response {
    let query = uri.query().unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
    match answers(path, pairs.collect()).await {
        Ok(answer) => said(StatusCode::OK, answer),
        Err(Refusal::Wrong(why)) => said(StatusCode::BAD_REQUEST, problem(&why)),
        Err(Refusal::Unknown) => said(StatusCode::NOT_FOUND, problem("no such path")),
        Err(Refusal::Elsewhere(why)) => said(StatusCode::BAD_GATEWAY, problem(&why)),
    }
}

/// Messages as a stream of events (HTML Living Standard section 9.2.6).
fn told(messages: Receiver<String>) -> Response {
    let events = stream::unfold(messages, |mut messages| async move {
        let message = messages.recv().await?;
        let event = match &message[..] {
            "" => ":\n\n".to_owned(),
            json => format!("data: {json}\n\n"),
        };
        Some((Ok::<_, std::convert::Infallible>(event), messages))
    });
    let kind = [(header::CONTENT_TYPE, "text/event-stream")];
    (kind, Body::from_stream(events)).into_response()
}

fn said(status: StatusCode, json: String) -> Response {
    let kind = [(header::CONTENT_TYPE, "application/json")];
    (status, kind, json).into_response()
}

fn problem(why: &str) -> String {
    format!("{}\n", serde_json::json!({"error": why}))
}

const SCHEME: &[u8] = b"Bearer ";

/// Whether a request brings the token along. How long that takes tells nothing of it.
fn is_allowed(headers: &HeaderMap, token: Option<&str>) -> bool {
    let Some(token) = token else {
        return true;
    };
    let brought = headers
        .get(header::AUTHORIZATION)
        .map(|value| value.as_bytes());
    // The scheme is written in any case (RFC 9110 section 11.1).
    let scheme = |value: &&[u8]| {
        value.len() > SCHEME.len() && value[..SCHEME.len()].eq_ignore_ascii_case(SCHEME)
    };
    let brought = brought.filter(scheme).unwrap_or(SCHEME);
    let brought = &brought[SCHEME.len()..];
    let differs = |(a, b): (&u8, &u8)| u8::from(a != b);
    let differing: u8 = brought
        .iter()
        .zip(token.as_bytes())
        .map(differs)
        .fold(0, |a, b| a | b);
    differing == 0 && brought.len() == token.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_somebody_s_name_is_foreign() {
        for (host, wanted) in [
            ("127.0.0.1:8054", false),
            ("[::1]:8054", false),
            ("[::ffff:127.0.0.1]", false),
            ("localhost:8054", false),
            ("x", false),
            ("a.localhost:8054", false),
            ("rebind.example.com:8054", true),
            ("127.0.0.1.example.com", true),
            ("example.com", true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            assert_eq!(is_foreign(&headers), wanted, "{host}");
        }
        assert!(!is_foreign(&HeaderMap::new()));
    }

    #[test]
    fn the_page_s_files_lead_nowhere_else_and_have_no_code_within() {
        for (path, _, text) in FILES {
            let own = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!own.contains("//www") && !own.contains("http"), "{path}");
            assert!(
                !own.contains(" style=") && !own.contains("<script>"),
                "{path}"
            );
        }
    }
}
