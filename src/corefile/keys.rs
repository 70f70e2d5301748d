//! Keys of server blocks: `[SCHEME://]ZONE[:PORT]`, where ZONE may be a CIDR.

use std::net::IpAddr;

use super::error::CorefileError;
use super::lexer::Token;
use crate::name::{Name, absolute};

/// The transport of a server block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scheme {
    /// UDP and TCP.
    Dns,
    /// DNS over HTTPS (RFC 8484).
    Https,
    /// One that is not spoken: `quic`, `grpc`, `https3`.
    Other,
    /// DNS over TLS (RFC 7858).
    Tls,
}

impl Scheme {
    /// The port of a key that names none; `dns`: that of the schemes without encryption.
    #[must_use]
    pub fn port(self, dns: u16) -> u16 {
        match self {
            Self::Dns => dns,
            Self::Tls | Self::Other => 853,
            Self::Https => 443,
        }
    }
}

/// What a server block serves.
#[derive(Clone, Debug, PartialEq)]
pub struct Key {
    /// The zone, lower case.
    pub zone: Name,
    /// The transport.
    pub scheme: Scheme,
    /// The port, where the key names one.
    pub port: Option<u16>,
    /// Where it stands.
    pub token: Token,
}

/// Reads a key; one with a CIDR is several.
pub(super) fn parse_key(token: &Token) -> Result<Vec<Key>, CorefileError> {
    let split = token.text.split_once("://");
    let lower = split.map(|(scheme, rest)| (scheme.to_lowercase(), rest));
    let lower = lower
        .as_ref()
        .map(|(scheme, rest)| (scheme.as_str(), *rest));
    let (scheme, rest) = match lower {
        None => (Scheme::Dns, token.text.as_str()),
        Some(("dns", rest)) => (Scheme::Dns, rest),
        Some(("tls", rest)) => (Scheme::Tls, rest),
        Some(("https", rest)) => (Scheme::Https, rest),
        Some(("quic" | "grpc" | "https3", rest)) => (Scheme::Other, rest),
        Some((other, _)) => {
            return Err(token.error(
                format!("unknown scheme {other}://"),
                "dns://, tls://, quic://, grpc://, https:// or https3://",
            ));
        }
    };
    let (zone, port) = match rest.rsplit_once(':') {
        // An IPv6 CIDR has colons of its own.
        Some((zone, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            let port = port.parse().map_err(|_| {
                token.error(format!("port {port} is out of range"), "a port up to 65535")
            })?;
            (zone, Some(port))
        }
        _ => (rest, None),
    };
    if rest.ends_with(':') {
        let problem = "the port is missing; a variable that is not set is empty";
        return Err(token.error(problem, "a port such as 53"));
    }
    let zones = origins_of(zone)
        .map_err(|problem| token.error(problem, "a zone such as `cluster.local`, or a CIDR"))?;
    Ok(zones
        .into_iter()
        .map(|zone| Key {
            zone,
            scheme,
            port,
            token: token.clone(),
        })
        .collect())
}

/// The zones that a word of a Corefile names: itself, absolute and lower case, or the reverse zones of a CIDR.
///
/// # Errors
/// What is wrong with it.
pub fn origins_of(word: &str) -> Result<Vec<Name>, String> {
    if word.is_empty() {
        return Ok(vec![Name::root()]);
    }
    if word.contains('/') {
        let zones = cidr(word).and_then(|(ip, bits)| reverse_zones(ip, bits));
        return zones.ok_or_else(|| format!("{word} is no CIDR"));
    }
    // Names may have any octets, but these are slips of the pen: a stray brace, a format in the place of a zone.
    if let Some(slip) = word.chars().find(|c| "{}()\"';,".contains(*c)) {
        return Err(format!("{word} is no zone: it has a `{slip}`"));
    }
    let zone = absolute(word).map_err(|error| format!("{word} is no zone: {error}"))?;
    Ok(vec![zone.to_lowercase()])
}

/// A network as `ADDRESS/BITS` (RFC 4632 section 3.1), the address with all its bits; `None` where it is none.
#[must_use]
pub fn cidr(word: &str) -> Option<(IpAddr, u8)> {
    let (ip, bits) = word.split_once('/')?;
    let (ip, bits): (IpAddr, u8) = (ip.parse().ok()?, bits.parse().ok()?);
    let width = if ip.is_ipv4() { 32 } else { 128 };
    (bits <= width).then_some((ip, bits))
}

/// The zones that hold exactly the addresses of a prefix: split at the next octet (IPv4) or nibble (IPv6).
fn reverse_zones(ip: IpAddr, bits: u8) -> Option<Vec<Name>> {
    let (width, step, address) = match ip {
        IpAddr::V4(v4) => (32, 8, u128::from(u32::from(v4))),
        IpAddr::V6(v6) => (128, 4, u128::from(v6)),
    };
    let whole = bits.div_ceil(step) * step;
    let labels_left_out = usize::from((width - whole) / step);
    let mask = |bits: u8| {
        if bits == 0 {
            0
        } else {
            u128::MAX << (width - bits)
        }
    };
    let base = address & mask(bits);
    let zone = |i: u128| {
        let full = base | i.checked_shl(u32::from(width - whole)).unwrap_or_default();
        let ip = match ip {
            IpAddr::V4(_) => IpAddr::from(
                u32::try_from(full & u128::from(u32::MAX))
                    .unwrap_or_default()
                    .to_be_bytes(),
            ),
            IpAddr::V6(_) => IpAddr::from(full.to_be_bytes()),
        };
        let name = Name::from(ip);
        name.trim_to(usize::from(name.num_labels()) - labels_left_out)
    };
    Some((0..1u128 << (whole - bits)).map(zone).collect())
}
