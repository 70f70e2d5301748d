use super::*;
use crate::answer::{compose, transfer};
use crate::build;
use crate::message::question::{Question, RecordType};
use crate::message::rcode_name;
use crate::name::absolute;
use crate::zone::{ExternalView, Holder, Shown, View};

struct Cluster {
    store: Store,
    zone: Arc<Zone>,
}

impl Cluster {
    /// With namespace `default`; three watches must deliver.
    fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let watches = [Resource::Namespaces, Resource::Services, Resource::Slices];
        let store = Store::new(Arc::clone(&zone), watches);
        let mut cluster = Self { store, zone };
        cluster.says("apply namespace default");
        cluster
    }

    /// A watch tells this.
    fn says(&mut self, line: &str) -> Vec<Change> {
        self.store.handle(100, build::event(line).unwrap())
    }

    /// Every watch has delivered its first list.
    fn synced(&mut self) {
        for kind in ["namespaces", "services", "slices"] {
            self.says(&format!("synced {kind}"));
        }
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
    c.says("apply slice default/redis-a of redis redis-0=10.0.0.1");
    assert_eq!(c.a("redis"), "SERVFAIL not synced");
    c.says("apply service default/redis headless");
    assert_eq!(c.a("redis-0.redis"), "10.0.0.1");
}

#[test]
fn a_slice_that_moves_to_another_service_leaves_the_first() {
    let mut c = Cluster::new();
    c.says("apply service default/a headless");
    c.says("apply service default/b headless");
    c.says("apply slice default/s of a p=10.0.0.1");
    c.says("apply slice default/s of b p=10.0.0.1");
    assert_eq!(c.a("a"), "SERVFAIL not synced");
    assert_eq!(c.a("b"), "10.0.0.1");
    assert_eq!(
        c.zone.owners(Holder::Endpoint, [10, 0, 0, 1].into()),
        Some(crate::zone::alone(&ServiceKey::new(b"default", b"b")))
    );
}

#[test]
fn a_relist_removes_what_it_does_not_list_and_only_at_its_end() {
    let mut c = Cluster::new();
    c.says("apply service default/redis headless");
    c.says("apply slice default/x of redis redis-0=10.0.0.1");
    c.says("apply slice default/y of redis redis-1=10.0.0.2");
    c.says("reset slices");
    c.says("apply slice default/y of redis redis-1=10.0.0.3");
    assert_eq!(c.a("redis"), "10.0.0.1 10.0.0.3");
    c.says("synced slices");
    assert_eq!(c.a("redis"), "10.0.0.3");
    assert!(
        c.zone
            .owners(Holder::Endpoint, [10, 0, 0, 1].into())
            .is_none()
    );
}

#[test]
fn a_list_of_one_namespace_says_nothing_of_another() {
    let lists = ["default", "prod"].map(|ns| List {
        resource: Resource::Services,
        ns: ns.into(),
    });
    let zone = Arc::new(Zone::default());
    let mut c = Cluster {
        store: Store::new(Arc::clone(&zone), lists),
        zone,
    };
    c.says("apply namespace default");
    for ns in ["default", "prod"] {
        c.says(&format!("apply service {ns}/redis 10.96.0.1"));
        c.says(&format!("apply service {ns}/web 10.96.0.2"));
    }
    c.says("synced services in default");
    assert!(!c.zone.synced());
    c.says("synced services in prod");
    assert!(c.zone.synced());
    c.says("reset services in default");
    // The other list goes on meanwhile, and ends later.
    c.says("reset services in prod");
    c.says("apply service prod/web 10.96.0.2");
    c.says("confirm service default/redis");
    c.says("synced services in default");
    let zone = Arc::clone(&c.zone);
    let known = |ns: &str, svc: &str| {
        let key = ServiceKey::new(ns.as_bytes(), svc.as_bytes());
        zone.service(Scope::Cluster, key.wire()).is_some()
    };
    let all = || ["default", "prod"].map(|ns| ["redis", "web"].map(|svc| known(ns, svc)));
    assert_eq!(all(), [[true, false], [true, true]]);
    c.says("synced services in prod");
    assert_eq!(all(), [[true, false], [false, true]]);
}

#[test]
fn denials_wait_until_every_watch_has_delivered() {
    let mut c = Cluster::new();
    for kinds in ["namespaces", "services"] {
        c.says(&format!("synced {kinds}"));
        assert_eq!(c.a("redis"), "SERVFAIL not synced", "{kinds}");
    }
    c.says("reset slices");
    c.says("synced slices");
    assert_eq!(c.a("redis"), "NXDOMAIN no service redis.default");
}

#[test]
fn the_serial_rises_with_each_change_and_only_then() {
    let mut c = Cluster::new();
    assert_eq!(c.zone.serial(), 0);
    c.says("apply service default/redis headless");
    assert_eq!(c.zone.serial(), 100);
    c.says("apply service default/redis headless");
    assert_eq!(c.zone.serial(), 100);
    c.says("delete service default/redis");
    assert_eq!(c.zone.serial(), 101);
}

#[test]
fn a_change_of_the_cluster_address_raises_the_serial() {
    let mut c = Cluster::new();
    for (ip, serial) in [("10.96.0.1", 100), ("10.96.0.2", 101)] {
        c.says(&format!("apply service default/web {ip}"));
        assert_eq!(c.zone.serial(), serial);
    }
}

#[test]
fn a_change_names_its_object_with_its_version_and_its_service() {
    let mut c = Cluster::new();
    c.says("apply service default/redis headless");
    let Event::Apply(mut object, fact) =
        build::event("apply slice default/x of redis redis-0=10.0.0.1").unwrap()
    else {
        panic!("not applied");
    };
    object.version = "7".into();
    let changes = c.store.handle(1, Event::Apply(object.clone(), fact));
    let [change] = &changes[..] else {
        panic!("{changes:?}");
    };
    assert_eq!(
        (change.resource, &change.object),
        (Resource::Slices, &object)
    );
    let key = ServiceKey::new(b"default", b"redis");
    assert_eq!(change.service(), Some((Scope::Cluster, &key)));
}

#[test]
fn a_name_that_cannot_be_sent_costs_its_own_record_and_not_the_transfer() {
    let mut c = Cluster::new();
    for (name, target) in [("bad", "a".repeat(64)), ("good", "example.com".into())] {
        c.says(&format!("apply service default/{name} external:{target}"));
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
    c.says("apply pod default/a 10.0.0.1");
    c.says("reset pods");
    c.says("confirm pod default/a");
    c.says("confirm pod default/never-seen");
    c.says("synced pods");
    assert_eq!(c.zone.pods_at(ip).len(), 1);
    c.says("reset pods");
    c.says("synced pods");
    assert!(c.zone.pods_at(ip).is_empty());
}

#[test]
fn what_is_confirmed_outlives_a_list_and_what_is_not_goes() {
    let mut c = Cluster::new();
    for name in ["kept", "gone"] {
        c.says(&format!("apply service default/{name} headless"));
        c.says(&format!(
            "apply slice default/{name} of {name} redis-0=10.0.0.1"
        ));
    }
    for (kind, kept) in [
        ("namespace", "default"),
        ("service", "default/kept"),
        ("slice", "default/kept"),
    ] {
        c.says(&format!("reset {kind}s"));
        c.says(&format!("confirm {kind} {kept}"));
        c.says(&format!("confirm {kind} default/never-seen"));
        c.says(&format!("synced {kind}s"));
    }
    assert_eq!(c.a("redis-0.kept"), "10.0.0.1");
    assert_eq!(c.a("gone"), "NXDOMAIN no service gone.default");
}

#[test]
fn a_service_that_cannot_be_read_is_not_denied() {
    let mut c = Cluster::new();
    c.says("unreadable service default/odd of odd");
    c.synced();
    let unreadable = "SERVFAIL an object of service odd.default cannot be read";
    assert_eq!(c.a("odd"), unreadable);
    assert_eq!(c.a("even"), "NXDOMAIN no service even.default");
    // A list that does not have it any more.
    c.says("reset services");
    assert_eq!(c.a("odd"), unreadable);
    c.says("synced services");
    assert_eq!(c.a("odd"), "NXDOMAIN no service odd.default");
    // It can be read again, and then not any more: what was known stays.
    c.says("unreadable service default/odd of odd");
    c.says("apply service default/odd 10.0.0.1");
    c.says("unreadable service default/odd of odd");
    assert_eq!(c.a("odd"), "10.0.0.1");
    c.says("delete service default/odd");
    assert_eq!(c.a("odd"), "NXDOMAIN no service odd.default");
}

#[test]
fn names_that_a_slice_may_hold_that_cannot_be_read_are_not_denied() {
    let mut c = Cluster::new();
    c.synced();
    c.says("apply service default/web headless");
    c.says("apply slice default/web-a of web web-0=10.0.0.1");
    c.says("unreadable slice default/web-b of web");
    c.says("unreadable slice default/web-c of web");
    let unreadable = "SERVFAIL an object of service web.default cannot be read";
    assert_eq!(c.a("web"), "10.0.0.1");
    assert_eq!(c.a("web-0.web"), "10.0.0.1");
    assert_eq!(c.a("web-1.web"), unreadable);
    assert_eq!(c.a("web-0.other"), "NXDOMAIN no service other.default");
    // One of the two can be read now, and a list does not have the other.
    c.says("apply slice default/web-b of web web-1=10.0.0.2");
    assert_eq!(c.a("web-1.web"), "10.0.0.2");
    assert_eq!(c.a("web-2.web"), unreadable);
    c.says("reset slices");
    c.says("confirm slice default/web-a");
    c.says("unreadable slice default/web-b of web");
    c.says("synced slices");
    assert_eq!(c.a("web-1.web"), "10.0.0.2");
    // What it says now may have that name.
    assert_eq!(c.a("web-2.web"), unreadable);
    c.says("apply slice default/web-b of web web-1=10.0.0.2");
    assert_eq!(c.a("web-2.web"), "NXDOMAIN no such endpoint of web.default");
}

#[test]
fn an_address_from_outside_has_the_names_of_the_services_that_have_it_now() {
    let mut c = Cluster::new();
    c.synced();
    let external = ExternalView {
        origins: vec![
            absolute("example.org").unwrap(),
            absolute("in-addr.arpa").unwrap(),
        ]
        .into(),
        apex: "dns".into(),
        ttl: 5,
        headless: false,
        kubernetes: View::default().into(),
    };
    let external = Shown::from(external);
    let names = |c: &Cluster| {
        let question = Question::new(absolute("9.2.0.192.in-addr.arpa").unwrap(), RecordType::PTR);
        let reply = compose(&c.zone, &external, &question).unwrap();
        let names: Vec<_> = reply.answer.iter().map(|r| r.data.to_string()).collect();
        let why = reply.error.map(|said| said.text.to_string());
        why.unwrap_or_else(|| names.join(" "))
    };
    c.says("apply service default/b 10.96.0.2 +192.0.2.9");
    c.says("apply service default/a 10.96.0.1 +192.0.2.9 +192.0.2.8");
    assert_eq!(names(&c), "a.default.example.org. b.default.example.org.");
    c.says("apply service default/a 10.96.0.1 +192.0.2.8");
    assert_eq!(names(&c), "b.default.example.org.");
    c.says("delete service default/b");
    assert_eq!(names(&c), "nothing has address 192.0.2.9");
}
