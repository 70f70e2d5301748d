//! What a block says over HTTP of the server's health.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use crate::corefile::Token;
use crate::name::Name;

/// `health [ADDRESS] { lameduck DURATION }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `host:port`; an empty host is every address.
    pub address: String,
    /// How long a stopping server goes on answering.
    pub lameduck: Duration,
}

/// `ready [ADDRESS] { monitor until-ready|continuously }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ready {
    /// `host:port`; an empty host is every address.
    pub address: String,
    /// Who was ready once may cease to be.
    pub continuously: bool,
}

/// `admin [ADDRESS] { history SIZE; token FILE }`.
#[derive(Clone, Debug)]
pub struct AdminApi {
    /// `host:port`; without a token an address of this machine alone.
    pub address: String,
    /// What the history may take, in octets.
    pub history: usize,
    /// What a request has to bring along.
    pub token: Option<Box<str>>,
    /// Where the file says so.
    pub place: Token,
}

/// `reload [INTERVAL] [JITTER]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reload {
    /// The time between two looks at the file.
    pub every: Duration,
    /// How much longer or shorter that may be, so that not all servers do it at once.
    pub jitter: Duration,
}

/// `loop`: a question that only this server asks itself.
#[derive(Clone, Debug)]
pub struct LoopProbe {
    /// Its name.
    pub qname: Name,
    /// The zone that it is below.
    pub zone: String,
    /// How often it has come.
    pub seen: Arc<AtomicU32>,
    /// Where the file says so.
    pub token: Token,
}
