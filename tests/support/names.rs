//! A DNS server in the test's process, and the wait for what it answers.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headless_dns::apiserver::ApiServer;
use headless_dns::serve::files::Files;
use headless_dns::serve::{Ambient, Kept, Program, Resources, Setup};
use headless_dns::zone::Zone;
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::dns::{ask, data};

/// How long a wait may take: never reached where what is waited for comes.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often what is waited for is looked for.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Waits until `look` finds something.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let search = async {
        let mut pause = tokio::time::interval(ASK_AGAIN);
        loop {
            pause.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    let found = tokio::time::timeout(PATIENCE, search).await;
    found.unwrap_or_else(|_| panic!("{what} does not come about"))
}

/// A server that runs; dropping it ends it.
pub struct Names {
    pub server: SocketAddr,
    pub zone: Arc<Zone>,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

/// What a server is made from that reads this Corefile and watches this API server.
pub fn setup(text: &str, api: Ambient) -> Setup<'_> {
    Setup {
        name: "Corefile",
        text,
        source: &Files,
        port: 0,
        interfaces: headless_dns::listen::interface_addresses().unwrap(),
        api,
        namespaces: Vec::new(),
        resources: Resources::default(),
        previous: Kept::default(),
        beside: None,
    }
}

impl Names {
    /// Serves the cluster of a kubeconfig.
    pub async fn serve(kubeconfig: &Path) -> Self {
        let file = kubeconfig.to_owned();
        Self::of(Ambient::Server(ApiServer::Kubeconfig {
            file,
            context: None,
        }))
        .await
    }

    /// Serves a cluster.
    pub async fn of(api: Ambient) -> Self {
        let text = ".:0 {\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa ip6.arpa\n}\n";
        Self::with(setup(text, api)).await
    }

    /// Serves what this says.
    pub async fn with(setup: Setup<'_>) -> Self {
        let program = Program::bind(setup).await.unwrap();
        let (server, zone) = (program.addresses()[0], program.zones().remove(0));
        let stop = CancellationToken::new();
        let task = tokio::spawn(program.run(stop.clone()));
        Self {
            server,
            zone,
            stop,
            task,
        }
    }

    /// The code and the data that the server answers with.
    pub async fn ask(&self, qname: &str, qtype: RecordType) -> (ResponseCode, Vec<String>) {
        let reply = ask(self.server, qname, qtype).await;
        (reply.metadata.response_code, data(&reply))
    }

    /// Waits for this answer.
    pub async fn until(&self, qname: &str, qtype: RecordType, wanted: &[String]) {
        let mut last = Vec::new();
        let search = async {
            let mut pause = tokio::time::interval(ASK_AGAIN);
            while last != wanted {
                pause.tick().await;
                last = self.ask(qname, qtype).await.1;
            }
        };
        if tokio::time::timeout(PATIENCE, search).await.is_err() {
            panic!("{qname} {qtype}: {last:?} instead of {wanted:?}");
        }
    }

    /// Ends the server, which was well all the time.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}
