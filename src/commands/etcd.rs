//! `etcd`: stands in for etcd where a test suite starts one beside `apiserver`, which keeps its objects itself.

use std::net::SocketAddr;

use anyhow::Context;
use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::flags::{self, Idle};
use super::print;
use crate::output::Lines;
use crate::signals::{Program, stop_signal};

/// Takes etcd's flags, says that it is well, and keeps nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Etcd {
    /// Where it says that it is well, by HTTP at `/health`.
    #[arg(long, value_name = "URL", value_delimiter = ',', default_value = "http://127.0.0.1:2379", value_parser = address)]
    listen_client_urls: Vec<SocketAddr>,
    #[command(flatten)]
    idle: Idle<flags::Etcd>,
}

impl Etcd {
    pub(crate) async fn run(self, out: &Lines) -> anyhow::Result<()> {
        let stop = stop_signal(Program::Server)?;
        self.idle.say();
        let mut serving = JoinSet::new();
        for address in self.listen_client_urls {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| format!("cannot listen on {address}"))?;
            print(
                out,
                [format!(
                    "etcd  http://{} (keeps nothing)",
                    listener.local_addr()?
                )],
            );
            let health = async || r#"{"health":"true","reason":""}"#;
            let router = Router::new().route("/health", get(health));
            serving.spawn(async move { axum::serve(listener, router).await });
        }
        tokio::select! {
            Some(ended) = serving.join_next() => Ok(ended??),
            () = stop.cancelled() => Ok(()),
        }
    }
}

/// The address of a URL such as `http://127.0.0.1:2379`.
fn address(text: &str) -> Result<SocketAddr, String> {
    let host = text
        .strip_prefix("http://")
        .map(|host| host.trim_end_matches('/'));
    let host = host.map(|host| host.replace("localhost:", "127.0.0.1:"));
    let address = host.and_then(|host| host.parse().ok());
    address.ok_or_else(|| "an address such as http://127.0.0.1:2379 was expected".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_a_url_without_tls() {
        let loopback = Ok(SocketAddr::from(([127, 0, 0, 1], 2379)));
        for text in ["http://127.0.0.1:2379", "http://localhost:2379/"] {
            assert_eq!(address(text), loopback);
        }
        for text in ["https://127.0.0.1:2379", "127.0.0.1:2379", "http://a:1", ""] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
