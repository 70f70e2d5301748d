//! `v4.channel.k8s.io` and `v5.channel.k8s.io` (KEP-4006): streams in the messages of a WebSocket, each with its number first.

use std::future::ready;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use futures::stream::{SplitSink, SplitStream};
use futures::{Sink, SinkExt, Stream as Heards, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_util::io::{CopyToBytes, SinkWriter, StreamReader};

use super::carry::{self, Client, Heard, Wanted, carry};
use crate::runtime::{Session, Stream};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Closes the stream whose number follows (v5).
pub(super) const CLOSE: u8 = 255;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V5,
}

/// The two directions of a WebSocket.
pub(super) type Socket<S> = (
    SplitSink<WebSocketStream<S>, Message>,
    SplitStream<WebSocketStream<S>>,
);

/// A WebSocket whose handshake is done.
pub(super) async fn socket<S: AsyncRead + AsyncWrite + Unpin>(stream: S) -> Socket<S> {
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    socket.split()
}

/// What comes in messages, until the client closes the connection.
pub(super) fn octets<R>(receive: R) -> impl Heards<Item = Bytes>
where
    R: Heards<Item = Result<Message, Error>>,
{
    let open = |message: &Result<Message, Error>| {
        ready(matches!(message, Ok(message) if !message.is_close()))
    };
    let messages = receive.take_while(open);
    messages.filter_map(|message| {
        ready(match message {
            Ok(Message::Binary(octets)) => Some(octets),
            Ok(Message::Text(text)) => Some(text.into()),
            // Pings are answered by the socket.
            Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_) | Message::Close(_))
            | Err(_) => None,
        })
    })
}

/// The octets of messages as one stream, and a stream whose pieces become messages.
pub(super) fn tunnel<S>((send, receive): Socket<S>) -> (impl AsyncRead, impl AsyncWrite)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let read = StreamReader::new(octets(receive).map(Ok::<_, io::Error>));
    let send = send.sink_map_err(io::Error::other);
    let send = send.with(|octets| ready(Ok::<_, io::Error>(Message::Binary(octets))));
    (read, SinkWriter::new(CopyToBytes::new(send)))
}

/// Carries a session's streams until its program has ended, or the client has gone.
pub(super) async fn serve<S>(
    (send, receive): Socket<S>,
    (version, wanted): (Version, Wanted),
    session: Session,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let heard = octets(receive).filter_map(|octets| ready(read(version, octets)));
    carry(heard, Listener(send), (wanted, session)).await;
}

/// What a client says in a message; none: nothing that is known.
fn read(version: Version, mut octets: Bytes) -> Option<Heard> {
    if octets.is_empty() {
        return None;
    }
    match octets.get_u8() {
        STDIN => Some(Heard::Input(octets)),
        RESIZE => carry::size(&octets),
        CLOSE if version == Version::V5 && octets.first() == Some(&STDIN) => Some(Heard::InputEnd),
        _ => None,
    }
}

/// A client of channels.
struct Listener<K>(K);

impl<K> Client for Listener<K>
where
    K: Sink<Message, Error = Error> + Unpin + Send,
{
    async fn tell(&mut self, stream: Stream, octets: Bytes) -> io::Result<()> {
        let channel = match stream {
            Stream::Out => STDOUT,
            Stream::Err => STDERR,
        };
        let sent = self.0.send(message(channel, &octets)).await;
        sent.map_err(io::Error::other)
    }

    async fn end(&mut self, status: &Value) -> io::Result<()> {
        let told = message(STATUS, status.to_string().as_bytes());
        self.0.send(told).await.map_err(io::Error::other)?;
        let closed = self.0.send(closing()).await;
        closed.map_err(io::Error::other)
    }
}

/// The end of a connection: without a code clients take it for broken.
pub(super) fn closing() -> Message {
    Message::Close(Some(CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    }))
}

/// A message of a channel.
pub(super) fn message(channel: u8, octets: &[u8]) -> Message {
    let mut whole = BytesMut::with_capacity(octets.len() + 1);
    whole.extend_from_slice(&[channel]);
    whole.extend_from_slice(octets);
    Message::Binary(whole.freeze())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::carry::tests::{WANTED, session};
    use super::*;

    #[tokio::test]
    async fn a_program_reads_and_writes_and_its_code_comes_last() {
        let (near, far) = tokio::io::duplex(4096);
        let (session, mut program) = session();
        let near = socket(near).await;
        tokio::spawn(serve(near, (Version::V5, WANTED), session));
        let mut client = WebSocketStream::from_raw_socket(far, Role::Client, None).await;
        for sent in [
            &b"\x00hello"[..],
            b"\x04{\"Width\":80,\"Height\":24}",
            b"\xff\x00",
        ] {
            client
                .send(Message::Binary(sent.to_vec().into()))
                .await
                .unwrap();
        }
        assert_eq!(program.input.recv().await.as_deref(), Some(&b"hello"[..]));
        assert_eq!(program.sizes.recv().await, Some((80, 24)));
        assert_eq!(program.input.recv().await, None);
        for (stream, text) in [(Stream::Out, "out"), (Stream::Err, "err")] {
            program.output.send((stream, text.into())).await.unwrap();
        }
        drop(program.output);
        program.exit.send(7).unwrap();
        let mut heard = Vec::new();
        while let Some(Ok(Message::Binary(octets))) = client.next().await {
            heard.push(octets);
        }
        assert_eq!(heard[..2], [&b"\x01out"[..], b"\x02err"]);
        let told: Value = serde_json::from_slice(&heard[2][1..]).unwrap();
        assert_eq!(
            (heard[2][0], &told["details"]["causes"][0]["message"]),
            (STATUS, &json!("7"))
        );
    }

    #[test]
    fn a_stream_is_closed_by_the_later_version_only() {
        let close = || Bytes::from_static(b"\xff\x00");
        assert_eq!(read(Version::V5, close()), Some(Heard::InputEnd));
        assert_eq!(read(Version::V4, close()), None);
    }
}
