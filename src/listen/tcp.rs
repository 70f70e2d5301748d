//! Connections (RFC 7766): queries are answered as they come, each as soon as it can be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::{Answered, answer};
use crate::answer::Messages;
use crate::message::question::{Route, Transport};
use crate::plugin::{Router, Timeouts};

/// How long a connection may be silent: CoreDNS's.
const IDLE: Duration = Duration::from_secs(10);

/// How long a client may take to accept a reply before it is given up.
const WRITE: Duration = Duration::from_secs(5);

/// Connections at a time; further ones are closed at once. Leaves room below the usual limit of 1,024 … 65,536 files.
const MAX_CONNECTIONS: usize = 800;

/// Queries at a time on one connection; the next is read when one of them is answered.
const MAX_PIPELINED: usize = 128;

/// How long to wait where no connection can be accepted (no file left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What all listeners share.
pub(super) struct Limits {
    connections: Arc<Semaphore>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
        }
    }
}

/// How long a new connection has for its question after the shutdown signal.
const FIRST_QUESTION: Duration = Duration::from_secs(1);

/// Accepts connections until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Arc<Router>,
    limits: Arc<Limits>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            // A connection that ended before it was accepted is its client's affair.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&limits.connections).try_acquire_owned() else {
            debug!(%client, "too many connections; this one is closed");
            continue;
        };
        let (router, shutdown, inner) = (Arc::clone(&router), shutdown.clone(), tasks.clone());
        tasks.spawn(async move {
            if let Err(error) = connection(stream, client, &router, &inner, &shutdown).await {
                debug!(%client, %error, "connection ended");
            }
            drop(slot);
        });
    }
}

async fn connection(
    stream: TcpStream,
    client: SocketAddr,
    router: &Arc<Router>,
    tasks: &TaskTracker,
    shutdown: &CancellationToken,
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let route = Route {
        client,
        server: stream.local_addr().ok(),
    };
    let (reader, writer) = stream.into_split();
    let (replies, queue) = mpsc::channel(MAX_PIPELINED);
    let written = CancellationToken::new();
    let gone = written.clone().drop_guard();
    tasks.spawn(async move {
        let _gone = gone;
        if let Err(error) = write(writer, queue).await {
            debug!(%client, %error, "the client does not take its replies");
        }
    });
    let slots = Arc::new(Semaphore::new(MAX_PIPELINED));
    let mut reader = BufReader::new(reader);
    let mut is_new = true;
    let Timeouts { idle, queries } = router.timeouts();
    let (idle, mut left) = (idle.unwrap_or(IDLE), queries);
    loop {
        if left == Some(0) {
            return Ok(());
        }
        let slot = Arc::clone(&slots)
            .acquire_owned()
            .await
            .map_err(io::Error::other)?;
        let packet = tokio::select! {
            packet = tokio::time::timeout(idle, read(&mut reader)) => packet.map_err(|_| io::ErrorKind::TimedOut)??,
            () = stopped(shutdown, is_new) => None,
            () = written.cancelled() => None,
        };
        let Some(packet) = packet else {
            return Ok(());
        };
        is_new = false;
        left = left.map(|left| left - 1);
        match answer(router, &packet, Transport::Tcp, route).await {
            Answered::Nothing => {}
            Answered::Now(reply) => send(&replies, reply).await,
            Answered::Later(reply) => {
                let replies = replies.clone();
                tasks.spawn(async move {
                    send(&replies, reply.await).await;
                    drop(slot);
                });
            }
        }
    }
}

/// Waits until a connection is to end. One that has asked nothing yet is new, and its question is on its way.
async fn stopped(shutdown: &CancellationToken, is_new: bool) {
    shutdown.cancelled().await;
    if is_new {
        tokio::time::sleep(FIRST_QUESTION).await;
    }
}

/// Queues a reply; a client that is gone gets none.
async fn send(replies: &mpsc::Sender<Vec<u8>>, reply: Messages) {
    for message in reply.into_all() {
        if replies.send(message).await.is_err() {
            return;
        }
    }
}

/// The next message; `None` where the client has closed.
async fn read(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Option<Vec<u8>>> {
    let size = match reader.read_u16().await {
        Ok(size) => size,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut packet = vec![0; usize::from(size)];
    reader.read_exact(&mut packet).await?;
    Ok(Some(packet))
}

/// Writes replies, all that wait in one go.
async fn write(mut writer: OwnedWriteHalf, mut queue: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    let mut waiting = Vec::with_capacity(MAX_PIPELINED);
    while queue.recv_many(&mut waiting, MAX_PIPELINED).await > 0 {
        let mut out = Vec::new();
        for reply in waiting.drain(..) {
            let size = u16::try_from(reply.len()).map_err(io::Error::other)?;
            out.extend(size.to_be_bytes());
            out.extend(reply);
        }
        tokio::time::timeout(WRITE, writer.write_all(&out))
            .await
            .map_err(|_| io::ErrorKind::TimedOut)??;
    }
    writer.shutdown().await
}
