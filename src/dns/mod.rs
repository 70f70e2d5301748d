//! Sockets: packets in, replies out, over UDP and TCP.
//!
//! Bind everything first, then serve; one shutdown signal ends it, after the queries at hand are answered.

mod answer;
mod encrypted;
mod tcp;
mod udp;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use answer::respond;
pub use encrypted::{CertificateError, Inside, certificate};

use crate::plugin::Router;

/// How long queries at hand may take after the shutdown signal: CoreDNS's.
const DRAIN: Duration = Duration::from_secs(5);

/// Connections that may wait to be accepted.
const BACKLOG: i32 = 1024;

/// Room for datagrams that wait to be read, in octets: a burst of some ten thousand questions.
const RECEIVE_BUFFER: usize = 4 << 20;

/// A socket that cannot be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address} ({transport}): {source}")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// `udp` or `tcp`.
    pub transport: &'static str,
    /// What the system says.
    pub source: io::Error,
}

/// The sockets of one address.
struct Listener {
    address: SocketAddr,
    udp: tokio::net::UdpSocket,
    tcp: tokio::net::TcpListener,
}

/// Sockets that are bound and not served yet.
#[derive(Default)]
pub struct Bound {
    listeners: Vec<(Listener, usize)>,
    encrypted: Vec<(encrypted::Encrypted, usize)>,
}

impl Bound {
    /// Binds UDP and TCP at `address` for the router number `router`. Port 0 is any free one, the same for both.
    ///
    /// # Errors
    /// Which address and transport cannot be had, and why.
    pub fn bind(&mut self, address: SocketAddr, router: usize) -> Result<SocketAddr, BindError> {
        let error = |address, transport| {
            move |source| BindError {
                address,
                transport,
                source,
            }
        };
        let tcp = socket(address, Type::STREAM, true).map_err(error(address, "tcp"))?;
        let bound = tcp
            .local_addr()
            .map_err(error(address, "tcp"))?
            .as_socket()
            .unwrap_or(address);
        let udp = socket(bound, Type::DGRAM, true).map_err(error(bound, "udp"))?;
        udp::want_destination(&udp, bound).map_err(error(bound, "udp"))?;
        let listener = Listener {
            address: bound,
            udp: tokio::net::UdpSocket::from_std(udp.into()).map_err(error(bound, "udp"))?,
            tcp: tokio::net::TcpListener::from_std(tcp.into()).map_err(error(bound, "tcp"))?,
        };
        self.listeners.push((listener, router));
        Ok(bound)
    }

    /// Binds every address of the machine, IPv4 and IPv6 where it has it.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub fn bind_any(&mut self, port: u16, router: usize) -> Result<SocketAddr, BindError> {
        let v4 = self.bind(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port), router)?;
        match self.bind(
            SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), v4.port()),
            router,
        ) {
            Err(error) if !is_missing_family(&error.source) => Err(error),
            Ok(_) | Err(_) => Ok(v4),
        }
    }

    /// Binds an encrypted transport at `address` for the router number `router`.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub fn bind_encrypted(
        &mut self,
        address: SocketAddr,
        router: usize,
        (inside, tls): (Inside, rustls::ServerConfig),
    ) -> Result<SocketAddr, BindError> {
        let error = |source| BindError {
            address,
            transport: "tls",
            source,
        };
        let socket = socket(address, Type::STREAM, false).map_err(error)?;
        let bound = socket
            .local_addr()
            .map_err(error)?
            .as_socket()
            .unwrap_or(address);
        let listener = tokio::net::TcpListener::from_std(socket.into()).map_err(error)?;
        self.encrypted.push((
            encrypted::Encrypted {
                address: bound,
                listener,
                inside,
                tls,
            },
            router,
        ));
        Ok(bound)
    }

    /// The addresses that are bound, those without encryption first.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let plain = self.listeners.iter().map(|(listener, _)| listener.address);
        plain
            .chain(self.encrypted.iter().map(|(socket, _)| socket.address))
            .collect()
    }

    /// Serves until `shutdown`, then answers what is at hand, for at most five seconds.
    pub async fn run(self, routers: &[Arc<Router>], shutdown: CancellationToken) {
        let tasks = TaskTracker::new();
        let tcp = Arc::new(tcp::Limits::default());
        for (listener, router) in self.listeners {
            let router = &routers[router];
            tasks.spawn(udp::serve(
                listener.udp,
                Arc::clone(router),
                tasks.clone(),
                shutdown.clone(),
            ));
            tasks.spawn(tcp::serve(
                listener.tcp,
                Arc::clone(router),
                Arc::clone(&tcp),
                tasks.clone(),
                shutdown.clone(),
            ));
        }
        for (socket, router) in self.encrypted {
            let mut server =
                hickory_server::Server::new(encrypted::Handler(Arc::clone(&routers[router])));
            if let Err(error) = encrypted::register(&mut server, socket) {
                tracing::error!(%error, "an encrypted transport cannot be served");
                continue;
            }
            let shutdown = shutdown.clone();
            tasks.spawn(async move {
                shutdown.cancelled().await;
                if let Err(error) = server.shutdown_gracefully().await {
                    tracing::debug!(%error, "an encrypted transport broke at its end");
                }
            });
        }
        shutdown.cancelled().await;
        tasks.close();
        if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
            tracing::warn!(unanswered = tasks.len(), "stopped with queries unanswered");
        }
    }
}

fn socket(address: SocketAddr, kind: Type, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None::<Protocol>)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own where replies must say which address was asked; connections know it.
        socket.set_only_v6(only_v6)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?; // a restart need not wait for old connections to time out
    } else {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Whether the machine has no such addresses at all.
fn is_missing_family(error: &io::Error) -> bool {
    use nix::errno::Errno;
    [Errno::EAFNOSUPPORT, Errno::EADDRNOTAVAIL]
        .iter()
        .any(|e| error.raw_os_error() == Some(*e as i32))
}

/// The addresses of this machine's interfaces, by interface.
///
/// # Errors
/// What the system says.
pub fn interface_addresses() -> io::Result<Vec<(String, IpAddr)>> {
    let all = nix::ifaddrs::getifaddrs()?;
    let found = all.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|a| IpAddr::V4(a.ip()));
        let ip = v4.or_else(|| address.as_sockaddr_in6().map(|a| IpAddr::V6(a.ip())))?;
        Some((interface.interface_name, ip))
    });
    Ok(found.collect())
}
