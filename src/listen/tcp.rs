//! Connections (RFC 7766), plain or inside TLS (RFC 7858): the questions that are there are answered together, each that
//! waits for somebody as soon as it can be.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::answer::{Answered, Behind, answer};
use super::limits::{Held, Slot};
use crate::answer::{Messages, Transfer};
use crate::message;
use crate::message::question::{Route, Transport};
use crate::plugin::Shed;

/// How long a connection may be silent: CoreDNS's.
pub(super) const IDLE: Duration = Duration::from_secs(10);

/// How long a client may take to accept [`PART`] of its replies before it is given up.
pub(super) const WRITE: Duration = Duration::from_secs(5);
const PART: usize = 64 << 10;

/// Queries of one connection that may wait for upstreams; the next is read when one of them is answered.
const MAX_WAITING: usize = 128;

/// Room for what comes first, in octets, which each idle connection has, and for more where more comes: some hundred
/// questions.
const FIRST: usize = 256;
const READ: usize = 16 << 10;

/// Replies are written when there are so many octets of them, or no question is left.
const FLUSH: usize = PART;

/// How long a new connection has for its question after the shutdown signal.
const FIRST_QUESTION: Duration = Duration::from_secs(1);

/// A reply, and its room where it takes some.
type Later = (Messages, Option<Held>);

/// A connection, and what is on its way through it.
pub(super) struct Connection<S> {
    stream: S,
    route: Route,
    behind: Behind,
    /// What has been read and not answered.
    incoming: BytesMut,
    /// What has been answered and not written, each message with its length.
    outgoing: Vec<u8>,
    /// Zones on their way, made as they are written.
    transfers: VecDeque<Box<Transfer>>,
    /// Replies that had to wait for somebody else, each with its room.
    later: (mpsc::Sender<Later>, mpsc::Receiver<Later>),
    /// Of those that stand in `outgoing`.
    held: Vec<Held>,
    /// How many of them are under way.
    waiting: usize,
    /// How many questions it may still ask; `None`: any number.
    left: Option<u32>,
    /// No further question will be read.
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S, route: Route, behind: Behind) -> Self {
        Self {
            stream,
            route,
            left: behind.router.timeouts().queries,
            behind,
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
            transfers: VecDeque::new(),
            later: mpsc::channel(MAX_WAITING),
            held: Vec::new(),
            waiting: 0,
            ended: false,
        }
    }

    /// Answers questions until the client goes, is silent for too long, or has to make room for another.
    pub(super) async fn run(
        mut self,
        mut slot: Slot,
        shutdown: &CancellationToken,
    ) -> io::Result<()> {
        let idle = self.behind.router.timeouts().idle.unwrap_or(IDLE);
        let mut is_new = true;
        let mut until = Instant::now() + idle;
        loop {
            if !self.transfers.is_empty() {
                self.transfer()?;
                until = Instant::now() + idle;
            }
            if self.transfers.is_empty() && self.answer_all().await? {
                is_new = false;
                until = Instant::now() + idle;
            }
            if !self.outgoing.is_empty() {
                self.write().await?;
                // Others have their turn.
                tokio::task::yield_now().await;
                continue;
            }
            if !self.transfers.is_empty() {
                continue;
            }
            if self.ended && self.waiting == 0 {
                return within(WRITE, self.stream.shutdown()).await;
            }
            if self.waiting == 0 {
                // One that waits for a question, or for the rest of one, holds no more than that.
                self.outgoing = Vec::new();
                if self.incoming.is_empty() {
                    self.incoming = BytesMut::new();
                }
                slot.rest();
            }
            self.make_room();
            let reads = !self.ended && self.waiting < MAX_WAITING;
            tokio::select! {
                reply = self.later.1.recv(), if self.waiting > 0 => {
                    self.waiting -= 1;
                    if let Some((reply, held)) = reply {
                        self.held.extend(held);
                        self.add(reply)?;
                    }
                }
                read = self.stream.read_buf(&mut self.incoming), if reads => {
                    self.ended |= read? == 0;
                }
                () = stopped(shutdown, is_new), if !self.ended => self.ended = true,
                () = slot.leave().cancelled() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Err(io::ErrorKind::TimedOut.into()),
            }
            slot.work();
        }
    }

    /// Answers the questions that are there whole, until there is enough to write. Whether there was one.
    async fn answer_all(&mut self) -> io::Result<bool> {
        let mut any = false;
        while self.outgoing.len() < FLUSH && self.waiting < MAX_WAITING && self.left != Some(0) {
            let Some(packet) = frame(&mut self.incoming) else {
                break;
            };
            any = true;
            self.left = self.left.map(|left| left - 1);
            let reply = match answer(&self.behind.router, &packet, Transport::Tcp, self.route).await
            {
                Answered::Nothing => continue,
                Answered::Now(reply) => reply,
                Answered::Later(reply) => match self.behind.limits.wait(self.route.client.ip()) {
                    Some(slot) => {
                        self.wait_for(reply, slot, message::servfail(&packet));
                        continue;
                    }
                    None => {
                        self.behind.router.count_shed(Shed::Waiting);
                        message::servfail(&packet).into()
                    }
                },
            };
            self.add(reply)?;
            if !self.transfers.is_empty() {
                break;
            }
        }
        self.ended |= self.left == Some(0);
        Ok(any)
    }

    /// Waits for a reply beside the others; where there is no room for it, its client gets `bare` instead.
    fn wait_for(&mut self, reply: BoxFuture<'static, Messages>, slot: Held, bare: Vec<u8>) {
        let (replies, client) = (self.later.0.clone(), self.route.client.ip());
        let (limits, router) = (self.behind.limits.clone(), Arc::clone(&self.behind.router));
        self.waiting += 1;
        self.behind.tasks.spawn(async move {
            let reply = reply.await;
            let octets = match &reply {
                Messages::One(message) => message.len(),
                // Made as they are written.
                Messages::Many(_) | Messages::Nothing => 0,
            };
            let later = match limits.keep(client, octets) {
                Some(held) => (reply, Some(held)),
                None => {
                    router.count_shed(Shed::Untaken);
                    (bare.into(), None)
                }
            };
            // A client that is gone gets none.
            let _gone = replies.send(later).await;
            drop(slot);
        });
    }

    /// Puts a reply behind those that are to be written.
    fn add(&mut self, reply: Messages) -> io::Result<()> {
        match reply {
            Messages::Nothing => Ok(()),
            Messages::One(message) => self.add_one(&message),
            Messages::Many(transfer) => {
                self.transfers.push_back(transfer);
                Ok(())
            }
        }
    }

    fn add_one(&mut self, message: &[u8]) -> io::Result<()> {
        let size = u16::try_from(message.len()).map_err(io::Error::other)?;
        self.outgoing.extend(size.to_be_bytes());
        self.outgoing.extend(message);
        Ok(())
    }

    /// Goes on with transfers, until there is enough to write.
    fn transfer(&mut self) -> io::Result<()> {
        while self.outgoing.len() < FLUSH
            && let Some(transfer) = self.transfers.front_mut()
        {
            match transfer.next() {
                Some(message) => self.add_one(&message)?,
                None => drop(self.transfers.pop_front()),
            }
        }
        Ok(())
    }

    /// Room for what is read next.
    fn make_room(&mut self) {
        let length = self.incoming.len();
        if length == self.incoming.capacity() {
            self.incoming
                .reserve(if length == 0 { FIRST } else { READ });
        }
    }

    /// Writes the replies. What the client does not take at once is kept for it as long as there is room for such.
    async fn write(&mut self) -> io::Result<()> {
        let written = match futures::poll!(std::pin::pin!(self.stream.write(&self.outgoing))) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        let rest = &self.outgoing[written..];
        if !rest.is_empty() {
            // What had to wait has room already.
            let _room = match self.held.is_empty() {
                true => Some(self.keep(rest.len())?),
                false => None,
            };
            for part in rest.chunks(PART) {
                within(WRITE, self.stream.write_all(part)).await?;
            }
        }
        within(WRITE, self.stream.flush()).await?;
        self.outgoing.clear();
        self.held.clear();
        Ok(())
    }

    /// Room for so many octets that the client may not take.
    fn keep(&self, octets: usize) -> io::Result<Held> {
        let held = self.behind.limits.keep(self.route.client.ip(), octets);
        held.ok_or_else(|| {
            self.behind.router.count_shed(Shed::Untaken);
            io::Error::other("there is no room for replies that clients do not take")
        })
    }
}

async fn within(most: Duration, work: impl Future<Output = io::Result<()>>) -> io::Result<()> {
    let done = tokio::time::timeout(most, work).await;
    done.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Takes the next message, where it is there whole.
fn frame(incoming: &mut BytesMut) -> Option<BytesMut> {
    let (length, rest) = incoming.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if rest.len() < length {
        return None;
    }
    incoming.advance(2);
    Some(incoming.split_to(length))
}

/// Waits until a connection is to end. One that has asked nothing yet is new, and its question is on its way.
async fn stopped(shutdown: &CancellationToken, is_new: bool) {
    shutdown.cancelled().await;
    if is_new {
        tokio::time::sleep(FIRST_QUESTION).await;
    }
}
