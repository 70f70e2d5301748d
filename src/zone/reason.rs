//! Why a name has no answer, as values without words: [`crate::answer`] puts them into words.

use std::net::IpAddr;

/// Why there is no answer. What it is about stands in the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An alias that leads to a name which is about to be there.
    AliasPending,
    /// An ExternalName that leads nowhere: to itself, in a loop, too deep, or to a name of ours without data.
    AliasWithoutData,
    /// The name is in our zone's tree, but has no records of its own (apex, `svc`, a namespace, …).
    EmptyNonTerminal,
    /// The namespace is there, but this stanza does not show it, or it is not there.
    NoSuchNamespace,
    /// There is no such Service.
    NoSuchService,
    /// The Service has no endpoint of that name.
    NoSuchEndpoint,
    /// The Service has no port of that name and protocol.
    NoSuchPort,
    /// No Pod has this address in this namespace, or Pod names are off.
    NoSuchPod,
    /// Nothing here has this address.
    NoSuchAddress(IpAddr),
    /// The Service, or the endpoint asked for, has so many endpoints, but none that is ready.
    NotReady(usize),
    /// The Service has no endpoint, or none of that name, and a StatefulSet is to have a Pod that becomes one.
    Expected,
    /// The Service has no endpoints.
    NoEndpoints,
    /// The Service has no address outside the cluster.
    NoExternalAddress,
    /// The name has records, but none of this type.
    OtherType,
    /// The name has no form that a cluster name can have.
    NotAClusterName,
    /// The Service's object, or a slice of it, is there and cannot be read.
    Unreadable,
    /// The external name cannot be a DNS name.
    BadExternalName,
    /// Not all watches have delivered their first list, so the name cannot be decided.
    NotSynced,
}

impl Reason {
    /// Its name among metrics.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::AliasPending => "alias_pending",
            Self::AliasWithoutData => "alias_without_data",
            Self::EmptyNonTerminal => "empty_non_terminal",
            Self::NoSuchNamespace => "no_such_namespace",
            Self::NoSuchService => "no_such_service",
            Self::NoSuchEndpoint => "no_such_endpoint",
            Self::NoSuchPort => "no_such_port",
            Self::NoSuchPod => "no_such_pod",
            Self::NoSuchAddress(_) => "no_such_address",
            Self::NotReady(_) => "not_ready",
            Self::Expected => "expected",
            Self::NoEndpoints => "no_endpoints",
            Self::NoExternalAddress => "no_external_address",
            Self::OtherType => "other_type",
            Self::NotAClusterName => "not_a_cluster_name",
            Self::Unreadable => "unreadable",
            Self::BadExternalName => "bad_external_name",
            Self::NotSynced => "not_synced",
        }
    }

    /// Whether what is not there is about to be: nobody is to keep that it is not.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(
            self,
            Self::NotReady(_) | Self::Expected | Self::AliasPending
        )
    }
}
