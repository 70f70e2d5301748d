//! The Services, and the names of each, as JSON.

use std::collections::HashSet;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Asked, Known, Refusal, wrong};
use crate::endpoint::{Address, Kind};
use crate::name::{Name, ServiceKey, dashed, text};
use crate::zone::{Scope, ServiceData, Shown};

/// Services whose names may be asked for at a time.
const SERVICES: usize = 64;

/// A name, what it leads to, and whether it is answered.
type Line = (String, Vec<String>, bool);

impl Known {
    /// Whether names of the namespace are answered.
    fn shows(&self, ns: &[u8]) -> bool {
        match &self.shown {
            Shown::Kubernetes(view) => view.shows(ns),
            Shown::External(external) => external.kubernetes.shows(ns),
        }
    }

    /// The Services, and how many endpoints each has.
    pub(super) fn names(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let (find, limit) = (asked.get("find").unwrap_or_default(), asked.limit()?);
        let find = find.trim_end_matches('.').to_ascii_lowercase();
        let domain = self.domain().unwrap_or_default();
        let find = Find {
            ip: find.parse().ok(),
            text: find,
            zone: format!(".svc.{domain}"),
        };
        let (mut names, mut name) = (Vec::new(), String::new());
        for data in self.zone.services(Scope::Cluster) {
            let key = &data.service().key;
            let (ns, service) = (text(key.ns()).into_owned(), key.to_string());
            let is_asked = asked.get("ns").is_none_or(|wanted| wanted == ns);
            if is_asked && self.shows(key.ns()) && find.is_in(&data, &service, &mut name) {
                names.push((service, kind_of(&data), data.len(), data.ready()));
            }
        }
        names.sort_unstable();
        let total = names.len();
        names.truncate(limit.unwrap_or(total));
        let names = names.iter().map(|(service, kind, endpoints, ready)| {
            json!({"service": service, "kind": kind, "endpoints": endpoints, "ready": ready})
        });
        let names: Vec<_> = names.collect();
        Ok(json!({"synced": self.zone.synced(), "total": total, "names": names}))
    }

    /// How many Services there are.
    pub(super) fn services(&self) -> usize {
        let all = self.zone.services(Scope::Cluster).into_iter();
        all.filter(|data| self.shows(data.service().key.ns()))
            .count()
    }

    /// The names of the Services that are asked for, and what each leads to.
    pub(super) fn service(&self, asked: &Asked<'_>) -> Result<Value, Refusal> {
        let expected = || wrong("service: a Service such as redis.default was expected");
        let pairs = asked.0.iter().filter(|(key, _)| key == "service");
        let all: Vec<_> = pairs
            .map(|(_, own)| own.split_once('.').ok_or_else(expected))
            .collect::<Result<_, _>>()?;
        if all.is_empty() {
            return Err(expected());
        }
        if all.len() > SERVICES {
            return Err(wrong(format!("service: {SERVICES} at most were expected")));
        }
        let (domain, limit) = (self.domain()?, asked.limit()?);
        let told = all.iter().map(|(svc, ns)| {
            let key = ServiceKey::new(ns.as_bytes(), svc.as_bytes());
            let told = self.one(&key, &domain, limit);
            told.unwrap_or_else(|| {
                json!({"service": key.to_string(), "error": format!("there is no Service {key}")})
            })
        });
        Ok(json!({"services": told.collect::<Vec<_>>()}))
    }

    /// One of them; `None`: there is none.
    fn one(&self, key: &ServiceKey, domain: &str, limit: Option<usize>) -> Option<Value> {
        let data = self.zone.service(Scope::Cluster, key.wire());
        let data = data.filter(|_| self.shows(key.ns()))?;
        let lines = lines(&data, &format!("{key}.svc.{domain}"));
        let limit = limit.unwrap_or(lines.len());
        let names = lines.iter().take(limit).map(
            |(name, leads_to, ready)| json!({"name": name, "addresses": leads_to, "ready": ready}),
        );
        let names: Vec<_> = names.collect();
        let kind = kind_of(&data);
        Some(
            json!({"service": key.to_string(), "kind": kind, "total": lines.len(), "names": names}),
        )
    }

    /// The cluster's domain, as it is shown here, without its final dot.
    pub(super) fn domain(&self) -> Result<String, Refusal> {
        let domain = self.forward_zone()?.to_string();
        Ok(domain.trim_end_matches('.').to_owned())
    }

    /// The first zone of names.
    pub(super) fn forward_zone(&self) -> Result<&Name, Refusal> {
        let mut origins = self.shown.origins().iter();
        let forward = origins.find(|origin| !origin.reverse);
        let forward = forward.ok_or_else(|| wrong("this server has reverse zones only"))?;
        Ok(&forward.name)
    }
}

/// What a Service's own name stands for.
fn kind_of(data: &ServiceData) -> &'static str {
    match &data.service().kind {
        Kind::ClusterIp(_) => "cluster IP",
        Kind::ExternalName(_) => "alias",
        Kind::Headless => "headless",
    }
}

/// What is looked for.
struct Find {
    /// A part of a name, in lower case.
    text: String,
    /// That is an address.
    ip: Option<IpAddr>,
    /// How all names end.
    zone: String,
}

impl Find {
    /// Whether a Service or an endpoint of it has this in its name, or is at this address. `name`: a text to be used for names.
    fn is_in(&self, data: &ServiceData, service: &str, name: &mut String) -> bool {
        let has_address = match &data.service().kind {
            Kind::ClusterIp(ips) => self.ip.is_some_and(|ip| ips.contains(&ip)),
            Kind::Headless | Kind::ExternalName(_) => false,
        };
        let mut begins_in = |endpoint: &str| {
            name.clear();
            name.extend([endpoint, service]);
            let own = name.len();
            name.push_str(&self.zone);
            // What all names end in tells none from the others.
            name.find(&self.text).is_some_and(|at| at < own)
        };
        has_address
            || begins_in("")
            || data.endpoints().any(|(_, endpoint)| {
                let is_at = self.ip.is_some() && endpoint.ip() == self.ip;
                is_at || begins_in(&format!("{}.", text(&endpoint.name())))
            })
    }
}

/// The Service's own name, then those of its endpoints, sorted.
fn lines(data: &ServiceData, own: &str) -> Vec<Line> {
    let texts = |ips: &[IpAddr]| ips.iter().map(ToString::to_string).collect();
    let mut endpoints: Vec<Line> = Vec::new();
    let mut ready = Vec::new();
    for (_, endpoint) in data.endpoints() {
        let (address, label) = match endpoint.address {
            Address::Ip(ip) => (ip.to_string(), text(&dashed(ip)).into_owned()),
            Address::Name(name) => (name.to_owned(), name.to_owned()),
        };
        if let (Address::Ip(ip), true) = (endpoint.address, endpoint.ready) {
            ready.push(ip);
        }
        let label = endpoint.label.unwrap_or(&label);
        endpoints.push((format!("{label}.{own}"), vec![address], endpoint.ready));
    }
    // Slices may have an endpoint twice.
    let mut seen = HashSet::new();
    ready.retain(|ip| seen.insert(*ip));
    endpoints.sort_unstable();
    endpoints.dedup();
    let first = match &data.service().kind {
        Kind::ClusterIp(ips) => (texts(ips), !ips.is_empty()),
        Kind::ExternalName(name) => (vec![name.to_string()], true),
        Kind::Headless => (texts(&ready), !ready.is_empty()),
    };
    let mut lines = vec![(own.to_owned(), first.0, first.1)];
    lines.extend(endpoints);
    lines
}
