//! What watches deliver, written in a line each: for scenario files, and for tests that need a small cluster.
//!
//! ```text
//! apply namespace NS
//! apply service NS/NAME headless|ADDRESS[,ADDRESS]|external:NAME [+ADDRESS|+NAME]... [PORT:NUMBER/PROTOCOL]...
//! apply import NS/NAME headless|ADDRESS[,ADDRESS] [PORT:NUMBER/PROTOCOL]...
//! apply slice NS/NAME of SERVICE [HOST=ADDRESS[!notready][@TOPOLOGY]]... [PORT:NUMBER/PROTOCOL]...
//! apply importslice NS/NAME of SERVICE in CLUSTER [HOST=ADDRESS[!notready]]... [PORT:NUMBER/PROTOCOL]...
//! apply pod NS/NAME ADDRESS[,ADDRESS]
//! apply set NS/NAME of SERVICE REPLICAS [from ORDINAL]
//! delete KIND KEY                     KIND as above
//! confirm KIND KEY                    the object is still there, and says nothing new
//! unreadable KIND KEY of SERVICE      the object is there and cannot be read
//! reset KINDs                         a full list begins
//! synced KINDs                        it is complete
//! ```
//!
//! `+` is an address, or a load balancer's name, outside the cluster. A slice without ports has `redis:6379/TCP`, a Service
//! without ports one that stands in for none.

use std::net::IpAddr;
use std::sync::Arc;

use headless_dns::endpoint::{
    Address, Endpoint, Expected, External, Kind, Pod, Port, Service, Slice,
};
use headless_dns::name::ServiceKey;
use headless_dns::store::{Event, Fact, List, Object, ObjectKey, Resource, Store};
use headless_dns::zone::{Scope, Zone};

/// The event of a line; the error says what is no such step.
pub fn event(line: &str) -> Result<Event, String> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let fact = match words[..] {
        ["apply", "namespace", _] => Fact::Namespace,
        ["apply", "service", name, kind, ref rest @ ..] => {
            Fact::Service(Scope::Cluster, service(name, kind, rest))
        }
        ["apply", "import", name, kind, ref ports @ ..] => {
            Fact::Service(Scope::ClusterSet, service(name, kind, ports))
        }
        ["apply", "slice", name, "of", of, ref rest @ ..] => {
            Fact::Slice(Scope::Cluster, Some(sibling(name, of)), slice("", rest))
        }
        [
            "apply",
            "importslice",
            name,
            "of",
            of,
            "in",
            cluster,
            ref rest @ ..,
        ] => {
            let slice = slice(cluster, rest);
            Fact::Slice(Scope::ClusterSet, Some(sibling(name, of)), slice)
        }
        ["apply", "pod", name, addresses] => {
            let ObjectKey { ns, name } = key(name);
            let addresses = addresses.split(',').map(|ip| ip.parse().unwrap()).collect();
            Fact::Pod(Pod {
                ns,
                name,
                addresses,
                labels: Box::default(),
            })
        }
        ["apply", "set", name, "of", of, replicas, ref rest @ ..] => Fact::Set(Expected {
            service: sibling(name, of),
            set: key(name).name,
            start: rest.get(1).map_or(0, |start| start.parse().unwrap()),
            replicas: replicas.parse().unwrap(),
        }),
        ["delete", kind, name] => {
            return Ok(Event::Delete(resource(kind)?, key(name).into()));
        }
        ["confirm", kind, name] => return Ok(Event::Confirm(resource(kind)?, key(name))),
        ["unreadable", kind, name, "of", of] => {
            return Ok(Event::Unreadable(
                resource(kind)?,
                key(name),
                Some(sibling(name, of)),
            ));
        }
        ["reset", ref list @ ..] => return Ok(Event::Reset(listed(list)?)),
        ["synced", ref list @ ..] => return Ok(Event::Synced(listed(list)?)),
        _ => return Err(format!("no such step: {line}")),
    };
    let key = key(words[2]);
    Ok(Event::Apply(Object::from(key), fact))
}

/// A zone of what these lines tell, every one of its watches synced.
pub fn zone(lines: &[&str]) -> Arc<Zone> {
    let zone = Arc::new(Zone::default());
    let mut store = Store::new(Arc::clone(&zone), [] as [List; 0]);
    for line in lines {
        store.handle(1, event(line).unwrap());
    }
    zone
}

fn resource(kind: &str) -> Result<Resource, String> {
    Ok(match kind {
        "namespace" => Resource::Namespaces,
        "service" => Resource::Services,
        "import" => Resource::Imports,
        "slice" => Resource::Slices,
        "importslice" => Resource::ImportSlices,
        "pod" => Resource::Pods,
        "set" => Resource::Sets,
        _ => return Err(format!("no such kind: {kind}")),
    })
}

/// `services`, or `services in default`.
fn listed(words: &[&str]) -> Result<List, String> {
    match *words {
        [kinds] => Ok(plural(kinds)?.into()),
        [kinds, "in", ns] => Ok(List {
            resource: plural(kinds)?,
            ns: ns.into(),
        }),
        _ => Err(format!("no such list: {}", words.join(" "))),
    }
}

fn plural(kinds: &str) -> Result<Resource, String> {
    let kind = kinds.strip_suffix('s');
    resource(kind.ok_or_else(|| format!("no such kinds: {kinds}"))?)
}

/// `NS/NAME`, or the name of what is in no namespace.
pub fn key(name: &str) -> ObjectKey {
    let (ns, name) = name.split_once('/').unwrap_or(("", name));
    ObjectKey {
        ns: ns.into(),
        name: name.into(),
    }
}

/// The Service `svc` in the namespace of `name`.
fn sibling(name: &str, svc: &str) -> ServiceKey {
    ServiceKey::new(key(name).ns.as_bytes(), svc.as_bytes())
}

fn service(name: &str, kind: &str, rest: &[&str]) -> Service {
    let (external, ports): (Vec<&str>, Vec<&str>) = rest.iter().partition(|w| w.starts_with('+'));
    let external = external.iter().map(|word| {
        let word = &word[1..];
        let name = |_| External::Name(word.into());
        word.parse().map_or_else(name, External::Address)
    });
    let stand_in = Port {
        name: "".into(),
        protocol: "".into(),
        number: None,
    };
    let ports: Box<[Port]> = match ports[..] {
        [] => Box::new([stand_in]),
        _ => ports.iter().map(|word| port(word)).collect(),
    };
    let ObjectKey { ns, name } = key(name);
    Service {
        key: ServiceKey::new(ns.as_bytes(), name.as_bytes()),
        kind: match kind.split_once(':') {
            Some(("external", name)) => Kind::ExternalName(name.into()),
            _ if kind == "headless" => Kind::Headless,
            _ => Kind::ClusterIp(kind.split(',').map(|ip| ip.parse().unwrap()).collect()),
        },
        external: external.collect(),
        ports,
    }
}

/// `NAME:NUMBER/PROTOCOL`; without number the port has none.
pub fn port(text: &str) -> Port {
    let (name, rest) = text.split_once(':').unwrap();
    let (number, protocol) = rest.split_once('/').unwrap();
    Port {
        name: name.into(),
        protocol: protocol.into(),
        number: number.parse().ok(),
    }
}

/// `HOST=ADDRESS[!notready][@TOPOLOGY]` and ports, in any order; without HOST the endpoint has no hostname.
pub fn slice(cluster: &str, words: &[&str]) -> Slice {
    let (endpoints, ports): (Vec<&str>, Vec<&str>) = words.iter().partition(|w| w.contains('='));
    let ports: Box<[Port]> = match ports[..] {
        [] => Box::new([port("redis:6379/TCP")]),
        _ => ports.iter().map(|word| port(word)).collect(),
    };
    let endpoints: Vec<_> = endpoints.iter().map(|word| endpoint(word)).collect();
    Slice::new(cluster, ports, &endpoints)
}

fn endpoint(word: &str) -> Endpoint<'_> {
    let (host, rest) = word.split_once('=').unwrap();
    let (rest, topology) = rest.split_once('@').unwrap_or((rest, ""));
    let ready = rest.strip_suffix("!notready");
    let address = ready.unwrap_or(rest);
    let ip = address.parse::<IpAddr>().map(Address::Ip);
    Endpoint {
        address: ip.unwrap_or(Address::Name(address)),
        label: (!host.is_empty()).then_some(host),
        topology,
        ready: ready.is_none(),
    }
}
