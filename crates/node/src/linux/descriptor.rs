//! A descriptor that this program was started with.

use std::fs::{File, OpenOptions};
use std::io;

use rustix::io::Errno;
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

use crate::by_name::by_name;

/// A descriptor by its number: a file, a pipe or a socket; `how`: whether it is read or written.
///
/// # Errors
/// There is none of that number.
pub fn descriptor(number: i32, how: &OpenOptions) -> io::Result<File> {
    match copied(number) {
        // A container engine's filter may forbid it (Docker's own does), and a kernel may not have it.
        Err(Errno::PERM | Errno::NOSYS) => by_name(number, how),
        copied => Ok(copied?),
    }
}

/// What is not ours by type is had from the kernel: by name a socket cannot be opened.
fn copied(number: i32) -> Result<File, Errno> {
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
        let mut write = OpenOptions::new();
        write.write(true);
        let mut found = descriptor(other.as_raw_fd(), &write).unwrap();
        found.write_all(b"hello").unwrap();
        drop((found, other));
        let mut text = String::new();
        one.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(descriptor(i32::MAX, &write).is_err());
    }

    #[test]
    fn where_that_is_forbidden_a_pipe_is_found_by_its_name() {
        let (reads, mut writes) = io::pipe().unwrap();
        let mut found = by_name(reads.as_raw_fd(), OpenOptions::new().read(true)).unwrap();
        writes.write_all(b"hello").unwrap();
        drop((writes, reads));
        let mut text = String::new();
        found.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
    }
}
