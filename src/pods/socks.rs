//! SOCKS 5 (RFC 1928): programs of this machine reach every name and address of the cluster, without authentication.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use headless_node::Node;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tracing::{debug, warn};

use super::connect;

/// How long a client may take to say what it wants.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long to wait where no connection can be accepted, as no file is left.
const PAUSE: Duration = Duration::from_secs(1);

const VERSION: u8 = 5;
/// The method without authentication, and that none will do.
const OPEN: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
/// Kinds of addresses.
const V4: u8 = 1;
const NAME: u8 = 3;
const V6: u8 = 4;

/// What a request comes to (section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Connected = 0,
    HostUnreachable = 4,
    Refused = 5,
    NoSuchCommand = 7,
    NoSuchAddress = 8,
}

/// Whom a client wants to reach.
#[derive(Debug, PartialEq, Eq)]
enum Target {
    Address(SocketAddr),
    Name(String, u16),
}

/// The addresses of a name.
pub type Resolve = Arc<dyn Fn(String) -> BoxFuture<'static, Vec<IpAddr>> + Send + Sync>;

/// Serves clients until this is dropped.
pub async fn serve(listener: TcpListener, node: Arc<Node>, resolve: Resolve) {
    // They end with this.
    let mut clients = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_ended) = clients.join_next() => continue,
        };
        match accepted {
            Ok((stream, _)) => {
                let (node, resolve) = (Arc::clone(&node), Arc::clone(&resolve));
                clients.spawn(async move {
                    if let Err(error) = carry(stream, &node, &resolve).await {
                        debug!(%error, "a SOCKS connection has ended");
                    }
                });
            }
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn carry(mut client: TcpStream, node: &Node, resolve: &Resolve) -> io::Result<()> {
    let asked = tokio::time::timeout(PATIENCE, asked(&mut client)).await??;
    let target = match asked {
        Ok(target) => target,
        Err(outcome) => return refuse(client, outcome).await,
    };
    let addresses = match target {
        Target::Address(address) => vec![address],
        Target::Name(name, port) => {
            let found = resolve(name).await.into_iter();
            found.map(|ip| SocketAddr::new(ip, port)).collect()
        }
    };
    let mut outcome = Outcome::HostUnreachable;
    for address in addresses {
        match connect(node, None, address).await {
            Ok(mut server) => {
                answer(&mut client, Outcome::Connected).await?;
                tokio::io::copy_bidirectional(&mut client, &mut server).await?;
                return Ok(());
            }
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                outcome = Outcome::Refused;
            }
            Err(_) => {}
        }
    }
    refuse(client, outcome).await
}

/// Says why not. Closed with something unread in it the connection would be reset, and the reply with it (RFC 1928 section 6:
/// within ten seconds).
async fn refuse(mut client: TcpStream, outcome: Outcome) -> io::Result<()> {
    answer(&mut client, outcome).await?;
    client.shutdown().await?;
    let mut nowhere = tokio::io::sink();
    let unread = tokio::io::copy(&mut client, &mut nowhere);
    let _impatient = tokio::time::timeout(PATIENCE, unread).await;
    Ok(())
}

/// What a client wants, after it was let in.
async fn asked(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
) -> io::Result<Result<Target, Outcome>> {
    if stream.read_u8().await? != VERSION {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "SOCKS 5 was expected",
        ));
    }
    let mut methods = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut methods).await?;
    let method = if methods.contains(&OPEN) {
        OPEN
    } else {
        NO_METHOD
    };
    stream.write_all(&[VERSION, method]).await?;
    if method == NO_METHOD {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let [_version, command, _reserved, kind] = stream.read_u32().await?.to_be_bytes();
    let host = match kind {
        V4 => Ok(IpAddr::from(Ipv4Addr::from(stream.read_u32().await?))),
        V6 => Ok(IpAddr::from(Ipv6Addr::from(stream.read_u128().await?))),
        NAME => {
            let mut name = vec![0; usize::from(stream.read_u8().await?)];
            stream.read_exact(&mut name).await?;
            let name = String::from_utf8_lossy(&name).into_owned();
            // Some clients send addresses so.
            name.parse().map_err(|_| name)
        }
        _ => return Ok(Err(Outcome::NoSuchAddress)),
    };
    let port = stream.read_u16().await?;
    if command != CONNECT {
        return Ok(Err(Outcome::NoSuchCommand));
    }
    Ok(Ok(match host {
        Ok(ip) => Target::Address(SocketAddr::new(ip, port)),
        Err(name) => Target::Name(name, port),
    }))
}

/// Says what a request has come to; the address that was bound is nobody's concern.
async fn answer(stream: &mut (impl AsyncWrite + Unpin), outcome: Outcome) -> io::Result<()> {
    let octets = [VERSION, outcome as u8, 0, V4, 0, 0, 0, 0, 0, 0];
    stream.write_all(&octets).await
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client is told first, and what is made of its request.
    async fn heard(octets: &[u8]) -> (Vec<u8>, Result<Result<Target, Outcome>, io::ErrorKind>) {
        let (mut near, mut far) = tokio::io::duplex(64);
        far.write_all(octets).await.unwrap();
        let asked = asked(&mut near).await.map_err(|error| error.kind());
        drop(near);
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.unwrap();
        (told, asked)
    }

    #[tokio::test]
    async fn names_and_addresses_are_asked_for() {
        let request = |rest: &[u8]| [&[5, 2, 2, 0, 5, 1, 0][..], rest].concat();
        let name = Target::Name("redis-0.redis".into(), 6379);
        let told = heard(&request(b"\x03\x0dredis-0.redis\x18\xeb")).await;
        assert_eq!(told, (vec![5, 0], Ok(Ok(name))));
        for octets in [
            &b"\x01\x0a\xf4\x00\x02\x00\x50"[..],
            b"\x03\x0a10.244.0.2\x00\x50",
        ] {
            let address = Target::Address("10.244.0.2:80".parse().unwrap());
            assert_eq!(heard(&request(octets)).await.1, Ok(Ok(address)));
        }
    }

    #[tokio::test]
    async fn a_refusal_reaches_who_has_said_more_already() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (mut client, (server, _)) = (client.unwrap(), accepted.unwrap());
        client.write_all(b"PING").await.unwrap();
        // It is there before the refusal.
        server.readable().await.unwrap();
        let client = async move {
            let mut told = Vec::new();
            let read = client.read_to_end(&mut told).await;
            (read.map_err(|error| error.kind()), told)
        };
        let (refused, told) = tokio::join!(refuse(server, Outcome::Refused), client);
        refused.unwrap();
        assert_eq!(told, (Ok(10), vec![5, 5, 0, 1, 0, 0, 0, 0, 0, 0]));
    }

    #[tokio::test]
    async fn what_is_not_served_is_said() {
        let bind = heard(&[5, 1, 0, 5, 2, 0, 1, 0, 0, 0, 0, 0, 80]).await;
        assert_eq!(bind.1, Ok(Err(Outcome::NoSuchCommand)));
        let kind = heard(&[5, 1, 0, 5, 1, 0, 9]).await;
        assert_eq!(kind.1, Ok(Err(Outcome::NoSuchAddress)));
        let method = heard(&[5, 1, 2]).await;
        assert_eq!(
            method,
            (vec![5, 0xff], Err(io::ErrorKind::PermissionDenied))
        );
        assert_eq!(
            heard(b"GET / HTTP/1.1").await.1,
            Err(io::ErrorKind::InvalidData)
        );
    }
}
