//! The node's network: a bridge that every Pod is plugged into.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};

use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::messages::{Failure, Tried};
use super::netlink::{Message, Netlink};
use crate::{NodeOptions, Transport};

/// A network's first link.
const LOOPBACK: u32 = 1;
const BRIDGE: &str = "br0";
const INSIDE: &str = "eth0";

/// A bridge takes the lowest address of its links where it has none of its own, and changes it with them.
const BRIDGE_MAC: [u8; 6] = [0x02, 0x00, 0x0a, 0xf4, 0x00, 0x01];

/// The node's side of it.
pub(crate) struct Network {
    netlink: Netlink,
    bridge: u32,
    /// Links so far: each has a name of its own, as a Pod's may outlive it by a moment.
    links: u32,
}

impl Network {
    /// Makes it, in this thread's network namespace.
    pub(crate) fn new(options: &NodeOptions) -> Result<Self, Failure> {
        let netlink = Netlink::open().tried(|| "asking the network".into())?;
        let up = netlink.ask(Message::up(LOOPBACK));
        up.tried(|| "switching loopback on".into())?;
        let made = netlink.ask(Message::link(BRIDGE, "bridge").mac(BRIDGE_MAC));
        made.tried(|| "making a bridge".into())?;
        let bridge = index(BRIDGE)?;
        let up = netlink.ask(Message::up(bridge));
        up.tried(|| "switching the bridge on".into())?;
        for address in &options.addresses {
            let given = netlink.ask(Message::address(bridge, *address));
            given.tried(|| format!("giving the bridge {}/{}", address.0, address.1))?;
        }
        for prefix in &options.local {
            let routed = netlink.ask(Message::local(LOOPBACK, *prefix));
            routed.tried(|| format!("routing {}/{}", prefix.0, prefix.1))?;
        }
        Ok(Self {
            netlink,
            bridge,
            links: 0,
        })
    }

    /// Plugs a Pod's network in.
    pub(crate) fn connect(&mut self, pod: &OwnedFd) -> Result<(), Failure> {
        self.links += 1;
        let name = format!("pod{}", self.links);
        let pair = Message::pair(&name, self.bridge, (INSIDE, pod.as_fd()));
        let made = self.netlink.ask(pair);
        made.tried(|| "making a Pod's link".into())?;
        // After both ends are there: a pair that is made switched on is refused.
        let up = self.netlink.ask(Message::up(index(&name)?));
        up.tried(|| "switching a Pod's link on".into())
    }
}

/// Sets up a Pod's side, in this thread's network namespace.
pub(crate) fn address(options: &NodeOptions, addresses: &[IpAddr]) -> Result<(), Failure> {
    let netlink = Netlink::open().tried(|| "asking the network".into())?;
    let inside = index(INSIDE)?;
    for link in [LOOPBACK, inside] {
        let up = netlink.ask(Message::up(link));
        up.tried(|| "switching a link on".into())?;
    }
    for address in addresses {
        let Some((gateway, prefix)) = options.gateway(*address) else {
            let family = io::ErrorKind::AddrNotAvailable;
            return Err(Failure::new(format!("giving a Pod {address}"), family));
        };
        let given = netlink.ask(Message::address(inside, (*address, prefix)));
        given.tried(|| format!("giving a Pod {address}"))?;
        let routed = netlink.ask(Message::way_out(inside, gateway));
        routed.tried(|| format!("routing a Pod by {gateway}"))?;
    }
    // As in any container: ports below 1024 are for all, and so is ping.
    for (name, value) in [
        ("ip_unprivileged_port_start", "0"),
        ("ping_group_range", "0 0"),
    ] {
        let file = format!("/proc/sys/net/ipv4/{name}");
        fs::write(&file, value).tried(|| format!("writing {file}"))?;
    }
    Ok(())
}

/// The number of a link of this thread's network.
fn index(name: &str) -> Result<u32, Failure> {
    let socket = socket(Transport::Tcp, false).tried(|| format!("finding {name}"))?;
    let index = rustix::net::netdevice::name_to_index(socket, name);
    index.tried(|| format!("finding {name}"))
}

/// A socket, for an address of this family.
pub(crate) fn socket(transport: Transport, v6: bool) -> io::Result<OwnedFd> {
    let kind = match transport {
        Transport::Tcp => SocketType::STREAM,
        Transport::Udp => SocketType::DGRAM,
    };
    let family = if v6 {
        AddressFamily::INET6
    } else {
        AddressFamily::INET
    };
    let flags = SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(family, kind, flags, None)?)
}
