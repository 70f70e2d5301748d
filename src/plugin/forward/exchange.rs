//! One question to one upstream: UDP, then TCP where the reply was cut.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::message::question::Query;
use crate::message::{encode_query, is_reply_to};

/// How long one upstream may take before the next is asked: CoreDNS's read timeout.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The largest datagram that is read: three times what is asked for ([`UDP_SIZE`](crate::message::UDP_SIZE)).
const MAX_DATAGRAM: usize = 4096;

const TC: u8 = 0x02;

/// How long an answer is waited for before the datagram is sent again. Other clients that ask the same question wait
/// for this one, so it must not be lost with one datagram.
const AGAIN: [Duration; 3] = [
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_millis(750),
];

/// Asks `upstream`, first over UDP or over TCP at once; the reply is whole.
pub(super) async fn ask(
    upstream: SocketAddr,
    query: &Query,
    over_udp: bool,
) -> io::Result<Vec<u8>> {
    let exchange = async {
        if over_udp {
            let reply = udp(upstream, query).await?;
            if reply[2] & TC == 0 {
                return Ok(reply);
            }
        }
        tcp(upstream, query).await
    };
    tokio::time::timeout(TIMEOUT, exchange)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

/// Over a socket of its own: the kernel picks a random port, we a random id (RFC 5452 section 9).
async fn udp(upstream: SocketAddr, query: &Query) -> io::Result<Vec<u8>> {
    let any = if upstream.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    socket.connect(upstream).await?;
    let (id, request) = request(query);
    socket.send(&request).await?;
    for wait in AGAIN {
        if let Ok(reply) = tokio::time::timeout(wait, receive(&socket, id, query)).await {
            return reply;
        }
        socket.send(&request).await?;
    }
    receive(&socket, id, query).await
}

/// The reply. Anything else is somebody's guess, or late: the reply may still come.
async fn receive(socket: &UdpSocket, id: u16, query: &Query) -> io::Result<Vec<u8>> {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let size = socket.recv(&mut buffer).await?;
        if is_reply_to(&buffer[..size], id, &query.question) {
            buffer.truncate(size);
            return Ok(buffer);
        }
    }
}

async fn tcp(upstream: SocketAddr, query: &Query) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(upstream).await?;
    let (id, request) = request(query);
    let length = u16::try_from(request.len()).map_err(io::Error::other)?;
    stream
        .write_all(&[&length.to_be_bytes()[..], &request].concat())
        .await?;
    let mut reply = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut reply).await?;
    if !is_reply_to(&reply, id, &query.question) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "the reply is to another question",
        ));
    }
    Ok(reply)
}

fn request(query: &Query) -> (u16, Vec<u8>) {
    let id = rand::random();
    (id, encode_query(id, query))
}
