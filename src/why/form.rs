//! What a name is by its labels alone.

use std::net::IpAddr;

use super::Cause;
use crate::name::{Name, Qname, is_reverse, text};

/// What a name stands for, if it exists; in lower case.
pub(super) enum Form {
    /// That of a zone.
    Apex,
    /// `dns-version`.
    Version,
    /// `ns.dns`, which is the server's own.
    Server,
    /// `svc`, `pod`.
    Node,
    Namespace {
        ns: String,
    },
    Service {
        ns: String,
        svc: String,
    },
    Endpoint {
        ns: String,
        svc: String,
        host: String,
    },
    /// Both without their underscores.
    Port {
        ns: String,
        svc: String,
        port: String,
        protocol: String,
    },
    Pod {
        ns: String,
        label: String,
    },
    Address(IpAddr),
}

/// Labels of `in-addr.arpa` and `ip6.arpa`.
const TREE: usize = 2;

pub(super) fn form(name: &Name, domain: &Name) -> Result<Form, Cause> {
    if is_reverse(name) {
        // The trees are zones of a server that has them whole, as CoreDNS by kubeadm's Corefile has.
        if name.iter().count() == TREE {
            return Ok(Form::Apex);
        }
        let address = Qname::from(name).reverse_address();
        return address.map(Form::Address).ok_or_else(|| {
            Cause::new(
                "no-whole-address",
                format!("{name} does not spell a whole address"),
                "write four numbers below in-addr.arpa, the last first, or 32 digits below ip6.arpa",
            )
        });
    }
    let labels: Vec<String> = name
        .iter()
        .map(|label| text(label).to_ascii_lowercase())
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    let domain_text = domain.to_string();
    let domain_text = domain_text.trim_end_matches('.');
    if !domain.zone_of(name) {
        return Err(elsewhere(name, &labels, domain_text).unasked());
    }
    let left = labels.len() - domain.iter().count();
    placed(&labels[..left], domain_text)
}

/// What the labels before the domain say.
fn placed(labels: &[&str], domain: &str) -> Result<Form, Cause> {
    let own = |label: &str| label.to_owned();
    let bare = |label: &str| own(label.strip_prefix('_').unwrap_or(label));
    Ok(match *labels {
        [] => Form::Apex,
        ["dns-version"] => Form::Version,
        ["ns", "dns"] => Form::Server,
        ["svc" | "pod"] => Form::Node,
        [ns, "svc" | "pod"] => Form::Namespace { ns: own(ns) },
        [svc, ns, "svc"] => Form::Service {
            ns: own(ns),
            svc: own(svc),
        },
        [host, svc, ns, "svc"] => Form::Endpoint {
            ns: own(ns),
            svc: own(svc),
            host: own(host),
        },
        [port, protocol, svc, ns, "svc"] => Form::Port {
            ns: own(ns),
            svc: own(svc),
            port: bare(port),
            protocol: bare(protocol),
        },
        // As in CoreDNS up to two labels before it are ignored.
        [.., label, ns, "pod"] if labels.len() <= 5 => Form::Pod {
            ns: own(ns),
            label: own(label),
        },
        [.., "svc" | "pod"] => {
            let left = labels.len();
            return Err(Cause::new(
                "too-many-labels",
                format!("no name of the cluster has {left} labels before {domain}"),
                format!("the longest is _port._protocol.<service>.<namespace>.svc.{domain}"),
            ));
        }
        _ => {
            let other = labels.join(".");
            return Err(Cause::new(
                "no-svc",
                format!("{other}.{domain} has no `svc` between the namespace and {domain}"),
                format!("ask for {other}.svc.{domain}"),
            ));
        }
    })
}

/// Why a name is not the cluster's.
fn elsewhere(name: &Name, labels: &[&str], domain: &str) -> Cause {
    let svc = labels.iter().rposition(|label| *label == "svc");
    match svc.filter(|at| (2..=4).contains(at)) {
        Some(at) if at + 1 == labels.len() => Cause::new(
            "no-domain",
            format!(
                "{name} ends in `svc`: the domain is missing, and the resolver's search list does not add it"
            ),
            format!("ask for {}.{domain}", labels.join(".")),
        ),
        Some(at) => Cause::new(
            "other-domain",
            format!(
                "the name ends in {}, and the cluster's domain is {domain}",
                labels[at + 1..].join(".")
            ),
            format!(
                "ask for {}.{domain}, or say --cluster-domain where it is another",
                labels[..=at].join(".")
            ),
        ),
        None => Cause::new(
            "outside",
            format!("{name} is not below {domain}: the cluster's DNS asks its upstreams for it"),
            format!(
                "look at `forward` of its Corefile; a name of the cluster ends in svc.{domain}"
            ),
        ),
    }
}
