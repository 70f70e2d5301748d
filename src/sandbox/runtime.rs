//! What runs a sandbox's Pods: a node, with DNS and the API at the addresses that Pods know.

use std::fs::{File, TryLockError};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use futures::FutureExt;
use headless_cluster::Cluster;
use headless_cluster::addresses::API;
use headless_cluster::published::Published;
use headless_node::{Node, NodeOptions, Transport};
use tokio_util::task::AbortOnDropHandle;

use super::RESOLV_CONF;
use crate::message::question::RecordType;
use crate::plugin::kit::ResolvConf;
use crate::pods::socks::{self, Resolve};
use crate::pods::{DNS, Folders, Images, Pods};
use crate::serve::Program;
use crate::serve::asking::{Asker, Wanted};
use crate::serve::files::Files;

/// The Service that Pods know DNS by. It selects nobody: what answers there is no Pod.
pub(super) const KUBE_DNS: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: kube-dns
  namespace: kube-system
  labels:
    k8s-app: kube-dns
spec:
  clusterIP: 10.96.0.10
  ports:
    - {name: dns, port: 53, protocol: UDP}
    - {name: dns-tcp, port: 53, protocol: TCP}
";

/// Programs that stand for images, so that Pods run.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The program `headless-dns`, which is run again for each container: this process, where that is no test.
    pub program: PathBuf,
    /// What runs for which image.
    pub images: Images,
    /// Services that are reached at addresses of this machine.
    pub published: Vec<Published>,
    /// A folder for what is kept of claims, each below its namespace by its name; without it they go with the sandbox. One
    /// sandbox uses it at a time.
    pub data: Option<PathBuf>,
    /// Where SOCKS 5 is served, which leads to every name and address of the cluster; port 0 is any free one.
    pub socks: Option<SocketAddr>,
}

/// A node that runs.
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    pub(super) pods: Arc<Pods>,
    /// What is kept of claims is this sandbox's until this is closed.
    data: Option<File>,
    /// Where SOCKS is to be served, and who serves it.
    wanted: Option<SocketAddr>,
    socks: Option<(SocketAddr, AbortOnDropHandle<()>)>,
}

impl Running {
    pub(super) fn start(runtime: Runtime) -> anyhow::Result<Self> {
        for Published { address, .. } in &runtime.published {
            // Said now: later, when the Service is there, nobody waits for it.
            let bound = TcpListener::bind(address);
            bound.with_context(|| format!("cannot publish a Service at {address}"))?;
        }
        let data = runtime.data.as_deref().map(taken).transpose()?;
        let name = format!("headless-dns-{:016x}", rand::random::<u64>());
        let folder = std::env::temp_dir().join(name);
        let options = NodeOptions {
            program: runtime.program,
            folder: folder.clone(),
            addresses: vec![
                (Ipv4Addr::new(10, 244, 0, 1).into(), 16),
                (Ipv6Addr::new(0xfd00, 0x10, 0x244, 0, 0, 0, 0, 1).into(), 64),
            ],
            local: vec![
                (Ipv4Addr::new(10, 96, 0, 0).into(), 12),
                // Load balancers'.
                (Ipv4Addr::new(198, 18, 0, 0).into(), 15),
                (Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0).into(), 112),
            ],
        };
        let node = Arc::new(Node::start(&options)?);
        let folders = Folders {
            node: folder,
            data: runtime.data,
        };
        let pods = Pods::new(Arc::clone(&node), folders, runtime.images);
        Ok(Self {
            node,
            pods: Arc::new(pods),
            data,
            wanted: runtime.socks,
            socks: None,
        })
    }

    /// Has names and addresses of the cluster reached by SOCKS, where that is wanted; `dns` answers for the names.
    pub(super) async fn proxy(&mut self, dns: SocketAddr) -> anyhow::Result<()> {
        let Some(wanted) = self.wanted else {
            return Ok(());
        };
        let listener = tokio::net::TcpListener::bind(wanted).await;
        let listener = listener.with_context(|| format!("cannot listen on {wanted} (socks)"))?;
        let address = listener.local_addr()?;
        let asker = Asker::new(Some(dns), &Files).await?;
        let resolve: Resolve = Arc::new(move |name| {
            let asker = asker.clone();
            async move { addresses(&asker, &name).await }.boxed()
        });
        let serving = socks::serve(listener, Arc::clone(&self.node), resolve);
        let serving = AbortOnDropHandle::new(tokio::spawn(serving));
        self.socks = Some((address, serving));
        Ok(())
    }

    /// Where SOCKS is served.
    pub(super) fn socks(&self) -> Option<SocketAddr> {
        self.socks.as_ref().map(|(address, _)| *address)
    }

    pub(super) fn runtime(&self) -> Arc<dyn headless_cluster::runtime::Runtime> {
        let pods: Arc<Pods> = Arc::clone(&self.pods);
        pods
    }

    /// Ends every program.
    pub(super) async fn end(self) {
        drop(self.socks);
        // The end of this takes some milliseconds; it breaks only with this program.
        let _broken = tokio::task::spawn_blocking(move || self.node.end()).await;
        // Nobody writes there any more.
        drop(self.data);
    }

    /// Has DNS and the API answer where Pods look for them.
    pub(super) async fn serve(
        &self,
        program: &mut Program,
        cluster: &mut Cluster,
    ) -> anyhow::Result<()> {
        let dns = SocketAddr::new(DNS.into(), 53);
        let udp = self.node.listen(dns, Transport::Udp).await?;
        let tcp = self.node.listen(dns, Transport::Tcp).await?;
        program.adopt((udp.into(), tcp.into()))?;
        let api = SocketAddr::new(API.into(), 443);
        let api = self.node.listen(api, Transport::Tcp).await?;
        cluster.listen_also(api.into())?;
        cluster.apply("kube-dns", KUBE_DNS)?;
        Ok(())
    }
}

/// Takes a folder for this sandbox: the databases of two would break in it. The lock goes with the process, however it ends.
fn taken(folder: &Path) -> anyhow::Result<File> {
    let cannot = || format!("cannot use {} (--data)", folder.display());
    let opened = File::open(folder).with_context(cannot)?;
    match opened.try_lock() {
        Ok(()) => Ok(opened),
        Err(TryLockError::WouldBlock) => {
            anyhow::bail!("{}: another sandbox keeps its claims there", cannot())
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(cannot),
    }
}

/// The addresses of a name, as a Pod of the namespace `default` would look it up.
async fn addresses(asker: &Asker, name: &str) -> Vec<IpAddr> {
    let search = &ResolvConf::read(RESOLV_CONF).search;
    let wanted = Wanted::new(name, search);
    for name in wanted.map_or_else(|_| Vec::new(), |wanted| wanted.names) {
        for kind in [RecordType::A, RecordType::AAAA] {
            let heard = asker.ask(&name, kind).await;
            let records = heard.map_or_else(|_| Vec::new(), |reply| reply.answer);
            let addresses: Vec<_> = records
                .iter()
                .filter_map(|record| record.data.ip_addr())
                .collect();
            if !addresses.is_empty() {
                return addresses;
            }
        }
    }
    Vec::new()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_of_claims_is_one_sandbox_s_until_that_has_ended() {
        let folder = tempfile::tempdir().unwrap();
        let first = taken(folder.path()).unwrap();
        let error = taken(folder.path()).unwrap_err();
        let cannot = format!("cannot use {} (--data)", folder.path().display());
        let wanted = format!("{cannot}: another sandbox keeps its claims there");
        assert_eq!(error.to_string(), wanted);
        drop(first);
        taken(folder.path()).unwrap();
        let missing = taken(&folder.path().join("missing")).unwrap_err();
        assert!(
            missing.to_string().contains("missing (--data)"),
            "{missing}"
        );
    }
}
