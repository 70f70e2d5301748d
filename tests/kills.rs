//! The program is killed and begun again, over and over, while it is asked: what it answers is right each time, or that it
//! does not know yet.
//!
//! `KILLS=200 cargo test --test kills` does so two hundred times.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headless_cluster::{Cluster, Delays};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use support::dns::{data, question};

const NAME: &str = "web.default.svc.cluster.local.";

const SERVICE: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: 10.96.0.50, ports: [{port: 80}]}\n";

struct Server {
    child: Child,
    port: u16,
}

/// Killed, as by SIGKILL, where it is dropped.
impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    fn start(folder: &Path) -> Self {
        loop {
            let free = UdpSocket::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            // Somebody else may take a port before the server does: then another is tried.
            if let Some(server) = Self::start_at(folder, port) {
                return server;
            }
        }
    }

    /// `None`: the port is another's.
    fn start_at(folder: &Path, port: u16) -> Option<Self> {
        let corefile = folder.join("Corefile");
        let text = format!(".:{port} {{\n bind 127.0.0.1\n kubernetes cluster.local\n}}\n");
        std::fs::write(&corefile, text).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
            .args(["serve", "--log", "off", "-conf"])
            .arg(&corefile)
            .arg("--kubeconfig")
            .arg(folder.join("kubeconfig"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut line, stdout) = (String::new(), child.stdout.take().unwrap());
        let read = BufReader::new(stdout).read_line(&mut line).unwrap();
        let server = Self { child, port };
        (read > 0).then_some(server)
    }

    /// Asks until it knows; what it said.
    fn answer(&self) -> Vec<String> {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", self.port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        loop {
            socket.send(&question(1, NAME, RecordType::A)).unwrap();
            let mut reply = [0; 512];
            let size = socket.recv(&mut reply).unwrap();
            let reply = Message::from_vec(&reply[..size]).unwrap();
            let code = reply.metadata.response_code;
            if code == ResponseCode::NoError {
                return data(&reply);
            }
            if code != ResponseCode::ServFail {
                return vec![code.to_string()];
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the tests are told of the environment"
)]
fn kills() -> u32 {
    std::env::var("KILLS").map_or(20, |kills| kills.parse().unwrap())
}

#[test]
fn a_server_that_was_killed_denies_nothing_when_it_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut cluster = runtime.block_on(async { Cluster::start(Delays::default()) });
    cluster.apply("web.yaml", SERVICE).unwrap();
    let loopback = ([127, 0, 0, 1], 0).into();
    let (_, kubeconfig) = runtime.block_on(cluster.listen(loopback)).unwrap();
    std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).unwrap();
    for _ in 0..kills() {
        let server = Server::start(folder.path());
        assert_eq!(server.answer(), ["10.96.0.50"]);
    }
}
