//! What getaddrinfo of this C library says of each name: its addresses, or that there are none. Built for glibc and for musl,
//! which ask a DNS server in different ways.

use std::net::ToSocketAddrs;

fn main() {
    for name in std::env::args().skip(1) {
        let mut found: Vec<String> = (name.as_str(), 0)
            .to_socket_addrs()
            .map(|all| all.map(|address| address.ip().to_string()).collect())
            .unwrap_or_else(|_| vec!["none".into()]);
        found.sort();
        found.dedup();
        println!("{}", found.join(" "));
    }
}
