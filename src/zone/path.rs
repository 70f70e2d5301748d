//! A question's name against the forms that cluster names have (Kubernetes DNS specification 1.1.0).

use std::net::IpAddr;

use super::view::View;
use crate::name::{Name, is_reverse, reverse_address};

/// What a name in one of our zones means. Labels are as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Path<'q> {
    /// The apex, `svc.<zone>` or `pod.<zone>`: exists, without data.
    Node { apex: bool },
    /// `dns-version.<zone>`.
    DnsVersion,
    /// `ns.dns.<zone>`.
    NameServer,
    /// `<ns>.svc.<zone>`.
    Namespace { ns: &'q [u8] },
    /// `<ns>.pod.<zone>`.
    PodNamespace { ns: &'q [u8] },
    /// `<svc>.<ns>.svc.<zone>` and what stands below.
    Service {
        ns: &'q [u8],
        svc: &'q [u8],
        below: Below<'q>,
    },
    /// `<dashed address>.<ns>.pod.<zone>`.
    Pod { ns: &'q [u8], label: &'q [u8] },
    /// A whole address in a reverse zone.
    Address(IpAddr),
    /// None of these.
    Nothing,
}

/// What stands left of a Service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Below<'q> {
    /// Nothing: the Service itself.
    Itself,
    /// `<endpoint>`.
    Endpoint(&'q [u8]),
    /// `<endpoint>.<cluster>`, in a multicluster zone.
    InCluster {
        endpoint: &'q [u8],
        cluster: &'q [u8],
    },
    /// `_<port>._<protocol>`; underscores are optional, an empty label matches all.
    Port { name: &'q [u8], protocol: &'q [u8] },
    /// `<topology zone>.pin._zone` or `.prefer._zone`.
    Zonal { zone: String, prefer: bool },
}

/// Reads `qname`, which is in `zone`.
pub(super) fn parse<'q>(view: &View, zone: &Name, qname: &'q Name) -> Path<'q> {
    let base = usize::from(qname.num_labels().saturating_sub(zone.num_labels()));
    let labels: Vec<&[u8]> = qname.iter().take(base).collect();
    let is = |i: usize, word: &str| labels[i].eq_ignore_ascii_case(word.as_bytes());
    match base {
        0 => return Path::Node { apex: true },
        1 if is(0, "svc") || is(0, "pod") => return Path::Node { apex: false },
        1 if is(0, "dns-version") => return Path::DnsVersion,
        2 if is(0, "ns") && is(1, "dns") => return Path::NameServer,
        _ => {}
    }
    if is_reverse(zone) {
        return reverse_address(qname).map_or(Path::Nothing, Path::Address);
    }
    let (tree, rest) = (base - 1, &labels[..base - 1]);
    match rest {
        [.., ns] if is(tree, "svc") => service(view, zone, ns, &rest[..rest.len() - 1]),
        [ns] if is(tree, "pod") => Path::PodNamespace { ns },
        // Up to two labels left of a Pod's address are ignored, as in CoreDNS.
        [label, ns] | [_, label, ns] | [_, _, label, ns] if is(tree, "pod") => {
            Path::Pod { ns, label }
        }
        _ => Path::Nothing,
    }
}

fn service<'q>(view: &View, zone: &Name, ns: &'q [u8], left: &[&'q [u8]]) -> Path<'q> {
    let Some((svc, left)) = left.split_last() else {
        return Path::Namespace { ns };
    };
    let multicluster = view.multicluster.contains(zone);
    let below = match left {
        [] => Below::Itself,
        [endpoint] => Below::Endpoint(endpoint),
        [endpoint, cluster]
            if multicluster && !endpoint.starts_with(b"_") && !cluster.starts_with(b"_") =>
        {
            Below::InCluster { endpoint, cluster }
        }
        [name, protocol] => Below::Port {
            name: bare(name),
            protocol: bare(protocol),
        },
        [zone @ .., directive, marker]
            if view.zonal && !multicluster && marker.eq_ignore_ascii_case(b"_zone") =>
        {
            let prefer = directive.eq_ignore_ascii_case(b"prefer");
            if !prefer && !directive.eq_ignore_ascii_case(b"pin") {
                return Path::Nothing;
            }
            let labels: Vec<_> = zone
                .iter()
                .map(|l| String::from_utf8_lossy(l).to_ascii_lowercase())
                .collect();
            Below::Zonal {
                zone: labels.join("."),
                prefer,
            }
        }
        _ => return Path::Nothing,
    };
    Path::Service { ns, svc, below }
}

/// A port or protocol label without its underscore (RFC 2782).
pub(super) fn bare(label: &[u8]) -> &[u8] {
    label.strip_prefix(b"_").unwrap_or(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;

    fn parsed(qname: &str, check: impl FnOnce(Path<'_>)) {
        let zones =
            ["cluster.local.", "clusterset.local.", "in-addr.arpa."].map(|z| absolute(z).unwrap());
        let view = View {
            multicluster: vec![zones[1].clone()],
            zones: zones.to_vec(),
            zonal: true,
            ..View::default()
        };
        let qname = absolute(qname).unwrap();
        check(parse(&view, view.zone_of(&qname).unwrap(), &qname));
    }

    fn service<'q>(below: Below<'q>) -> Path<'q> {
        Path::Service {
            ns: b"ns",
            svc: b"web",
            below,
        }
    }

    #[test]
    fn each_form_of_name_is_told_apart() {
        parsed("cluster.local.", |p| {
            assert_eq!(p, Path::Node { apex: true })
        });
        parsed("SVC.cluster.local.", |p| {
            assert_eq!(p, Path::Node { apex: false })
        });
        parsed("ns.svc.cluster.local.", |p| {
            assert_eq!(p, Path::Namespace { ns: b"ns" })
        });
        parsed("web.ns.svc.cluster.local.", |p| {
            assert_eq!(p, service(Below::Itself))
        });
        parsed("web-0.web.ns.svc.cluster.local.", |p| {
            assert_eq!(p, service(Below::Endpoint(b"web-0")))
        });
        parsed("_http.tcp.web.ns.svc.cluster.local.", |p| {
            assert_eq!(
                p,
                service(Below::Port {
                    name: b"http",
                    protocol: b"tcp"
                })
            );
        });
        parsed("a.b.c.web.ns.svc.cluster.local.", |p| {
            assert_eq!(p, Path::Nothing)
        });
        parsed("x.y.10-0-0-1.ns.pod.cluster.local.", |p| {
            assert_eq!(
                p,
                Path::Pod {
                    ns: b"ns",
                    label: b"10-0-0-1"
                }
            )
        });
        parsed("web.ns.example.cluster.local.", |p| {
            assert_eq!(p, Path::Nothing)
        });
    }

    #[test]
    fn a_multicluster_zone_reads_two_plain_labels_as_endpoint_and_cluster() {
        parsed("web-0.c1.web.ns.svc.clusterset.local.", |p| {
            assert_eq!(
                p,
                service(Below::InCluster {
                    endpoint: b"web-0",
                    cluster: b"c1"
                })
            );
        });
        parsed("_http.tcp.web.ns.svc.clusterset.local.", |p| {
            assert_eq!(
                p,
                service(Below::Port {
                    name: b"http",
                    protocol: b"tcp"
                })
            );
        });
    }

    #[test]
    fn a_topology_zone_may_have_dots() {
        parsed("A.b.pin._zone.web.ns.svc.cluster.local.", |p| {
            assert_eq!(
                p,
                service(Below::Zonal {
                    zone: "a.b".into(),
                    prefer: false
                })
            );
        });
    }

    #[test]
    fn a_reverse_zone_has_addresses_and_its_own_nodes_only() {
        parsed("1.0.0.10.in-addr.arpa.", |p| {
            assert_eq!(p, Path::Address([10, 0, 0, 1].into()))
        });
        parsed("svc.in-addr.arpa.", |p| {
            assert_eq!(p, Path::Node { apex: false })
        });
        parsed("web.ns.svc.in-addr.arpa.", |p| assert_eq!(p, Path::Nothing));
    }
}
