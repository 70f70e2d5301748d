//! The answer side: one chain of plugins per server block, in CoreDNS's order; one file per plugin, under CoreDNS's name.
//!
//! A plugin reads its directives into the server block; the wiring starts what the block needs and has each link build its
//! handler. To add one: a file with its `PLUGIN`, and a line in the registry.

mod acl;
mod admin;
mod any;
mod auto;
pub mod autopath;
pub mod bind;
pub mod block;
mod bufsize;
mod cache;
mod chaos;
mod cookies;
mod denials;
mod dns64;
mod erratic;
pub mod errors;
pub mod express;
mod expression;
mod file;
pub mod forward;
mod header;
pub mod health;
mod hosts;
pub mod k8s_external;
pub mod kit;
pub mod kubernetes;
pub mod loadbalance;
mod local;
pub mod log;
mod loops;
mod metadata;
mod minimal;
mod multisocket;
mod noted;
mod nsid;
mod passage;
mod pending;
mod prometheus;
pub mod ready;
mod registry;
mod reload;
mod rewrite;
mod root;
mod router;
mod rrl;
mod secondary;
mod template;
mod timeouts;
pub mod tls;
pub mod transfer;
mod tsig;
mod view;
mod watched;
mod whoami;
mod zonal;

use std::sync::Arc;

use futures::future::BoxFuture;

pub use block::{
    AdminApi, Block, Carried, Certificate, ClientAuth, Cluster, Condition, Filter, Link, LoopProbe,
    Parts, Reload, Stanza, Timeouts,
};
pub use express::{Express, way_to_zone};
pub use passage::Passage;
pub use registry::{inspect, names, read_blocks};
pub use router::{Answering, Chain, Detached, Next, Router, Shed, Socket};

use crate::answer::Reply;
use crate::message::question::Query;
use crate::message::reply::Failure;
use crate::zonefile::FileZone;

/// What a plugin makes of a query: a reply, or a failure that the server answers with an empty reply.
pub type Handled = Result<Reply, Failure>;

/// A link of a chain.
pub trait Plugin: Send + Sync + 'static {
    /// Answers the query, or passes it on to `next`.
    fn handle<'a>(&'a self, query: &'a Query, next: Next<'a>) -> BoxFuture<'a, Handled>;

    /// The zones of files that it has now, which may be transferred; `None`: it never has any.
    fn offers(&self) -> Option<Vec<Arc<FileZone>>> {
        None
    }

    /// Is told of its chain, once that is whole.
    fn begin(&self, _chain: &Chain) {}

    /// Whether it is ready to be asked; `None`: it always is.
    fn is_ready(&self) -> Option<bool> {
        None
    }

    /// What becomes of a question here that a zone behind this answers.
    fn passage(&self) -> Passage<'_> {
        Passage(passage::Way::Sees)
    }
}

#[cfg(test)]
mod tests;
