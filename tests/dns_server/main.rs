//! The DNS server on real sockets.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod against;
mod connections;
mod encrypted;
mod frames;
mod packets;
mod secured;
#[path = "../support/mod.rs"]
mod support;
mod zones;

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use headless_cluster::{Cluster, Delays};
use headless_dns::api::Client;
use headless_dns::corefile::CorefileError;
use headless_dns::message::text;
use headless_dns::serve::{Ambient, Kept, Program, Setup};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::RecordType;
use support::dns::{ask, data, exchange, question, receive, send, udp};
use support::names::setup;
use support::upstream::upstream;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.50, ports: [{name: http, port: 80}]}\n";
const WEB: &str = "web.default.svc.cluster.local.";

struct Server {
    address: SocketAddr,
    addresses: Vec<SocketAddr>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    cluster: Cluster,
}

async fn bind(corefile: &str, client: Client) -> anyhow::Result<Program> {
    bind_after(Kept::default(), corefile, client).await
}

/// A server that follows another.
async fn bind_after(previous: Kept, corefile: &str, client: Client) -> anyhow::Result<Program> {
    let setup = Setup {
        previous,
        ..setup(corefile, Ambient::Client(client))
    };
    Program::bind(setup).await
}

/// A server with this Corefile over a cluster with one Service.
async fn server(corefile: &str) -> Server {
    let cluster = Cluster::start(Delays::default());
    cluster.apply("web.yaml", SERVICE).unwrap();
    let program = bind(corefile, cluster.client()).await.unwrap();
    let addresses = program.addresses();
    let stop = CancellationToken::new();
    let task = tokio::spawn(program.run(stop.clone()));
    Server {
        address: addresses[0],
        addresses,
        stop,
        task,
        cluster,
    }
}

const TRANSFERS: &str =
    ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local\n transfer cluster.local {\n to *\n }\n}";

const LOOPBACK: &str = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local\n}";

#[tokio::test]
async fn malformed_packets_get_an_error_or_silence_and_the_server_goes_on() {
    let server = server(LOOPBACK).await;
    let socket = udp(server.address).await;
    let good = question(7, WEB, RecordType::A);
    let header = |at: usize, value: u8| {
        let mut packet = good.clone();
        packet[at] = value;
        packet
    };
    let with_name = |name: &[u8]| [&good[..12], name, &[0, 1, 0, 1]].concat();
    let formerr = [
        header(5, 0),
        header(5, 2),
        [&header(4, 0xff)[..4], &[0xff, 0xff], &good[6..]].concat(),
        good[..12].to_vec(),
        good[..good.len() - 3].to_vec(),
        with_name(&[0xc0, 12]),
        with_name(&[0xc0, 0xff]),
        with_name(&[&[64][..], &[b'a'; 64], &[0]].concat()),
    ];
    for packet in &formerr {
        let reply = exchange(&socket, packet).await;
        assert_eq!(reply, [0, 7, 0x81, 1, 0, 0, 0, 0, 0, 0, 0, 0], "{packet:?}");
    }
    // Silence: the next reply is that to the next question.
    for packet in [&good[..11], &header(2, 0x81), &[0xff; 12], &[]] {
        socket.send(packet).await.unwrap();
        let reply = Message::from_vec(&exchange(&socket, &good).await).unwrap();
        assert_eq!(
            (reply.metadata.id, data(&reply)),
            (7, vec!["10.96.0.50".to_owned()])
        );
    }
}

#[tokio::test]
async fn a_reply_leaves_from_the_address_that_was_asked() {
    let server = server(".:0 {\n kubernetes cluster.local\n}").await;
    let port = server.address.port();
    for ip in ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        if ip.is_ipv6() && std::net::UdpSocket::bind((ip, 0)).is_err() {
            continue; // a machine without IPv6
        }
        assert_eq!(
            data(&ask((ip, port).into(), WEB, RecordType::A).await),
            ["10.96.0.50"],
            "{ip}"
        );
    }
}

#[tokio::test]
async fn udp_and_tcp_answer_alike_on_every_address_bound() {
    let server = server(".:0 {\n bind 127.0.0.1\n kubernetes cluster.local\n}").await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (qname, qtype, rcode, wanted) in [
        (
            WEB,
            RecordType::A,
            ResponseCode::NoError,
            vec!["10.96.0.50"],
        ),
        (WEB, RecordType::AAAA, ResponseCode::NoError, vec![]),
        (
            "nobody.default.svc.cluster.local.",
            RecordType::A,
            ResponseCode::NXDomain,
            vec![],
        ),
        (
            "example.com.",
            RecordType::A,
            ResponseCode::ServFail,
            vec![],
        ),
    ] {
        send(&mut stream, &question(1, qname, qtype)).await;
        let tcp = receive(&mut stream).await.unwrap();
        let udp = ask(server.address, qname, qtype).await;
        assert_eq!(
            (udp.metadata.response_code, data(&udp)),
            (rcode, wanted.iter().map(|s| (*s).to_owned()).collect())
        );
        assert_eq!(udp, tcp);
    }
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let holder = std::net::TcpListener::bind(taken).unwrap();
    let cluster = Cluster::start(Delays::default());
    let corefile = format!(
        ".:{} {{\n bind 127.0.0.1\n kubernetes cluster.local\n}}",
        taken.port()
    );
    let Err(error) = bind(&corefile, cluster.client()).await else {
        panic!("bound twice")
    };
    assert_eq!(
        error.to_string(),
        format!(
            "error: cannot listen on {taken} (tcp): Address already in use (os error 98)\n \
             --> Corefile:2:7\n  |\n2 |  bind 127.0.0.1\n  |       ^^^^^^^^^ expected an address of this machine, \
             and a port that nobody has"
        )
    );
    drop(holder);
}

#[tokio::test]
async fn what_cannot_be_served_is_refused_with_its_line_and_column() {
    let cluster = Cluster::start(Delays::default());
    for (corefile, problem, place) in [
        (
            "a:5300 {\n bind 127.0.0.1\n}\na:5300 {\n bind 127.0.0.1\n}",
            "cannot serve a.:5300 - it is already defined",
            (4, 1),
        ),
        (
            "a:5300 {\n bind 127.0.0.1\n}\na:5300 {\n}",
            "cannot serve a.:5300 - it is already defined",
            (4, 1),
        ),
        (
            "https://a {\n}",
            "this transport needs a certificate",
            (1, 1),
        ),
        ("quic://a {\n}", "this transport is not supported", (1, 1)),
        (
            "tls://a {\n tls none gone\n}",
            "cannot use none: I/O error: No such file or directory (os error 2)",
            (2, 6),
        ),
        (
            "a:0 {\n bind 127.0.0.1\n k8s_external b\n}",
            "`k8s_external` needs `kubernetes` in the same server block",
            (3, 2),
        ),
        (
            "a:0 {\n bind 127.0.0.1\n autopath @kubernetes\n}",
            "`autopath` needs `kubernetes` in the same server block",
            (3, 2),
        ),
        (
            "a:0 {\n bind 127.0.0.1\n kubernetes a {\n  kubeconfig /gone\n }\n}",
            "kubeconfig /gone: failed to read kubeconfig from '\"/gone\"': No such file or directory (os error 2)",
            (4, 3),
        ),
        (
            "a:5300 {\n bind 192.0.2.77\n}",
            "cannot listen on 192.0.2.77:5300 (tcp): Cannot assign requested address (os error 99)",
            (2, 7),
        ),
    ] {
        let Err(error) = bind(corefile, cluster.client()).await else {
            panic!("{corefile} was taken")
        };
        let error: CorefileError = error.downcast().unwrap();
        assert_eq!((error.problem(), error.position()), (problem, place));
    }
}

#[tokio::test]
async fn a_block_with_addresses_of_its_own_stands_beside_one_without() {
    let cluster = Cluster::start(Delays::default());
    // Port 0 is another for each of them: a free one is found first.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    let own = format!("a.test:{port} {{\n bind 127.0.0.2\n hosts {{\n  10.0.0.1 a.test\n }}\n}}\n");
    let any = format!("b.test:{port} {{\n hosts {{\n  10.0.0.2 b.test\n }}\n}}\n");
    for text in [[own.clone(), any.clone()].concat(), [any, own].concat()] {
        let program = bind(&text, cluster.client()).await.unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(program.run(stop.clone()));
        let mut seen = Vec::new();
        for ip in ["127.0.0.1", "127.0.0.2"] {
            for name in ["a.test.", "b.test."] {
                let server = SocketAddr::new(ip.parse().unwrap(), port);
                let packet = question(7, name, RecordType::A);
                let over_udp = exchange(&udp(server).await, &packet).await;
                let mut stream = TcpStream::connect(server).await.unwrap();
                send(&mut stream, &packet).await;
                let over_tcp = receive(&mut stream).await.unwrap();
                let over_udp = Message::from_vec(&over_udp).unwrap();
                assert_eq!(data(&over_udp), data(&over_tcp));
                seen.push(data(&over_tcp).join(" "));
            }
        }
        assert_eq!(seen, ["", "10.0.0.2", "10.0.0.1", ""]);
        stop.cancel();
        task.await.unwrap().unwrap();
    }
}

/// What an alias of this name is answered with, once the watch has delivered it.
async fn answer_of_alias(server: &Server, target: &str) -> (ResponseCode, Vec<String>) {
    let alias = format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: alias}}\nspec: {{type: ExternalName, externalName: {target}}}\n"
    );
    server.cluster.apply("alias.yaml", &alias).unwrap();
    loop {
        let name = "alias.default.svc.cluster.local.";
        let reply = ask(server.address, name, RecordType::A).await;
        let rcode = reply.metadata.response_code;
        if rcode != ResponseCode::NXDomain {
            return (rcode, data(&reply));
        }
    }
}

#[tokio::test]
async fn an_alias_whose_upstream_is_dead_is_servfail() {
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = dead.local_addr().unwrap();
    drop(dead);
    let server = server(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local\n forward . {address}\n}}"
    ))
    .await;
    let answer = answer_of_alias(&server, "example.com").await;
    assert_eq!(answer, (ResponseCode::ServFail, vec![]));
}

/// As where two servers forward to each other, and this one starts first.
#[tokio::test]
async fn a_loop_through_an_upstream_that_comes_later_ends_the_server_too() {
    let to = Arc::new(OnceLock::new());
    let (asked, server_at) = (AtomicUsize::new(0), Arc::clone(&to));
    let upstream = upstream(move |packet, _| {
        if asked.fetch_add(1, Ordering::Relaxed) == 0 {
            let mut message = Message::from_vec(packet).unwrap();
            message.metadata.message_type = MessageType::Response;
            message.metadata.response_code = ResponseCode::ServFail;
            return Some(message.to_vec().unwrap());
        }
        let relay = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        relay.send_to(packet, server_at.get().unwrap()).unwrap();
        None
    })
    .await;
    let corefile = format!(".:0 {{\n bind 127.0.0.1\n loop\n forward . {upstream}\n}}");
    let program = bind(&corefile, Cluster::start(Delays::default()).client())
        .await
        .unwrap();
    to.set(program.addresses()[0]).unwrap();
    let error = program.run(CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "a question came back to this server");
}

#[tokio::test]
async fn what_a_block_keeps_stays_where_a_reload_leaves_the_block_as_it_is() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let upstream = upstream(move |packet, _| {
        counted.fetch_add(1, Ordering::Relaxed);
        let mut message = Message::from_vec(packet).unwrap();
        message.metadata.message_type = MessageType::Response;
        let record = text::record("a.test. 600 IN A 192.0.2.1").unwrap();
        message.answers.push(record);
        Some(message.to_vec().unwrap())
    })
    .await;
    let client = Cluster::start(Delays::default()).client();
    let corefile = |cache: &str, more: &str| {
        format!(".:0 {{\n bind 127.0.0.1\n {cache}\n forward . {upstream}\n}}\n{more}")
    };
    let other = "other.test:0 {\n bind 127.0.0.1\n whoami\n}";
    let mut kept = Kept::default();
    for (text, wanted) in [
        (corefile("cache 300", ""), 1),
        (corefile("cache 300", other), 1),
        (corefile("cache 301", other), 2),
    ] {
        let mut program = bind_after(kept, &text, client.clone()).await.unwrap();
        let address = program.addresses()[0];
        kept = program.keep();
        let stop = CancellationToken::new();
        let task = tokio::spawn(program.run(stop.clone()));
        let reply = ask(address, "a.test.", RecordType::A).await;
        assert_eq!(data(&reply), ["192.0.2.1"]);
        assert_eq!(asked.load(Ordering::Relaxed), wanted, "{text}");
        stop.cancel();
        task.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_load_balancer_s_host_is_looked_up_for_its_srv() {
    let server = server(
        ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local\n k8s_external ext.test\n \
         hosts {\n  10.9.9.9 lb.test\n  fd00::9 lb.test\n  fallthrough\n }\n}",
    )
    .await;
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: lb}\n\
                   spec: {type: LoadBalancer, clusterIP: 10.96.0.60, ports: [{name: http, port: 80}]}\n";
    server.cluster.apply("lb.yaml", service).unwrap();
    let status = r#"{"status":{"loadBalancer":{"ingress":[{"hostname":"lb.test"}]}}}"#;
    let patch = http::Request::patch("/api/v1/namespaces/default/services/lb/status")
        .header("content-type", "application/merge-patch+json")
        .body(status.into())
        .unwrap();
    server.cluster.client().request_text(patch).await.unwrap();
    let mut reply = ask(server.address, "lb.default.ext.test.", RecordType::SRV).await;
    while data(&reply).is_empty() {
        reply = ask(server.address, "lb.default.ext.test.", RecordType::SRV).await;
    }
    assert_eq!(data(&reply), ["0 100 80 lb.test."]);
    let glue: Vec<_> = reply.additionals.iter().map(ToString::to_string).collect();
    assert_eq!(
        glue,
        [
            "lb.test. 3600 IN A 10.9.9.9",
            "lb.test. 3600 IN AAAA fd00::9"
        ]
    );
}

#[tokio::test]
async fn an_alias_into_a_cluster_that_has_not_told_its_names_is_servfail() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = silent.local_addr().unwrap();
    let server = server(&format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local\n}}\n\
         other.local:0 {{\n bind 127.0.0.1\n kubernetes other.local {{\n  endpoint http://{address}\n  startup_timeout 1ms\n }}\n}}"
    ))
    .await;
    let target = "redis-0.redis.default.svc.other.local";
    let direct = ask(server.address, &format!("{target}."), RecordType::A).await;
    assert_eq!(direct.metadata.response_code, ResponseCode::ServFail);
    let answer = answer_of_alias(&server, target).await;
    assert_eq!(answer, (ResponseCode::ServFail, vec![]));
}

#[tokio::test]
async fn data_moves_while_the_duck_is_lame() {
    let corefile = "a.local:0 {\n bind 127.0.0.1\n ready 127.0.0.1:0\n health 127.0.0.1:0 {\n lameduck 1s\n }\n kubernetes a.local\n}";
    let server = server(corefile).await;
    let name = "late.default.svc.a.local.";
    assert_eq!(
        ask(server.address, name, RecordType::A)
            .await
            .metadata
            .response_code,
        ResponseCode::NXDomain
    );
    server.stop.cancel();
    // Still serving, still watching: a Service made after the stop signal is answered.
    server
        .cluster
        .apply(
            "late.yaml",
            &SERVICE
                .replace("web", "late")
                .replace("10.96.0.50", "10.96.0.51"),
        )
        .unwrap();
    let mut reply = ask(server.address, name, RecordType::A).await;
    while data(&reply).is_empty() {
        reply = ask(server.address, name, RecordType::A).await;
    }
    assert_eq!(data(&reply), ["10.96.0.51"]);
    server.task.await.unwrap().unwrap();
}

#[tokio::test]
async fn who_goes_on_asking_is_answered_after_the_duck_was_lame() {
    let corefile = "a.local:0 {\n bind 127.0.0.1\n health 127.0.0.1:0 {\n lameduck 10ms\n }\n kubernetes a.local\n}";
    let server = server(corefile).await;
    let began = Instant::now();
    server.stop.cancel();
    while began.elapsed() < Duration::from_millis(1200) {
        let reply = ask(server.address, "web.default.svc.a.local.", RecordType::A).await;
        assert_eq!(data(&reply), ["10.96.0.50"]);
    }
    // Nobody asks any more.
    server.task.await.unwrap().unwrap();
}

/// The status code of `GET /ready`, where there is an answer.
async fn ready(address: SocketAddr) -> std::io::Result<u16> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = TcpStream::connect(address).await?;
    let request = "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await?;
    let code = reply.split(' ').nth(1).and_then(|code| code.parse().ok());
    code.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

#[tokio::test]
async fn ready_only_when_every_stanza_is_synced_and_no_more_at_the_end() {
    let cluster = Cluster::start(Delays::default());
    let dead = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = dead.local_addr().unwrap();
    drop(dead);
    for (endpoint, wanted) in [
        (format!("endpoint http://{nobody}"), 503),
        (String::new(), 200),
    ] {
        let corefile = format!(
            "a.local:0 {{\n bind 127.0.0.1\n ready 127.0.0.1:0\n health 127.0.0.1:0 {{\n lameduck 1s\n }}\n kubernetes a.local {{\n {endpoint}\n startup_timeout 1ms\n }}\n}}\n\
             b.local:0 {{\n bind 127.0.0.1\n kubernetes b.local\n}}"
        );
        let program = bind(&corefile, cluster.client()).await.unwrap();
        let (probe, dns) = (program.probes().unwrap()[0], program.addresses()[0]);
        let (zones, stop) = (program.zones(), CancellationToken::new());
        let task = tokio::spawn(program.run(stop.clone()));
        // The second stanza is synced in any case; the first only where it has an API server.
        while !zones[1].synced() || wanted == 200 && ready(probe).await.unwrap() != 200 {
            tokio::task::yield_now().await;
        }
        assert_eq!(ready(probe).await.unwrap(), wanted);
        let reply = ask(dns, "x.a.local.", RecordType::A).await;
        let rcode = if wanted == 200 {
            ResponseCode::NXDomain
        } else {
            ResponseCode::ServFail
        };
        assert_eq!(reply.metadata.response_code, rcode);
        stop.cancel();
        // The duck is lame: its names are answered, and nobody is to come.
        while ready(probe).await.is_ok() {
            tokio::task::yield_now().await;
        }
        assert_eq!(
            ask(dns, "x.a.local.", RecordType::A)
                .await
                .metadata
                .response_code,
            rcode
        );
        task.await.unwrap().unwrap();
    }
}
