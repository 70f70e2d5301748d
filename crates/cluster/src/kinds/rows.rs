//! What is known of kinds beside what discovery and OpenAPI say: a row for each.

use serde_json::Value;

use crate::field::Errors;
use crate::kind::{Behaviour, Names};
use crate::{defaults, definitions, table, validate};

const fn none(_: &mut Value) {}

const fn unchecked(_: &Value, _: &Value, _: &mut Errors) {}

/// Of a kind that is kept, listed and watched, and that nothing happens with.
pub(super) const KEPT: Behaviour = Behaviour {
    group: "",
    kind: "",
    generation: false,
    names: Names::Subdomain,
    fields: &[],
    defaults: none,
    validate: None,
    status: unchecked,
    returned: false,
    name_is_last: false,
    columns: table::AGE_ONLY,
};

/// The kinds that more is known of than discovery and OpenAPI say.
pub(super) const KINDS: &[Behaviour] = &[
    Behaviour {
        kind: "ConfigMap",
        validate: Some(validate::config_map),
        columns: table::CONFIG_MAP,
        ..KEPT
    },
    Behaviour {
        group: "apiextensions.k8s.io",
        kind: "CustomResourceDefinition",
        generation: true,
        defaults: definitions::complete,
        validate: Some(definitions::validate),
        columns: table::CREATED_AT,
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
        validate: Some(validate::event),
        columns: table::EVENT,
        ..KEPT
    },
    Behaviour {
        kind: "Namespace",
        fields: &["status.phase"],
        names: Names::Label,
        defaults: defaults::namespace,
        returned: true,
        validate: Some(validate::namespace),
        status: validate::namespace_status,
        columns: table::NAMESPACE,
        ..KEPT
    },
    Behaviour {
        kind: "Node",
        fields: &["spec.unschedulable"],
        defaults: defaults::node,
        validate: Some(validate::node),
        status: validate::node_status,
        columns: table::NODE,
        ..KEPT
    },
    Behaviour {
        kind: "PersistentVolume",
        defaults: defaults::volume,
        returned: true,
        validate: Some(validate::volume),
        columns: table::VOLUME,
        ..KEPT
    },
    Behaviour {
        kind: "PersistentVolumeClaim",
        defaults: defaults::claim,
        validate: Some(validate::claim),
        status: validate::claim_status,
        returned: true,
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
        status: validate::pod_status,
        returned: true,
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
        status: validate::service_status,
        returned: true,
        columns: table::SERVICE,
        ..KEPT
    },
    Behaviour {
        kind: "ServiceAccount",
        returned: true,
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
        status: validate::stateful_set_status,
        columns: table::STATEFUL_SET,
        ..KEPT
    },
    Behaviour {
        group: "coordination.k8s.io",
        kind: "Lease",
        validate: Some(validate::lease),
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
        name_is_last: true,
        validate: Some(validate::new_event),
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
        validate: Some(validate::priority_class),
        columns: table::PRIORITY_CLASS,
        ..KEPT
    },
    Behaviour {
        kind: "Endpoints",
        defaults: defaults::endpoints,
        validate: Some(validate::endpoints),
        columns: table::ENDPOINTS,
        ..KEPT
    },
    Behaviour {
        kind: "LimitRange",
        defaults: defaults::limit_range,
        validate: Some(validate::limit_range),
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        kind: "PodTemplate",
        generation: true,
        defaults: defaults::pod_template,
        returned: true,
        validate: Some(validate::pod_template),
        columns: table::POD_TEMPLATE,
        ..KEPT
    },
    Behaviour {
        kind: "ResourceQuota",
        returned: true,
        validate: Some(validate::quota),
        columns: table::QUOTA,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "DaemonSet",
        generation: true,
        validate: Some(validate::daemon_set),
        status: validate::daemon_set_status,
        defaults: defaults::daemon_set,
        columns: table::DAEMON_SET,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "Deployment",
        generation: true,
        validate: Some(validate::deployment),
        status: validate::deployment_status,
        defaults: defaults::deployment,
        columns: table::DEPLOYMENT,
        ..KEPT
    },
    Behaviour {
        group: "apps",
        kind: "ReplicaSet",
        generation: true,
        validate: Some(validate::replica_set),
        status: validate::replicas_status,
        defaults: defaults::replica_set,
        columns: table::REPLICA_SET,
        ..KEPT
    },
    Behaviour {
        group: "autoscaling",
        kind: "HorizontalPodAutoscaler",
        generation: true,
        defaults: defaults::autoscaler,
        validate: Some(validate::autoscaler),
        columns: table::AUTOSCALER,
        ..KEPT
    },
    Behaviour {
        group: "batch",
        kind: "CronJob",
        generation: true,
        defaults: defaults::cron_job,
        validate: Some(validate::cron_job),
        columns: table::CRON_JOB,
        ..KEPT
    },
    Behaviour {
        group: "batch",
        kind: "Job",
        generation: true,
        validate: Some(validate::job),
        status: validate::job_status,
        fields: &["status.successful"],
        defaults: defaults::job,
        columns: table::JOB,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "Ingress",
        generation: true,
        validate: Some(validate::ingress),
        columns: table::INGRESS,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "NetworkPolicy",
        generation: true,
        defaults: defaults::network_policy,
        validate: Some(validate::policy),
        columns: table::NETWORK_POLICY,
        ..KEPT
    },
    Behaviour {
        group: "policy",
        kind: "PodDisruptionBudget",
        generation: true,
        names: Names::Path,
        validate: Some(validate::budget),
        status: validate::budget_status,
        columns: table::BUDGET,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSIStorageCapacity",
        validate: Some(validate::capacity),
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        kind: "ReplicationController",
        generation: true,
        fields: &["status.replicas"],
        defaults: defaults::replication_controller,
        validate: Some(validate::replication_controller),
        status: validate::replicas_status,
        columns: table::REPLICA_SET,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "MutatingWebhookConfiguration",
        generation: true,
        defaults: defaults::webhooks,
        validate: Some(validate::webhooks),
        columns: table::WEBHOOKS,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingWebhookConfiguration",
        generation: true,
        defaults: defaults::webhooks,
        validate: Some(validate::webhooks),
        columns: table::WEBHOOKS,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingAdmissionPolicy",
        generation: true,
        defaults: defaults::policy,
        validate: Some(validate::validating_policy),
        columns: table::POLICY,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "ValidatingAdmissionPolicyBinding",
        generation: true,
        defaults: defaults::policy_binding,
        validate: Some(validate::validating_binding),
        columns: table::POLICY_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "MutatingAdmissionPolicy",
        generation: true,
        defaults: defaults::policy,
        validate: Some(validate::mutating_policy),
        ..KEPT
    },
    Behaviour {
        group: "admissionregistration.k8s.io",
        kind: "MutatingAdmissionPolicyBinding",
        generation: true,
        defaults: defaults::policy_binding,
        validate: Some(validate::mutating_binding),
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "IPAddress",
        names: Names::Path,
        validate: Some(validate::ip_address),
        columns: table::IP_ADDRESS,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "ServiceCIDR",
        generation: true,
        validate: Some(validate::service_cidr),
        columns: table::SERVICE_CIDR,
        ..KEPT
    },
    Behaviour {
        group: "networking.k8s.io",
        kind: "IngressClass",
        generation: true,
        validate: Some(validate::ingress_class),
        columns: table::INGRESS_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "node.k8s.io",
        kind: "RuntimeClass",
        validate: Some(validate::runtime_class),
        columns: table::RUNTIME_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "ClusterRole",
        names: Names::Path,
        validate: Some(validate::cluster_role),
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "Role",
        names: Names::Path,
        validate: Some(validate::role),
        columns: table::CREATED_AT,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "ClusterRoleBinding",
        names: Names::Path,
        defaults: defaults::roles,
        validate: Some(validate::cluster_role_binding),
        columns: table::ROLE_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "rbac.authorization.k8s.io",
        kind: "RoleBinding",
        names: Names::Path,
        defaults: defaults::roles,
        validate: Some(validate::role_binding),
        columns: table::ROLE_BINDING,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSIDriver",
        defaults: defaults::csi_driver,
        returned: true,
        validate: Some(validate::csi_driver),
        columns: table::CSI_DRIVER,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "CSINode",
        validate: Some(validate::csi_node),
        returned: true,
        columns: table::CSI_NODE,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "VolumeAttachment",
        generation: true,
        validate: Some(validate::attachment),
        returned: true,
        columns: table::ATTACHMENT,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "VolumeAttributesClass",
        validate: Some(validate::attributes_class),
        returned: true,
        columns: table::VOLUME_ATTRIBUTES_CLASS,
        ..KEPT
    },
    Behaviour {
        group: "storage.k8s.io",
        kind: "StorageClass",
        defaults: defaults::storage_class,
        returned: true,
        validate: Some(validate::storage_class),
        columns: table::STORAGE_CLASS,
        ..KEPT
    },
];
