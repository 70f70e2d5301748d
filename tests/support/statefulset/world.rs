//! A namespace of a cluster, as a client sees it.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use headless_cluster::kinds::KindId;
use headless_dns::api::{Client, Event, watching};
use http::Method;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::{Value, json};

use crate::support::kubelet::{call, collection};

/// How long something may take to come about: never reached where it does.
const PATIENCE: Duration = Duration::from_secs(20);

/// Who looks after the sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// Our reconciler, which follows Kubernetes 1.37.
    Ours,
    /// kube-controller-manager 1.37.2.
    Upstream,
}

type Events = SelectAll<BoxStream<'static, (&'static str, Event<DynamicObject>)>>;

/// What is watched.
const WATCHED: [&str; 5] = [
    "ControllerRevision",
    "Event",
    "PersistentVolumeClaim",
    "Pod",
    "StatefulSet",
];

/// A namespace, and what has happened in it.
pub struct World {
    pub client: Client,
    pub ns: String,
    pub keeper: Keeper,
    events: Events,
    objects: BTreeMap<(&'static str, String), Value>,
    /// The highest resourceVersion of each kind that was seen.
    seen: BTreeMap<&'static str, u64>,
    /// What has become of Pods: `create x-0`, `delete x-0`.
    pub log: Vec<String>,
}

/// A set of one container and no claims.
pub fn set(replicas: i64) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "x"},
        "spec": {
            "replicas": replicas, "serviceName": "x", "selector": {"matchLabels": {"app": "x"}},
            "template": {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "c", "image": "i:1"}]}},
        },
    })
}

/// The same of policy Parallel.
pub fn parallel(replicas: i64) -> Value {
    let mut set = set(replicas);
    set["spec"]["podManagementPolicy"] = "Parallel".into();
    set
}

/// The same with a claim for each Pod.
pub fn with_claims(replicas: i64) -> Value {
    let mut set = set(replicas);
    let spec =
        json!({"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}});
    set["spec"]["volumeClaimTemplates"] = json!([{"metadata": {"name": "data"}, "spec": spec}]);
    set
}

/// A Pod that nobody controls, with these labels.
pub fn stray(name: &str, labels: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    })
}

/// The patch that gives the template this image.
pub fn image(number: u32) -> Value {
    let containers = json!([{"name": "c", "image": format!("i:{number}")}]);
    json!({"spec": {"template": {"spec": {"containers": containers}}}})
}

/// A set, or a patch of one, whose template asks the kubelet for something.
pub fn asking(mut set: Value, name: &str, value: &str) -> Value {
    set["spec"]["template"]["metadata"]["annotations"] =
        asks(name, value)["metadata"]["annotations"].clone();
    set
}

/// An annotation that asks the kubelet for something.
pub fn asks(name: &str, value: impl Into<Value>) -> Value {
    let name = format!("embedded.headless-dns/{name}");
    let value: Value = value.into();
    json!({"metadata": {"annotations": {name: value}}})
}

impl World {
    /// Makes the namespace, and watches it.
    pub async fn new(client: Client, ns: &str, keeper: Keeper) -> Self {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}});
        let made = call(&client, Method::POST, "/api/v1/namespaces", &namespace).await;
        made.unwrap();
        let mut events = Events::new();
        for kind in WATCHED {
            let info = KindId::named(kind).info();
            let gvk = GroupVersionKind::gvk(info.group, info.version, info.kind);
            let resource = ApiResource::from_gvk_with_plural(&gvk, info.plural);
            let config = watcher::Config::default();
            let stream = watching(client.clone(), &resource, Some(ns), config);
            let stream = stream.filter_map(move |e| async move { Some((kind, e.ok()?)) });
            events.push(stream.boxed());
        }
        Self {
            client,
            ns: ns.into(),
            keeper,
            events,
            objects: BTreeMap::new(),
            seen: BTreeMap::new(),
            log: Vec::new(),
        }
    }

    fn path(&self, kind: &str, name: &str) -> String {
        let collection = collection(KindId::named(kind), &self.ns);
        format!("{collection}/{name}")
            .trim_end_matches('/')
            .to_owned()
    }

    pub async fn try_create(&self, object: Value) -> kube::Result<Value> {
        let kind = object["kind"].as_str().unwrap();
        call(&self.client, Method::POST, &self.path(kind, ""), &object).await
    }

    /// Creates an object, and waits until that is seen.
    pub async fn create(&mut self, object: Value) -> Value {
        let made = self.try_create(object).await.unwrap();
        self.catch_up(&made).await;
        made
    }

    pub async fn try_patch(&self, kind: &str, name: &str, patch: Value) -> kube::Result<Value> {
        call(&self.client, Method::PATCH, &self.path(kind, name), &patch).await
    }

    /// Changes an object by a merge patch, and waits until that is seen.
    pub async fn patch(&mut self, kind: &str, name: &str, patch: Value) -> Value {
        let patched = self.try_patch(kind, name, patch).await.unwrap();
        self.catch_up(&patched).await;
        patched
    }

    /// Waits until the watch has shown a written object.
    async fn catch_up(&mut self, written: &Value) {
        let kind = KindId::of_object(written).unwrap().info().kind;
        let wanted = revision(written);
        if WATCHED.contains(&kind) {
            let seen = |world: &Self| world.seen.get(kind).copied().unwrap_or_default() >= wanted;
            self.until("what was written is seen", seen).await;
        }
    }

    /// Changes the set by a merge patch.
    pub async fn edit(&mut self, patch: Value) {
        self.patch("StatefulSet", "x", patch).await;
    }

    pub async fn scale(&mut self, replicas: i64) {
        self.edit(json!({"spec": {"replicas": replicas}})).await;
    }

    /// Deletes an object, and waits until that is seen.
    pub async fn delete(&mut self, kind: &'static str, name: &str, options: Value) {
        let uid = self.uid(kind, name);
        let path = self.path(kind, name);
        call(&self.client, Method::DELETE, &path, &options)
            .await
            .unwrap();
        self.until("the delete is seen", |world| {
            let present = world.object(kind, name);
            present.is_none_or(|present| {
                let meta = &present["metadata"];
                meta["uid"] != uid.as_str() || meta["deletionTimestamp"].is_string()
            })
        })
        .await;
    }

    /// Keeps an object from being gone when it is deleted.
    pub async fn hold(&mut self, kind: &str, name: &str) {
        let held = json!({"metadata": {"finalizers": ["test/held"]}});
        self.patch(kind, name, held).await;
    }

    /// Lets a held object go.
    pub async fn let_go(&mut self, kind: &str, name: &str) {
        let free = json!({"metadata": {"finalizers": null}});
        self.patch(kind, name, free).await;
    }

    /// Deletes a Pod, and waits until that is seen.
    pub async fn delete_pod(&mut self, name: &str) {
        self.delete("Pod", name, json!({})).await;
    }

    /// What is known of an object.
    pub fn object(&self, kind: &'static str, name: &str) -> Option<&Value> {
        self.objects.get(&(kind, name.to_owned()))
    }

    pub fn pod(&self, name: &str) -> &Value {
        self.object("Pod", name)
            .unwrap_or_else(|| panic!("no {name}: {:?}", self.log))
    }

    pub fn set(&self) -> &Value {
        self.object("StatefulSet", "x").unwrap_or(&Value::Null)
    }

    pub fn all(&self, kind: &'static str) -> Vec<&Value> {
        let of_kind = self.objects.iter().filter(|((k, _), _)| *k == kind);
        of_kind.map(|(_, object)| object).collect()
    }

    pub fn names(&self, kind: &'static str) -> Vec<&str> {
        let objects = self.all(kind).into_iter();
        objects
            .filter_map(|object| object["metadata"]["name"].as_str())
            .collect()
    }

    /// The image of each Pod, by name.
    pub fn images(&self) -> Vec<&str> {
        let pods = self.all("Pod").into_iter();
        pods.filter_map(|pod| pod["spec"]["containers"][0]["image"].as_str())
            .collect()
    }

    pub fn uid(&self, kind: &'static str, name: &str) -> String {
        let object = self.object(kind, name).unwrap();
        object["metadata"]["uid"].as_str().unwrap().to_owned()
    }

    /// What has become of Pods since this was asked last.
    pub fn log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.log)
    }

    /// Waits until something holds, looking after every event.
    pub async fn until(&mut self, what: &str, holds: impl Fn(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds(self) {
            let Ok(event) = tokio::time::timeout_at(deadline, self.events.next()).await else {
                panic!(
                    "{what}: it does not come about; {:?}\n{}",
                    self.log,
                    self.describe()
                );
            };
            let (kind, event) = event.unwrap();
            self.take(kind, event);
        }
    }

    fn describe(&self) -> String {
        let pods = self.all("Pod").into_iter().map(|p| {
            json!([
                p["metadata"]["name"],
                p["status"]["phase"],
                p["status"]["conditions"]
            ])
            .to_string()
        });
        let sets = self
            .all("StatefulSet")
            .into_iter()
            .map(|s| s["status"].to_string());
        pods.chain(sets).collect::<Vec<_>>().join("\n")
    }

    fn take(&mut self, kind: &'static str, event: Event<DynamicObject>) {
        let (object, gone) = match event {
            Event::Apply(object) => (serde_json::to_value(object).unwrap(), false),
            Event::Delete(meta) => (json!({"metadata": meta}), true),
            Event::Unreadable(meta) => panic!("{meta:?}"),
            Event::Reset | Event::Synced => return,
        };
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let seen = self.seen.entry(kind).or_default();
        *seen = revision(&object).max(*seen);
        let key = (kind, name.clone());
        let old = self.objects.get(&key);
        if kind == "Pod" {
            let known = old.is_some_and(|old| old["metadata"]["uid"] == object["metadata"]["uid"]);
            let ended = old.is_some_and(|old| old["metadata"]["deletionTimestamp"].is_string());
            if !known && !gone {
                self.log.push(format!("create {name}"));
            }
            let ends = gone || object["metadata"]["deletionTimestamp"].is_string();
            if ends && known && !ended {
                self.log.push(format!("delete {name}"));
            }
        }
        if gone {
            self.objects.remove(&key);
        } else {
            self.objects.insert(key, object);
        }
    }

    /// Waits until the set's controller has seen its last change.
    pub async fn observed(&mut self) {
        self.until("the change is observed", |world| {
            let set = world.set();
            set.is_object() && set["status"]["observedGeneration"] == set["metadata"]["generation"]
        })
        .await;
    }

    /// Waits until these Pods are there, all Ready, no others are, and the status says so.
    pub async fn settled(&mut self, ordinals: impl IntoIterator<Item = i64>) {
        let wanted: Vec<String> = ordinals.into_iter().map(|n| format!("x-{n}")).collect();
        self.observed().await;
        self.until(&format!("the Pods are {wanted:?}"), |world| {
            let pods = world.all("Pod");
            let there = pods
                .iter()
                .all(|pod| is_ready(pod) && pod["metadata"]["deletionTimestamp"].is_null());
            let status = &world.set()["status"];
            let count = |field: &str| status[field].as_u64().unwrap_or_default();
            let n = wanted.len() as u64;
            there
                && world.names("Pod") == wanted
                && [count("replicas"), count("readyReplicas")] == [n, n]
        })
        .await;
    }

    /// Waits until an update is over: every Pod has the update revision, and the status says so.
    pub async fn updated(&mut self, ordinals: impl IntoIterator<Item = i64>) {
        let ordinals: Vec<i64> = ordinals.into_iter().collect();
        self.observed().await;
        self.until("the update is over", |world| {
            let status = &world.set()["status"];
            status["currentRevision"] == status["updateRevision"]
                && status["updatedReplicas"].as_u64().unwrap_or_default() == ordinals.len() as u64
        })
        .await;
        self.settled(ordinals).await;
    }

    /// Creates a set, waits until it has settled, and empties the log.
    pub async fn start(&mut self, set: Value) {
        let start = set["spec"]["ordinals"]["start"]
            .as_i64()
            .unwrap_or_default();
        let replicas = set["spec"]["replicas"].as_i64().unwrap();
        self.create(set).await;
        self.settled(start..start + replicas).await;
        self.log();
    }

    /// Makes a Pod not Ready, or Ready again, and waits until the status counts it so, or the Pod is gone for it.
    pub async fn ready(&mut self, pod: &str, ready: bool) {
        let value = if ready { Value::Null } else { "false".into() };
        self.patch("Pod", pod, asks("ready", value)).await;
        self.until("it is Ready, or not", |world| {
            let counted = world
                .all("Pod")
                .into_iter()
                .filter(|pod| is_ready(pod))
                .count() as u64;
            let said = world.set()["status"]["readyReplicas"]
                .as_u64()
                .unwrap_or_default();
            // A controller that waited for this Pod may have deleted it by now.
            let pod = world.object("Pod", pod);
            pod.is_none_or(|pod| is_ready(pod) == ready) && said == counted
        })
        .await;
    }

    /// Waits until an Event with this reason is there; its message.
    pub async fn event(&mut self, reason: &str) -> String {
        self.until(&format!("an Event {reason}"), |world| {
            world
                .all("Event")
                .iter()
                .any(|event| event["reason"] == reason)
        })
        .await;
        let events = self.all("Event");
        let event = events.into_iter().find(|event| event["reason"] == reason);
        event.unwrap()["message"].as_str().unwrap().to_owned()
    }
}

fn revision(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

/// Whether a Pod is Running and Ready.
pub fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array();
    let ready = conditions
        .into_iter()
        .flatten()
        .any(|c| c["type"] == "Ready" && c["status"] == "True");
    ready && pod["status"]["phase"] == "Running"
}
