//! Requests to the kernel's network, as octets (rtnetlink(7), netlink(7)): the five that a node makes.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};

const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
/// The type of an answer: an errno, which is 0 where all went well.
const ERROR: u16 = 2;

/// A request, whose outcome shall be said.
const REQUEST: u16 = 0x1 | 0x4;
/// What is made must not be there yet.
const CREATE: u16 = REQUEST | 0x200 | 0x400;

const UP: u32 = 1;
/// `RT_TABLE_MAIN`, `RT_TABLE_LOCAL`; `RTN_UNICAST`, `RTN_LOCAL`.
const MAIN: (u8, u8) = (254, 1);
const LOCAL: (u8, u8) = (255, 2);
/// The longest answer: a header, an errno, and the request once more.
const ANSWER: usize = 4096;

/// One request; attributes are added to it.
pub(crate) struct Message(Vec<u8>);

impl Message {
    fn new(kind: u16, flags: u16, header: &[u8]) -> Self {
        let mut octets = vec![0; 4];
        octets.extend(kind.to_ne_bytes());
        octets.extend(flags.to_ne_bytes());
        octets.extend([0; 8]);
        octets.extend(header);
        Self(octets)
    }

    /// A link to make.
    pub(crate) fn link(name: &str, kind: &str) -> Self {
        Self::new(NEW_LINK, CREATE, &link_header(0, 0))
            .text(3, name)
            .nested(18, |info| info.text(1, kind))
    }

    /// A pair of links: `name` here, at the bridge of that number, and `peer` in another network.
    pub(crate) fn pair(name: &str, bridge: u32, peer: (&str, BorrowedFd<'_>)) -> Self {
        let (peer, network) = peer;
        let network = network.as_raw_fd().to_ne_bytes();
        Self::new(NEW_LINK, CREATE, &link_header(0, 0))
            .text(3, name)
            .attribute(10, &bridge.to_ne_bytes())
            .nested(18, |info| {
                info.text(1, "veth").nested(2, |data| {
                    data.nested(1, |mut other| {
                        other.0.extend(link_header(0, 0));
                        other.text(3, peer).attribute(28, &network)
                    })
                })
            })
    }

    /// Switches a link on.
    pub(crate) fn up(index: u32) -> Self {
        Self::new(NEW_LINK, REQUEST, &link_header(index, UP))
    }

    /// With this address on its wire.
    pub(crate) fn mac(self, octets: [u8; 6]) -> Self {
        self.attribute(1, &octets)
    }

    /// An address of a link.
    pub(crate) fn address(index: u32, (address, prefix): (IpAddr, u8)) -> Self {
        let mut header = vec![family(address), prefix, 0, 0];
        header.extend(index.to_ne_bytes());
        let octets = octets(address);
        // IFA_F_NODAD: nobody else has it, so it is usable at once and not after a second.
        Self::new(NEW_ADDRESS, CREATE, &header)
            .attribute(1, &octets)
            .attribute(2, &octets)
            .attribute(8, &2_u32.to_ne_bytes())
    }

    /// The way to everything else.
    pub(crate) fn way_out(index: u32, gateway: IpAddr) -> Self {
        Self::route(gateway, 0, MAIN)
            .attribute(5, &octets(gateway))
            .attribute(4, &index.to_ne_bytes())
    }

    /// A prefix whose every address is this network's own.
    pub(crate) fn local(index: u32, (address, prefix): (IpAddr, u8)) -> Self {
        Self::route(address, prefix, LOCAL)
            .attribute(1, &octets(address))
            .attribute(4, &index.to_ne_bytes())
    }

    fn route(address: IpAddr, prefix: u8, (table, kind): (u8, u8)) -> Self {
        // RTPROT_BOOT; the scope of what is local is the host, else the universe.
        let scope = if table == LOCAL.0 { 254 } else { 0 };
        let mut header = vec![family(address), prefix, 0, 0, table, 3, scope, kind];
        header.extend([0; 4]);
        Self::new(NEW_ROUTE, CREATE, &header)
    }

    fn text(self, kind: u16, text: &str) -> Self {
        self.attribute(kind, &[text.as_bytes(), &[0]].concat())
    }

    fn attribute(mut self, kind: u16, value: &[u8]) -> Self {
        self.0.extend(length(value.len() + 4));
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    fn nested(self, kind: u16, content: impl FnOnce(Self) -> Self) -> Self {
        let content = content(Self(Vec::new()));
        self.attribute(kind, &content.0)
    }
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets).unwrap_or(u16::MAX).to_ne_bytes()
}

fn link_header(index: u32, flags: u32) -> Vec<u8> {
    let mut header = vec![0; 4];
    for field in [index, flags, flags] {
        header.extend(field.to_ne_bytes());
    }
    header
}

fn family(address: IpAddr) -> u8 {
    let family = match address {
        IpAddr::V4(_) => AddressFamily::INET,
        IpAddr::V6(_) => AddressFamily::INET6,
    };
    u8::try_from(family.as_raw()).unwrap_or_default()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().into(),
        IpAddr::V6(address) => address.octets().into(),
    }
}

/// A way to ask the kernel about the network of the thread that opens it.
pub(crate) struct Netlink(OwnedFd);

impl Netlink {
    pub(crate) fn open() -> io::Result<Self> {
        let (family, kind) = (AddressFamily::NETLINK, SocketType::RAW);
        // Protocol 0 is NETLINK_ROUTE.
        let socket = rustix::net::socket_with(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok(Self(socket))
    }

    /// Makes a request, and hears how it went.
    pub(crate) fn ask(&self, mut message: Message) -> io::Result<()> {
        let whole = u32::try_from(message.0.len()).unwrap_or(u32::MAX);
        message.0[..4].copy_from_slice(&whole.to_ne_bytes());
        rustix::net::send(&self.0, &message.0, SendFlags::empty())?;
        let mut answer = [0; ANSWER];
        let (size, _) = rustix::net::recv(&self.0, &mut answer[..], RecvFlags::empty())?;
        let answer = &answer[..size];
        let kind = answer.get(4..6) == Some(&ERROR.to_ne_bytes()[..]);
        match answer.get(16..20).and_then(|code| code.try_into().ok()) {
            Some(code) if kind => match i32::from_ne_bytes(code) {
                0 => Ok(()),
                code => Err(Errno::from_raw_os_error(-code).into()),
            },
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_padded_and_count_their_own_header() {
        let message = Message(Vec::new())
            .text(3, "lo")
            .nested(18, |i| i.text(1, "veth"));
        let wanted = [
            &[7, 0, 3, 0, b'l', b'o', 0, 0][..],
            &[16, 0, 18, 0, 9, 0, 1, 0, b'v', b'e', b't', b'h', 0, 0, 0, 0],
        ];
        assert_eq!(message.0, wanted.concat());
    }
}
