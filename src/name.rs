//! DNS names as this project uses them: absolute, compared without case, echoed as typed (RFC 4343).

mod origins;
mod presentation;
mod qname;
mod search;

use std::borrow::Borrow;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

pub use hickory_proto::rr::Name;
pub use origins::{Origin, Origins};
pub use presentation::{NoName, absolute};
pub use qname::Qname;
pub use search::SearchList;
use smallvec::SmallVec;

/// Octets of the longest label (RFC 1035 section 2.3.4).
pub const MAX_LABEL: usize = 63;

/// Octets of the longest name as it is written, with the root's (RFC 1035 section 2.3.4).
pub const MAX_NAME: usize = 255;

/// Octets of a short name, as it is written.
const SHORT: usize = 64;

/// A label, or a name as it is written: mostly short.
pub type Octets = SmallVec<[u8; SHORT]>;

/// The key of a Service: the lower-case wire labels of `<svc>.<ns>`, so that a question finds it by its own octets.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServiceKey(Arc<[u8]>);

impl Borrow<[u8]> for ServiceKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

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

    /// Both labels as they are written.
    #[must_use]
    pub fn wire(&self) -> &[u8] {
        &self.0
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

/// `labels`, then `suffix`; `None` where the result is no name (RFC 1035 section 2.3.4).
#[must_use]
pub fn join<L: AsRef<[u8]>>(labels: &[L], suffix: &Name) -> Option<Name> {
    let mut name = Name::new();
    for label in labels.iter().map(AsRef::as_ref).chain(suffix.iter()) {
        name = name.append_label(label).ok()?;
    }
    name.set_fqdn(true);
    Some(name)
}

/// A name as it is written in a zone file, with its final dot, so that [`absolute`] reads it again.
#[must_use]
pub fn written(name: &Name) -> String {
    Qname::from(name).to_string()
}

/// A name as it is written in a message, without compression.
#[must_use]
pub fn wire(name: &Name) -> Octets {
    let mut wire = Octets::new();
    for label in name.iter() {
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend_from_slice(label);
    }
    wire.push(0);
    wire
}

/// The endpoint name of an address without hostname: `10-244-0-3`, `2001-db8--1`.
///
/// A name must not end in `-`, so `2001:db8::` becomes `2001-db8--0`.
#[must_use]
pub fn dashed(address: IpAddr) -> Octets {
    use std::io::Write;
    let mut text = Octets::new();
    // An address has at most 45 characters.
    let _written = write!(text, "{address}");
    for octet in &mut text {
        if matches!(octet, b'.' | b':') {
            *octet = b'-';
        }
    }
    if text.ends_with(b"-") {
        text.push(b'0');
    }
    text
}

/// The address that a label of `<label>.<ns>.pod.<zone>` spells; `None` where it spells none.
#[must_use]
pub fn undashed(label: &[u8]) -> Option<IpAddr> {
    let dashes = label.iter().filter(|b| **b == b'-').count();
    let v4 = dashes == 3 && !label.windows(2).any(|pair| pair == b"--");
    let spelt = |separator: u8| -> Octets {
        let octet = |b: &u8| if *b == b'-' { separator } else { *b };
        label.iter().map(octet).collect()
    };
    if v4 {
        let text = spelt(b'.');
        let address: Ipv4Addr = std::str::from_utf8(&text).ok()?.parse().ok()?;
        return Some(address.into());
    }
    let text = spelt(b':');
    let address: Ipv6Addr = std::str::from_utf8(&text).ok()?.parse().ok()?;
    Some(address.into())
}

/// The address that a reverse name stands for (RFC 1035 section 3.5, RFC 3596 section 2.5), from its labels without the
/// tree's; `None` unless it is a whole one in its canonical spelling: no leading zeros.
#[must_use]
fn reverse_address<'l>(
    labels: impl DoubleEndedIterator<Item = &'l [u8]>,
    v6: bool,
) -> Option<IpAddr> {
    let (mut value, mut count) = (0_u128, 0);
    for label in labels.rev() {
        let (part, bits) = if v6 {
            let [digit] = label else { return None };
            (char::from(*digit).to_digit(16)?, 4)
        } else {
            (decimal(label)?, 8)
        };
        count += 1;
        if count > if v6 { 32 } else { 4 } {
            return None;
        }
        value = value << bits | u128::from(part);
    }
    match (v6, count) {
        (false, 4) => Some(Ipv4Addr::from_bits(u32::try_from(value).ok()?).into()),
        (true, 32) => Some(Ipv6Addr::from_bits(value).into()),
        _ => None,
    }
}

/// An octet in decimal, without leading zeros.
fn decimal(label: &[u8]) -> Option<u32> {
    match label {
        [b'0'] => {}
        [b'1'..=b'9', rest @ ..] if rest.len() < 3 && rest.iter().all(u8::is_ascii_digit) => {}
        _ => return None,
    }
    let value = label.iter().fold(0, |value, digit| {
        value * 10 + u32::from(digit.wrapping_sub(b'0'))
    });
    (value <= 255).then_some(value)
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
        let wire: &[u8] = key.borrow();
        assert_eq!(wire, b"\x05redis\x07default");
    }

    #[test]
    fn an_address_and_its_dashed_name_give_each_other() {
        for (address, name) in [
            ("10.244.0.3", "10-244-0-3"),
            ("2001:db8::1", "2001-db8--1"),
            ("::1", "--1"),
        ] {
            let address: IpAddr = address.parse().unwrap();
            assert_eq!(text(&dashed(address)), name);
            assert_eq!(undashed(name.as_bytes()), Some(address));
        }
        assert_eq!(text(&dashed("2001:db8::".parse().unwrap())), "2001-db8--0");
    }

    #[test]
    fn a_label_that_spells_no_address_is_none() {
        for label in ["010-0-0-1", "256-0-0-1", "web-0", "1-2-3", "1-2-3-4-5"] {
            assert_eq!(undashed(label.as_bytes()), None, "{label}");
        }
    }

    #[test]
    fn only_a_whole_canonical_reverse_name_is_an_address() {
        let of = |name: &str, v6| reverse_address(name.split('.').map(str::as_bytes), v6);
        assert_eq!(of("3.0.244.10", false), Some("10.244.0.3".parse().unwrap()));
        assert_eq!(of("0.255.0.10", false), Some("10.0.255.0".parse().unwrap()));
        let nibbles = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.B.d.0.1.0.0.2";
        assert_eq!(of(nibbles, true), Some("2001:db8::1".parse().unwrap()));
        for (name, v6) in [
            ("0.244.10", false),
            ("x.3.0.244.10", false),
            ("03.0.244.10", false),
            ("256.0.244.10", false),
            ("99999999999.0.244.10", false),
            ("+3.0.244.10", false),
            ("5.3.0.244.10", false),
            ("", false),
            ("1.0.0.2", true),
            (&nibbles.replace('8', "10"), true),
            (&format!("0.{nibbles}"), true),
        ] {
            assert_eq!(of(name, v6), None, "{name}");
        }
    }
}
