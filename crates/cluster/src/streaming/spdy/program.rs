//! A program's streams over SPDY/3.1: each is one of the connection's, and its headers say which.

use std::collections::BTreeMap;
use std::future::ready;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream as Heards, StreamExt, stream};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tracing::debug;

use super::{Opened, Piece, Sayer, start};
use crate::runtime::{Session, Stream};
use crate::streaming::carry::{self, Client, Heard, Wanted, carry};

/// How long a client may take to open its streams: the kubelet's patience.
const PATIENCE: Duration = Duration::from_secs(30);

/// The header that says what a stream is for.
const KIND: &str = "streamtype";

/// Carries a session's streams until its program has ended, or the client has gone.
pub(in super::super) async fn serve<R, W>(io: (R, W), wanted: Wanted, session: Session)
where
    R: AsyncRead + Send + 'static,
    W: AsyncWrite + Send + 'static,
{
    let (say, mut opened) = start(io);
    let gathered = tokio::time::timeout(PATIENCE, gather(&mut opened, wanted)).await;
    if let Ok(Some(mut streams)) = gathered {
        let heard = heard(&mut streams, opened);
        let client = Listener {
            say: say.clone(),
            streams: streams
                .iter()
                .map(|(kind, of)| (*kind, of.stream))
                .collect(),
        };
        carry(Box::pin(heard), client, (wanted, session)).await;
    } else {
        debug!("a client has not opened the streams that it asked for");
    }
    // Who has gone needs no end.
    let _gone = say.close().await;
}

/// The streams by what they are for, once all that are wanted are there; none: the client has gone.
async fn gather(
    opened: &mut mpsc::Receiver<Opened>,
    wanted: Wanted,
) -> Option<BTreeMap<&'static str, Opened>> {
    let all = [
        ("error", true),
        ("stdin", wanted.input),
        ("stdout", wanted.output[0]),
        ("stderr", wanted.output[1]),
        ("resize", wanted.tty),
    ];
    let mut missing: Vec<_> = all.iter().filter(|(_, wanted)| *wanted).collect();
    let mut streams = BTreeMap::new();
    while !missing.is_empty() {
        let one = opened.recv().await?;
        let kind = one.headers.get(KIND).cloned().unwrap_or_default();
        if let Some(at) = missing.iter().position(|(name, _)| *name == kind) {
            streams.insert(missing.remove(at).0, one);
        }
    }
    Some(streams)
}

/// What the client says, until it has gone.
fn heard(
    streams: &mut BTreeMap<&'static str, Opened>,
    mut opened: mpsc::Receiver<Opened>,
) -> impl Heards<Item = Heard> + use<> {
    let input = pieces(streams, "stdin").map(|piece| match piece {
        Piece::Octets(octets) => Heard::Input(octets),
        Piece::End => Heard::InputEnd,
    });
    let sizes = pieces(streams, "resize").filter_map(|piece| {
        ready(match piece {
            Piece::Octets(octets) => carry::size(&octets),
            Piece::End => None,
        })
    });
    // No further stream means anything; the end of them is that of the client.
    let gone = stream::poll_fn(move |context| opened.poll_recv(context));
    let gone = gone.filter_map(|_| ready(None));
    stream::select(stream::select(input, sizes), gone)
}

fn pieces(
    streams: &mut BTreeMap<&'static str, Opened>,
    kind: &str,
) -> impl Heards<Item = Piece> + use<> {
    let mut read = streams.get_mut(kind).map(|opened| {
        let (_, closed) = mpsc::channel(1);
        std::mem::replace(&mut opened.read, closed)
    });
    stream::poll_fn(move |context| match &mut read {
        Some(read) => read.poll_recv(context),
        None => std::task::Poll::Ready(None),
    })
}

/// A client of SPDY.
struct Listener {
    say: Sayer,
    streams: BTreeMap<&'static str, u32>,
}

impl Client for Listener {
    async fn tell(&mut self, stream: Stream, octets: Bytes) -> io::Result<()> {
        let kind = match stream {
            Stream::Out => "stdout",
            Stream::Err => "stderr",
        };
        match self.streams.get(kind) {
            Some(stream) => self.say.octets(*stream, octets).await,
            None => Ok(()),
        }
    }

    async fn end(&mut self, status: &Value) -> io::Result<()> {
        if let Some(error) = self.streams.get("error") {
            self.say.octets(*error, status.to_string().into()).await?;
        }
        for stream in self.streams.values() {
            self.say.end(*stream).await?;
        }
        self.say.close().await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::AsyncWriteExt;

    use super::super::tests;
    use super::*;
    use crate::streaming::carry::tests::{WANTED, session};

    #[tokio::test]
    async fn a_program_reads_and_writes_in_streams_and_its_code_comes_last() {
        let (near, mut far) = tokio::io::duplex(4096);
        let (session, mut program) = session();
        tokio::spawn(serve(tokio::io::split(near), WANTED, session));
        let mut client = tests::Client::default();
        for (stream, kind) in [(1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr")] {
            let opening = client.open(stream, &[("streamType", kind)]);
            far.write_all(&opening).await.unwrap();
        }
        let input = [0, 0, 0, 3, 1, 0, 0, 2, b'h', b'i'];
        far.write_all(&input).await.unwrap();
        assert_eq!(program.input.recv().await.as_deref(), Some(&b"hi"[..]));
        assert_eq!(program.input.recv().await, None);
        for (stream, text) in [(Stream::Out, "out"), (Stream::Err, "err")] {
            program.output.send((stream, text.into())).await.unwrap();
        }
        drop(program.output);
        program.exit.send(7).unwrap();
        let heard = client.until(&mut far, 4).await.said;
        assert_eq!((&heard[&5][..], &heard[&7][..]), ("out", "err"));
        let status: Value = serde_json::from_str(&heard[&1]).unwrap();
        assert_eq!(status["details"]["causes"][0]["message"], json!("7"));
    }
}
