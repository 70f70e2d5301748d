//! What of a control plane a cluster has: controllers or none, which admission plugins, which addresses for Services.

use std::net::SocketAddr;

use super::addresses::Ranges;

/// The parts of a control plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    /// Whether controllers, a scheduler and a kubelet work beside the API server. Without them nothing is made but what is asked
    /// for: no node, no ServiceAccount of a namespace, and what waits for its dependents waits for ever.
    pub controllers: bool,
    /// Admission plugins that do nothing (`--disable-admission-plugins`).
    pub disabled: Vec<Plugin>,
    /// What a user may do (`--authorization-mode`).
    pub authorization: Authorization,
    /// The addresses of Services (`--service-cluster-ip-range`).
    pub services: Ranges,
    /// Where the API is said to be reached, in the endpoints of the Service `kubernetes` (`--advertise-address`).
    pub advertised: SocketAddr,
}

impl Default for Plane {
    fn default() -> Self {
        Self {
            controllers: true,
            disabled: Vec::new(),
            authorization: Authorization::Everybody,
            services: Ranges::default(),
            advertised: ([10, 244, 0, 1], 6443).into(),
        }
    }
}

impl Plane {
    /// Whether a plugin looks at objects.
    pub(super) fn admits(&self, plugin: Plugin) -> bool {
        !self.disabled.contains(&plugin)
    }
}

/// Who may do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody who has come in may do everything.
    Everybody,
    /// What roles say that are bound to a user or a group; members of `system:masters` may do everything.
    Roles,
}

/// An admission plugin that this cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plugin {
    /// Gives a claim the class of claims that name none.
    DefaultStorageClass,
    /// Has a Pod stay for a while on a node that is not ready or cannot be reached.
    DefaultTolerationSeconds,
    /// Asks the webhooks that may change objects.
    MutatingAdmissionWebhook,
    /// Nothing new comes into a namespace that ends.
    NamespaceLifecycle,
    /// Only some claims may grow.
    PersistentVolumeClaimResize,
    /// Gives a Pod the number of its PriorityClass.
    Priority,
    /// Gives a Pod what its RuntimeClass says.
    RuntimeClass,
    /// Gives a Pod its ServiceAccount and its token.
    ServiceAccount,
    /// Keeps a claim for as long as it is used.
    StorageObjectInUseProtection,
    /// Asks the webhooks that may refuse objects.
    ValidatingAdmissionWebhook,
}

impl Plugin {
    /// Those there are, by the names that kube-apiserver's flags have.
    const ALL: [(&'static str, Self); 10] = [
        ("DefaultStorageClass", Self::DefaultStorageClass),
        ("DefaultTolerationSeconds", Self::DefaultTolerationSeconds),
        ("MutatingAdmissionWebhook", Self::MutatingAdmissionWebhook),
        ("NamespaceLifecycle", Self::NamespaceLifecycle),
        (
            "PersistentVolumeClaimResize",
            Self::PersistentVolumeClaimResize,
        ),
        ("Priority", Self::Priority),
        ("RuntimeClass", Self::RuntimeClass),
        ("ServiceAccount", Self::ServiceAccount),
        (
            "StorageObjectInUseProtection",
            Self::StorageObjectInUseProtection,
        ),
        (
            "ValidatingAdmissionWebhook",
            Self::ValidatingAdmissionWebhook,
        ),
    ];

    /// Those that kube-apiserver 1.37 has and this cluster has not (`AllOrderedPlugins`).
    const ELSEWHERE: [&'static str; 29] = [
        "AlwaysAdmit",
        "AlwaysDeny",
        "AlwaysPullImages",
        "CertificateApproval",
        "CertificateSigning",
        "CertificateSubjectRestriction",
        "ClusterTrustBundleAttest",
        "DefaultIngressClass",
        "DenyServiceExternalIPs",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "ImagePolicyWebhook",
        "LimitPodHardAntiAffinityTopology",
        "LimitRanger",
        "MutatingAdmissionPolicy",
        "NamespaceAutoProvision",
        "NamespaceExists",
        "NodeDeclaredFeatureValidator",
        "NodeRestriction",
        "OwnerReferencesPermissionEnforcement",
        "PodGroupProtection",
        "PodNodeSelector",
        "PodResizeValidator",
        "PodSecurity",
        "PodTolerationRestriction",
        "PodTopologyLabels",
        "ResourceQuota",
        "TaintNodesByCondition",
        "ValidatingAdmissionPolicy",
    ];

    /// Whether kube-apiserver has a plugin of this name, whether this cluster has it or not.
    #[must_use]
    pub fn is_known(name: &str) -> bool {
        Self::named(name).is_some() || Self::ELSEWHERE.contains(&name)
    }

    /// By its name in kube-apiserver's flags; `None`: this cluster does not have it.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter();
        all.find(|(known, _)| *known == name)
            .map(|(_, plugin)| *plugin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_is_known_by_its_name_in_flags_and_others_are_not() {
        assert_eq!(
            Plugin::named("ServiceAccount"),
            Some(Plugin::ServiceAccount)
        );
        assert_eq!(Plugin::named("AlwaysPullImages"), None);
        assert!(Plugin::is_known("AlwaysPullImages") && Plugin::is_known("Priority"));
        assert!(!Plugin::is_known("AlwaysPullImage"));
        assert_eq!(Plugin::named("serviceaccount"), None);
    }
}
