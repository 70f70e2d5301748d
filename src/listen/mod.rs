//! Sockets: packets in, replies out, over UDP and TCP.
//!
//! Bind everything first, then serve; one shutdown signal ends it, after the queries at hand are answered.

mod accept;
mod answer;
mod certificate;
mod datagrams;
mod encrypted;
mod filter;
mod handler;
mod heard;
mod https;
mod lane;
mod limits;
mod lingering;
mod shares;
mod tcp;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use answer::Behind;
pub use answer::respond;
pub use certificate::{CertificateError, certificate, log_keys, no_certificate};
pub use encrypted::Inside;
use encrypted::Tls;
pub use handler::Handler;
pub use heard::Heard;
pub use limits::Budget;

use crate::plugin::Router;

/// How long queries at hand may take after the shutdown signal: CoreDNS's.
const DRAIN: Duration = Duration::from_secs(5);

/// How many ports are tried where any will do: where half of all are taken, one of these is free all the same.
const TRIES: u32 = 16;

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

/// A socket that is served no more, though nobody asked for that.
#[derive(Debug, thiserror::Error)]
#[error("the server at {0} has ended: {1}")]
pub struct ServerEnded(String, String);

/// The sockets of one address.
struct Listener {
    address: SocketAddr,
    /// One for each lane.
    udp: Vec<UdpSocket>,
    tcp: tokio::net::TcpListener,
}

/// The socket of an encrypted transport.
struct Encrypted {
    address: SocketAddr,
    listener: tokio::net::TcpListener,
    tls: Tls,
}

/// Sockets that are bound and not served yet.
pub struct Bound {
    /// How many threads answer datagrams at each address.
    lanes: usize,
    listeners: Vec<(Listener, Arc<Router>)>,
    encrypted: Vec<(Encrypted, Arc<Router>)>,
    heard: Heard,
    /// Of the server that this one takes over from.
    previous: Kept,
    /// These sockets, for a server that takes over from this one.
    kept: Kept,
}

/// Sockets that one server hands to the next: they stay open between the two, so that no query is lost.
#[derive(Default)]
pub struct Kept(Vec<(SocketAddr, Type, Socket)>);

impl Kept {
    /// The same sockets once more.
    ///
    /// # Errors
    /// What the system says, mostly that there are too many.
    pub fn try_clone(&self) -> io::Result<Self> {
        let again =
            |(at, kind, socket): &(SocketAddr, Type, Socket)| Ok((*at, *kind, socket.try_clone()?));
        self.0
            .iter()
            .map(again)
            .collect::<io::Result<_>>()
            .map(Self)
    }

    fn has_port(&self, port: u16, kind: Type) -> bool {
        self.0
            .iter()
            .any(|(at, is, _)| (at.port(), *is) == (port, kind))
    }

    /// That of lane `lane`.
    fn find(&self, address: SocketAddr, kind: Type, lane: usize) -> Option<&Socket> {
        let mut fits = self
            .0
            .iter()
            .filter(|(at, is, _)| (*at, *is) == (address, kind));
        fits.nth(lane).map(|(.., socket)| socket)
    }
}

impl Bound {
    /// Takes over the sockets of another server, where it has the same. `lanes`: how many threads answer datagrams at each
    /// address.
    #[must_use]
    pub fn taking_over(previous: Kept, lanes: usize) -> Self {
        Self {
            lanes,
            listeners: Vec::new(),
            encrypted: Vec::new(),
            heard: Heard::default(),
            previous,
            kept: Kept::default(),
        }
    }

    /// The sockets, for a server that takes over from this one.
    #[must_use]
    pub fn keep(&mut self) -> Kept {
        std::mem::take(&mut self.kept)
    }

    /// The other server's socket at this address, or a new one.
    fn socket(
        &mut self,
        address: SocketAddr,
        (kind, lane): (Type, usize),
        only_v6: bool,
    ) -> io::Result<Socket> {
        let socket = match self.previous.find(address, kind, lane) {
            Some(kept) => kept.try_clone()?,
            None => {
                let own = [&self.previous, &self.kept];
                if !own.iter().any(|kept| kept.has_port(address.port(), kind)) {
                    check_free(address, kind)?;
                }
                socket(address, kind, only_v6)?
            }
        };
        self.kept.0.push((address, kind, socket.try_clone()?));
        Ok(socket)
    }

    /// Binds UDP and TCP at `address`, where `router` answers. Port 0 is any free one, the same for both.
    ///
    /// # Errors
    /// Which address and transport cannot be had, and why.
    pub fn bind(
        &mut self,
        address: SocketAddr,
        router: Arc<Router>,
    ) -> Result<SocketAddr, BindError> {
        self.until_free(address.port(), |bound| {
            bound.bind_once(address, Arc::clone(&router))
        })
    }

    /// Binds once where the port is told. One that is free for connections may be taken for datagrams, or in the other
    /// family: where any will do, another is tried.
    fn until_free(
        &mut self,
        port: u16,
        bind: impl Fn(&mut Self) -> Result<SocketAddr, BindError>,
    ) -> Result<SocketAddr, BindError> {
        let mut tries = if port == 0 { TRIES } else { 1 };
        loop {
            let before = (self.kept.0.len(), self.listeners.len());
            tries -= 1;
            match bind(self) {
                Err(error) if tries > 0 && error.source.kind() == io::ErrorKind::AddrInUse => {
                    self.kept.0.truncate(before.0);
                    self.listeners.truncate(before.1);
                }
                bound => return bound,
            }
        }
    }

    fn bind_once(
        &mut self,
        address: SocketAddr,
        router: Arc<Router>,
    ) -> Result<SocketAddr, BindError> {
        let error = |address, transport| {
            move |source| BindError {
                address,
                transport,
                source,
            }
        };
        let tcp = self
            .socket(address, (Type::STREAM, 0), true)
            .map_err(error(address, "tcp"))?;
        let bound = tcp
            .local_addr()
            .map_err(error(address, "tcp"))?
            .as_socket()
            .unwrap_or(address);
        let mut udp = Vec::new();
        for lane in 0..self.lanes {
            let socket = self.socket(bound, (Type::DGRAM, lane), true);
            let socket = socket.map_err(error(bound, "udp"))?;
            datagrams::prepare(&socket, bound).map_err(error(bound, "udp"))?;
            udp.push(socket.into());
        }
        let listener = Listener {
            address: bound,
            udp,
            tcp: tokio::net::TcpListener::from_std(tcp.into()).map_err(error(bound, "tcp"))?,
        };
        self.listeners.push((listener, router));
        Ok(bound)
    }

    /// Serves sockets that somebody else has bound, beside the others: `router` answers there too.
    ///
    /// # Errors
    /// Which of the two cannot be used, and why.
    pub fn adopt(
        &mut self,
        (udp, tcp): (UdpSocket, std::net::TcpListener),
        router: Arc<Router>,
    ) -> Result<(), BindError> {
        let unspecified = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
        let address = tcp.local_addr().unwrap_or(unspecified);
        let error = |transport| {
            move |source| BindError {
                address,
                transport,
                source,
            }
        };
        let udp = Socket::from(udp);
        let prepared = datagrams::prepare(&udp, address);
        prepared.map_err(error("udp"))?;
        let listening = tcp.set_nonblocking(true);
        let tcp = listening.and_then(|()| tokio::net::TcpListener::from_std(tcp));
        let listener = Listener {
            address,
            udp: vec![udp.into()],
            tcp: tcp.map_err(error("tcp"))?,
        };
        self.listeners.push((listener, router));
        Ok(())
    }

    /// Binds every address of the machine, IPv4 and IPv6 where it has it.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub fn bind_any(&mut self, port: u16, router: Arc<Router>) -> Result<SocketAddr, BindError> {
        self.until_free(port, |bound| {
            let v4 = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port);
            let v4 = bound.bind_once(v4, Arc::clone(&router))?;
            let v6 = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), v4.port());
            match bound.bind_once(v6, Arc::clone(&router)) {
                Err(error) if !is_missing_family(&error.source) => Err(error),
                Ok(_) | Err(_) => Ok(v4),
            }
        })
    }

    /// Binds an encrypted transport at `address`, where `router` answers.
    ///
    /// # Errors
    /// As [`Bound::bind`].
    pub fn bind_encrypted(
        &mut self,
        address: SocketAddr,
        router: Arc<Router>,
        (inside, tls): (Inside, rustls::ServerConfig),
    ) -> Result<SocketAddr, BindError> {
        let error = |source| BindError {
            address,
            transport: "tls",
            source,
        };
        let socket = self
            .socket(address, (Type::STREAM, 0), false)
            .map_err(error)?;
        let bound = socket
            .local_addr()
            .map_err(error)?
            .as_socket()
            .unwrap_or(address);
        let listener = tokio::net::TcpListener::from_std(socket.into()).map_err(error)?;
        self.encrypted.push((
            Encrypted {
                address: bound,
                listener,
                tls: Tls::new(inside, tls),
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

    /// Counts the datagrams that come.
    #[must_use]
    pub fn heard(&self) -> Heard {
        self.heard.clone()
    }

    /// What answers on each of the sockets, those without encryption first.
    #[must_use]
    pub fn routers(&self) -> Vec<Arc<Router>> {
        let plain = self.listeners.iter().map(|(_, router)| router);
        let encrypted = self.encrypted.iter().map(|(_, router)| router);
        plain.chain(encrypted).map(Arc::clone).collect()
    }

    /// Serves until `shutdown`, then answers what is at hand, for at most five seconds. `budget`: what clients may take.
    ///
    /// # Errors
    /// A socket whose server has ended by itself, or broke.
    pub async fn run(self, shutdown: CancellationToken, budget: Budget) -> Result<(), ServerEnded> {
        // What the server before had and this one has not is served no more.
        drop((self.previous, self.kept));
        let tasks = TaskTracker::new();
        let mut servers = Servers::default();
        let limits = limits::Limits::new(budget);
        let behind = |router| Behind {
            router,
            limits: limits.clone(),
            tasks: tasks.clone(),
            heard: self.heard.clone(),
        };
        for (listener, router) in self.listeners {
            let (at, behind) = (listener.address, behind(router));
            let udp = lane::serve(listener.udp, behind.clone(), shutdown.clone());
            servers.add(format!("{at} (udp)"), udp);
            let tcp = accept::serve(listener.tcp, None, behind, shutdown.clone());
            servers.add(format!("{at} (tcp)"), tcp);
        }
        for (socket, router) in self.encrypted {
            let at = format!("{} (tls)", socket.address);
            let (tls, stop) = (Some(socket.tls), shutdown.clone());
            let server = accept::serve(socket.listener, tls, behind(router), stop);
            servers.add(at, server);
        }
        servers.until(&shutdown).await?;
        tasks.close();
        let drained = async {
            servers.ended().await;
            tasks.wait().await;
        };
        if tokio::time::timeout(DRAIN, drained).await.is_err() {
            tracing::warn!(unanswered = tasks.len(), "stopped with queries unanswered");
        }
        Ok(())
    }
}

/// The tasks that serve sockets, each with its socket's name.
#[derive(Default)]
struct Servers {
    tasks: JoinSet<()>,
    names: HashMap<Id, String>,
}

impl Servers {
    fn add(&mut self, name: String, server: impl Future<Output = ()> + Send + 'static) {
        let task = self.tasks.spawn(server);
        self.names.insert(task.id(), name);
    }

    /// Waits for `shutdown`; one that ends before is an error.
    async fn until(&mut self, shutdown: &CancellationToken) -> Result<(), ServerEnded> {
        let ended = tokio::select! {
            biased;
            () = shutdown.cancelled() => return Ok(()),
            Some(ended) = self.tasks.join_next_with_id() => ended,
            else => {
                shutdown.cancelled().await;
                return Ok(());
            }
        };
        let (id, why) = match ended {
            Ok((id, ())) => (id, "it stopped by itself".to_owned()),
            Err(error) => (error.id(), error.to_string()),
        };
        let name = self.names.remove(&id).unwrap_or_default();
        Err(ServerEnded(name, why))
    }

    async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// An error where another program has the address: two that let others share theirs would share the queries.
fn check_free(address: SocketAddr, kind: Type) -> io::Result<()> {
    let socket = Socket::new(Domain::for_address(address), kind, None::<Protocol>)?;
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    }
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())
}

fn socket(address: SocketAddr, kind: Type, only_v6: bool) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, None::<Protocol>)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own, so that datagrams leave from the address that was asked; an encrypted transport
        // takes both families on one socket.
        socket.set_only_v6(only_v6)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?; // a restart need not wait for old connections to time out
    } else {
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
    }
    // One address may be bound beside all of them: its own block answers there.
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

/// Whether the error says that the machine has no addresses of that family.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn until(server: impl Future<Output = ()> + Send + 'static, stop: bool) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut servers = Servers::default();
            servers.add("127.0.0.1:53 (udp)".into(), server);
            let shutdown = CancellationToken::new();
            if stop {
                shutdown.cancel();
            }
            match servers.until(&shutdown).await {
                Ok(()) => "told to stop".into(),
                Err(ended) => ended.to_string(),
            }
        })
    }

    #[test]
    fn another_port_is_tried_where_any_will_do() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let bind = |port, taken: u32| {
            let tries = std::cell::Cell::new(0);
            let mut bound = Bound::taking_over(Kept::default(), 1);
            let ended = bound.until_free(port, |_| {
                tries.set(tries.get() + 1);
                if tries.get() > taken {
                    return Ok(address);
                }
                Err(BindError {
                    address,
                    transport: "udp",
                    source: io::ErrorKind::AddrInUse.into(),
                })
            });
            (ended.is_ok(), tries.get())
        };
        assert_eq!(bind(0, 2), (true, 3));
        assert_eq!(bind(0, 99), (false, TRIES));
        assert_eq!(bind(53, 1), (false, 1));
    }

    #[test]
    fn a_server_that_ends_or_breaks_is_noticed() {
        let name = "the server at 127.0.0.1:53 (udp) has ended: ";
        assert_eq!(until(std::future::pending(), true), "told to stop");
        let ended = until(std::future::ready(()), false);
        assert_eq!(ended, format!("{name}it stopped by itself"));
        let broken = until(async { panic!("as told") }, false);
        assert!(
            broken.starts_with(name) && broken.ends_with("as told\""),
            "{broken}"
        );
    }
}
