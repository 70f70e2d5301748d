//! Addresses to names. A PTR exists exactly when the name it gives resolves to that address under the same options.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::answer::{Answer, Found, Pointer, no_data};
use super::data::{Place, ServiceData};
use super::reason::Reason;
use super::view::{Asked, View};
use super::{Scope, Zone};
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
        // An address may have thousands of names: whether there is one is enough for any other type.
        if asked.qtype != RecordType::PTR && self.has_name(view, ip) {
            return no_data(Reason::OtherType);
        }
        self.pointers(asked, ip, self.names_of(view, ip))
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

    /// What `look` finds in the Services that have the address and that the stanza shows, in the order of their keys. Where
    /// it finds nothing, and a Service was published meanwhile, it looks again: an address that moves from one to another
    /// is never nowhere.
    fn among<T>(
        &self,
        view: &View,
        ip: IpAddr,
        look: impl Fn(&mut dyn Iterator<Item = Arc<ServiceData>>) -> Option<T>,
    ) -> Option<T> {
        loop {
            let published = self.published.load(Ordering::Acquire);
            let owners = self.owners(ip);
            // Thousands of Services may share an address, mostly in one namespace.
            let mut before: Option<(&[u8], bool)> = None;
            let shown = owners.iter().flat_map(|keys| keys.iter()).filter(|key| {
                let ns = key.ns();
                let known = before.filter(|(before, _)| *before == ns);
                let (_, is) = *before.insert(known.unwrap_or_else(|| (ns, self.exposed(view, ns))));
                is
            });
            let mut services = shown.filter_map(|key| self.service(Scope::Cluster, key.wire()));
            let found = look(&mut services);
            if found.is_some() || self.published.load(Ordering::Acquire) == published {
                return found;
            }
        }
    }

    /// Whether the address has a name.
    fn has_name(&self, view: &View, ip: IpAddr) -> bool {
        let has = |data: &Arc<ServiceData>| {
            answers(view, data, ip) || endpoint_names(data, ip).next().is_some()
        };
        let found = self.among(view, ip, |mut services| Iterator::find(&mut services, has));
        found.is_some()
    }

    /// One Service's name for a cluster address, else the name of every endpoint at this address.
    fn names_of(&self, view: &View, ip: IpAddr) -> Pointers {
        let names = self.among(view, ip, |services| {
            let names = names_among(services, view, ip);
            (!names.is_empty()).then_some(names)
        });
        names.unwrap_or_default()
    }
}

fn names_among(
    services: &mut dyn Iterator<Item = Arc<ServiceData>>,
    view: &View,
    ip: IpAddr,
) -> Pointers {
    let mut names = Pointers::new();
    for data in services {
        if answers(view, &data, ip) {
            return Pointers::from_elem(Pointer::to(data), 1);
        }
        let before = names.len();
        names.extend(endpoint_names(&data, ip).map(|place| Pointer::below(&data, place)));
        if names.len() > before + 1 {
            let mut own: Pointers = names.drain(before..).collect();
            own.sort_by_cached_key(Pointer::label);
            own.dedup_by_key(|name| name.label());
            names.append(&mut own);
        }
    }
    names
}

/// Whether the Service has the address for a cluster address that it answers to.
fn answers(view: &View, data: &ServiceData, ip: IpAddr) -> bool {
    let is_its = |kind: &Kind| matches!(kind, Kind::ClusterIp(ips) if ips.contains(&ip));
    // Asked of thousands: most tell without their Service being read.
    !data.is_headless()
        && is_its(&data.service().kind)
        && (!view.ignore_empty_service || data.ready() > 0)
}

/// The ready endpoints of a Service at an address, as far as they have names.
fn endpoint_names(data: &ServiceData, ip: IpAddr) -> impl Iterator<Item = Place> {
    let is_alias = !data.is_headless() && matches!(data.service().kind, Kind::ExternalName(_));
    data.at(ip).filter(move |place| {
        // A label with a dot would be read as two.
        !is_alias && data.is_ready(*place) && data.is_one_label(*place)
    })
}
