//! Accepts connections, as far as there is room for them, and has them served.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::answer::Behind;
use super::encrypted::Tls;
use super::limits::Slot;
use super::tcp::Connection;
use crate::message::question::Route;
use crate::plugin::Shed;
use crate::throttle::Throttle;

/// What a connection counts for, in those that only speak TCP: keys and buffers of TLS are more than all else.
const PLAIN: usize = 1;
const ENCRYPTED: usize = 4;

/// What the kernel may keep of replies that a client does not take, in octets (it doubles the number): it would let that
/// grow to some megabytes for each.
const SEND_BUFFER: usize = 128 << 10;

/// How long to wait where no connection can be accepted (no file left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `shutdown`; `tls`: what is spoken inside of TLS, where that is asked for.
pub(super) async fn serve(
    listener: TcpListener,
    tls: Option<Tls>,
    behind: Behind,
    shutdown: CancellationToken,
) {
    let (turned_away, failed, start) = (Throttle::new(1), Throttle::new(1), Instant::now());
    let cost = if tls.is_some() { ENCRYPTED } else { PLAIN };
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
                if let Some(before) = failed.pass(start.elapsed()) {
                    warn!(%error, before, "accept failed");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let route = Route::new(client, stream.local_addr().ok());
        let Some(mut slot) = behind.limits.admit(route.client.ip(), cost) else {
            behind.router.count_shed(Shed::Connection);
            if let Some(before) = turned_away.pass(start.elapsed()) {
                warn!(%client, before, "there are too many connections, none of them idle; one is turned away, and more before it");
            }
            continue;
        };
        slot.rest();
        let (tls, shutdown, inner) = (tls.clone(), shutdown.clone(), behind.clone());
        behind.tasks.spawn(async move {
            let ended = connection((stream, route), tls, inner, (slot, shutdown));
            if let Err(error) = ended.await {
                debug!(%client, %error, "connection ended");
            }
        });
    }
}

async fn connection(
    (stream, route): (TcpStream, Route),
    tls: Option<Tls>,
    behind: Behind,
    (slot, shutdown): (Slot, CancellationToken),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
    match tls {
        None => {
            let connection = Connection::new(stream, route, behind);
            connection.run(slot, &shutdown).await
        }
        Some(tls) => tls.serve(stream, route, behind, (slot, shutdown)).await,
    }
}
