//! What several tests share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod api;
pub mod authority;
pub mod build;
pub mod clusters;
pub mod control_plane;
pub mod corpus;
pub mod dns;
pub mod kubelet;
pub mod logs;
pub mod names;
pub mod proxy;
pub mod sandbox;
pub mod statefulset;
pub mod upstream;
pub mod zone;

/// Says what was done, also where the test runner keeps what tests print to itself.
#[expect(
    clippy::explicit_write,
    clippy::unwrap_used,
    reason = "eprintln is what the runner keeps"
)]
pub fn report(line: &str) {
    use std::io::Write;
    writeln!(std::io::stderr(), "{line}").unwrap();
}
