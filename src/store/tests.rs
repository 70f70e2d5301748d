use std::net::Ipv4Addr;

use super::*;
use crate::answer::{compose, transfer};
use crate::endpoint::{Address, Conditions, Endpoint, Kind, Port};
use crate::message::question::{Question, RecordType};
use crate::message::rcode_name;
use crate::name::absolute;
use crate::zone::{Shown, View};

fn key(name: &str) -> ObjectKey {
    ObjectKey {
        ns: "default".into(),
        name: name.into(),
    }
}

fn service(name: &str) -> Fact {
    let port = Port {
        name: "redis".into(),
        protocol: "TCP".into(),
        number: Some(6379),
    };
    Fact::Service(Service {
        key: ServiceKey::new(b"default", name.as_bytes()),
        kind: Kind::Headless,
        external: Box::new([]),
        ports: Box::new([port]),
    })
}

fn slice(of: &str, endpoints: &[(&str, u8)]) -> Fact {
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|(label, last)| Endpoint {
            address: Address::Ip(Ipv4Addr::new(10, 0, 0, *last).into()),
            label: Some(label),
            zone: "",
            conditions: Conditions {
                ready: true,
                terminating: false,
            },
        })
        .collect();
    let ports = Box::new([Port {
        name: "redis".into(),
        protocol: "TCP".into(),
        number: Some(6379),
    }]);
    Fact::Slice(
        Some(ServiceKey::new(b"default", of.as_bytes())),
        Slice::new("", ports, &endpoints),
    )
}

struct Cluster {
    store: Store,
    zone: Arc<Zone>,
}

impl Cluster {
    fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let store = Store::new(
            Arc::clone(&zone),
            &[Watched::Namespaces, Watched::Services, Watched::Slices],
        );
        let mut cluster = Self { store, zone };
        cluster.handle(Event::Apply(
            Watched::Namespaces,
            ObjectKey {
                ns: "".into(),
                name: "default".into(),
            },
            Fact::Namespace,
        ));
        cluster
    }

    fn handle(&mut self, event: Event) {
        self.store.handle(100, event);
    }

    /// The addresses of a name in `default`, or the code and why.
    fn a(&self, name: &str) -> String {
        let qname = absolute(&format!("{name}.default.svc.cluster.local")).unwrap();
        let question = Question::new(qname, RecordType::A);
        let reply = compose(&self.zone, &shown(), &question).unwrap();
        let data: Vec<_> = reply.answer.iter().map(|r| r.data.to_string()).collect();
        reply.error.map_or_else(
            || data.join(" "),
            |said| format!("{} {}", rcode_name(reply.rcode), said.text),
        )
    }
}

fn shown() -> Shown {
    let view = View {
        origins: vec![absolute("cluster.local").unwrap()].into(),
        ..View::default()
    };
    view.into()
}

#[test]
fn a_slice_that_comes_before_its_service_is_shown_with_it() {
    let mut c = Cluster::new();
    c.handle(Event::Apply(
        Watched::Slices,
        key("redis-a"),
        slice("redis", &[("redis-0", 1)]),
    ));
    assert_eq!(c.a("redis"), "SERVFAIL not synced");
    c.handle(Event::Apply(
        Watched::Services,
        key("redis"),
        service("redis"),
    ));
    assert_eq!(c.a("redis-0.redis"), "10.0.0.1");
}

#[test]
fn a_slice_that_moves_to_another_service_leaves_the_first() {
    let mut c = Cluster::new();
    for name in ["a", "b"] {
        c.handle(Event::Apply(Watched::Services, key(name), service(name)));
    }
    c.handle(Event::Apply(
        Watched::Slices,
        key("s"),
        slice("a", &[("p", 1)]),
    ));
    c.handle(Event::Apply(
        Watched::Slices,
        key("s"),
        slice("b", &[("p", 1)]),
    ));
    assert_eq!(c.a("a"), "SERVFAIL not synced");
    assert_eq!(c.a("b"), "10.0.0.1");
    assert_eq!(
        c.zone.owners([10, 0, 0, 1].into()),
        [ServiceKey::new(b"default", b"b")].into()
    );
}

#[test]
fn a_relist_removes_what_it_does_not_list_and_only_at_its_end() {
    let mut c = Cluster::new();
    c.handle(Event::Apply(
        Watched::Services,
        key("redis"),
        service("redis"),
    ));
    c.handle(Event::Apply(
        Watched::Slices,
        key("x"),
        slice("redis", &[("redis-0", 1)]),
    ));
    c.handle(Event::Apply(
        Watched::Slices,
        key("y"),
        slice("redis", &[("redis-1", 2)]),
    ));
    c.handle(Event::Reset(Watched::Slices));
    c.handle(Event::Apply(
        Watched::Slices,
        key("y"),
        slice("redis", &[("redis-1", 3)]),
    ));
    assert_eq!(c.a("redis"), "10.0.0.1 10.0.0.3");
    c.handle(Event::Synced(Watched::Slices));
    assert_eq!(c.a("redis"), "10.0.0.3");
    assert!(c.zone.owners([10, 0, 0, 1].into()).is_empty());
}

#[test]
fn denials_wait_until_every_watch_has_delivered() {
    let mut c = Cluster::new();
    for watched in [Watched::Namespaces, Watched::Services] {
        c.handle(Event::Synced(watched));
        assert_eq!(c.a("redis"), "SERVFAIL not synced", "{watched:?}");
    }
    c.handle(Event::Reset(Watched::Slices));
    c.handle(Event::Synced(Watched::Slices));
    assert_eq!(c.a("redis"), "NXDOMAIN no service redis.default");
}

#[test]
fn the_serial_rises_with_each_change_and_only_then() {
    let mut c = Cluster::new();
    assert_eq!(c.zone.serial(), 0);
    c.handle(Event::Apply(
        Watched::Services,
        key("redis"),
        service("redis"),
    ));
    assert_eq!(c.zone.serial(), 100);
    c.handle(Event::Apply(
        Watched::Services,
        key("redis"),
        service("redis"),
    ));
    assert_eq!(c.zone.serial(), 100);
    c.handle(Event::Delete(Watched::Services, key("redis")));
    assert_eq!(c.zone.serial(), 101);
}

#[test]
fn a_change_of_the_cluster_address_raises_the_serial() {
    let mut c = Cluster::new();
    for (ip, serial) in [([10, 96, 0, 1], 100), ([10, 96, 0, 2], 101)] {
        let Fact::Service(mut service) = service("web") else {
            panic!("not a service");
        };
        service.kind = Kind::ClusterIp(Box::new([ip.into()]));
        let event = Event::Apply(Watched::Services, key("web"), Fact::Service(service));
        c.handle(event);
        assert_eq!(c.zone.serial(), serial);
    }
}

#[test]
fn a_name_that_cannot_be_sent_costs_its_own_record_and_not_the_transfer() {
    let mut c = Cluster::new();
    for (name, target) in [("bad", "a".repeat(64)), ("good", "example.com".into())] {
        let Fact::Service(mut service) = service(name) else {
            panic!("not a service");
        };
        service.kind = Kind::ExternalName(target.into());
        let event = Event::Apply(Watched::Services, key(name), Fact::Service(service));
        c.handle(event);
    }
    let (shown, apex) = (shown(), absolute("cluster.local").unwrap().into());
    let asked = shown.place(&apex, RecordType::AXFR).unwrap();
    let types: Vec<_> = transfer(&c.zone, &asked)
        .iter()
        .map(|r| r.record_type())
        .collect();
    assert_eq!(types, [RecordType::SOA, RecordType::CNAME, RecordType::SOA]);
}

#[test]
fn a_pod_on_its_way_out_keeps_its_address_through_a_relist() {
    let mut c = Cluster::new();
    let ip = [10, 0, 0, 1].into();
    let pod = Pod {
        ns: "default".into(),
        name: "a".into(),
        addresses: Box::new([ip]),
    };
    c.handle(Event::Apply(Watched::Pods, key("a"), Fact::Pod(pod)));
    c.handle(Event::Reset(Watched::Pods));
    c.handle(Event::Confirm(Watched::Pods, key("a")));
    c.handle(Event::Confirm(Watched::Pods, key("never-seen")));
    c.handle(Event::Synced(Watched::Pods));
    assert_eq!(c.zone.pods_at(ip).len(), 1);
    c.handle(Event::Reset(Watched::Pods));
    c.handle(Event::Synced(Watched::Pods));
    assert!(c.zone.pods_at(ip).is_empty());
}

#[test]
fn what_is_confirmed_outlives_a_list_and_what_is_not_goes() {
    let mut c = Cluster::new();
    let (service, slices) = (Watched::Services, Watched::Slices);
    for name in ["kept", "gone"] {
        c.handle(Event::Apply(service, key(name), self::service(name)));
        c.handle(Event::Apply(
            slices,
            key(name),
            slice(name, &[("redis-0", 1)]),
        ));
    }
    for watched in [Watched::Namespaces, service, slices] {
        c.handle(Event::Reset(watched));
        let confirmed = match watched {
            Watched::Namespaces => ObjectKey {
                ns: "".into(),
                name: "default".into(),
            },
            Watched::Imports
            | Watched::ImportSlices
            | Watched::Pods
            | Watched::Services
            | Watched::Slices => key("kept"),
        };
        c.handle(Event::Confirm(watched, confirmed));
        c.handle(Event::Confirm(watched, key("never-seen")));
        c.handle(Event::Synced(watched));
    }
    assert_eq!(c.a("redis-0.kept"), "10.0.0.1");
    assert_eq!(c.a("gone"), "NXDOMAIN no service gone.default");
}
