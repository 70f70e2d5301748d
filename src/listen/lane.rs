//! A lane: a thread with a socket of its own that reads datagrams in batches and answers them in batches.
//!
//! What the zone answers is answered here, and so is what no plugin has to wait for; the rest is left to the runtime. A
//! reply leaves from the address that was asked, also where the socket is bound to every address.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, setsockopt, sockopt,
};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::answer::{Answered, answer};
use super::filter;
use super::limits::Limits;
use super::shares::Shares;
use crate::answer::Messages;
use crate::message::question::{Query, Question, RecordType, Route, Transport};
use crate::message::read_plain;
use crate::name::Name;
use crate::plugin::{Express, Router, Shed};
use crate::throttle::Throttle;

/// Datagrams that are read and answered at a time.
const BATCH: usize = 32;

/// The largest request read whole: far above any question with its options.
const MAX_REQUEST: usize = 4096;

/// What a buffer for replies may hold on to, in octets: as much as nearly every reply takes.
const KEPT: usize = 4096;

/// How long a lane that is to end answers what had come before.
const DRAIN: Duration = Duration::from_secs(2);

/// How long a lane waits for datagrams before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// What the lanes of one address share.
#[derive(Clone)]
pub(super) struct Lanes {
    pub(super) router: Arc<Router>,
    pub(super) limits: Limits,
    pub(super) tasks: TaskTracker,
}

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
    start: Instant,
}

/// Where a datagram came from, and the address it was sent to where the socket is bound to all.
#[derive(Clone, Copy)]
struct Path {
    peer: SockaddrStorage,
    local: Option<Local>,
}

#[derive(Clone, Copy)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Local {
    fn ip(self) -> IpAddr {
        match self {
            Self::V4(info) => Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into(),
            Self::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        }
    }
}

/// Readies a socket for a lane: it waits for datagrams, but not for ever, and learns their destinations where it is bound
/// to every address.
pub(super) fn prepare(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(LOOK))?;
    match address {
        SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
            setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?;
        }
        SocketAddr::V6(v6) if v6.ip().is_unspecified() => {
            setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        }
        SocketAddr::V4(_) | SocketAddr::V6(_) => {}
    }
    Ok(())
}

/// Ends the lanes where it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Answers datagrams on each socket until `shutdown`. Ends before where a lane ends or breaks.
pub(super) async fn serve(sockets: Vec<UdpSocket>, lanes: Lanes, shutdown: CancellationToken) {
    let stop = Stop(Arc::default());
    let (running, mut ended) = mpsc::channel::<()>(1);
    for socket in sockets {
        let (running, told) = (running.clone(), Arc::clone(&stop.0));
        let lane = match Lane::new(socket, lanes.clone()) {
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
    pub(super) fn new(socket: UdpSocket, lanes: Lanes) -> io::Result<Self> {
        let Lanes {
            router,
            limits,
            tasks,
        } = lanes;
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
                Ok(()) => {}
                Err(nix::errno::Errno::EAGAIN) if until.is_some() => return,
                // Nothing has come; or an ICMP error about an earlier reply: the socket is as good as before.
                Err(error) => {
                    if !matches!(error, nix::errno::Errno::EAGAIN | nix::errno::Errno::EINTR) {
                        debug!(%error, "receive failed");
                    }
                    self.share(&[]);
                    continue;
                }
            }
            let begin = Instant::now();
            self.share(&received);
            for ((size, path), request) in received.iter().zip(&*requests) {
                self.answer(&request[..(*size).min(MAX_REQUEST)], *path, &mut replies);
            }
            self.send(&mut headers, &mut replies);
            self.express.settle(begin.elapsed());
        }
    }

    /// Sees to it that no client takes what others need.
    fn share(&mut self, received: &[(usize, Path)]) {
        let now = self.start.elapsed();
        if self.shares.saw(now, received.len() == BATCH) {
            let clients = received.iter().filter_map(|(_, path)| to_std(&path.peer));
            clients.for_each(|client| self.shares.sample(client.ip().into()));
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
        let route = Route {
            client,
            server: Some(server),
        };
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
                *out = reply.into_first();
                replies.paths.push(path);
            }
            Answered::Later(reply) => self.later(reply, path),
        }
    }

    /// Sends a reply when it is there, unless too many are waited for.
    fn later(&self, reply: BoxFuture<'static, Messages>, path: Path) {
        let Ok(slot) = self.limits.wait() else {
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
                let reply = reply.await.into_first();
                send_all(&socket, &mut Headers::new(), &[reply], &[path]);
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

/// What the system calls fill in and read: one for each kind of control message.
struct Headers {
    received: MultiHeaders<SockaddrStorage>,
    plain: MultiHeaders<SockaddrStorage>,
    v4: MultiHeaders<SockaddrStorage>,
    v6: MultiHeaders<SockaddrStorage>,
}

impl Headers {
    fn new() -> Self {
        let v6 = || Some(nix::cmsg_space!(libc::in6_pktinfo));
        Self {
            received: MultiHeaders::preallocate(BATCH, v6()),
            plain: MultiHeaders::preallocate(BATCH, None),
            v4: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(libc::in_pktinfo))),
            v6: MultiHeaders::preallocate(BATCH, v6()),
        }
    }
}

/// Waits for datagrams, and reads those that are there: the size and path of each.
fn receive(
    (socket, flags): (&UdpSocket, MsgFlags),
    headers: &mut Headers,
    requests: &mut [[u8; MAX_REQUEST]; BATCH],
    received: &mut Vec<(usize, Path)>,
) -> nix::Result<()> {
    let mut slices = requests
        .each_mut()
        .map(|request| [IoSliceMut::new(request)]);
    let messages = recvmmsg(
        socket.as_raw_fd(),
        &mut headers.received,
        slices.iter_mut(),
        flags,
        None,
    )?;
    for message in messages {
        #[expect(
            clippy::wildcard_enum_match_arm,
            reason = "a foreign enum: nothing else was asked for"
        )]
        let local = message.cmsgs()?.find_map(|control| match control {
            ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info)),
            ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::V6(info)),
            _ => None,
        });
        if let Some(peer) = message.address {
            received.push((message.bytes, Path { peer, local }));
        }
    }
    Ok(())
}

/// Sends replies; those in a row that leave from one address in one system call. One that cannot be sent is lost.
fn send_all(socket: &UdpSocket, headers: &mut Headers, replies: &[Vec<u8>], paths: &[Path]) {
    let mut start = 0;
    while start < paths.len() {
        let from = paths[start].local;
        let ip = |local: Option<Local>| local.map(Local::ip);
        let alike = paths[start..].iter();
        let alike = alike.take_while(|path| ip(path.local) == ip(from));
        let end = start + alike.count();
        match send_from(
            socket,
            headers,
            from,
            &replies[start..end],
            &paths[start..end],
        ) {
            Ok(sent) => start += sent.max(1),
            Err(error) => {
                debug!(%error, "send failed");
                start += 1;
            }
        }
    }
}

/// How many were sent.
fn send_from(
    socket: &UdpSocket,
    headers: &mut Headers,
    from: Option<Local>,
    replies: &[Vec<u8>],
    paths: &[Path],
) -> nix::Result<usize> {
    let mut slices = [[IoSlice::new(&[])]; BATCH];
    let mut peers = [None; BATCH];
    let count = replies.len().min(BATCH);
    for (i, (reply, path)) in replies.iter().zip(paths).take(BATCH).enumerate() {
        (slices[i], peers[i]) = ([IoSlice::new(reply)], Some(path.peer));
    }
    let (slices, peers) = (&slices[..count], &peers[..count]);
    let (fd, flags) = (socket.as_raw_fd(), MsgFlags::MSG_DONTWAIT);
    match from {
        None => sendmmsg(fd, &mut headers.plain, slices, peers, [], flags).map(Iterator::count),
        Some(Local::V4(info)) => {
            // Index 0: the route decides the interface, as for any packet from this address.
            let info = libc::in_pktinfo {
                ipi_ifindex: 0,
                ..info
            };
            let control = [ControlMessage::Ipv4PacketInfo(&info)];
            sendmmsg(fd, &mut headers.v4, slices, peers, control, flags).map(Iterator::count)
        }
        Some(Local::V6(info)) => {
            let control = [ControlMessage::Ipv6PacketInfo(&info)];
            sendmmsg(fd, &mut headers.v6, slices, peers, control, flags).map(Iterator::count)
        }
    }
}

fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|a| SocketAddr::V4((*a).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6((*a).into()))
    })
}
