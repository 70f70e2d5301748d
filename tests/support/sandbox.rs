//! A sandbox with its page.

use std::net::SocketAddr;

use headless_dns::sandbox::{Options, Sandbox};

/// One with the example's objects, whose names are all there, and where its page is.
pub async fn sandbox() -> (Sandbox, SocketAddr) {
    let options = Options {
        admin: Some("127.0.0.1:0".parse().unwrap()),
        ..Options::default()
    };
    let sandbox = Sandbox::start(options).await.unwrap();
    sandbox.ready().await.unwrap();
    let admin = sandbox.admin().unwrap();
    (sandbox, admin)
}
