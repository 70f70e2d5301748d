//! Connections (RFC 7766): the questions that are there are answered together, each that waits for somebody as soon as it
//! can be.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use futures::future::BoxFuture;
use socket2::SockRef;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::{Answered, answer};
use super::limits::{Limits, Slot, UNIT};
use crate::answer::Messages;
use crate::message;
use crate::message::question::{Route, Transport};
use crate::plugin::{Router, Shed};
use crate::throttle::Throttle;

/// How long a connection may be silent: CoreDNS's.
const IDLE: Duration = Duration::from_secs(10);

/// How long a client may take to accept [`UNIT`] of its replies before it is given up.
const WRITE: Duration = Duration::from_secs(5);

/// Queries of one connection that may wait for upstreams; the next is read when one of them is answered.
const MAX_WAITING: usize = 128;

/// What is read at a time, in octets: some hundred questions.
const READ: usize = 16 << 10;

/// Replies are written when there are so many octets of them, or no question is left.
const FLUSH: usize = UNIT;

/// What the kernel may keep of replies that a client does not take, in octets (it doubles the number): it would let that
/// grow to some megabytes for each.
const SEND_BUFFER: usize = 2 * UNIT;

/// How long to wait where no connection can be accepted (no file left, mostly).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a new connection has for its question after the shutdown signal.
const FIRST_QUESTION: Duration = Duration::from_secs(1);

/// Accepts connections until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Arc<Router>,
    limits: Limits,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let (turned_away, start) = (Throttle::new(1), Instant::now());
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let (stream, client) = match accepted {
            Ok(accepted) => accepted,
            // A connection that ended before it was accepted is its client's affair.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
            Err(error) => {
                warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Some(slot) = limits.admit(client.ip()) else {
            router.count_shed(Shed::Connection);
            if let Some(before) = turned_away.pass(start.elapsed()) {
                warn!(%client, before, "there are too many connections, none of them idle; one is turned away, and more before it");
            }
            continue;
        };
        let (router, shutdown, inner) = (Arc::clone(&router), shutdown.clone(), tasks.clone());
        let limits = limits.clone();
        tasks.spawn(async move {
            let ended = match Connection::new(stream, (client, router, limits), inner) {
                Ok(connection) => connection.run(slot, &shutdown).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                debug!(%client, %error, "connection ended");
            }
        });
    }
}

/// A connection, and what is on its way through it.
struct Connection {
    stream: TcpStream,
    route: Route,
    router: Arc<Router>,
    limits: Limits,
    tasks: TaskTracker,
    /// What has been read and not answered.
    incoming: BytesMut,
    /// What has been answered and not written, each message with its length.
    outgoing: Vec<u8>,
    /// Of the limits, for a reply that is large.
    room: Option<OwnedSemaphorePermit>,
    /// Replies that had to wait for somebody else.
    later: (mpsc::Sender<Messages>, mpsc::Receiver<Messages>),
    /// How many of them are under way.
    waiting: usize,
    /// How many questions it may still ask; `None`: any number.
    left: Option<u32>,
    /// No further question will be read.
    ended: bool,
}

impl Connection {
    fn new(
        stream: TcpStream,
        (client, router, limits): (SocketAddr, Arc<Router>, Limits),
        tasks: TaskTracker,
    ) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_send_buffer_size(SEND_BUFFER)?;
        let route = Route {
            client,
            server: stream.local_addr().ok(),
        };
        Ok(Self {
            stream,
            route,
            left: router.timeouts().queries,
            router,
            limits,
            tasks,
            incoming: BytesMut::new(),
            outgoing: Vec::new(),
            room: None,
            later: mpsc::channel(MAX_WAITING),
            waiting: 0,
            ended: false,
        })
    }

    /// Answers questions until the client goes, is silent for too long, or has to make room for another.
    async fn run(mut self, mut slot: Slot, shutdown: &CancellationToken) -> io::Result<()> {
        let idle = self.router.timeouts().idle.unwrap_or(IDLE);
        let mut is_new = true;
        let mut until = Instant::now() + idle;
        loop {
            let answered = self.answer_all().await;
            if answered {
                is_new = false;
                until = Instant::now() + idle;
            }
            if !self.outgoing.is_empty() {
                self.write().await?;
                // Others have their turn.
                tokio::task::yield_now().await;
                continue;
            }
            if self.ended && self.waiting == 0 {
                return self.stream.shutdown().await;
            }
            if self.waiting == 0 {
                // One that waits for a question, or for the rest of one, holds no more than that.
                self.outgoing = Vec::new();
                if self.incoming.is_empty() {
                    self.incoming = BytesMut::new();
                }
                slot.rest();
            }
            let reads = !self.ended && self.waiting < MAX_WAITING;
            tokio::select! {
                reply = self.later.1.recv(), if self.waiting > 0 => {
                    self.waiting -= 1;
                    if let Some(reply) = reply {
                        self.add(reply)?;
                    }
                }
                readable = self.stream.readable(), if reads => {
                    readable?;
                    self.read()?;
                }
                () = stopped(shutdown, is_new), if !self.ended => self.ended = true,
                () = slot.leave().cancelled() => return Ok(()),
                () = tokio::time::sleep_until(until) => return Err(io::ErrorKind::TimedOut.into()),
            }
            slot.work();
        }
    }

    /// Answers the questions that are there whole, until there is enough to write. Whether there was one.
    async fn answer_all(&mut self) -> bool {
        let mut any = false;
        while self.outgoing.len() < FLUSH && self.waiting < MAX_WAITING && self.left != Some(0) {
            let Some(packet) = frame(&mut self.incoming) else {
                break;
            };
            any = true;
            self.left = self.left.map(|left| left - 1);
            let reply = match answer(&self.router, &packet, Transport::Tcp, self.route).await {
                Answered::Nothing => continue,
                Answered::Now(reply) => reply,
                Answered::Later(reply) => match self.limits.wait() {
                    Ok(slot) => {
                        self.wait_for(reply, slot);
                        continue;
                    }
                    Err(_) => {
                        self.router.count_shed(Shed::Waiting);
                        Messages::One(message::servfail(&packet))
                    }
                },
            };
            if self.add(reply).is_err() {
                // Nothing more is made for a client that there is no room for.
                self.left = Some(0);
            }
        }
        self.ended |= self.left == Some(0);
        any
    }

    /// Waits for a reply beside the others.
    fn wait_for(&mut self, reply: BoxFuture<'static, Messages>, slot: OwnedSemaphorePermit) {
        let replies = self.later.0.clone();
        self.waiting += 1;
        self.tasks.spawn(async move {
            // A client that is gone gets none.
            let _gone = replies.send(reply.await).await;
            drop(slot);
        });
    }

    /// Puts a reply behind those that are to be written.
    fn add(&mut self, reply: Messages) -> io::Result<()> {
        let messages = reply.into_all();
        let octets = messages.iter().map(Vec::len).sum();
        if octets > UNIT {
            self.room = Some(self.keep(octets)?);
        }
        for message in messages {
            let size = u16::try_from(message.len()).map_err(io::Error::other)?;
            self.outgoing.extend(size.to_be_bytes());
            self.outgoing.extend(message);
        }
        Ok(())
    }

    /// Reads what is there.
    fn read(&mut self) -> io::Result<()> {
        self.incoming.reserve(READ);
        match self.stream.try_read_buf(&mut self.incoming) {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes the replies. What the client does not take at once is kept for it as long as there is room for such.
    async fn write(&mut self) -> io::Result<()> {
        let written = match self.stream.try_write(&self.outgoing) {
            Ok(written) => written,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(error),
        };
        let rest = &self.outgoing[written..];
        if !rest.is_empty() {
            let _room = match &self.room {
                None => Some(self.keep(rest.len())?),
                Some(_) => None,
            };
            for part in rest.chunks(UNIT) {
                tokio::time::timeout(WRITE, self.stream.write_all(part))
                    .await
                    .map_err(|_| io::ErrorKind::TimedOut)??;
            }
        }
        self.outgoing.clear();
        self.room = None;
        Ok(())
    }

    /// Room for so many octets that the client may not take.
    fn keep(&self, octets: usize) -> io::Result<OwnedSemaphorePermit> {
        self.limits.keep(octets).map_err(|_| {
            self.router.count_shed(Shed::Untaken);
            io::Error::other("there is no room for replies that clients do not take")
        })
    }
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
