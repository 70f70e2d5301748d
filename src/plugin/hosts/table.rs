//! What a hosts file says (hosts(5)): names to addresses, and back.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

use ahash::RandomState;
use indexmap::IndexSet;

use crate::name::{Name, absolute};

type Addresses = IndexSet<IpAddr, RandomState>;
type Names = IndexSet<Name, RandomState>;

/// An address; the zone of a link-local one (RFC 4007 section 11) is nothing to whoever asks.
pub(super) fn address(word: &str) -> Option<IpAddr> {
    match word.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(address.into())
        }
        _ => word.parse().ok(),
    }
}

/// Names and addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Table {
    /// By name, in lower case, with its final dot; in the order of the file.
    addresses: HashMap<String, Addresses, RandomState>,
    names: HashMap<IpAddr, Names, RandomState>,
}

impl Table {
    /// Reads lines; what is no address with names counts for nothing, as with every resolver.
    pub(super) fn read(text: &str) -> Self {
        let mut table = Self::default();
        for line in text.lines() {
            let words = line.split('#').next().unwrap_or_default();
            table.add(words.split_whitespace());
        }
        table
    }

    /// Adds a line: an address, and its names.
    fn add<'w>(&mut self, mut words: impl Iterator<Item = &'w str>) {
        let address = words.next().and_then(address);
        let Some(address) = address.map(|ip| ip.to_canonical()) else {
            return;
        };
        for name in words.filter_map(|word| absolute(word).ok()) {
            let name = name.to_lowercase();
            let key = name.to_string();
            if !key.starts_with("*.") {
                self.names.entry(address).or_default().insert(name);
            }
            self.addresses.entry(key).or_default().insert(address);
        }
    }

    /// The addresses of a name in lower case, also those of a `*` in place of its first label; `None`: nobody says
    /// anything of it.
    pub(super) fn addresses(&self, name: &str) -> Option<&Addresses> {
        let wildcard = || {
            let (_, parent) = name.split_once('.')?;
            self.addresses.get(&format!("*.{parent}"))
        };
        self.addresses.get(name).or_else(wildcard)
    }

    /// How many pairs of name and address are here, and pairs of address and name.
    pub(super) fn len(&self) -> usize {
        let (addresses, names) = (self.addresses.values(), self.names.values());
        addresses.map(Addresses::len).sum::<usize>() + names.map(Names::len).sum::<usize>()
    }

    /// The names of an address.
    pub(super) fn names(&self, address: IpAddr) -> impl Iterator<Item = &Name> {
        self.names.get(&address).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_resolvers_read_them() {
        let table = Table::read(
            "# no\n10.0.0.1 One.test alias.test # trailing\n10.0.0.2 one.test\nfd00::1 one.test\n256.1.1.1 bad.test\n\
             10.0.0.9 *.wild.test\n10.0.0.8 exact.wild.test\n10.0.0.7\n",
        );
        let addresses = |name| {
            let found = table.addresses(name)?;
            Some(
                found
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(" "),
            )
        };
        for (name, wanted) in [
            ("one.test.", Some("10.0.0.1 10.0.0.2 fd00::1")),
            ("alias.test.", Some("10.0.0.1")),
            ("bad.test.", None),
            ("a.wild.test.", Some("10.0.0.9")),
            ("exact.wild.test.", Some("10.0.0.8")),
            ("wild.test.", None),
            ("a.b.wild.test.", None),
        ] {
            assert_eq!(addresses(name).as_deref(), wanted, "{name}");
        }
        let names = |ip: &str| {
            let names = table.names(ip.parse().unwrap());
            names.map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(names("10.0.0.1"), ["one.test.", "alias.test."]);
        assert_eq!(names("10.0.0.9"), [""; 0]);
    }
}
