//! Datagrams to a Service: what a client sends goes to one endpoint for as long as they talk.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headless_node::{Node, Transport};
use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tracing::debug;

use super::Endpoints;

/// How long a client and an endpoint may be silent: the kernel's for two that have answered each other
/// (nf_conntrack_udp_timeout_stream).
const SILENCE: Duration = Duration::from_secs(120);

/// The most clients at a time: more are not heard.
const CLIENTS: usize = 4096;

/// Datagrams that wait for their endpoint; more are lost, as on any wire.
const WAITING: usize = 64;

/// The longest datagram, in octets.
const LONGEST: usize = 65_535;

pub(super) async fn serve(
    node: Arc<Node>,
    socket: std::net::UdpSocket,
    mut endpoints: Endpoints,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UdpSocket::from_std(socket)?);
    let mut clients = BTreeMap::<SocketAddr, mpsc::Sender<Vec<u8>>>::new();
    let mut talks = JoinSet::new();
    let mut octets = vec![0; LONGEST];
    loop {
        let (size, client) = tokio::select! {
            received = socket.recv_from(&mut octets) => match received {
                Ok(received) => received,
                // Somebody whom an answer did not reach.
                Err(_) => continue,
            },
            Some(ended) = talks.join_next() => {
                clients.remove(&ended.map_err(io::Error::other)?);
                continue;
            }
        };
        if !clients.contains_key(&client) && clients.len() < CLIENTS {
            let (give, take) = mpsc::channel(WAITING);
            clients.insert(client, give);
            let talk = Talk {
                node: Arc::clone(&node),
                socket: Arc::clone(&socket),
                client,
            };
            let to = endpoints.next();
            talks.spawn(async move {
                if let Err(error) = talk.run(to, take).await {
                    debug!(%error, %client, "datagrams to a Service are lost");
                }
                client
            });
        }
        if let Some(client) = clients.get(&client) {
            let _lost = client.try_send(octets[..size].to_vec());
        }
    }
}

/// A client and its endpoint.
struct Talk {
    node: Arc<Node>,
    socket: Arc<UdpSocket>,
    client: SocketAddr,
}

impl Talk {
    async fn run(self, to: Vec<SocketAddr>, mut from: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
        let endpoint = to.first().ok_or(io::ErrorKind::ConnectionRefused)?;
        let made = self.node.socket(None, Transport::Udp, endpoint.is_ipv6());
        let server = std::net::UdpSocket::from(made.await.map_err(io::Error::other)?);
        server.set_nonblocking(true)?;
        let server = UdpSocket::from_std(server)?;
        server.connect(endpoint).await?;
        let mut octets = vec![0; LONGEST];
        let said = async {
            loop {
                tokio::select! {
                    Some(octets) = from.recv() => { server.send(&octets).await?; }
                    size = server.recv(&mut octets) => {
                        self.socket.send_to(&octets[..size?], self.client).await?;
                    }
                    () = tokio::time::sleep(SILENCE) => return Ok(()),
                }
            }
        };
        said.await
    }
}
