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
    } else if error.kind() == io::ErrorKind::UnexpectedEof {
        "EOF".to_owned()
    } else if is_untrusted(error) {
        "tls: failed to verify certificate: x509: certificate signed by unknown authority"
            .to_owned()
    } else {
        format!("plugin/forward: no answer from {address}: {error}")
    }
}

fn is_untrusted(error: &io::Error) -> bool {
    use rustls::{CertificateError::UnknownIssuer, Error::InvalidCertificate};
    let tls = error.get_ref().and_then(|error| error.downcast_ref());
    tls.is_some_and(|error: &rustls::Error| matches!(error, InvalidCertificate(UnknownIssuer)))
}

/// In Go's words what is a timeout between these addresses.
pub(super) fn timeout_between(
    proto: &str,
    (from, to): (SocketAddr, SocketAddr),
    error: io::Error,
) -> io::Error {
    if error.kind() == io::ErrorKind::TimedOut {
        io::Error::other(format!("read {proto} {from}->{to}: i/o timeout"))
    } else {
        error
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

/// A reply with our id that no client could read.
pub(super) fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the reply cannot be read")
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
