//! A descriptor of this program by the name that the system gives it.

use std::fs::{File, OpenOptions};
use std::io;

/// Opens what the descriptor of this number is.
///
/// # Errors
/// There is none of that number, it cannot be opened so, or it is a socket.
pub(crate) fn by_name(number: i32, how: &OpenOptions) -> io::Result<File> {
    how.open(format!("/dev/fd/{number}"))
}
