//! What the controller knows of the cluster: sets, Pods, claims and revisions, as they are watched. Raw JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{BoxStream, SelectAll};
use futures::{StreamExt, TryStreamExt};
use kube::api::{ApiResource, DynamicObject};
use kube::runtime::watcher;
use kube::{Api, Client};
use serde_json::Value;

use super::act::Written;
use crate::api::watching;
use crate::selector::Selector;
use crate::statefulset::{Observed, claims_of, ordinal_of};

/// Namespace and name.
pub(super) type Name = (String, String);

/// The kinds that are watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Claim,
    Pod,
    Revision,
    Set,
}

const KINDS: [Kind; 4] = [Kind::Claim, Kind::Pod, Kind::Revision, Kind::Set];

impl Kind {
    pub(super) fn resource(self) -> ApiResource {
        let (group, kind, plural) = match self {
            Self::Claim => ("", "PersistentVolumeClaim", "persistentvolumeclaims"),
            Self::Pod => ("", "Pod", "pods"),
            Self::Revision => ("apps", "ControllerRevision", "controllerrevisions"),
            Self::Set => ("apps", "StatefulSet", "statefulsets"),
        };
        ApiResource::from_gvk_with_plural(
            &kube::api::GroupVersionKind::gvk(group, "v1", kind),
            plural,
        )
    }
}

type Event = (Kind, watcher::Event<DynamicObject>);

/// The caches of all four kinds.
pub(super) struct Cache {
    events: SelectAll<BoxStream<'static, Result<Event, String>>>,
    objects: BTreeMap<Kind, BTreeMap<Name, Arc<Value>>>,
    /// What a list that is under way has confirmed.
    listing: BTreeMap<Kind, BTreeSet<Name>>,
    synced: BTreeSet<Kind>,
}

impl Cache {
    pub(super) fn watch(client: &Client) -> Self {
        let mut events = SelectAll::new();
        for kind in KINDS {
            let api = Api::<DynamicObject>::all_with(client.clone(), &kind.resource());
            let stream = watching(api, watcher::Config::default());
            events.push(stream.map_ok(move |event| (kind, event)).boxed());
        }
        Self {
            events,
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            synced: BTreeSet::new(),
        }
    }

    /// Whether every cache has had its first list.
    pub(super) fn synced(&self) -> bool {
        self.synced.len() == KINDS.len()
    }

    /// Takes in the next event; returns the sets it concerns.
    pub(super) async fn next(&mut self) -> Vec<Name> {
        match self.events.next().await {
            Some(Ok((kind, event))) => self.take(kind, event),
            Some(Err(reason)) => {
                tracing::debug!("{reason}");
                Vec::new()
            }
            None => std::future::pending().await,
        }
    }

    fn take(&mut self, kind: Kind, event: watcher::Event<DynamicObject>) -> Vec<Name> {
        match event {
            watcher::Event::Init => {
                self.listing.insert(kind, BTreeSet::new());
                Vec::new()
            }
            watcher::Event::InitApply(object) => {
                let (name, value) = read(object);
                self.listing.entry(kind).or_default().insert(name.clone());
                self.put(kind, name, value)
            }
            watcher::Event::Apply(object) => {
                let (name, value) = read(object);
                self.put(kind, name, value)
            }
            watcher::Event::Delete(object) => {
                let (name, value) = read(object);
                self.objects.entry(kind).or_default().remove(&name);
                self.concerned(kind, &name, &value)
            }
            watcher::Event::InitDone => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                self.objects
                    .entry(kind)
                    .or_default()
                    .retain(|name, _| listed.contains(name));
                self.synced.insert(kind);
                self.all(Kind::Set).map(|(name, _)| name.clone()).collect()
            }
        }
    }

    /// Takes in what the controller itself wrote.
    pub(super) fn wrote(&mut self, write: Written) {
        let (kind, object) = write;
        let (name, value) = read(object);
        // The reply to a delete may come after the watch has told of the end: what is gone must not come back.
        let ends = value["metadata"]["deletionTimestamp"].is_string();
        let known = self.objects.get(&kind).and_then(|map| map.get(&name));
        let same = known.is_some_and(|old| old["metadata"]["uid"] == value["metadata"]["uid"]);
        if same || !ends {
            self.put(kind, name, value);
        }
    }

    /// Keeps an object, unless what is there is newer.
    fn put(&mut self, kind: Kind, name: Name, value: Arc<Value>) -> Vec<Name> {
        let revision = |v: &Value| {
            v["metadata"]["resourceVersion"]
                .as_str()
                .and_then(|r| r.parse::<u64>().ok())
        };
        let map = self.objects.entry(kind).or_default();
        let newer = map
            .get(&name)
            .is_some_and(|old| revision(old) > revision(&value));
        if !newer {
            map.insert(name.clone(), Arc::clone(&value));
        }
        self.concerned(kind, &name, &value)
    }

    /// The sets that an object is about.
    fn concerned(&self, kind: Kind, name: &Name, object: &Value) -> Vec<Name> {
        match (kind, controller_of(object)) {
            (Kind::Set, _) => vec![name.clone()],
            (Kind::Pod | Kind::Revision, Some(owner)) if owner["kind"] == "StatefulSet" => {
                let set = owner["name"].as_str().unwrap_or_default();
                vec![(name.0.clone(), set.to_owned())]
            }
            (Kind::Pod | Kind::Revision, Some(_)) => Vec::new(),
            // Whoever selects an orphan may adopt it.
            (Kind::Pod | Kind::Revision, None) => self
                .all(Kind::Set)
                .filter(|((ns, _), set)| *ns == name.0 && selects(set, object))
                .map(|(set, _)| set.clone())
                .collect(),
            // A claim has no owner by default; its name tells the Pod, and so the set.
            (Kind::Claim, _) => self
                .all(Kind::Set)
                .filter(|((ns, set), _)| *ns == name.0 && name.1.contains(set.as_str()))
                .map(|(set, _)| set.clone())
                .collect(),
        }
    }

    fn all(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Arc<Value>)> {
        self.objects.get(&kind).into_iter().flatten()
    }

    fn inside<'a>(
        &'a self,
        kind: Kind,
        ns: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a Arc<Value>)> {
        let from = (ns.to_owned(), String::new());
        let map = self.objects.get(&kind);
        map.into_iter()
            .flat_map(move |m| m.range(from.clone()..))
            .take_while(move |((n, _), _)| n == ns)
            .map(|((_, name), v)| (name.as_str(), v))
    }

    /// What is known of a set; `None`: it is gone.
    pub(super) fn observe(&self, name: &Name) -> Option<Observed> {
        let set = self.objects.get(&Kind::Set)?.get(name)?;
        let uid = &set["metadata"]["uid"];
        let controlled =
            |object: &Value| controller_of(object).is_none_or(|owner| owner["uid"] == *uid);
        let owned = |kind: Kind| {
            self.inside(kind, &name.0)
                .filter(|(_, v)| controlled(v))
                .map(|(_, v)| Arc::clone(v))
                .collect()
        };
        let pods: Vec<Arc<Value>> = owned(Kind::Pod);
        let templates: Vec<String> = claims_of(set, "")
            .iter()
            .filter_map(|c| c["metadata"]["name"].as_str().map(str::to_owned))
            .collect();
        let is_claim = |claim: &str| {
            templates.iter().any(|t| {
                claim
                    .strip_prefix(t.as_str())
                    .is_some_and(|pod| ordinal_of(&name.1, pod).is_some())
            })
        };
        let claims = self
            .inside(Kind::Claim, &name.0)
            .filter(|(claim, _)| is_claim(claim));
        let claims = claims
            .map(|(claim, v)| {
                (
                    claim.to_owned(),
                    v["metadata"]["deletionTimestamp"].is_string(),
                )
            })
            .collect();
        Some(Observed {
            set: Arc::clone(set),
            pods,
            claims,
            revisions: owned(Kind::Revision),
        })
    }
}

/// The owner that controls an object.
fn controller_of(object: &Value) -> Option<&Value> {
    let owners = object["metadata"]["ownerReferences"].as_array()?;
    owners.iter().find(|owner| owner["controller"] == true)
}

fn selects(set: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    Selector::of(&set["spec"]["selector"])
        .is_some_and(|selector| selector.matches(|key| labels[key].as_str()))
}

fn read(object: DynamicObject) -> (Name, Arc<Value>) {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let name = (
        text(&object.metadata.namespace),
        text(&object.metadata.name),
    );
    (
        name,
        Arc::new(serde_json::to_value(object).unwrap_or_default()),
    )
}
