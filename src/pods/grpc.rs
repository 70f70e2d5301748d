//! The health of a server of gRPC (grpc/grpc-proto, health.proto).

use std::io;
use std::net::SocketAddr;

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// `SERVING`.
const SERVING: i32 = 1;

/// Octets before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The most octets of an answer.
const LONGEST: usize = 4096;

#[derive(Message)]
struct HealthCheckRequest {
    #[prost(string, tag = "1")]
    service: String,
}

#[derive(Message)]
struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    status: i32,
}

/// Whether a server says that a service serves.
///
/// # Errors
/// It does not speak HTTP/2, or what it says is no answer.
pub(super) async fn serves(stream: TcpStream, at: SocketAddr, service: &str) -> io::Result<bool> {
    let (send, connection) = h2::client::handshake(stream)
        .await
        .map_err(io::Error::other)?;
    // It ends with this.
    let mut driven = JoinSet::new();
    driven.spawn(connection);
    let asked = ask(send, at, service).await.map_err(io::Error::other)?;
    let answer = asked.get(PREFIX..).unwrap_or_default();
    let answer = HealthCheckResponse::decode(answer).map_err(io::Error::other)?;
    Ok(!asked.is_empty() && answer.status == SERVING)
}

async fn ask(
    send: h2::client::SendRequest<Bytes>,
    at: SocketAddr,
    service: &str,
) -> Result<BytesMut, h2::Error> {
    let uri = format!("http://{at}/grpc.health.v1.Health/Check");
    let request = http::Request::post(uri)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("user-agent", "kube-probe/1.37")
        .body(())
        .expect("these are words of a header");
    let (answered, mut body) = send.ready().await?.send_request(request, false)?;
    let message = HealthCheckRequest {
        service: service.into(),
    };
    let message = message.encode_to_vec();
    let mut framed = BytesMut::new();
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    framed.put(&message[..]);
    body.send_data(framed.freeze(), true)?;
    let mut body = answered.await?.into_body();
    let mut answer = BytesMut::new();
    while let Some(piece) = body.data().await {
        answer.put(piece?);
        if answer.len() > LONGEST {
            break;
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that has one service, and knows it by this name.
    async fn server(known: &'static str) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((request, mut respond))) = connection.accept().await {
                    tokio::spawn(async move {
                        assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                        let mut body = request.into_body();
                        let asked = body.data().await.unwrap().unwrap();
                        let asked = HealthCheckRequest::decode(&asked[PREFIX..]).unwrap();
                        let response = http::Response::new(());
                        let mut send = respond.send_response(response, false).unwrap();
                        let status = if asked.service == known { SERVING } else { 2 };
                        let answer = [&[0, 0, 0, 0, 2][..], &[8, u8::try_from(status).unwrap()]];
                        send.send_data(answer.concat().into(), true).unwrap();
                    });
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn a_server_says_whether_a_service_serves() {
        let address = server("redis").await;
        for (service, wanted) in [("redis", true), ("other", false)] {
            let stream = TcpStream::connect(address).await.unwrap();
            assert_eq!(serves(stream, address, service).await.unwrap(), wanted);
        }
    }

    #[tokio::test]
    async fn what_does_not_speak_it_has_failed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        drop(listener.accept().await.unwrap());
        assert!(serves(stream, address, "").await.is_err());
    }
}
