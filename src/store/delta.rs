//! A change as what each name leads to since, and no more: what it takes to tell what a name led to at a time.

use std::collections::BTreeSet;

use super::change::{Change, NameChange, ServiceChange, What, target};
use crate::endpoint::{Kind, Slice};
use crate::name::Octets;
use crate::zone::ServiceData;

/// What has changed of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// The name without its zone: `redis-0.redis.default.svc`.
    pub name: Box<str>,
    /// What it leads to since: addresses, or the name of an alias.
    pub added: Box<[Box<str>]>,
    /// What it leads to no more.
    pub removed: Box<[Box<str>]>,
}

/// Labels of endpoints that are ready, and where they lead.
type Ready = BTreeSet<(Octets, String)>;

impl Change {
    /// Every name that leads elsewhere than before, in order. Of a slice that changes, this costs what the slice holds,
    /// however large its Service is.
    #[must_use]
    pub fn deltas(&self) -> Vec<Delta> {
        match &self.what {
            What::Service(change) if change.slices.iter().any(Option::is_some) => change.of_slice(),
            What::Service(_) | What::Pod { .. } => {
                let names = self.names().into_iter();
                names.map(Delta::from).collect()
            }
        }
    }
}

impl From<NameChange> for Delta {
    fn from(change: NameChange) -> Self {
        let NameChange {
            name,
            before,
            after,
            ..
        } = change;
        let without = |all: &[String], other: &[String]| {
            let left = all.iter().filter(|target| !other.contains(target));
            left.map(|target| target.as_str().into()).collect()
        };
        Self {
            name: name.into(),
            added: without(&after, &before),
            removed: without(&before, &after),
        }
    }
}

impl ServiceChange {
    /// The same for a slice that was replaced.
    fn of_slice(&self) -> Vec<Delta> {
        let (Some(before), Some(after)) = (&self.before, &self.after) else {
            // Without its Service a slice has no names, and below an alias none has.
            return Vec::new();
        };
        if matches!(after.service().kind, Kind::ExternalName(_)) {
            return Vec::new();
        }
        let [old, new] = self.slices.each_ref().map(|slice| ready(slice.as_deref()));
        let gone: Vec<_> = old
            .difference(&new)
            .filter(|(label, target)| !has(after, label, target))
            .collect();
        let came: Vec<_> = new
            .difference(&old)
            .filter(|(label, target)| !has(before, label, target))
            .collect();
        let mut labels: BTreeSet<&Octets> = BTreeSet::new();
        labels.extend(gone.iter().chain(&came).map(|(label, _)| label));
        let mut deltas = Vec::new();
        if after.is_headless() {
            let own = |pairs: &[&(Octets, String)], other: &ServiceData| {
                let left = pairs.iter().filter(|(_, target)| !leads_to(other, target));
                let targets: BTreeSet<&str> = left.map(|(_, target)| target.as_str()).collect();
                targets
                    .into_iter()
                    .map(Box::from)
                    .collect::<Box<[Box<str>]>>()
            };
            deltas.push(Delta {
                name: self.name(b"").into(),
                added: own(&came, before),
                removed: own(&gone, after),
            });
        }
        for label in labels {
            let of = |pairs: &[&(Octets, String)]| {
                let own = pairs.iter().filter(|(other, _)| other == label);
                own.map(|(_, target)| target.as_str().into()).collect()
            };
            deltas.push(Delta {
                name: self.name(label).into(),
                added: of(&came),
                removed: of(&gone),
            });
        }
        deltas.retain(|delta| !delta.added.is_empty() || !delta.removed.is_empty());
        deltas
    }
}

fn ready(slice: Option<&Slice>) -> Ready {
    let endpoints = slice.into_iter().flat_map(Slice::ready_endpoints);
    endpoints
        .map(|endpoint| (endpoint.name(), target(endpoint.address)))
        .collect()
}

/// Whether an endpoint of this name that is ready leads there.
fn has(data: &ServiceData, label: &[u8], wanted: &str) -> bool {
    let mut endpoints = data.named(label).map(|place| data.endpoint(place).1);
    endpoints.any(|endpoint| endpoint.ready && target(endpoint.address) == wanted)
}

/// Whether any endpoint that is ready leads there.
fn leads_to(data: &ServiceData, wanted: &str) -> bool {
    match wanted.parse() {
        Ok(ip) => data.ready_at(ip).next().is_some(),
        Err(_) => data
            .endpoints()
            .any(|(_, endpoint)| endpoint.ready && target(endpoint.address) == wanted),
    }
}
