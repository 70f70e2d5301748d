//! The kinds this cluster has. What differs between them is here, in a table, not in handlers.

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, storage::v1 as storage,
};
use serde_json::Value;

use super::types::{self, Custom, Mistyped};
use super::{defaults, table, validate};

/// A kind of object.
pub struct Kind {
    /// API group; empty for the core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// The kind's name.
    pub kind: &'static str,
    /// The name in paths.
    pub plural: &'static str,
    /// Names that kubectl takes as well.
    pub short: &'static [&'static str],
    /// Whether objects are in a namespace.
    pub namespaced: bool,
    /// `status`, `scale` and the like.
    pub subresources: &'static [&'static str],
    /// Whether `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// How names may look.
    pub names: Names,
    /// What field selectors may name beside `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// Whether every field has its type.
    pub types: fn(&Value) -> Result<(), Mistyped>,
    /// Fills in what the API server fills in.
    pub defaults: fn(&mut Value),
    /// Checks an object; the old one is given on update.
    pub validate: fn(&Value, Option<&Value>, &mut validate::Errors),
    /// kubectl's columns behind NAME.
    pub columns: &'static [table::Column],
}

/// How names of a kind may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A DNS label (RFC 1123).
    Label,
    /// Labels joined with dots.
    Subdomain,
}

/// An index into [`KINDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId(pub(super) usize);

const fn none(_: &mut Value) {}
const fn anything(_: &Value, _: Option<&Value>, _: &mut validate::Errors) {}

const CORE: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    short: &[],
    namespaced: true,
    subresources: &[],
    generation: false,
    names: Names::Subdomain,
    fields: &[],
    types: types::of::<Custom>,
    defaults: none,
    validate: anything,
    columns: &[],
};

const CLUSTER: Kind = Kind {
    namespaced: false,
    ..CORE
};

/// Every kind.
pub const KINDS: &[Kind] = &[
    Kind {
        kind: "ConfigMap",
        plural: "configmaps",
        types: types::of::<core::ConfigMap>,
        short: &["cm"],
        columns: table::CONFIG_MAP,
        ..CORE
    },
    Kind {
        kind: "Event",
        plural: "events",
        types: types::of::<core::Event>,
        fields: &[
            "involvedObject.apiVersion",
            "involvedObject.fieldPath",
            "involvedObject.kind",
            "involvedObject.name",
            "involvedObject.namespace",
            "involvedObject.resourceVersion",
            "involvedObject.uid",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        short: &["ev"],
        columns: table::EVENT,
        ..CORE
    },
    Kind {
        kind: "Namespace",
        plural: "namespaces",
        types: types::of::<core::Namespace>,
        fields: &["status.phase"],
        short: &["ns"],
        subresources: &["status"],
        names: Names::Label,
        defaults: defaults::namespace,
        columns: table::NAMESPACE,
        ..CLUSTER
    },
    Kind {
        kind: "Node",
        plural: "nodes",
        types: types::of::<core::Node>,
        fields: &["spec.unschedulable"],
        short: &["no"],
        subresources: &["status"],
        columns: table::NODE,
        ..CLUSTER
    },
    Kind {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        types: types::of::<core::PersistentVolume>,
        short: &["pv"],
        subresources: &["status"],
        defaults: defaults::volume,
        columns: table::VOLUME,
        ..CLUSTER
    },
    Kind {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        types: types::of::<core::PersistentVolumeClaim>,
        short: &["pvc"],
        subresources: &["status"],
        defaults: defaults::claim,
        validate: validate::claim,
        columns: table::CLAIM,
        ..CORE
    },
    Kind {
        kind: "Pod",
        plural: "pods",
        types: types::of::<core::Pod>,
        fields: &[
            "spec.hostNetwork",
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "status.nominatedNodeName",
            "status.phase",
            "status.podIP",
        ],
        short: &["po"],
        subresources: &[
            "status",
            "binding",
            "log",
            "exec",
            "attach",
            "portforward",
            "eviction",
            "ephemeralcontainers",
        ],
        generation: true,
        defaults: defaults::pod,
        validate: validate::pod,
        columns: table::POD,
        ..CORE
    },
    Kind {
        kind: "Secret",
        plural: "secrets",
        types: types::of::<core::Secret>,
        fields: &["type"],
        defaults: defaults::secret,
        columns: table::SECRET,
        ..CORE
    },
    Kind {
        kind: "Service",
        plural: "services",
        types: types::of::<core::Service>,
        fields: &["spec.clusterIP", "spec.type"],
        short: &["svc"],
        subresources: &["status"],
        names: Names::Label,
        defaults: defaults::service,
        validate: validate::service,
        columns: table::SERVICE,
        ..CORE
    },
    Kind {
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        types: types::of::<core::ServiceAccount>,
        short: &["sa"],
        columns: table::AGE_ONLY,
        ..CORE
    },
    Kind {
        group: "apps",
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        types: types::of::<apps::ControllerRevision>,
        validate: validate::revision,
        columns: table::REVISION,
        ..CORE
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        plural: "statefulsets",
        types: types::of::<apps::StatefulSet>,
        short: &["sts"],
        subresources: &["status", "scale"],
        generation: true,
        names: Names::Label,
        defaults: defaults::stateful_set,
        validate: validate::stateful_set,
        columns: table::STATEFUL_SET,
        ..CORE
    },
    Kind {
        group: "coordination.k8s.io",
        kind: "Lease",
        plural: "leases",
        types: types::of::<coordination::Lease>,
        columns: table::LEASE,
        ..CORE
    },
    Kind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        types: types::of::<discovery::EndpointSlice>,
        generation: true,
        validate: validate::slice,
        columns: table::SLICE,
        ..CORE
    },
    Kind {
        group: "multicluster.x-k8s.io",
        version: "v1alpha1",
        kind: "ServiceImport",
        plural: "serviceimports",
        columns: table::AGE_ONLY,
        ..CORE
    },
    Kind {
        group: "storage.k8s.io",
        kind: "StorageClass",
        plural: "storageclasses",
        types: types::of::<storage::StorageClass>,
        short: &["sc"],
        defaults: defaults::storage_class,
        columns: table::STORAGE_CLASS,
        ..CLUSTER
    },
];

impl KindId {
    /// The kind of this plural in this group and version.
    #[must_use]
    pub fn of_plural(group: &str, version: &str, plural: &str) -> Option<Self> {
        let fits = |k: &Kind| k.group == group && k.version == version && k.plural == plural;
        KINDS.iter().position(fits).map(KindId)
    }

    /// The kind of an object, by its `apiVersion` and `kind`.
    #[must_use]
    pub fn of_object(object: &Value) -> Option<Self> {
        let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        KINDS
            .iter()
            .position(|k| k.kind == kind && k.api_version() == api_version)
            .map(KindId)
    }

    /// The kind of this name; for kinds that are known to be there.
    ///
    /// # Panics
    /// Where the table has none of this name.
    #[must_use]
    pub fn named(kind: &str) -> Self {
        Self(
            KINDS
                .iter()
                .position(|k| k.kind == kind)
                .expect("the table has every kind that code names"),
        )
    }

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..KINDS.len()).map(KindId)
    }

    /// The table's entry.
    #[must_use]
    pub fn info(self) -> &'static Kind {
        &KINDS[self.0]
    }
}

impl Kind {
    /// Whether a real cluster has it only by a CustomResourceDefinition.
    #[must_use]
    pub fn custom(&self) -> bool {
        self.group.ends_with(".x-k8s.io")
    }

    /// `v1`, or `group/version`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.into()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural`, or `plural.group`, as error messages have it.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.into()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}
