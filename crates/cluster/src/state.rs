//! The API server's core: writes checked, completed and kept. No clock and no socket: `now` is given.

use headless_objects::object::is_ending;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::admission::{self, Admission};
use super::custom::Customs;
use super::kinds::{self, Kind, KindId};
use super::objects::{Key, Objects};
use super::plane::{Plane, Plugin};
use super::random::{suffix, uid};
use super::status::ApiStatus;
use super::webhooks::Operation;
use super::{accounts, addresses, defaults, schema, types};
mod admitting;
mod check;
mod converting;
mod definitions;
mod dependents;
mod ending;
mod owners;
mod part;
mod roles;
pub(crate) mod scaled;

use admitting::Write;
use check::check;
pub(crate) use converting::merged;
use ending::ends_now;
pub use ending::{DeleteOptions, Propagation};
use headless_objects::rfc3339::timestamp;
pub(crate) use owners::{Author, Config, MANAGER};
pub use part::Part;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// Everything the cluster is.
#[derive(Debug)]
pub struct State {
    /// The objects.
    pub objects: Objects,
    /// The certificate of the API's authority, PEM; empty where the API is served in this process only.
    authority: String,
    random: StdRng,
    /// What works beside it.
    plane: Plane,
    /// Who makes the present write.
    author: Option<Author>,
    /// The kinds that definitions make, and the revision up to which those were read.
    customs: Customs,
    defined: u64,
    /// The revision up to which roles that are made of others are.
    aggregated: u64,
}

impl State {
    /// An empty cluster. What it draws, uids and the ends of generated names, is the same for the same seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::of(Plane::default(), seed)
    }

    /// The same of another control plane.
    #[must_use]
    pub fn of(plane: Plane, seed: u64) -> Self {
        Self {
            plane,
            objects: Objects::default(),
            authority: String::new(),
            random: StdRng::seed_from_u64(seed),
            author: None,
            customs: Customs::default(),
            defined: 0,
            aggregated: 0,
        }
    }
}

const OTHER_NAMESPACE: &str =
    "the namespace of the provided object does not match the namespace sent on the request";

impl State {
    /// An object, or 404.
    ///
    /// # Errors
    /// 404.
    pub fn get(&self, key: &Key) -> Result<&Arc<Value>, ApiStatus> {
        self.objects
            .get(key)
            .ok_or_else(|| ApiStatus::not_found(key.kind.info(), &key.name))
    }

    /// Creates an object.
    ///
    /// # Errors
    /// What is wrong with it, a name that is taken, a namespace that is not there.
    pub fn create(
        &mut self,
        now: Timestamp,
        kind: KindId,
        ns: &str,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiStatus> {
        let info = kind.info();
        types::check(info, &mut object)?;
        self.check_namespace(info, ns, &object)?;
        once_each(&mut object);
        let revision = object["metadata"]["resourceVersion"].as_str();
        let revision = revision.and_then(|revision| revision.parse::<u64>().ok());
        identify(info, &mut object, ns, (now, &mut self.random))?;
        object["apiVersion"] = self.written(kind).info().api_version().into();
        object["kind"] = info.kind.into();
        if self.has_status(kind) && !info.is(kinds::NODE) {
            // The status is written by its own subresource only.
            object.as_object_mut().map(|o| o.remove("status"));
        }
        self.complete(kind, &mut object)?;
        let name = headless_objects::object::name(&object).to_owned();
        let ns = if info.namespaced { ns } else { "" };
        let key = Key::new(kind, ns, &*name);
        let owners = self.owners((&key, Part::Main), None, &object, &Value::Null);
        let mut admission = Admission {
            objects: &self.objects,
            random: &mut self.random,
            plane: &self.plane,
        };
        admission.new_object(info, &mut object)?;
        let write = Write {
            key: &key,
            operation: Operation::Create,
            old: &Value::Null,
            dry_run,
        };
        self.mutate(write, &mut object)?;
        self.settle(info, (&mut object, None), dry_run)?;
        self.look_at(write, Part::Main, &object)?;
        if revision.is_some_and(|revision| revision > 0) && !dry_run {
            let why = "resourceVersion should not be set on objects to be created";
            return Err(ApiStatus::unknown(why));
        }
        if self.objects.get(&key).is_some() {
            return Err(ApiStatus::already_exists(info, &name));
        }
        schema::show(info.of, &mut object);
        set_owners(&mut object, owners);
        let made = self.keep(&key, object, dry_run)?;
        if dry_run {
            return Ok(made);
        }
        if info.is(kinds::NAMESPACE) {
            self.furnish(now, &name);
        }
        Ok(made)
    }

    /// Makes what every namespace has, where this one has it not.
    pub(super) fn furnish(&mut self, now: Timestamp, ns: &str) {
        if !self.plane.controllers {
            return;
        }
        let author = Author::new(MANAGER, now);
        self.by(Some(author), |state| {
            for (kind, object) in accounts::missing(&state.objects, ns, &state.authority) {
                // A namespace that ends takes nothing more.
                drop(state.create(now, kind, ns, object, false));
            }
        });
    }

    /// Publishes the certificate of the API's authority, PEM, in every namespace.
    pub(super) fn publish(&mut self, authority: String) {
        self.authority = authority;
        for (key, map) in accounts::published(&self.objects, &self.authority) {
            // Nobody can have changed it since.
            drop(self.update(&key, Part::Main, map, false));
        }
    }

    /// Has the Service `kubernetes` lead to this port of the API, where any was asked for.
    pub(super) fn advertise(&mut self, port: u16) {
        if self.plane.advertised.port() != 0 {
            return;
        }
        self.plane.advertised.set_port(port);
        for (kind, field) in [
            (kinds::SERVICE, "/spec/ports/0/targetPort"),
            (kinds::ENDPOINT_SLICE, "/ports/0/port"),
        ] {
            let key = Key::new(kind, "default", "kubernetes");
            if let Ok(mut object) = self.get(&key).map(|one| Value::clone(one)) {
                if let Some(place) = object.pointer_mut(field) {
                    *place = port.into();
                }
                // It has just been read.
                drop(self.update(&key, Part::Main, object, false));
            }
        }
    }

    /// Replaces a part of an object.
    ///
    /// # Errors
    /// What is wrong with it, or a `resourceVersion` or `uid` that is not the present one.
    pub fn update(
        &mut self,
        key: &Key,
        part: Part,
        mut object: Value,
        dry_run: bool,
    ) -> Result<Arc<Value>, ApiStatus> {
        let info = key.kind.info();
        let kept = Arc::clone(self.get(key)?);
        let old = self.as_written(key, &kept)?;
        types::check(info, &mut object)?;
        once_each(&mut object);
        preconditions(key, metadata(&mut object)?, &old)?;
        let given = metadata(&mut object)?
            .shift_remove("managedFields")
            .unwrap_or_default();
        let of_kind = (self.has_status(key.kind), key.kind.is_defined());
        let mut object = part.of(object, &old, of_kind);
        self.complete(key.kind, &mut object)?;
        let owners = self.owners((key, part), Some(&old), &object, &given);
        if part == Part::Main {
            let place = (&self.objects, &self.plane);
            admission::each_time(place, info, &mut object, true)?;
        }
        let write = Write {
            key,
            operation: Operation::Update,
            old: &old,
            dry_run,
        };
        if self.mutate(write, &mut object)? {
            object = part.of(object, &old, of_kind);
        }
        self.settle(info, (&mut object, Some(&old)), dry_run)?;
        self.look_at(write, part, &object)?;
        if self.plane.admits(Plugin::PersistentVolumeClaimResize) {
            admission::growth(&self.objects, info, &object, &old)?;
        }
        schema::show(info.of, &mut object);
        set_owners(&mut object, owners);
        if owners::same_but_for_times(&object, &old) && !self.is_stale(key, &kept) {
            return Ok(old);
        }
        if info.does.generation && asks_for_more(&object, &old) {
            object["metadata"]["generation"] =
                (old["metadata"]["generation"].as_i64().unwrap_or(1) + 1).into();
        }
        // What ends by its update is not written before.
        if ends_now(info, &object) && !dry_run {
            self.objects.remove(key);
            return Ok(Arc::new(object));
        }
        self.keep(key, object, dry_run)
    }

    /// Looks at an object that is complete.
    ///
    /// # Errors
    /// What is wrong with it, a right that its author has not, what webhooks refuse.
    fn look_at(&self, write: Write<'_>, part: Part, object: &Value) -> Result<(), ApiStatus> {
        let (kind, old) = (write.key.kind, Some(write.old).filter(|old| !old.is_null()));
        let info = kind.info();
        check((info, self.rules(info)), object, old, part)?;
        self.check_custom(kind, part, object)?;
        self.check_grant(write.key, object, old)?;
        self.approve(write, object)
    }

    /// Gives an object that is admitted what it leaves to the server. `old`: what it was, where it is not new.
    fn settle(
        &self,
        info: &Kind,
        (object, old): (&mut Value, Option<&Value>),
        dry_run: bool,
    ) -> Result<(), ApiStatus> {
        let services = (&self.objects, &self.plane.services);
        addresses::settle(services, info, (object, old), dry_run)?;
        defaults::prepare(info, object, old);
        Ok(())
    }

    /// The kind that says what may be written: events are kept as those of the core, and looked at as those of the request.
    fn rules(&self, info: &'static Kind) -> &'static Kind {
        let asked = self.author.as_ref().and_then(|author| author.kind());
        let asked = asked.filter(|_| info.is(kinds::EVENT));
        asked.map_or(info, |kind| kind.info())
    }

    fn check_namespace(&self, info: &Kind, ns: &str, object: &Value) -> Result<(), ApiStatus> {
        if !info.namespaced {
            return Ok(());
        }
        let namespace = self.get(&Key::new(kinds::NAMESPACE, "", ns))?;
        if is_ending(namespace) && self.plane.admits(Plugin::NamespaceLifecycle) {
            let meta = &object["metadata"];
            let named = [&meta["name"], &meta["generateName"]];
            let mut named = named.iter().filter_map(|name| name.as_str());
            let name = named.find(|name| !name.is_empty()).unwrap_or_default();
            let why = format!(
                "unable to create new content in namespace {ns} because it is being terminated"
            );
            let of = (info.group, info.plural);
            let mut status = ApiStatus::forbidden_object(of, name, &why);
            status.details["causes"] = json!([{
                "reason": "NamespaceTerminating", "field": "metadata.namespace",
                "message": format!("namespace {ns} is being terminated"),
            }]);
            return Err(status);
        }
        Ok(())
    }
}

/// Leaves each owner of an object once.
fn once_each(object: &mut Value) {
    let owners = object.pointer_mut("/metadata/ownerReferences");
    if let Some(owners) = owners.and_then(Value::as_array_mut) {
        let mut seen: Vec<Value> = Vec::new();
        owners.retain(|owner| {
            let is_new = !seen.contains(owner);
            seen.push(owner.clone());
            is_new
        });
    }
}

/// Gives a new object its identity: namespace, name, UID, time of creation.
fn identify(
    info: &Kind,
    object: &mut Value,
    ns: &str,
    (now, random): (Timestamp, &mut StdRng),
) -> Result<(), ApiStatus> {
    const NOT_GIVEN: &[&str] = &[
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "resourceVersion",
        "selfLink",
        "managedFields",
    ];
    let meta = metadata(object)?;
    meta.retain(|key, _| !NOT_GIVEN.contains(&key.as_str()));
    let text = |meta: &Map<String, Value>, key: &str| {
        meta.get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let given = text(meta, "namespace");
    if !info.namespaced {
        meta.remove("namespace");
    } else if given.is_empty() || given == ns {
        meta.insert("namespace".into(), ns.into());
    } else {
        return Err(ApiStatus::bad_request(OTHER_NAMESPACE));
    }
    let prefix = text(meta, "generateName");
    if text(meta, "name").is_empty() && !prefix.is_empty() {
        meta.insert("name".into(), format!("{prefix}{}", suffix(random)).into());
    }
    meta.insert("uid".into(), uid(random).into());
    meta.insert("creationTimestamp".into(), timestamp(now).into());
    if info.does.generation {
        meta.insert("generation".into(), 1.into());
    }
    Ok(())
}

/// Checks that an update is for the object that it goes to, and for its present state.
fn preconditions(key: &Key, meta: &Map<String, Value>, old: &Value) -> Result<(), ApiStatus> {
    let info = key.kind.info();
    let given = |field: &str| {
        meta.get(field)
            .and_then(Value::as_str)
            .filter(|v| !v.is_empty())
    };
    if given("name").is_none() {
        return Err(ApiStatus::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        )));
    }
    if given("resourceVersion").is_some_and(|v| old["metadata"]["resourceVersion"] != v) {
        return Err(ApiStatus::conflict(
            info,
            &key.name,
            "the object has been modified; please apply your changes to the latest version and try again",
        ));
    }
    if let Some(why) = other_uid(given("uid"), old) {
        return Err(not_stored(key, "", &why));
    }
    if let Some(name) = given("name").filter(|name| *name != key.name) {
        return Err(ApiStatus::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        )));
    }
    if given("namespace").is_some_and(|ns| ns != key.ns && info.namespaced) {
        return Err(ApiStatus::bad_request(OTHER_NAMESPACE));
    }
    Ok(())
}

/// Why an object is another one than that of this uid.
fn other_uid(uid: Option<&str>, old: &Value) -> Option<String> {
    let own = old["metadata"]["uid"].as_str().unwrap_or_default();
    let uid = uid.filter(|uid| *uid != own)?;
    Some(format!(
        "Precondition failed: UID in precondition: {uid}, UID in object meta: {own}"
    ))
}

/// 409 in the words of kube-apiserver's storage; `root`: where in etcd it says that it has all kinds.
fn not_stored(key: &Key, root: &str, why: &str) -> ApiStatus {
    let info = key.kind.info();
    let path = [info.plural, key.ns.as_str(), key.name.as_str()];
    let path = path.into_iter().filter(|step| !step.is_empty());
    let path: Vec<_> = path.collect();
    let why = format!(
        "StorageError: invalid object, Code: 4, Key: {root}/{}, ResourceVersion: 0, AdditionalErrorMsg: {why}",
        path.join("/"),
    );
    ApiStatus::conflict(info, &key.name, &why)
}

fn metadata(object: &mut Value) -> Result<&mut Map<String, Value>, ApiStatus> {
    let fields = object
        .as_object_mut()
        .ok_or_else(|| ApiStatus::bad_request("the body is not an object"))?;
    let meta = fields.entry("metadata").or_insert_with(|| json!({}));
    meta.as_object_mut()
        .ok_or_else(|| ApiStatus::bad_request("metadata is not an object"))
}

fn set_owners(object: &mut Value, owners: Value) {
    if let Some(meta) = object["metadata"].as_object_mut() {
        meta.shift_remove("managedFields");
        if !owners.is_null() {
            meta.insert("managedFields".into(), owners);
        }
    }
}

/// Whether an update changes what is asked for: anything but metadata, status, and the node that a Pod gets.
fn asks_for_more(new: &Value, old: &Value) -> bool {
    let asked = |object: &Value| {
        let mut asked = object.clone();
        if let Some(fields) = asked.as_object_mut() {
            fields.retain(|field, _| field != "metadata" && field != "status");
        }
        if old["spec"]["nodeName"].is_null() {
            asked["spec"].as_object_mut().map(|s| s.remove("nodeName"));
        }
        asked
    };
    asked(new) != asked(old)
}

#[cfg(test)]
mod tests;
