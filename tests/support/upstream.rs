//! An upstream: a DNS server on UDP and TCP of one port that says what it is told to say.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

/// How a request came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// As a datagram.
    Udp,
    /// On a connection.
    Tcp,
}

/// What is said to a request, in octets; `None`: nothing.
type Says = Arc<dyn Fn(&[u8], Over) -> Option<Vec<u8>> + Send + Sync>;

/// Starts one, for as long as the runtime lives.
pub async fn upstream(
    says: impl Fn(&[u8], Over) -> Option<Vec<u8>> + Send + Sync + 'static,
) -> SocketAddr {
    let (udp, tcp) = sockets().await;
    let address = tcp.local_addr().unwrap();
    let says: Says = Arc::new(says);
    tokio::spawn(over_udp(udp, Arc::clone(&says)));
    tokio::spawn(async move {
        loop {
            let (stream, _) = tcp.accept().await.unwrap();
            tokio::spawn(over_tcp(stream, Arc::clone(&says)));
        }
    });
    address
}

/// Both sockets on one port: one that is free for TCP may be taken for UDP.
async fn sockets() -> (UdpSocket, TcpListener) {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().unwrap()).await {
            return (udp, tcp);
        }
    }
}

async fn over_udp(socket: UdpSocket, says: Says) {
    let mut packet = [0; 4096];
    loop {
        let (size, peer) = socket.recv_from(&mut packet).await.unwrap();
        if let Some(reply) = says(&packet[..size], Over::Udp) {
            socket.send_to(&reply, peer).await.unwrap();
        }
    }
}

/// One after the other, until the client goes.
async fn over_tcp(mut stream: TcpStream, says: Says) {
    while let Ok(length) = stream.read_u16().await {
        let mut packet = vec![0; usize::from(length)];
        stream.read_exact(&mut packet).await.unwrap();
        if let Some(reply) = says(&packet, Over::Tcp) {
            let length = u16::try_from(reply.len()).unwrap();
            stream.write_u16(length).await.unwrap();
            stream.write_all(&reply).await.unwrap();
        }
    }
}
