//! The kinds this cluster has. What differs between them is here, in a table, not in handlers.

use k8s_openapi::api::{
    apps::v1 as apps, coordination::v1 as coordination, core::v1 as core,
    discovery::v1 as discovery, storage::v1 as storage,
};
use serde_json::Value;

use super::field::Errors;
pub use super::kind::{Kind, KindId, Names};
use super::types::{self, Custom};
use super::{defaults, table, validate};

const fn none(_: &mut Value) {}
const fn anything(_: &Value, _: Option<&Value>, _: &mut Errors) {}

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
    types: types::check_as::<Custom>,
    defaults: none,
    validate: anything,
    name_is_last: false,
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
        types: types::check_as::<core::ConfigMap>,
        short: &["cm"],
        columns: table::CONFIG_MAP,
        ..CORE
    },
    Kind {
        kind: "Event",
        plural: "events",
        types: types::check_as::<core::Event>,
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
        name_is_last: true,
        columns: table::EVENT,
        ..CORE
    },
    Kind {
        kind: "Namespace",
        plural: "namespaces",
        types: types::check_as::<core::Namespace>,
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
        types: types::check_as::<core::Node>,
        fields: &["spec.unschedulable"],
        short: &["no"],
        subresources: &["status"],
        columns: table::NODE,
        ..CLUSTER
    },
    Kind {
        kind: "PersistentVolume",
        plural: "persistentvolumes",
        types: types::check_as::<core::PersistentVolume>,
        short: &["pv"],
        subresources: &["status"],
        defaults: defaults::volume,
        columns: table::VOLUME,
        ..CLUSTER
    },
    Kind {
        kind: "PersistentVolumeClaim",
        plural: "persistentvolumeclaims",
        types: types::check_as::<core::PersistentVolumeClaim>,
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
        types: types::check_as::<core::Pod>,
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
        types: types::check_as::<core::Secret>,
        fields: &["type"],
        defaults: defaults::secret,
        columns: table::SECRET,
        ..CORE
    },
    Kind {
        kind: "Service",
        plural: "services",
        types: types::check_as::<core::Service>,
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
        types: types::check_as::<core::ServiceAccount>,
        short: &["sa"],
        columns: table::AGE_ONLY,
        ..CORE
    },
    Kind {
        group: "apps",
        kind: "ControllerRevision",
        plural: "controllerrevisions",
        types: types::check_as::<apps::ControllerRevision>,
        validate: validate::revision,
        columns: table::REVISION,
        ..CORE
    },
    Kind {
        group: "apps",
        kind: "StatefulSet",
        plural: "statefulsets",
        types: types::check_as::<apps::StatefulSet>,
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
        types: types::check_as::<coordination::Lease>,
        columns: table::LEASE,
        ..CORE
    },
    Kind {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        plural: "endpointslices",
        types: types::check_as::<discovery::EndpointSlice>,
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
        types: types::check_as::<storage::StorageClass>,
        short: &["sc"],
        defaults: defaults::storage_class,
        columns: table::STORAGE_CLASS,
        ..CLUSTER
    },
];

/// Whether two texts are the same; in constants too.
const fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    let mut i = 0;
    while i < a.len() && i < b.len() && a[i] == b[i] {
        i += 1;
    }
    i == a.len() && i == b.len()
}

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
/// Secret.
pub const SECRET: KindId = KindId::named("Secret");
/// Service.
pub const SERVICE: KindId = KindId::named("Service");
/// ServiceAccount.
pub const SERVICE_ACCOUNT: KindId = KindId::named("ServiceAccount");
/// StorageClass.
pub const STORAGE_CLASS: KindId = KindId::named("StorageClass");

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

    /// The kind of this name. In a constant a name that the table does not have is an error of the compiler.
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
