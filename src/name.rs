//! DNS names as this project uses them: absolute, compared without case, echoed as typed (RFC 4343).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use hickory_proto::rr::Name;

/// The key of a Service: the lower-case wire labels of `<svc>.<ns>`, so that a question finds it without a string.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey(Arc<[u8]>);

impl ServiceKey {
    /// The key of Service `svc` in namespace `ns`; either may come from a question, in any case.
    #[must_use]
    pub fn new(ns: &[u8], svc: &[u8]) -> Self {
        let mut wire = Vec::with_capacity(svc.len() + ns.len() + 2);
        for label in [svc, ns] {
            wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
        }
        Self(wire.into())
    }

    /// The Service's label, lower case.
    #[must_use]
    pub fn svc(&self) -> &[u8] {
        &self.0[1..=usize::from(self.0[0])]
    }

    /// The namespace's label, lower case.
    #[must_use]
    pub fn ns(&self) -> &[u8] {
        &self.0[usize::from(self.0[0]) + 2..]
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", text(self.svc()), text(self.ns()))
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A label as text; bytes that are not UTF-8 are replaced.
#[must_use]
pub fn text(label: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(label)
}

/// Reads an absolute name from text; the final dot is optional.
///
/// # Errors
/// A name that RFC 1035 section 2.3.4 does not allow (label over 63 octets, name over 255).
pub fn absolute(name: &str) -> Result<Name, hickory_proto::ProtoError> {
    let mut name = Name::from_ascii(name)?;
    name.set_fqdn(true);
    Ok(name)
}

/// `labels`, then `suffix`; `None` where the result is no name (RFC 1035 section 2.3.4).
#[must_use]
pub fn below<L: AsRef<[u8]>>(labels: &[L], suffix: &Name) -> Option<Name> {
    let all = labels.iter().map(AsRef::as_ref).chain(suffix.iter());
    let mut name = Name::from_labels(all).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The endpoint name of an address without hostname: `10-244-0-3`, `2001-db8--1`.
///
/// A name must not end in `-`, so `2001:db8::` becomes `2001-db8--0`.
#[must_use]
pub fn dashed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string().replace('.', "-"),
        IpAddr::V6(v6) => {
            let mut name = v6.to_string().replace(':', "-");
            if name.ends_with('-') {
                name.push('0');
            }
            name
        }
    }
}

/// The address that a label of `<label>.<ns>.pod.<zone>` spells; `None` where it spells none.
#[must_use]
pub fn undashed(label: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(label).ok()?;
    let dashes = text.bytes().filter(|b| *b == b'-').count();
    if dashes == 3 && !text.contains("--") {
        return text
            .replace('-', ".")
            .parse::<Ipv4Addr>()
            .ok()
            .map(IpAddr::V4);
    }
    text.replace('-', ":")
        .parse::<Ipv6Addr>()
        .ok()
        .map(IpAddr::V6)
}

/// The address a reverse name stands for (RFC 1035 section 3.5, RFC 3596 section 2.5); `None` unless it is a whole one.
#[must_use]
pub fn reverse_address(name: &Name) -> Option<IpAddr> {
    let net = name.parse_arpa_name().ok()?;
    let whole = net.prefix_len() == net.max_prefix_len();
    // Only the canonical spelling is a name of ours: no leading zeros, no sign.
    (whole && Name::from(net.addr()) == *name).then(|| net.addr())
}

/// Whether `zone` is one of the reverse trees.
#[must_use]
pub fn is_reverse(zone: &Name) -> bool {
    let mut labels = zone.iter().rev();
    let arpa = labels
        .next()
        .is_some_and(|l| l.eq_ignore_ascii_case(b"arpa"));
    arpa && labels
        .next()
        .is_some_and(|l| l.eq_ignore_ascii_case(b"in-addr") || l.eq_ignore_ascii_case(b"ip6"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_key_forgets_case_and_gives_its_labels_back() {
        let key = ServiceKey::new(b"Default", b"Redis");
        assert_eq!(key, ServiceKey::new(b"default", b"redis"));
        assert_eq!((key.svc(), key.ns()), (&b"redis"[..], &b"default"[..]));
        assert_eq!(key.to_string(), "redis.default");
    }

    #[test]
    fn an_address_and_its_dashed_name_give_each_other() {
        for (address, name) in [
            ("10.244.0.3", "10-244-0-3"),
            ("2001:db8::1", "2001-db8--1"),
            ("::1", "--1"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(dashed(address), name);
            assert_eq!(undashed(name.as_bytes()), Some(address));
        }
        assert_eq!(dashed("2001:db8::".parse().unwrap()), "2001-db8--0");
    }

    #[test]
    fn a_label_that_spells_no_address_is_none() {
        for label in ["010-0-0-1", "256-0-0-1", "web-0", "1-2-3", "1-2-3-4-5"] {
            assert_eq!(undashed(label.as_bytes()), None, "{label}");
        }
    }

    #[test]
    fn only_a_whole_canonical_reverse_name_is_an_address() {
        let of = |n: &str| reverse_address(&absolute(n).unwrap());
        assert_eq!(
            of("3.0.244.10.IN-ADDR.arpa."),
            Some("10.244.0.3".parse().unwrap())
        );
        for partial in [
            "0.244.10.in-addr.arpa.",
            "x.3.0.244.10.in-addr.arpa.",
            "03.0.244.10.in-addr.arpa.",
            "in-addr.arpa.",
        ] {
            assert_eq!(of(partial), None, "{partial}");
        }
    }
}
