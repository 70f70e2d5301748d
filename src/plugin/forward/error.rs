//! What goes wrong with an upstream.

use std::io;
use std::net::SocketAddr;

/// Go's words where it has some for the error, as people's parsers know them.
pub(super) fn words(address: SocketAddr, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::Other {
        error.to_string()
    } else if error.kind() == io::ErrorKind::TimedOut {
        format!("read {address}: i/o timeout")
    } else if error.kind() == io::ErrorKind::ConnectionRefused {
        format!("dial tcp {address}: connect: connection refused")
    } else {
        format!("plugin/forward: no answer from {address}: {error}")
    }
}

/// Whether the other side has closed the connection.
pub(super) fn is_closed(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(
        error.kind(),
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof
    )
}

/// A reply with our id that is to another question, or to none: whoever asked gets FORMERR.
#[derive(Debug, thiserror::Error)]
#[error("the reply is to another question")]
struct WrongQuestion;

pub(super) fn wrong() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, WrongQuestion)
}

/// Whether the reply was to another question.
pub(super) fn is_wrong(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|error| error.is::<WrongQuestion>())
}
