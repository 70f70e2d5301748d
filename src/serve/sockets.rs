//! Which sockets a Corefile asks for, and which server blocks answer on each.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use tracing::warn;

use super::chain::view_name;
use crate::corefile::{CorefileError, Key, Scheme, Token};
use crate::listen::{self, Bound, CertificateError, Inside, certificate, log_keys, no_certificate};
use crate::metrics::Metrics;
use crate::name::Name;
use crate::plugin::{self, Answering, Block, Certificate, Router, Timeouts};

/// Address and port; no address is every address.
type Place = (Option<IpAddr>, u16);

/// What is served at a place.
struct Socket {
    /// Where the file asks for it.
    token: Token,
    blocks: Vec<(Name, Answering)>,
    /// A block takes questions of any class.
    any_class: bool,
    /// What metrics call it.
    label: String,
    /// A block has its queries counted.
    counted: bool,
    timeouts: Timeouts,
    /// What is spoken inside TLS, and with which certificate; without one every handshake fails.
    encrypted: Option<(Inside, Option<Certificate>)>,
    /// The certificate, read.
    tls: Option<rustls::ServerConfig>,
}

/// The sockets of a Corefile.
pub(super) struct Listeners<'a> {
    port: u16,
    interfaces: &'a [(String, IpAddr)],
    metrics: &'a Arc<Metrics>,
    sockets: BTreeMap<Place, Socket>,
}

impl<'a> Listeners<'a> {
    pub(super) fn new(
        port: u16,
        interfaces: &'a [(String, IpAddr)],
        metrics: &'a Arc<Metrics>,
    ) -> Self {
        Self {
            port,
            interfaces,
            metrics,
            sockets: BTreeMap::new(),
        }
    }

    /// Adds a block; returns what it serves, a line a key.
    pub(super) fn add(
        &mut self,
        block: &Block,
        answering: &Answering,
    ) -> Result<Vec<String>, CorefileError> {
        let bound = self.bound(block)?;
        // Where no transport needs it, what is wrong is said all the same.
        let tls = block.tls.as_ref().map(read_certificate).transpose()?;
        let mut lines = Vec::new();
        for key in &block.keys {
            let encrypted = encrypted(block, key)?;
            let port = key.port.unwrap_or_else(|| key.scheme.port(self.port));
            let places: Vec<_> = if bound.is_empty() {
                vec![(None, key.token.clone())]
            } else {
                let bound = bound.iter();
                bound
                    .map(|(ip, token)| (Some(*ip), token.clone()))
                    .collect()
            };
            for (address, token) in places {
                let at = (address, port);
                self.check(key, at, (encrypted.as_ref(), answering))?;
                let socket = self.sockets.entry(at).or_insert_with(|| Socket {
                    token,
                    blocks: Vec::new(),
                    any_class: false,
                    label: label(key, at),
                    counted: false,
                    timeouts: Timeouts::default(),
                    encrypted: encrypted.clone(),
                    tls: tls.clone(),
                });
                socket.blocks.push((key.zone.clone(), answering.clone()));
                socket.any_class |= block.any_class;
                socket.counted |= block.metrics.is_some();
                socket.timeouts.idle = block.timeouts.idle.or(socket.timeouts.idle);
                socket.timeouts.queries = block.timeouts.queries.or(socket.timeouts.queries);
                enabled(self.metrics, block, (&socket.label, &key.zone));
            }
            lines.push(format!("{}:{port}", key.zone));
        }
        Ok(lines)
    }

    /// Refuses a key whose socket already serves the zone, or has another protocol or certificate.
    fn check(
        &self,
        key: &Key,
        at: Place,
        (encrypted, answering): (Option<&(Inside, Option<Certificate>)>, &Answering),
    ) -> Result<(), CorefileError> {
        let overlaps = |other: &Place| {
            other.1 == at.1 && at.1 != 0 && (other.0 == at.0 || other.0.is_none() || at.0.is_none())
        };
        let here = self.sockets.iter().filter(|(other, _)| overlaps(other));
        for (_, socket) in here {
            // A view takes some questions only: what it leaves is another's.
            let takes_all = |(zone, block): &(Name, Answering)| {
                *zone == key.zone && block.view.is_none() && answering.view.is_none()
            };
            if socket.blocks.iter().any(takes_all) {
                let problem = format!("cannot serve {}:{} - it is already defined", key.zone, at.1);
                return Err(key
                    .token
                    .error(problem, "each zone once for a port and address"));
            }
            if socket.encrypted.as_ref() != encrypted {
                let problem = format!(
                    "port {} is served with another protocol or certificate",
                    at.1
                );
                return Err(key
                    .token
                    .error(problem, "one scheme and certificate for a port"));
            }
        }
        Ok(())
    }

    /// What the block is bound to; nothing: every address.
    fn bound(&self, block: &Block) -> Result<Vec<(IpAddr, Token)>, CorefileError> {
        let mut bound = Vec::new();
        for bind in &block.bind {
            bound.extend(bind.addresses(self.interfaces)?);
        }
        match (&block.bind[..], &bound[..]) {
            ([first, ..], []) => Err(first.on[0].token.error(
                "`except` leaves nothing of it",
                "an address that is left to listen on",
            )),
            _ => Ok(bound),
        }
    }

    /// The addresses by which others reach the block: those it is bound to, without loopback.
    pub(super) fn local_addresses(&self, block: &Block) -> Result<Vec<IpAddr>, CorefileError> {
        let bound = self.bound(block)?;
        let mut local: Vec<IpAddr> = if bound.is_empty() {
            self.interfaces.iter().map(|(_, ip)| *ip).collect()
        } else {
            bound.into_iter().map(|(ip, _)| ip).collect()
        };
        local.retain(|ip| !ip.is_loopback() && !ip.is_unspecified());
        local.dedup();
        Ok(local)
    }

    /// Refuses an upstream that is one of these sockets, unless the block looks for loops by itself.
    pub(super) fn check_upstreams(&self, block: &Block) -> Result<(), CorefileError> {
        if block.probe.is_some() {
            return Ok(());
        }
        let any = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        let places = self.sockets.keys().flat_map(|(address, port)| {
            let ips = address.map_or(any, |ip| [ip, ip]);
            ips.map(|ip| SocketAddr::new(ip, *port))
        });
        let bound: Vec<_> = places.collect();
        let local: Vec<_> = self.interfaces.iter().map(|(_, ip)| *ip).collect();
        check_upstreams(block, &own_addresses(block, self.port, &bound), &local)
    }

    /// Binds every socket.
    pub(super) fn bind(self, previous: listen::Kept, lanes: usize) -> Result<Bound, CorefileError> {
        let mut bound = Bound::taking_over(previous, lanes);
        for ((address, port), socket) in self.sockets {
            let metrics = socket.counted.then(|| Arc::clone(self.metrics));
            let known = plugin::Socket {
                server: socket.label.into(),
                timeouts: socket.timeouts,
                metrics,
                top: Some(Arc::clone(&self.metrics.top)),
            };
            let router = Router::of(known, socket.blocks, socket.any_class);
            let taken = match (address, socket.encrypted) {
                (Some(ip), None) => bound.bind(SocketAddr::new(ip, port), router),
                (None, None) => bound.bind_any(port, router),
                (ip, Some((inside, spec))) => {
                    let mut tls = socket.tls.unwrap_or_else(no_certificate);
                    if let Some(spec) = &spec {
                        log_keys(spec, &mut tls).map_err(|error| at(spec, &error))?;
                    }
                    let ip = ip.unwrap_or_else(|| Ipv6Addr::UNSPECIFIED.into());
                    bound.bind_encrypted(SocketAddr::new(ip, port), router, (inside, tls))
                }
            };
            taken.map_err(|error| {
                let expected = "an address of this machine, and a port that nobody has";
                socket.token.error(error.to_string(), expected)
            })?;
        }
        Ok(bound)
    }
}

/// Counts the plugins of a block's chain, where the block has that counted.
fn enabled(metrics: &Metrics, block: &Block, (server, zone): (&str, &Name)) {
    if block.metrics.is_none() {
        return;
    }
    let (zone, view) = (zone.to_lowercase().to_string(), view_name(block));
    for (name, _) in &block.links {
        let labels = [server, &zone, &view, *name];
        metrics
            .dns
            .plugin_enabled
            .with_label_values(&labels)
            .set(1.0);
    }
}

/// What metrics call a socket: `dns://:53`, `tls://10.0.0.1:853`.
fn label(key: &Key, (address, port): Place) -> String {
    let scheme = match key.scheme {
        Scheme::Dns | Scheme::Other => "dns",
        Scheme::Tls => "tls",
        Scheme::Https => "https",
    };
    match address {
        Some(ip) => format!("{scheme}://{}", SocketAddr::new(ip, port)),
        None => format!("{scheme}://:{port}"),
    }
}

fn read_certificate(spec: &Certificate) -> Result<rustls::ServerConfig, CorefileError> {
    certificate(spec).map_err(|error| at(spec, &error))
}

/// The error at the token of the file that it is about.
fn at(spec: &Certificate, error: &CertificateError) -> CorefileError {
    let others = [
        Some(&spec.key),
        spec.authority.as_ref(),
        spec.key_log.as_ref(),
    ];
    let mut others = others.into_iter().flatten();
    let named = others.find(|token| token.text == error.file);
    let token = named.unwrap_or(&spec.certificate);
    let expected = "a PEM file of a certificate, and one of its key";
    token.error(error.to_string(), expected)
}

/// Where this machine reaches a socket of its own.
pub(super) fn reachable(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, bound.port())
}

/// Those of the bound addresses that serve the block.
pub(super) fn own_addresses(block: &Block, port: u16, bound: &[SocketAddr]) -> Vec<SocketAddr> {
    let port = |key: &Key| key.port.unwrap_or_else(|| key.scheme.port(port));
    let ports: Vec<u16> = block.keys.iter().map(port).collect();
    // Port 0 is any that was free.
    let is_own = |bound: &&SocketAddr| ports.contains(&bound.port()) || ports.contains(&0);
    bound.iter().filter(is_own).copied().collect()
}

/// In a container, Docker's own resolver: what is sent there is redirected, whoever listens on it.
const DOCKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 11));

/// Refuses an upstream that is one of this server's own sockets: a query would never end. `local`: this machine's
/// addresses.
pub(super) fn check_upstreams(
    block: &Block,
    bound: &[SocketAddr],
    local: &[IpAddr],
) -> Result<(), CorefileError> {
    for (upstream, token) in block.upstreams() {
        let ours = |ip: IpAddr| ip != DOCKER && ip.is_loopback() || local.contains(&ip);
        let hit = |b: &&SocketAddr| {
            b.port() == upstream.port()
                && (b.ip() == upstream.ip() || b.ip().is_unspecified() && ours(upstream.ip()))
        };
        if let Some(socket) = bound.iter().find(hit) {
            let problem =
                format!("the upstream {upstream} is this server itself, which listens on {socket}");
            return Err(token.error(problem, "another server"));
        }
    }
    Ok(())
}

/// How a key's transport is encrypted, where it is.
fn encrypted(
    block: &Block,
    key: &Key,
) -> Result<Option<(Inside, Option<Certificate>)>, CorefileError> {
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
    match (&block.tls, inside) {
        (None, Inside::Http) => Err(key.token.error(
            "this transport needs a certificate",
            "`tls CERT KEY` in the block",
        )),
        (None, Inside::Dns) => {
            // CoreDNS starts, and so do the file's other blocks.
            warn!(key = %key.token.text, "without `tls CERT KEY` in its block no client can connect");
            Ok(Some((inside, None)))
        }
        (spec, _) => Ok(Some((inside, spec.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::corefile::parse;
    use crate::plugin::read_blocks;
    use crate::serve::files::Files;

    #[test]
    fn an_upstream_that_is_ourselves_is_refused() {
        let text = ". {\nforward . 10.0.0.5 127.0.0.11\n}";
        let read = parse("Corefile", text, &Files).unwrap();
        let block = read_blocks(&read, &Files).unwrap().remove(0);
        let local = ["10.0.0.5".parse().unwrap()];
        let problem = |bound: &str, local: &[IpAddr]| {
            check_upstreams(&block, &[bound.parse().unwrap()], local)
                .map_err(|e| e.problem().to_owned())
        };
        let itself = |on: &str| {
            Err(format!(
                "the upstream 10.0.0.5:53 is this server itself, which listens on {on}"
            ))
        };
        assert_eq!(problem("0.0.0.0:53", &local), itself("0.0.0.0:53"));
        assert_eq!(problem("10.0.0.5:53", &[]), itself("10.0.0.5:53"));
        assert_eq!(problem("0.0.0.0:1053", &local), Ok(()));
        assert_eq!(problem("0.0.0.0:53", &[]), Ok(()));
    }
}
