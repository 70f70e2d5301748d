//! One upstream on the network: a question over UDP, over TCP or over TLS, and the connections that are kept for the next.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, UdpSocket};
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::message::question::Query;
use crate::message::{Received, encode_query, receive};
use crate::metrics::{IntCounterVec, Metrics};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(2);

/// The largest datagram that is read: as large as any.
const MAX_DATAGRAM: usize = 65_535;

const TC: u8 = 0x02;

/// How long an answer is waited for before the datagram is sent again. Other clients that ask the same question wait
/// for this one, so it must not be lost with one datagram.
const AGAIN: [Duration; 2] = [Duration::from_millis(400), Duration::from_millis(700)];

/// What connections to an upstream may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one question may wait for its answer.
    pub read_timeout: Duration,
    /// How long a connection without a question is kept.
    pub expire: Duration,
    /// How long any connection is kept; zero: as long as it is used.
    pub max_age: Duration,
    /// How many connections without a question are kept; 0: all.
    pub max_idle: usize,
    /// The address to ask from.
    pub source: Option<IpAddr>,
}

/// TLS with an upstream: what it is trusted by, and the name that its certificate must have.
#[derive(Clone)]
pub(super) struct Encrypted {
    pub(super) connector: TlsConnector,
    pub(super) name: ServerName<'static>,
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
    tls: Option<Encrypted>,
    limits: Limits,
    idle: Mutex<Vec<Connection>>,
    metrics: Arc<Metrics>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

struct Connection {
    stream: Box<dyn Stream>,
    made: Instant,
    used: Instant,
}

impl Peer {
    pub(super) fn new(
        address: SocketAddr,
        tls: Option<Encrypted>,
        limits: Limits,
        metrics: &Arc<Metrics>,
    ) -> Self {
        Self {
            address,
            tls,
            limits,
            idle: Mutex::default(),
            metrics: Arc::clone(metrics),
        }
    }

    /// Counts a question by whether there was a connection for it.
    fn count(&self, counter: &IntCounterVec, proto: &str) {
        let to = self.address.to_string();
        counter.with_label_values(&["forward", &to, proto]).inc();
    }

    fn proto(&self) -> &'static str {
        if self.tls.is_some() { "tcp-tls" } else { "tcp" }
    }

    /// Asks, with this id; the reply is whole, unless it says otherwise.
    pub(super) async fn ask(&self, query: &Query, id: u16, way: Way) -> io::Result<Vec<u8>> {
        let exchange = async {
            if self.tls.is_some() || way == Way::Tcp {
                return self.over_connection(query, id).await;
            }
            let socket = self.udp_socket().await?;
            self.count(&self.metrics.upstreams.connections_made, "udp");
            let named = |error| self.named(&socket, error);
            let reply = self.over_udp(&socket, query, id);
            let reply = tokio::time::timeout(self.limits.read_timeout, reply).await;
            let reply = reply.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let reply = reply.map_err(named)?;
            if way == Way::Udp || reply[2] & TC == 0 {
                return Ok(reply);
            }
            // Where no connection comes about, the cut reply is better than none.
            Ok(self.over_connection(query, id).await.unwrap_or(reply))
        };
        // A connection has as long again.
        tokio::time::timeout(2 * self.limits.read_timeout, exchange)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
    }

    /// A socket for one question, for which the kernel picks a random port (RFC 5452 section 9).
    async fn udp_socket(&self) -> io::Result<UdpSocket> {
        let any = if self.address.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let from = SocketAddr::new(self.limits.source.unwrap_or(any), 0);
        let socket = UdpSocket::bind(from).await?;
        socket.connect(self.address).await?;
        Ok(socket)
    }

    /// Go's words for an error.
    fn named(&self, socket: &UdpSocket, error: io::Error) -> io::Error {
        let what = if error.kind() == io::ErrorKind::TimedOut {
            "i/o timeout"
        } else if error.kind() == io::ErrorKind::ConnectionRefused {
            "read: connection refused"
        } else {
            return error;
        };
        let Ok(from) = socket.local_addr() else {
            return error;
        };
        io::Error::other(format!("read udp {from}->{}: {what}", self.address))
    }

    async fn over_udp(&self, socket: &UdpSocket, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let request = encode_query(id, query);
        socket.send(&request).await?;
        for wait in AGAIN {
            if let Ok(reply) = tokio::time::timeout(wait, datagram(socket, id, query)).await {
                return reply;
            }
            socket.send(&request).await?;
        }
        datagram(socket, id, query).await
    }

    /// Over a connection that is there, or over a new one.
    async fn over_connection(&self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        while let Some(mut connection) = self.take() {
            match connection.ask(query, id).await {
                Ok(reply) => {
                    self.count(&self.metrics.upstreams.connections_kept, self.proto());
                    self.put(connection);
                    return Ok(reply);
                }
                // The upstream may have closed it meanwhile.
                Err(error) if is_closed(&error) => {}
                Err(error) => return Err(error),
            }
        }
        let mut connection = tokio::time::timeout(CONNECT, self.connect())
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        self.count(&self.metrics.upstreams.connections_made, self.proto());
        let reply = connection.ask(query, id).await?;
        self.put(connection);
        Ok(reply)
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
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(tcp),
            Some(Encrypted { connector, name }) => {
                Box::new(connector.connect(name.clone(), tcp).await?)
            }
        };
        let now = Instant::now();
        Ok(Connection {
            stream,
            made: now,
            used: now,
        })
    }

    /// The connection that was used last, where one is young enough.
    fn take(&self) -> Option<Connection> {
        let now = Instant::now();
        let Limits {
            expire, max_age, ..
        } = self.limits;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|kept| {
            now.duration_since(kept.used) < expire
                && (max_age.is_zero() || now.duration_since(kept.made) < max_age)
        });
        idle.pop()
    }

    fn put(&self, mut connection: Connection) {
        connection.used = Instant::now();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if self.limits.max_idle == 0 || idle.len() < self.limits.max_idle {
            idle.push(connection);
        }
    }
}

fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

impl Connection {
    async fn ask(&mut self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let request = encode_query(id, query);
        let length = u16::try_from(request.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &request].concat();
        self.stream.write_all(&framed).await?;
        let mut reply = vec![0; usize::from(self.stream.read_u16().await?)];
        self.stream.read_exact(&mut reply).await?;
        match receive(&reply, id, &query.question) {
            Received::Reply => Ok(reply),
            Received::Unusable => Err(wrong()),
            Received::Other => Err(io::Error::other("the reply cannot be read")),
        }
    }
}

/// The reply to this datagram. Anything else is somebody's guess, or late: the reply may still come.
async fn datagram(socket: &UdpSocket, id: u16, query: &Query) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let size = socket.recv(&mut buffer).await?;
        match receive(&buffer[..size], id, &query.question) {
            Received::Reply => {
                buffer.truncate(size);
                return Ok(buffer);
            }
            Received::Unusable => return Err(wrong()),
            Received::Other => {}
        }
    }
}

/// A reply with our id that is to another question, or to none: whoever asked gets FORMERR.
#[derive(Debug, thiserror::Error)]
#[error("the reply is to another question")]
struct WrongQuestion;

fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, WrongQuestion)
}

/// Whether the reply was to another question.
pub(super) fn is_wrong(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|error| error.is::<WrongQuestion>())
}
