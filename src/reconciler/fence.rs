//! A client that writes only as long as the lease is ours for sure.
//!
//! Work is ended when the lease is lost; but a process that was stopped, or a machine that slept, goes on where it was
//! before it can know that.

use std::io;
use std::time::Duration;

use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::api::through;

/// A client that passes writes on until `lasts` after the lease was renewed last, and not longer.
pub(super) fn fenced(
    client: &Client,
    renewed: watch::Receiver<Instant>,
    lasts: Duration,
) -> Client {
    through(client, move |client, request| {
        let until = *renewed.borrow() + lasts;
        send(client, request, until)
    })
}

async fn send(
    client: Client,
    request: Request<Body>,
    until: Instant,
) -> Result<Response<Body>, kube::Error> {
    let is_write = !matches!(*request.method(), Method::GET | Method::HEAD);
    let sent = client.send(request);
    if !is_write {
        return sent.await;
    }
    let over = || {
        let over = io::Error::new(io::ErrorKind::TimedOut, "the lease may be another's by now");
        kube::Error::Service(over.into())
    };
    if Instant::now() >= until {
        return Err(over());
    }
    timeout_at(until, sent)
        .await
        .unwrap_or_else(|_| Err(over()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers at once, but never where it is asked at `/hangs`.
    async fn answer(request: Request<Body>) -> io::Result<Response<Body>> {
        if request.uri().path() == "/hangs" {
            std::future::pending::<()>().await;
        }
        Ok(Response::new(Body::empty()))
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_written_after_the_lease_may_have_run_out() {
        let (renew, renewed) = watch::channel(Instant::now());
        let client = fenced(
            &Client::new(tower::service_fn(answer), "default"),
            renewed,
            Duration::from_secs(10),
        );
        let asked = async |method: Method, path: &str| {
            let request = Request::builder().method(method).uri(path);
            let sent = client.send(request.body(Body::empty()).unwrap()).await;
            sent.map(|_| ()).map_err(|error| error.to_string())
        };
        let over = Err("ServiceError: the lease may be another's by now".to_owned());
        assert_eq!(asked(Method::POST, "/").await, Ok(()));
        let start = Instant::now();
        assert_eq!(asked(Method::POST, "/hangs").await, over);
        assert_eq!(start.elapsed(), Duration::from_secs(10));
        // As after a stop of the whole process.
        assert_eq!(asked(Method::PUT, "/").await, over);
        assert_eq!(asked(Method::GET, "/").await, Ok(()));
        renew.send_replace(Instant::now());
        assert_eq!(asked(Method::PUT, "/").await, Ok(()));
    }
}
