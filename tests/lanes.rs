//! The way on which no plugin is asked says what the chain of plugins says, octet by octet, and takes no memory.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use headless_cluster::Cluster;
use headless_dns::listen::respond;
use headless_dns::message::question::{Query, Question, RecordType, Route, Transport};
use headless_dns::message::read_plain;
use headless_dns::name::Name;
use headless_dns::plugin::{Express, Router};
use headless_dns::serve::{Ambient, Program, Resources, Setup};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use support::dns::question;
use support::names::setup;
use tokio_util::sync::CancellationToken;

/// Pairs of replies; `PAIRS=10000000 cargo test --release --test lanes` is the long form.
const PAIRS: usize = 100_000;

/// All of kubeadm's plugins that may stand between a question and the zone, but for the one that turns sets of records.
const COREFILE: &str = ".:0 {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    k8s_external ext.test
    prometheus 127.0.0.1:0
    forward . 127.0.0.1:1
    cache 30
    loop
}
";

fn object(kind: &str, name: &str, rest: &Value) -> Value {
    let mut object = json!({
        "apiVersion": if kind == "EndpointSlice" { "discovery.k8s.io/v1" } else { "v1" },
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "resourceVersion": "1"},
    });
    let parts = rest.as_object().unwrap();
    for (key, value) in parts {
        if key == "labels" {
            object["metadata"]["labels"] = value.clone();
        } else {
            object[key] = value.clone();
        }
    }
    object
}

/// Services of every kind, headless ones of many sizes, some with both families or without ready endpoints.
fn objects() -> Vec<Value> {
    let namespace = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default", "resourceVersion": "1"},
    });
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "dns", "port": 53, "protocol": "UDP"}]);
    let mut objects = vec![namespace];
    for (name, spec) in [
        ("web", json!({"clusterIP": "10.96.0.50", "ports": ports})),
        (
            "both",
            json!({"clusterIP": "10.96.0.51", "clusterIPs": ["10.96.0.51", "fd00::51"], "ports": ports}),
        ),
        (
            "away",
            json!({"type": "ExternalName", "externalName": "www.example.com"}),
        ),
        (
            "near",
            json!({"type": "ExternalName", "externalName": "web.default.svc.cluster.local"}),
        ),
        (
            "out",
            json!({"clusterIP": "10.96.0.52", "externalIPs": ["192.0.2.9"], "ports": ports}),
        ),
    ] {
        objects.push(object("Service", name, &json!({"spec": spec})));
    }
    for size in [0, 1, 2, 10, 60, 200] {
        let name = format!("set-{size}");
        let spec = json!({"spec": {"clusterIP": "None", "clusterIPs": ["None"], "ports": ports}});
        objects.push(object("Service", &name, &spec));
        // Of one family alone the smaller ones are.
        for v6 in [false, true].into_iter().take(1 + usize::from(size > 10)) {
            let endpoint = |i: u16| {
                let [high, low] = i.to_be_bytes();
                let address = if v6 {
                    format!("fd00::{size}:{i:x}")
                } else {
                    format!("10.{}.{high}.{low}", 100 + size % 100)
                };
                json!({"addresses": [address], "hostname": format!("{name}-{i}"), "conditions": {"ready": i % 7 != 6}})
            };
            let slice = json!({
                "addressType": if v6 { "IPv6" } else { "IPv4" },
                "labels": {"kubernetes.io/service-name": name},
                "ports": ports,
                "endpoints": (0..size).map(endpoint).collect::<Vec<_>>(),
            });
            objects.push(object("EndpointSlice", &format!("{name}-{v6}"), &slice));
        }
    }
    objects
}

/// A server over these objects that has all of them.
async fn router(corefile: &str) -> Arc<Router> {
    let cluster = Cluster::holding(&objects());
    let setup = Setup {
        namespaces: Vec::new(),
        resources: Resources {
            threads: Some(1),
            memory: None,
        },
        ..setup(corefile, Ambient::Client(cluster.client()))
    };
    let program = Program::bind(setup).await.unwrap();
    let (router, started) = (program.routers().remove(0), program.started());
    tokio::spawn(async move {
        let _cluster = cluster;
        program.run(CancellationToken::new()).await
    });
    started.cancelled().await;
    router
}

const TYPES: [RecordType; 10] = [
    RecordType::A,
    RecordType::AAAA,
    RecordType::SRV,
    RecordType::PTR,
    RecordType::TXT,
    RecordType::CNAME,
    RecordType::NS,
    RecordType::SOA,
    RecordType::MX,
    RecordType::ANY,
];

/// A question about the cluster, or near it.
fn any_question(random: &mut StdRng) -> Vec<u8> {
    let size = [0, 1, 2, 10, 60, 200, 7].choose(random).unwrap();
    let set = format!("set-{size}.default.svc.cluster.local.");
    let pod = random.random_range(0..60);
    let below = match random.random_range(0..12) {
        0..3 => set,
        3..5 => format!("set-{size}-{pod}.{set}"),
        5 => format!("_http._tcp.{set}"),
        6 => format!(
            "{}.default.svc.cluster.local.",
            ["web", "both", "away", "near", "out"]
                .choose(random)
                .unwrap()
        ),
        7 => format!(
            "{}.default.ext.test.",
            ["out", "web", "none"].choose(random).unwrap()
        ),
        8 => format!("{pod}.0.110.10.in-addr.arpa."),
        9 => format!("10-0-0-{pod}.default.pod.cluster.local."),
        10 => [
            "cluster.local.",
            "svc.cluster.local.",
            "dns-version.cluster.local.",
            "ns.dns.cluster.local.",
            "other.test.",
        ]
        .choose(random)
        .unwrap()
        .to_string(),
        _ => "example.com.default.svc.cluster.local.".to_owned(),
    };
    let qtype = *TYPES.choose(random).unwrap();
    let mut packet = question(random.random(), &below, qtype);
    if random.random() {
        let size: u16 = *[512, 1232, 4096, 100].choose(random).unwrap();
        packet[11] = 1;
        packet.extend([0, 0, 41]);
        packet.extend(size.to_be_bytes());
        packet.extend([0, 0, if random.random() { 0x80 } else { 0 }, 0, 0, 0]);
    }
    packet
}

/// The same with an octet changed here and there, cut, or longer.
fn mutated(mut packet: Vec<u8>, random: &mut StdRng) -> Vec<u8> {
    for _ in 0..random.random_range(0..3) {
        let at = random.random_range(0..packet.len());
        packet[at] = if random.random() {
            random.random()
        } else {
            packet[at] ^ 0x20
        };
    }
    match random.random_range(0..16) {
        0 => packet.truncate(random.random_range(0..packet.len())),
        1 => packet.push(random.random()),
        _ => {}
    }
    packet
}

/// What is asked all the time: Services and Pods of one family, SRV, addresses, names of a search list.
fn usual_question(random: &mut StdRng) -> Vec<u8> {
    let size = [1, 2, 10].choose(random).unwrap();
    let pod = random.random_range(0..*size);
    let set = format!("set-{size}.default.svc.cluster.local.");
    let (qname, qtype) = match random.random_range(0..8) {
        0 | 1 => (set, RecordType::A),
        2 => (set, RecordType::AAAA),
        3 => (format!("set-{size}-{pod}.{set}"), RecordType::A),
        4 => (format!("_http._tcp.{set}"), RecordType::SRV),
        5 => (
            format!("{pod}.0.{}.10.in-addr.arpa.", 100 + size),
            RecordType::PTR,
        ),
        6 => ("web.default.svc.cluster.local.".to_owned(), RecordType::A),
        _ => (
            "example.com.default.svc.cluster.local.".to_owned(),
            RecordType::AAAA,
        ),
    };
    let mut packet = question(random.random(), &qname, qtype);
    packet[11] = 1;
    packet.extend([0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0]);
    packet
}

fn empty_query(client: SocketAddr) -> Query {
    Query::plain(Question::new(Name::root(), RecordType::A), client)
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ways_say_the_same_octet_by_octet() {
    let pairs = option_env!("PAIRS").map_or(PAIRS, |pairs| pairs.parse().unwrap());
    let router = router(COREFILE).await;
    let mut express = Express::new(&router);
    assert!(express.is_any());
    let client = SocketAddr::from(([127, 0, 0, 1], 5353));
    let (route, mut query) = (Route::from(client), empty_query(client));
    let mut random = StdRng::seed_from_u64(14);
    let (mut answered, mut out) = (0, Vec::new());
    for _ in 0..pairs {
        let packet = any_question(&mut random);
        let packet = mutated(packet, &mut random);
        out.clear();
        if !read_plain(&mut query, &packet, route) || !express.answer(&query, 0, &mut out) {
            continue;
        }
        answered += 1;
        let other = respond(&router, &packet, Transport::Udp, route).await;
        assert_eq!(other, [out.clone()], "{packet:?}");
    }
    assert!(answered > pairs / 3, "{answered} of {pairs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_the_zone_takes_no_memory() {
    let router = router(&COREFILE.replace("loop\n", "loop\n    loadbalance\n")).await;
    let mut express = Express::new(&router);
    let client = SocketAddr::from(([127, 0, 0, 1], 5353));
    let (route, mut query) = (Route::from(client), empty_query(client));
    let mut random = StdRng::seed_from_u64(15);
    let mut packets: Vec<_> = (0..2000).map(|_| usual_question(&mut random)).collect();
    let mut out = Vec::with_capacity(1 << 16);
    let mut answer = |packet: &[u8], turn: u32| {
        out.clear();
        read_plain(&mut query, packet, route) && express.answer(&query, turn, &mut out)
    };
    // The first time buffers grow, and counters are made.
    // The address of a Pod that is not ready is asked of the next plugin.
    packets.retain(|packet| answer(packet, 0));
    assert!(packets.len() > 1900, "{}", packets.len());
    for (turn, packet) in (0_u32..).zip(&packets) {
        let taken = allocation_counter::measure(|| {
            answer(packet, turn << 20);
        });
        assert_eq!(taken.count_total, 0, "{packet:?}");
    }
}
