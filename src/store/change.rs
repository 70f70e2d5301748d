//! What an event has changed of the names, for whoever tells people of it, waits for it or counts it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Object, Resource};
use crate::endpoint::{Address, Kind, Service, Slice};
use crate::name::{Octets, ServiceKey, dashed, text};
use crate::zone::{Scope, ServiceData};

/// A change of names. It keeps the state before and the state now; their names are compared only when somebody asks.
#[derive(Clone, Debug)]
pub struct Change {
    /// The resource of the object that the event was about.
    pub resource: Resource,
    /// The object; without version where a list no longer had it.
    pub object: Object,
    pub(super) what: What,
}

/// Whose names have changed.
#[derive(Clone, Debug)]
pub(super) enum What {
    Service(ServiceChange),
    /// Addresses of a Pod, which has names only where a mode says so.
    Pod {
        before: Box<[IpAddr]>,
        after: Box<[IpAddr]>,
    },
}

#[derive(Clone, Debug)]
pub(super) struct ServiceChange {
    pub(super) scope: Scope,
    pub(super) key: ServiceKey,
    pub(super) before: Option<Arc<ServiceData>>,
    pub(super) after: Option<Arc<ServiceData>>,
    /// The slices that were replaced and that replace them; none: the Service itself has changed.
    pub(super) slices: [Option<Arc<Slice>>; 2],
}

/// One name that has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameChange {
    /// The name without its zone: `redis-0.redis.default.svc`.
    pub name: String,
    /// Whether the name is that of an endpoint with a hostname, which follows a Pod.
    pub hostname: bool,
    /// What it led to: addresses, or the name of an alias; sorted.
    pub before: Vec<String>,
    /// What it leads to.
    pub after: Vec<String>,
}

impl Change {
    /// The Service whose names have changed.
    #[must_use]
    pub fn service(&self) -> Option<(Scope, &ServiceKey)> {
        match &self.what {
            What::Service(change) => Some((change.scope, &change.key)),
            What::Pod { .. } => None,
        }
    }

    /// When the change began, in microseconds since 1970, and the Service that its slice belongs to; `None` where
    /// nobody says.
    #[must_use]
    pub fn programmed(&self) -> Option<(i64, &Service)> {
        let What::Service(change) = &self.what else {
            return None;
        };
        Some((self.object.triggered?, change.after.as_ref()?.service()))
    }

    /// Every name that leads elsewhere than before, in order.
    #[must_use]
    pub fn names(&self) -> Vec<NameChange> {
        match &self.what {
            What::Service(change) => change.names(),
            What::Pod { before, after } => pod_names(&self.object, before, after),
        }
    }
}

impl ServiceChange {
    fn names(&self) -> Vec<NameChange> {
        let mut labels = BTreeSet::new();
        for slice in self.touched() {
            labels.extend(slice.endpoints().map(|e| (e.name(), e.label.is_some())));
        }
        let own = std::iter::once((Octets::new(), false));
        let changes = own.chain(labels).filter_map(|(label, hostname)| {
            let [before, after] = [&self.before, &self.after].map(|data| {
                data.as_deref()
                    .map_or_else(Vec::new, |data| targets(data, &label))
            });
            (before != after).then(|| NameChange {
                name: self.name(&label),
                hostname,
                before,
                after,
            })
        });
        changes.collect()
    }

    /// The slices whose endpoints may have changed.
    fn touched(&self) -> impl Iterator<Item = &Slice> {
        let replaced = self.slices.iter().flatten();
        let itself = self.slices.iter().all(Option::is_none);
        let all = [&self.before, &self.after].into_iter().flatten();
        let all = all.filter(move |_| itself).flat_map(|data| data.slices());
        replaced.chain(all).map(|slice| &**slice)
    }

    pub(super) fn name(&self, label: &[u8]) -> String {
        if label.is_empty() {
            format!("{}.svc", self.key)
        } else {
            format!("{}.{}.svc", text(label), self.key)
        }
    }
}

/// Where an endpoint leads, in words.
pub(super) fn target(address: Address<'_>) -> String {
    match address {
        Address::Ip(ip) => ip.to_string(),
        Address::Name(name) => name.to_owned(),
    }
}

/// Where a name of a Service leads: its own, or an endpoint's.
fn targets(data: &ServiceData, label: &[u8]) -> Vec<String> {
    let mut targets: Vec<String> = match &data.service().kind {
        Kind::ExternalName(_) if !label.is_empty() => Vec::new(),
        Kind::ExternalName(name) => vec![name.to_string()],
        Kind::ClusterIp(ips) if label.is_empty() => ips.iter().map(ToString::to_string).collect(),
        Kind::ClusterIp(_) | Kind::Headless => {
            let itself = data.endpoints().filter(|_| label.is_empty());
            let endpoints = itself.chain(data.named(label).map(|place| data.endpoint(place)));
            let ready = endpoints.filter(|(_, endpoint)| endpoint.ready);
            ready
                .map(|(_, endpoint)| target(endpoint.address))
                .collect()
        }
    };
    targets.sort_unstable();
    targets.dedup();
    targets
}

fn pod_names(pod: &Object, before: &[IpAddr], after: &[IpAddr]) -> Vec<NameChange> {
    let all: BTreeSet<IpAddr> = before.iter().chain(after).copied().collect();
    let held = |ips: &[IpAddr], ip: IpAddr| {
        let held = ips.contains(&ip).then(|| ip.to_string());
        held.into_iter().collect::<Vec<_>>()
    };
    let changes = all.into_iter().filter_map(|ip| {
        let (before, after) = (held(before, ip), held(after, ip));
        (before != after).then(|| NameChange {
            name: format!("{}.{}.pod", text(&dashed(ip)), pod.key.ns),
            hostname: false,
            before,
            after,
        })
    });
    changes.collect()
}
