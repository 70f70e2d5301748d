//! `reconcile`: the StatefulSet controller against an API server, alone or as one of many that elect a leader.

use std::str::FromStr;

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::api::{self, Server};
use crate::controller;
use crate::controller::lease::{self, Lease};

/// Where a Lease is: `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseName {
    ns: String,
    name: String,
}

impl FromStr for LeaseName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('/') {
            Some((ns, name)) if !ns.is_empty() && !name.is_empty() && !name.contains('/') => {
                Ok(Self {
                    ns: ns.into(),
                    name: name.into(),
                })
            }
            Some(_) | None => Err("NAMESPACE/NAME was expected, such as kube-system/headless-dns"),
        }
    }
}

/// Reconciles every StatefulSet until `stop`; with a lease, whenever that is ours.
///
/// # Errors
/// An API server that is not told of, or cannot be talked to whatever it would say.
pub async fn run(
    server: &Server,
    lease: Option<LeaseName>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client = api::connect(server).await?;
    let Some(LeaseName { ns, name }) = lease else {
        info!("reconciling every StatefulSet");
        tokio::select! {
            () = controller::run(client, Timestamp::now) => {}
            () = stop.cancelled() => {}
        }
        return Ok(());
    };
    let lease = Lease {
        ns,
        name,
        identity: identity(),
    };
    info!(ns = %lease.ns, name = %lease.name, identity = %lease.identity, "waiting for the lease");
    let work = {
        let client = client.clone();
        move || controller::run(client.clone(), Timestamp::now)
    };
    lease::lead(client, lease, work, stop).await;
    Ok(())
}

/// The host's name, for people, and what no other has.
fn identity() -> String {
    let host = nix::unistd::gethostname().unwrap_or_default();
    let unique: u64 = rand::random();
    format!("{}_{unique:016x}", host.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_a_namespace_and_a_name() {
        let lease = LeaseName {
            ns: "kube-system".into(),
            name: "headless-dns".into(),
        };
        assert_eq!("kube-system/headless-dns".parse(), Ok(lease));
        for text in ["", "headless-dns", "/x", "kube-system/", "a/b/c"] {
            let error = "NAMESPACE/NAME was expected, such as kube-system/headless-dns";
            assert_eq!(text.parse::<LeaseName>(), Err(error), "{text}");
        }
    }
}
