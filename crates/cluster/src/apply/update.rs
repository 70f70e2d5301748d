//! New owners after an update, and the object and owners that an apply makes.

use std::sync::LazyLock;

use serde_json::Value;

use super::compare::Comparison;
use super::conflict::{self, Conflict};
use super::managers::{Managed, Manager, Operation, Owned};
use super::set::Set;
use super::site::Site;
use super::{check, merge, prune};

/// Who writes what, how and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) site: Site<'a>,
    pub(crate) manager: &'a str,
    pub(crate) subresource: &'a str,
    pub(crate) api_version: &'a str,
    /// RFC 3339; `None`: the time of the manager's last write stays (the API server's `scale` keeps no times).
    pub(crate) time: Option<&'a str>,
    /// Fields that this request cannot write.
    pub(crate) reset: &'a Set,
}

/// What an apply makes.
#[derive(Debug, PartialEq)]
pub(crate) struct Applied {
    /// `None`: the object is as it is to be.
    pub(crate) object: Option<Value>,
    pub(crate) managed: Managed,
}

/// Why an apply makes nothing.
#[derive(Debug, PartialEq)]
pub(crate) enum Failed {
    /// What is applied does not fit the schema.
    Untyped(String),
    /// It cannot be merged.
    Unmerged(String),
    /// Others own what would change.
    Conflicts(Vec<Conflict>),
}

/// What every object has and nobody owns.
static NOBODYS: LazyLock<Set> = LazyLock::new(|| {
    Set::of(&[
        &["apiVersion"],
        &["kind"],
        &["metadata"],
        &["metadata", "name"],
        &["metadata", "namespace"],
        &["metadata", "creationTimestamp"],
        &["metadata", "selfLink"],
        &["metadata", "uid"],
        &["metadata", "clusterName"],
        &["metadata", "generation"],
        &["metadata", "managedFields"],
        &["metadata", "resourceVersion"],
    ])
});

/// Who owns the fields of an object that was there before owners were kept.
const BEFORE: &str = "before-first-apply";

impl Request<'_> {
    fn as_manager(&self, operation: Operation) -> Manager {
        Manager {
            name: match self.manager {
                "" => "unknown".into(),
                name => name.into(),
            },
            operation,
            api_version: match operation {
                Operation::Apply => String::new(),
                Operation::Update => self.api_version.to_owned(),
            },
            subresource: self.subresource.to_owned(),
        }
    }
}

/// What a write changes; `None`: nothing that anybody owns, or nothing that can be told.
pub(crate) fn changes(
    request: &Request<'_>,
    (before, after): (&Value, &Value),
) -> Option<Comparison> {
    let comparison = Comparison::of(request.site, before, after).ok()?;
    let comparison = comparison.without(request.reset);
    let removed = comparison.removed.clone().difference(&NOBODYS);
    let is_nothing =
        [&comparison.modified, &comparison.added, &removed].map(Set::is_empty) == [true; 3];
    (!is_nothing).then_some(comparison)
}

/// The owners after a write that changed this.
pub(crate) fn updated(request: &Request<'_>, mut managed: Managed, changes: Comparison) -> Managed {
    let taken = changes.modified.union(changes.added);
    for owned in managed.0.values_mut() {
        let left = std::mem::take(&mut owned.set).difference(&taken);
        owned.set = left.difference(&changes.removed);
    }
    managed.0.retain(|_, owned| !owned.set.is_empty());
    let taken = taken.difference(&NOBODYS);
    if !taken.is_empty() {
        let manager = request.as_manager(Operation::Update);
        let (set, time) = match managed.0.remove(&manager) {
            Some(owned) => (taken.union(owned.set), owned.time),
            None => (taken, None),
        };
        let owned = Owned {
            set,
            api_version: request.api_version.to_owned(),
            time: request.time.map(str::to_owned).or(time),
        };
        managed.0.insert(manager, owned);
    }
    managed.cap();
    managed
}

/// Takes from everyone but `writer` what has changed or gone. Gives what was taken.
fn lose(managed: &mut Managed, changes: Comparison, writer: &Manager) -> Vec<(Manager, Set)> {
    let taken = changes.modified.union(changes.added);
    let mut lost = Vec::new();
    for (manager, owned) in managed
        .0
        .iter_mut()
        .filter(|(manager, _)| *manager != writer)
    {
        let conflict = owned.set.intersection(&taken);
        let left = std::mem::take(&mut owned.set).difference(&conflict);
        owned.set = left.difference(&changes.removed);
        if !conflict.is_empty() {
            lost.push((manager.clone(), conflict));
        }
    }
    managed.0.retain(|_, owned| !owned.set.is_empty());
    lost
}

/// Applies `config` to `live`, of which `managed` tells the owners.
///
/// # Errors
/// What is applied is none of its kind's objects, or others own what would change and it is not forced.
pub(crate) fn applied(
    request: &Request<'_>,
    (live, managed): (&Value, Managed),
    config: &Value,
    force: bool,
) -> Result<Applied, Failed> {
    check::check(request.site, config).map_err(Failed::Untyped)?;
    let managed = if managed.0.is_empty() && live["metadata"]["uid"].is_string() {
        let before = Request {
            manager: BEFORE,
            ..*request
        };
        match changes(&before, (&request.site.empty(), live)) {
            Some(changes) => updated(&before, managed, changes),
            None => managed,
        }
    } else {
        managed
    };
    let again = (request.manager == KUBECTL).then(|| managed.clone());
    match (apply(request, (live, managed), config, force), again) {
        (Err(Failed::Conflicts(conflicts)), Some(managed)) => {
            let left = kubectls(request.site, live, conflicts);
            if left.is_empty() {
                apply(request, (live, managed), config, true)
            } else {
                Err(Failed::Conflicts(left))
            }
        }
        (outcome, _) => outcome,
    }
}

fn apply(
    request: &Request<'_>,
    (live, mut managed): (&Value, Managed),
    config: &Value,
    force: bool,
) -> Result<Applied, Failed> {
    let site = request.site;
    let unmerged = |problem: String| Failed::Unmerged(problem);
    let merged = merge::merged(site, Some(live), Some(config)).map_err(unmerged)?;
    let merged = merged.unwrap_or_default();
    let set = Set::of_object(site, config).map_err(unmerged)?;
    let set = set.without(request.reset);
    let manager = request.as_manager(Operation::Apply);
    let last = managed.0.remove(&manager);
    let owned = Owned {
        set,
        api_version: request.api_version.to_owned(),
        time: last.as_ref().and_then(|last| last.time.clone()),
    };
    managed.0.insert(manager.clone(), owned);
    let object = match last {
        Some(last) => pruned(site, merged, &managed, &last.set).map_err(unmerged)?,
        None => merged,
    };
    let comparison = Comparison::of(site, live, &object).map_err(unmerged)?;
    let comparison = comparison.without(request.reset);
    let lost = lose(&mut managed, comparison, &manager);
    if !force && !lost.is_empty() {
        return Err(Failed::Conflicts(conflict::all(&lost)));
    }
    let same = *live == object;
    if let Some(owned) = managed.0.get_mut(&manager) {
        owned.set = std::mem::take(&mut owned.set).difference(&NOBODYS);
        if !same {
            owned.time = request.time.map(str::to_owned);
        }
    }
    managed.0.retain(|_, owned| !owned.set.is_empty());
    Ok(Applied {
        object: (!same).then_some(object),
        managed,
    })
}

/// Without what the manager applied last, applies no more, and nobody else owns.
fn pruned(site: Site<'_>, merged: Value, managed: &Managed, last: &Set) -> Result<Value, String> {
    if last.is_empty() {
        return Ok(merged);
    }
    let of = |object: &Value| {
        let set = Set::of_object(site, object)?;
        Ok::<_, String>(set.with_named_fields(site))
    };
    let last = last.with_named_fields(site);
    let mut left = prune::without(site, &merged, &last);
    let all = of(&merged)?;
    // What somebody owns comes back,
    let owned = managed.0.values();
    let owned = owned.fold(Set::default(), |all, one| all.union(one.set.clone()));
    let kept = of(&left)?.union(owned.with_named_fields(site));
    left = prune::without(site, &merged, &all.clone().difference(&kept));
    // and so does what went with it and was not applied.
    let gone = all.difference(&of(&left)?);
    Ok(prune::without(site, &merged, &gone.intersection(&last)))
}

/// The field manager whose client-side applies `kubectl apply --server-side` takes over.
pub(crate) const KUBECTL: &str = "kubectl";

/// Where kubectl keeps what it applied last.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The conflicts over fields that kubectl did not apply itself, on its own side, and that have not changed since.
fn kubectls(site: Site<'_>, live: &Value, conflicts: Vec<Conflict>) -> Vec<Conflict> {
    let allowed = last_applied(site, live).unwrap_or_default();
    let conflicts = conflicts.into_iter();
    conflicts
        .filter(|conflict| !allowed.has(&conflict.way))
        .collect()
}

fn last_applied(site: Site<'_>, live: &Value) -> Option<Set> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let config: Value = serde_json::from_str(text).ok()?;
    if config["apiVersion"] != live["apiVersion"] {
        return None;
    }
    check::check(site, &config).ok()?;
    let comparison = Comparison::of(site, &config, live).ok()?;
    let set = Set::of_object(site, &config).ok()?;
    let set = set.difference(&comparison.modified);
    Some(
        set.difference(&comparison.added)
            .difference(&comparison.removed),
    )
}

/// Keeps what kubectl applies where it kept what it applied on its own side, so that both ways go on.
pub(crate) fn keep_last_applied(object: &mut Value, config: &Value) {
    let pointer = "/metadata/annotations";
    let kept = object
        .pointer_mut(pointer)
        .and_then(|all| all.get_mut(LAST_APPLIED));
    let Some(kept) = kept.filter(|kept| **kept != "") else {
        return;
    };
    let mut config = config.clone();
    let annotations = config.pointer_mut(pointer).and_then(Value::as_object_mut);
    annotations.and_then(|all| all.shift_remove(LAST_APPLIED));
    config.sort_all_objects();
    *kept = format!("{config}\n").into();
}
