//! The system calls of a lane: datagrams in batches, each with the address that it was sent to, and replies that leave from
//! there.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;
use std::time::Duration;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg,
    sendmmsg, setsockopt, sockopt,
};
use nix::sys::time::TimeSpec;
use tracing::debug;

/// Datagrams that are read and answered at a time.
pub(super) const BATCH: usize = 32;

/// The largest request read whole: far above any question with its options.
pub(super) const MAX_REQUEST: usize = 4096;

/// How long a lane waits for datagrams before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(50);

/// The same where nothing has come for a while: a server that nobody asks costs nothing.
const LOOK_IDLE: Duration = Duration::from_secs(1);

/// After so many looks in vain a lane counts as idle: a second.
const IDLE_AFTER: u32 = 20;

/// Where a datagram came from, and the address it was sent to where the socket is bound to all.
#[derive(Clone, Copy)]
pub(super) struct Path {
    pub(super) peer: SockaddrStorage,
    pub(super) local: Option<Local>,
}

#[derive(Clone, Copy)]
pub(super) enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Local {
    pub(super) fn ip(self) -> IpAddr {
        match self {
            Self::V4(info) => Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into(),
            Self::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        }
    }
}

/// A datagram that was read.
pub(super) struct Received {
    pub(super) size: usize,
    pub(super) path: Path,
    /// When it came, since 1970, where the socket says that ([`Headers::stamp`]).
    pub(super) came: Option<Duration>,
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

/// How often a lane has waited in vain since it was last asked.
#[derive(Default)]
pub(super) struct Patience(u32);

impl Patience {
    /// Something has come.
    pub(super) fn heard(&mut self, socket: &UdpSocket) {
        if std::mem::take(&mut self.0) >= IDLE_AFTER {
            look_every(LOOK, socket);
        }
    }

    /// Nothing has come.
    pub(super) fn waited(&mut self, socket: &UdpSocket) {
        self.0 = self.0.saturating_add(1);
        if self.0 == IDLE_AFTER {
            look_every(LOOK_IDLE, socket);
        }
    }
}

fn look_every(wait: Duration, socket: &UdpSocket) {
    if let Err(error) = socket.set_read_timeout(Some(wait)) {
        debug!(%error, "the socket waits as long as before");
    }
}

/// What the system calls fill in and read: one for each kind of control message.
pub(super) struct Headers {
    received: MultiHeaders<SockaddrStorage>,
    plain: MultiHeaders<SockaddrStorage>,
    v4: MultiHeaders<SockaddrStorage>,
    v6: MultiHeaders<SockaddrStorage>,
}

impl Headers {
    pub(super) fn new() -> Self {
        let v6 = || Some(nix::cmsg_space!(libc::in6_pktinfo));
        Self {
            received: to_receive(),
            plain: MultiHeaders::preallocate(BATCH, None),
            v4: MultiHeaders::preallocate(BATCH, Some(nix::cmsg_space!(libc::in_pktinfo))),
            v6: MultiHeaders::preallocate(BATCH, v6()),
        }
    }

    /// Has the socket say when datagrams came, or not any more. Those that had come before seem to come when they are read.
    pub(super) fn stamp(&mut self, socket: &UdpSocket, is_on: bool) -> nix::Result<()> {
        setsockopt(socket, sockopt::ReceiveTimestampns, &is_on)?;
        // A header that was used has room left for as many control messages as it got, and no more.
        self.received = to_receive();
        Ok(())
    }
}

/// With room for where each datagram was sent to, and when it came.
fn to_receive() -> MultiHeaders<SockaddrStorage> {
    let controls = nix::cmsg_space!(libc::in6_pktinfo, TimeSpec);
    MultiHeaders::preallocate(BATCH, Some(controls))
}

/// Waits for datagrams, and reads those that are there.
pub(super) fn receive(
    (socket, flags): (&UdpSocket, MsgFlags),
    headers: &mut Headers,
    requests: &mut [[u8; MAX_REQUEST]; BATCH],
    received: &mut Vec<Received>,
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
        let (mut local, mut came) = (None, None);
        let Ok(controls) = message.cmsgs() else {
            // Where it was sent to is not known whole; those beside it are as good as ever.
            continue;
        };
        for control in controls {
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign enum: nothing else was asked for"
            )]
            match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => local = Some(Local::V4(info)),
                ControlMessageOwned::Ipv6PacketInfo(info) => local = Some(Local::V6(info)),
                ControlMessageOwned::ScmTimestampns(time) => came = Some(time.into()),
                _ => {}
            }
        }
        if let Some(peer) = message.address {
            received.push(Received {
                size: message.bytes,
                path: Path { peer, local },
                came,
            });
        }
    }
    Ok(())
}

/// Sends replies; those in a row that leave from one address in one system call. One that cannot be sent is lost.
pub(super) fn send_all(
    socket: &UdpSocket,
    headers: &mut Headers,
    replies: &[Vec<u8>],
    paths: &[Path],
) {
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

pub(super) fn to_std(address: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address
        .as_sockaddr_in()
        .map(|a| SocketAddr::V4((*a).into()));
    v4.or_else(|| {
        address
            .as_sockaddr_in6()
            .map(|a| SocketAddr::V6((*a).into()))
    })
}
