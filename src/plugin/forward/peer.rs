//! One upstream on the network: a question over UDP, over TCP or over TLS, and the sockets that are kept for the next.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_rustls::TlsConnector;

use super::datagrams::Datagrams;
use super::error::{is_closed, timeout_between, unreadable, wrong};
use super::https::Https;
use super::pool::{Kept, Limits, Pool};
use crate::message::question::Query;
use crate::message::{Received, encode_query, receive};
use crate::metrics::Metrics;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

const TC: u8 = 0x02;

/// TLS with an upstream: what it is trusted by, and the name that its certificate must have.
#[derive(Clone)]
pub(super) struct Encrypted {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
}

/// How an upstream is asked so that nobody can read it.
pub(super) enum Secured {
    /// Over TLS.
    Tls(Encrypted),
    /// Over HTTPS.
    Https(Box<Https>),
}

/// Over what an upstream is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Way {
    /// A datagram; a reply that is cut is passed on so.
    Udp,
    /// A datagram, and a connection where the reply is cut.
    UdpThenTcp,
    /// A connection at once.
    Tcp,
}

/// An upstream.
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    secured: Option<Secured>,
    limits: Limits,
    datagrams: Pool<Datagrams>,
    connections: Pool<Connection>,
    metrics: Arc<Metrics>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection of either kind.
struct Connection {
    stream: Box<dyn Stream>,
    from: SocketAddr,
}

impl Peer {
    pub(super) fn new(
        address: SocketAddr,
        secured: Option<Secured>,
        limits: Limits,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            address,
            secured,
            limits,
            datagrams: Pool::default(),
            connections: Pool::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Counts a question by whether there was a socket for it.
    fn count(&self, was_kept: bool, proto: &str) {
        let upstreams = &self.metrics.upstreams;
        let counter = if was_kept {
            &upstreams.connections_kept
        } else {
            &upstreams.connections_made
        };
        let to = self.address.to_string();
        counter.with_label_values(&["forward", &to, proto]).inc();
    }

    fn proto(&self) -> &'static str {
        if self.secured.is_some() {
            "tcp-tls"
        } else {
            "tcp"
        }
    }

    /// Asks, with this id; the reply is whole, unless it says otherwise.
    pub(super) async fn ask(&self, query: &Query, id: u16, way: Way) -> io::Result<Vec<u8>> {
        // What waits for a datagram takes no room for what a connection needs.
        let connection = || self.over_connection(query, id).boxed();
        let exchange = async {
            match &self.secured {
                Some(Secured::Https(https)) => return https.ask(query).boxed().await,
                Some(Secured::Tls(_)) => return connection().await,
                None if way == Way::Tcp => return connection().await,
                None => {}
            }
            let reply = self.over_udp(query, id).await?;
            if way == Way::Udp || reply[2] & TC == 0 {
                return Ok(reply);
            }
            // Where no connection comes about, the cut reply is better than none.
            Ok(connection().await.unwrap_or(reply))
        };
        // A connection has as long again.
        in_time(2 * self.limits.read_timeout, exchange).await
    }

    /// Whether it answers, asked with a socket of its own.
    pub(super) async fn probe(&self, query: &Query, way: Way) -> bool {
        let id = rand::random();
        let exchange = async {
            match &self.secured {
                Some(Secured::Https(https)) => https.ask(query).await,
                None if way != Way::Tcp => {
                    let mut socket = Datagrams::connect(self.address, self.limits.source).await?;
                    socket.ask(query, id).await
                }
                Some(Secured::Tls(_)) | None => self.connect().await?.ask(query, id).await,
            }
        };
        in_time(self.limits.read_timeout, exchange).await.is_ok()
    }

    /// Over a socket that is there, or over a new one.
    async fn over_udp(&self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let kept = self.datagrams.take(&self.limits);
        self.count(kept.is_some(), "udp");
        let mut kept = match kept {
            Some(kept) => kept,
            None => Kept::new(Datagrams::connect(self.address, self.limits.source).await?),
        };
        let reply = in_time(self.limits.read_timeout, kept.socket.ask(query, id)).await;
        let reply = reply.map_err(|error| kept.socket.named(error, self.address))?;
        if kept.socket.is_reusable() {
            self.datagrams.put(kept, &self.limits);
        }
        Ok(reply)
    }

    /// Over a connection that is there, or over a new one.
    async fn over_connection(&self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        while let Some(mut kept) = self.connections.take(&self.limits) {
            match self.reply(&mut kept.socket, query, id).await {
                Ok(reply) => {
                    self.count(true, self.proto());
                    self.connections.put(kept, &self.limits);
                    return Ok(reply);
                }
                // The upstream may have closed it meanwhile.
                Err(error) if is_closed(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut kept = Kept::new(in_time(CONNECT, self.connect()).await?);
        self.count(false, self.proto());
        let reply = self.reply(&mut kept.socket, query, id).await?;
        self.connections.put(kept, &self.limits);
        Ok(reply)
    }

    /// Asks over a connection, and waits as long as the file says.
    async fn reply(
        &self,
        connection: &mut Connection,
        query: &Query,
        id: u16,
    ) -> io::Result<Vec<u8>> {
        let from = connection.from;
        let reply = in_time(self.limits.read_timeout, connection.ask(query, id)).await;
        reply.map_err(|error| timeout_between("tcp", (from, self.address), error))
    }

    async fn connect(&self) -> io::Result<Connection> {
        let socket = if self.address.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(source) = self.limits.source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let tcp = socket.connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let from = tcp.local_addr()?;
        let stream: Box<dyn Stream> = match &self.secured {
            None | Some(Secured::Https(_)) => Box::new(tcp),
            Some(Secured::Tls(Encrypted { connector, name })) => {
                Box::new(connector.connect(name.clone(), tcp).await?)
            }
        };
        Ok(Connection { stream, from })
    }
}

/// What comes of it, or that it took too long. No `async fn`: that would hold what it waits for twice, and thousands wait.
fn in_time<T>(
    time: Duration,
    it: impl Future<Output = io::Result<T>>,
) -> impl Future<Output = io::Result<T>> {
    tokio::time::timeout(time, it)
        .map(|ended| ended.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())))
}

impl Connection {
    async fn ask(&mut self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let request = encode_query(id, query);
        let length = u16::try_from(request.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &request].concat();
        self.stream.write_all(&framed).await?;
        loop {
            let mut reply = vec![0; usize::from(self.stream.read_u16().await?)];
            self.stream.read_exact(&mut reply).await?;
            match receive(&reply, id, &query.question) {
                Received::Reply => return Ok(reply),
                Received::Unusable => return Err(wrong()),
                Received::Unreadable => return Err(unreadable()),
                // The reply may still come.
                Received::Other => {}
            }
        }
    }
}
