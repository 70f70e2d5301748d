//! Generated clusters: Services of every kind, slices that overlap, names on the edge.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use headless_dns::endpoint::{Address, Endpoint, Kind, Port, Service, Slice};
use headless_dns::name::ServiceKey;
use headless_dns::store::{Event, Fact, ObjectKey, Resource, Store};
use headless_dns::zone::{Scope, Zone};
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};

/// An endpoint as the generator makes it: hostname, address, ready.
pub type Host = (Option<String>, IpAddr, bool);

#[derive(Debug)]
pub struct GenSlice {
    pub ns: usize,
    pub service: usize,
    pub ports: Vec<Port>,
    pub hosts: Vec<Host>,
}

#[derive(Debug)]
pub struct GenCluster {
    /// Namespaces that are there.
    pub namespaces: BTreeSet<usize>,
    pub services: Vec<(usize, usize, Service)>,
    pub slices: Vec<GenSlice>,
    pub pods: bool,
}

pub fn ns(i: usize) -> String {
    ["default", "prod", "svc", "x1"][i].into()
}

pub fn svc(i: usize) -> String {
    ["redis", "web", "pod", "a-b", "dns"][i].into()
}

pub fn pick<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from.choose(rng).unwrap().clone()
}

fn port(rng: &mut StdRng) -> Port {
    let name = pick(rng, &["", "http", "redis", "Metrics"]);
    let protocol = pick(rng, &["TCP", "UDP", "SCTP"]);
    let number = pick(rng, &[Some(80), Some(80), Some(6379), None]);
    Port {
        name: name.into(),
        protocol: protocol.into(),
        number,
    }
}

fn ports(rng: &mut StdRng) -> Vec<Port> {
    let n = rng.random_range(1..4);
    (0..n).map(|_| port(rng)).collect()
}

fn address(rng: &mut StdRng, v6: bool) -> IpAddr {
    let last = rng.random_range(0..12u8);
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(10, 0, 0, last).into()
    }
}

/// A cluster of few names and addresses, so that they meet.
pub fn generate(rng: &mut StdRng) -> GenCluster {
    let namespaces = (0..4).filter(|_| rng.random_bool(0.8)).collect();
    let services = services(rng);
    let slices = (0..rng.random_range(0..14)).map(|_| slice(rng)).collect();
    GenCluster {
        namespaces,
        services,
        slices,
        pods: rng.random_bool(0.5),
    }
}

fn services(rng: &mut StdRng) -> Vec<(usize, usize, Service)> {
    let mut services = Vec::new();
    for n in 0..4 {
        for s in 0..5 {
            if rng.random_bool(0.5) {
                let key = ServiceKey::new(ns(n).as_bytes(), svc(s).as_bytes());
                let kind = match rng.random_range(0..5) {
                    0 | 1 => Kind::Headless,
                    2 => Kind::ClusterIp(Box::new([address(rng, false), address(rng, true)])),
                    3 => Kind::ClusterIp(Box::new([Ipv4Addr::new(
                        10,
                        96,
                        u8::try_from(n).unwrap(),
                        u8::try_from(s).unwrap(),
                    )
                    .into()])),
                    _ => Kind::ExternalName(
                        pick(rng, &["example.com", "a.example.org.", "192.0.2.1"]).into(),
                    ),
                };
                services.push((
                    n,
                    s,
                    Service {
                        key,
                        kind,
                        external: Box::new([]),
                        ports: ports(rng).into(),
                    },
                ));
            }
        }
    }
    services
}

fn slice(rng: &mut StdRng) -> GenSlice {
    let v6 = rng.random_bool(0.3);
    let host = |rng: &mut StdRng| {
        let label = pick(
            rng,
            &[None, None, Some("redis-0"), Some("redis-1"), Some("Web-0")],
        );
        (
            label.map(str::to_owned),
            address(rng, v6),
            rng.random_bool(0.75),
        )
    };
    let hosts = (0..rng.random_range(0..5)).map(|_| host(rng)).collect();
    GenSlice {
        ns: rng.random_range(0..4),
        service: rng.random_range(0..5),
        ports: ports(rng),
        hosts,
    }
}

/// The zone, fed in any order.
pub fn zone(cluster: &GenCluster, rng: &mut StdRng) -> Arc<Zone> {
    let mut events = Vec::new();
    let object = |ns: String, name: String| ObjectKey {
        ns: ns.into(),
        name: name.into(),
    };
    for n in &cluster.namespaces {
        events.push(Event::Apply(
            object(String::new(), ns(*n)).into(),
            Fact::Namespace,
        ));
    }
    for (n, s, service) in &cluster.services {
        events.push(Event::Apply(
            object(ns(*n), svc(*s)).into(),
            Fact::Service(Scope::Cluster, service.clone()),
        ));
    }
    for (i, slice) in cluster.slices.iter().enumerate() {
        let endpoint = |(label, ip, ready): &'_ Host| (label.clone(), *ip, *ready);
        let hosts: Vec<Host> = slice.hosts.iter().map(endpoint).collect();
        let endpoints: Vec<_> = hosts
            .iter()
            .map(|(label, ip, ready)| Endpoint {
                address: Address::Ip(*ip),
                label: label.as_deref(),
                topology: "",
                ready: *ready,
            })
            .collect();
        let of = ServiceKey::new(ns(slice.ns).as_bytes(), svc(slice.service).as_bytes());
        let fact = Fact::Slice(
            Scope::Cluster,
            Some(of),
            Slice::new("", slice.ports.clone().into(), &endpoints),
        );
        events.push(Event::Apply(
            object(ns(slice.ns), format!("slice-{i}")).into(),
            fact,
        ));
    }
    events.shuffle(rng);
    let zone = Arc::new(Zone::default());
    let watches = [Resource::Namespaces, Resource::Services, Resource::Slices];
    let mut store = Store::new(Arc::clone(&zone), watches);
    events.extend(watches.map(|watched| Event::Synced(watched.into())));
    for event in events {
        store.handle(1, event);
    }
    zone
}
