//! Pipes and terminals between programs and whoever reads and writes them.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use headless_cluster::runtime::Stream;
use headless_node::Stdio;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::unix::pipe::{Receiver, Sender};
use tokio::sync::mpsc;

use super::log::Log;

/// Pieces that wait to be read or written; then whoever makes more waits too.
pub(super) const WAITING: usize = 16;

/// How much is read at once, in octets.
const PIECE: usize = 16 << 10;

/// Our ends of a program's pipes.
pub(super) struct Pipes {
    input: Option<Sender>,
    output: [Receiver; 2],
}

/// New pipes, with their ends for the program. `input`: whether it reads anything.
pub(super) fn pipes(input: bool) -> io::Result<(Stdio, Pipes)> {
    let (stdin, write) = if input {
        let (read, write) = io::pipe()?;
        let write = OwnedFd::from(write);
        (read.into(), Some(Sender::from_owned_fd(write)?))
    } else {
        (File::open("/dev/null")?.into(), None)
    };
    let ((out, stdout), (err, stderr)) = (io::pipe()?, io::pipe()?);
    let stdio = Stdio {
        stdin,
        stdout: stdout.into(),
        stderr: stderr.into(),
    };
    let pipes = Pipes {
        input: write,
        output: [
            Receiver::from_owned_fd(out.into())?,
            Receiver::from_owned_fd(err.into())?,
        ],
    };
    Ok((stdio, pipes))
}

/// What a program writes to.
pub(super) type Output = Box<dyn AsyncRead + Send + Unpin>;

/// How a program is talked to.
pub(super) struct Ends {
    /// What it shall read; its input ends where this is dropped.
    pub(super) input: Option<mpsc::Sender<Bytes>>,
    /// What it writes.
    pub(super) output: Vec<(Stream, Output)>,
    /// Columns and rows of its terminal; where it has none nobody hears of them.
    pub(super) size: mpsc::UnboundedSender<(u16, u16)>,
}

impl Pipes {
    /// Those of a program that runs: its pipes, or its terminal in their place. `input`: whether it reads anything.
    pub(super) fn ends(self, terminal: Option<OwnedFd>, input: bool) -> io::Result<Ends> {
        let Some(terminal) = terminal else {
            let [out, err] = self.output;
            return Ok(Ends {
                input: self.input.map(write),
                output: vec![(Stream::Out, Box::new(out)), (Stream::Err, Box::new(err))],
                size: mpsc::unbounded_channel().0,
            });
        };
        let file = || Ok::<_, io::Error>(tokio::fs::File::from_std(terminal.try_clone()?.into()));
        let (read, written) = (file()?, file()?);
        Ok(Ends {
            input: input.then(|| write(written)),
            output: vec![(Stream::Out, Box::new(read))],
            size: sizes(terminal),
        })
    }
}

/// Sets a terminal's size as it is told: columns and rows.
fn sizes(terminal: OwnedFd) -> mpsc::UnboundedSender<(u16, u16)> {
    let (give, mut sizes) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some((columns, rows)) = sizes.recv().await {
            // A terminal that has gone has no size.
            let _gone = headless_node::resize(&terminal, columns, rows);
        }
    });
    give
}

/// Writes what is sent, until its sender is dropped or nobody reads.
fn write(mut to: impl AsyncWrite + Unpin + Send + 'static) -> mpsc::Sender<Bytes> {
    let (give, mut pieces) = mpsc::channel::<Bytes>(WAITING);
    tokio::spawn(async move {
        while let Some(piece) = pieces.recv().await {
            let written = to.write_all(&piece).await;
            if written.is_err() || to.flush().await.is_err() {
                return;
            }
        }
    });
    give
}

/// Passes on what is read, until its end.
pub(super) async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    stream: Stream,
    to: mpsc::Sender<(Stream, Bytes)>,
) {
    let mut piece = vec![0; PIECE];
    // A terminal's end is an error (EIO).
    while let Ok(size @ 1..) = from.read(&mut piece).await {
        let read = Bytes::copy_from_slice(&piece[..size]);
        if to.send((stream, read)).await.is_err() {
            return;
        }
    }
}

/// Writes what is read into a log, until its end.
pub(super) async fn keep(mut from: impl AsyncRead + Unpin, stream: Stream, log: Arc<Log>) {
    let mut piece = vec![0; PIECE];
    while let Ok(size @ 1..) = from.read(&mut piece).await {
        log.take(Timestamp::now(), stream, &piece[..size]);
    }
}
