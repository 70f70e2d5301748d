//! Ten thousand questions that `pending` holds, and a thousand clients of `admin` that wait, for one name that comes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headless_cluster::{Cluster, Delays};
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;

use crate::support::dns::{data, question};

/// Questions, each of one of so many clients.
const QUESTIONS: u16 = 10_000;
const ASKING: u16 = 100;

/// Clients of `admin`.
const CLIENTS: usize = 1_000;

/// A set whose Pods nobody makes, and its Service.
const SET: &str = "
apiVersion: v1
kind: Service
metadata: {name: redis}
spec: {clusterIP: None, ports: [{port: 6379}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: redis}
spec:
  serviceName: redis
  replicas: 3
  selector: {matchLabels: {app: redis}}
  template:
    metadata: {labels: {app: redis}}
    spec: {containers: [{name: redis, image: redis}]}
";

/// The name comes.
const SLICE: &str = "
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: redis-x, labels: {kubernetes.io/service-name: redis}}
endpoints: [{addresses: [10.0.0.7], hostname: redis-0, conditions: {ready: true}}]
ports: [{port: 6379}]
";

const NAME: &str = "redis-0.redis.default.svc.cluster.local";

/// The real program, over a cluster that waits for a slice.
struct World {
    cluster: Cluster,
    _runtime: tokio::runtime::Runtime,
    child: Child,
    dns: SocketAddr,
    admin: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl World {
    fn start() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let within = runtime.enter();
        let mut cluster = Cluster::start(Delays::default());
        let listening = cluster.listen(([127, 0, 0, 1], 0).into());
        let (_, kubeconfig) = runtime.block_on(listening).unwrap();
        cluster.apply("set.yaml", SET).unwrap();
        drop(within);
        let folder = tempfile::tempdir().unwrap();
        let [conf, config] = ["Corefile", "kubeconfig"].map(|name| folder.path().join(name));
        std::fs::write(&config, kubeconfig.to_string()).unwrap();
        let [dns, admin] = [free(), free()];
        let text = format!(
            ".:{} {{\n bind 127.0.0.1\n pending {{\n  hold 4s\n }}\n kubernetes cluster.local\n admin {admin}\n}}\n",
            dns.port()
        );
        std::fs::write(&conf, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        command.args(["--log", "off", "serve", "-conf"]).arg(conf);
        command
            .arg("--kubeconfig")
            .arg(config)
            .stdout(Stdio::null());
        let world = Self {
            cluster,
            _runtime: runtime,
            child: command.spawn().unwrap(),
            dns,
            admin,
            _folder: folder,
        };
        while !world.is_pending() {
            std::thread::sleep(Duration::from_millis(20));
        }
        world
    }

    /// Whether the server says that the name is about to be there.
    fn is_pending(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.admin) else {
            return false;
        };
        let request =
            format!("GET /why?name={NAME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer.contains("is expected")
    }

    /// Its memory (PSS, proc_pid_smaps(5)), in kB.
    fn memory(&self) -> f64 {
        let path = format!("/proc/{}/smaps_rollup", self.child.id());
        let text = std::fs::read_to_string(path).unwrap();
        let line = text.lines().find(|line| line.starts_with("Pss:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }

    /// Has the name come.
    fn publish(&self) -> Instant {
        let now = Instant::now();
        let _within = self._runtime.enter();
        self.cluster.apply("slice.yaml", SLICE).unwrap();
        now
    }
}

fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap()
}

pub(crate) fn tables() {
    println!(
        "\n| waiting for one name | memory of each, kB | answered with it | ms until the first, the median, the last |"
    );
    println!("|---|---|---|---|");
    questions();
    clients();
}

fn row(what: &str, each: f64, (of, mut times): (usize, Vec<f64>)) {
    times.sort_by(f64::total_cmp);
    let [first, median, last] = [0, times.len() / 2, times.len() - 1].map(|at| times[at]);
    let answered = times.len();
    println!("| {of} {what} | {each:.1} | {answered} | {first:.0}, {median:.0}, {last:.0} |");
}

/// Milliseconds until each of those that wait was answered with the address.
fn questions() {
    let world = World::start();
    let before = world.memory();
    let sockets: Vec<UdpSocket> = (0..ASKING)
        .map(|client| {
            let socket = UdpSocket::bind((format!("127.0.1.{client}"), 0)).unwrap();
            socket.connect(world.dns).unwrap();
            socket
        })
        .collect();
    for id in 0..QUESTIONS {
        let packet = question(id, &format!("{NAME}."), RecordType::A);
        sockets[usize::from(id % ASKING)].send(&packet).unwrap();
    }
    // The last one has been read when one more waits no longer than it is to.
    std::thread::sleep(Duration::from_millis(500));
    let each = (world.memory() - before) / f64::from(QUESTIONS);
    let came = world.publish();
    let mut times = Vec::new();
    for socket in &sockets {
        socket
            .set_read_timeout(Some(Duration::from_secs(5)))
            .unwrap();
        for _ in 0..QUESTIONS / ASKING {
            let mut reply = [0; 512];
            let Ok(size) = socket.recv(&mut reply) else {
                break;
            };
            let message = Message::from_vec(&reply[..size]).unwrap();
            if data(&message) == ["10.0.0.7"] {
                times.push(came.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    row("questions of 100 clients", each, (QUESTIONS.into(), times));
}

fn clients() {
    let world = World::start();
    let before = world.memory();
    let request = format!("GET /wait?name={NAME} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut streams: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let mut stream = TcpStream::connect(world.admin).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(500));
    let each = (world.memory() - before) / CLIENTS as f64;
    let came = world.publish();
    let mut times = Vec::new();
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        if answer.contains("\"met\":true") {
            times.push(came.elapsed().as_secs_f64() * 1e3);
        }
    }
    row("clients of `admin`", each, (CLIENTS, times));
}
