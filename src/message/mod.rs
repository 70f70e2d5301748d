//! Messages on the wire (RFC 1035 section 4): bytes to queries, replies to bytes.

pub mod entries;
pub mod https;
pub mod metadata;
pub mod options;
pub mod question;
pub mod rdata;
mod read;
pub mod record;
pub mod records;
pub mod reply;
pub mod sections;
pub mod skim;
pub mod text;
pub mod tsig;
mod types;
pub mod wire;
mod write;

pub use read::{Received, Screened, read_plain, receive, screen, servfail};
pub use skim::lowest_ttl;
pub use types::{class_name, class_named, type_called, type_name, type_named};
pub use write::{
    addressed, append, bad_version, encode, encode_ixfr, encode_notify, encode_query,
    encode_transfer, is_accepted, is_reply_to, message, rcode_name, rcode_named, rcode_of,
    truncate,
};

/// Octets of a header.
pub const HEADER: usize = 12;

/// The largest datagram that this server says it takes: what crosses any network unfragmented (DNS flag day 2020).
pub const UDP_SIZE: u16 = 1232;

/// The largest datagram of a client without EDNS (RFC 1035 section 4.2.1).
pub const PLAIN_UDP_SIZE: u16 = 512;

#[cfg(test)]
mod tests;
