//! The client of one watch: it asks at a pace, on connections that nobody uses again, passes on UTF-8 only, and tells where
//! a connection was lost.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{HeaderValue, Request, Response, header};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use kube::Client;
use kube::client::Body;
use tokio::time::{Instant, timeout_at};

use super::doubt::Losses;
use super::pace::Pace;
use super::through;
use super::utf8::{Mended, mend};

/// The time between two lists or watches of one kind, in the long run.
const EVERY: Duration = Duration::from_millis(500);

/// How many of them may come at once: a start needs three where a server does not stream lists.
const AT_ONCE: u32 = 10;

/// The same for pages of a list: a list of a million objects has 2,000.
const PAGES_EVERY: Duration = Duration::from_millis(50);
const PAGES_AT_ONCE: u32 = 2000;

/// A server's clock and ours may differ by so much over a watch.
const EARLY: Duration = Duration::from_secs(2);

/// So long after its time a watch has not ended, but died.
const LATE: Duration = Duration::from_secs(3);

/// A client for the watch of one kind.
pub(super) fn watch_client(client: &Client, losses: Losses) -> Client {
    let paces = Paces {
        first: Pace::new(EVERY, AT_ONCE),
        pages: Pace::new(PAGES_EVERY, PAGES_AT_ONCE),
    };
    let paces = Arc::new(Mutex::new(paces));
    through(client, move |client, request| {
        let watch_client = WatchClient {
            client,
            paces: Arc::clone(&paces),
            losses: losses.clone(),
        };
        watch_client.send(request)
    })
}

struct WatchClient {
    client: Client,
    paces: Arc<Mutex<Paces>>,
    losses: Losses,
}

struct Paces {
    /// Of watches, and of lists' first pages.
    first: Pace,
    pages: Pace,
}

fn silent() -> kube::Error {
    let silent = io::Error::new(io::ErrorKind::TimedOut, "the server has fallen silent");
    kube::Error::Service(silent.into())
}

/// Whether this asks for a further page of a list.
fn is_page(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair.starts_with("continue="))
}

/// How long a watch may last, as it asks itself; `None`: it is none.
fn ends(request: &Request<Body>) -> Option<Duration> {
    let query = request.uri().query().unwrap_or_default();
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let is_watch = pairs.clone().any(|pair| pair == ("watch", "true"));
    let (_, seconds) = pairs.find(|(name, _)| *name == "timeoutSeconds")?;
    let seconds = seconds.parse().ok().filter(|_| is_watch)?;
    Some(Duration::from_secs(seconds))
}

/// A body that tells where it ends before its time, or breaks; one that has fallen silent and has not ended in time is
/// broken.
fn until_end(
    body: Body,
    until: Option<Instant>,
    losses: Losses,
) -> StreamBody<BoxStream<'static, Result<Frame<Bytes>, kube::Error>>> {
    let frames = futures::stream::try_unfold(body, move |mut body| {
        let losses = losses.clone();
        async move {
            let next = match until {
                // One that still delivers is alive, whatever its time.
                Some(until) => timeout_at(until.max(Instant::now()) + LATE, body.frame()).await,
                None => Ok(body.frame().await),
            };
            let next = next.unwrap_or_else(|_| Some(Err(silent()))).transpose();
            let early = until.is_some_and(|until| Instant::now() + EARLY < until);
            match &next {
                Ok(Some(_)) => {}
                Ok(None) if !early => {}
                Ok(None) | Err(_) => losses.tell(),
            }
            Ok(next?.map(|frame| (frame, body)))
        }
    });
    StreamBody::new(frames.boxed())
}

impl WatchClient {
    /// How long a request has to wait.
    fn wait(&self, is_page: bool) -> Duration {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        let pace = if is_page {
            &mut paces.pages
        } else {
            &mut paces.first
        };
        pace.wait(Instant::now())
    }

    async fn send(
        self,
        mut request: Request<Body>,
    ) -> Result<Response<Mended<kube::Error>>, kube::Error> {
        let is_page = is_page(&request);
        if !is_page {
            // Over HTTP/1.1 connections that were kept are dead where a proxy stalls, and each would cost a time-out.
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        let wait = self.wait(is_page);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        let until = ends(&request).map(|lasts| Instant::now() + lasts);
        let sent = self.client.send(request);
        let sent = match until {
            Some(until) => timeout_at(until + LATE, sent)
                .await
                .unwrap_or_else(|_| Err(silent())),
            None => sent.await,
        };
        if sent.is_err() {
            self.losses.tell();
        }
        let losses = self.losses;
        let told = |body: Body| mend(until_end(body, until, losses));
        Ok(sent?.map(told))
    }
}
