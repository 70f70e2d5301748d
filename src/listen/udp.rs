//! Datagrams. A reply leaves from the address that was asked, also where the socket is bound to every address.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::sync::Arc;

use nix::libc;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::answer::{Answered, answer};
use crate::message::question::{Route, Transport};
use crate::plugin::Router;
use crate::throttle::Throttle;

/// The largest request read whole: far above any question with its options.
const MAX_REQUEST: usize = 4096;

/// Questions that may wait for upstreams at a time, for each socket; further ones are dropped, and asked again. Some
/// 8 kB each.
const MAX_WAITING: usize = 2000;

/// Where a datagram came from, and the address it was sent to.
#[derive(Clone, Copy)]
struct Path {
    peer: SocketAddr,
    local: Option<Local>,
}

#[derive(Clone, Copy)]
enum Local {
    V4(libc::in_pktinfo),
    V6(libc::in6_pktinfo),
}

impl Path {
    /// Between whom the datagram went; `port`: the socket's.
    fn route(&self, port: u16) -> Route {
        let server = self.local.map(|local| match local {
            Local::V4(info) => Ipv4Addr::from(u32::from_be(info.ipi_addr.s_addr)).into(),
            Local::V6(info) => IpAddr::from(info.ipi6_addr.s6_addr),
        });
        Route {
            client: self.peer,
            server: server.map(|ip| SocketAddr::new(ip, port)),
        }
    }
}

/// Asks the kernel for the destination address of each datagram.
pub(super) fn want_destination(socket: &socket2::Socket, address: SocketAddr) -> io::Result<()> {
    match address {
        SocketAddr::V4(_) => setsockopt(socket, sockopt::Ipv4PacketInfo, &true)?,
        SocketAddr::V6(_) => setsockopt(socket, sockopt::Ipv6RecvPacketInfo, &true)?,
    }
    Ok(())
}

/// Answers datagrams until `shutdown`.
pub(super) async fn serve(
    socket: UdpSocket,
    router: Arc<Router>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
) {
    let socket = Arc::new(socket);
    let waiting = Arc::new(tokio::sync::Semaphore::new(MAX_WAITING));
    let (dropped, start) = (Throttle::new(1), Instant::now());
    let port = socket.local_addr().map_or(0, |address| address.port());
    let mut buffer = [0; MAX_REQUEST];
    loop {
        let received = tokio::select! {
            received = receive(&socket, &mut buffer) => received,
            () = shutdown.cancelled() => return,
        };
        let (size, path) = match received {
            Ok(received) => received,
            // An ICMP error about an earlier reply; the socket is as good as before.
            Err(error) => {
                tracing::debug!(%error, "receive failed");
                continue;
            }
        };
        match answer(&router, &buffer[..size], Transport::Udp, path.route(port)).await {
            Answered::Nothing => {}
            Answered::Now(reply) => send(&socket, &reply.into_first(), path).await,
            Answered::Later(reply) => {
                let Ok(slot) = Arc::clone(&waiting).try_acquire_owned() else {
                    if let Some(before) = dropped.pass(start.elapsed()) {
                        warn!(
                            before,
                            "too many questions wait for upstreams; one is dropped, and more before it"
                        );
                    }
                    continue;
                };
                let socket = Arc::clone(&socket);
                tasks.spawn(async move {
                    send(&socket, &reply.await.into_first(), path).await;
                    drop(slot);
                });
            }
        }
    }
}

async fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> io::Result<(usize, Path)> {
    socket
        .async_io(Interest::READABLE, || {
            let mut space = nix::cmsg_space!(libc::in6_pktinfo);
            let mut into = [IoSliceMut::new(buffer)];
            let message = recvmsg::<SockaddrStorage>(
                socket.as_raw_fd(),
                &mut into,
                Some(&mut space),
                MsgFlags::empty(),
            )?;
            let peer = message
                .address
                .as_ref()
                .and_then(to_std)
                .ok_or(io::ErrorKind::AddrNotAvailable)?;
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "a foreign enum: nothing else was asked for"
            )]
            let local = message.cmsgs()?.find_map(|control| match control {
                ControlMessageOwned::Ipv4PacketInfo(info) => Some(Local::V4(info)),
                ControlMessageOwned::Ipv6PacketInfo(info) => Some(Local::V6(info)),
                _ => None,
            });
            Ok((message.bytes, Path { peer, local }))
        })
        .await
}

async fn send(socket: &UdpSocket, reply: &[u8], path: Path) {
    let sent = socket
        .async_io(Interest::WRITABLE, || {
            let from = [IoSlice::new(reply)];
            let peer = SockaddrStorage::from(path.peer);
            let fd = socket.as_raw_fd();
            let sent = match path.local {
                None => sendmsg(fd, &from, &[], MsgFlags::empty(), Some(&peer)),
                // Index 0: the route decides the interface, as for any packet from this address.
                Some(Local::V4(info)) => {
                    let info = libc::in_pktinfo {
                        ipi_ifindex: 0,
                        ..info
                    };
                    sendmsg(
                        fd,
                        &from,
                        &[ControlMessage::Ipv4PacketInfo(&info)],
                        MsgFlags::empty(),
                        Some(&peer),
                    )
                }
                Some(Local::V6(info)) => sendmsg(
                    fd,
                    &from,
                    &[ControlMessage::Ipv6PacketInfo(&info)],
                    MsgFlags::empty(),
                    Some(&peer),
                ),
            };
            Ok(sent?)
        })
        .await;
    if let Err(error) = sent {
        tracing::debug!(%error, peer = %path.peer, "send failed");
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
