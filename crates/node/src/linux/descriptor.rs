//! A descriptor that this program was started with.

use std::fs::File;
use std::io;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// A descriptor by its number: a file, a pipe or a socket, to read or write.
///
/// # Errors
/// There is none of that number.
pub fn descriptor(number: i32) -> io::Result<File> {
    // What is not ours by type is had from the kernel: by name a socket cannot be opened.
    let own = pidfd_open(getpid(), PidfdFlags::empty())?;
    let copy = pidfd_getfd(own, number, PidfdGetfdFlags::empty())?;
    Ok(File::from(copy))
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::fd::AsRawFd;

    use super::*;

    #[test]
    fn a_descriptor_is_found_by_its_number_and_one_that_is_not_there_is_refused() {
        let (mut one, other) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut found = descriptor(other.as_raw_fd()).unwrap();
        found.write_all(b"hello").unwrap();
        drop((found, other));
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(descriptor(i32::MAX).is_err());
    }
}
