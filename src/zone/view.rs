//! What one `kubernetes` stanza shows of a zone.

use std::net::IpAddr;

use crate::name::{Name, is_reverse};

/// `pods disabled|insecure|verified`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PodMode {
    /// Pod names do not exist.
    #[default]
    Disabled,
    /// Every address has a name; no Pod needs to be there.
    Insecure,
    /// A Pod of that address is in that namespace.
    Verified,
}

/// The options of a stanza that a look-up depends on.
#[derive(Clone, Debug)]
pub struct View {
    /// The zones, as configured, in lower case and in order.
    pub zones: Vec<Name>,
    /// Those of them whose Services are ServiceImports.
    pub multicluster: Vec<Name>,
    /// The only namespaces to show; empty: all.
    pub namespaces: Vec<Box<str>>,
    /// How Pod names are answered.
    pub pods: PodMode,
    /// TTL of answers, in seconds.
    pub ttl: u32,
    /// A ClusterIP Service without ready endpoints does not exist.
    pub ignore_empty_service: bool,
    /// Names by topology zone are answered.
    pub zonal: bool,
    /// The server's own addresses, for NS and `ns.dns`.
    pub local_addresses: Vec<IpAddr>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            zones: Vec::new(),
            multicluster: Vec::new(),
            namespaces: Vec::new(),
            pods: PodMode::default(),
            ttl: 5,
            ignore_empty_service: false,
            zonal: false,
            local_addresses: Vec::new(),
        }
    }
}

impl View {
    /// The longest of the zones that `qname` is in.
    #[must_use]
    pub fn zone_of(&self, qname: &Name) -> Option<&Name> {
        longest(&self.zones, qname)
    }

    /// The zone that PTR targets are in: the first that is not below a reverse tree.
    #[must_use]
    pub fn primary(&self) -> Option<&Name> {
        // The bare `in-addr.arpa.` counts as forward, as in CoreDNS: list the cluster's domain first.
        self.zones
            .iter()
            .find(|z| !is_reverse(z) || z.num_labels() == 2)
    }

    /// Whether the stanza's `namespaces` lets `ns` through.
    #[must_use]
    pub fn shows(&self, ns: &str) -> bool {
        self.namespaces.is_empty() || self.namespaces.iter().any(|n| n.eq_ignore_ascii_case(ns))
    }
}

/// The longest of `zones` that `qname` is in.
pub(super) fn longest<'z>(zones: &'z [Name], qname: &Name) -> Option<&'z Name> {
    zones
        .iter()
        .filter(|z| z.zone_of(qname))
        .max_by_key(|z| z.num_labels())
}
