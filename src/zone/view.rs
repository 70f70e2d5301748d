//! What one `kubernetes` stanza shows of a zone.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::message::question::RecordType;
use crate::message::sections::Right;
use crate::name::{Name, Origin, Origins, Qname};

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
    pub origins: Origins,
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
            origins: Origins::default(),
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
    /// The zone that PTR targets are in: the first that is not below a reverse tree.
    #[must_use]
    pub fn primary(&self) -> Option<&Name> {
        // The bare `in-addr.arpa.` counts as forward, as in CoreDNS: list the cluster's domain first.
        self.origins
            .iter()
            .find(|origin| !origin.reverse || origin.labels == 2)
            .map(|origin| &origin.name)
    }

    /// Whether the stanza's `namespaces` lets `ns` through.
    #[must_use]
    pub fn shows(&self, ns: &[u8]) -> bool {
        let mut names = self.namespaces.iter();
        names.len() == 0 || names.any(|name| name.as_bytes().eq_ignore_ascii_case(ns))
    }
}

/// What one `k8s_external` directive shows.
#[derive(Clone, Debug)]
pub struct ExternalView {
    /// The zones, lower case.
    pub origins: Origins,
    /// The label of the zone's own names: `ns1.<apex>.<zone>`.
    pub apex: String,
    /// TTL of everything but SRV and CNAME, in seconds.
    pub ttl: u32,
    /// Headless Services without external addresses show their endpoints.
    pub headless: bool,
    /// What the block's `kubernetes` shows.
    pub kubernetes: Arc<View>,
}

/// What a stanza shows. Replies share it with their plugin until they are written.
#[derive(Clone, Debug)]
pub enum Shown {
    /// `kubernetes`.
    Kubernetes(Arc<View>),
    /// `k8s_external`.
    External(Arc<ExternalView>),
}

impl From<View> for Shown {
    fn from(view: View) -> Self {
        Self::Kubernetes(view.into())
    }
}

impl From<ExternalView> for Shown {
    fn from(view: ExternalView) -> Self {
        Self::External(view.into())
    }
}

impl Shown {
    /// The TTLs that records have, in seconds: those of addresses and pointers, and those of SRV and CNAME.
    #[must_use]
    pub fn ttls(&self) -> [u32; 2] {
        match self {
            Self::Kubernetes(view) => [view.ttl; 2],
            Self::External(external) => [external.ttl, external.kubernetes.ttl],
        }
    }

    /// Whether all records but that of `dns-version` have TTLs within these bounds, in seconds.
    #[must_use]
    pub fn has_ttls_within(&self, (least, most): (u32, u32)) -> bool {
        let mut ttls = self.ttls().into_iter();
        ttls.all(|ttl| (least..=most).contains(&ttl))
    }

    /// The zones.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        match self {
            Self::Kubernetes(view) => &view.origins,
            Self::External(external) => &external.origins,
        }
    }

    /// A question, placed in the zones; `None`: it is in none of them.
    #[must_use]
    pub fn place<'q>(&'q self, name: &'q Qname, qtype: RecordType) -> Option<Asked<'q>> {
        let (origin, left) = self.origins().of(name)?;
        Some(Asked {
            name,
            qtype,
            left,
            origin,
            shown: self,
            most: usize::MAX,
        })
    }
}

/// A question, placed in a stanza's zones.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'q> {
    pub(super) name: &'q Qname,
    pub(super) qtype: RecordType,
    /// Labels of the name left of the zone.
    pub(super) left: usize,
    pub(super) origin: &'q Origin,
    pub(super) shown: &'q Shown,
    /// So many records fill a reply: nothing is lost where some that come after are not found.
    pub(super) most: usize,
}

/// Labels, mostly one or two.
pub type FewLabels<'q> = SmallVec<[&'q [u8]; 4]>;

impl<'q> Asked<'q> {
    /// The same for a reply that may have so many octets.
    #[must_use]
    pub fn within(self, octets: u16) -> Self {
        Self {
            most: usize::from(octets) / SHORTEST_RECORD,
            ..self
        }
    }

    /// The name asked for.
    #[must_use]
    pub fn name(&self) -> &'q Qname {
        self.name
    }

    /// The type asked for.
    #[must_use]
    pub fn qtype(&self) -> RecordType {
        self.qtype
    }

    /// How many labels of the name are left of the zone.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// The same name, as if it were a zone's own.
    #[must_use]
    pub fn as_apex(&self) -> Self {
        Self { left: 0, ..*self }
    }

    /// Whose zones they are.
    #[must_use]
    pub fn shown(&self) -> &'q Shown {
        self.shown
    }

    /// What the block's `kubernetes` shows.
    #[must_use]
    pub fn view(&self) -> &'q View {
        match self.shown {
            Shown::Kubernetes(view) => view,
            Shown::External(external) => &external.kubernetes,
        }
    }

    /// The zone's name as records have it: as typed; as configured in external zones, where CoreDNS does not keep the
    /// client's case.
    #[must_use]
    pub fn apex(&self) -> Right<'q> {
        match self.shown {
            Shown::Kubernetes(_) => Right::Question(self.left),
            Shown::External(_) => Right::Name(&self.origin.name),
        }
    }

    /// The zone's name as typed.
    pub(super) fn typed_apex(&self) -> Name {
        self.name.to_name(self.left)
    }

    /// TTL of addresses and pointers, in seconds.
    #[must_use]
    pub fn ttl(&self) -> u32 {
        match self.shown {
            Shown::Kubernetes(view) => view.ttl,
            Shown::External(external) => external.ttl,
        }
    }

    /// TTL of SRV and CNAME, in seconds: as in CoreDNS that of the `kubernetes` stanza, in external zones too.
    #[must_use]
    pub fn name_ttl(&self) -> u32 {
        self.view().ttl
    }

    /// TTL of the SOA, in seconds.
    #[must_use]
    pub fn soa_ttl(&self) -> u32 {
        match self.shown {
            Shown::Kubernetes(view) => view.ttl.min(SOA_MAX_TTL),
            Shown::External(external) => external.ttl,
        }
    }

    /// Labels between a namespace and the zone.
    #[must_use]
    pub fn tree(&self) -> &'static [&'static [u8]] {
        match self.shown {
            Shown::Kubernetes(_) => &[b"svc"],
            Shown::External(_) => &[],
        }
    }

    /// Labels, left of the zone, of the primary server and of the mailbox that the SOA names.
    #[must_use]
    pub fn authority(&self) -> [FewLabels<'q>; 2] {
        match self.shown {
            Shown::Kubernetes(_) => [
                FewLabels::from_slice(&[b"ns", b"dns"]),
                FewLabels::from_slice(&[b"hostmaster"]),
            ],
            Shown::External(external) => {
                let apex = external.apex.as_bytes();
                [
                    FewLabels::from_slice(&[b"ns1", apex]),
                    FewLabels::from_slice(&[b"hostmaster", apex]),
                ]
            }
        }
    }

    /// The zone that pointers lead into.
    #[must_use]
    pub fn primary(&self) -> Option<&'q Name> {
        match self.shown {
            Shown::Kubernetes(view) => view.primary(),
            Shown::External(external) => external.origins.iter().next().map(|origin| &origin.name),
        }
    }
}

/// Octets of the shortest record: a pointer as its owner, and a pointer as its data (RFC 1035 sections 4.1.3 and 4.1.4).
const SHORTEST_RECORD: usize = 14;

/// The longest TTL of a `kubernetes` stanza's SOA, in seconds, whatever `ttl` says: negatives must not outlive a Pod's
/// start.
const SOA_MAX_TTL: u32 = 300;
