//! What comes in at the addresses of Services: each connection, and each client's datagrams, go to one of the endpoints.

mod datagrams;
mod streams;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};

use headless_cluster::runtime::{Entrance, Protocol, Routes, Side};
use headless_node::{Node, Transport};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::warn;

use super::locked;

/// The entrances that are served.
#[derive(Debug, Default)]
pub(super) struct Proxy(Mutex<BTreeMap<Entrance, Served>>);

#[derive(Debug)]
struct Served {
    to: watch::Sender<Vec<SocketAddr>>,
    task: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Where what comes in goes: each time to the next.
struct Endpoints {
    all: watch::Receiver<Vec<SocketAddr>>,
    turn: usize,
}

impl Endpoints {
    /// All, the one whose turn it is first.
    fn next(&mut self) -> Vec<SocketAddr> {
        self.turn = self.turn.wrapping_add(1);
        let mut all = self.all.borrow().clone();
        if !all.is_empty() {
            let first = self.turn % all.len();
            all.rotate_left(first);
        }
        all
    }
}

impl Proxy {
    /// Serves these entrances and no others.
    pub(super) fn route(&self, node: &Arc<Node>, routes: Routes) {
        let mut served = locked(&self.0);
        served.retain(|entrance, _| routes.contains_key(entrance));
        for (entrance, to) in routes {
            if let Some(known) = served.get(&entrance) {
                known.to.send_replace(to);
                continue;
            }
            let (give, take) = watch::channel(to);
            let node = Arc::clone(node);
            let endpoints = Endpoints { all: take, turn: 0 };
            let task = tokio::spawn(async move {
                let address = entrance.address;
                if let Err(error) = serve(node, entrance, endpoints).await {
                    warn!(%error, %address, "the address of a Service is not served");
                }
            });
            served.insert(entrance, Served { to: give, task });
        }
    }
}

async fn serve(node: Arc<Node>, entrance: Entrance, endpoints: Endpoints) -> io::Result<()> {
    match entrance.protocol {
        Protocol::Tcp => {
            let socket = socket(&node, entrance, Transport::Tcp).await?;
            streams::serve(node, (socket.into(), entrance.address), endpoints).await
        }
        Protocol::Udp => {
            let socket = socket(&node, entrance, Transport::Udp).await?;
            datagrams::serve(node, socket.into(), endpoints).await
        }
    }
}

/// A socket that listens there.
async fn socket(node: &Node, entrance: Entrance, transport: Transport) -> io::Result<OwnedFd> {
    let address = entrance.address;
    match (entrance.side, transport) {
        (Side::Node, _) => {
            let socket = node.listen(address, transport).await;
            socket.map_err(io::Error::other)
        }
        (Side::Host, Transport::Tcp) => std::net::TcpListener::bind(address).map(OwnedFd::from),
        (Side::Host, Transport::Udp) => std::net::UdpSocket::bind(address).map(OwnedFd::from),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_endpoint_has_its_turn() {
        let all: Vec<SocketAddr> = ["10.0.0.1:1", "10.0.0.2:1"]
            .map(|text| text.parse().unwrap())
            .into();
        let (give, take) = watch::channel(all.clone());
        let mut endpoints = Endpoints { all: take, turn: 0 };
        let firsts: Vec<_> = (0..3).map(|_| endpoints.next()[0]).collect();
        assert_eq!(firsts, [all[1], all[0], all[1]]);
        give.send_replace(vec![]);
        assert_eq!(endpoints.next(), []);
    }
}
