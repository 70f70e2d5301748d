//! EndpointSlices of Services with a selector, as Kubernetes' own controller makes them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Action, Step};
use crate::cluster::kinds::KindId;
use crate::cluster::objects::{Key, Objects};
use crate::cluster::state::Part;
use crate::cluster::validate::label_selector;
use crate::selector::Selector;

/// Endpoints of a slice: Kubernetes' default.
const MAX_ENDPOINTS: usize = 100;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Services with what they select, so that a Pod's change finds them.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    selectors: BTreeMap<Key, Selector>,
}

impl Endpoints {
    pub(super) fn step(&mut self, step: &Step<'_>) -> Vec<Action> {
        let (services, pods, slices) = (
            KindId::named("Service"),
            KindId::named("Pod"),
            KindId::named("EndpointSlice"),
        );
        let mut dirty = BTreeSet::new();
        for change in step.changes {
            if change.key.kind == services {
                let selector = service_selector(&change.new).filter(|_| !change.deleted);
                match selector {
                    Some(selector) => drop(self.selectors.insert(change.key.clone(), selector)),
                    None => drop(self.selectors.remove(&change.key)),
                }
                dirty.insert(change.key.clone());
            } else if change.key.kind == pods {
                let states = change.old.iter().chain([&change.new]);
                let labels: Vec<&Value> = states.map(|pod| &pod["metadata"]["labels"]).collect();
                let selects = |selector: &Selector| {
                    labels
                        .iter()
                        .any(|labels| selector.matches(|key| labels[key].as_str()))
                };
                let here = self
                    .selectors
                    .iter()
                    .filter(|(service, selector)| service.ns == change.key.ns && selects(selector));
                dirty.extend(here.map(|(service, _)| service.clone()));
            } else if change.key.kind == slices {
                // Somebody else may have changed or removed one of ours.
                if let Some(name) = change.new["metadata"]["labels"][SERVICE_NAME].as_str() {
                    dirty.insert(Key {
                        kind: services,
                        ns: change.key.ns.clone(),
                        name: name.into(),
                    });
                }
            }
        }
        dirty
            .iter()
            .filter(|service| self.selectors.contains_key(service))
            .flat_map(|service| sync(step.objects, service))
            .collect()
    }
}

fn service_selector(service: &Value) -> Option<Selector> {
    let labels = service["spec"]["selector"]
        .as_object()
        .filter(|s| !s.is_empty())?;
    label_selector(&json!({"matchLabels": labels}))
        .filter(|_| service["spec"]["type"] != "ExternalName")
}

/// An endpoint with the ports its Pod resolves them to.
struct Wanted {
    ports: Value,
    endpoint: Value,
}

/// What to do so that a Service's slices say what its Pods are.
fn sync(objects: &Objects, service_key: &Key) -> Vec<Action> {
    let Some(service) = objects.get(service_key) else {
        return Vec::new();
    };
    let Some(selector) = service_selector(service) else {
        return Vec::new();
    };
    let families: Vec<&str> = service["spec"]["ipFamilies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut actions = Vec::new();
    for family in families {
        let pods = objects.list(KindId::named("Pod"), Some(&service_key.ns));
        let selected =
            pods.filter(|(_, pod)| selector.matches(|key| pod["metadata"]["labels"][key].as_str()));
        let wanted: Vec<Wanted> = selected
            .filter_map(|(_, pod)| endpoint(service, pod, family))
            .collect();
        let mine = |slice: &Value| {
            let labels = &slice["metadata"]["labels"];
            labels[SERVICE_NAME] == service_key.name.as_str()
                && labels[MANAGED_BY] == MANAGER
                && slice["addressType"] == family
        };
        let slices = objects.list(KindId::named("EndpointSlice"), Some(&service_key.ns));
        let present: Vec<(&Key, &Value)> = slices
            .filter(|(_, slice)| mine(slice))
            .map(|(key, slice)| (key, &**slice))
            .collect();
        actions.extend(distribute(service, family, wanted, &present));
    }
    actions
}

fn endpoint(service: &Value, pod: &Value, family: &str) -> Option<Wanted> {
    let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    if matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")) {
        return None;
    }
    let ips = status["podIPs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|ip| ip["ip"].as_str());
    let ip = ips
        .into_iter()
        .find(|ip| ip.contains(':') == (family == "IPv6"))?;
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let serving = conditions
        .into_iter()
        .any(|c| c["type"] == "Ready" && c["status"] == "True");
    let terminating = meta["deletionTimestamp"].is_string();
    let always = service["spec"]["publishNotReadyAddresses"] == true;
    let mut endpoint = json!({
        "addresses": [ip],
        "conditions": {"ready": always || serving && !terminating, "serving": serving, "terminating": terminating},
        "nodeName": spec["nodeName"],
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    });
    let hostname = spec["hostname"].as_str().filter(|h| !h.is_empty());
    if let (Some(hostname), true) = (hostname, spec["subdomain"] == service["metadata"]["name"]) {
        endpoint["hostname"] = hostname.into();
    }
    Some(Wanted {
        ports: ports(service, pod),
        endpoint,
    })
}

/// The Service's ports as this Pod has them; a named port that the Pod lacks is left out.
fn ports(service: &Value, pod: &Value) -> Value {
    let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
    let declared: Vec<&Value> = containers
        .flat_map(|c| c["ports"].as_array().into_iter().flatten())
        .collect();
    let resolve = |port: &Value| -> Option<Value> {
        let target = &port["targetPort"];
        let number = if let Some(name) = target.as_str() {
            let named = |p: &&&Value| p["name"] == name && p["protocol"] == port["protocol"];
            &declared.iter().find(named)?["containerPort"]
        } else if target.is_null() {
            &port["port"]
        } else {
            target
        };
        Some(
            json!({"name": port["name"].as_str().unwrap_or_default(), "port": number, "protocol": port["protocol"]}),
        )
    };
    service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(resolve)
        .collect()
}

/// A slice that is there, or is to be made; its ports; its endpoints.
type Filled<'a> = (Option<&'a (&'a Key, &'a Value)>, Value, Vec<Value>);

/// Puts endpoints into slices: each stays where its Pod is, new ones fill what has room.
fn distribute(
    service: &Value,
    family: &str,
    mut wanted: Vec<Wanted>,
    present: &[(&Key, &Value)],
) -> Vec<Action> {
    let mut actions = Vec::new();
    let mut filled: Vec<Filled<'_>> = Vec::new();
    for slice in present {
        let kept = slice.1["endpoints"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|old| {
                let same = |w: &Wanted| {
                    w.endpoint["targetRef"]["uid"] == old["targetRef"]["uid"]
                        && w.ports == slice.1["ports"]
                };
                let at = wanted.iter().position(same)?;
                Some(wanted.remove(at).endpoint)
            });
        let kept: Vec<Value> = kept.collect();
        filled.push((Some(slice), slice.1["ports"].clone(), kept));
    }
    for Wanted { ports, endpoint } in wanted {
        let room = filled.iter_mut().find(|(_, p, endpoints)| {
            (*p == ports || endpoints.is_empty()) && endpoints.len() < MAX_ENDPOINTS
        });
        match room {
            Some((_, p, endpoints)) => {
                *p = ports;
                endpoints.push(endpoint);
            }
            None => filled.push((None, ports, vec![endpoint])),
        }
    }
    if filled.is_empty() {
        // A Service without endpoints has an empty slice.
        filled.push((None, json!([]), Vec::new()));
    }
    let mut left = filled.len();
    for (slice, ports, endpoints) in filled {
        match slice {
            Some((key, _)) if endpoints.is_empty() && left > 1 => {
                left -= 1;
                actions.push(Action::Delete((*key).clone(), None));
            }
            Some((key, old)) => actions.extend(
                changed(service, old, ports, endpoints)
                    .map(|new| Action::Update((*key).clone(), Part::Main, new)),
            ),
            None => actions.push(create(service, family, &ports, &endpoints)),
        }
    }
    actions
}

/// The slice with these endpoints; `None` where it says so already.
fn changed(service: &Value, old: &Value, ports: Value, endpoints: Vec<Value>) -> Option<Value> {
    let mut new = old.clone();
    new["ports"] = ports;
    new["endpoints"] = endpoints.into();
    new["metadata"]["labels"] = labels(service);
    (new != *old).then_some(new)
}

fn labels(service: &Value) -> Value {
    let mut labels = service["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.insert(SERVICE_NAME.into(), service["metadata"]["name"].clone());
    labels.insert(MANAGED_BY.into(), MANAGER.into());
    if service["spec"]["clusterIP"] == "None" {
        labels.insert(HEADLESS.into(), "".into());
    }
    labels.into()
}

fn create(service: &Value, family: &str, ports: &Value, endpoints: &[Value]) -> Action {
    let meta = &service["metadata"];
    let name = meta["name"].as_str().unwrap_or_default();
    let owner = json!({
        "apiVersion": "v1", "kind": "Service", "name": name, "uid": meta["uid"], "controller": true, "blockOwnerDeletion": true,
    });
    let slice = json!({
        "metadata": {"generateName": format!("{name}-"), "labels": labels(service), "ownerReferences": [owner]},
        "addressType": family, "endpoints": endpoints, "ports": ports,
    });
    Action::Create(
        KindId::named("EndpointSlice"),
        meta["namespace"].as_str().unwrap_or_default().into(),
        slice,
    )
}
