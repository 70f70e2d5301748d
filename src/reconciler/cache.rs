//! What the controller knows of the cluster: sets, Pods, claims and revisions, as they are watched. Raw JSON.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, SelectAll};
use headless_objects::object::controller;
use kube::Client;
use kube::api::{DynamicObject, ObjectMeta};
use kube::runtime::watcher;
use serde_json::Value;

use super::kinds::{KINDS, Kind, Name, Written};
use crate::api::{Connection, Event, Failure, watching};
use crate::statefulset::{Failures, Observed, is_claim_of};
use headless_objects::selector::Selector;

type Events = SelectAll<BoxStream<'static, (Kind, Result<Event<DynamicObject>, Failure>)>>;

/// Streams the events of all four kinds.
pub(super) fn watch(client: &Client) -> Events {
    let stream = |kind: Kind| {
        let config = watcher::Config::default().streaming_lists();
        let events = watching::<DynamicObject>(client.clone(), &kind.resource(), None, config);
        events.map(move |event| (kind, event)).boxed()
    };
    KINDS.into_iter().map(stream).collect()
}

/// The caches of all four kinds.
pub(super) struct Cache {
    objects: BTreeMap<Kind, BTreeMap<Name, Arc<Value>>>,
    /// What a list that is under way has confirmed.
    listing: BTreeMap<Kind, BTreeSet<Name>>,
    synced: BTreeSet<Kind>,
    /// The highest resourceVersion that the watch of a kind has shown: it has shown everything up to there.
    shown: BTreeMap<Kind, u64>,
    /// Lists that have begun.
    lists: u64,
    connection: Connection<Kind>,
}

/// With nothing heard yet.
impl Default for Cache {
    fn default() -> Self {
        Self {
            objects: BTreeMap::new(),
            listing: BTreeMap::new(),
            synced: BTreeSet::new(),
            shown: BTreeMap::new(),
            lists: 0,
            connection: Connection::over(KINDS.len()),
        }
    }
}

impl Cache {
    /// Whether every cache has had its first list.
    pub(super) fn synced(&self) -> bool {
        self.synced.len() == KINDS.len()
    }

    /// How many lists have begun so far. Once a list has begun, an object that was written before it may be missing
    /// there because it is gone: it must not be put back.
    pub(super) fn lists(&self) -> u64 {
        self.lists
    }

    /// Whether the set is there.
    pub(super) fn has(&self, set: &Name) -> bool {
        self.set(set).is_some()
    }

    fn set(&self, name: &Name) -> Option<&Arc<Value>> {
        self.objects.get(&Kind::Set)?.get(name)
    }

    /// Takes in the next event of a watch; returns the sets it concerns.
    pub(super) fn take(
        &mut self,
        kind: Kind,
        event: Result<Event<DynamicObject>, Failure>,
    ) -> Vec<Name> {
        let event = match event {
            Ok(event) => event,
            Err(Failure { reason, .. }) => {
                let meanwhile = "nothing new is reconciled meanwhile";
                self.connection.failed(&kind, reason, meanwhile);
                return Vec::new();
            }
        };
        if !matches!(event, Event::Reset) {
            self.connection.works(&kind);
        }
        match event {
            Event::Reset => {
                self.lists += 1;
                self.listing.insert(kind, BTreeSet::new());
                Vec::new()
            }
            Event::Apply(object) => {
                let (name, value) = read(kind, object);
                self.confirm(kind, &name);
                self.show(kind, revision(&value));
                self.put(kind, name, value)
            }
            // What it said last stays true.
            Event::Unreadable(meta) => {
                self.confirm(kind, &name_of(&meta));
                Vec::new()
            }
            Event::Delete(meta) => {
                let name = name_of(&meta);
                let revision = meta.resource_version.and_then(|text| text.parse().ok());
                self.show(kind, revision);
                let Some(old) = self.map(kind).remove(&name) else {
                    return Vec::new();
                };
                // A Pod that nobody controlled leaves no gap in a set.
                if kind != Kind::Pod || controller(&old).is_some() {
                    self.concerned(kind, &name, &old)
                } else {
                    Vec::new()
                }
            }
            Event::Synced => {
                let listed = self.listing.remove(&kind).unwrap_or_default();
                let gone: Vec<Name> = self
                    .all(kind)
                    .filter(|(name, _)| !listed.contains(*name))
                    .map(|(name, _)| name.clone())
                    .collect();
                for name in &gone {
                    self.map(kind).remove(name);
                }
                self.synced.insert(kind);
                let mut sets: Vec<Name> = self.all(Kind::Set).map(|(n, _)| n.clone()).collect();
                sets.extend(gone.into_iter().filter(|_| kind == Kind::Set));
                sets
            }
        }
    }

    /// Takes in an object that the reconciler itself wrote, unless the watch is past that write: the object may be gone
    /// by now, and must not come back. Returns the sets that a change concerns.
    pub(super) fn wrote(&mut self, (kind, object): Written) -> Vec<Name> {
        let (name, value) = read(kind, object);
        if revision(&value) > self.shown.get(&kind).copied() {
            self.put(kind, name, value)
        } else {
            Vec::new()
        }
    }

    fn show(&mut self, kind: Kind, revision: Option<u64>) {
        let shown = self.shown.entry(kind).or_default();
        *shown = revision.unwrap_or_default().max(*shown);
    }

    /// Keeps what is known of an object beyond the end of a list that is under way.
    fn confirm(&mut self, kind: Kind, name: &Name) {
        if let Some(listing) = self.listing.get_mut(&kind) {
            listing.insert(name.clone());
        }
    }

    fn map(&mut self, kind: Kind) -> &mut BTreeMap<Name, Arc<Value>> {
        self.objects.entry(kind).or_default()
    }

    /// Stores an object, unless the stored state is as new. Returns the sets that the old and the new state concern.
    fn put(&mut self, kind: Kind, name: Name, value: Arc<Value>) -> Vec<Name> {
        let old = self.map(kind).get(&name).cloned();
        if old
            .as_ref()
            .is_some_and(|old| revision(old) >= revision(&value))
        {
            return Vec::new();
        }
        let mut concerned = old.map_or_else(Vec::new, |old| self.concerned(kind, &name, &old));
        concerned.extend(self.concerned(kind, &name, &value));
        // A Pod of another kind of controller is none of ours, whatever becomes of it.
        let foreign = controller(&value).is_some_and(|owner| owner["kind"] != "StatefulSet");
        if kind == Kind::Pod && foreign {
            self.map(kind).remove(&name);
        } else {
            self.map(kind).insert(name, value);
        }
        concerned
    }

    /// The sets that an object is about.
    fn concerned(&self, kind: Kind, name: &Name, object: &Value) -> Vec<Name> {
        match (kind, controller(object)) {
            (Kind::Set, _) => vec![name.clone()],
            (Kind::Pod | Kind::Revision, Some(owner)) => {
                let set = (
                    name.0.clone(),
                    owner["name"].as_str().unwrap_or_default().to_owned(),
                );
                // A set of that name that is another incarnation has nothing to do with it.
                let known = self.set(&set);
                let same = known.is_none_or(|known| known["metadata"]["uid"] == owner["uid"]);
                let ours = owner["kind"] == "StatefulSet" && same;
                ours.then_some(set).into_iter().collect()
            }
            // Whoever selects an orphan may adopt it.
            (Kind::Pod | Kind::Revision, None) => self
                .sets_where(&name.0, |set| selects(set, object))
                .collect(),
            // A claim has no owner by default; its name tells the Pod, and so the set.
            (Kind::Claim, _) => self
                .sets_where(&name.0, |set| is_claim_of(set, &name.1))
                .collect(),
        }
    }

    fn sets_where<'a>(
        &'a self,
        ns: &'a str,
        holds: impl Fn(&Value) -> bool + 'a,
    ) -> impl Iterator<Item = Name> + 'a {
        self.inside(Kind::Set, ns)
            .filter(move |(_, set)| holds(set))
            .map(move |(set, _)| (ns.to_owned(), set.to_owned()))
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
        let set = self.set(name)?;
        let uid = &set["metadata"]["uid"];
        let free_or_ours =
            |object: &Value| controller(object).is_none_or(|owner| owner["uid"] == *uid);
        let prefix = format!("{}-", name.1);
        let observed = |kind: Kind, fits: &dyn Fn(&str, &Value) -> bool| {
            let inside = self.inside(kind, &name.0);
            let fitting = inside.filter(|(name, value)| fits(name, value));
            fitting.map(|(_, value)| Arc::clone(value)).collect()
        };
        Some(Observed {
            set: Arc::clone(set),
            pods: observed(Kind::Pod, &|_, pod| free_or_ours(pod)),
            claims: observed(Kind::Claim, &|claim, _| is_claim_of(set, claim)),
            revisions: observed(Kind::Revision, &|name, revision| {
                free_or_ours(revision) || name.starts_with(&prefix)
            }),
            failures: Failures::default(),
        })
    }
}

fn selects(set: &Value, object: &Value) -> bool {
    let labels = &object["metadata"]["labels"];
    Selector::of(&set["spec"]["selector"])
        .is_some_and(|selector| selector.matches(|key| labels[key].as_str()))
}

/// Resource versions are numbers that grow (KEP-5504).
fn revision(value: &Value) -> Option<u64> {
    value["metadata"]["resourceVersion"].as_str()?.parse().ok()
}

fn name_of(meta: &ObjectMeta) -> Name {
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    (text(&meta.namespace), text(&meta.name))
}

fn read(kind: Kind, mut object: DynamicObject) -> (Name, Arc<Value>) {
    let name = name_of(&object.metadata);
    // `managedFields` is half of an object's size; only the writer of a set's status and a Pod's maker are read there.
    match kind {
        Kind::Set => {}
        Kind::Pod => keep_maker(&mut object),
        Kind::Claim | Kind::Revision => object.metadata.managed_fields = None,
    }
    let value = serde_json::to_value(object).unwrap_or_default();
    (name, Arc::new(value))
}

/// Reduces a Pod's `managedFields` to who wrote which top-level fields, and when.
fn keep_maker(pod: &mut DynamicObject) {
    for write in pod.metadata.managed_fields.iter_mut().flatten() {
        let fields = write.fields_v1.as_mut().and_then(|f| f.0.as_object_mut());
        for (_, below) in fields.into_iter().flatten() {
            *below = Value::Object(serde_json::Map::new());
        }
    }
}

#[cfg(test)]
mod tests;
