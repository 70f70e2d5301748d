//! The kinds this cluster has: those of the schema. What differs between them beside is in a table, not in handlers.

mod rows;

use std::sync::{LazyLock, PoisonError, RwLock, RwLockReadGuard};

use serde_json::Value;

pub use super::kind::{Behaviour, Kind, KindId, Names};
use super::schema::{KindRow, SCHEMA};
use rows::{KEPT, KINDS};

/// Whether two texts are the same; in constants too.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

/// ConfigMap.
pub const CONFIG_MAP: KindId = KindId::named("ConfigMap");
/// EndpointSlice.
pub const ENDPOINT_SLICE: KindId = KindId::named("EndpointSlice");
/// Event.
pub const EVENT: KindId = KindId::named("Event");
/// Namespace.
pub const NAMESPACE: KindId = KindId::named("Namespace");
/// Node.
pub const NODE: KindId = KindId::named("Node");
/// PersistentVolume.
pub const PERSISTENT_VOLUME: KindId = KindId::named("PersistentVolume");
/// PersistentVolumeClaim.
pub const PERSISTENT_VOLUME_CLAIM: KindId = KindId::named("PersistentVolumeClaim");
/// Pod.
pub const POD: KindId = KindId::named("Pod");
/// PodDisruptionBudget.
pub const POD_DISRUPTION_BUDGET: KindId = KindId::named("PodDisruptionBudget");
/// PriorityClass.
pub const PRIORITY_CLASS: KindId = KindId::named("PriorityClass");
/// RuntimeClass.
pub const RUNTIME_CLASS: KindId = KindId::named("RuntimeClass");
/// Secret.
pub const SECRET: KindId = KindId::named("Secret");
/// Service.
pub const SERVICE: KindId = KindId::named("Service");
/// ServiceAccount.
pub const SERVICE_ACCOUNT: KindId = KindId::named("ServiceAccount");
/// StatefulSet.
pub const STATEFUL_SET: KindId = KindId::named("StatefulSet");
/// StorageClass.
pub const STORAGE_CLASS: KindId = KindId::named("StorageClass");

/// Every kind: those of the table in its order, then the others of the schema.
static ALL: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let known = KINDS.iter().map(|does| match row(does) {
        Some(row) => of_row(row, *does),
        None => custom(does),
    });
    let rows: Vec<_> = KINDS.iter().filter_map(row).collect();
    let is_known = |row: &&KindRow| rows.iter().any(|known| std::ptr::eq(*known, *row));
    let others = SCHEMA.kinds.iter().filter(|row| !is_known(row));
    known.chain(others.map(kept)).collect()
});

/// The schema's row of a kind: of several versions the newest, which objects are kept in.
fn row(does: &Behaviour) -> Option<&'static KindRow> {
    let rows = SCHEMA.kinds.iter();
    rows.rev()
        .find(|row| row.group == does.group && row.kind == does.kind)
}

/// What may be done with objects of a kind that is none of Kubernetes' own.
const VERBS: &[&str] = &[
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "create",
    "update",
    "watch",
];

fn of_row(row: &'static KindRow, does: Behaviour) -> Kind {
    Kind {
        group: row.group,
        version: row.version,
        kind: row.kind,
        plural: row.plural,
        short: row.short.clone(),
        categories: row.categories.clone(),
        namespaced: row.namespaced,
        subresources: row.subresources.clone(),
        verbs: row.verbs.clone(),
        of: row.of,
        does,
    }
}

/// A kind of the schema that nothing more is known of.
fn kept(row: &'static KindRow) -> Kind {
    let does = Behaviour {
        group: row.group,
        kind: row.kind,
        generation: SCHEMA.fields(row.of).iter().any(|f| f.name == "spec"),
        ..KEPT
    };
    of_row(row, does)
}

/// A kind that a real cluster has by a CustomResourceDefinition of the Multicluster Services API.
fn custom(does: &Behaviour) -> Kind {
    Kind {
        group: does.group,
        version: "v1alpha1",
        kind: does.kind,
        plural: "serviceimports",
        short: Vec::new(),
        categories: Vec::new(),
        namespaced: true,
        subresources: Vec::new(),
        verbs: VERBS.to_vec(),
        of: "",
        does: *does,
    }
}

/// A kind that a CustomResourceDefinition makes.
pub(crate) struct Defined<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) kind: &'a str,
    pub(crate) plural: &'a str,
    pub(crate) namespaced: bool,
}

/// The kinds that definitions have made in any cluster of this process, each once: they stay, so that a kind is a number.
/// Which of them a cluster has, and with which schema, is part of its state.
static DEFINED: RwLock<Vec<&'static Kind>> = RwLock::new(Vec::new());

impl Defined<'_> {
    fn is(&self, kind: &Kind) -> bool {
        (kind.group, kind.version, kind.plural) == (self.group, self.version, self.plural)
            && (kind.kind, kind.namespaced) == (self.kind, self.namespaced)
    }

    fn keep(&self) -> &'static Kind {
        let text = |text: &str| -> &'static str { Box::leak(text.to_owned().into_boxed_str()) };
        let (group, kind) = (text(self.group), text(self.kind));
        let does = Behaviour {
            group,
            kind,
            generation: true,
            ..KEPT
        };
        Box::leak(Box::new(Kind {
            group,
            version: text(self.version),
            kind,
            plural: text(self.plural),
            short: Vec::new(),
            categories: Vec::new(),
            namespaced: self.namespaced,
            subresources: vec!["status"],
            verbs: VERBS.to_vec(),
            of: "",
            does,
        }))
    }
}

fn defined() -> RwLockReadGuard<'static, Vec<&'static Kind>> {
    DEFINED.read().unwrap_or_else(PoisonError::into_inner)
}

impl KindId {
    /// The kind that a definition makes.
    pub(crate) fn define(defined: &Defined<'_>) -> Self {
        let mut all = DEFINED.write().unwrap_or_else(PoisonError::into_inner);
        let at = all.iter().position(|kind| defined.is(kind));
        let at = at.unwrap_or_else(|| {
            all.push(defined.keep());
            all.len() - 1
        });
        Self(ALL.len() + at)
    }

    /// Whether a definition makes it.
    pub(crate) fn is_defined(self) -> bool {
        self.0 >= ALL.len()
    }

    /// The version of a defined kind that its objects are kept in, whatever version they come in: the first that was known.
    pub(super) fn first_version(self) -> Self {
        let info = self.info();
        let same = |kind: &&'static Kind| {
            (kind.group, kind.plural) == (info.group, info.plural)
                && (kind.kind, kind.namespaced) == (info.kind, info.namespaced)
        };
        let at = defined().iter().position(same);
        at.map_or(self, |at| Self(ALL.len() + at))
    }

    fn find(fits: impl Fn(&Kind) -> bool) -> Option<Self> {
        let own = ALL.iter().position(&fits);
        let at = own.or_else(|| {
            let at = defined().iter().position(|kind| fits(kind))?;
            Some(ALL.len() + at)
        });
        at.map(Self)
    }

    /// The kind of this plural in this group and version.
    #[must_use]
    pub fn of_plural(group: &str, version: &str, plural: &str) -> Option<Self> {
        Self::find(|k| k.group == group && k.version == version && k.plural == plural)
    }

    /// The kind of an object, by its `apiVersion` and `kind`.
    #[must_use]
    pub fn of_object(object: &Value) -> Option<Self> {
        let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        Self::find(|k| k.kind == kind && k.api_version() == api_version)
    }

    /// The kind of this name in the table. In a constant a name that the table does not have is an error of the compiler.
    ///
    /// # Panics
    /// Where the table has none of this name.
    #[must_use]
    pub const fn named(kind: &str) -> Self {
        let mut i = 0;
        while i < KINDS.len() {
            if same(KINDS[i].kind, kind) {
                return Self(i);
            }
            i += 1;
        }
        panic!("the table has no kind of this name")
    }

    /// All kinds: Kubernetes' own, then those that definitions have made.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ALL.len() + defined().len()).map(KindId)
    }

    /// What is known of it.
    #[must_use]
    pub fn info(self) -> &'static Kind {
        match ALL.get(self.0) {
            Some(kind) => kind,
            None => defined()[self.0 - ALL.len()],
        }
    }
}
