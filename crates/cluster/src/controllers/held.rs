//! What Pods hold of the cluster: addresses, and of their nodes resources and ports. Kept change by change: a set of
//! thousands is not counted anew for each of its Pods.

use std::collections::{BTreeMap, BTreeSet};

use ahash::{AHashMap, AHashSet};
use headless_objects::object::{array, has_ended};
use headless_objects::podspec::containers;
use headless_objects::quantity;
use serde_json::Value;

use crate::kinds;
use crate::objects::{Change, Key, Objects};

/// Amounts by resource: cores, bytes, numbers.
pub(super) type Amounts = BTreeMap<String, f64>;

/// A port of a node that a Pod holds: protocol, address, number.
pub(super) type Port = (String, String, i64);

/// What all Pods hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    seen: u64,
    pods: AHashMap<Key, Share>,
    addresses: AHashSet<String>,
    /// Pods that want others kept away from them.
    apart: BTreeSet<Key>,
    nodes: AHashMap<String, Used>,
}

/// What one Pod holds.
#[derive(Debug)]
struct Share {
    address: Option<String>,
    /// The node, where the Pod has one and has not ended.
    node: Option<String>,
    requests: Amounts,
    ports: Vec<Port>,
}

/// What the Pods of one node hold of it.
#[derive(Debug, Default)]
pub(super) struct Used {
    pub(super) pods: usize,
    pub(super) requests: Amounts,
    pub(super) ports: Vec<Port>,
}

impl Held {
    /// Takes in what has changed since the last time.
    pub(super) fn follow(&mut self, objects: &Objects) {
        let changes = objects.since(self.seen).map(|changes| {
            let of_pods = changes.filter(|change| change.key.kind == kinds::POD);
            of_pods.cloned().collect::<Vec<Change>>()
        });
        match changes {
            Some(changes) => {
                for change in changes {
                    self.set(&change.key, (!change.deleted).then_some(&*change.new));
                }
            }
            None => {
                *self = Self::default();
                for (key, pod) in objects.list(kinds::POD, None) {
                    self.set(key, Some(pod));
                }
            }
        }
        self.seen = objects.revision();
    }

    /// Whether a Pod has this address.
    pub(super) fn has_address(&self, address: &str) -> bool {
        self.addresses.contains(address)
    }

    /// What is held of a node.
    pub(super) fn of_node(&self, node: &str) -> Option<&Used> {
        self.nodes.get(node)
    }

    /// The Pods that want others kept away from them.
    pub(super) fn keeping_away(&self) -> impl Iterator<Item = &Key> {
        self.apart.iter()
    }

    /// Notes what a Pod holds now; `None`: it is gone.
    pub(super) fn set(&mut self, key: &Key, pod: Option<&Value>) {
        if let Some(old) = self.pods.remove(key) {
            self.give_back(&old);
            self.apart.remove(key);
        }
        let Some(pod) = pod else { return };
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let share = Share {
            address: text(&pod["status"]["podIP"]).filter(|_| pod["spec"]["hostNetwork"] != true),
            node: text(&pod["spec"]["nodeName"]).filter(|_| !has_ended(pod)),
            requests: requests(&pod["spec"]),
            ports: ports(&pod["spec"]),
        };
        if share.node.is_some() && pod["spec"]["affinity"]["podAntiAffinity"].is_object() {
            self.apart.insert(key.clone());
        }
        if let Some(address) = &share.address {
            self.addresses.insert(address.clone());
        }
        if let Some(node) = &share.node {
            let used = self.nodes.entry(node.clone()).or_default();
            used.pods += 1;
            for (resource, amount) in &share.requests {
                *used.requests.entry(resource.clone()).or_default() += amount;
            }
            used.ports.extend(share.ports.iter().cloned());
        }
        self.pods.insert(key.clone(), share);
    }

    fn give_back(&mut self, share: &Share) {
        if let Some(address) = &share.address {
            self.addresses.remove(address);
        }
        let Some(used) = share.node.as_ref().and_then(|n| self.nodes.get_mut(n)) else {
            return;
        };
        used.pods -= 1;
        for (resource, amount) in &share.requests {
            if let Some(sum) = used.requests.get_mut(resource) {
                *sum -= amount;
            }
        }
        for port in &share.ports {
            if let Some(at) = used.ports.iter().position(|held| held == port) {
                used.ports.swap_remove(at);
            }
        }
    }
}

/// What a Pod asks of its node: of its containers together or of one init container, whatever is more, and its overhead;
/// or what it asks as a whole (KEP-2837).
pub(super) fn requests(spec: &Value) -> Amounts {
    let mut sum = Amounts::new();
    let mut most = Amounts::new();
    for container in array(&spec["initContainers"]) {
        let asked = amounts(&container["resources"]);
        if container["restartPolicy"] == "Always" {
            add(&mut sum, &asked);
        } else {
            // Sidecars that stand before it run beside it.
            let mut beside = sum.clone();
            add(&mut beside, &asked);
            raise(&mut most, beside);
        }
    }
    for container in array(&spec["containers"]) {
        add(&mut sum, &amounts(&container["resources"]));
    }
    raise(&mut most, sum);
    most.extend(amounts(&spec["resources"]));
    add(&mut most, &quantities(&spec["overhead"]));
    most
}

/// The requests of a `resources`; where a resource has only a limit, that.
fn amounts(resources: &Value) -> Amounts {
    let mut all = quantities(&resources["limits"]);
    all.extend(quantities(&resources["requests"]));
    all
}

/// Quantities by name, as numbers.
pub(super) fn quantities(list: &Value) -> Amounts {
    let list = list.as_object().into_iter().flatten();
    let number = |value: &Value| quantity::parse(value.as_str()?);
    list.filter_map(|(name, value)| Some((name.clone(), number(value)?)))
        .collect()
}

fn add(sum: &mut Amounts, more: &Amounts) {
    for (resource, amount) in more {
        *sum.entry(resource.clone()).or_default() += amount;
    }
}

fn raise(most: &mut Amounts, other: Amounts) {
    for (resource, amount) in other {
        let least = most.entry(resource).or_default();
        *least = least.max(amount);
    }
}

/// The ports of its node that a Pod asks for.
pub(super) fn ports(spec: &Value) -> Vec<Port> {
    let ports = containers(spec).flat_map(|container| array(&container["ports"]));
    let text = |value: &Value, default: &str| value.as_str().unwrap_or(default).to_owned();
    let held = |port: &Value| {
        let number = port["hostPort"].as_i64().filter(|number| *number > 0)?;
        let address = text(&port["hostIP"], "0.0.0.0");
        Some((text(&port["protocol"], "TCP"), address, number))
    };
    ports.filter_map(held).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_asks_for_its_containers_together_or_for_its_largest_init_container() {
        let asks = |cpu: &str| json!({"resources": {"requests": {"cpu": cpu}}});
        let mut sidecar = asks("500m");
        sidecar["restartPolicy"] = "Always".into();
        let spec = |init: Value| json!({"initContainers": init, "containers": [asks("1"), asks("1"), {"resources": {"limits": {"memory": "1Ki"}}}]});
        let cpu = |init| requests(&spec(init));
        let wanted = |cpu: f64| Amounts::from([("cpu".into(), cpu), ("memory".into(), 1024.0)]);
        assert_eq!(cpu(json!([])), wanted(2.0));
        assert_eq!(cpu(json!([asks("3")])), wanted(3.0));
        assert_eq!(cpu(json!([sidecar, asks("1")])), wanted(2.5));
        assert_eq!(cpu(json!([sidecar, asks("3")])), wanted(3.5));
    }

    #[test]
    fn what_a_pod_held_is_free_once_it_has_ended_or_gone() {
        let mut objects = Objects::default();
        let key = Key::new(kinds::POD, "default", "a");
        let mut pod = json!({
            "metadata": {"name": "a"}, "status": {"podIP": "10.244.0.2", "phase": "Running"},
            "spec": {"nodeName": "n", "containers": [{"resources": {"requests": {"cpu": "1"}}, "ports": [{"hostPort": 80}]}]},
        });
        let mut held = Held::default();
        let mut look = |objects: &Objects| {
            held.follow(objects);
            let used = held.of_node("n").unwrap();
            let cpu = used.requests.get("cpu").copied().unwrap_or_default();
            let ports = used.ports.len();
            (used.pods, cpu, ports, held.has_address("10.244.0.2"))
        };
        objects.put(key.clone(), pod.clone());
        assert_eq!(look(&objects), (1, 1.0, 1, true));
        pod["status"]["phase"] = "Succeeded".into();
        objects.put(key.clone(), pod);
        assert_eq!(look(&objects), (0, 0.0, 0, true));
        objects.remove(&key);
        assert_eq!(look(&objects), (0, 0.0, 0, false));
    }
}
