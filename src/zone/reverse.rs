//! Addresses to names. A PTR exists exactly when the name it gives resolves to that address under the same options.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::answer::{Answer, Found, Pointer, no_data};
use super::data::{Place, ServiceData};
use super::reason::Reason;
use super::view::{Asked, View};
use super::{Holder, Owners, Scope, Zone};
use crate::endpoint::Kind;
use crate::message::question::RecordType;

type Pointers = SmallVec<[Pointer; 1]>;

impl Zone {
    /// PTR and everything else at the reverse name of `ip`.
    pub(super) fn reverse_answer(&self, asked: &Asked<'_>, ip: IpAddr) -> Answer {
        let view = asked.view();
        if asked.primary().is_none() {
            return self.pointers(asked, ip, Pointers::new());
        }
        // An address may have thousands of names: whether there is one is enough for any other type, and as many as fit for
        // this one.
        if asked.qtype != RecordType::PTR && self.has_name(view, ip) {
            return no_data(Reason::OtherType);
        }
        self.pointers(asked, ip, self.names_of(view, ip, asked.most))
    }

    /// The names of an address, or why there are none.
    pub(super) fn pointers(&self, asked: &Asked<'_>, ip: IpAddr, names: Pointers) -> Answer {
        if names.is_empty() {
            return self.absent(Reason::NoSuchAddress(ip));
        }
        if asked.qtype != RecordType::PTR {
            return no_data(Reason::OtherType);
        }
        Answer::Found(Found::Pointers(names))
    }

    /// What `look` finds. Where it finds nothing, and a Service was published meanwhile, it looks again: an address that
    /// moves from one to another is never nowhere.
    pub(super) fn settled<T>(&self, look: impl Fn() -> Option<T>) -> Option<T> {
        loop {
            let published = self.published.load(Ordering::Acquire);
            let found = look();
            if found.is_some() || self.published.load(Ordering::Acquire) == published {
                return found;
            }
        }
    }

    /// Of the Services that have an address those that the stanza shows, in the order of their keys.
    pub(super) fn among<'a>(
        &'a self,
        view: &'a View,
        owners: Option<&'a Owners>,
    ) -> impl Iterator<Item = Arc<ServiceData>> {
        // Thousands of Services may share an address, mostly in one namespace.
        let mut before: Option<(&[u8], bool)> = None;
        let keys = owners.into_iter().flat_map(|keys| keys.iter());
        let shown = keys.filter(move |key| {
            let ns = key.ns();
            let known = before.filter(|(before, _)| *before == ns);
            let (_, is) = *before.insert(known.unwrap_or_else(|| (ns, self.exposed(view, ns))));
            is
        });
        shown.filter_map(|key| self.service(Scope::Cluster, key.wire()))
    }

    /// The Service that has the address for a cluster address.
    fn with_cluster_address(&self, view: &View, ip: IpAddr) -> Option<Arc<ServiceData>> {
        let owners = self.owners(Holder::Service, ip);
        self.among(view, owners.as_ref())
            .find(|data| answers(view, data, ip))
    }

    /// Whether the address has a name.
    fn has_name(&self, view: &View, ip: IpAddr) -> bool {
        let found = self.settled(|| {
            let owners = self.owners(Holder::Endpoint, ip);
            let has = |data: &Arc<ServiceData>| endpoint_names(data, ip).next().is_some();
            let mut services = self.among(view, owners.as_ref());
            self.with_cluster_address(view, ip)
                .or_else(|| services.find(has))
        });
        found.is_some()
    }

    /// One Service's name for a cluster address, else the name of every endpoint at this address: of no more Services
    /// than it takes for `most`.
    fn names_of(&self, view: &View, ip: IpAddr, most: usize) -> Pointers {
        let names = self.settled(|| {
            if let Some(data) = self.with_cluster_address(view, ip) {
                return Some(Pointers::from_elem(Pointer::to(data), 1));
            }
            let owners = self.owners(Holder::Endpoint, ip);
            let names = names_among(self.among(view, owners.as_ref()), ip, most);
            (!names.is_empty()).then_some(names)
        });
        names.unwrap_or_default()
    }
}

fn names_among(
    services: impl Iterator<Item = Arc<ServiceData>>,
    ip: IpAddr,
    most: usize,
) -> Pointers {
    let mut names = Pointers::new();
    for data in services {
        let before = names.len();
        names.extend(endpoint_names(&data, ip).map(|place| Pointer::below(&data, place)));
        if names.len() > before + 1 {
            let mut own: Pointers = names.drain(before..).collect();
            own.sort_by_cached_key(Pointer::label);
            own.dedup_by_key(|name| name.label());
            names.append(&mut own);
        }
        if names.len() > most {
            break;
        }
    }
    names
}

/// Whether the Service has the address for a cluster address that it answers to.
fn answers(view: &View, data: &ServiceData, ip: IpAddr) -> bool {
    let is_its = |kind: &Kind| matches!(kind, Kind::ClusterIp(ips) if ips.contains(&ip));
    is_its(&data.service().kind) && (!view.ignore_empty_service || data.ready() > 0)
}

/// The ready endpoints of a Service at an address, as far as they have names.
fn endpoint_names(data: &ServiceData, ip: IpAddr) -> impl Iterator<Item = Place> {
    let is_alias = !data.is_headless() && matches!(data.service().kind, Kind::ExternalName(_));
    data.at(ip).filter(move |place| {
        // A label with a dot would be read as two.
        !is_alias && data.is_ready(*place) && data.is_one_label(*place)
    })
}
