//! TLS, and what is spoken inside of it: DNS (RFC 7858) or HTTP (RFC 8484).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::answer::Behind;
use super::https;
use super::limits::Slot;
use super::tcp::Connection;
use crate::message::question::Route;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What TLS may keep of replies that a client does not take, in octets.
const KEPT: usize = 16 << 10;

/// Which protocol is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Messages with their length (RFC 7858).
    Dns,
    /// HTTP/2, or HTTP/1.1 (RFC 8484).
    Http,
}

/// How the connections of a socket are encrypted.
#[derive(Clone)]
pub(super) struct Tls {
    acceptor: TlsAcceptor,
    inside: Inside,
}

impl Tls {
    pub(super) fn new(inside: Inside, mut config: ServerConfig) -> Self {
        let protocols: &[&str] = match inside {
            // As in CoreDNS what a client says is spoken inside (RFC 7301) does not matter: DNS is.
            Inside::Dns => &[],
            Inside::Http => &["h2", "http/1.1"],
        };
        config.alpn_protocols = protocols.iter().map(|name| (*name).into()).collect();
        Self {
            acceptor: Arc::new(config).into(),
            inside,
        }
    }

    /// Serves a connection until its client goes or is silent for too long, or it has to make room for another.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        route: Route,
        behind: Behind,
        (slot, shutdown): (Slot, CancellationToken),
    ) -> io::Result<()> {
        let limit = |tls: &mut rustls::ServerConnection| tls.set_buffer_limit(Some(KEPT));
        let handshake = timeout(HANDSHAKE, self.acceptor.accept_with(stream, limit));
        let stream = tokio::select! {
            stream = handshake => stream.map_err(|_| io::ErrorKind::TimedOut)??,
            () = slot.leave().cancelled() => return Ok(()),
            () = shutdown.cancelled() => return Ok(()),
        };
        match self.inside {
            Inside::Dns => {
                let connection = Connection::new(stream, route, behind);
                connection.run(slot, &shutdown).await
            }
            Inside::Http => https::serve(stream, route, behind, (slot, shutdown)).await,
        }
    }
}
