//! A DNS client for tests: sends bytes, reads messages.

use std::net::SocketAddr;
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UdpSocket;

/// What a reply may take before a test gives up: never reached where there is a reply.
const PATIENCE: Duration = Duration::from_secs(20);

/// A question as bytes.
pub fn question(id: u16, qname: &str, qtype: RecordType) -> Vec<u8> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(qname).unwrap(), qtype));
    message.to_vec().unwrap()
}

/// The answer's data, sorted.
pub fn data(message: &Message) -> Vec<String> {
    let mut data: Vec<_> = message.answers.iter().map(|r| r.data.to_string()).collect();
    data.sort();
    data
}

/// A connected UDP socket: what comes from another address than the one asked does not arrive.
pub async fn udp(server: SocketAddr) -> UdpSocket {
    let any = if server.is_ipv4() {
        "0.0.0.0:0"
    } else {
        "[::]:0"
    };
    let socket = UdpSocket::bind(any).await.unwrap();
    socket.connect(server).await.unwrap();
    socket
}

/// Sends a packet and reads the reply.
pub async fn exchange(socket: &UdpSocket, packet: &[u8]) -> Vec<u8> {
    socket.send(packet).await.unwrap();
    let mut reply = vec![0; 65_535];
    let size = tokio::time::timeout(PATIENCE, socket.recv(&mut reply))
        .await
        .expect("no reply")
        .unwrap();
    reply.truncate(size);
    reply
}

/// Asks over UDP.
pub async fn ask(server: SocketAddr, qname: &str, qtype: RecordType) -> Message {
    let socket = udp(server).await;
    Message::from_vec(&exchange(&socket, &question(1, qname, qtype)).await).unwrap()
}

/// Sends a packet over TCP.
pub async fn send(stream: &mut (impl AsyncWrite + Unpin), packet: &[u8]) {
    stream
        .write_u16(u16::try_from(packet.len()).unwrap())
        .await
        .unwrap();
    stream.write_all(packet).await.unwrap();
}

/// Reads a message over TCP; `None` where the server has closed.
pub async fn receive(stream: &mut (impl AsyncRead + Unpin)) -> Option<Message> {
    let read = async {
        let size = stream.read_u16().await.ok()?;
        let mut reply = vec![0; usize::from(size)];
        stream.read_exact(&mut reply).await.ok()?;
        Some(Message::from_vec(&reply).unwrap())
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("no reply")
}
