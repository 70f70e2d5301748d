//! The kinds this cluster has: those of the schema. What differs between them beside is here, in a table, not in handlers.

use std::sync::LazyLock;

use serde_json::Value;

pub use super::kind::{Behaviour, Kind, KindId, Names};
use super::schema::{KindRow, SCHEMA};
use super::{defaults, table, validate};

const fn none(_: &mut Value) {}

/// Of a kind that is kept, listed and watched, and that nothing happens with.
const KEPT: Behaviour = Behaviour {
    group: "",
    kind: "",
    generation: false,
    names: Names::Subdomain,
    fields: &[],
    defaults: none,
    validate: None,
    name_is_last: false,
    columns: table::AGE_ONLY,
};

/// The kinds that more is known of than discovery and OpenAPI say.
const KINDS: &[Behaviour] = &[
    Behaviour {
        kind: "ConfigMap",
        validate: Some(validate::config_map),
        columns: table::CONFIG_MAP,
        ..KEPT
    },
    Behaviour {
        kind: "Event",
        names: Names::Path,
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
        name_is_last: true,
        columns: table::EVENT,
        ..KEPT
    },
    Behaviour {
        kind: "Namespace",
        fields: &["status.phase"],
        names: Names::Label,
        defaults: defaults::namespace,
        columns: table::NAMESPACE,
        ..KEPT
    },
    Behaviour {
        kind: "Node",
        fields: &["spec.unschedulable"],
        columns: table::NODE,
        ..KEPT
    },
    Behaviour {
        kind: "PersistentVolume",
        defaults: defaults::volume,
        columns: table::VOLUME,
        ..KEPT
    },
    Behaviour {
        kind: "PersistentVolumeClaim",
        defaults: defaults::claim,
        validate: Some(validate::claim),
        columns: table::CLAIM,
        ..KEPT
    },
    Behaviour {
        kind: "Pod",
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
        generation: true,
        defaults: defaults::pod,
        validate: Some(validate::pod),
        columns: table::POD,
        ..KEPT
    },
    Behaviour {
        kind: "Secret",
        fields: &["type"],
        defaults: defaults::secret,
        validate: Some(validate::secret),
        columns: table::SECRET,
        ..KEPT
    },
    Behaviour {
        kind: "Service",
        fields: &["spec.clusterIP", "spec.type"],
        names: Names::Label,
        defaults: defaults::service,
        validate: Some(validate::service),
        columns: table::SERVICE,
        ..KEPT
    },
    Behaviour {
        kind: "ServiceAccount",
        columns: table::AGE_ONLY,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "ControllerRevision",
        validate: Some(validate::revision),
        columns: table::REVISION,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "StatefulSet",
        generation: true,
        names: Names::Label,
        defaults: defaults::stateful_set,
        validate: Some(validate::stateful_set),
        columns: table::STATEFUL_SET,
        ..KEPT
    },
    Behaviour {
        group: "coordination.k8s.io",
        kind: "Lease",
        columns: table::LEASE,
        ..KEPT
    },
    Behaviour {
        group: "discovery.k8s.io",
        kind: "EndpointSlice",
        generation: true,
        defaults: defaults::slice,
        validate: Some(validate::slice),
        columns: table::SLICE,
        ..KEPT
    },
    Behaviour {
        group: "events.k8s.io",
        kind: "Event",
        names: Names::Path,
        name_is_last: true,
        columns: table::EVENT_OF_GROUP,
        ..KEPT
    },
    Behaviour {
        group: "multicluster.x-k8s.io",
        kind: "ServiceImport",
        columns: table::AGE_ONLY,
        ..KEPT
    },
    Behaviour {
        group: "scheduling.k8s.io",
        kind: "PriorityClass",
        generation: true,
        defaults: defaults::priority_class,
        columns: table::PRIORITY_CLASS,
        ..KEPT
    },
    Behaviour {
        kind: "Endpoints",
        defaults: defaults::endpoints,
        columns: table::ENDPOINTS,
        ..KEPT
    },
    Behaviour {
        kind: "LimitRange",
        defaults: defaults::limit_range,
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        kind: "PodTemplate",
        generation: true,
        defaults: defaults::pod_template,
        columns: table::POD_TEMPLATE,
        ..KEPT
    },
    Behaviour {
        kind: "ResourceQuota",
        columns: table::AGE_ONLY,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "DaemonSet",
        generation: true,
        validate: Some(validate::workload),
        defaults: defaults::daemon_set,
        columns: table::DAEMON_SET,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "Deployment",
        generation: true,
        validate: Some(validate::workload),
        defaults: defaults::deployment,
        columns: table::DEPLOYMENT,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "ReplicaSet",
        generation: true,
        validate: Some(validate::workload),
        defaults: defaults::replica_set,
        columns: table::REPLICA_SET,
        ..KEPT
    },
    Behaviour {
        group: "autoscaling",
        kind: "HorizontalPodAutoscaler",
        generation: true,
        defaults: defaults::autoscaler,
        ..KEPT
    },
    Behaviour {
        group: "batch",
        kind: "CronJob",
        generation: true,
        defaults: defaults::cron_job,
        columns: table::CRON_JOB,
        ..KEPT
    },
    Behaviour {
        group: "batch",
        kind: "Job",
        generation: true,
        validate: Some(validate::job),
        fields: &["status.successful"],
        defaults: defaults::job,
        columns: table::JOB,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "Ingress",
        generation: true,
        columns: table::INGRESS,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        generation: true,
        defaults: defaults::network_policy,
        columns: table::NETWORK_POLICY,
        ..KEPT
    },
    Behaviour {
        group: "policy",
        kind: "PodDisruptionBudget",
        generation: true,
        names: Names::Path,
        columns: table::BUDGET,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSIStorageCapacity",
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        kind: "ReplicationController",
        generation: true,
        fields: &["status.replicas"],
        defaults: defaults::replication_controller,
        columns: table::REPLICA_SET,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "MutatingWebhookConfiguration",
        generation: true,
        defaults: defaults::webhooks,
        columns: table::WEBHOOKS,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingWebhookConfiguration",
        generation: true,
        defaults: defaults::webhooks,
        columns: table::WEBHOOKS,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingAdmissionPolicy",
        generation: true,
        defaults: defaults::policy,
        columns: table::POLICY,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingAdmissionPolicyBinding",
        generation: true,
        columns: table::POLICY_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "IngressClass",
        generation: true,
        columns: table::INGRESS_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "node.k8s.io",
        kind: "RuntimeClass",
        columns: table::RUNTIME_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "ClusterRole",
        names: Names::Path,
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "Role",
        names: Names::Path,
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "ClusterRoleBinding",
        names: Names::Path,
        defaults: defaults::roles,
        columns: table::ROLE_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "RoleBinding",
        names: Names::Path,
        defaults: defaults::roles,
        columns: table::ROLE_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSIDriver",
        defaults: defaults::csi_driver,
        columns: table::CSI_DRIVER,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSINode",
        validate: Some(validate::anything),
        columns: table::CSI_NODE,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "VolumeAttributesClass",
        columns: table::VOLUME_ATTRIBUTES_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "StorageClass",
        defaults: defaults::storage_class,
        columns: table::STORAGE_CLASS,
        ..KEPT
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
/// PriorityClass.
pub const PRIORITY_CLASS: KindId = KindId::named("PriorityClass");
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
    let is_known = |row: &&KindRow| {
        let mut rows = KINDS.iter().filter_map(self::row);
        rows.any(|known| std::ptr::eq(known, *row))
    };
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
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
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

impl KindId {
    /// The kind of this plural in this group and version.
    #[must_use]
    pub fn of_plural(group: &str, version: &str, plural: &str) -> Option<Self> {
        let fits = |k: &Kind| k.group == group && k.version == version && k.plural == plural;
        ALL.iter().position(fits).map(KindId)
    }

    /// The kind of an object, by its `apiVersion` and `kind`.
    #[must_use]
    pub fn of_object(object: &Value) -> Option<Self> {
        let (api_version, kind) = (object["apiVersion"].as_str()?, object["kind"].as_str()?);
        ALL.iter()
            .position(|k| k.kind == kind && k.api_version() == api_version)
            .map(KindId)
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

    /// All kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..ALL.len()).map(KindId)
    }

    /// What is known of it.
    #[must_use]
    pub fn info(self) -> &'static Kind {
        &ALL[self.0]
    }
}
