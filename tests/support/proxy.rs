//! A TCP proxy between a client and a server, which can cut and stall what goes through it.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Up,
    /// Connections are closed, new ones too.
    Cut,
}

/// A proxy that runs; dropping it ends it.
pub struct Proxy {
    pub address: SocketAddr,
    line: watch::Sender<Line>,
    /// Connections that are open when this is sent receive nothing any more.
    stalled: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (line, stalled) = (watch::Sender::new(Line::Up), watch::Sender::new(()));
        let task = tokio::spawn(accept(listener, server, line.subscribe(), stalled.clone()));
        Self {
            address,
            line,
            stalled,
            task,
        }
    }

    pub fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    /// From now on open connections stay open and receive nothing; new connections work.
    pub fn stall(&self) {
        self.stalled.send_replace(());
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    server: SocketAddr,
    line: watch::Receiver<Line>,
    stalled: watch::Sender<()>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        // A connection hears of a stall that begins after it.
        connections.spawn(carry(client, server, line.clone(), stalled.subscribe()));
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    line: watch::Receiver<Line>,
    mut stall: watch::Receiver<()>,
) {
    if *line.borrow() == Line::Cut {
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(server).await else {
        return;
    };
    tokio::select! {
        biased;
        // As a host that goes does: at once, and whatever was under way is lost.
        () = cut(line) => {}
        _ = stall.changed() => std::future::pending().await,
        _ = tokio::io::copy_bidirectional(&mut client, &mut upstream) => {}
    }
}

async fn cut(mut line: watch::Receiver<Line>) {
    // An error would mean that the proxy has ended.
    let _ended = line.wait_for(|line| *line == Line::Cut).await;
}
