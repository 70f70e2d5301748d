//! Connections: several questions on one, clients that read nothing, idle ones, and the end of the server.

use std::net::SocketAddr;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use headless_dns::answer::Reply;
use headless_dns::corefile;
use headless_dns::listen::{Bound, Budget, Handler, Kept, respond};
use headless_dns::message::question::{Query, Transport};
use headless_dns::name::Name;
use headless_dns::plugin::{Handled, Next, Parts, Plugin, Router, read_blocks};
use headless_dns::serve::files::Files;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Barrier;
use tokio_util::sync::CancellationToken;

use super::support::dns::{ask, data, question, receive, send, udp};
use super::{LOOPBACK, TRANSFERS, WEB, server};

#[tokio::test]
async fn pipelined_queries_do_not_wait_for_each_other() {
    // An upstream that takes questions and never answers.
    let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let corefile = format!(
        ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local\n forward . {} {{\n prefer_udp\n }}\n}}",
        upstream.local_addr().unwrap()
    );
    let server = server(&corefile).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    send(
        &mut stream,
        &question(1, "slow.example.com.", RecordType::A),
    )
    .await;
    send(&mut stream, &question(2, WEB, RecordType::A)).await;
    assert_eq!(receive(&mut stream).await.unwrap().metadata.id, 2);
}

#[tokio::test]
async fn a_client_that_reads_nothing_blocks_nobody() {
    let server = server(LOOPBACK).await;
    let greedy = TcpStream::connect(server.address).await.unwrap();
    // More questions than replies fit into the sockets' buffers, as far as the client can write them.
    let packet = question(1, WEB, RecordType::A);
    let framed = [
        &u16::try_from(packet.len()).unwrap().to_be_bytes()[..],
        &packet,
    ]
    .concat()
    .repeat(64);
    for _ in 0..2_000 {
        if greedy.try_write(&framed).is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let mut other = TcpStream::connect(server.address).await.unwrap();
    send(&mut other, &packet).await;
    assert_eq!(data(&receive(&mut other).await.unwrap()), ["10.96.0.50"]);
    assert_eq!(
        data(&ask(server.address, WEB, RecordType::A).await),
        ["10.96.0.50"]
    );
    drop(greedy);
}

#[tokio::test]
async fn what_was_asked_before_the_end_is_answered_before_the_end() {
    let upstream = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let corefile = format!(
        ".:0 {{\n bind 127.0.0.1\n forward . {}\n}}",
        upstream.local_addr().unwrap()
    );
    let server = server(&corefile).await;
    let client = udp(server.address).await;
    client
        .send(&question(9, "example.com.", RecordType::A))
        .await
        .unwrap();
    let mut request = [0; 512];
    let (size, peer) = upstream.recv_from(&mut request).await.unwrap();
    server.stop.cancel();
    request[2] |= 0x80;
    upstream.send_to(&request[..size], peer).await.unwrap();
    let mut reply = [0; 512];
    let size = client.recv(&mut reply).await.unwrap();
    assert_eq!(Message::from_vec(&reply[..size]).unwrap().metadata.id, 9);
    server.task.await.unwrap().unwrap();
    assert!(
        std::net::TcpListener::bind(server.address).is_ok(),
        "the port is free again"
    );
}

#[tokio::test]
async fn datagrams_that_have_come_before_the_end_are_answered() {
    let server = server(WHOAMI).await;
    let client = udp(server.address).await;
    socket2::SockRef::from(&client)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    let all = 0..2000_u16;
    for id in all.clone() {
        let question = question(id, "example.com.", RecordType::A);
        client.send(&question).await.unwrap();
    }
    server.stop.cancel();
    server.task.await.unwrap().unwrap();
    let mut ids = Vec::new();
    let mut reply = [0; 512];
    while let Ok(size) = client.try_recv(&mut reply) {
        ids.push(Message::from_vec(&reply[..size]).unwrap().metadata.id);
    }
    ids.sort_unstable();
    assert_eq!(ids, all.collect::<Vec<_>>());
}

const WHOAMI: &str = ".:0 {\n bind 127.0.0.1\n whoami\n}\n";

pub(crate) fn whoami_router() -> Arc<Router> {
    let blocks = corefile::parse("Corefile", ". {\n whoami\n}", &Files).unwrap();
    let mut blocks = read_blocks(&blocks, &Files).unwrap();
    let (_, link) = blocks.remove(0).links.remove(0);
    let chain = Arc::from([link.build(&Parts::default()).unwrap()]);
    Router::new(vec![(Name::root(), chain)], false)
}

/// Sockets on which `whoami` answers, with room for so many connections.
fn whoami(connections: usize) -> SocketAddr {
    let mut bound = Bound::taking_over(Kept::default(), 1);
    let address = "127.0.0.1:0".parse().unwrap();
    let address = bound.bind(address, whoami_router()).unwrap();
    let budget = Budget {
        connections,
        ..Budget::of(20_000, 1 << 30)
    };
    tokio::spawn(bound.run(CancellationToken::new(), budget));
    address
}

#[tokio::test]
async fn a_server_of_hickory_gives_the_same_answers() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let mut server = hickory_server::Server::new(Handler::new(whoami_router()));
    server.register_socket(socket);
    let client = udp(address).await;
    let question = question(1, "x.", RecordType::A);
    client.send(&question).await.unwrap();
    let mut reply = [0; 512];
    let size = client.recv(&mut reply).await.unwrap();
    let from = client.local_addr().unwrap().into();
    let ours = respond(&whoami_router(), &question, Transport::Udp, from).await;
    let read = |wire: &[u8]| Message::from_vec(wire).unwrap();
    assert_eq!(read(&reply[..size]), read(&ours[0]));
}

#[tokio::test]
async fn an_idle_connection_makes_room_for_a_new_one() {
    let address = whoami(1);
    let question = question(1, "x.", RecordType::A);
    let mut idle = TcpStream::connect(address).await.unwrap();
    send(&mut idle, &question).await;
    assert!(receive(&mut idle).await.is_some());
    let mut busy = TcpStream::connect(address).await.unwrap();
    send(&mut busy, &question).await;
    assert!(receive(&mut busy).await.is_some(), "there is room for it");
    assert!(receive(&mut idle).await.is_none(), "the idle one has gone");
    // Half a question is none.
    busy.write_all(&[0]).await.unwrap();
    let mut third = TcpStream::connect(address).await.unwrap();
    send(&mut third, &question).await;
    assert!(receive(&mut third).await.is_some());
}

#[tokio::test]
async fn questions_that_come_together_are_all_answered_in_their_order() {
    let mut stream = TcpStream::connect(whoami(1)).await.unwrap();
    let mut together = Vec::new();
    for id in 0..300 {
        let question = question(id, "x.", RecordType::A);
        together.extend(u16::try_from(question.len()).unwrap().to_be_bytes());
        together.extend(question);
    }
    stream.write_all(&together).await.unwrap();
    for id in 0..300 {
        let reply = receive(&mut stream).await.unwrap();
        assert_eq!(reply.metadata.id, id);
    }
}

#[tokio::test]
async fn what_is_asked_behind_a_transfer_is_answered_too() {
    let server = server(TRANSFERS).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let whole = question(1, "cluster.local.", RecordType::AXFR);
    let packets = [whole.clone(), whole, question(2, WEB, RecordType::A)];
    let framed = packets.map(|packet| {
        let size = u16::try_from(packet.len()).unwrap().to_be_bytes();
        [&size[..], &packet].concat()
    });
    stream.write_all(&framed.concat()).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(receive(&mut stream).await.unwrap().metadata.id);
    }
    assert_eq!(ids, [1, 1, 2]);
}

/// Answers with 60 kB once so many have asked.
struct Large(Barrier);

impl Plugin for Large {
    fn handle<'a>(&'a self, query: &'a Query, _: Next<'a>) -> BoxFuture<'a, Handled> {
        async move {
            self.0.wait().await;
            let mut wire = question(query.id, "x.", RecordType::A);
            wire[2] |= 0x80;
            wire.resize(60_000, 0);
            Ok(Reply::Raw(wire))
        }
        .boxed()
    }
}

/// Replies that come later than their questions' turn take room too.
#[tokio::test]
async fn replies_that_wait_for_their_client_have_a_limit() {
    const COUNT: u16 = 100;
    let large = Large(Barrier::new(COUNT.into()));
    let chain = Arc::from([Arc::new(large) as Arc<dyn Plugin>]);
    let router = Router::new(vec![(Name::root(), chain)], false);
    let budget = Budget {
        untaken: 256 << 10,
        ..Budget::of(20_000, 1 << 30)
    };
    let mut bound = Bound::taking_over(Kept::default(), 1);
    let address = bound.bind("127.0.0.1:0".parse().unwrap(), router).unwrap();
    tokio::spawn(bound.run(CancellationToken::new(), budget));
    let mut stream = TcpStream::connect(address).await.unwrap();
    for id in 0..COUNT {
        send(&mut stream, &question(id, "x.", RecordType::A)).await;
    }
    let (mut large, mut failures) = (0, 0);
    for _ in 0..COUNT {
        let size = stream.read_u16().await.unwrap();
        let mut reply = vec![0; size.into()];
        stream.read_exact(&mut reply).await.unwrap();
        match reply[3] & 0x0f {
            2 => failures += 1,
            _ => large += 1,
        }
    }
    assert!(
        large > 0 && failures > 0,
        "{large} came whole, {failures} failed"
    );
}
