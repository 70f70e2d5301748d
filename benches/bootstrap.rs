//! The bootstrap tax: a StatefulSet of three whose Pods ask for each other from their start on, behind client caches that
//! keep a denial as long as its SOA says (RFC 2308), at most 30 s: when all see all. On a real control plane; CoreDNS with
//! kubeadm's Corefile where a binary is given, ours with the same, and ours with `pending`. Beside the median of all rounds
//! stand the moments of that round at which each of the Pods saw each of the others.
//! `cargo bench --bench bootstrap -- [--coredns PATH] [--rounds N]`, after `just control-plane`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use headless_cluster::controllers::Delays;
use headless_dns::api::{Client, list};
use hickory_proto::op::Message;
use hickory_proto::rr::{RData, RecordType};
use http::Method;
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, Options, Programs};
use support::dns::{ask, data};
use support::kubelet::{TestKubelet, call, collection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

const OURS: &str = env!("CARGO_BIN_EXE_headless-dns");

/// Pods of the set.
const PODS: usize = 3;

/// From a Pod's creation, when its program begins to ask, until it is Ready.
const READY: Duration = Duration::from_secs(2);

/// How often a program looks a name up that it still lacks.
const TRY: Duration = Duration::from_millis(500);

/// How long a client's cache keeps a denial at most.
const CACHE: Duration = Duration::from_secs(30);

/// How often Pods are looked for.
const LOOK: Duration = Duration::from_millis(20);

/// kubeadm's Corefile without its probes; CoreDNS is told its API server in it.
const COREFILE: &str = ".:PORT {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    forward . 192.0.2.1 {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loadbalance
}
";

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let (mut coredns, mut rounds) = (None, 3);
    while let Some(argument) = arguments.next() {
        let value = arguments.next().expect("a value behind it");
        match argument.as_str() {
            "--coredns" => coredns = Some(PathBuf::from(value)),
            "--rounds" => rounds = value.parse().expect("a number"),
            other => panic!("unknown argument {other:?}: expected --coredns PATH, --rounds N"),
        }
    }
    let programs = Programs::find().expect("a control plane: `just control-plane` builds one");
    let options = Options {
        // Nobody says here that the node lives: a minute later no Pod would get it.
        controllers: Some("*,-node-lifecycle-controller"),
        ..Options::default()
    };
    let plane = ControlPlane::start(&programs, options).await;
    let delays = Delays {
        start: READY,
        stop: Duration::ZERO,
    };
    let _kubelet = TestKubelet::start(&plane.client, delays).await;
    let kubeconfig = plane.kubeconfig();
    let with_pending = COREFILE.replace("    cache", "    pending\n    cache");
    let mut servers = Vec::new();
    if let Some(path) = &coredns {
        servers.push(Server::coredns(path, &kubeconfig));
    }
    servers.push(Server::ours("headless-dns", COREFILE, &kubeconfig));
    servers.push(Server::ours(
        "headless-dns, `pending`",
        &with_pending,
        &kubeconfig,
    ));
    println!(
        "| server | Pods are made | all see all, s: median (least..most) | questions | each sees each, s |"
    );
    println!("|---|---|---|---|---|");
    for server in &servers {
        server.ready().await;
        for (policy, made) in [
            ("Parallel", "together"),
            ("OrderedReady", "one after the other"),
        ] {
            let mut runs = Vec::new();
            for round in 0..rounds {
                runs.push(run(&plane.client, server, (policy, round)).await);
            }
            runs.sort_by(|a, b| a.took().total_cmp(&b.took()));
            let (least, most) = (runs[0].took(), runs[runs.len() - 1].took());
            let run = &runs[runs.len() / 2];
            let (name, median, questions) = (&server.name, run.took(), run.questions);
            let seen: Vec<String> = run.seen.iter().map(|at| format!("{at:.1}")).collect();
            let seen = seen.join(", ");
            println!(
                "| {name} | {made} | {median:.1} ({least:.1}..{most:.1}) | {questions} | {seen} |"
            );
        }
    }
}

/// A DNS server; dropping it ends it.
struct Server {
    name: String,
    address: SocketAddr,
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Server {
    fn coredns(path: &Path, kubeconfig: &Path) -> Self {
        let told = format!("ttl 30\n       kubeconfig {}", kubeconfig.display());
        let corefile = COREFILE.replace("ttl 30", &told);
        Self::start("CoreDNS", Command::new(path), &corefile)
    }

    fn ours(name: &str, corefile: &str, kubeconfig: &Path) -> Self {
        let mut command = Command::new(OURS);
        command
            .args(["--log", "off", "serve", "--kubeconfig"])
            .arg(kubeconfig);
        Self::start(name, command, corefile)
    }

    fn start(name: &str, mut command: Command, corefile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let free = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        let file = folder.path().join("Corefile");
        std::fs::write(&file, corefile.replace("PORT", &address.port().to_string())).unwrap();
        command.arg("-conf").arg(file).stdout(Stdio::null());
        Self {
            name: name.into(),
            address,
            child: command.spawn().unwrap(),
            _folder: folder,
        }
    }

    /// Until it answers for the cluster.
    async fn ready(&self) {
        let name = "kubernetes.default.svc.cluster.local.";
        loop {
            let socket = support::dns::udp(self.address).await;
            let packet = support::dns::question(1, name, RecordType::A);
            let mut reply = [0; 1500];
            let exchange = async {
                socket.send(&packet).await.ok()?;
                socket.recv(&mut reply).await.ok()
            };
            let size = tokio::time::timeout(TRY, exchange).await.ok().flatten();
            let message = size.and_then(|size| Message::from_vec(&reply[..size]).ok());
            if message.is_some_and(|message| !message.answers.is_empty()) {
                return;
            }
            sleep(LOOK).await;
        }
    }
}

/// What came of a set.
struct Run {
    /// Seconds from its creation until a Pod saw another, for each two, ascending.
    seen: Vec<f64>,
    /// Questions that were asked.
    questions: usize,
}

impl Run {
    /// Seconds until all had seen all.
    fn took(&self) -> f64 {
        self.seen[self.seen.len() - 1]
    }
}

/// Makes the set, has its Pods ask, and takes it away.
async fn run(client: &Client, server: &Server, (policy, round): (&str, usize)) -> Run {
    let ns = format!(
        "{}-{round}-{}",
        policy.to_lowercase(),
        server.address.port()
    );
    make(client, &ns, policy).await;
    let (began, mut programs) = (Instant::now(), JoinSet::new());
    let pods = format!("/api/v1/namespaces/{ns}/pods");
    while programs.len() < PODS {
        let made = list(client, &pods).await.unwrap().len();
        for pod in programs.len()..made {
            programs.spawn(program(pod, ns.clone(), (server.address, began)));
        }
        sleep(LOOK).await;
    }
    let runs = programs.join_all().await;
    let questions = runs.iter().map(|run| run.questions).sum();
    let mut seen: Vec<f64> = runs.into_iter().flat_map(|run| run.seen).collect();
    seen.sort_by(f64::total_cmp);
    let path = format!("/api/v1/namespaces/{ns}");
    call(client, Method::DELETE, &path, &json!({}))
        .await
        .unwrap();
    Run { seen, questions }
}

async fn make(client: &Client, ns: &str, policy: &str) {
    let labels = json!({"app": "redis"});
    let objects = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": ns}}),
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "redis", "namespace": ns},
            "spec": {"clusterIP": "None", "selector": labels, "ports": [{"port": 6379}]},
        }),
        json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "redis", "namespace": ns},
            "spec": {
                "serviceName": "redis", "replicas": PODS, "podManagementPolicy": policy, "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {"containers": [{"name": "redis", "image": "redis"}]},
                },
            },
        }),
    ];
    for object in objects {
        let kind = headless_cluster::kinds::KindId::of_object(&object).unwrap();
        let space = if kind.info().namespaced { ns } else { "" };
        let made: Result<Value, _> =
            call(client, Method::POST, &collection(kind, space), &object).await;
        made.unwrap();
    }
}

/// What runs in a Pod: looks its peers up until it has all, through a cache of denials; `began`: when the set was made.
async fn program(pod: usize, ns: String, (server, began): (SocketAddr, Instant)) -> Run {
    let (mut seen, mut questions) = (Vec::new(), 0);
    for peer in (0..PODS).filter(|peer| *peer != pod) {
        let name = format!("redis-{peer}.redis.{ns}.svc.cluster.local.");
        loop {
            questions += 1;
            let reply = ask(server, &name, RecordType::A).await;
            if !data(&reply).is_empty() {
                break;
            }
            // What is kept is looked up in vain until it is forgotten.
            let looks = kept(&reply).as_secs_f64() / TRY.as_secs_f64();
            sleep(TRY.mul_f64(looks.ceil().max(1.0))).await;
        }
        seen.push(began.elapsed().as_secs_f64());
    }
    Run { seen, questions }
}

/// How long a denial is kept (RFC 2308 section 5).
fn kept(reply: &Message) -> Duration {
    let Some(record) = reply.authorities.first() else {
        return Duration::ZERO;
    };
    let RData::SOA(soa) = &record.data else {
        panic!("no SOA: {record}")
    };
    Duration::from_secs(record.ttl.min(soa.minimum).into()).min(CACHE)
}
