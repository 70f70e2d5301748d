//! The API over TCP: plain HTTP, so on loopback only, and only for who says that he asks loopback.

use std::io;
use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, Request, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::server::{Api, failure};
use super::status::ApiStatus;

/// An address that the API cannot be served at.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is taken, or not ours.
    #[error("cannot listen on {address} (api): {source}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// Everybody could reach it.
    #[error(
        "the embedded API has neither TLS nor authentication and is served on loopback only, not on {0}"
    )]
    NotLoopback(SocketAddr),
}

pub(super) async fn bind(address: SocketAddr) -> Result<TcpListener, ListenError> {
    if !address.ip().is_loopback() {
        return Err(ListenError::NotLoopback(address));
    }
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Bind { address, source })
}

pub(super) async fn serve(listener: TcpListener, api: Api) {
    // They end with the cluster.
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let api = api.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request: Request<Incoming>| {
                let api = api.clone();
                async move {
                    if !asks_loopback(&request) {
                        let why = "the Host of the request is not a loopback address: a page in a browser must not reach this API";
                        return Ok::<_, std::convert::Infallible>(failure(&ApiStatus::forbidden(
                            why,
                        )));
                    }
                    Ok(Api::call(&api, request).await)
                }
            });
            if let Err(error) = Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), answer)
                .await
            {
                debug!(%error, "api connection ended");
            }
        });
    }
}

/// Whether the request names loopback as its host: a name that a stranger's DNS points here does not (DNS rebinding).
fn asks_loopback<B>(request: &Request<B>) -> bool {
    let named = request.headers().get(header::HOST).map(HeaderValue::to_str);
    let host = match (named, request.uri().authority()) {
        (Some(Ok(host)), _) => host.to_owned(),
        (None, Some(authority)) => authority.to_string(),
        (Some(Err(_)), _) | (None, None) => return false,
    };
    let Ok(authority) = host.parse::<http::uri::Authority>() else {
        return false;
    };
    let name = authority.host().trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_loopback_host_is_served() {
        let asks = |host: &str| {
            asks_loopback(
                &Request::builder()
                    .header(header::HOST, host)
                    .body(())
                    .unwrap(),
            )
        };
        for yes in [
            "127.0.0.1:6443",
            "localhost",
            "LocalHost:1",
            "[::1]:6443",
            "127.1.2.3",
        ] {
            assert!(asks(yes), "{yes}");
        }
        for no in [
            "example.com",
            "127.0.0.1.example.com",
            "10.0.0.1",
            "",
            "localhost.example.com:80",
        ] {
            assert!(!asks(no), "{no}");
        }
        assert!(!asks_loopback(&Request::new(())));
    }
}
