//! A filter of the kernel on a lane's socket: what does not pass is dropped before it takes room in the queue, at next to
//! no cost. Classic BPF, which needs no privilege (`SO_ATTACH_FILTER` in socket(7)).

use std::io;

use nix::libc;
use socket2::{SockFilter, SockRef};

use super::shares::{Client, LIMITED, Limited};

/// Where the network header begins, and what the kernel knows beside the packet (linux/filter.h).
const NETWORK: u32 = -0x10_0000_i32 as u32;
const RANDOM: u32 = (-0x1000_i32 + 56) as u32;

/// Where the sender's address stands in the header of IPv4 (RFC 791) and of IPv6 (RFC 8200).
const SOURCE_V4: u32 = 12;
const SOURCE_V6: u32 = 8;

const LOAD: u16 = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
const IF_EQUAL: u16 = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
const IF_AT_LEAST: u16 = (libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K) as u16;
const RETURN: u16 = (libc::BPF_RET | libc::BPF_K) as u16;

/// Instructions of one client: none may jump further than an octet says.
const OF_ONE: usize = 8;
const _: () = assert!(
    OF_ONE * LIMITED < 4096,
    "the kernel takes no longer programs"
);

/// Has the socket let only so much of these clients through; nobody: all.
pub(super) fn set(socket: impl std::os::fd::AsFd, limited: &[Limited]) -> io::Result<()> {
    let socket = SockRef::from(&socket);
    if limited.is_empty() {
        return socket.detach_filter();
    }
    socket.attach_filter(&program(limited))
}

fn program(limited: &[Limited]) -> Vec<SockFilter> {
    let each = limited.iter().flat_map(|limited| {
        let passes = limited.passes;
        let mut one = match limited.client {
            Client::V4(address) => vec![
                SockFilter::new(LOAD, 0, 0, NETWORK + SOURCE_V4),
                SockFilter::new(IF_EQUAL, 0, 4, address),
            ],
            Client::V6(prefix) => {
                let [high, low] = [prefix >> 32, prefix & 0xffff_ffff]
                    .map(|half| u32::try_from(half).unwrap_or_default());
                vec![
                    SockFilter::new(LOAD, 0, 0, NETWORK + SOURCE_V6),
                    SockFilter::new(IF_EQUAL, 0, 6, high),
                    SockFilter::new(LOAD, 0, 0, NETWORK + SOURCE_V6 + 4),
                    SockFilter::new(IF_EQUAL, 0, 4, low),
                ]
            }
        };
        one.extend([
            SockFilter::new(LOAD, 0, 0, RANDOM),
            SockFilter::new(IF_AT_LEAST, 1, 0, passes),
            SockFilter::new(RETURN, 0, 0, u32::MAX),
            SockFilter::new(RETURN, 0, 0, 0),
        ]);
        one
    });
    // Everybody else passes whole.
    each.chain([SockFilter::new(RETURN, 0, 0, u32::MAX)])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
    use std::time::Duration;

    /// How many of 1,000 datagrams arrive.
    fn arriving(server: &UdpSocket, client: &UdpSocket) -> usize {
        let mut count = 0;
        for _ in 0..1000 {
            client.send(b"?").unwrap();
            // Over the loopback what was sent is there, or was dropped.
            count += usize::from(server.recv(&mut [0; 8]).is_ok());
        }
        count
    }

    fn pair(address: SocketAddr) -> (UdpSocket, UdpSocket) {
        let [server, client] = [address, address].map(|address| UdpSocket::bind(address).unwrap());
        client.connect(server.local_addr().unwrap()).unwrap();
        server.set_nonblocking(true).unwrap();
        server
            .set_write_timeout(Some(Duration::from_secs(1)))
            .unwrap();
        (server, client)
    }

    #[test]
    fn a_part_of_one_client_s_datagrams_passes_and_all_of_the_others() {
        for (address, own, other) in [
            (
                SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
                Client::V4(Ipv4Addr::LOCALHOST.to_bits()),
                Client::V4(1),
            ),
            (
                SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
                Client::V6(0),
                Client::V6(1 << 33 | 1),
            ),
        ] {
            let (server, client) = pair(address);
            let limit = |client, passes| {
                let before = Limited {
                    client: Client::V4(9),
                    passes: 0,
                };
                let limited = [before, Limited { client, passes }, before];
                set(&server, &limited).unwrap();
            };
            limit(other, 0);
            assert_eq!(arriving(&server, &client), 1000);
            limit(own, 0);
            assert_eq!(arriving(&server, &client), 0);
            limit(own, u32::MAX / 4);
            let part = arriving(&server, &client);
            assert!((150..350).contains(&part), "{part}");
            set(&server, &[]).unwrap();
            assert_eq!(arriving(&server, &client), 1000);
        }
    }
}
