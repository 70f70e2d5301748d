//! Which sockets a Corefile asks for, and which server blocks answer on each.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::corefile::{CorefileError, Key, Scheme};
use crate::listen::{Bound, Inside, certificate};
use crate::name::Name;
use crate::plugin::{Block, Chain, Router, Spec, tls};

/// Address and port; no address is every address.
type Place = (Option<IpAddr>, u16);

/// What is served at a place.
#[derive(Default)]
struct Socket {
    blocks: Vec<(Name, Chain)>,
    /// A block forwards, and what is forwarded may be of any class.
    any_class: bool,
    encrypted: Option<(Inside, tls::Spec)>,
}

/// The sockets of a Corefile.
pub(super) struct Listeners<'a> {
    port: u16,
    interfaces: &'a [(String, IpAddr)],
    sockets: BTreeMap<Place, Socket>,
}

impl<'a> Listeners<'a> {
    pub(super) fn new(port: u16, interfaces: &'a [(String, IpAddr)]) -> Self {
        Self {
            port,
            interfaces,
            sockets: BTreeMap::new(),
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
            let encrypted = encrypted(block, key)?;
            let port = key.port.unwrap_or_else(|| key.scheme.port(self.port));
            for address in &addresses {
                let socket = self.socket(key, (*address, port), encrypted.clone())?;
                socket.blocks.push((key.zone.clone(), Arc::clone(chain)));
                socket.any_class |= block
                    .specs
                    .iter()
                    .any(|spec| matches!(spec, Spec::Forward(_)));
            }
            lines.push(format!("{}:{port}", key.zone));
        }
        Ok(lines)
    }

    /// The socket at a place, which must not serve the key's zone yet, nor speak another protocol.
    fn socket(
        &mut self,
        key: &Key,
        at: Place,
        encrypted: Option<(Inside, tls::Spec)>,
    ) -> Result<&mut Socket, CorefileError> {
        let overlaps = |other: &Place| {
            other.1 == at.1 && at.1 != 0 && (other.0 == at.0 || other.0.is_none() || at.0.is_none())
        };
        let here = self.sockets.iter().filter(|(other, _)| overlaps(other));
        for (_, socket) in here {
            if socket.blocks.iter().any(|(zone, _)| *zone == key.zone) {
                let problem = format!("cannot serve {}:{} - it is already defined", key.zone, at.1);
                return Err(key
                    .token
                    .error(problem, "each zone once for a port and address"));
            }
            if socket.encrypted != encrypted {
                let problem = format!(
                    "port {} is served with another protocol or certificate",
                    at.1
                );
                return Err(key
                    .token
                    .error(problem, "one scheme and certificate for a port"));
            }
        }
        let socket = self.sockets.entry(at).or_default();
        socket.encrypted = encrypted;
        Ok(socket)
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
    pub(super) fn bind(self) -> anyhow::Result<(Bound, Vec<Arc<Router>>)> {
        let (mut bound, mut routers) = (Bound::default(), Vec::new());
        for ((address, port), socket) in self.sockets {
            let router = routers.len();
            match (address, socket.encrypted) {
                (Some(ip), None) => bound.bind(SocketAddr::new(ip, port), router)?,
                (None, None) => bound.bind_any(port, router)?,
                (ip, Some((inside, spec))) => {
                    let tls = certificate(&spec.certificate.text, &spec.key.text)?;
                    let ip = ip.unwrap_or_else(|| Ipv6Addr::UNSPECIFIED.into());
                    bound.bind_encrypted(SocketAddr::new(ip, port), router, (inside, tls))?
                }
            };
            routers.push(Arc::new(Router::new(socket.blocks, socket.any_class)));
        }
        Ok((bound, routers))
    }
}

/// How a key's transport is encrypted, where it is.
fn encrypted(block: &Block, key: &Key) -> Result<Option<(Inside, tls::Spec)>, CorefileError> {
    let inside = match key.scheme {
        Scheme::Dns => return Ok(None),
        Scheme::Tls => Inside::Dns,
        Scheme::Https => Inside::Http,
        Scheme::Other => {
            return Err(key.token.error(
                "this transport is not supported",
                "dns://, tls:// or https://",
            ));
        }
    };
    let tls = |spec: &Spec| {
        if let Spec::Tls(spec) = spec {
            Some(spec.clone())
        } else {
            None
        }
    };
    let spec = block.specs.iter().find_map(tls);
    match spec {
        Some(spec) => Ok(Some((inside, spec))),
        None => Err(key.token.error(
            "this transport needs a certificate",
            "`tls CERT KEY` in the block",
        )),
    }
}
