//! Messages with descriptors, over a Unix socket that keeps packets apart (unix(7)).

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest message, in octets: all but a container's specification, which goes by descriptor, take less than a thousand.
const LONGEST: usize = 1 << 16;

/// The most descriptors of a message.
const DESCRIPTORS: usize = 8;

/// One end.
#[derive(Debug)]
pub(crate) struct Packets(OwnedFd);

impl Packets {
    /// Two ends.
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
        let (one, other) = rustix::net::socketpair(family, kind, SocketFlags::CLOEXEC, None)?;
        Ok((Self(one), Self(other)))
    }

    /// The end that this process was given as its standard input; it will not be passed on.
    pub(crate) fn inherited() -> io::Result<Self> {
        let given = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        Ok(Self(given))
    }

    pub(crate) fn send(
        &self,
        message: &impl Serialize,
        descriptors: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        if text.len() > LONGEST {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let text = [IoSlice::new(&text)];
        rustix::io::retry_on_intr(|| {
            rustix::net::sendmsg(&self.0, &text, &mut ancillary, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// The next message, with the descriptors that came with it; none: the other end is closed.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> io::Result<Option<(T, Vec<OwnedFd>)>> {
        let mut text = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received = loop {
            let mut text = [IoSliceMut::new(&mut text)];
            let flags = RecvFlags::CMSG_CLOEXEC;
            match rustix::net::recvmsg(&self.0, &mut text, &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                // Who was killed with messages unread resets the connection.
                Err(rustix::io::Errno::CONNRESET) => return Ok(None),
                received => break received?,
            }
        };
        if received.bytes == 0 {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        let message = serde_json::from_slice(&text[..received.bytes])?;
        Ok(Some((message, descriptors)))
    }

    /// Ends the conversation for both ends, and for whoever waits for a message here.
    pub(crate) fn hang_up(&self) {
        // An end that is closed already has nobody to be told.
        let _closed = rustix::net::shutdown(&self.0, Shutdown::Both);
    }

    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0
    }
}

impl From<OwnedFd> for Packets {
    fn from(descriptor: OwnedFd) -> Self {
        Self(descriptor)
    }
}

impl AsFd for Packets {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};

    use super::*;

    #[test]
    fn a_message_arrives_whole_with_its_descriptors_and_an_end_is_seen() {
        let (one, other) = Packets::pair().unwrap();
        let (read, write) = io::pipe().unwrap();
        one.send(&("hello", 7), &[write.as_fd()]).unwrap();
        drop(write);
        let (message, mut descriptors) = other.receive::<(String, u8)>().unwrap().unwrap();
        assert_eq!((message, descriptors.len()), (("hello".into(), 7), 1));
        let mut write = std::fs::File::from(descriptors.remove(0));
        write.write_all(b"through").unwrap();
        drop(write);
        let mut text = String::new();
        let mut read = std::fs::File::from(OwnedFd::from(read));
        read.read_to_string(&mut text).unwrap();
        assert_eq!(text, "through");
        drop(one);
        assert!(other.receive::<()>().unwrap().is_none());
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (one, _other) = Packets::pair().unwrap();
        let refused = one.send(&"x".repeat(LONGEST), &[]).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    }
}
