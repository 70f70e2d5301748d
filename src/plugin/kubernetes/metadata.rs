//! What `kubernetes` says of a query for other plugins: the parts of its name, and the Pod that asks.

use crate::message::metadata::Metadata;
use crate::message::question::Query;
use crate::name::Qname;
use crate::plugin::Cluster;
use crate::zone::View;

/// Sets the labels that CoreDNS's page names.
pub(in crate::plugin) fn publish(cluster: &Cluster, query: &Query, metadata: &Metadata) {
    let set = |label: &str, value: &str| metadata.set(format!("kubernetes/{label}"), value);
    let client = query.route.client.ip();
    // Known where Pods are watched: `pods verified`.
    if let Some(pod) = cluster.zone.pods_at(client).first() {
        set("client-namespace", &pod.ns);
        set("client-pod-name", &pod.name);
        for (key, value) in &pod.labels {
            set(&format!("client-label/{key}"), value);
        }
    }
    let qname = &query.question.qname;
    let Some((origin, left)) = cluster.view.origins.of(qname) else {
        return;
    };
    let multicluster = cluster.view.multicluster.contains(&origin.name);
    let Some(parts) = Parts::of(qname, left, (&cluster.view, multicluster)) else {
        return set("parse-error", "invalid query name");
    };
    set("port-name", &parts.port);
    set("protocol", &parts.protocol);
    set("endpoint", &parts.endpoint);
    if multicluster {
        set("cluster", &parts.cluster);
    }
    if cluster.view.zonal {
        set("zone", &parts.topology);
    }
    set("service", &parts.service);
    set("namespace", &parts.namespace);
    set("kind", &parts.kind);
}

/// The parts of a name, in lower case; empty where it has none.
#[derive(Debug, Default, PartialEq)]
struct Parts {
    kind: String,
    namespace: String,
    service: String,
    endpoint: String,
    protocol: String,
    port: String,
    cluster: String,
    topology: String,
}

impl Parts {
    /// Reads the `left` labels that stand left of a zone; `None`: no name of a cluster is so. Pods and Services are told
    /// apart by `kind` only, as in CoreDNS.
    fn of(qname: &Qname, left: usize, (view, multicluster): (&View, bool)) -> Option<Self> {
        let text = |i: usize| String::from_utf8_lossy(qname.lower(i)).into_owned();
        let bare = |i: usize| text(i).trim_start_matches('_').to_owned();
        let mut parts = Self::default();
        let mut labels = (0..left).rev();
        let Some(kind) = labels.next() else {
            return Some(parts);
        };
        if !qname.is(kind, b"svc") && !qname.is(kind, b"pod") {
            return None;
        }
        if left > 1 {
            parts.kind = text(kind);
        }
        parts.namespace = labels.next().map(text).unwrap_or_default();
        parts.service = labels.next().map(text).unwrap_or_default();
        match labels.len() {
            0 => {}
            1 => parts.endpoint = text(0),
            2 if multicluster && !text(0).starts_with('_') && !text(1).starts_with('_') => {
                (parts.endpoint, parts.cluster) = (text(0), text(1));
            }
            2 => (parts.port, parts.protocol) = (bare(0), bare(1)),
            more => {
                let directive = more - 2;
                let known = qname.is(directive, b"pin") || qname.is(directive, b"prefer");
                let anchored = known && qname.is(more - 1, b"_zone") && qname.is(kind, b"svc");
                if !view.zonal || multicluster || !anchored {
                    return None;
                }
                let topology: Vec<_> = (0..directive).map(text).collect();
                parts.topology = topology.join(".");
            }
        }
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Pod;
    use crate::message::question::{Question, RecordType};
    use crate::name::absolute;
    use crate::store::{Event, Fact, Object, ObjectKey, Resource, Store};
    use crate::zone::Zone;
    use std::sync::Arc;

    #[test]
    fn the_parts_of_each_form_of_name() {
        let view = View {
            zonal: true,
            ..View::default()
        };
        let parts = |text: &str, multicluster| {
            let qname = Qname::from(absolute(text).unwrap());
            let found = Parts::of(&qname, qname.len() - 1, (&view, multicluster))?;
            let all = [
                found.kind,
                found.namespace,
                found.service,
                found.endpoint,
                found.protocol,
                found.port,
                found.cluster,
                found.topology,
            ];
            Some(all.join("|"))
        };
        for (name, multicluster, wanted) in [
            ("x", false, Some("|||||||")),
            ("svc.x", false, Some("|||||||")),
            ("ns.SVC.x", false, Some("svc|ns||||||")),
            ("1-2-3-4.ns.pod.x", false, Some("pod|ns|1-2-3-4|||||")),
            ("Web-0.web.ns.svc.x", false, Some("svc|ns|web|web-0||||")),
            (
                "_http._tcp.web.ns.svc.x",
                true,
                Some("svc|ns|web||tcp|http||"),
            ),
            (
                "web-0.c1.web.ns.svc.x",
                true,
                Some("svc|ns|web|web-0|||c1|"),
            ),
            (
                "web-0.c1.web.ns.svc.x",
                false,
                Some("svc|ns|web||c1|web-0||"),
            ),
            (
                "a.b.pin._zone.web.ns.svc.x",
                false,
                Some("svc|ns|web|||||a.b"),
            ),
            ("a.b.pin._zone.web.ns.svc.x", true, None),
            ("a.near._zone.web.ns.svc.x", false, None),
            ("web.x", false, None),
        ] {
            assert_eq!(parts(name, multicluster).as_deref(), wanted, "{name}");
        }
    }

    #[test]
    fn the_pod_that_asks_is_named_with_its_labels() {
        let zone = Arc::new(Zone::default());
        let mut store = Store::new(Arc::clone(&zone), [Resource::Pods]);
        let key = ObjectKey {
            ns: "prod".into(),
            name: "client".into(),
        };
        let label = |value: &str| (Box::from("team"), Box::from(value));
        for team in ["red", "blue"] {
            let pod = Pod {
                ns: key.ns.clone(),
                name: key.name.clone(),
                addresses: Box::new([[10, 0, 0, 1].into()]),
                labels: Box::new([label(team)]),
            };
            let object = Object::from(key.clone());
            store.handle(0, Event::Apply(object, Fact::Pod(pod)));
        }
        let cluster = Cluster {
            zone,
            view: Arc::default(),
        };
        let question = Question::new(absolute("example").unwrap(), RecordType::A);
        let metadata = Metadata::default();
        let query = Query::plain(question, ([10, 0, 0, 1], 1).into());
        publish(&cluster, &query, &metadata);
        let wanted = [
            ("kubernetes/client-label/team", "blue"),
            ("kubernetes/client-namespace", "prod"),
            ("kubernetes/client-pod-name", "client"),
        ];
        let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(metadata.all(), wanted.into());
    }
}
