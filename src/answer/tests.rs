use std::sync::Arc;

use super::*;
use crate::build;
use crate::message::question::{Query, Transport};
use crate::name::absolute;
use crate::zone::View;

/// `redis-headless` in `default`, with so many endpoints, a hundred in a slice.
fn zone(endpoints: u16) -> Arc<Zone> {
    let endpoint = |i: u16| {
        let [high, low] = i.to_be_bytes();
        format!("redis-{i}=10.20.{high}.{low}")
    };
    let slices = (0..endpoints).step_by(100).map(|first| {
        let endpoints: Vec<_> = (first..first + 100).map(endpoint).collect();
        let endpoints = endpoints.join(" ");
        format!("apply slice default/{first} of redis-headless {endpoints} http:80/TCP")
    });
    let cluster = [
        "apply namespace default",
        "apply service default/redis-headless headless http:80/TCP",
    ];
    let lines: Vec<String> = cluster
        .map(str::to_owned)
        .into_iter()
        .chain(slices)
        .collect();
    build::zone(&lines.iter().map(String::as_str).collect::<Vec<_>>())
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
