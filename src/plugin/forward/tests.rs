use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::{TcpListener, UdpSocket};

use super::datagrams::Datagrams;
use super::*;
use crate::fake_upstream::{self, Over};
use crate::message::question::{Edns, Question, RecordType, Route, Transport};
use crate::message::record;
use crate::message::reply::Composed;
use crate::message::{Screened, encode, screen};
use crate::name::Name;
use crate::plugin::Parts;
use crate::plugin::tests::{block, error, query};
use crate::plugin::{Chain, Router};

/// What a fake upstream says to a request: over UDP or TCP, `None` for silence.
type Says = fn(&Query) -> Option<Composed>;

fn addresses(query: &Query, n: u8) -> Composed {
    let answer = (0..n)
        .map(|i| record::address(query.question.qname.to_name(0), 60, [192, 0, 2, i].into()))
        .collect();
    Composed {
        answer,
        ..Composed::empty(ResponseCode::NoError)
    }
}

fn reply(packet: &[u8], transport: Transport, says: Says) -> Option<Vec<u8>> {
    let Screened::Query(query) = screen(
        packet,
        transport,
        Route::from(SocketAddr::from(([127, 0, 0, 1], 1))),
    ) else {
        panic!("the upstream was sent something odd");
    };
    says(&query).map(|composed| encode(&query, &composed))
}

async fn upstream(says: Says) -> SocketAddr {
    fake_upstream::upstream(move |packet, over| {
        let transport = match over {
            Over::Udp => Transport::Udp,
            Over::Tcp => Transport::Tcp,
        };
        reply(packet, transport, says)
    })
    .await
}

fn forward(directive: &str) -> Arc<Router> {
    let link = block(directive).links.remove(0).1;
    let chain: Chain = Arc::from([link.build(&Parts::default()).unwrap()]);
    Router::new(vec![(Name::root(), chain)], true)
}

async fn ask(router: &Router, query: &Query) -> (ResponseCode, usize, bool) {
    let reply = router.answer(query).await;
    let rcode = reply.rcode();
    let reply = reply.into_composed(&query.question).unwrap();
    (rcode, reply.answer.len(), reply.truncated)
}

#[tokio::test]
async fn a_reply_cut_over_udp_is_fetched_over_tcp_and_cut_to_the_client() {
    let router = forward(&format!(
        "forward . {} {{\n prefer_udp\n}}",
        upstream(|q| Some(addresses(q, 60))).await
    ));
    let mut query = query("example.com", RecordType::A);
    assert_eq!(
        ask(&router, &query).await,
        (ResponseCode::NoError, 30, true)
    );
    query.edns = Some(Edns {
        udp_size: 1232,
        dnssec_ok: false,
    });
    assert_eq!(
        ask(&router, &query).await,
        (ResponseCode::NoError, 60, false)
    );
    query.transport = Transport::Tcp;
    assert_eq!(
        ask(&router, &query).await,
        (ResponseCode::NoError, 60, false)
    );
}

#[tokio::test]
async fn the_next_upstream_is_asked_where_one_is_dead() {
    let dead = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let alive = upstream(|q| Some(addresses(q, 1))).await;
    let router = forward(&format!(
        "forward . {dead} {alive} {{\n policy sequential\n}}"
    ));
    assert_eq!(
        ask(&router, &query("example.com", RecordType::A)).await,
        (ResponseCode::NoError, 1, false)
    );
}

#[tokio::test]
async fn where_nobody_answers_the_reply_is_servfail() {
    let dead = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap();
    let router = forward(&format!("forward . {dead}"));
    let reply = router.answer(&query("example.com", RecordType::A)).await;
    assert_eq!(reply.rcode(), ResponseCode::ServFail);
}

#[tokio::test]
async fn names_outside_from_and_below_except_are_not_forwarded() {
    let up = upstream(|q| Some(addresses(q, 1))).await;
    let router = forward(&format!(
        "forward example.org {up} {{\n except a.example.org\n}}"
    ));
    for (qname, rcode) in [
        ("x.example.org", ResponseCode::NoError),
        ("a.example.org", ResponseCode::ServFail),
        ("example.com", ResponseCode::ServFail),
    ] {
        assert_eq!(
            router.answer(&query(qname, RecordType::A)).await.rcode(),
            rcode,
            "{qname}"
        );
    }
}

#[tokio::test]
async fn the_reply_has_the_client_s_id_and_question() {
    let router = forward(&format!(
        "forward . {}",
        upstream(|q| Some(addresses(q, 1))).await
    ));
    let Reply::Raw(wire) = router.answer(&query("Example.COM", RecordType::A)).await else {
        panic!("not raw")
    };
    assert_eq!(wire[..2], [0, 7]);
    assert!(
        wire.windows(11).any(|w| w == b"\x07Example\x03CO"),
        "the case is the client's"
    );
}

/// A socket to forward to, and a router that does.
async fn socket() -> (UdpSocket, Arc<Router>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let router = forward(&format!("forward . {}", socket.local_addr().unwrap()));
    (socket, router)
}

#[tokio::test]
async fn identical_questions_at_a_time_are_one_to_the_upstream_and_each_has_its_reply() {
    let (socket, router) = socket().await;
    let ask = |qname: &str, id: u16| {
        let query = Query {
            id,
            ..query(qname, RecordType::A)
        };
        let router = Arc::clone(&router);
        tokio::spawn(async move {
            let Reply::Raw(wire) = router.answer(&query).await else {
                panic!("not raw")
            };
            wire[..20].to_vec()
        })
    };
    let asked = [ask("EXAMPLE.com", 1), ask("example.COM", 2)];
    let mut buffer = [0; 512];
    let (size, peer) = socket.recv_from(&mut buffer).await.unwrap();
    // Both wait by now: the runtime has one thread, and has nothing else to do before this.
    assert!(socket.try_recv_from(&mut [0; 512]).is_err());
    let reply = reply(&buffer[..size], Transport::Udp, |q| Some(addresses(q, 1)));
    socket.send_to(&reply.unwrap(), peer).await.unwrap();
    let [first, second] = asked;
    let [first, second] = [first.await.unwrap(), second.await.unwrap()];
    assert_eq!(
        (&first[..2], &first[12..]),
        (&[0, 1][..], &b"\x07EXAMPLE"[..])
    );
    assert_eq!(
        (&second[..2], &second[12..]),
        (&[0, 2][..], &b"\x07example"[..])
    );
    // What is answered is asked again the next time.
    let _again = ask("example.com", 3);
    socket.recv_from(&mut buffer).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_datagram_that_is_lost_is_sent_again() {
    let (socket, router) = socket().await;
    let upstream = tokio::spawn(async move {
        let mut buffer = [0; 512];
        let mut sent = Vec::new();
        for _ in 0..2 {
            let (size, peer) = socket.recv_from(&mut buffer).await.unwrap();
            sent.push((buffer[..size].to_vec(), peer));
        }
        let (request, peer) = sent[0].clone();
        let reply = reply(&request, Transport::Udp, |q| Some(addresses(q, 1)));
        socket.send_to(&reply.unwrap(), peer).await.unwrap();
        sent
    });
    assert_eq!(
        ask(&router, &query("example.com", RecordType::A)).await,
        (ResponseCode::NoError, 1, false)
    );
    let sent = upstream.await.unwrap();
    assert_eq!(sent, vec![sent[0].clone(); 2]);
}

/// A change that makes a reply one of no use.
type Lie = fn(&mut Vec<u8>);

#[tokio::test(start_paused = true)]
async fn a_lie_with_the_right_id_does_not_hide_the_reply_behind_it() {
    let lies: [(Lie, ResponseCode); 4] = [
        (|wire| wire[13] = b'y', ResponseCode::FormErr),
        (|wire| wire[2] |= 5 << 3, ResponseCode::FormErr),
        (|wire| wire.truncate(12), ResponseCode::ServFail),
        // The address is text, of which the first string has ten octets.
        (
            |wire| {
                let record = wire.len() - 16;
                wire[record + 3] = 16;
                wire[record + 12] = 10;
            },
            ResponseCode::ServFail,
        ),
    ];
    for (i, (lie, alone)) in lies.into_iter().enumerate() {
        for (truth, wanted) in [
            (true, (ResponseCode::NoError, 1, false)),
            (false, (alone, 0, false)),
        ] {
            let (socket, router) = socket().await;
            let upstream = tokio::spawn(async move {
                let mut buffer = [0; 512];
                while let Ok((size, peer)) = socket.recv_from(&mut buffer).await {
                    let reply = reply(&buffer[..size], Transport::Udp, |q| Some(addresses(q, 1)));
                    let (reply, mut lied) = (reply.clone().unwrap(), reply.unwrap());
                    lie(&mut lied);
                    socket.send_to(&lied, peer).await.unwrap();
                    if truth {
                        socket.send_to(&reply, peer).await.unwrap();
                    }
                }
            });
            let answered = ask(&router, &query("example.com", RecordType::A)).await;
            assert_eq!(
                answered, wanted,
                "lie {i}, with the truth behind it: {truth}"
            );
            upstream.abort();
        }
    }
}

#[tokio::test]
async fn a_record_that_no_library_would_write_is_passed_on_octet_by_octet() {
    // HTTPS in alias mode (priority 0) with parameters, which RFC 9460 section 2.4.2 has ignored, not refused.
    const RECORD: &[u8] =
        b"\xc0\x0c\0\x41\0\x01\0\0\0\x3c\0\x11\0\0\x01a\x04test\0\0\x01\0\x03\x02h2";
    let says = |packet: &[u8], _| {
        let mut reply = packet.to_vec();
        (reply[2], reply[3], reply[7]) = (0x81, 0x80, 1);
        reply.extend_from_slice(RECORD);
        Some(reply)
    };
    let router = forward(&format!(
        "forward . {}",
        fake_upstream::upstream(says).await
    ));
    let query = query("example.com", RecordType::HTTPS);
    let reply = router.answer(&query).await.encode(&query);
    let reply = reply.into_first().unwrap();
    assert_eq!(reply[reply.len() - RECORD.len()..], *RECORD);
    assert_eq!((reply[3] & 0x0f, &reply[6..8]), (0, &[0, 1][..]));
}

/// The ports from which so many questions come, one after the other.
async fn ports_of(questions: u32) -> BTreeSet<u16> {
    let (socket, router) = socket().await;
    let upstream = tokio::spawn(async move {
        let (mut buffer, mut ports) = ([0; 512], BTreeSet::new());
        for _ in 0..questions {
            let (size, peer) = socket.recv_from(&mut buffer).await.unwrap();
            let reply = reply(&buffer[..size], Transport::Udp, |q| Some(addresses(q, 1)));
            socket.send_to(&reply.unwrap(), peer).await.unwrap();
            ports.insert(peer.port());
        }
        ports
    });
    for _ in 0..questions {
        let reply = ask(&router, &query("example.com", RecordType::A)).await;
        assert_eq!(reply, (ResponseCode::NoError, 1, false));
    }
    upstream.await.unwrap()
}

#[tokio::test]
async fn a_socket_is_kept_for_the_next_question_but_not_for_ever() {
    let one = datagrams::QUESTIONS;
    assert_eq!(ports_of(one).await.len(), 1);
    assert_eq!(ports_of(one + 1).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_comes_back_through_the_upstream_costs_one_query() {
    let (socket, router) = socket().await;
    let client = query("one.example", RecordType::A);
    // A datagram that is sent again has the id of the first.
    let (socket, asked) = (Arc::new(socket), Arc::new(Mutex::new(BTreeSet::new())));
    let relay = {
        let (router, asked) = (Arc::clone(&router), Arc::clone(&asked));
        async move {
            let mut buffer = [0; 512];
            loop {
                let (size, peer) = socket.recv_from(&mut buffer).await.unwrap();
                let Screened::Query(query) = screen(&buffer[..size], Transport::Udp, peer.into())
                else {
                    panic!("it was sent something odd");
                };
                if query.question.qtype == RecordType::A {
                    asked.lock().unwrap().insert(query.id);
                }
                let (router, socket) = (Arc::clone(&router), Arc::clone(&socket));
                tokio::spawn(async move {
                    let reply = Composed::empty(router.answer(&query).await.rcode());
                    let reply = encode(&query, &reply);
                    socket.send_to(&reply, peer).await.unwrap();
                });
            }
        }
    };
    tokio::spawn(relay);
    assert_eq!(router.answer(&client).await.rcode(), ResponseCode::ServFail);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[test]
fn upstreams_come_from_addresses_and_resolv_conf() {
    let block = block("forward . 10.0.0.1 10.0.0.2:5353 ::1 [::1]:54 /etc/resolv.conf");
    let all: Vec<_> = block.upstreams().map(|(a, _)| a.to_string()).collect();
    assert_eq!(
        all,
        [
            "10.0.0.1:53",
            "10.0.0.2:5353",
            "[::1]:53",
            "[::1]:54",
            "192.0.2.1:53",
            "[2001:db8::1]:53"
        ]
    );
}

#[tokio::test]
async fn a_host_is_all_of_its_addresses_in_its_place() {
    let resolver = upstream(|query| {
        let ip = if query.question.qtype == RecordType::A {
            [192, 0, 2, 7].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        };
        Some(Composed {
            answer: vec![record::address(query.question.qname.to_name(0), 60, ip)],
            ..Composed::empty(ResponseCode::NoError)
        })
    })
    .await;
    let text =
        format!("forward . 10.0.0.1 tls://dns.example:54 10.0.0.2 {{\n resolver {resolver}\n}}");
    let mut block = block(&text);
    let link = &mut block.links[0].1;
    link.prepare().await.unwrap();
    let all: Vec<_> = link
        .upstreams()
        .iter()
        .map(|(a, _)| a.to_string())
        .collect();
    assert_eq!(
        all,
        ["10.0.0.1:53", "192.0.2.7:54", "[::1]:54", "10.0.0.2:53"]
    );
}

#[tokio::test]
async fn a_host_without_address_is_an_error_of_the_file() {
    let resolver = upstream(|_| Some(Composed::empty(ResponseCode::NXDomain))).await;
    let text = format!("forward . dns.example {{\n resolver {resolver}\n}}");
    let error = block(&text).links[0].1.prepare().await.unwrap_err();
    assert_eq!(
        error.problem(),
        "no address of dns.example. can be found: it has none"
    );
}

#[test]
fn wrong_forwards_are_refused() {
    for (text, problem) in [
        ("forward .", "there is no upstream"),
        ("forward", "`forward` needs an argument"),
        (
            "forward . /no/where",
            "/no/where is no address and no host, and cannot be read as a file: no such file",
        ),
        (
            "forward . 10.0.0",
            "10.0.0 is no address and no host, and cannot be read as a file: no such file",
        ),
        (
            "forward . 1.1.1.1 {\n resolver x.example\n}",
            "'x.example' is no address",
        ),
        ("forward . quic://1.1.1.1", "quic:// is not supported"),
        (
            "forward . 1.1.1.1 {\n failover NOPE\n}",
            "'NOPE' is no response code",
        ),
        (
            "forward . 1.1.1.1 {\n health_check 1s domain\n}",
            "'domain' is no option of `health_check`",
        ),
        (
            "forward . 1.1.1.1 {\n policy best\n}",
            "unknown policy 'best'",
        ),
        (
            "forward . 1.1.1.1 {\n max_concurrent -1\n}",
            "'-1' is no number",
        ),
        (
            "forward . 1.1.1.1 {\n excpt x\n}",
            "unknown property 'excpt' of `forward`",
        ),
    ] {
        assert_eq!(error(text), problem, "{text}");
    }
}

#[tokio::test]
async fn a_port_that_is_closed_is_told_at_once() {
    let free = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let closed = free.local_addr().unwrap();
    drop(free);
    let mut datagrams = Datagrams::connect(closed, None).await.unwrap();
    let name = crate::name::absolute("a.test.").unwrap();
    let query = Query::plain(Question::new(name, RecordType::A), closed);
    let error = datagrams.ask(&query, 7).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    // One that had to be asked again is not.
    assert!(datagrams.is_reusable());
}

/// The kind of CVE-2019-19794 and CVE-2025-40780.
#[tokio::test]
async fn the_ids_of_questions_to_upstreams_cannot_be_foreseen() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let upstream = fake_upstream::upstream(move |packet, _| {
        noted
            .lock()
            .unwrap()
            .push(u16::from_be_bytes([packet[0], packet[1]]));
        reply(packet, Transport::Udp, |query| Some(addresses(query, 1)))
    });
    let router = forward(&format!("forward . {}", upstream.await));
    for n in 0..500 {
        let answer = ask(&router, &query(&format!("a{n}.test"), RecordType::A)).await;
        assert_eq!(answer, (ResponseCode::NoError, 1, false));
    }
    let ids = seen.lock().unwrap().clone();
    let different: BTreeSet<u16> = ids.iter().copied().collect();
    // By chance two of 500 are the same; by the same step from one to the next, few are.
    assert!(different.len() > 450, "{}", different.len());
    let steps: BTreeSet<u16> = ids
        .windows(2)
        .map(|pair| pair[1].wrapping_sub(pair[0]))
        .collect();
    assert!(steps.len() > 450, "{}", steps.len());
}

/// Thousands wait at a time: what they may take together counts on four kilobytes for each, those of the lane included.
#[test]
fn a_question_that_waits_for_an_upstream_takes_less_than_four_kilobytes() {
    const WAITING: i64 = 256;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let silent = runtime.block_on(UdpSocket::bind("127.0.0.1:0")).unwrap();
    let router = forward(&format!("forward . {}", silent.local_addr().unwrap()));
    let ask = async || {
        for i in 0..WAITING {
            let (router, query) = (
                Arc::clone(&router),
                query(&format!("{i}.test"), RecordType::A),
            );
            tokio::spawn(async move { router.handle(&query).await });
        }
        let mut datagram = [0; 512];
        for _ in 0..WAITING {
            silent.recv(&mut datagram).await.unwrap();
        }
    };
    let made = allocation_counter::measure(|| runtime.block_on(ask()));
    let each = made.bytes_current / WAITING;
    assert!((1024..=3584).contains(&each), "{each}");
}
