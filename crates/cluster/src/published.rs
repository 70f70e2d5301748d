//! Services that are reached from outside, at an address of this machine.

use std::net::{Ipv4Addr, SocketAddr};
use std::str::FromStr;

use serde_json::Value;

use super::objects::Key;

/// A port of a Service at an address of this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Where it is reached.
    pub address: SocketAddr,
    ns: String,
    service: String,
    /// Its number or its name; empty: the Service's only one, or its first.
    port: String,
}

/// Text that says no such thing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} publishes nothing: [ADDRESS:]PORT:SERVICE[.NAMESPACE][:PORT] was expected, such as 8080:web:80"
)]
pub struct NotPublished(String);

impl FromStr for Published {
    type Err = NotPublished;

    fn from_str(text: &str) -> Result<Self, NotPublished> {
        let bad = || NotPublished(text.into());
        let is_name = |part: &str| part.starts_with(|c: char| c.is_ascii_alphabetic());
        let parts: Vec<_> = text.split(':').collect();
        // The Service is the first that begins with a letter: addresses in brackets do not.
        let at = parts
            .iter()
            .position(|part| is_name(part))
            .ok_or_else(bad)?;
        let (address, service) = (parts[..at].join(":"), parts[at]);
        let loopback = |port: u16| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        let address = address.parse().or_else(|_| address.parse().map(loopback));
        let port = match &parts[at + 1..] {
            [] => String::new(),
            [port] if !port.is_empty() => (*port).to_owned(),
            _ => return Err(bad()),
        };
        let (service, ns) = service.split_once('.').unwrap_or((service, "default"));
        if service.is_empty() || ns.is_empty() {
            return Err(bad());
        }
        Ok(Self {
            address: address.map_err(|_| bad())?,
            ns: ns.into(),
            service: service.into(),
            port,
        })
    }
}

impl Published {
    /// Whether this is a port of that Service.
    pub(super) fn is_for(&self, service: &Key, port: &Value) -> bool {
        let number = port["port"].as_u64().map(|number| number.to_string());
        let meant = self.port.is_empty()
            || number.as_ref() == Some(&self.port)
            || port["name"] == self.port.as_str();
        meant && self.ns == service.ns && self.service == service.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_published_is_read_and_what_says_nothing_is_refused() {
        for (text, address, ns, port) in [
            ("8080:web:80", "127.0.0.1:8080", "default", "80"),
            ("8080:web.shop", "127.0.0.1:8080", "shop", ""),
            ("0.0.0.0:8080:web:http", "0.0.0.0:8080", "default", "http"),
            ("[::1]:8080:web:80", "[::1]:8080", "default", "80"),
        ] {
            let read: Published = text.parse().unwrap();
            let wanted = Published {
                address: address.parse().unwrap(),
                ns: ns.into(),
                service: "web".into(),
                port: port.into(),
            };
            assert_eq!(read, wanted, "{text}");
        }
        for text in [
            "",
            "web",
            "8080",
            "x:web:80",
            "8080:web:",
            "8080:web:80:90",
            "99999:web",
        ] {
            assert_eq!(text.parse::<Published>(), Err(NotPublished(text.into())));
        }
    }
}
