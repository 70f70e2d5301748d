use std::sync::Arc;

use super::*;
use crate::build;
use crate::message::question::{Query, Transport};
use crate::message::record::{RData, Record};
use crate::message::records::Records;
use crate::message::skim;
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
        "apply service default/alias external:redis-headless.default.svc.cluster.local",
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
    of_service(zone, "redis-headless", qtype)
}

fn of_service(zone: &Zone, service: &str, qtype: RecordType) -> (bool, usize, usize, usize) {
    let view = View {
        origins: vec![absolute("cluster.local").unwrap()].into(),
        ..View::default()
    };
    let shown = Shown::from(view);
    let name = absolute(&format!("{service}.default.svc.cluster.local")).unwrap();
    let query = Query {
        transport: Transport::Tcp,
        ..Query::plain(Question::new(name, qtype), "127.0.0.1:53".parse().unwrap())
    };
    let asked = shown.place(&query.question.qname, qtype).unwrap();
    let reply = Reply::from(ZoneReply::new(zone.lookup(&asked), &shown, zone));
    let wire = reply.encode(&query).into_first().unwrap();
    let (mut out, pens, answer) = (Vec::new(), &mut Pens::default(), zone.lookup(&asked));
    let size = put(&answer, (&query, &asked), (0, None), pens, &mut out);
    assert_eq!(skim::size_without_compression(&out, true), Some(size));
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
fn addresses_behind_an_alias_point_to_its_target() {
    // Header and question; the alias, whose target is written out up to where it ends as the question does; the addresses.
    let (question, alias, addresses) = (12 + 33 + 4, 12 + 17, 2000 * 16);
    assert_eq!(
        of_service(&zone(2000), "alias", RecordType::A),
        (false, 2001, 0, question + alias + addresses)
    );
}

#[test]
fn six_hundred_targets_go_over_tcp_with_all_their_addresses() {
    let (cut, targets, addresses, octets) = over_tcp(&zone(600), RecordType::SRV);
    assert_eq!((cut, targets, addresses), (false, 600, 600));
    assert!(octets < 55_300, "{octets}");
}

/// `set` in `default`, with so many addresses.
fn set(size: u8) -> Arc<Zone> {
    let endpoints: Vec<_> = (0..size).map(|i| format!("set-{i}=10.0.0.{i}")).collect();
    let slice = format!(
        "apply slice default/s of set {} http:80/TCP",
        endpoints.join(" ")
    );
    build::zone(&[
        "apply namespace default",
        "apply service default/set headless http:80/TCP",
        &slice,
    ])
}

#[test]
fn each_record_of_a_set_comes_first_as_often_as_any_other() {
    let view = View {
        origins: vec![absolute("cluster.local").unwrap()].into(),
        ..View::default()
    };
    let shown = Shown::from(view);
    let qname = Qname::from(absolute("set.default.svc.cluster.local").unwrap());
    for size in [2_u8, 3, 5, 10, 33, 64, 100] {
        let zone = set(size);
        let asked = shown.place(&qname, RecordType::A).unwrap();
        let answer = zone.lookup(&asked);
        // A generator of the kind that lanes have, as the core has none (Knuth's MMIX).
        let mut state = u64::from(size);
        let mut firsts = vec![0_u32; size.into()];
        for _ in 0..200 * u32::from(size) {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let turn = u32::try_from(state >> 32).unwrap();
            let mut records = Records::new(&qname);
            write(&answer, &asked, (1, Some(turn)), &mut records);
            let last = |record: &Record| match record.data.ip_addr() {
                Some(IpAddr::V4(ip)) => ip.octets()[3],
                Some(IpAddr::V6(_)) | None => u8::MAX,
            };
            let mut all: Vec<u8> = records.answer.iter().map(last).collect();
            firsts[usize::from(all[0])] += 1;
            all.sort_unstable();
            assert_eq!(all, Vec::from_iter(0..size));
        }
        let off = |seen: &u32| f64::from(seen.abs_diff(200)).powi(2) / 200.0;
        let chi: f64 = firsts.iter().map(off).sum();
        let free = f64::from(size) - 1.0;
        // Five standard deviations above its mean.
        assert!(chi < free + 5.0 * (2.0 * free).sqrt(), "{size}: {chi}");
    }
}

/// The code of a denial, the TTL of its SOA, and how long that lets it be kept.
fn kept(zone: &Zone, name: &str, qtype: RecordType) -> (ResponseCode, u32, u32) {
    let view = View {
        origins: vec![absolute("cluster.local").unwrap()].into(),
        ttl: 30,
        ..View::default()
    };
    let name = absolute(&format!("{name}.default.svc.cluster.local")).unwrap();
    let question = Question::new(name, qtype);
    let reply = compose(zone, &view.into(), &question).unwrap();
    let RData::SOA(soa) = &reply.authority[0].data else {
        panic!("no SOA")
    };
    (reply.rcode, reply.authority[0].ttl, soa.minimum)
}

#[test]
fn a_denial_of_what_is_about_to_be_there_is_kept_by_nobody() {
    let zone = build::zone(&[
        "apply namespace default",
        "apply service default/redis headless",
        "apply service default/web headless",
        "apply service default/alias external:redis.default.svc.cluster.local",
        "apply slice default/r of redis redis-0=10.0.0.1!notready",
        "apply set default/web of web 2",
        "apply service default/dual headless",
        "apply slice default/d4 of dual dual-0=10.0.0.2",
        "apply slice default/d6 of dual dual-0=fd00::2!notready",
    ]);
    let (nx, no_data) = (ResponseCode::NXDomain, ResponseCode::NoError);
    let other = kept(&zone, "dual-0.dual", RecordType::TXT);
    assert_eq!(other, (no_data, 30, 30));
    for (name, qtype, wanted) in [
        ("redis-0.redis", RecordType::A, (nx, 0, 0)),
        ("redis-0.redis", RecordType::AAAA, (nx, 0, 0)),
        ("redis", RecordType::A, (nx, 0, 0)),
        ("_redis._tcp.redis", RecordType::SRV, (nx, 0, 0)),
        ("dual", RecordType::AAAA, (no_data, 0, 0)),
        ("dual-0.dual", RecordType::AAAA, (no_data, 0, 0)),
        ("web-1.web", RecordType::A, (nx, 0, 0)),
        ("web", RecordType::A, (nx, 0, 0)),
        ("alias", RecordType::A, (ResponseCode::NoError, 0, 0)),
        ("redis-1.redis", RecordType::A, (nx, 30, 30)),
        ("web-2.web", RecordType::A, (nx, 30, 30)),
        ("nobody", RecordType::A, (nx, 30, 30)),
    ] {
        assert_eq!(kept(&zone, name, qtype), wanted, "{name} {qtype}");
    }
}

/// An address may have thousands of names: those that no reply can hold are not looked for.
#[test]
fn of_the_names_of_an_address_no_more_are_found_than_fill_the_reply() {
    let services = (0..300).flat_map(|i| {
        [
            format!("apply service default/s{i:03} headless"),
            format!("apply slice default/s{i:03} of s{i:03} p=10.0.0.1"),
        ]
    });
    let namespace = "apply namespace default".to_owned();
    let lines: Vec<String> = std::iter::once(namespace).chain(services).collect();
    let zone = build::zone(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    let view = View {
        origins: ["cluster.local", "in-addr.arpa"]
            .map(|zone| absolute(zone).unwrap())
            .to_vec()
            .into(),
        ..View::default()
    };
    let shown = Shown::from(view);
    let name = absolute("1.0.0.10.in-addr.arpa").unwrap();
    let query = Query::plain(
        Question::new(name, RecordType::PTR),
        "127.0.0.1:53".parse().unwrap(),
    );
    let asked = shown.place(&query.question.qname, RecordType::PTR).unwrap();
    let written = |asked: &Asked<'_>| {
        let answer = zone.lookup(asked);
        let Answer::Found(Found::Pointers(names)) = &answer else {
            panic!("no names: {answer:?}")
        };
        let (mut out, count) = (Vec::new(), names.len());
        put(
            &answer,
            (&query, asked),
            (0, None),
            &mut Pens::default(),
            &mut out,
        );
        (count, out)
    };
    let (all, whole) = written(&asked);
    let (some, cut) = written(&asked.within(512));
    assert_eq!((all, some), (300, 512 / 14 + 1));
    assert_eq!(whole, cut);
    assert!(Composed::read(&cut).unwrap().truncated);
}
