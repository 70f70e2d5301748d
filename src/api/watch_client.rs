//! The client of one watch: it passes on UTF-8 only.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::FutureExt;
use http::{Request, Response};
use kube::Client;
use kube::client::Body;

use super::utf8::{Mended, mend};

/// A client for the watch of one kind.
pub(super) fn watch_client(client: Client) -> Client {
    let ns = client.default_namespace().to_owned();
    Client::new(WatchClient { client }, ns)
}

#[derive(Clone)]
struct WatchClient {
    client: Client,
}

impl WatchClient {
    async fn send(
        self,
        request: Request<Body>,
    ) -> Result<Response<Mended<kube::Error>>, kube::Error> {
        let response = self.client.send(request).await?;
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
