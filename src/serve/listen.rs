//! Which sockets a Corefile asks for, and which server blocks answer on each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::corefile::{CorefileError, Key, Scheme};
use crate::dns::{BindError, Bound};
use crate::name::Name;
use crate::plugin::{Block, Chain, Router, Spec};

/// Address and port; no address is every address.
type Place = (Option<IpAddr>, u16);

/// The sockets of a Corefile.
pub(super) struct Listeners<'a> {
    port: u16,
    interfaces: &'a [(String, IpAddr)],
    blocks: BTreeMap<Place, Vec<(Name, Chain)>>,
}

impl<'a> Listeners<'a> {
    pub(super) fn new(port: u16, interfaces: &'a [(String, IpAddr)]) -> Self {
        Self {
            port,
            interfaces,
            blocks: BTreeMap::new(),
        }
    }

    /// Adds a block; returns what it serves, a line a key.
    pub(super) fn add(
        &mut self,
        block: &Block,
        chain: &Chain,
    ) -> Result<Vec<String>, CorefileError> {
        let addresses = self.addresses(block)?;
        let mut lines = Vec::new();
        for key in &block.keys {
            if key.scheme == Scheme::Encrypted {
                return Err(key.token.error(
                    "encrypted transports are not supported",
                    "a key without scheme, or dns://",
                ));
            }
            let port = key.port.unwrap_or(self.port);
            for address in &addresses {
                self.add_one(key, (*address, port), chain)?;
            }
            lines.push(format!("{}:{port}", key.zone));
        }
        Ok(lines)
    }

    fn add_one(
        &mut self,
        key: &Key,
        at: (Option<IpAddr>, u16),
        chain: &Chain,
    ) -> Result<(), CorefileError> {
        let serves = |other: &Place| {
            other.1 == at.1
                && self
                    .blocks
                    .get(other)
                    .is_some_and(|blocks| blocks.iter().any(|(zone, _)| *zone == key.zone))
        };
        let overlaps = |other: &&Place| {
            serves(other) && (other.0 == at.0 || other.0.is_none() || at.0.is_none())
        };
        if self.blocks.keys().any(|other| overlaps(&other)) && at.1 != 0 {
            let problem = format!("cannot serve {}:{} - it is already defined", key.zone, at.1);
            return Err(key
                .token
                .error(problem, "each zone once for a port and address"));
        }
        self.blocks
            .entry(at)
            .or_default()
            .push((key.zone.clone(), Arc::clone(chain)));
        Ok(())
    }

    /// What the block listens on.
    fn addresses(&self, block: &Block) -> Result<Vec<Option<IpAddr>>, CorefileError> {
        let mut addresses = Vec::new();
        for spec in &block.specs {
            if let Spec::Bind(bind) = spec {
                addresses.extend(bind.addresses(self.interfaces)?.into_iter().map(Some));
            }
        }
        Ok(if addresses.is_empty() {
            vec![None]
        } else {
            addresses
        })
    }

    /// The addresses by which others reach the block: those it is bound to, without loopback.
    pub(super) fn local_addresses(&self, block: &Block) -> Result<Vec<IpAddr>, CorefileError> {
        let all = self.interfaces.iter().map(|(_, ip)| *ip);
        let mut local: Vec<IpAddr> = match &self.addresses(block)?[..] {
            [None] => all.collect(),
            some => some.iter().flatten().copied().collect(),
        };
        local.retain(|ip| !ip.is_loopback() && !ip.is_unspecified());
        local.dedup();
        Ok(local)
    }

    /// Binds every socket.
    pub(super) fn bind(self) -> Result<(Bound, Vec<Arc<Router>>), BindError> {
        let (mut bound, mut routers) = (Bound::default(), Vec::new());
        for ((address, port), blocks) in self.blocks {
            let router = routers.len();
            match address {
                Some(ip) => bound.bind(SocketAddr::new(ip, port), router)?,
                None => bound.bind_any(port, router)?,
            };
            // Every chain may forward, and a forwarded question may be of any class.
            routers.push(Arc::new(Router::new(blocks, false)));
        }
        Ok((bound, routers))
    }
}
