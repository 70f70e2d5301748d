//! What runs a sandbox's Pods: a node, with DNS and the API at the addresses that Pods know.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use headless_cluster::Cluster;
use headless_node::{Node, NodeOptions, Transport};

use crate::pods::{DNS, Images, Pods};
use crate::serve::Program;

/// kubeadm's Service of the API, which every Pod finds in its environment.
const API: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);

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
}

/// A node that runs.
pub(super) struct Running {
    pub(super) node: Arc<Node>,
    pub(super) pods: Arc<Pods>,
}

impl Running {
    pub(super) fn start(runtime: Runtime) -> anyhow::Result<Self> {
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
                (Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 0, 0).into(), 112),
            ],
        };
        let node = Arc::new(Node::start(&options)?);
        let pods = Pods::new(Arc::clone(&node), folder, runtime.images);
        Ok(Self {
            node,
            pods: Arc::new(pods),
        })
    }

    pub(super) fn runtime(&self) -> Arc<dyn headless_cluster::runtime::Runtime> {
        let pods: Arc<Pods> = Arc::clone(&self.pods);
        pods
    }

    /// Ends every program.
    pub(super) async fn end(self) {
        // The end of this takes some milliseconds; it breaks only with this program.
        let _broken = tokio::task::spawn_blocking(move || self.node.end()).await;
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
