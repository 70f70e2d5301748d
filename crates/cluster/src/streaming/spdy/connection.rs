//! A connection of SPDY/3.1: one task reads its frames, one writes them.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::codec::{FramedRead, FramedWrite};
use tracing::debug;

use super::frame::{Frame, Reading, Writing};
use super::headers::Headers;
use crate::streaming::carry::{LINGER, WAITING};

/// What a client sends in a stream.
#[derive(Debug, PartialEq, Eq)]
pub(in super::super) enum Piece {
    Octets(Bytes),
    /// Nothing follows, and the client still listens.
    End,
}

/// A stream that a client has opened.
pub(in super::super) struct Opened {
    pub(in super::super) stream: u32,
    pub(in super::super) headers: Headers,
    /// What comes in it; where that ends without [`Piece::End`] the client has gone.
    pub(in super::super) read: mpsc::Receiver<Piece>,
}

/// Writes into streams. Where everybody has dropped it the connection ends.
#[derive(Clone)]
pub(in super::super) struct Sayer(mpsc::Sender<Frame>);

impl Sayer {
    pub(in super::super) async fn octets(&self, stream: u32, octets: Bytes) -> io::Result<()> {
        let end = false;
        let data = Frame::Data {
            stream,
            octets,
            end,
        };
        self.send(data).await
    }

    /// Nothing follows in this stream.
    pub(in super::super) async fn end(&self, stream: u32) -> io::Result<()> {
        let (octets, end) = (Bytes::new(), true);
        let data = Frame::Data {
            stream,
            octets,
            end,
        };
        self.send(data).await
    }

    /// A stream is not wanted.
    pub(in super::super) async fn reset(&self, stream: u32) -> io::Result<()> {
        self.send(Frame::Reset(stream)).await
    }

    /// Nothing follows in any stream.
    pub(in super::super) async fn close(&self) -> io::Result<()> {
        self.send(Frame::Away).await
    }

    async fn send(&self, frame: Frame) -> io::Result<()> {
        let sent = self.0.send(frame).await;
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

/// Begins a connection. The streams that the client opens come one by one; their end is that of the client.
pub(in super::super) fn start<R, W>((read, write): (R, W)) -> (Sayer, mpsc::Receiver<Opened>)
where
    R: AsyncRead + Send + 'static,
    W: AsyncWrite + Send + 'static,
{
    let (say, frames) = mpsc::channel(WAITING);
    let (open, opened) = mpsc::channel(WAITING);
    let reader = Reader {
        say: say.clone(),
        open,
        streams: BTreeMap::new(),
    };
    let reads = tokio::spawn(async move {
        if let Err(error) = reader.run(read).await {
            debug!(%error, "a SPDY connection broke");
        }
    });
    tokio::spawn(write_all(write, frames, reads));
    (Sayer(say), opened)
}

async fn write_all(
    write: impl AsyncWrite,
    mut frames: mpsc::Receiver<Frame>,
    mut reads: JoinHandle<()>,
) {
    let mut write = std::pin::pin!(FramedWrite::new(write, Writing::default()));
    while let Some(frame) = frames.recv().await {
        let last = frame == Frame::Away;
        if write.send(frame).await.is_err() || last {
            break;
        }
    }
    // Who has gone meanwhile needs no end.
    let _gone = write.close().await;
    if tokio::time::timeout(LINGER, &mut reads).await.is_err() {
        reads.abort();
    }
}

struct Reader {
    say: mpsc::Sender<Frame>,
    open: mpsc::Sender<Opened>,
    /// Those that the client still writes to.
    streams: BTreeMap<u32, mpsc::Sender<Piece>>,
}

impl Reader {
    async fn run(mut self, read: impl AsyncRead) -> io::Result<()> {
        let mut frames = std::pin::pin!(FramedRead::new(read, Reading::default()));
        while let Some(frame) = frames.next().await {
            self.take(frame?).await;
        }
        Ok(())
    }

    async fn take(&mut self, frame: Frame) {
        match frame {
            Frame::Open {
                stream,
                headers,
                end,
            } => {
                let (give, read) = mpsc::channel(WAITING);
                self.streams.insert(stream, give);
                // Once the connection is closed nobody hears this.
                let _closed = self.say.send(Frame::Reply(stream)).await;
                let opened = Opened {
                    stream,
                    headers,
                    read,
                };
                let _closed = self.open.send(opened).await;
                self.pass(stream, Bytes::new(), end).await;
            }
            Frame::Data {
                stream,
                octets,
                end,
            } => self.pass(stream, octets, end).await,
            Frame::Reset(stream) => {
                self.streams.remove(&stream);
            }
            // Clients' numbers are odd; another is the answer to a ping of ours, and there are none.
            Frame::Ping(id) if id % 2 == 1 => {
                let _closed = self.say.send(Frame::Ping(id)).await;
            }
            Frame::Ping(_) | Frame::Reply(_) | Frame::Away | Frame::Other => {}
        }
    }

    /// Passes on what a stream carries; nobody may be there to read it.
    async fn pass(&mut self, stream: u32, octets: Bytes, end: bool) {
        let Some(to) = self.streams.get(&stream) else {
            return;
        };
        if !octets.is_empty() {
            let _unread = to.send(Piece::Octets(octets)).await;
        }
        if end {
            let _unread = to.send(Piece::End).await;
            self.streams.remove(&stream);
        }
    }
}
