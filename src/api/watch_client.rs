//! The client of one watch: it asks at a pace, on connections that nobody uses again, and passes on UTF-8 only.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use http::{HeaderValue, Request, Response, header};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

use super::pace::Pace;
use super::utf8::{Mended, mend};

/// The time between two lists or watches of one kind, in the long run.
const EVERY: Duration = Duration::from_millis(200);

/// How many of them may come at once: a start needs three where a server does not stream lists.
const AT_ONCE: u32 = 10;

/// The same for pages of a list: a list of a million objects has 2,000.
const PAGES_EVERY: Duration = Duration::from_millis(50);
const PAGES_AT_ONCE: u32 = 2000;

/// A client for the watch of one kind.
pub(super) fn watch_client(client: Client) -> Client {
    let ns = client.default_namespace().to_owned();
    let paces = Paces {
        first: Pace::new(EVERY, AT_ONCE),
        pages: Pace::new(PAGES_EVERY, PAGES_AT_ONCE),
    };
    let paces = Arc::new(Mutex::new(paces));
    Client::new(WatchClient { client, paces }, ns)
}

#[derive(Clone)]
struct WatchClient {
    client: Client,
    paces: Arc<Mutex<Paces>>,
}

struct Paces {
    /// Of watches, and of lists' first pages.
    first: Pace,
    pages: Pace,
}

/// Whether this asks for a further page of a list.
fn is_page(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair.starts_with("continue="))
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
            // Where a proxy stalls, connections that were kept are dead, and each would cost a time-out of its own.
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(header::CONNECTION, close);
        }
        let wait = self.wait(is_page);
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
        Ok(self.client.send(request).await?.map(mend))
    }
}

impl tower::Service<Request<Body>> for WatchClient {
    type Response = Response<Mended<kube::Error>>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, kube::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), kube::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}
