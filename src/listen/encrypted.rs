//! DNS over TLS (RFC 7858) and over HTTPS (RFC 8484): hickory-server speaks them, the same call answers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Header, HeaderCounts, Message};
use hickory_server::Server;
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;
use rustls::ServerConfig;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, warn};

use super::answer::{Answered, answer};
use crate::message::question::Transport;
use crate::message::servfail;
use crate::plugin::Router;

/// How long a handshake, and silence on a connection, may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where DNS over HTTPS is asked (RFC 8484 section 4.1.1's example, which everybody uses).
const HTTP_PATH: &str = "/dns-query";

/// Which protocol is spoken inside TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// Messages with their length (RFC 7858).
    Dns,
    /// HTTP/2 (RFC 8484).
    Http,
}

/// A socket of an encrypted transport.
pub(super) struct Encrypted {
    pub(super) address: SocketAddr,
    pub(super) listener: TcpListener,
    pub(super) inside: Inside,
    pub(super) tls: ServerConfig,
}

/// Serves a socket until `shutdown`.
pub(super) async fn serve(socket: Encrypted, router: Arc<Router>, shutdown: CancellationToken) {
    let mut server = Server::new(Handler(router));
    if let Err(error) = register(&mut server, socket) {
        error!(%error, "an encrypted transport cannot be served");
        return;
    }
    let ended = tokio::select! {
        ended = server.block_until_done() => ended,
        () = shutdown.cancelled() => server.shutdown_gracefully().await,
    };
    if let Err(error) = ended {
        warn!(%error, "an encrypted transport broke");
    }
}

/// Registers a socket with hickory's server.
fn register(server: &mut Server<Handler>, socket: Encrypted) -> io::Result<()> {
    let Encrypted {
        listener,
        inside,
        mut tls,
        ..
    } = socket;
    match inside {
        Inside::Dns => {
            tls.alpn_protocols = vec![b"dot".to_vec()];
            server.register_tls_listener_with_tls_config(listener, TIMEOUT, Arc::new(tls))
        }
        Inside::Http => {
            tls.alpn_protocols = vec![b"h2".to_vec()];
            server.register_https_listener_with_tls_config(
                listener,
                TIMEOUT,
                Arc::new(tls),
                None,
                HTTP_PATH.into(),
            )
        }
    }
}

/// The answer call, in the shape of hickory-server.
struct Handler(Arc<Router>);

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response_handle: R,
    ) -> ResponseInfo {
        let wire = match answer(
            &self.0,
            request.as_slice(),
            Transport::Tcp,
            request.src().into(),
        )
        .await
        {
            Answered::Nothing => None,
            Answered::Now(wire) => Some(wire.into_first()),
            Answered::Later(wire) => Some(wire.await.into_first()),
        };
        // A reply that hickory-proto cannot read cannot be sent by hickory-server.
        let servfail = || Message::from_vec(&servfail(request.as_slice()));
        let message = wire.and_then(|wire| Message::from_vec(&wire).or_else(|_| servfail()).ok());
        let Some(message) = message else {
            return ResponseInfo::from(Header {
                metadata: request.metadata,
                counts: HeaderCounts::default(),
            });
        };
        let builder = MessageResponseBuilder::new(&request.queries, message.edns.as_ref());
        let response = builder.build(
            message.metadata,
            &message.answers,
            &message.authorities,
            [],
            &message.additionals,
        );
        response_handle
            .send_response(response)
            .await
            .unwrap_or_else(|error| {
                debug!(%error, client = %request.src(), "send failed");
                ResponseInfo::from(Header {
                    metadata: message.metadata,
                    counts: HeaderCounts::default(),
                })
            })
    }
}
