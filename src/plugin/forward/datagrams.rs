//! A question to an upstream over UDP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::error::{timeout_between, unreadable, wrong};
use crate::message::question::Query;
use crate::message::{Received, encode_query, receive};

/// The largest datagram that is read: as large as any.
const MAX_DATAGRAM: usize = 65_535;

/// How long an answer is waited for before the datagram is sent again: longer than most names take that the upstream has to
/// look for itself, and shorter than a client waits. Other clients that ask the same question wait for this one, so it must
/// not be lost with one datagram.
const AGAIN: Duration = Duration::from_millis(1200);

/// How long a better reply is waited for after one with the right id that is of no use: whoever guesses ids is mostly
/// quicker than the upstream, which is near (RFC 5452 section 9.1).
const BETTER: Duration = Duration::from_millis(250);

/// How many questions a socket has: whoever has found its port out is not to have it for long (RFC 5452 section 9).
pub(super) const QUESTIONS: u32 = 16;

/// A socket, whose port the kernel has picked at random.
pub(super) struct Datagrams {
    socket: UdpSocket,
    asked: u32,
    /// A datagram was sent more than once: another reply to it may come.
    repeated: bool,
}

impl Datagrams {
    pub(super) async fn connect(to: SocketAddr, source: Option<IpAddr>) -> io::Result<Self> {
        let any = if to.is_ipv4() {
            Ipv4Addr::UNSPECIFIED.into()
        } else {
            Ipv6Addr::UNSPECIFIED.into()
        };
        let socket = UdpSocket::bind(SocketAddr::new(source.unwrap_or(any), 0)).await?;
        socket.connect(to).await?;
        Ok(Self {
            socket,
            asked: 0,
            repeated: false,
        })
    }

    /// Whether it may have another question.
    pub(super) fn is_reusable(&self) -> bool {
        self.asked < QUESTIONS && !self.repeated
    }

    /// Asks, until there is a reply.
    pub(super) async fn ask(&mut self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let request = encode_query(id, query);
        self.asked += 1;
        self.socket.send(&request).await?;
        if let Ok(reply) = tokio::time::timeout(AGAIN, self.reply(query, id)).await {
            return reply;
        }
        self.repeated = true;
        self.socket.send(&request).await?;
        self.reply(query, id).await
    }

    /// The reply. Anything else is somebody's guess, or late: the reply may still come.
    async fn reply(&self, query: &Query, id: u16) -> io::Result<Vec<u8>> {
        let useless = loop {
            let reply = self.next().await?;
            match receive(&reply, id, &query.question) {
                Received::Reply => return Ok(reply),
                Received::Unusable => break wrong(),
                Received::Unreadable => break unreadable(),
                Received::Other => {}
            }
        };
        let until = Instant::now() + BETTER;
        loop {
            let Ok(reply) = timeout_at(until, self.next()).await else {
                return Err(useless);
            };
            let reply = reply?;
            if receive(&reply, id, &query.question) == Received::Reply {
                return Ok(reply);
            }
        }
    }

    /// The next datagram.
    async fn next(&self) -> io::Result<Vec<u8>> {
        loop {
            // Thousands may wait at a time: room is made when there is something to read. To look at it tells of errors too,
            // which make a socket not readable.
            self.socket.peek(&mut [0]).await?;
            let mut datagram = Vec::with_capacity(MAX_DATAGRAM);
            match self.socket.try_recv_buf(&mut datagram) {
                Ok(_) => {
                    datagram.shrink_to_fit();
                    return Ok(datagram);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The same error in Go's words.
    pub(super) fn named(&self, error: io::Error, to: SocketAddr) -> io::Error {
        let Ok(from) = self.socket.local_addr() else {
            return error;
        };
        if error.kind() == io::ErrorKind::ConnectionRefused {
            return io::Error::other(format!("read udp {from}->{to}: read: connection refused"));
        }
        timeout_between("udp", (from, to), error)
    }
}
