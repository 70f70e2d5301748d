use std::net::Ipv4Addr;
use std::sync::Arc;

use super::*;
use crate::endpoint::{Address, Conditions, Endpoint, Kind, Port, Service, Slice};
use crate::message::question::{Query, Transport};
use crate::name::{ServiceKey, absolute};
use crate::store::{Event, Fact, ObjectKey, Store, Watched};
use crate::zone::View;

/// `redis-headless` in `default`, with so many endpoints.
fn zone(endpoints: u16) -> Arc<Zone> {
    let zone = Arc::new(Zone::default());
    let mut store = Store::new(Arc::clone(&zone), &[]);
    let (ns, name) = ("default", "redis-headless");
    let key = |ns: &str, name: &str| ObjectKey {
        ns: ns.into(),
        name: name.into(),
    };
    let ports = || {
        Box::new([Port {
            name: "http".into(),
            protocol: "TCP".into(),
            number: Some(80),
        }])
    };
    let service = ServiceKey::new(ns.as_bytes(), name.as_bytes());
    let mut apply = |watched, key, fact| store.handle(1, Event::Apply(watched, key, fact));
    apply(Watched::Namespaces, key("", ns), Fact::Namespace);
    let fact = Fact::Service(Service {
        key: service.clone(),
        kind: Kind::Headless,
        external: Box::new([]),
        ports: ports(),
    });
    apply(Watched::Services, key(ns, name), fact);
    let labels: Vec<_> = (0..endpoints).map(|i| format!("redis-{i}")).collect();
    let endpoint = |(label, i): (_, u16)| Endpoint {
        address: Address::Ip(Ipv4Addr::from_bits(0x0a14_0000 | u32::from(i)).into()),
        label: Some(label),
        zone: "",
        conditions: Conditions {
            ready: true,
            terminating: false,
        },
    };
    let endpoints: Vec<_> = labels
        .iter()
        .map(String::as_str)
        .zip(0..)
        .map(endpoint)
        .collect();
    for (i, endpoints) in endpoints.chunks(100).enumerate() {
        let fact = Fact::Slice(Some(service.clone()), Slice::new("", ports(), endpoints));
        apply(Watched::Slices, key(ns, &format!("slice-{i}")), fact);
    }
    zone
}

/// What a client gets over TCP: whether the answer is cut, how many records each section has, how many octets.
fn over_tcp(zone: &Zone, qtype: RecordType) -> (bool, usize, usize, usize) {
    let view = View {
        origins: vec![absolute("cluster.local").unwrap()].into(),
        ..View::default()
    };
    let shown = Shown::from(view);
    let name = absolute("redis-headless.default.svc.cluster.local").unwrap();
    let query = Query {
        transport: Transport::Tcp,
        ..Query::plain(Question::new(name, qtype), "127.0.0.1:53".parse().unwrap())
    };
    let asked = shown.place(&query.question.qname, qtype).unwrap();
    let reply = Reply::from(ZoneReply::new(zone.lookup(&asked), &shown, zone));
    let wire = reply.encode(&query).into_first();
    let read = Composed::read(&wire).unwrap();
    let composed = compose(zone, &shown, &query.question).unwrap();
    assert_eq!(
        (&read.answer, &read.additional),
        (&composed.answer, &composed.additional)
    );
    (
        read.truncated,
        read.answer.len(),
        read.additional.len(),
        wire.len(),
    )
}

/// CoreDNS 1.14.7's octets, but for those of its OPT record: 32,069 - 11.
#[test]
fn two_thousand_addresses_go_whole_over_tcp() {
    assert_eq!(
        over_tcp(&zone(2000), RecordType::A),
        (false, 2000, 0, 32_058)
    );
}

#[test]
fn six_hundred_targets_go_over_tcp_with_all_their_addresses() {
    let (cut, targets, addresses, octets) = over_tcp(&zone(600), RecordType::SRV);
    assert_eq!((cut, targets, addresses), (false, 600, 600));
    assert!(octets < 55_300, "{octets}");
}
