//! The test kubelet: the embedded cluster's decisions, executed through the API of a real cluster.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::{BoxStream, SelectAll};
use headless_cluster::controllers::{Action, Delays, Kubelet, NODE, Step, changes};
use headless_cluster::kinds::KindId;
use headless_cluster::objects::{Key, Objects};
use headless_cluster::state::Part;
use headless_dns::api::{Client, Event, watching};
use http::Method;
use jiff::Timestamp;
use kube::api::{ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::watcher;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// What its decisions look at.
const KINDS: [&str; 7] = [
    "ConfigMap",
    "EndpointSlice",
    "Node",
    "PersistentVolumeClaim",
    "Pod",
    "Secret",
    "Service",
];

/// After an action that has failed.
const RETRY: std::time::Duration = std::time::Duration::from_millis(100);

type Events = SelectAll<BoxStream<'static, (KindId, Event<DynamicObject>)>>;

/// A kubelet that runs; dropping it ends it.
pub struct TestKubelet(JoinHandle<()>);

impl TestKubelet {
    /// Makes a node and a default class of volumes, and runs the node's kubelet.
    pub async fn start(client: &Client, delays: Delays) -> Self {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}});
        let class = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "provisioner": "kubernetes.io/host-path",
            "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
        });
        for object in [node, class] {
            let kind = KindId::of_object(&object).unwrap();
            let path = collection(kind, "");
            call(client, Method::POST, &path, &object).await.unwrap();
        }
        // The API server says of a new node that it is not ready; who takes that back does not run everywhere.
        let untainted = json!({"spec": {"taints": null}});
        let node = format!("/api/v1/nodes/{NODE}");
        call(client, Method::PATCH, &node, &untainted)
            .await
            .unwrap();
        let mirror = Mirror {
            objects: Objects::default(),
            revisions: BTreeMap::new(),
            seen: 0,
        };
        let kubelet = Kubelet::new(delays);
        Self(tokio::spawn(run(client.clone(), mirror, kubelet)))
    }
}

impl Drop for TestKubelet {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The cluster's objects as they were seen last.
struct Mirror {
    objects: Objects,
    revisions: BTreeMap<Key, u64>,
    /// Changes up to this revision of ours have been looked at.
    seen: u64,
}

impl Mirror {
    /// Takes an object in, unless what is there is newer.
    fn put(&mut self, object: Value) {
        let Some(key) = Key::of(&object) else { return };
        // An object that has gone with the write that this answers may have none.
        let Some(revision) = object["metadata"]["resourceVersion"].as_str() else {
            return;
        };
        let revision: u64 = revision.parse().unwrap();
        let known = self.revisions.get(&key).copied().unwrap_or_default();
        if known < revision {
            self.revisions.insert(key.clone(), revision);
            self.objects.put(key, object);
        }
    }

    fn take(&mut self, kind: KindId, event: Event<DynamicObject>) {
        match event {
            Event::Apply(object) => {
                let mut object = serde_json::to_value(object).unwrap();
                object["apiVersion"] = kind.info().api_version().into();
                object["kind"] = kind.info().kind.into();
                self.put(object);
            }
            Event::Delete(meta) => {
                let key = Key {
                    kind,
                    ns: meta.namespace.unwrap_or_default(),
                    name: meta.name.unwrap_or_default(),
                };
                self.objects.remove(&key);
            }
            Event::Unreadable(meta) => panic!("{meta:?}"),
            Event::Reset | Event::Synced => {}
        }
    }
}

async fn run(client: Client, mut mirror: Mirror, mut kubelet: Kubelet) {
    let mut events = watch_all(&client);
    loop {
        let changes = changes(&mirror.objects, mirror.seen);
        let before = std::mem::replace(&mut mirror.seen, mirror.objects.revision());
        let now = Timestamp::now();
        let (actions, wake) = kubelet.step(&Step {
            now,
            objects: &mirror.objects,
            changes: &changes,
        });
        let mut wait = wake.map(|at| at.duration_since(now).unsigned_abs());
        let written = actions.into_iter().map(|action| perform(&client, action));
        for written in join_all(written).await {
            match written {
                Ok(object) => object.into_iter().for_each(|object| mirror.put(object)),
                // Somebody was faster, or the server is away: what is there is looked at again.
                Err(_) => {
                    mirror.seen = before;
                    wait = Some(RETRY);
                }
            }
        }
        let wait = wait.unwrap_or(std::time::Duration::from_secs(60));
        tokio::select! {
            biased;
            Some((kind, event)) = events.next() => {
                mirror.take(kind, event);
                while let Some(Some((kind, event))) = futures::FutureExt::now_or_never(events.next()) {
                    mirror.take(kind, event);
                }
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn watch_all(client: &Client) -> Events {
    let mut events = Events::new();
    for kind in KINDS.map(KindId::named) {
        let info = kind.info();
        let gvk = GroupVersionKind::gvk(info.group, info.version, info.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, info.plural);
        let stream = watching(client.clone(), &resource, None, watcher::Config::default());
        // What fails is tried again: the API server of a test may be away.
        events.push(
            stream
                .filter_map(move |event| async move { Some((kind, event.ok()?)) })
                .boxed(),
        );
    }
    events
}

/// The executor: does what it is told and decides nothing. Returns what a Pod is now.
async fn perform(client: &Client, action: Action) -> kube::Result<Option<Value>> {
    let outcome = match &action {
        Action::Create(kind, ns, object) => {
            let mut object = object.clone();
            object["apiVersion"] = kind.info().api_version().into();
            object["kind"] = kind.info().kind.into();
            call(client, Method::POST, &collection(*kind, ns), &object).await
        }
        // A real API server takes a Pod's node by its binding only.
        Action::Update(key, Part::Main, pod) => {
            let meta =
                json!({"name": key.name, "namespace": key.ns, "uid": pod["metadata"]["uid"]});
            let target = json!({"kind": "Node", "name": pod["spec"]["nodeName"]});
            let binding =
                json!({"apiVersion": "v1", "kind": "Binding", "metadata": meta, "target": target});
            let path = format!("{}/binding", path(key));
            call(client, Method::POST, &path, &binding).await
        }
        Action::Update(key, Part::Status, object) => {
            let patch =
                json!({"metadata": {"uid": object["metadata"]["uid"]}, "status": object["status"]});
            let path = format!("{}/status", path(key));
            call(client, Method::PATCH, &path, &patch).await
        }
        Action::Delete(key, uid) => {
            let options = json!({
                "apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": uid.as_ref().map(|_| 0), "preconditions": {"uid": uid},
            });
            call(client, Method::DELETE, &path(key), &options).await
        }
        // What has been said already is not counted here.
        Action::Say(event) => {
            let ns = event["metadata"]["namespace"].as_str().unwrap_or_default();
            let path = collection(KindId::named("Event"), ns);
            match call(client, Method::POST, &path, event).await {
                Err(kube::Error::Api(status)) if status.code == 409 => return Ok(None),
                other => other,
            }
        }
        // The time of a real cluster is nobody's to move; nothing runs here.
        Action::Advance(..) | Action::Order(_) => return Ok(None),
        Action::Update(_, Part::Debugging, _)
        | Action::CreatePod(..)
        | Action::StartJob(..)
        | Action::Furnish(_)
        | Action::Remove(_)
        | Action::FinishForeground(_) => {
            unreachable!("a kubelet has nothing to do with them")
        }
    };
    outcome.map(|object| Some(object).filter(|object| object["kind"] == "Pod"))
}

pub fn collection(kind: KindId, ns: &str) -> String {
    let info = kind.info();
    let root = if info.group.is_empty() {
        "/api"
    } else {
        "/apis"
    };
    let ns = if info.namespaced {
        format!("/namespaces/{ns}")
    } else {
        String::new()
    };
    format!("{root}/{}{ns}/{}", info.api_version(), info.plural)
}

fn path(key: &Key) -> String {
    format!("{}/{}", collection(key.kind, &key.ns), key.name)
}

/// One request with a body.
pub async fn call(
    client: &Client,
    method: Method,
    path: &str,
    body: &Value,
) -> kube::Result<Value> {
    let media_type = if method == Method::PATCH {
        "application/merge-patch+json"
    } else {
        "application/json"
    };
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::CONTENT_TYPE, media_type)
        .body(serde_json::to_vec(body).unwrap());
    client.request(request.unwrap()).await
}
