//! The client of one watch: it asks no faster than a watch that lives would, and passes on UTF-8 only.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::FutureExt;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::utf8::{Mended, mend};

/// A watch that ends sooner than this after it was asked for has failed, though the server says it has not.
const TOO_SOON: Duration = Duration::from_secs(1);

/// A client for the watch of one kind.
pub(super) fn watch_client(client: Client) -> Client {
    let ns = client.default_namespace().to_owned();
    let pace = Arc::default();
    Client::new(WatchClient { client, pace }, ns)
}

#[derive(Clone)]
struct WatchClient {
    client: Client,
    pace: Arc<Mutex<Pace>>,
}

/// When the last watch was answered, and how many in a row ended at once.
#[derive(Default)]
struct Pace {
    answered: Option<Instant>,
    backoff: Backoff,
}

impl Pace {
    /// How long the next watch has to wait: kube's watcher asks again at once when one ends.
    fn wait(&mut self, now: Instant) -> Duration {
        match self.answered.take() {
            Some(at) if now.duration_since(at) < TOO_SOON => {
                self.backoff.next(rand::random(), None)
            }
            // One that fails instead is for `watching`, which waits as well.
            Some(_) | None => {
                self.backoff.reset();
                Duration::ZERO
            }
        }
    }
}

impl WatchClient {
    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(
        self,
        request: Request<Body>,
    ) -> Result<Response<Mended<kube::Error>>, kube::Error> {
        let query = request.uri().query().unwrap_or_default();
        let watch = query.split('&').any(|pair| pair == "watch=true");
        if watch {
            let wait = self.pace().wait(Instant::now());
            if !wait.is_zero() {
                tokio::time::sleep(wait).await;
            }
        }
        let response = self.client.send(request).await?;
        if watch && response.status().is_success() {
            self.pace().answered = Some(Instant::now());
        }
        Ok(response.map(mend))
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
