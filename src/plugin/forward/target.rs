//! Upstreams as the file names them: addresses, hosts, files like resolv.conf.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use resolv_conf::ScopedIp;

use super::{Host, Spec};
use crate::corefile::{CorefileError, Token};
use crate::name::{Name, absolute};
use crate::plugin::kit::{Directives, ResolvConf, interface_index};

/// An upstream, as the file names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Target {
    /// Where it answers.
    pub address: SocketAddr,
    /// Over what it is asked.
    pub over: Over,
    /// Where the file says so.
    pub token: Token,
}

/// Over what an upstream is asked; with the name that its certificate must have, where the address says one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// Datagrams and connections.
    Plain,
    /// TLS (RFC 7858).
    Tls(Option<String>),
    /// HTTPS (RFC 8484).
    Https(Option<String>),
}

impl Over {
    /// Of an upstream as the file names it; also what stands behind the scheme.
    fn read(token: &Token) -> Result<(String, Self), CorefileError> {
        let Some((scheme, text)) = token.text.split_once("://") else {
            return Ok((token.text.clone(), Self::Plain));
        };
        let (named, name) = split_name(text);
        match scheme {
            "dns" => Ok((text.to_owned(), Self::Plain)),
            "tls" => Ok((named, Self::Tls(name))),
            "https" if text.contains('/') => {
                let problem = "an upstream over HTTPS has no path: it is asked at /dns-query";
                Err(token.error(problem, "https://ADDRESS"))
            }
            "https" => Ok((named, Self::Https(name))),
            _ => Err(token.error(
                format!("{scheme}:// is not supported"),
                "an address to ask over UDP and TCP, tls://ADDRESS or https://ADDRESS",
            )),
        }
    }

    fn port(&self) -> u16 {
        match self {
            Self::Plain => DNS_PORT,
            Self::Tls(_) => DOT_PORT,
            Self::Https(_) => HTTPS_PORT,
        }
    }

    /// The name that the certificate must have.
    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Plain => None,
            Self::Tls(name) | Self::Https(name) => name.as_deref(),
        }
    }
}

/// As many as CoreDNS takes.
const MAX_UPSTREAMS: usize = 15;

impl Spec {
    /// Refuses more upstreams than may be, of which the first of several alike counts.
    pub(super) fn count(&mut self) -> Result<(), CorefileError> {
        if let Some(target) = self.upstreams.get(MAX_UPSTREAMS) {
            let expected = format!("at most {MAX_UPSTREAMS}");
            let problem = "there are too many upstreams";
            return Err(target.token.error(problem, expected));
        }
        let mut seen = Vec::new();
        self.upstreams.retain(|target| {
            let key = (target.address, target.over.clone());
            let is_new = !seen.contains(&key);
            seen.push(key);
            is_new
        });
        Ok(())
    }

    /// An address or a hostname, with or without port, or the nameservers of a file like resolv.conf.
    pub(super) fn upstream(
        &mut self,
        directives: &Directives<'_>,
        token: &Token,
    ) -> Result<(), CorefileError> {
        let (text, over) = Over::read(token)?;
        let default = over.port();
        let target = |address, over| Target {
            address,
            over,
            token: token.clone(),
        };
        if let Some(address) = address(&text, default) {
            self.upstreams.push(target(address, over));
            return Ok(());
        }
        let lines = match directives.source.read("", &text) {
            Ok(lines) if over == Over::Plain => lines,
            read => {
                let host = host(&text, default).ok_or_else(|| no_upstream(token, read.err()))?;
                let (name, port) = host;
                let host = Host {
                    name,
                    port,
                    over,
                    token: token.clone(),
                };
                self.hosts.push((self.upstreams.len(), host));
                return Ok(());
            }
        };
        let servers = ResolvConf::read(&lines).nameservers.into_iter();
        let address = |server: ScopedIp| match server {
            ScopedIp::V6(ip, Some(zone)) => scoped(ip, &zone, DNS_PORT),
            server @ (ScopedIp::V4(_) | ScopedIp::V6(..)) => {
                SocketAddr::new(server.into(), DNS_PORT)
            }
        };
        self.upstreams
            .extend(servers.map(|server| target(address(server), Over::Plain)));
        Ok(())
    }
}

fn no_upstream(token: &Token, error: Option<std::io::Error>) -> CorefileError {
    let why = error.map_or(String::new(), |error| {
        format!(", and cannot be read as a file: {error}")
    });
    token.error(
        format!("{} is no address and no host{why}", token.text),
        "an address such as 192.0.2.1 or tls://192.0.2.1%dns.example, a host, or a file like /etc/resolv.conf",
    )
}

/// A hostname and its port; `None`: it is none, and may be a path.
fn host(text: &str, port: u16) -> Option<(Name, u16)> {
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, port.parse().ok()?),
        None => (text, port),
    };
    let letters = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    let is_host = !name.is_empty() && name.bytes().all(letters);
    // All digits and dots is an address that is none.
    let is_address = name
        .bytes()
        .all(|octet| octet.is_ascii_digit() || octet == b'.');
    (is_host && !is_address).then(|| Some((absolute(name).ok()?, port)))?
}

/// `ADDRESS%NAME:PORT` as address with port, and name.
fn split_name(text: &str) -> (String, Option<String>) {
    let Some((address, rest)) = text.split_once('%') else {
        return (text.to_owned(), None);
    };
    let (name, port) = rest
        .split_once(':')
        .map_or((rest, ""), |(name, port)| (name, port));
    if port.is_empty() {
        (address.to_owned(), Some(name.to_owned()))
    } else {
        (format!("{address}:{port}"), Some(name.to_owned()))
    }
}

pub(super) const DNS_PORT: u16 = 53;

const DOT_PORT: u16 = 853;

const HTTPS_PORT: u16 = 443;

pub(super) fn address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    let ip = || Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, port));
    let found = text.parse().ok().or_else(ip);
    found.or_else(|| link_local(text, port))
}

/// `ADDRESS%ZONE`, or `[ADDRESS%ZONE]:PORT` (RFC 4007 section 11).
fn link_local(text: &str, port: u16) -> Option<SocketAddr> {
    let (bare, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((bare, "")) => (bare, port),
        Some((bare, rest)) => (bare, rest.strip_prefix(':')?.parse().ok()?),
        None => (text, port),
    };
    let (ip, zone) = bare.split_once('%')?;
    Some(scoped(ip.parse().ok()?, zone, port))
}

/// An address in the zone of an interface; of one that is not there nobody answers.
fn scoped(ip: Ipv6Addr, zone: &str, port: u16) -> SocketAddr {
    let interface = interface_index(zone).unwrap_or_default();
    SocketAddrV6::new(ip, port, 0, interface).into()
}
