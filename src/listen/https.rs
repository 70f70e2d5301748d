//! DNS over HTTPS (RFC 8484), over HTTP/2 and HTTP/1.1.

use std::convert::Infallible;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};
use http::header::{ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::answer::{Answered, Behind, answer};
use super::limits::{Held, Slot};
use super::lingering::{LONGEST, Lingering};
use super::tcp::{IDLE, WRITE};
use crate::message::https::{LARGEST, MEDIA_TYPE, PATH, is_message};
use crate::message::question::{Route, Transport};
use crate::message::{lowest_ttl, servfail};
use crate::plugin::Shed;

/// What is taken and sent without asking whether there is room, in octets.
const SMALL: usize = 512;

/// Questions of one connection that may be under way.
const STREAMS: u32 = 64;

/// What a connection may hold of requests, in octets: headers, and what was not read yet.
const HEADERS: u32 = 16 << 10;
const WINDOW: u32 = 64 << 10;

/// How long a reply without records may be kept, in seconds: CoreDNS's.
const DEFAULT_AGE: u32 = 5;

/// Serves a connection until its client goes or asks nothing for too long, or it has to make room for another.
pub(super) async fn serve<S>(
    stream: S,
    route: Route,
    behind: Behind,
    (slot, shutdown): (Slot, CancellationToken),
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let idle = behind.router.timeouts().idle.unwrap_or(IDLE);
    let (leave, at_work) = (slot.leave().clone(), watch::Sender::new(0));
    let exchange = Arc::new(Exchange {
        route,
        behind,
        slot: Mutex::new(slot),
        at_work,
        patience: idle,
        refused: Mutex::default(),
    });
    let answering = Arc::clone(&exchange);
    let answering = service_fn(move |request| {
        let exchange = Arc::clone(&answering);
        async move { Ok::<_, Infallible>(exchange.respond(request).await) }
    });
    let http = builder(idle);
    let mut connection =
        pin!(http.serve_connection(TokioIo::new(Lingering::new(stream)), answering));
    tokio::select! {
        ended = &mut connection => return ended.map_err(io::Error::other),
        () = leave.cancelled() => return Ok(()),
        () = exchange.idle(idle) => {}
        () = shutdown.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let ended = timeout(WRITE, connection).await;
    ended
        .map_err(|_| io::ErrorKind::TimedOut)?
        .map_err(io::Error::other)
}

fn builder(idle: Duration) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(idle)
        .max_buf_size(HEADERS as usize);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEADERS)
        .initial_stream_window_size(WINDOW)
        .initial_connection_window_size(WINDOW)
        // Whoever takes nothing any more does not answer this either.
        .keep_alive_interval(WRITE)
        .keep_alive_timeout(WRITE);
    http
}

/// A connection, as its requests see it.
struct Exchange {
    route: Route,
    behind: Behind,
    slot: Mutex<Slot>,
    /// How many questions are being answered.
    at_work: watch::Sender<usize>,
    /// How long a request may take to come whole.
    patience: Duration,
    /// What keeps requests that were refused before they came whole.
    refused: Mutex<JoinSet<()>>,
}

/// A question that is being answered, until this is dropped.
struct AtWork<'a>(&'a Exchange);

impl<'a> AtWork<'a> {
    fn begin(exchange: &'a Exchange) -> Self {
        exchange.at_work.send_modify(|count| *count += 1);
        exchange.slot().work();
        Self(exchange)
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        let mut slot = self.0.slot();
        self.0.at_work.send_modify(|count| *count -= 1);
        if *self.0.at_work.borrow() == 0 {
            slot.rest();
        }
    }
}

/// A reply that is none.
type Refusal = (StatusCode, &'static str);

const TOO_LARGE: Refusal = (
    StatusCode::PAYLOAD_TOO_LARGE,
    "a DNS message has 65,535 octets at most",
);

/// Octets of a reply, which count as not taken until the client has them.
struct Untaken {
    message: Vec<u8>,
    /// `None`: it is small.
    _room: Option<Held>,
}

impl AsRef<[u8]> for Untaken {
    fn as_ref(&self) -> &[u8] {
        &self.message
    }
}

impl Exchange {
    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing has been asked for so long.
    async fn idle(&self, most: Duration) {
        let mut at_work = self.at_work.subscribe();
        loop {
            // It lasts as long as this does.
            drop(at_work.wait_for(|count| *count == 0).await);
            if timeout(most, at_work.changed()).await.is_err() {
                return;
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, mut body) = request.into_parts();
        let response = match self.answer(&head, &mut body).await {
            Ok(response) => response,
            Err(refusal) => self.refuse(refusal, &head, body).await,
        };
        let status = response.status().as_u16();
        self.behind.router.count_https(status);
        response
    }

    /// The reply to a request whose body may not have been read.
    async fn refuse(
        &self,
        (code, words): Refusal,
        head: &Parts,
        mut body: Incoming,
    ) -> Response<Full<Bytes>> {
        // Who waits to be told to go on has sent nothing, and is not told.
        let is_whole = !head.headers.contains_key(EXPECT)
            && timeout(self.patience, rest(&mut body)).await == Ok(true);
        let words = match head.method {
            Method::HEAD => String::new(),
            _ => format!("{words}\n"),
        };
        let mut response = Response::new(Full::from(words));
        *response.status_mut() = code;
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        if code == StatusCode::METHOD_NOT_ALLOWED {
            headers.insert(ALLOW, HeaderValue::from_static("GET, POST"));
        }
        if !is_whole && head.version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        } else if !is_whole {
            self.keep(body);
        }
        response
    }

    /// Keeps what is left of a refused request for a while: a stream whose request is dropped is reset, and a client that is
    /// still sending may see nothing but that. They go with the connection, and no more are kept than it may have under way.
    fn keep(&self, body: Incoming) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        while refused.try_join_next().is_some() {}
        if refused.len() < STREAMS as usize {
            refused.spawn(async move {
                sleep(LONGEST).await;
                drop(body);
            });
        }
    }

    async fn answer(
        &self,
        head: &Parts,
        body: &mut Incoming,
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        if head.uri.path() != PATH {
            return Err((StatusCode::NOT_FOUND, "DNS is asked for at /dns-query"));
        }
        let packet = match head.method {
            Method::GET => from_query(head.uri.query().unwrap_or_default())?,
            Method::POST => self.body(head, body).await?,
            _ => return Err((StatusCode::METHOD_NOT_ALLOWED, "GET or POST was expected")),
        };
        // Until here it may have to make room for another.
        let _at_work = AtWork::begin(self);
        let answered = answer(&self.behind.router, &packet, Transport::Tcp, self.route);
        let messages = match answered.await {
            Answered::Nothing => {
                return Err((StatusCode::BAD_REQUEST, "a DNS query was expected"));
            }
            Answered::Now(messages) => messages,
            Answered::Later(messages) => match self.behind.limits.wait(self.route.client.ip()) {
                Some(_waits) => messages.await,
                None => {
                    self.behind.router.count_shed(Shed::Waiting);
                    servfail(&packet).into()
                }
            },
        };
        // A transfer of several messages has no form here.
        let message = messages.into_only().unwrap_or_else(|| servfail(&packet));
        self.response(message)
    }

    fn response(&self, message: Vec<u8>) -> Result<Response<Full<Bytes>>, Refusal> {
        let age = lowest_ttl(&message).unwrap_or(DEFAULT_AGE);
        let age = HeaderValue::from_str(&format!("max-age={age}"));
        let is_small = message.len() <= SMALL;
        let room = (!is_small).then(|| self.room(message.len())).transpose()?;
        let untaken = Untaken {
            message,
            _room: room,
        };
        let mut response = Response::new(Full::new(Bytes::from_owner(untaken)));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(CACHE_CONTROL, age.expect("letters and digits"));
        Ok(response)
    }

    async fn body(&self, head: &Parts, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
        let media_type = head.headers.get(CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        if !media_type.is_some_and(is_message) {
            let words = "application/dns-message was expected";
            return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
        if body.size_hint().lower() > LARGEST as u64 {
            return Err(TOO_LARGE);
        }
        let late = (
            StatusCode::REQUEST_TIMEOUT,
            "the query did not come in time",
        );
        let whole = timeout(self.patience, self.collect(body));
        whole.await.map_err(|_| late)?
    }

    async fn collect(&self, body: &mut Incoming) -> Result<Vec<u8>, Refusal> {
        let (mut packet, mut rooms) = (BytesMut::new(), Vec::new());
        while let Some(frame) = body.frame().await {
            let broken = |_| (StatusCode::BAD_REQUEST, "the query broke off");
            // Trailers say nothing here.
            let data = frame.map_err(broken)?.into_data().unwrap_or_default();
            if packet.len() + data.len() > LARGEST {
                return Err(TOO_LARGE);
            }
            packet.extend_from_slice(&data);
            if packet.len() > SMALL {
                // The client may take its time with the rest.
                rooms.push(self.room(data.len())?);
            }
        }
        Ok(packet.into())
    }

    /// Room for so many octets that the client may take its time with.
    fn room(&self, octets: usize) -> Result<Held, Refusal> {
        let held = self.behind.limits.keep(self.route.client.ip(), octets);
        held.ok_or_else(|| {
            self.behind.router.count_shed(Shed::Untaken);
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "there is no room at present",
            )
        })
    }
}

/// Reads what is left of a request's body, up to an end: it is not kept. Whether that is all.
async fn rest(body: &mut Incoming) -> bool {
    /// More than whoever errs sends.
    const MOST: usize = 1 << 20;
    let mut left = MOST;
    while let Some(Ok(frame)) = body.frame().await {
        let octets = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(octets) {
            Some(less) => left = less,
            None => return false,
        }
    }
    body.is_end_stream()
}

/// The message in a URI's query (RFC 8484 section 6).
fn from_query(query: &str) -> Result<Vec<u8>, Refusal> {
    const EXPECTED: Refusal = (
        StatusCode::BAD_REQUEST,
        "dns=MESSAGE was expected, in base64url without padding",
    );
    let pairs = form_urlencoded::parse(query.as_bytes());
    let mut texts = pairs.filter(|(name, _)| name == "dns");
    // Two would be two questions.
    let (Some((_, text)), None) = (texts.next(), texts.next()) else {
        return Err(EXPECTED);
    };
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(text.as_bytes());
    decoded.map_err(|_| EXPECTED)
}
