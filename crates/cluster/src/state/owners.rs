//! Who writes, and what becomes of `managedFields`; server-side apply.

use std::sync::Arc;

use headless_objects::rfc3339::timestamp;
use jiff::Timestamp;
use serde_json::Value;

use super::{Part, State};
use crate::apply::{self, Applied, Failed, Managed, Request, Set, Site};
use crate::custom::Served;
use crate::field::Errors;
use crate::kind::KindId;
use crate::kinds::Kind;
use crate::objects::Key;
use crate::schema::{self, Shape};
use crate::status::ApiStatus;
use crate::types;
use crate::webhooks::Dialogue;

/// The field manager of what controllers write.
pub(crate) const MANAGER: &str = "kube-controller-manager";

/// Who makes a write.
#[derive(Clone, Debug)]
pub(crate) struct Author {
    /// The field manager.
    manager: String,
    /// The kind as the request has it; `None`: as it is kept.
    kind: Option<KindId>,
    /// Empty for the object itself.
    subresource: &'static str,
    now: Timestamp,
    /// The owners, where an apply has found them.
    owners: Option<Value>,
    /// Who makes the request, and what it asks webhooks.
    request: Option<(Value, Arc<Dialogue>)>,
}

impl Author {
    pub(crate) fn new(manager: impl Into<String>, now: Timestamp) -> Self {
        Self {
            manager: manager.into(),
            kind: None,
            subresource: "",
            now,
            owners: None,
            request: None,
        }
    }

    /// The same in a request of this user (`UserInfo`), who has webhooks asked.
    pub(crate) fn asking(self, user: Value, dialogue: &Arc<Dialogue>) -> Self {
        Self {
            request: Some((user, Arc::clone(dialogue))),
            ..self
        }
    }

    pub(super) fn dialogue(&self) -> Option<&Arc<Dialogue>> {
        self.request.as_ref().map(|(_, dialogue)| dialogue)
    }

    /// Who makes the request; null where none does.
    pub(super) fn user(&self) -> Value {
        let request = self.request.as_ref();
        request.map_or(Value::Null, |(user, _)| user.clone())
    }

    pub(super) fn manager(&self) -> &str {
        &self.manager
    }

    pub(super) fn subresource(&self) -> &'static str {
        self.subresource
    }

    /// The kind as the request has it.
    pub(super) fn kind(&self) -> Option<KindId> {
        self.kind
    }

    /// The same through a kind as a request has it, and a subresource.
    pub(crate) fn through(self, kind: KindId, subresource: &'static str) -> Self {
        Self {
            kind: Some(kind),
            subresource,
            ..self
        }
    }
}

/// What is applied, and how.
pub(crate) struct Config {
    pub(crate) object: Value,
    /// Take the fields that others own.
    pub(crate) force: bool,
    pub(crate) dry_run: bool,
}

impl State {
    /// Does writes as the author; without one they change no `managedFields`.
    pub(crate) fn by<T>(
        &mut self,
        author: Option<Author>,
        write: impl FnOnce(&mut Self) -> T,
    ) -> T {
        let drawn = author.as_ref().and_then(Author::dialogue).cloned();
        let drawn = drawn.map(|dialogue| dialogue.random(&mut self.random));
        let random = drawn.map(|drawn| std::mem::replace(&mut self.random, drawn));
        let before = std::mem::replace(&mut self.author, author);
        let outcome = write(self);
        self.author = before;
        if let Some(random) = random {
            self.random = random;
        }
        outcome
    }

    /// The `managedFields` after a write. `old`: `None` where it is new; `given`: those that the request has.
    pub(super) fn owners(
        &self,
        (key, part): (&Key, Part),
        old: Option<&Arc<Value>>,
        object: &Value,
        given: &Value,
    ) -> Value {
        let before = old.map_or(&Value::Null, |old| &old["metadata"]["managedFields"]);
        let Some(author) = &self.author else {
            return before.clone();
        };
        if let Some(owners) = &author.owners {
            return owners.clone();
        }
        let writing = Writing::new(self, author, (key, part));
        let (kind, request) = (writing.kind, writing.request(author));
        let mut new = object.clone();
        schema::show(key.kind.info().of, &mut new);
        let new = kind.converted(&Arc::new(new));
        let old = old.map_or_else(|| Arc::new(request.site.empty()), |old| kind.converted(old));
        let is_whole = part == Part::Main && author.subresource.is_empty();
        let entries = given.as_array().map(|entries| &entries[..]);
        let entries = entries.filter(|entries| is_whole && !entries.is_empty());
        let changes = apply::changes(&request, (&old, &new));
        let managed = match (entries, &changes) {
            (None, None) => return before.clone(),
            (Some([one]), _) if one.as_object().is_some_and(|one| one.is_empty()) => {
                Managed::default()
            }
            (Some(_), _) => Managed::read(given).unwrap_or_else(|| read(before)),
            (None, Some(_)) => read(before),
        };
        match changes {
            // An object that was there without owners stays so.
            Some(_) if managed.is_empty() && old["metadata"]["uid"].is_string() => managed,
            Some(changes) => apply::updated(&request, managed, changes),
            None => managed,
        }
        .write()
    }

    /// Applies a configuration. Gives the object, and whether it is new.
    ///
    /// # Errors
    /// A configuration that cannot be applied; 409 with each field that another manager owns; what the write is refused for.
    pub(crate) fn apply(
        &mut self,
        (key, part): (&Key, Part),
        config: &Config,
    ) -> Result<(Arc<Value>, bool), ApiStatus> {
        let author = self.author.clone();
        let mut author = author.expect("an apply has an author");
        let writing = Writing::new(self, &author, (key, part));
        let kind = writing.kind;
        let old = self.objects.get(key).cloned();
        if old.is_none() && part == Part::Status {
            return Err(ApiStatus::not_found(key.kind.info(), &key.name));
        }
        let dialogue = author.dialogue().map(|dialogue| &**dialogue);
        let old = old.map(|old| self.one_in_version(kind, &old, dialogue));
        let old = old.transpose()?;
        let live = old.as_deref().cloned();
        let mut live = live.unwrap_or_else(|| nothing(kind.info(), writing.site()));
        let owners = live["metadata"]
            .as_object_mut()
            .and_then(|meta| meta.shift_remove("managedFields"));
        let managed = read(&owners.unwrap_or_default());
        let request = writing.request(&author);
        let applied = apply::applied(&request, (&live, managed), &config.object, config.force);
        let Applied { object, managed } =
            applied.map_err(|failed| refused(&gvk(kind.info()), &config.object, failed))?;
        let mut object = object.unwrap_or(live);
        if author.manager == apply::KUBECTL && author.subresource != "scale" {
            apply::keep_last_applied(&mut object, &config.object);
        }
        unconverted(kind.info(), &config.object, &mut object)?;
        let uid = &object["metadata"]["uid"];
        if let Some(given) = uid
            .as_str()
            .filter(|_| config.object["metadata"]["uid"] == *uid)
        {
            same_uid(key, old.as_deref(), given)?;
        }
        if let (None, Some(meta)) = (&old, object["metadata"].as_object_mut()) {
            meta.shift_remove("resourceVersion");
        }
        kind.to_kept(&mut object);
        author.owners = Some(managed.write());
        let now = author.now;
        self.by(Some(author), |state| match old {
            Some(_) => {
                let new = state.update(key, part, object, config.dry_run)?;
                Ok((new, false))
            }
            None => {
                let new = state.create(now, key.kind, &key.ns, object, config.dry_run)?;
                Ok((new, true))
            }
        })
    }
}

/// What is written, and how.
struct Writing {
    kind: KindId,
    shape: Shape,
    served: Option<Arc<Served>>,
    api_version: String,
    time: String,
    reset: Set,
}

impl Writing {
    fn new(state: &State, author: &Author, (key, part): (&Key, Part)) -> Self {
        let kind = author.kind.unwrap_or(key.kind);
        let info = kind.info();
        Self {
            kind,
            shape: Shape::Struct(info.of),
            served: state.served(kind).cloned(),
            api_version: info.api_version(),
            time: timestamp(author.now),
            reset: reset(info, part, state.has_status(kind)),
        }
    }

    fn site(&self) -> Site<'_> {
        site(&self.shape, self.served.as_deref())
    }

    fn request<'a>(&'a self, author: &'a Author) -> Request<'a> {
        Request {
            site: self.site(),
            manager: &author.manager,
            subresource: author.subresource,
            api_version: &self.api_version,
            time: (author.subresource != "scale").then_some(&self.time),
            reset: &self.reset,
        }
    }
}

/// The site of a kind's objects; `shape`: that of its type; `served`: what its definition says.
fn site<'a>(shape: &'a Shape, served: Option<&'a Served>) -> Site<'a> {
    match served {
        Some(served) if served.schema.is_object() => Site::custom(&served.schema),
        Some(_) => Site::Deduced,
        None if *shape == Shape::Struct("") => Site::Deduced,
        None => Site::root(shape),
    }
}

/// What an apply that makes an object is applied to.
fn nothing(kind: &Kind, site: Site<'_>) -> Value {
    let mut empty = site.empty();
    empty["apiVersion"] = kind.api_version().into();
    empty["kind"] = kind.kind.into();
    empty
}

fn read(entries: &Value) -> Managed {
    Managed::read(entries).unwrap_or_default()
}

/// Kinds whose status is written without their metadata.
const STATUS_ALONE: [&str; 4] = [
    "CSINode",
    "ServiceCIDR",
    "ValidatingAdmissionPolicy",
    "VolumeAttachment",
];

/// What a write of this part does not change, so that nobody owns it by that (`GetResetFields` of the API server's strategies).
fn reset(kind: &Kind, part: Part, has_status: bool) -> Set {
    match part {
        // A namespace's finalizers come with it.
        Part::Main if kind.kind == "Namespace" => Set::of(&[&["status"], &["spec"]]),
        Part::Main if has_status => Set::of(&[&["status"]]),
        Part::Main => Set::default(),
        Part::Debugging => Set::of(&[&["status"]]),
        Part::Status if STATUS_ALONE.contains(&kind.kind) => Set::of(&[&["spec"], &["metadata"]]),
        Part::Status => match kind.kind {
            "Pod" => Set::of(&[
                &["spec"],
                &["metadata", "deletionTimestamp"],
                &["metadata", "ownerReferences"],
            ]),
            "Deployment" => Set::of(&[&["spec"], &["metadata", "labels"]]),
            _ => Set::of(&[&["spec"]]),
        },
    }
}

/// Refuses an object that is applied and cannot be read as one of its kind.
fn unconverted(kind: &Kind, config: &Value, object: &mut Value) -> Result<(), ApiStatus> {
    let Err(mistyped) = types::mistyped(kind, object) else {
        return Ok(());
    };
    let is_fraction = mistyped.problem.contains("cannot unmarshal number");
    let problem = match (is_fraction, mistyped.problem.rsplit(' ').next()) {
        (true, Some(wanted)) => format!("cannot convert float64 to {wanted}"),
        _ => mistyped.problem,
    };
    Err(ApiStatus::unknown(format!(
        "failed to convert new object ({}) to proper version: unable to convert unstructured object to {}: {problem}",
        named(&gvk(kind), config),
        gvk(kind)
    )))
}

/// Refuses an object that is applied with another uid than the object's.
fn same_uid(key: &Key, old: Option<&Value>, given: &str) -> Result<(), ApiStatus> {
    let info = key.kind.info();
    match old {
        None => Err(ApiStatus::conflict(
            info,
            &key.name,
            &format!(
                "uid mismatch: the provided object specified uid {given}, and no existing object was found"
            ),
        )),
        Some(old) if old["metadata"]["uid"] != given => {
            let mut errors = Errors::default();
            errors.invalid("metadata.uid", &given.into(), "field is immutable");
            Err(ApiStatus::invalid(info, &key.name, &errors.0))
        }
        Some(_) => Ok(()),
    }
}

/// An object as errors of the field manager name it. `of`: its version and kind.
fn named(of: &str, config: &Value) -> String {
    let meta = &config["metadata"];
    let text = |field: &str| meta[field].as_str().unwrap_or_default();
    format!("{}/{}; {of}", text("namespace"), text("name"))
}

fn gvk(kind: &Kind) -> String {
    let slash = if kind.group.is_empty() { "/" } else { "" };
    format!("{slash}{}, Kind={}", kind.api_version(), kind.kind)
}

/// Why an apply is refused.
pub(super) fn refused(of: &str, config: &Value, failed: Failed) -> ApiStatus {
    match failed {
        Failed::Untyped(problem) => ApiStatus::unknown(format!(
            "failed to create typed patch object ({}): {problem}",
            named(of, config)
        )),
        Failed::Unmerged(problem) => {
            ApiStatus::unknown(format!("failed to merge config: {problem}"))
        }
        Failed::Conflicts(conflicts) => ApiStatus::apply_conflict(
            apply::message(&conflicts),
            conflicts.iter().map(apply::Conflict::cause),
        ),
    }
}

/// Whether two objects are the same but for the times of their `managedFields`.
pub(super) fn same_but_for_times(a: &Value, b: &Value) -> bool {
    same_but(a, b, "metadata")
        && same_but(&a["metadata"], &b["metadata"], "managedFields")
        && same_owners(
            &a["metadata"]["managedFields"],
            &b["metadata"]["managedFields"],
        )
}

fn same_owners(a: &Value, b: &Value) -> bool {
    match (a.as_array(), b.as_array()) {
        (Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_but(a, b, "time"))
        }
        (a, b) => a == b,
    }
}

/// Whether two objects have the same fields but for one.
fn same_but(a: &Value, b: &Value, field: &str) -> bool {
    let rest = |object: &Value| object.as_object().map_or(0, |fields| fields.len());
    let has = |object: &Value| usize::from(object.get(field).is_some());
    let fields = a.as_object().into_iter().flatten();
    let mut fields = fields.filter(|(name, _)| *name != field);
    rest(a) - has(a) == rest(b) - has(b) && fields.all(|(name, value)| b.get(name) == Some(value))
}
