//! `v4.channel.k8s.io` and `v5.channel.k8s.io` (KEP-4006): streams in the messages of a WebSocket, each with its number first.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Sink, SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

use crate::runtime::{Session, Stream};

const STDIN: u8 = 0;
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
const RESIZE: u8 = 4;
/// Closes the stream whose number follows (v5).
const CLOSE: u8 = 255;

/// How long a client may take to close a connection whose end it was told.
const LINGER: Duration = Duration::from_secs(10);

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V4,
    V5,
}

impl Version {
    /// The later of those that are offered.
    pub(super) fn best(offered: &[&str]) -> Option<Self> {
        let versions = [Self::V5, Self::V4];
        versions
            .into_iter()
            .find(|version| offered.contains(&version.name()))
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::V4 => "v4.channel.k8s.io",
            Self::V5 => "v5.channel.k8s.io",
        }
    }
}

/// What a client has asked for.
pub(super) struct Wanted {
    pub(super) version: Version,
    /// Whether standard output and standard error are sent.
    pub(super) output: [bool; 2],
}

/// Carries a session's streams until its program has ended, or the client has gone.
pub(super) async fn serve<S>(stream: S, wanted: Wanted, mut session: Session)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
    let (mut send, mut receive) = socket.split();
    let mut input = Input {
        stdin: session.input.take(),
        size: session.size,
        version: wanted.version,
    };
    loop {
        tokio::select! {
            piece = session.output.recv() => {
                let Some((stream, octets)) = piece else { break };
                let (channel, is_wanted) = match stream {
                    Stream::Out => (STDOUT, wanted.output[0]),
                    Stream::Err => (STDERR, wanted.output[1]),
                };
                if is_wanted && send.send(message(channel, &octets)).await.is_err() {
                    return;
                }
            }
            message = receive.next() => match message {
                Some(Ok(Message::Binary(octets))) => input.take(octets).await,
                Some(Ok(Message::Text(text))) => input.take(text.into()).await,
                // Pings are answered by the socket.
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                // Nobody reads what is written from now on.
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
            },
        }
    }
    let status = status(session.exit.await.ok());
    // Who has gone meanwhile is not told.
    if end(&mut send, &status).await.is_ok() {
        // A connection that is closed with something unread in it is reset, and takes with it what the client has not read.
        let unread = async { while let Some(Ok(_)) = receive.next().await {} };
        let _impatient = tokio::time::timeout(LINGER, unread).await;
    }
}

/// What the client sends.
struct Input {
    stdin: Option<mpsc::Sender<Bytes>>,
    size: mpsc::UnboundedSender<(u16, u16)>,
    version: Version,
}

impl Input {
    async fn take(&mut self, mut octets: Bytes) {
        if octets.is_empty() {
            return;
        }
        let channel = octets.split_to(1)[0];
        match channel {
            STDIN => {
                if let Some(stdin) = &self.stdin
                    && !octets.is_empty()
                    && stdin.send(octets).await.is_err()
                {
                    // The program does not read any more.
                    self.stdin = None;
                }
            }
            RESIZE => {
                let size: Value = serde_json::from_slice(&octets).unwrap_or_default();
                let side = |field: &str| {
                    size[field]
                        .as_u64()
                        .and_then(|side| u16::try_from(side).ok())
                };
                if let (Some(columns), Some(rows)) = (side("Width"), side("Height")) {
                    // A program without a terminal has no size.
                    let _none = self.size.send((columns, rows));
                }
            }
            CLOSE if self.version == Version::V5 && octets.first() == Some(&STDIN) => {
                self.stdin = None;
            }
            _ => {}
        }
    }
}

/// How a program has ended, as the kubelet says it.
fn status(code: Option<i32>) -> Value {
    match code {
        Some(0) => json!({"metadata": {}, "status": "Success"}),
        Some(code) => json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": {"causes": [{"reason": "ExitCode", "message": code.to_string()}]},
        }),
        None => json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "the program's end was not seen",
        }),
    }
}

async fn end<S>(send: &mut S, status: &Value) -> Result<(), Error>
where
    S: Sink<Message, Error = Error> + Unpin,
{
    send.send(message(STATUS, status.to_string().as_bytes()))
        .await?;
    // Without a code clients take the connection for broken.
    let frame = CloseFrame {
        code: CloseCode::Normal,
        reason: "".into(),
    };
    send.send(Message::Close(Some(frame))).await
}

fn message(channel: u8, octets: &[u8]) -> Message {
    let mut whole = BytesMut::with_capacity(octets.len() + 1);
    whole.extend_from_slice(&[channel]);
    whole.extend_from_slice(octets);
    Message::Binary(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_version_is_spoken_where_both_are_offered() {
        assert_eq!(
            Version::best(&["v4.channel.k8s.io", "v5.channel.k8s.io"]),
            Some(Version::V5)
        );
        assert_eq!(
            Version::best(&["channel.k8s.io", "v4.channel.k8s.io"]),
            Some(Version::V4)
        );
        assert_eq!(Version::best(&["channel.k8s.io"]), None);
    }

    #[tokio::test]
    async fn a_program_reads_and_writes_and_its_code_comes_last() {
        let (near, far) = tokio::io::duplex(4096);
        let (input, mut read) = mpsc::channel(4);
        let (write, output) = mpsc::channel(4);
        let (size, mut sizes) = mpsc::unbounded_channel();
        let (tell, exit) = tokio::sync::oneshot::channel();
        let session = Session {
            input: Some(input),
            output,
            size,
            exit,
        };
        let wanted = Wanted {
            version: Version::V5,
            output: [true, true],
        };
        tokio::spawn(serve(near, wanted, session));
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
        assert_eq!(read.recv().await.as_deref(), Some(&b"hello"[..]));
        assert_eq!(sizes.recv().await, Some((80, 24)));
        assert_eq!(read.recv().await, None);
        for (stream, text) in [(Stream::Out, "out"), (Stream::Err, "err")] {
            write.send((stream, text.into())).await.unwrap();
        }
        drop(write);
        tell.send(7).unwrap();
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
}
