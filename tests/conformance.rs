//! The whole corpus through everything: the objects over the embedded API and the watch, a Corefile for each
//! configuration, the questions over real sockets, the whole reply compared.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use headless_cluster::Cluster;
use headless_dns::corefile::Source;
use headless_dns::listen::respond;
use headless_dns::message::question::Transport;
use headless_dns::serve::{Ambient, Program, Setup};
use headless_dns::watch::OF_DNS;
use headless_dns::zone::Scope;
use hickory_proto::op::{Message, MessageType};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, PTR, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use serde_json::Value;
use support::api::{FakeApi, Fate};
use support::corpus::{Case, Expect, cases, rcode_of, rcode_text, row, strings};
use support::dns::{exchange, question, receive, send, udp};
use support::names::setup;
use support::upstream;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The machine's resolv.conf, with the search list of the case.
struct ResolvConf(String);

impl Source for ResolvConf {
    fn read(&self, _: &str, path: &str) -> io::Result<String> {
        assert_eq!(path, "/etc/resolv.conf");
        Ok(self.0.clone())
    }

    fn glob(&self, _: &str, _: &str) -> Vec<String> {
        Vec::new()
    }

    fn env(&self, _: &str) -> Option<String> {
        None
    }
}

/// The upstream of a configuration: what is listed, else `next`.
#[derive(Clone)]
struct Upstream {
    listed: Vec<Value>,
    next: Value,
}

impl Upstream {
    fn reply(&self, packet: &[u8]) -> Vec<u8> {
        let mut message = Message::from_vec(packet).unwrap();
        let asked = message.queries[0].clone();
        let is_asked = |entry: &&Value| {
            let name = entry["qname"].as_str().unwrap();
            name.eq_ignore_ascii_case(&asked.name().to_ascii())
                && entry["qtype"] == asked.query_type().to_string()
        };
        let found = self.listed.iter().find(is_asked).unwrap_or(&self.next);
        let rcode = found["rcode"].as_str().or(found.as_str()).unwrap();
        message.metadata.message_type = MessageType::Response;
        message.metadata.authoritative = found["aa"] == true;
        message.metadata.truncation = found["tc"] == true;
        message.metadata.response_code = rcode_of(rcode);
        for record in found["answer"].as_array().into_iter().flatten() {
            let text = |i: usize| record[i].as_str().unwrap();
            let data = match text(2) {
                "A" => RData::A(A(text(3).parse().unwrap())),
                "AAAA" => RData::AAAA(AAAA(text(3).parse().unwrap())),
                "CNAME" => RData::CNAME(CNAME(Name::from_ascii(text(3)).unwrap())),
                "PTR" => RData::PTR(PTR(Name::from_ascii(text(3)).unwrap())),
                other => unimplemented!("{other} in an upstream's answer"),
            };
            let ttl = u32::try_from(record[1].as_u64().unwrap()).unwrap();
            message.add_answer(Record::from_rdata(
                Name::from_ascii(text(0)).unwrap(),
                ttl,
                data,
            ));
        }
        message.to_vec().unwrap()
    }

    async fn start(self) -> SocketAddr {
        upstream::upstream(move |packet, _| Some(self.reply(packet))).await
    }
}

/// The Corefile of a configuration.
fn corefile(case: &Case, upstream: Option<SocketAddr>) -> String {
    let zones = case.list("zones");
    let zones = if zones.is_empty() {
        "cluster.local.".to_owned()
    } else {
        zones.join(" ")
    };
    let forward = upstream
        .map(|address| format!("forward . {address}"))
        .unwrap_or_default();
    format!(
        ".:0 {{\n{}\nkubernetes {zones} {{\n{}\n}}\n{forward}\n}}",
        beside(case),
        stanza(case)
    )
}

/// A configuration value as the Corefile has it.
fn text(case: &Case, key: &str) -> Option<String> {
    case.config
        .get(key)
        .map(|v| v.as_str().map_or_else(|| v.to_string(), str::to_owned))
}

/// The plugins beside `kubernetes`.
fn beside(case: &Case) -> String {
    let mut lines = Vec::new();
    lines.extend(text(case, "autopath").map(|value| format!("autopath {value}")));
    if let Some(transfer) = case.config.get("transfer") {
        let of = |key: &str| strings(&transfer[key]).join(" ");
        lines.push(format!("transfer {} {{\n to {}\n}}", of("zones"), of("to")));
    }
    if let Some(external) = case.config.get("k8s_external") {
        lines.push(format!(
            "k8s_external {} {{",
            strings(&external["zones"]).join(" ")
        ));
        lines.extend((external["headless"] == true).then(|| "headless".to_owned()));
        for key in ["apex", "ttl"]
            .into_iter()
            .filter(|key| !external[*key].is_null())
        {
            lines.push(format!(
                "{key} {}",
                external[key].to_string().trim_matches('"')
            ));
        }
        lines.push("}".into());
    }
    lines.join("\n")
}

/// The lines of the `kubernetes` stanza.
fn stanza(case: &Case) -> String {
    let mut lines = Vec::new();
    for key in ["pods", "ttl", "labels", "namespace_labels"] {
        lines.extend(text(case, key).map(|value| format!("{key} {value}")));
    }
    for (key, property) in [
        ("endpoint_pod_names", "endpoint_pod_names"),
        ("noendpoints", "noendpoints"),
        ("zonal", "zonal"),
        ("ignore_empty_service", "ignore empty_service"),
    ] {
        lines.extend(case.flag(key).then(|| property.to_owned()));
    }
    for key in ["namespaces", "multicluster"] {
        let list = case.list(key);
        lines.extend((!list.is_empty()).then(|| format!("{key} {}", list.join(" "))));
    }
    if case.config.contains_key("fallthrough") {
        lines.push(format!(
            "fallthrough {}",
            case.list("fallthrough").join(" ")
        ));
    }
    lines.extend(is_held(case).then(|| "startup_timeout 1ms".to_owned()));
    lines.join("\n")
}

/// Whether some lists never complete.
fn is_held(case: &Case) -> bool {
    case.config.get("synced") == Some(&Value::Bool(false))
}

/// A server for one world and configuration.
struct Server {
    address: SocketAddr,
    router: Arc<headless_dns::plugin::Router>,
    stop: CancellationToken,
    _cluster: Cluster,
}

/// The upstream that a configuration needs.
async fn upstream_of(case: &Case) -> Option<SocketAddr> {
    let listed = case
        .config
        .get("upstream")
        .and_then(Value::as_array)
        .cloned();
    let next = case.config.get("next").cloned();
    if listed.is_none() && next.is_none() {
        return None;
    }
    let next = next.unwrap_or_else(|| "SERVFAIL".into());
    Some(
        Upstream {
            listed: listed.unwrap_or_default(),
            next,
        }
        .start()
        .await,
    )
}

async fn serve(case: &Case) -> Server {
    let path = format!(
        "{}/tests/corpus/objects-{}.json",
        env!("CARGO_MANIFEST_DIR"),
        case.world
    );
    let objects: Vec<Value> =
        serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cluster = Cluster::holding(&objects);
    let held = match (is_held(case), case.world.as_str()) {
        (false, _) => vec![],
        (true, "empty") => vec!["namespaces", "services", "endpointslices"],
        (true, _) => vec!["endpointslices"],
    };
    let api = FakeApi::ruled(&cluster, move |asked| {
        match held.iter().any(|plural| asked.path.ends_with(plural)) {
            true => Fate::Never,
            false => Fate::Serve,
        }
    });
    let local = case
        .list("local_ips")
        .iter()
        .map(|ip| ("lo".to_owned(), ip.parse().unwrap()))
        .collect();
    let search = case.list("host_search").join(" ");
    let text = corefile(case, upstream_of(case).await);
    let setup = Setup {
        source: &ResolvConf(format!("nameserver 127.0.0.1\nsearch {search}\n")),
        interfaces: local,
        ..setup(&text, Ambient::Client(api.client()))
    };
    let program = Program::bind(setup).await.unwrap();
    let (zone, router) = (
        Arc::clone(&program.zones()[0]),
        Arc::clone(&program.routers()[0]),
    );
    let address = SocketAddr::new(IpAddr::from([127, 0, 0, 1]), program.addresses()[0].port());
    let stop = CancellationToken::new();
    tokio::spawn(program.run(stop.clone()));
    // Where some lists are held, what the others have is waited for.
    let namespaces = case.list("namespaces");
    let is_watched = |object: &&Value| {
        let ns = object["metadata"]["namespace"].as_str().unwrap_or_default();
        namespaces.is_empty() || ns == OF_DNS || namespaces.iter().any(|named| *named == ns)
    };
    let services = objects.iter().filter(|o| o["kind"] == "Service");
    let services = services.filter(is_watched).count();
    let has_all = || is_held(case) && zone.services(Scope::Cluster).len() == services;
    while !zone.synced() && !has_all() {
        tokio::task::yield_now().await;
    }
    Server {
        address,
        router,
        stop,
        _cluster: cluster,
    }
}

/// The request of a case.
fn request(case: &Case, current: u32) -> Vec<u8> {
    let qtype = match case.qtype.as_str() {
        "AXFR" => RecordType::AXFR,
        "IXFR" => RecordType::IXFR,
        other => other.parse().unwrap(),
    };
    let mut packet = question(0x1234, &case.qname, qtype);
    if let Some(serial) = &case.ixfr_serial {
        let mut message = Message::from_vec(&packet).unwrap();
        let serial = if serial == "CURRENT" {
            current
        } else {
            current.wrapping_sub(1)
        };
        let soa = SOA::new(Name::root(), Name::root(), serial, 0, 0, 0, 0);
        message.add_authority(Record::from_rdata(
            Name::from_ascii(&case.qname).unwrap(),
            0,
            RData::SOA(soa),
        ));
        packet = message.to_vec().unwrap();
    }
    packet
}

/// Reads replies up to the end of a transfer; one for anything else.
async fn over_tcp(server: &Server, packet: &[u8], transfer: bool) -> Vec<Message> {
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(&mut stream, packet).await;
    let mut messages = vec![receive(&mut stream).await.unwrap()];
    let answers = |messages: &[Message]| messages.iter().map(|m| m.answers.len()).sum::<usize>();
    let is_soa = |messages: &[Message]| {
        messages
            .last()
            .unwrap()
            .answers
            .last()
            .is_some_and(|r| r.record_type() == RecordType::SOA)
    };
    while transfer && answers(&messages) > 1 && !is_soa(&messages) {
        messages.push(receive(&mut stream).await.unwrap());
    }
    messages
}

/// The reply as the corpus has it; header bits that are the same for all are checked here.
fn expect_of(case: &Case, messages: &[Message]) -> Expect {
    let first = &messages[0];
    let m = first.metadata;
    assert!(
        m.recursion_desired && !m.recursion_available && !m.authentic_data && !m.checking_disabled,
        "{}: {m:?}",
        case.id
    );
    assert_eq!((m.id, first.edns.as_ref()), (0x1234, None), "{}", case.id);
    assert_eq!(
        first.queries[0].name().to_ascii(),
        case.qname,
        "{}: the question's case",
        case.id
    );
    let rows = |section: fn(&Message) -> &Vec<Record>| {
        messages
            .iter()
            .flat_map(|m| section(m).iter().map(row))
            .collect()
    };
    let mut expect = Expect {
        rcode: rcode_text(m.response_code),
        aa: m.authoritative,
        tc: m.truncation,
        answer: rows(|m| &m.answers),
        authority: rows(|m| &m.authorities),
        additional: rows(|m| &m.additionals),
    };
    expect.sort(case.order_matters);
    expect
}

/// Every reply to a case: over TCP, and over UDP where it is not cut there.
async fn replies(server: &Server, case: &Case, current: u32) -> Vec<Expect> {
    let packet = request(case, current);
    let transfer = matches!(case.qtype.as_str(), "AXFR" | "IXFR");
    if let Some(ip) = case.config.get("client_ip").and_then(Value::as_str) {
        let client = SocketAddr::new(ip.parse().unwrap(), 5353);
        let wire = respond(&server.router, &packet, Transport::Tcp, client.into()).await;
        let messages: Vec<_> = wire
            .iter()
            .map(|wire| Message::from_vec(wire).unwrap())
            .collect();
        return vec![expect_of(case, &messages)];
    }
    let mut seen = Vec::new();
    if case.transport.as_deref() != Some("udp") {
        seen.push(expect_of(case, &over_tcp(server, &packet, transfer).await));
    }
    if !transfer || case.transport.as_deref() == Some("udp") {
        let reply =
            Message::from_vec(&exchange(&udp(server.address).await, &packet).await).unwrap();
        if !reply.metadata.truncation || case.wanted().tc {
            seen.push(expect_of(case, &[reply]));
        }
    }
    seen
}

#[tokio::test]
async fn every_case_of_the_corpus_is_answered_as_it_says_over_real_sockets() {
    let mut groups: BTreeMap<String, Vec<Case>> = BTreeMap::new();
    for case in cases() {
        groups
            .entry(format!("{} {:?}", case.world, case.config))
            .or_default()
            .push(case);
    }
    let (mut asked, mut compared, mut failed) = (0, 0, Vec::new());
    for group in groups.values() {
        let server = serve(&group[0]).await;
        let soa = over_tcp(
            &server,
            &question(0x1234, "cluster.local.", RecordType::SOA),
            false,
        )
        .await;
        let current = soa[0].answers.first().and_then(|r| {
            if let RData::SOA(soa) = &r.data {
                Some(soa.serial)
            } else {
                None
            }
        });
        for case in group {
            asked += 1;
            let wanted = case.wanted();
            for got in replies(&server, case, current.unwrap_or_default()).await {
                compared += 1;
                if got != wanted {
                    failed.push(format!(
                        "{} {} {} {:?}\n  wanted {wanted:?}\n  got    {got:?}",
                        case.id, case.qname, case.qtype, case.config
                    ));
                }
            }
        }
        server.stop.cancel();
    }
    support::report(&format!(
        "{asked} cases, {compared} replies compared, {} differ",
        failed.len()
    ));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(asked >= 397, "the corpus has shrunk to {asked}");
}
