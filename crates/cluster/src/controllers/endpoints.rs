//! EndpointSlices of Services with a selector, as Kubernetes' own controller makes them.

use headless_objects::object::{SERVICE_NAME, has_ended, is_ending, is_ready};
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Action, Step, about};
use crate::kinds::{self, KindId};
use crate::objects::{Change, Key, Objects};
use crate::state::Part;
use headless_objects::selector::Selector;

/// Endpoints of a slice: Kubernetes' default.
const MAX_ENDPOINTS: usize = 100;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const MANAGER: &str = "endpointslice-controller.k8s.io";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Services with what they select, so that a change of one Pod does not go through all Pods.
#[derive(Debug, Default)]
pub(super) struct Endpoints {
    services: BTreeMap<Key, Selected>,
}

/// A Service's selector, and the endpoints its Pods are.
#[derive(Debug)]
struct Selected {
    selector: Selector,
    families: Vec<String>,
    /// By Pod; one for each family the Pod has an address of.
    endpoints: BTreeMap<Key, Vec<Wanted>>,
    /// The endpoints that this controller wrote last, by slice: a slice with others was changed by somebody else.
    written: BTreeMap<Key, Value>,
}

/// An endpoint with the ports its Pod resolves them to.
#[derive(Clone, Debug, PartialEq)]
struct Wanted {
    family: String,
    ports: Value,
    endpoint: Value,
}

impl Endpoints {
    pub(super) fn step(&mut self, step: &Step<'_>) -> Vec<Action> {
        let kinds = ["Service", "Pod", "EndpointSlice"].map(KindId::named);
        let mut dirty = BTreeSet::new();
        for change in step.changes {
            if change.key.kind == kinds[0] {
                self.service(
                    step.objects,
                    &change.key,
                    (!change.deleted).then_some(&*change.new),
                );
                dirty.insert(change.key.clone());
            } else if change.key.kind == kinds[1] {
                dirty.extend(self.pod(step.objects, change));
            } else if change.key.kind == kinds[2] {
                dirty.extend(self.slice(change));
            }
        }
        let mut actions = Vec::new();
        for key in dirty {
            if let (Some(selected), Some(service)) =
                (self.services.get_mut(&key), step.objects.get(&key))
            {
                let synced = about(&key, || selected.sync(step.objects, &key, service));
                actions.extend(synced.into_iter().flatten());
            }
        }
        actions
    }

    /// A Service is new, changed or gone.
    fn service(&mut self, objects: &Objects, key: &Key, service: Option<&Value>) {
        let Some((service, selector)) = service.and_then(|s| Some((s, service_selector(s)?)))
        else {
            self.services.remove(key);
            return;
        };
        let families = service["spec"]["ipFamilies"]
            .as_array()
            .into_iter()
            .flatten();
        let families = families
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let mut selected = Selected {
            selector,
            families,
            endpoints: BTreeMap::new(),
            written: BTreeMap::new(),
        };
        for (pod_key, pod) in objects.list(kinds::POD, Some(&key.ns)) {
            selected.take(service, pod_key, Some((pod, zone_of(objects, pod))));
        }
        self.services.insert(key.clone(), selected);
    }

    /// The Services that a Pod's change concerns.
    fn pod(&mut self, objects: &Objects, change: &Change) -> Vec<Key> {
        let pod = (!change.deleted).then(|| (&*change.new, zone_of(objects, &change.new)));
        let here = self
            .services
            .iter_mut()
            .filter(|(key, _)| key.ns == change.key.ns);
        let changed = here.filter_map(|(key, selected)| {
            let service = objects.get(key)?;
            selected
                .take(service, &change.key, pod)
                .then(|| key.clone())
        });
        changed.collect()
    }

    /// The Service of a slice that somebody else has changed or removed.
    fn slice(&self, change: &Change) -> Option<Key> {
        let name = change.new["metadata"]["labels"][SERVICE_NAME].as_str()?;
        let service = Key::new(kinds::SERVICE, &*change.key.ns, name);
        let selected = self.services.get(&service)?;
        let ours =
            !change.deleted && selected.written.get(&change.key) == Some(&change.new["endpoints"]);
        (!ours).then_some(service)
    }
}

impl Selected {
    /// Takes in a Pod's present state, with the zone of its node; returns whether its endpoints have changed.
    fn take(&mut self, service: &Value, key: &Key, pod: Option<(&Value, Option<&str>)>) -> bool {
        let selects = |(pod, _): &(&Value, Option<&str>)| {
            self.selector
                .matches(|key| pod["metadata"]["labels"][key].as_str())
        };
        let wanted: Vec<Wanted> = match pod.filter(selects) {
            Some(pod) => self
                .families
                .iter()
                .filter_map(|family| endpoint(service, pod, family))
                .collect(),
            None => Vec::new(),
        };
        let old = if wanted.is_empty() {
            self.endpoints.remove(key)
        } else {
            self.endpoints.insert(key.clone(), wanted)
        };
        old.as_ref() != self.endpoints.get(key)
    }

    /// What to do so that the Service's slices say what its Pods are.
    fn sync(&mut self, objects: &Objects, key: &Key, service: &Value) -> Vec<Action> {
        let mut actions = Vec::new();
        for family in &self.families {
            let mine = |slice: &Value| {
                let labels = &slice["metadata"]["labels"];
                labels[SERVICE_NAME] == key.name.as_str()
                    && labels[MANAGED_BY] == MANAGER
                    && slice["addressType"] == family.as_str()
            };
            let slices = objects.list(kinds::ENDPOINT_SLICE, Some(&key.ns));
            let present: Vec<(&Key, &Value)> = slices
                .filter(|(_, slice)| mine(slice))
                .map(|(key, slice)| (key, &**slice))
                .collect();
            let wanted = self
                .endpoints
                .values()
                .flatten()
                .filter(|w| w.family == *family);
            actions.extend(distribute(service, family, wanted, &present));
        }
        self.written.clear();
        for action in &actions {
            if let Action::Update(key, _, slice) = action {
                self.written.insert(key.clone(), slice["endpoints"].clone());
            }
        }
        actions
    }
}

fn service_selector(service: &Value) -> Option<Selector> {
    let labels = service["spec"]["selector"]
        .as_object()
        .filter(|s| !s.is_empty())?;
    Selector::of(&json!({"matchLabels": labels}))
        .filter(|_| service["spec"]["type"] != "ExternalName")
}

/// Where a node says which zone it is in (`k8s.io/api/core/v1`: `LabelTopologyZone`).
const ZONE: &str = "topology.kubernetes.io/zone";

/// The zone of a Pod's node.
fn zone_of<'o>(objects: &'o Objects, pod: &Value) -> Option<&'o str> {
    let node = pod["spec"]["nodeName"].as_str()?;
    let node = objects.get(&Key::new(kinds::NODE, "", node))?;
    node["metadata"]["labels"][ZONE].as_str()
}

fn endpoint(service: &Value, (pod, zone): (&Value, Option<&str>), family: &str) -> Option<Wanted> {
    let (meta, spec, status) = (&pod["metadata"], &pod["spec"], &pod["status"]);
    if has_ended(pod) {
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
    let (serving, terminating) = (is_ready(pod), is_ending(pod));
    let always = service["spec"]["publishNotReadyAddresses"] == true;
    let mut endpoint = json!({
        "addresses": [ip],
        "conditions": {"ready": always || serving && !terminating, "serving": serving, "terminating": terminating},
        "nodeName": spec["nodeName"],
        "targetRef": {"kind": "Pod", "namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
    });
    if let Some(zone) = zone {
        endpoint["zone"] = zone.into();
    }
    let hostname = spec["hostname"].as_str().filter(|h| !h.is_empty());
    if let (Some(hostname), true) = (hostname, spec["subdomain"] == service["metadata"]["name"]) {
        endpoint["hostname"] = hostname.into();
    }
    let family = family.to_owned();
    Some(Wanted {
        family,
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

/// Puts endpoints into slices: an endpoint stays in the slice that has its Pod, a new one goes where there is room.
fn distribute<'a>(
    service: &Value,
    family: &str,
    wanted: impl Iterator<Item = &'a Wanted>,
    present: &[(&Key, &Value)],
) -> Vec<Action> {
    let uid = |endpoint: &Value| {
        endpoint["targetRef"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let mut wanted: BTreeMap<String, &Wanted> = wanted.map(|w| (uid(&w.endpoint), w)).collect();
    let mut actions = Vec::new();
    let mut filled: Vec<Filled<'_>> = Vec::new();
    for slice in present {
        let ports = &slice.1["ports"];
        let old = slice.1["endpoints"].as_array().into_iter().flatten();
        let kept = old.filter_map(|old| {
            let uid = uid(old);
            wanted.get(&uid).filter(|w| w.ports == *ports)?;
            wanted.remove(&uid).map(|w| w.endpoint.clone())
        });
        let kept: Vec<Value> = kept.collect();
        filled.push((Some(slice), ports.clone(), kept));
    }
    for Wanted {
        ports, endpoint, ..
    } in wanted.into_values()
    {
        let has_room = |(_, p, endpoints): &&mut Filled<'_>| {
            (p == ports || endpoints.is_empty()) && endpoints.len() < MAX_ENDPOINTS
        };
        match filled.iter_mut().find(has_room) {
            Some((_, p, endpoints)) => {
                p.clone_from(ports);
                endpoints.push(endpoint.clone());
            }
            None => filled.push((None, ports.clone(), vec![endpoint.clone()])),
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
    new["ports"] = list(ports);
    new["endpoints"] = list(endpoints.into());
    new["metadata"]["labels"] = labels(service);
    (new != *old).then_some(new)
}

/// An empty list as the controller writes it.
fn list(items: Value) -> Value {
    if items.as_array().is_some_and(Vec::is_empty) {
        Value::Null
    } else {
        items
    }
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
        "addressType": family, "endpoints": list(endpoints.into()), "ports": list(ports.clone()),
    });
    Action::Create(
        kinds::ENDPOINT_SLICE,
        meta["namespace"].as_str().unwrap_or_default().into(),
        slice,
    )
}
