//! What several tests share.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

pub mod clusters;
pub mod corpus;
pub mod dns;
