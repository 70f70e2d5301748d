//! A question's name against the forms that cluster names have (Kubernetes DNS specification 1.1.0). Labels are told by
//! their place in the name.

use std::net::IpAddr;

use super::view::View;
use crate::name::{Origin, Qname};

/// What a name stands for, if it exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    /// A node of the zone's own tree: the apex, `svc`, `pod`.
    Node { apex: bool },
    /// `dns-version.<zone>`.
    DnsVersion,
    /// `ns.dns.<zone>`.
    NameServer,
    /// `<ns>.svc.<zone>`.
    Namespace { ns: usize },
    /// `<ns>.pod.<zone>`.
    PodNamespace { ns: usize },
    /// `<below>.<svc>.<ns>.svc.<zone>`.
    Service { svc: usize, below: Below },
    /// `<label>.<ns>.pod.<zone>`.
    Pod { label: usize },
    /// A name of a reverse zone that spells an address.
    Address(IpAddr),
    /// No form that a name of the cluster can have.
    Nothing,
}

/// What stands left of a Service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Below {
    /// Nothing.
    Itself,
    /// An endpoint's name.
    Endpoint,
    /// An endpoint's name, with or without an underscore: in external zones.
    BareEndpoint,
    /// A port's name and its protocol.
    Port,
    /// In a clusterset: an endpoint's name and its cluster.
    InCluster,
    /// `<topology>.pin|prefer._zone`: endpoints of one failure domain, or where `prefer` finds none, all.
    Topology { prefer: bool },
}

/// Places a name of `origin`; `left`: how many of its labels are left of that.
pub(super) fn parse(view: &View, origin: &Origin, qname: &Qname, left: usize) -> Path {
    let is = |i: usize, word: &str| qname.is(i, word.as_bytes());
    match left {
        0 => return Path::Node { apex: true },
        1 if is(0, "svc") || is(0, "pod") => return Path::Node { apex: false },
        1 if is(0, "dns-version") => return Path::DnsVersion,
        2 if is(0, "ns") && is(1, "dns") => return Path::NameServer,
        _ => {}
    }
    if origin.reverse {
        return qname.reverse_address().map_or(Path::Nothing, Path::Address);
    }
    let tree = left - 1;
    match tree {
        0 => Path::Nothing,
        _ if is(tree, "svc") => service(view, origin, qname, tree - 1),
        1 if is(tree, "pod") => Path::PodNamespace { ns: 0 },
        // Up to two labels left of a Pod's address are ignored, as in CoreDNS.
        2..=4 if is(tree, "pod") => Path::Pod { label: tree - 2 },
        _ => Path::Nothing,
    }
}

/// A name below `<ns>.svc.<zone>`.
fn service(view: &View, origin: &Origin, qname: &Qname, ns: usize) -> Path {
    let Some(svc) = ns.checked_sub(1) else {
        return Path::Namespace { ns };
    };
    let multicluster = view.multicluster.contains(&origin.name);
    let plain = |i: usize| !qname.label(i).starts_with(b"_");
    let below = match svc {
        0 => Below::Itself,
        1 => Below::Endpoint,
        2 if multicluster && plain(0) && plain(1) => Below::InCluster,
        2 => Below::Port,
        _ if view.zonal && !multicluster && qname.is(svc - 1, b"_zone") => {
            let prefer = qname.is(svc - 2, b"prefer");
            if !prefer && !qname.is(svc - 2, b"pin") {
                return Path::Nothing;
            }
            Below::Topology { prefer }
        }
        _ => return Path::Nothing,
    };
    Path::Service { svc, below }
}

/// A port or protocol label without its underscore (RFC 2782).
pub(super) fn bare(label: &[u8]) -> &[u8] {
    label.strip_prefix(b"_").unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;

    fn parsed(qname: &str) -> Path {
        let zones =
            ["cluster.local.", "clusterset.local.", "in-addr.arpa."].map(|z| absolute(z).unwrap());
        let view = View {
            multicluster: vec![zones[1].clone()],
            origins: zones.to_vec().into(),
            zonal: true,
            ..View::default()
        };
        let qname = Qname::from(absolute(qname).unwrap());
        let (origin, left) = view.origins.of(&qname).unwrap();
        parse(&view, origin, &qname, left)
    }

    fn service(svc: usize, below: Below) -> Path {
        Path::Service { svc, below }
    }

    #[test]
    fn each_form_of_name_is_told_apart() {
        for (name, wanted) in [
            ("cluster.local.", Path::Node { apex: true }),
            ("SVC.cluster.local.", Path::Node { apex: false }),
            ("dns-version.cluster.local.", Path::DnsVersion),
            ("NS.dns.cluster.local.", Path::NameServer),
            ("ns.svc.cluster.local.", Path::Namespace { ns: 0 }),
            ("web.ns.svc.cluster.local.", service(0, Below::Itself)),
            (
                "web-0.web.ns.svc.cluster.local.",
                service(1, Below::Endpoint),
            ),
            (
                "_http.tcp.web.ns.svc.cluster.local.",
                service(2, Below::Port),
            ),
            ("a.b.c.web.ns.svc.cluster.local.", Path::Nothing),
            ("ns.pod.cluster.local.", Path::PodNamespace { ns: 0 }),
            ("10-0-0-1.ns.pod.cluster.local.", Path::Pod { label: 0 }),
            ("x.y.10-0-0-1.ns.pod.cluster.local.", Path::Pod { label: 2 }),
            ("x.y.z.10-0-0-1.ns.pod.cluster.local.", Path::Nothing),
            ("web.ns.example.cluster.local.", Path::Nothing),
            ("web.cluster.local.", Path::Nothing),
        ] {
            assert_eq!(parsed(name), wanted, "{name}");
        }
    }

    #[test]
    fn a_multicluster_zone_reads_two_plain_labels_as_endpoint_and_cluster() {
        let name = "web-0.c1.web.ns.svc.clusterset.local.";
        assert_eq!(parsed(name), service(2, Below::InCluster));
        let name = "_http.tcp.web.ns.svc.clusterset.local.";
        assert_eq!(parsed(name), service(2, Below::Port));
    }

    #[test]
    fn a_topology_may_have_dots() {
        let name = "A.b.pin._zone.web.ns.svc.cluster.local.";
        assert_eq!(parsed(name), service(4, Below::Topology { prefer: false }));
        let name = "a.prefer._ZONE.web.ns.svc.cluster.local.";
        assert_eq!(parsed(name), service(3, Below::Topology { prefer: true }));
        assert_eq!(
            parsed("a.near._zone.web.ns.svc.cluster.local."),
            Path::Nothing
        );
    }

    #[test]
    fn a_reverse_zone_has_addresses_and_its_own_nodes_only() {
        let address = Path::Address([10, 0, 0, 1].into());
        assert_eq!(parsed("1.0.0.10.in-addr.arpa."), address);
        assert_eq!(parsed("svc.in-addr.arpa."), Path::Node { apex: false });
        assert_eq!(parsed("web.ns.svc.in-addr.arpa."), Path::Nothing);
    }
}
