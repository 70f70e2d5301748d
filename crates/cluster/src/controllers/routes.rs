//! Where connections to the addresses of Services go, where Pods run: what kube-proxy has in its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use headless_objects::object::{SERVICE_NAME, array};
use serde_json::Value;

use super::{Action, Step};
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::published::Published;
use crate::runtime::{Entrance, Order, Protocol, Routes, Side};

/// What others serve: the API, and DNS.
const SERVED: &[(&str, &str)] = &[("default", "kubernetes"), ("kube-system", "kube-dns")];

/// The routes that were ordered last.
#[derive(Debug)]
pub(super) struct Router {
    routes: Routes,
    published: Vec<Published>,
}

impl Router {
    /// One that leads to these Services from outside, too.
    pub(super) fn new(published: Vec<Published>) -> Self {
        Self {
            routes: Routes::new(),
            published,
        }
    }

    /// The routes, where they are others than before.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Option<Action> {
        let kinds = [kinds::SERVICE, kinds::ENDPOINT_SLICE, kinds::NODE];
        if !step
            .changes
            .iter()
            .any(|change| kinds.contains(&change.key.kind))
        {
            return None;
        }
        let routes = routes(step.objects, &self.published);
        if routes == self.routes {
            return None;
        }
        self.routes.clone_from(&routes);
        Some(Action::Order(Order::Route(routes)))
    }
}

fn routes(objects: &Objects, published: &[Published]) -> Routes {
    let mut routes = Routes::new();
    let nodes = node_addresses(objects);
    for (key, service) in objects.list(kinds::SERVICE, None) {
        if SERVED.contains(&(key.ns.as_str(), key.name.as_str())) {
            continue;
        }
        for port in array(&service["spec"]["ports"]) {
            let protocol = match port["protocol"].as_str() {
                Some("TCP") | None => Protocol::Tcp,
                Some("UDP") => Protocol::Udp,
                Some(_) => continue,
            };
            let entrances = entrances(service, port, &nodes).into_iter();
            let own = published.iter().filter(|one| one.is_for(key, port));
            let own = own.map(|one| (Side::Host, one.address));
            for (side, address) in entrances.chain(own) {
                let entrance = Entrance {
                    protocol,
                    side,
                    address,
                };
                let to = endpoints(objects, key, (entrance, &port["name"]));
                routes.insert(entrance, to);
            }
        }
    }
    routes
}

/// Where a port of a Service is reached: its own addresses, its node port at every node, its load balancer's; the last two on
/// this machine's loopback, too.
fn entrances(service: &Value, port: &Value, nodes: &[IpAddr]) -> Vec<(Side, SocketAddr)> {
    let number = |field: &str| u16::try_from(port[field].as_u64()?).ok();
    let ip = |ip: &Value| ip.as_str()?.parse::<IpAddr>().ok();
    let mut all = Vec::new();
    let mut add = |side, ips: &mut dyn Iterator<Item = IpAddr>, number: Option<u16>| {
        // A headless Service has no address, and most have no node port.
        let number = number.filter(|number| *number != 0);
        all.extend(ips.zip(number.into_iter().cycle()).map(|(ip, number)| {
            let address = SocketAddr::new(ip, number);
            (side, address)
        }));
    };
    let host = || std::iter::once(IpAddr::from(Ipv4Addr::LOCALHOST));
    let spec = &service["spec"];
    let own = &mut array(&spec["clusterIPs"]).filter_map(ip);
    add(Side::Node, own, number("port"));
    let at_nodes = number("nodePort");
    add(Side::Node, &mut nodes.iter().copied(), at_nodes);
    add(Side::Host, &mut host(), at_nodes);
    let balancer = array(&service["status"]["loadBalancer"]["ingress"]);
    let balancer: Vec<_> = balancer.filter_map(|ingress| ip(&ingress["ip"])).collect();
    if !balancer.is_empty() {
        add(Side::Node, &mut balancer.into_iter(), number("port"));
        add(Side::Host, &mut host(), number("port"));
    }
    all
}

fn node_addresses(objects: &Objects) -> Vec<IpAddr> {
    let nodes = objects.list(kinds::NODE, None);
    let addresses = nodes.flat_map(|(_, node)| array(&node["status"]["addresses"]));
    let internal = addresses.filter(|address| address["type"] == "InternalIP");
    internal
        .filter_map(|address| address["address"].as_str()?.parse().ok())
        .collect()
}

/// The ready endpoints of a Service's port, in the node of the family of its address; where none is ready, those that serve while
/// they end.
fn endpoints(
    objects: &Objects,
    service: &Key,
    (entrance, name): (Entrance, &Value),
) -> Vec<SocketAddr> {
    let slices = objects.list(kinds::ENDPOINT_SLICE, Some(&service.ns));
    let own = slices
        .filter(|(_, slice)| slice["metadata"]["labels"][SERVICE_NAME] == service.name.as_str());
    let mut found: BTreeMap<bool, BTreeSet<SocketAddr>> = BTreeMap::new();
    for (_, slice) in own {
        let port = array(&slice["ports"]).find(|port| text(&port["name"]) == text(name));
        let port = port.and_then(|port| u16::try_from(port["port"].as_u64()?).ok());
        let Some(port) = port else { continue };
        for endpoint in array(&slice["endpoints"]) {
            let is = |condition: &str| endpoint["conditions"][condition] != false;
            if !is("ready") && !is("serving") {
                continue;
            }
            let addresses =
                array(&endpoint["addresses"]).filter_map(|ip| ip.as_str()?.parse().ok());
            let fitting = addresses.filter(|address: &IpAddr| {
                entrance.side == Side::Host || address.is_ipv4() == entrance.address.is_ipv4()
            });
            let places = fitting.map(|address| SocketAddr::new(address, port));
            found.entry(is("ready")).or_default().extend(places);
        }
    }
    let best = found.remove(&true).or_else(|| found.remove(&false));
    best.into_iter().flatten().collect()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn objects(ready: bool) -> Objects {
        let mut objects = Objects::default();
        let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
        let service = |name: &str, ips: Value| {
            json!({
                "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
                "spec": {"clusterIPs": ips, "ports": ports},
            })
        };
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "default", "labels": {SERVICE_NAME: "web"}},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [
                {"addresses": ["10.244.0.2"], "conditions": {"ready": ready, "serving": ready}},
                {"addresses": ["10.244.0.3"], "conditions": {"ready": false, "serving": true, "terminating": true}},
            ],
        });
        for object in [
            service("web", json!(["10.96.1.0"])),
            service("headless", json!(["None"])),
            service("kubernetes", json!(["10.96.0.1"])),
            slice,
        ] {
            objects.put(Key::of(&object).unwrap(), object);
        }
        objects
    }

    fn entrance(text: &str) -> Entrance {
        let words: Vec<_> = text.split(' ').collect();
        Entrance {
            protocol: if words[0] == "udp" {
                Protocol::Udp
            } else {
                Protocol::Tcp
            },
            side: if words[1] == "host" {
                Side::Host
            } else {
                Side::Node
            },
            address: words[2].parse().unwrap(),
        }
    }

    #[test]
    fn connections_go_to_what_is_ready_and_else_to_what_still_serves() {
        for (ready, to) in [(true, "10.244.0.2:8080"), (false, "10.244.0.3:8080")] {
            let routes = routes(&objects(ready), &[]);
            let wanted = [
                (entrance("tcp node 10.96.1.0:80"), vec![to.parse().unwrap()]),
                (entrance("udp node 10.96.1.0:53"), vec![]),
            ];
            assert_eq!(routes, Routes::from(wanted));
        }
    }

    #[test]
    fn a_service_is_reached_at_its_nodes_its_balancer_and_where_it_is_published() {
        let port = json!({"port": 80, "nodePort": 30080});
        let service = json!({
            "spec": {"clusterIPs": ["10.96.1.0"]}, "status": {"loadBalancer": {"ingress": [{"ip": "198.18.0.1"}]}},
        });
        let nodes = ["10.244.0.1".parse().unwrap()];
        let found = entrances(&service, &port, &nodes).into_iter();
        let found: Vec<_> = found.map(|(side, at)| format!("{side:?} {at}")).collect();
        let wanted = [
            "Node 10.96.1.0:80",
            "Node 10.244.0.1:30080",
            "Host 127.0.0.1:30080",
            "Node 198.18.0.1:80",
            "Host 127.0.0.1:80",
        ];
        assert_eq!(found, wanted);
        let published =
            ["8080:web:80", "8081:web:http", "8082:other:80"].map(|p| p.parse().unwrap());
        let routes = routes(&objects(true), &published);
        let host = routes.keys().filter(|at| at.side == Side::Host);
        let host: Vec<_> = host.map(|at| at.address.to_string()).collect();
        assert_eq!(host, ["127.0.0.1:8080", "127.0.0.1:8081"]);
    }
}
