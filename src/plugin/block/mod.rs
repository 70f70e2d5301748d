//! A server block, read: what its directives have set, and the links of its chain.

mod carried;
mod condition;
mod listen;
mod probes;
mod stanza;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::broadcast::Receiver;

use super::Plugin;
use crate::corefile::{CorefileError, Key, Token};
use crate::metrics::Metrics;
use crate::name::Origins;
use crate::store::Change;
use crate::zone::{View, Zone};
pub use carried::Carried;
pub use condition::{Condition, Filter};
pub use listen::{Bind, Certificate, ClientAuth, Place, Timeouts};
pub use probes::{AdminApi, Health, LoopProbe, Ready, Reload};
pub use stanza::Stanza;

/// What the directives of a server block have set.
#[derive(Debug, Default)]
pub struct Block {
    /// What it serves.
    pub keys: Vec<Key>,
    /// All that the file says of it: the same for the same.
    pub said: String,
    /// The folder that relative paths start from; `None`: the one that the program was started in.
    pub root: Option<PathBuf>,
    /// Addresses to listen on; none: every address.
    pub bind: Vec<Bind>,
    /// The certificate of encrypted transports.
    pub tls: Option<Certificate>,
    /// What its connections may take.
    pub timeouts: Timeouts,
    /// How many threads answer datagrams at each address.
    pub multisocket: Option<usize>,
    /// Liveness over HTTP.
    pub health: Option<Health>,
    /// Readiness over HTTP.
    pub ready: Option<Ready>,
    /// Where metrics are, over HTTP: `host:port`.
    pub metrics: Option<String>,
    /// What it knows of names, over HTTP.
    pub admin: Option<AdminApi>,
    /// The question that finds loops.
    pub probe: Option<LoopProbe>,
    /// How often the Corefile is looked at.
    pub reload: Option<Reload>,
    /// The cluster to watch.
    pub kubernetes: Option<Stanza>,
    /// The zones of its `metadata`.
    pub collected: Option<Origins>,
    /// Which questions it takes.
    pub view: Option<Box<dyn Condition>>,
    /// A plugin takes questions of any class.
    pub any_class: bool,
    /// In the order of the chain, each with its plugin's name.
    pub links: Vec<(&'static str, Box<dyn Link>)>,
    /// Plugins that were accepted without effect, with the reason.
    pub without_effect: Vec<(String, &'static str)>,
}

impl Block {
    /// Has its `kubernetes` show only these namespaces, where the file names none.
    pub fn restrict(&mut self, namespaces: &[Box<str>]) {
        if let Some(stanza) = &mut self.kubernetes
            && stanza.view.namespaces.is_empty()
            && stanza.namespace_labels.is_empty()
        {
            stanza.view.namespaces = namespaces.to_vec();
        }
    }

    /// A path of the file, from the block's root on.
    #[must_use]
    pub fn path(&self, path: &Token) -> Token {
        let mut path = path.clone();
        if let Some(root) = &self.root {
            path.text = root.join(&path.text).to_string_lossy().into_owned();
        }
        path
    }

    /// Who is asked for names elsewhere, and where the file says so.
    pub fn upstreams(&self) -> impl Iterator<Item = (SocketAddr, Token)> {
        self.links.iter().flat_map(|(_, link)| link.upstreams())
    }
}

/// A link of a chain before its server is there.
pub trait Link: fmt::Debug + Send + Sync {
    /// Asks others for what is to be known before the handler is made.
    ///
    /// # Errors
    /// What they do not say.
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), CorefileError>> {
        std::future::ready(Ok(())).boxed()
    }

    /// Who is asked for names elsewhere, and where the file says so.
    fn upstreams(&self) -> Vec<(SocketAddr, Token)> {
        Vec::new()
    }

    /// Makes the handler.
    ///
    /// # Errors
    /// What the block lacks for it.
    fn build(&self, parts: &Parts) -> Result<Arc<dyn Plugin>, CorefileError>;
}

/// A handler that needs nothing of its block is its own link.
impl<P: Plugin + Clone + fmt::Debug> Link for P {
    fn build(&self, _: &Parts) -> Result<Arc<dyn Plugin>, CorefileError> {
        Ok(Arc::new(self.clone()))
    }
}

/// What a block has for the handlers of its chain.
#[derive(Debug, Default)]
pub struct Parts {
    /// Of its `kubernetes`.
    pub cluster: Option<Cluster>,
    /// What changes of that cluster's names from now on.
    pub changes: Option<Receiver<Change>>,
    /// A plugin of the block has questions wait for names that are about to be there.
    pub holds: bool,
    /// How many questions of all clients may wait for something; `None`: nobody says.
    pub waiting: Option<usize>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What comes from the configuration before.
    pub carried: Arc<Carried>,
    /// All that the file says of the block.
    pub said: String,
    /// The name of the block's view; empty where it has none.
    pub view: Arc<str>,
    /// The plugin that comes after the one that is built; empty where none does.
    pub followed_by: &'static str,
}

/// The names of a cluster, and what a stanza shows of them.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// The names.
    pub zone: Arc<Zone>,
    /// What is shown.
    pub view: Arc<View>,
}

impl Parts {
    /// The block's cluster.
    ///
    /// # Errors
    /// At `token`, that there is none.
    pub fn cluster(&self, token: &Token) -> Result<&Cluster, CorefileError> {
        self.cluster.as_ref().ok_or_else(|| {
            token.error(
                format!(
                    "`{}` needs `kubernetes` in the same server block",
                    token.text
                ),
                "a `kubernetes` directive beside it",
            )
        })
    }
}
