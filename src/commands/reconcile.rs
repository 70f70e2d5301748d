//! `reconcile`: the StatefulSet controller against an API server, alone or as one of many that elect a leader.

use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;
use tracing::info;

use super::server;
use crate::api;
use crate::reconciler;
use crate::reconciler::lease::{self, Lease};
use crate::signals::{Program, stop_signal, unless_stopped};

#[derive(Debug, clap::Args)]
pub(crate) struct Reconcile {
    /// The API server; without it that of $KUBECONFIG or ~/.kube/config, else that of the cluster we run in.
    #[arg(long, value_name = "PATH")]
    kubeconfig: Option<PathBuf>,
    /// Work only while we hold this Lease, for several that run beside each other.
    #[arg(long, value_name = "NAMESPACE/NAME")]
    lease: Option<LeaseName>,
    /// Who we are to the others that ask for the lease, ours alone among them. A Pod's name: then a container that was
    /// killed and begins again has its lease back at once. Without it the host's name and a random number.
    #[arg(long, value_name = "NAME", env = "POD_NAME")]
    identity: Option<String>,
}

/// Where a Lease is: `NAMESPACE/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct LeaseName {
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

impl Reconcile {
    /// Reconciles every StatefulSet until a signal; with a lease, whenever that is ours.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let stop = stop_signal(Program::Server)?;
        let server = server(self.kubeconfig);
        let connect = async move || api::connect(&server, None).await;
        let Some(client) = unless_stopped(&stop, connect).await? else {
            return Ok(());
        };
        let client = client?;
        let Some(LeaseName { ns, name }) = self.lease else {
            info!("reconciling every StatefulSet");
            tokio::select! {
                () = reconciler::run(client, Timestamp::now) => {}
                () = stop.cancelled() => {}
            }
            return Ok(());
        };
        let lease = Lease {
            ns,
            name,
            identity: self.identity.unwrap_or_else(identity),
        };
        info!(ns = %lease.ns, name = %lease.name, identity = %lease.identity, "waiting for the lease");
        let work = |client| reconciler::run(client, Timestamp::now);
        lease::lead(client, lease, work, stop).await;
        Ok(())
    }
}

/// The host's name, for people, and a random number that no other has.
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
