//! Messages on the wire (RFC 1035 section 4): bytes to queries, replies to bytes.

pub mod question;
mod read;
pub mod record;
pub mod records;
pub mod reply;
pub mod sections;
pub mod wire;
mod write;

pub use read::{Screened, is_reply_to, screen, servfail};
pub use write::{
    addressed, bad_version, encode, encode_query, encode_transfer, message, rcode_name, truncate,
};

/// Octets of a header.
pub const HEADER: usize = 12;

/// The largest datagram this server sends or asks for: what crosses any network unfragmented (DNS flag day 2020).
pub const UDP_SIZE: u16 = 1232;

/// The largest datagram of a client without EDNS (RFC 1035 section 4.2.1).
pub const PLAIN_UDP_SIZE: u16 = 512;

#[cfg(test)]
mod tests;
