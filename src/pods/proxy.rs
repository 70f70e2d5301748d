//! Connections to the addresses of Services: each is carried to one of the endpoints.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use headless_cluster::runtime::Routes;
use headless_node::{Node, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use super::{connect, locked};

/// How long to wait where no connection can be accepted, as no file is left.
const PAUSE: Duration = Duration::from_secs(1);

/// The addresses that are served.
#[derive(Debug, Default)]
pub(super) struct Proxy(Mutex<BTreeMap<SocketAddr, Served>>);

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

impl Proxy {
    /// Serves these addresses and no others.
    pub(super) fn route(&self, node: &Arc<Node>, routes: Routes) {
        let mut served = locked(&self.0);
        served.retain(|address, _| routes.contains_key(address));
        for (address, to) in routes {
            if let Some(known) = served.get(&address) {
                known.to.send_replace(to);
                continue;
            }
            let (give, take) = watch::channel(to);
            let node = Arc::clone(node);
            let task = tokio::spawn(async move {
                if let Err(error) = serve(node, address, take).await {
                    warn!(%error, %address, "the address of a Service is not served");
                }
            });
            served.insert(address, Served { to: give, task });
        }
    }
}

async fn serve(
    node: Arc<Node>,
    address: SocketAddr,
    to: watch::Receiver<Vec<SocketAddr>>,
) -> io::Result<()> {
    let socket = node.listen(address, Transport::Tcp).await;
    let socket = std::net::TcpListener::from(socket.map_err(io::Error::other)?);
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    let mut turn = 0_usize;
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                warn!(%error, %address, "accept failed");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        turn = turn.wrapping_add(1);
        let mut endpoints = to.borrow().clone();
        if !endpoints.is_empty() {
            let first = turn % endpoints.len();
            endpoints.rotate_left(first);
        }
        let node = Arc::clone(&node);
        tokio::spawn(async move {
            // A connection that nobody takes, or that breaks, is closed: that is all that its client can be told.
            if let Err(error) = carry(&node, client, endpoints).await {
                debug!(%error, %address, "a connection to a Service has ended");
            }
        });
    }
}

/// Carries a connection to the first endpoint that takes it.
async fn carry(node: &Node, mut client: TcpStream, endpoints: Vec<SocketAddr>) -> io::Result<()> {
    for endpoint in endpoints {
        if let Ok(mut server) = connect(node, endpoint).await {
            tokio::io::copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
    }
    Err(io::ErrorKind::ConnectionRefused.into())
}
