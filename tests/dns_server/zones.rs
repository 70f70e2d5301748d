//! Zones of files on real sockets: transferred, told of, and held by another server.

use std::net::SocketAddr;

use headless_dns::message::encode_notify;
use headless_dns::name::absolute;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::RecordType;
use tokio::net::UdpSocket;

use super::server;
use super::support::dns::{ask, data, exchange, udp};

fn zone(serial: u32, ip: &str) -> String {
    format!("$TTL 60\n@ SOA ns admin {serial} 7200 3600 1209600 60\n@ NS ns\nw A {ip}\n")
}

/// Waits until somebody tells of a zone, and says that it was heard; the zone's name.
async fn told(socket: &UdpSocket) -> String {
    let mut packet = [0; 512];
    let (size, from) = socket.recv_from(&mut packet).await.unwrap();
    let mut message = Message::from_vec(&packet[..size]).unwrap();
    assert_eq!(message.metadata.op_code, OpCode::Notify);
    assert_eq!(message.queries[0].query_type(), RecordType::SOA);
    message.metadata.message_type = hickory_proto::op::MessageType::Response;
    let reply = message.to_vec().unwrap();
    socket.send_to(&reply, from).await.unwrap();
    message.queries[0].name().to_string()
}

async fn address_at(server: SocketAddr) -> Vec<String> {
    data(&ask(server, "w.z.test.", RecordType::A).await)
}

#[tokio::test]
async fn a_secondary_has_what_its_primary_has_and_is_told_of_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("db.z");
    std::fs::write(&file, zone(1, "192.0.2.1")).unwrap();
    let [first, second] = [udp_socket().await, udp_socket().await];
    let port = |socket: &UdpSocket| socket.local_addr().unwrap();
    let primary = server(&format!(
        "z.test:0 {{\n bind 127.0.0.1\n file {} {{\n reload 10ms\n }}\n transfer {{\n to * {}\n }}\n}}",
        file.display(),
        port(&first)
    ))
    .await;
    let secondary = server(&format!(
        "z.test:0 {{\n bind 127.0.0.1\n secondary {{\n transfer from {}\n }}\n transfer {{\n to * {}\n }}\n}}",
        primary.address,
        port(&second)
    ))
    .await;
    assert_eq!(told(&first).await, "z.test.");
    assert_eq!(told(&second).await, "z.test.");
    assert_eq!(address_at(primary.address).await, ["192.0.2.1"]);
    assert_eq!(address_at(secondary.address).await, ["192.0.2.1"]);
    std::fs::write(&file, zone(2, "192.0.2.2")).unwrap();
    assert_eq!(told(&first).await, "z.test.");
    assert_eq!(address_at(primary.address).await, ["192.0.2.2"]);
    // As the primary would, if it knew where the secondary listens.
    let notify = encode_notify(7, &absolute("z.test").unwrap());
    let socket = udp(secondary.address).await;
    let reply = Message::from_vec(&exchange(&socket, &notify).await).unwrap();
    let head = (reply.metadata.response_code, reply.metadata.authoritative);
    assert_eq!(head, (ResponseCode::NoError, true));
    assert_eq!(told(&second).await, "z.test.");
    assert_eq!(address_at(secondary.address).await, ["192.0.2.2"]);
}

async fn udp_socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}
