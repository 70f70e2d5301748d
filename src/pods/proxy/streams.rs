//! Connections to a Service.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use headless_node::Node;
use tokio::net::{TcpListener, TcpStream};
use tracing::{debug, warn};

use super::Endpoints;
use crate::pods::connect;

/// How long to wait where no connection can be accepted, as no file is left.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn serve(
    node: Arc<Node>,
    (socket, address): (std::net::TcpListener, SocketAddr),
    mut endpoints: Endpoints,
) -> io::Result<()> {
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from_std(socket)?;
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                warn!(%error, %address, "accept failed");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let (node, to) = (Arc::clone(&node), endpoints.next());
        tokio::spawn(async move {
            // A connection that nobody takes, or that breaks, is closed: that is all that its client can be told.
            if let Err(error) = carry(&node, client, to).await {
                debug!(%error, %address, "a connection to a Service has ended");
            }
        });
    }
}

/// Carries a connection to the first endpoint that takes it.
async fn carry(node: &Node, mut client: TcpStream, endpoints: Vec<SocketAddr>) -> io::Result<()> {
    for endpoint in endpoints {
        if let Ok(mut server) = connect(node, None, endpoint).await {
            tokio::io::copy_bidirectional(&mut client, &mut server).await?;
            return Ok(());
        }
    }
    Err(io::ErrorKind::ConnectionRefused.into())
}
