//! The connections of a probe's socket: few, short, and never waited for.

use std::collections::VecDeque;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tower::util::MapRequestLayer;
use tracing::{debug, warn};

use crate::throttle::Throttle;

/// How long a client may take for a request's head, and between two requests.
const HEAD: Duration = Duration::from_secs(5);

/// How long requests at hand may take after the shutdown signal.
const LAST: Duration = Duration::from_secs(2);

/// How long to wait where no connection can be accepted (no file left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown`, over `most` connections at a time that have asked for something, and as many that have not: when
/// there are more, the oldest of them goes.
pub(super) async fn serve(
    listener: TcpListener,
    (router, most): (Router, usize),
    shutdown: CancellationToken,
) {
    let (failed, start) = (Throttle::new(1), Instant::now());
    let mut connections = JoinSet::new();
    let mut oldest: VecDeque<(AbortHandle, CancellationToken)> = VecDeque::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = connections.join_next() => continue,
            () = shutdown.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if let Some(before) = failed.pass(start.elapsed()) {
                    warn!(%error, before, "accept failed");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        oldest.retain(|(connection, _)| !connection.is_finished());
        // Those that have not asked yet take no place of those that have, and the other way round.
        for has_asked in [false, true] {
            let is_one = |(_, asked): &(_, CancellationToken)| asked.is_cancelled() == has_asked;
            if oldest.iter().filter(|one| is_one(one)).count() >= most
                && let Some(first) = oldest.iter().position(is_one)
                && let Some((connection, _)) = oldest.remove(first)
            {
                connection.abort();
            }
        }
        let asked = CancellationToken::new();
        let notes = (asked.clone(), shutdown.clone());
        let task = connection(stream, router.clone(), notes);
        oldest.push_back((connections.spawn(task), asked));
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(LAST, ended).await.is_err() {
        debug!("a probe's request is given up");
    }
}

/// Serves a connection until its end, or `shutdown`; `asked` is told of its first request.
async fn connection(
    stream: TcpStream,
    router: Router,
    (asked, shutdown): (CancellationToken, CancellationToken),
) {
    let notes = asked.clone();
    let router = router.layer(MapRequestLayer::new(move |request: Request| {
        notes.cancel();
        request
    }));
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    let mut served = pin!(served);
    // Whoever has connected has come to ask: the first request is answered in any case.
    let leaving = async {
        shutdown.cancelled().await;
        asked.cancelled().await;
    };
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = leaving => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a probe's connection ended");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use std::net::SocketAddr;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;
    use tokio::time::Instant;

    const MAX_CONNECTIONS: usize = 100;
    const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    async fn server() -> (SocketAddr, CancellationToken, JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/health", get(|| async { "OK" }));
        let stop = CancellationToken::new();
        let task = tokio::spawn(serve(listener, (router, MAX_CONNECTIONS), stop.clone()));
        (address, stop, task)
    }

    async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        stream
    }

    async fn answer(mut stream: TcpStream) -> String {
        let mut reply = String::new();
        stream.read_to_string(&mut reply).await.unwrap();
        reply
    }

    #[tokio::test]
    async fn half_a_request_does_not_hold_the_end_up_for_long() {
        let (address, stop, task) = server().await;
        let held = send(address, &REQUEST[..20]).await;
        // Whoever is accepted later is answered, so the first one is accepted.
        assert!(answer(send(address, REQUEST).await).await.ends_with("OK"));
        let start = Instant::now();
        stop.cancel();
        task.await.unwrap();
        assert!(start.elapsed() < HEAD, "{:?}", start.elapsed());
        drop(held);
    }

    #[tokio::test]
    async fn whoever_has_connected_before_the_end_is_answered() {
        let (address, stop, task) = server().await;
        let mut early = TcpStream::connect(address).await.unwrap();
        // Whoever is accepted later is answered, so the first one is accepted.
        assert!(answer(send(address, REQUEST).await).await.ends_with("OK"));
        stop.cancel();
        early.write_all(REQUEST).await.unwrap();
        assert!(answer(early).await.ends_with("OK"));
        task.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_never_whole_is_given_up() {
        let (address, ..) = server().await;
        let start = Instant::now();
        answer(send(address, &REQUEST[..20]).await).await;
        assert_eq!(start.elapsed().as_secs(), HEAD.as_secs());
    }

    #[tokio::test]
    async fn those_who_ask_for_nothing_end_nobody_s_request() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (begun, going_on) = (CancellationToken::new(), CancellationToken::new());
        let notes = (begun.clone(), going_on.clone());
        let waits = get(move || async move {
            notes.0.cancel();
            notes.1.cancelled().await;
            "OK"
        });
        let router = Router::new().route("/health", waits);
        let stop = CancellationToken::new();
        tokio::spawn(serve(listener, (router, MAX_CONNECTIONS), stop));
        let asked = send(address, REQUEST).await;
        begun.cancelled().await;
        let mut held = Vec::new();
        for _ in 0..2 * MAX_CONNECTIONS {
            held.push(send(address, &REQUEST[..20]).await);
        }
        // The first of these has gone, so that all before the last are accepted.
        let mut first = held.swap_remove(0);
        assert_eq!(first.read(&mut [0]).await.unwrap(), 0);
        going_on.cancel();
        assert!(answer(asked).await.ends_with("OK"));
    }

    #[tokio::test]
    async fn those_who_hold_all_connections_hold_no_probe_up() {
        let (address, ..) = server().await;
        let mut held = Vec::new();
        for _ in 0..MAX_CONNECTIONS + 1 {
            held.push(send(address, &REQUEST[..20]).await);
        }
        assert!(answer(send(address, REQUEST).await).await.ends_with("OK"));
    }
}
