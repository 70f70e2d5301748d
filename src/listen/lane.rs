//! A lane: a thread with a socket of its own that reads datagrams in batches and answers them in batches.
//!
//! What the zone answers is answered here, and so is what no plugin has to wait for; the rest is left to the runtime. A
//! reply leaves from the address that was asked, also where the socket is bound to every address.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use nix::sys::socket::MsgFlags;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::{Answered, Behind, answer};
use super::datagrams::{
    BATCH, Headers, MAX_REQUEST, Path, Patience, Received, receive, send_all, to_std,
};
use super::filter;
use super::limits::Limits;
use super::shares::Shares;
use crate::answer::Messages;
use crate::message::question::{Query, Question, RecordType, Route, Transport};
use crate::message::read_plain;
use crate::name::Name;
use crate::plugin::{Express, Router, Shed};
use crate::throttle::Throttle;

/// What a buffer for replies may hold on to, in octets: as much as nearly every reply takes.
const KEPT: usize = 4096;

/// A question that has waited for so long is not answered any more: its client has asked again, or given up (c-ares waits
/// two seconds, others longer).
const OVERDUE: Duration = Duration::from_secs(2);

/// How long a lane that is to end answers what had come before.
const DRAIN: Duration = Duration::from_secs(2);

/// A socket, and what is behind it.
pub(super) struct Lane {
    socket: Arc<UdpSocket>,
    /// Where it is bound to.
    address: SocketAddr,
    router: Arc<Router>,
    express: Express,
    /// The question at hand.
    query: Query,
    random: SmallRng,
    runtime: Handle,
    tasks: TaskTracker,
    limits: Limits,
    dropped: Throttle,
    /// Who may ask how much where not all can be answered.
    shares: Shares,
    overload: Throttle,
    /// Datagrams say when they came, as the lane falls behind.
    is_stamped: bool,
    /// How many have come.
    heard: Arc<AtomicU64>,
    start: Instant,
}

/// Ends the lanes where it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers datagrams on each socket until `shutdown`. Ends before where a lane ends or breaks.
pub(super) async fn serve(sockets: Vec<UdpSocket>, behind: Behind, shutdown: CancellationToken) {
    let stop = Stop(Arc::default());
    let (running, mut ended) = mpsc::channel::<()>(1);
    for socket in sockets {
        let (running, told) = (running.clone(), Arc::clone(&stop.0));
        let lane = match Lane::new(socket, behind.clone()) {
            Ok(lane) => lane,
            Err(error) => {
                warn!(%error, "a socket cannot be served");
                return;
            }
        };
        let lane = move || {
            // The end of the lane is told by dropping it.
            let _running = running;
            lane.run(&told);
        };
        if let Err(error) = std::thread::Builder::new().name("lane".into()).spawn(lane) {
            warn!(%error, "a thread for a socket cannot be had");
            return;
        }
    }
    drop(running);
    let first = ended.recv();
    tokio::select! {
        () = shutdown.cancelled() => {}
        _ended = first => {}
    }
    drop(stop);
    // All of them have answered what they had read.
    while ended.recv().await.is_some() {}
}

/// Replies of one batch.
struct Replies {
    buffers: Vec<Vec<u8>>,
    paths: Vec<Path>,
}

impl Lane {
    /// A lane on this socket, within a runtime.
    pub(super) fn new(socket: UdpSocket, behind: Behind) -> io::Result<Self> {
        let Behind {
            router,
            limits,
            tasks,
            heard,
        } = behind;
        let address = socket.local_addr()?;
        Ok(Self {
            address,
            query: Query::plain(Question::new(Name::root(), RecordType::A), address),
            socket: Arc::new(socket),
            express: Express::new(&router),
            router,
            random: SmallRng::from_rng(&mut rand::rng()),
            runtime: Handle::current(),
            tasks,
            limits,
            dropped: Throttle::new(1),
            shares: Shares::default(),
            overload: Throttle::new(1),
            is_stamped: false,
            heard: heard.counter(),
            start: Instant::now(),
        })
    }

    /// Answers datagrams until `stop`.
    pub(super) fn run(mut self, stop: &AtomicBool) {
        let runtime = self.runtime.clone();
        let _within = runtime.enter();
        let mut requests = Box::new([[0; MAX_REQUEST]; BATCH]);
        let mut headers = Headers::new();
        let mut replies = Replies {
            buffers: std::iter::repeat_with(|| Vec::with_capacity(KEPT))
                .take(BATCH)
                .collect(),
            paths: Vec::with_capacity(BATCH),
        };
        let mut received = Vec::with_capacity(BATCH);
        // What stands in the socket when it is to end is answered too, as far as that takes no longer than clients wait.
        let mut until = None;
        let mut patience = Patience::default();
        loop {
            if until.is_none() && stop.load(Ordering::Relaxed) {
                until = Some(Instant::now() + DRAIN);
            }
            let flags = match until {
                None => MsgFlags::MSG_WAITFORONE,
                Some(until) if until < Instant::now() => return,
                // A server that takes the socket over waits on it: its own flags stay.
                Some(_) => MsgFlags::MSG_DONTWAIT,
            };
            received.clear();
            match receive(
                (&self.socket, flags),
                &mut headers,
                &mut requests,
                &mut received,
            ) {
                Ok(()) => patience.heard(&self.socket),
                Err(nix::errno::Errno::EAGAIN) if until.is_some() => return,
                // Nothing has come; or an ICMP error about an earlier reply: the socket is as good as before.
                Err(error) => {
                    if !matches!(error, nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) {
                        debug!(%error, "receive failed");
                    }
                    patience.waited(&self.socket);
                    self.share(Instant::now(), &[], &mut headers);
                    continue;
                }
            }
            let begin = Instant::now();
            let heard = self.heard.load(Ordering::Relaxed) + received.len() as u64;
            self.heard.store(heard, Ordering::Relaxed);
            self.share(begin, &received, &mut headers);
            let now = if self.is_stamped {
                since_1970()
            } else {
                Duration::ZERO
            };
            for (datagram, request) in received.iter().zip(&*requests) {
                if is_overdue(datagram, now) {
                    self.router.count_shed(Shed::Overdue);
                    continue;
                }
                let request = &request[..datagram.size.min(MAX_REQUEST)];
                self.answer(request, datagram.path, &mut replies);
            }
            self.send(&mut headers, &mut replies);
            self.express.settle(begin.elapsed());
        }
    }

    /// Sees to it that no client takes what others need.
    fn share(&mut self, now: Instant, received: &[Received], headers: &mut Headers) {
        let now = now.duration_since(self.start);
        if self.shares.saw(now, received.len() == BATCH) {
            let clients = received
                .iter()
                .filter_map(|datagram| to_std(&datagram.path.peer));
            clients.for_each(|client| self.shares.sample(client.ip().into()));
        }
        let is_behind = self.shares.is_behind(now);
        if is_behind != self.is_stamped {
            match headers.stamp(&self.socket, is_behind) {
                Ok(()) => self.is_stamped = is_behind,
                Err(error) => debug!(%error, "datagrams cannot have their time"),
            }
        }
        let Some(limited) = self.shares.decide(now) else {
            return;
        };
        let clients = limited.len();
        if clients > 0 {
            self.router.count_shed(Shed::Share);
        }
        if let Err(error) = filter::set(&self.socket, limited) {
            debug!(%error, "a socket's filter cannot be set");
        } else if clients > 0
            && let Some(before) = self.overload.pass(now)
        {
            warn!(address = %self.address, clients, before, "more is asked than can be answered; clients that ask more than others have a part of their questions dropped");
        }
    }

    /// Answers a datagram, now or later.
    fn answer(&mut self, packet: &[u8], path: Path, replies: &mut Replies) {
        let Some(client) = to_std(&path.peer) else {
            return;
        };
        let server = match path.local {
            Some(local) => SocketAddr::new(local.ip(), self.address.port()),
            None => self.address,
        };
        let route = Route::new(client, Some(server));
        let out = &mut replies.buffers[replies.paths.len()];
        out.clear();
        let (query, express, random) = (&mut self.query, &mut self.express, &mut self.random);
        // A panic costs this way: the chain answers, or has one too, which costs the reply.
        let at_once = catch_unwind(AssertUnwindSafe(|| {
            read_plain(query, packet, route) && express.answer(query, random.random(), out)
        }));
        if at_once.unwrap_or(false) {
            replies.paths.push(path);
            return;
        }
        let answered = answer(&self.router, packet, Transport::Udp, route);
        match futures::executor::block_on(answered) {
            Answered::Nothing => {}
            Answered::Now(reply) => {
                if let Some(reply) = reply.into_first() {
                    *out = reply;
                    replies.paths.push(path);
                }
            }
            Answered::Later(reply) => self.later(reply, path, client.ip()),
        }
    }

    /// Sends a reply when it is there, unless too many are waited for.
    fn later(&self, reply: BoxFuture<'static, Messages>, path: Path, client: IpAddr) {
        let Some(slot) = self.limits.wait(client) else {
            self.router.count_shed(Shed::Waiting);
            if let Some(before) = self.dropped.pass(self.start.elapsed()) {
                warn!(
                    before,
                    "too many questions wait for upstreams; one is dropped, and more before it"
                );
            }
            return;
        };
        let socket = Arc::clone(&self.socket);
        self.tasks.spawn_on(
            async move {
                if let Some(reply) = reply.await.into_first() {
                    send_all(&socket, &mut Headers::new(), &[reply], &[path]);
                }
                drop(slot);
            },
            &self.runtime,
        );
    }

    fn send(&self, headers: &mut Headers, replies: &mut Replies) {
        let Replies { buffers, paths } = replies;
        send_all(&self.socket, headers, &buffers[..paths.len()], paths);
        for buffer in &mut buffers[..paths.len()] {
            buffer.clear();
            buffer.shrink_to(KEPT);
        }
        paths.clear();
    }
}

/// Whether nobody waits for the answer any more. `now`: since 1970.
fn is_overdue(datagram: &Received, now: Duration) -> bool {
    let waited = datagram.came.map(|came| now.saturating_sub(came));
    waited.is_some_and(|waited| waited > OVERDUE)
}

fn since_1970() -> Duration {
    #[expect(
        clippy::disallowed_methods,
        reason = "the kernel says by this clock when datagrams came"
    )]
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::datagrams::prepare;
    use super::*;

    /// The one datagram that is there.
    fn one(server: &UdpSocket, headers: &mut Headers) -> Received {
        let mut requests = [[0; MAX_REQUEST]; BATCH];
        let mut received = Vec::new();
        let flags = MsgFlags::MSG_WAITFORONE;
        receive((server, flags), headers, &mut requests, &mut received).unwrap();
        assert_eq!(received.len(), 1);
        received.remove(0)
    }

    #[test]
    fn a_question_that_nobody_waits_for_any_more_is_overdue() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        let headers = &mut Headers::new();
        headers.stamp(&server, true).unwrap();
        let sent = since_1970();
        client.send_to(b"x", at).unwrap();
        let datagram = one(&server, headers);
        let came = datagram.came.unwrap();
        let minute = Duration::from_secs(60);
        assert!(came + minute > sent && came < sent + minute, "{came:?}");
        let waited = [OVERDUE, OVERDUE + Duration::from_nanos(1)];
        assert_eq!(
            waited.map(|w| is_overdue(&datagram, came + w)),
            [false, true]
        );
        headers.stamp(&server, false).unwrap();
        client.send_to(b"x", at).unwrap();
        assert!(!is_overdue(&one(&server, headers), came + minute));
    }

    #[test]
    fn headers_that_were_used_take_the_time_of_datagrams_and_where_they_were_sent_to() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            let address: SocketAddr = address.parse().unwrap();
            let server = UdpSocket::bind(address).unwrap();
            prepare(&server.try_clone().unwrap().into(), address).unwrap();
            let local = SocketAddr::from(([127, 0, 0, 1], server.local_addr().unwrap().port()));
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            let headers = &mut Headers::new();
            for is_stamped in [false, true, false, true] {
                headers.stamp(&server, is_stamped).unwrap();
                client.send_to(b"x", local).unwrap();
                let datagram = one(&server, headers);
                let to = datagram.path.local.map(|local| local.ip().to_canonical());
                let is_any = address.ip().is_unspecified();
                assert_eq!(
                    (datagram.came.is_some(), to),
                    (is_stamped, is_any.then_some(local.ip())),
                    "{address}"
                );
            }
        }
    }
}
