//! A connection whose client can read its last reply: what it still sends is read for a while, as a reset would answer it
//! otherwise, and take the reply away (RFC 9112 section 9.6).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long it is read: a client far away has the reply by then, and closes.
pub(super) const LONGEST: Duration = Duration::from_secs(2);

/// How many octets are read meanwhile, so that nobody keeps this server busy.
const MOST: usize = 16 << 20;

/// A stream that lingers when it is shut down.
pub(super) struct Lingering<S> {
    stream: S,
    /// Since it was shut down: until when, and how much is read yet.
    rest: Option<(Pin<Box<Sleep>>, usize)>,
}

impl<S> Lingering<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, rest: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Lingering<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, into)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Lingering<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, rest } = self.get_mut();
        if rest.is_none() {
            ready!(Pin::new(&mut *stream).poll_shutdown(cx))?;
        }
        let (until, left) = rest.get_or_insert_with(|| (Box::pin(sleep(LONGEST)), MOST));
        let mut octets = [0; 4096];
        while *left > 0 && until.as_mut().poll(cx).is_pending() {
            let mut into = ReadBuf::new(&mut octets);
            let read = ready!(Pin::new(&mut *stream).poll_read(cx, &mut into));
            if read.is_err() || into.filled().is_empty() {
                break;
            }
            *left = left.saturating_sub(into.filled().len());
        }
        Poll::Ready(Ok(()))
    }
}
