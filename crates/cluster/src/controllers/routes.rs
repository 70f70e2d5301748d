//! Where connections to the addresses of Services go, where Pods run: what kube-proxy has in its tables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use headless_objects::object::{SERVICE_NAME, array};
use serde_json::Value;

use super::{Action, Step};
use crate::kinds;
use crate::objects::{Key, Objects};
use crate::runtime::{Order, Routes};

/// What others serve: the API, and DNS.
const SERVED: &[(&str, &str)] = &[("default", "kubernetes"), ("kube-system", "kube-dns")];

/// The routes that were ordered last.
#[derive(Debug, Default)]
pub(super) struct Router(Routes);

impl Router {
    /// The routes, where they are others than before.
    pub(super) fn step(&mut self, step: &Step<'_>) -> Option<Action> {
        let kinds = [kinds::SERVICE, kinds::ENDPOINT_SLICE];
        if !step
            .changes
            .iter()
            .any(|change| kinds.contains(&change.key.kind))
        {
            return None;
        }
        let routes = routes(step.objects);
        if routes == self.0 {
            return None;
        }
        self.0.clone_from(&routes);
        Some(Action::Order(Order::Route(routes)))
    }
}

fn routes(objects: &Objects) -> Routes {
    let mut routes = Routes::new();
    for (key, service) in objects.list(kinds::SERVICE, None) {
        if SERVED.contains(&(key.ns.as_str(), key.name.as_str())) {
            continue;
        }
        let ips = array(&service["spec"]["clusterIPs"]);
        // A headless Service has `None`, which is no address.
        for ip in ips.filter_map(|ip| ip.as_str()?.parse::<IpAddr>().ok()) {
            let tcp = array(&service["spec"]["ports"]).filter(|port| port["protocol"] == "TCP");
            for port in tcp {
                let number = port["port"]
                    .as_u64()
                    .and_then(|port| u16::try_from(port).ok());
                if let Some(number) = number {
                    let to = endpoints(objects, key, (ip, &port["name"]));
                    routes.insert(SocketAddr::new(ip, number), to);
                }
            }
        }
    }
    routes
}

/// The ready endpoints of a Service's port, of the family of its address; where none is ready, those that serve while they end.
fn endpoints(objects: &Objects, service: &Key, (ip, name): (IpAddr, &Value)) -> Vec<SocketAddr> {
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
            let fitting = addresses.filter(|address: &IpAddr| address.is_ipv4() == ip.is_ipv4());
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

    #[test]
    fn connections_go_to_what_is_ready_and_else_to_what_still_serves() {
        let from: SocketAddr = "10.96.1.0:80".parse().unwrap();
        for (ready, to) in [(true, "10.244.0.2:8080"), (false, "10.244.0.3:8080")] {
            let wanted = Routes::from([(from, vec![to.parse().unwrap()])]);
            assert_eq!(routes(&objects(ready)), wanted);
        }
    }
}
