//! Addresses to names. A PTR exists exactly when the name it gives resolves to that address under the same options.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use smallvec::SmallVec;

use super::answer::{Answer, Found, Pointer, no_data};
use super::data::ServiceData;
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

    /// What `look` finds in the Services that have the address and that the stanza shows. Where it finds nothing, and a
    /// Service was published meanwhile, it looks again: an address that moves from one to another is never nowhere.
    fn among<T>(
        &self,
        view: &View,
        ip: IpAddr,
        look: impl Fn(&mut dyn Iterator<Item = Arc<ServiceData>>) -> Option<T>,
    ) -> Option<T> {
        loop {
            let published = self.published.load(Ordering::Acquire);
            let owners = self.owners(ip);
            let keys = owners.iter().flat_map(|keys| keys.iter());
            let shown = keys.filter(|key| self.exposed(view, key.ns()));
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
            let services: SmallVec<[_; 1]> = services.collect();
            let names = names_among(&services, view, ip);
            (!names.is_empty()).then_some(names)
        });
        names.unwrap_or_default()
    }
}

fn names_among(services: &[Arc<ServiceData>], view: &View, ip: IpAddr) -> Pointers {
    if let Some(data) = services.iter().find(|data| answers(view, data, ip)) {
        return Pointers::from_elem(Pointer::to(data), 1);
    }
    let each = services.iter().flat_map(|data| endpoint_names(data, ip));
    let mut names: Pointers = each.collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Whether the Service has the address for a cluster address that it answers to.
fn answers(view: &View, data: &ServiceData, ip: IpAddr) -> bool {
    let cluster_ip = matches!(&data.service().kind, Kind::ClusterIp(ips) if ips.contains(&ip));
    cluster_ip && (!view.ignore_empty_service || data.ready() > 0)
}

/// The names of the ready endpoints of a Service at an address.
fn endpoint_names(data: &ServiceData, ip: IpAddr) -> impl Iterator<Item = Pointer> {
    let endpoints = data.at(ip);
    endpoints
        .filter(|_| !matches!(data.service().kind, Kind::ExternalName(_)))
        .filter(|(_, endpoint)| endpoint.ready)
        .map(|(_, endpoint)| endpoint.name())
        // A label with a dot would be read as two.
        .filter(|label| !label.contains(&b'.'))
        .map(|label| Pointer {
            service: data.service().key.clone(),
            label,
        })
}
