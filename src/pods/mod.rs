//! Pods whose programs run: what the embedded cluster orders, done by a node's processes.

mod check;
mod command;
mod container;
mod files;
mod grpc;
mod images;
mod log;
mod pod;
mod probe;
mod proxy;
mod session;
pub mod socks;
mod streams;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use headless_cluster::runtime::{Exec, Fact, Kept, Log, Order, Place, Runtime, Session};
use headless_node::{Node, Transport};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tracing::warn;

use container::Container;
pub use files::{DNS, Folders};
use images::Unpacked;
pub use images::{Image, ImageError, Images};
use proxy::Proxy;

/// The Pods of a node.
#[derive(Debug)]
pub struct Pods {
    shared: Arc<Shared>,
    facts: tokio::sync::Mutex<UnboundedReceiver<Fact>>,
    /// Who does what is ordered of each Pod, by its UID.
    pods: Mutex<BTreeMap<String, UnboundedSender<Order>>>,
    proxy: Proxy,
}

/// What all Pods share.
#[derive(Debug)]
struct Shared {
    node: Arc<Node>,
    images: Images,
    unpacked: Unpacked,
    folders: Folders,
    tell: UnboundedSender<Fact>,
    /// By the Pod's UID and the container's name.
    containers: Mutex<BTreeMap<(String, String), Container>>,
}

impl Pods {
    /// Those of this node.
    #[must_use]
    pub fn new(node: Arc<Node>, folders: Folders, images: Images) -> Self {
        let (tell, facts) = unbounded_channel();
        let shared = Shared {
            node,
            images,
            unpacked: Unpacked::new(folders.node.join("images")),
            folders,
            tell,
            containers: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
            facts: facts.into(),
            pods: Mutex::default(),
            proxy: Proxy::default(),
        }
    }

    /// Removes what was kept of a claim.
    fn discard(&self, kept: &Kept) {
        let folder = self.shared.folders.kept(kept);
        let mut aside = folder.clone().into_os_string();
        aside.push(format!(".{}", kept.volume));
        let aside = PathBuf::from(aside);
        // At once: a new claim of that name may be about to have its files there.
        match std::fs::rename(&folder, &aside) {
            // No Pod has ever used it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => {
                warn!(%error, folder = %folder.display(), "what was kept of a claim was not removed");
                return;
            }
            Ok(()) => {}
        }
        let node = Arc::clone(&self.shared.node);
        tokio::spawn(async move {
            if let Err(error) = node.remove_folder(&aside).await {
                warn!(%error, folder = %aside.display(), "what was kept of a claim was not removed");
            }
        });
    }
}

impl Runtime for Pods {
    fn perform(&self, order: Order) {
        let uid = match &order {
            Order::Start(start) => start.run.pod.clone(),
            Order::Probe(probe) => probe.run.pod.clone(),
            Order::End(run, _) => run.pod.clone(),
            Order::Route(routes) => {
                return self.proxy.route(&self.shared.node, routes.clone());
            }
            Order::Discard(kept) => return self.discard(kept),
            Order::Stop(uid, _)
            | Order::Show(uid, _)
            | Order::Release(uid)
            | Order::Forget(uid) => uid.clone(),
        };
        let mut pods = locked(&self.pods);
        if matches!(order, Order::Start(_)) && !pods.contains_key(&uid) {
            let (give, take) = unbounded_channel();
            tokio::spawn(pod::serve(Arc::clone(&self.shared), uid.clone(), take));
            pods.insert(uid.clone(), give);
        }
        let last = matches!(order, Order::Forget(_));
        // A Pod that has never been started has nobody who needs to be told.
        let _unknown = pods.get(&uid).map(|pod| pod.send(order));
        if last {
            pods.remove(&uid);
        }
    }

    fn fact(&self) -> BoxFuture<'_, Fact> {
        let next = async {
            match self.facts.lock().await.recv().await {
                Some(fact) => fact,
                // `self` holds the other end.
                None => std::future::pending().await,
            }
        };
        next.boxed()
    }

    fn log(&self, place: &Place, previous: bool) -> Option<Log> {
        let containers = self.shared.containers();
        let container = containers.get(&key(place))?;
        let log = if previous {
            container.previous.clone()?
        } else {
            Arc::clone(&container.log)
        };
        let (lines, next, _) = log.read(0);
        Some(Log {
            lines,
            more: log.follow(next).boxed(),
        })
    }

    fn exec<'a>(&'a self, place: &'a Place, exec: Exec) -> BoxFuture<'a, Result<Session, String>> {
        async move {
            let (_, session) = session::exec(&self.shared, place, exec).await?;
            Ok(session)
        }
        .boxed()
    }

    fn attach(&self, place: &Place) -> Result<Session, String> {
        session::attach(&self.shared, place)
    }

    fn connect<'a>(&'a self, pod: &'a str, port: u16) -> BoxFuture<'a, Result<TcpStream, String>> {
        async move {
            let node = &self.shared.node;
            // As containerd does: a program may listen to one family only.
            let loopback = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let [first, second] = loopback.map(|ip| SocketAddr::new(ip, port));
            let connected = match connect(node, Some(pod), first).await {
                Err(_) => connect(node, Some(pod), second).await,
                connected => connected,
            };
            connected.map_err(|error| error.to_string())
        }
        .boxed()
    }
}

/// SIGKILL, which no program refuses.
const KILL: i32 = 9;

/// What a container is found by.
fn key(place: &Place) -> (String, String) {
    (place.pod.clone(), place.container.clone())
}

impl Shared {
    fn say(&self, fact: Fact) {
        // Nobody hears where the cluster has ended.
        let _ended = self.tell.send(fact);
    }

    /// The task of a container that runs.
    fn task_of(&self, pod: &str, name: &str) -> Option<u64> {
        let containers = self.containers();
        let container = containers.get(&(pod.to_owned(), name.to_owned()))?;
        container.code().is_none().then_some(container.task)
    }

    fn containers(&self) -> MutexGuard<'_, BTreeMap<(String, String), Container>> {
        locked(&self.containers)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection from the node, or from inside a Pod.
async fn connect(node: &Node, pod: Option<&str>, to: SocketAddr) -> io::Result<TcpStream> {
    let socket = node.socket(pod, Transport::Tcp, to.is_ipv6()).await;
    let socket = socket.map_err(io::Error::other)?;
    TcpSocket::from_std_stream(socket.into()).connect(to).await
}
