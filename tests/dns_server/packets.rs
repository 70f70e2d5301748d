//! Packets that are not quite questions, over UDP and TCP, IPv4 and IPv6: each has its reaction, and the good question
//! behind it its answer.

use std::net::SocketAddr;
use std::time::Duration;

use headless_dns::message::rcode_name;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::support::dns::{ask, exchange, question, receive, send, udp};
use super::{LOOPBACK, Server, TRANSFERS, server};

const PACKETS: &str = include_str!("packets.txt");

const NAME: &str = "redis-0.redis.default.svc.cluster.local.";

/// The id of the good question behind each packet.
const GOOD: u16 = 0x7777;

const PATIENCE: Duration = Duration::from_secs(20);

struct Case {
    name: &'static str,
    packet: Vec<u8>,
    wanted: Vec<&'static str>,
}

fn cases() -> Vec<Case> {
    let lines = PACKETS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let case = |line: &'static str| {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        let (name, packet, wanted) = (next(), octets(next()), next());
        let wanted = wanted.split(',').collect();
        Case {
            name,
            packet,
            wanted,
        }
    };
    lines.map(case).collect()
}

/// `1234+00*16`: octets in hexadecimal, and runs of one.
fn octets(text: &str) -> Vec<u8> {
    let hex = |text: &str| {
        let pairs = (0..text.len()).step_by(2);
        let octet = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        pairs.map(octet).collect::<Vec<u8>>()
    };
    let parts = text.split('+').filter(|part| *part != "-");
    let part = |part: &str| match part.split_once('*') {
        Some((octet, count)) => hex(octet).repeat(count.parse().unwrap()),
        None => hex(part),
    };
    parts.flat_map(part).collect()
}

/// What a reply to a packet says; one that does not belong to it, or cannot be read, has a word of its own.
fn reaction(packet: &[u8], reply: Option<&[u8]>) -> String {
    let Some(reply) = reply else {
        return "silence".into();
    };
    let Ok(message) = Message::from_vec(reply) else {
        return format!("unreadable {reply:x?}");
    };
    if packet.get(..2) != reply.get(..2) || reply[2] & 0x80 == 0 {
        return format!("not its reply {reply:x?}");
    }
    // The library has another name for the same number (RFC 6895 section 2.3).
    match message.metadata.response_code {
        code if u16::from(code) == 16 => "BADVERS".into(),
        code => rcode_name(code),
    }
}

async fn over_udp(address: SocketAddr, case: &Case) -> String {
    let socket = udp(address).await;
    socket.send(&case.packet).await.unwrap();
    socket
        .send(&question(GOOD, NAME, RecordType::A))
        .await
        .unwrap();
    let (mut reply, mut seen) = (vec![0; 65_535], None);
    loop {
        let size = timeout(PATIENCE, socket.recv(&mut reply)).await;
        let size = size.unwrap_or_else(|_| panic!("{}: the good question is lost", case.name));
        let message = &reply[..size.unwrap()];
        if message[..2] == GOOD.to_be_bytes() {
            return reaction(&case.packet, seen.as_deref());
        }
        seen = Some(message.to_vec());
    }
}

/// A connection that ends without the good question's answer is silence too.
async fn over_tcp(address: SocketAddr, case: &Case) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let good = question(GOOD, NAME, RecordType::A);
    let mut sent = Vec::new();
    for packet in [&case.packet, &good] {
        sent.extend(u16::try_from(packet.len()).unwrap().to_be_bytes());
        sent.extend(packet);
    }
    // A server that has read enough may be gone before all is written.
    let _gone = stream.write_all(&sent).await;
    let mut seen = None;
    let read = async {
        loop {
            let size = stream.read_u16().await.ok()?;
            let mut message = vec![0; usize::from(size)];
            stream.read_exact(&mut message).await.ok()?;
            if message[..2] == GOOD.to_be_bytes() {
                return Some(());
            }
            seen = Some(message);
        }
    };
    let ended = timeout(PATIENCE, read).await;
    assert!(ended.is_ok(), "{}: nothing comes any more", case.name);
    reaction(&case.packet, seen.as_deref())
}

/// A server with one headless Service of one endpoint, without ports.
async fn redis(corefile: &str) -> Server {
    let server = server(corefile).await;
    let objects = "apiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec: {clusterIP: None, ports: [{port: 6379}]}\n---\n\
        apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: redis-a, labels: {kubernetes.io/service-name: redis}}\n\
        addressType: IPv4\nendpoints: [{addresses: [10.0.0.1], hostname: redis-0, conditions: {ready: true}}]\nports: []\n";
    server.cluster.apply("redis.yaml", objects).unwrap();
    let is_known = async || {
        !ask(server.address, NAME, RecordType::A)
            .await
            .answers
            .is_empty()
    };
    while !is_known().await {}
    server
}

/// The same at every loopback address that this machine has.
async fn everywhere() -> Server {
    let has_v6 = std::net::UdpSocket::bind("[::1]:0").is_ok();
    let addresses = if has_v6 { "127.0.0.1 ::1" } else { "127.0.0.1" };
    let corefile = format!(".:0 {{\n bind {addresses}\n kubernetes cluster.local\n}}");
    redis(&corefile).await
}

#[tokio::test]
async fn each_packet_has_its_reaction_and_costs_no_good_question_its_answer() {
    let server = everywhere().await;
    let (mut odd, mut count) = (Vec::new(), 0);
    for address in server.addresses {
        for case in cases() {
            let said = [
                over_udp(address, &case).await,
                over_tcp(address, &case).await,
            ];
            for (said, over) in said.into_iter().zip(["udp", "tcp"]) {
                count += 1;
                // Over TCP an odd frame may also end the connection.
                let ends = over == "tcp" && said == "silence" && case.wanted.contains(&"FORMERR");
                if !case.wanted.contains(&said.as_str()) && !ends {
                    odd.push(format!(
                        "{} over {over} to {address}: {said}, not {:?}",
                        case.name, case.wanted
                    ));
                }
            }
        }
    }
    assert!(
        odd.is_empty(),
        "{} of {count}:\n{}",
        odd.len(),
        odd.join("\n")
    );
    assert!(count >= 2 * 261, "{count}");
}

/// The kind of CVE-2024-1931: the text of an extended error has to be cut to what the client takes.
#[tokio::test]
async fn a_denial_of_the_longest_name_fits_into_the_smallest_datagram() {
    let server = server(LOOPBACK).await;
    let label = "x".repeat(63);
    let qname = format!(
        "{label}.{label}.{label}.{}.svc.cluster.local.",
        "y".repeat(43)
    );
    let mut message = Message::from_vec(&question(1, &qname, RecordType::A)).unwrap();
    let mut edns = hickory_proto::op::Edns::new();
    edns.set_max_payload(512);
    message.set_edns(edns);
    let socket = udp(server.address).await;
    let reply = exchange(&socket, &message.to_vec().unwrap()).await;
    assert!(reply.len() <= 512, "{}", reply.len());
    let reply = Message::from_vec(&reply).unwrap();
    assert_eq!(rcode_name(reply.metadata.response_code), "NXDOMAIN");
}

/// The kind of CVE-2026-62994.
#[tokio::test]
async fn a_transfer_has_endpoints_that_have_no_ports() {
    let server = redis(TRANSFERS).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(
        &mut stream,
        &question(1, "cluster.local.", RecordType::AXFR),
    )
    .await;
    let message = receive(&mut stream).await.unwrap();
    let of = |r: &&hickory_proto::rr::Record| {
        r.name
            .to_string()
            .ends_with("redis.default.svc.cluster.local.")
    };
    let records = message.answers.iter().filter(of);
    let records: Vec<_> = records.map(|r| format!("{} {}", r.name, r.data)).collect();
    let wanted = [
        "redis.default.svc.cluster.local. 10.0.0.1",
        "redis-0.redis.default.svc.cluster.local. 10.0.0.1",
    ];
    assert_eq!(records, wanted);
}
