//! What the resolver of a Pod makes of a name (Kubernetes' DNS policies), and whether it asks the cluster's DNS at all.

use std::net::IpAddr;

use jiff::Timestamp;
use serde_json::Value;

use super::Cause;
use super::objects::{Seen, Step, array, ns, text};
use crate::name::{Name, SearchList, absolute, is_reverse, join};

/// A Pod's resolver.
pub(super) struct Resolver {
    list: SearchList,
    policy: Policy,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Policy {
    /// The cluster's DNS, with the search list of the namespace.
    Cluster,
    /// The same is asked for, and a Pod of the node's network does not get it.
    HostNetwork,
    /// The node's `/etc/resolv.conf`.
    Node,
    /// What `dnsConfig` says, and nothing else.
    Own,
}

impl Resolver {
    pub(super) fn of(pod: Option<&Value>, domain: &Name) -> Self {
        let none = Value::Null;
        let spec = &pod.unwrap_or(&none)["spec"];
        let policy = match text(&spec["dnsPolicy"]) {
            "None" => Policy::Own,
            "Default" => Policy::Node,
            "" | "ClusterFirst" if spec["hostNetwork"] == true => Policy::HostNetwork,
            _ => Policy::Cluster,
        };
        let space = pod.map_or("default", ns);
        let mut search = match policy {
            Policy::Own => SearchList::default(),
            // What a node's file searches is not known; what is meant is told all the same.
            Policy::Cluster | Policy::HostNetwork | Policy::Node => {
                let domains = [&[space, "svc"][..], &["svc"], &[]];
                SearchList {
                    domains: domains
                        .iter()
                        .filter_map(|labels| join(labels, domain))
                        .collect(),
                    ndots: 5,
                }
            }
        };
        let config = &spec["dnsConfig"];
        let searches = array(&config["searches"]).map(text);
        search
            .domains
            .extend(searches.filter_map(|domain| absolute(domain).ok()));
        let option = array(&config["options"]).find(|option| option["name"] == "ndots");
        if let Some(ndots) = option.and_then(|option| text(&option["value"]).parse().ok()) {
            search.ndots = ndots;
        }
        Self {
            list: search,
            policy,
        }
    }

    /// The names that it asks for, in its order; one that says the cluster's domain is meant as it is, and so is
    /// that of an address.
    pub(super) fn names(&self, written: &str) -> Result<Vec<Name>, Cause> {
        let no_name = |error| {
            Cause::new(
                "no-name",
                format!("'{written}' is no name: {error}"),
                "a name is labels of 1 to 63 octets with dots between them, 253 in all; a StatefulSet whose Pods' names are longer needs a shorter one",
            )
            .unasked()
        };
        if let Ok(ip) = written.parse::<IpAddr>() {
            return Err(Cause::new(
                "is-an-address",
                format!("{ip} is an address: programs take it as it is, and ask nobody for it"),
                "ask for type PTR, or for no type, where its names are meant",
            )
            .unasked());
        }
        if written.is_empty() {
            return Err(Cause::new(
                "no-name",
                "no name was asked for",
                "write one, such as redis-0.redis",
            )
            .unasked());
        }
        let complete = absolute(written).map_err(no_name)?;
        if self.list.holds(&complete) || is_reverse(&complete) {
            return Ok(vec![complete]);
        }
        if self.policy == Policy::Own && self.list.domains.is_empty() && !written.ends_with('.') {
            return Err(Cause::new(
                "no-search-list",
                format!(
                    "'{written}' is not complete, and the Pod searches nowhere: its dnsPolicy is None, and its dnsConfig has no searches"
                ),
                "write the name whole, <service>.<namespace>.svc and the cluster's domain, or give dnsConfig.searches",
            )
            .unasked());
        }
        self.list.names(written).map_err(no_name)
    }

    /// Who asks, and how.
    pub(super) fn step(&self, pod: Option<&Value>, now: Timestamp) -> Option<Step> {
        let domains = self.list.domains.iter().map(ToString::to_string);
        let domains = domains.collect::<Vec<_>>().join(" ");
        let how = match self.policy {
            Policy::Cluster => "asks the cluster's DNS",
            Policy::HostNetwork => "is of the node's network, and asks as the node does",
            Policy::Node => "has dnsPolicy Default, and asks as the node does",
            Policy::Own => "has dnsPolicy None, and asks whom its dnsConfig names",
        };
        Some(Step {
            object: Some(Seen::new("Pod", pod?, now)),
            says: format!("{how}; search {domains}, ndots {}", self.list.ndots),
        })
    }

    /// Why it does not get what the cluster's DNS says of a name.
    pub(super) fn hindrance(&self) -> Option<Cause> {
        match self.policy {
            // Whom `dnsConfig` names is not known here.
            Policy::Cluster | Policy::Own => None,
            Policy::HostNetwork => Some(Cause::new(
                "host-network",
                "the name is there, and the Pod does not ask the cluster's DNS: it is of the node's network, where dnsPolicy ClusterFirst means the node's /etc/resolv.conf",
                "set dnsPolicy: ClusterFirstWithHostNet",
            )
            .unasked()),
            Policy::Node => Some(Cause::new(
                "dns-policy-default",
                "the name is there, and the Pod does not ask the cluster's DNS: its dnsPolicy is Default, which means the node's /etc/resolv.conf",
                "set dnsPolicy: ClusterFirst, or leave it out",
            )
            .unasked()),
        }
    }
}
