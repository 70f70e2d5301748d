//! First sync and relist of a large cluster from a real API server: time, CPU, memory; beside CoreDNS where a binary is
//! given. `cargo bench --bench first_sync -- [--coredns PATH] [--rounds N]`, after `just control-plane`.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use futures::StreamExt;
use headless_dns::api::Client;
use hickory_proto::op::Message;
use hickory_proto::rr::RecordType;
use http::Method;
use serde_json::{Value, json};
use support::control_plane::{ControlPlane, Options, Programs};
use support::dns::{data, question, udp};
use support::kubelet::call;
use tokio::time::Instant;

/// The cluster: 1,000 Services of 3, 10 and 50 endpoints as one finds them, and 10,000 of 15.
const SERVICES: usize = 11_000;

/// The last of them in the order of a list.
const LAST: usize = SERVICES - 1;

/// Objects that are on their way to the API server at a time.
const AT_A_TIME: usize = 16;

/// How long a server rests before its memory counts as steady.
const REST: Duration = Duration::from_secs(5);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let (mut coredns, mut rounds) = (None, 3);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--coredns" => coredns = Some(PathBuf::from(arguments.next().expect("a path"))),
            "--rounds" => {
                rounds = arguments
                    .next()
                    .expect("a number")
                    .parse()
                    .expect("a number")
            }
            other => panic!("unknown argument {other:?}: expected --coredns PATH, --rounds N"),
        }
    }
    let programs = Programs::find().expect("a control plane: `just control-plane` builds one");
    let mut plane = ControlPlane::start(&programs, Options::default()).await;
    let endpoints = load(&plane.client).await;
    println!(
        "{SERVICES} Services with {endpoints} endpoints; medians of {rounds} rounds, interleaved\n"
    );

    let ours = vec![env!("CARGO_BIN_EXE_headless-dns").into(), "serve".into()];
    let mut servers = vec![("headless-dns", ours)];
    servers.extend(coredns.map(|path| ("CoreDNS", vec![path.display().to_string()])));
    let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); servers.len()];
    for _ in 0..rounds {
        for ((_, command), figures) in servers.iter().zip(&mut figures) {
            figures.push(measure(&mut plane, command).await);
        }
    }
    table(
        &servers.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        &figures,
    );
}

/// What is measured of one server in one round.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// From the process's start to the last name, in seconds.
    time: f64,
    /// Until then, in seconds.
    cpu: f64,
    /// Resident at rest, in MB.
    steady: f64,
    /// The most that was resident during the first list, in MB.
    first_peak: f64,
    /// The most that was resident during a relist, in MB.
    relist_peak: f64,
}

impl Figures {
    fn columns(self) -> [f64; 5] {
        [
            self.time,
            self.cpu,
            self.steady,
            self.first_peak,
            self.relist_peak,
        ]
    }
}

const COLUMNS: [&str; 5] = [
    "time to the last name, s",
    "CPU, s",
    "RSS steady, MB",
    "RSS peak, MB",
    "RSS peak at a relist, MB",
];

fn table(names: &[&str], figures: &[Vec<Figures>]) {
    let median = |figures: &[Figures], column: usize| {
        let mut values: Vec<f64> = figures.iter().map(|f| f.columns()[column]).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    println!(
        "| | {} | |\n|---{}|",
        names.join(" | "),
        "|---".repeat(names.len() + 1)
    );
    for (column, title) in COLUMNS.iter().enumerate() {
        let values: Vec<f64> = figures.iter().map(|f| median(f, column)).collect();
        let shown: Vec<_> = values.iter().map(|value| format!("{value:.2}")).collect();
        let ratio = values.get(1).map_or(String::new(), |theirs| {
            format!("{:.2}×", values[0] / theirs)
        });
        println!("| {title} | {} | {ratio} |", shown.join(" | "));
    }
    let ours = &figures[0];
    println!(
        "\nrelist peak / steady, headless-dns: {:.2}",
        median(ours, 4) / median(ours, 2)
    );
}

/// How many endpoints a Service has.
fn size(service: usize) -> usize {
    match service {
        1_000.. => 15,
        _ if service.is_multiple_of(10) => 3,
        _ if service % 10 == 1 => 50,
        _ => 10,
    }
}

fn name(service: usize) -> String {
    format!("svc-{service:05}")
}

/// Creates the objects. Returns the number of endpoints.
async fn load(client: &Client) -> usize {
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "load"}});
    call(client, Method::POST, "/api/v1/namespaces", &namespace)
        .await
        .unwrap();
    let mut first = vec![0];
    for service in 0..SERVICES {
        first.push(first[service] + size(service));
    }
    let first = &first;
    let services = futures::stream::iter(0..SERVICES).map(|service| async move {
        let objects = objects(service, first[service]);
        for (path, object) in [
            ("/api/v1/namespaces/load/services", &objects[0]),
            (
                "/apis/discovery.k8s.io/v1/namespaces/load/endpointslices",
                &objects[1],
            ),
        ] {
            call(client, Method::POST, path, object).await.unwrap();
        }
    });
    services
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<()>>()
        .await;
    first[SERVICES]
}

/// A headless Service and its slice, as the controllers of a cluster write them.
fn objects(service: usize, first: usize) -> [Value; 2] {
    let name = name(service);
    let endpoints = (0..size(service)).map(|i| {
        let address = Ipv4Addr::from(0x0a80_0000 + u32::try_from(first + i).unwrap());
        json!({
            "addresses": [address.to_string()], "hostname": format!("{name}-{i}"), "nodeName": format!("node-{}", i % 5), "zone": "a",
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "targetRef": {"kind": "Pod", "namespace": "load", "name": format!("{name}-{i}"), "uid": format!("9bf6a2c1-7f0d-4d5e-9a61-{:012}", first + i)},
        })
    });
    let owner = json!({"apiVersion": "v1", "kind": "Service", "name": name, "uid": "c6a2d4c4-8a3c-4d5e-9a61-3f1d6c1b7a55", "controller": true, "blockOwnerDeletion": true});
    let labels = json!({
        "kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
        "service.kubernetes.io/headless": "",
    });
    [
        json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"clusterIP": "None", "selector": {"app": name}, "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]},
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": format!("{name}-x7k2p"), "labels": labels, "ownerReferences": [owner]},
            "endpoints": endpoints.collect::<Vec<_>>(), "ports": [{"name": "http", "port": 80, "protocol": "TCP"}],
        }),
    ]
}

/// A server under measurement; it ends with the value.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

async fn measure(plane: &mut ControlPlane, command: &[String]) -> Figures {
    let port = free_port().await;
    let corefile = plane.path("Corefile");
    let text = format!(
        ".:{port} {{\n bind 127.0.0.1\n kubernetes cluster.local in-addr.arpa ip6.arpa {{\n  kubeconfig {}\n }}\n}}\n",
        plane.kubeconfig().display()
    );
    std::fs::write(&corefile, text).unwrap();
    let started = Instant::now();
    let server = start(command, &corefile);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let pod = format!("{0}-0.{0}.load.svc.cluster.local.", name(LAST));
    answers(address, &pod, |found| !found.is_empty()).await;
    let (time, cpu) = (started.elapsed().as_secs_f64(), cpu_seconds(&server));
    for service in (0..SERVICES).step_by(97) {
        let last = size(service) - 1;
        let qname = format!("{0}-{last}.{0}.load.svc.cluster.local.", name(service));
        answers(address, &qname, |found| found.len() == 1).await;
    }
    tokio::time::sleep(REST).await;
    let (steady, first_peak) = (memory(&server, "VmRSS:"), memory(&server, "VmHWM:"));

    // The relist: an API server that has been compacted and began anew knows no old revision.
    std::fs::write(format!("/proc/{}/clear_refs", server.0.id()), "5").unwrap();
    plane.compact().await;
    plane.kill_api();
    plane.start_api().await;
    let slice = format!(
        "/apis/discovery.k8s.io/v1/namespaces/load/endpointslices/{}-x7k2p",
        name(LAST)
    );
    let old = call(&plane.client, Method::GET, &slice, &Value::Null)
        .await
        .unwrap();
    let mut moved = old["endpoints"].clone();
    let address_now = format!("10.255.{}.{}", rand::random::<u8>(), rand::random::<u8>());
    moved[0]["addresses"][0] = address_now.clone().into();
    call(
        &plane.client,
        Method::PATCH,
        &slice,
        &json!({"endpoints": moved}),
    )
    .await
    .unwrap();
    answers(address, &pod, |found| found == [address_now.clone()]).await;
    tokio::time::sleep(REST).await;
    let relist_peak = memory(&server, "VmHWM:");
    Figures {
        time,
        cpu,
        steady,
        first_peak,
        relist_peak,
    }
}

fn start(command: &[String], corefile: &Path) -> Server {
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).arg("-conf").arg(corefile);
    Server(
        process
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    )
}

async fn free_port() -> u16 {
    let socket = udp((Ipv4Addr::LOCALHOST, 9).into()).await;
    socket.local_addr().unwrap().port()
}

/// Asks until the answer is right.
async fn answers(server: SocketAddr, qname: &str, right: impl Fn(&[String]) -> bool) {
    let mut pause = tokio::time::interval(Duration::from_millis(2));
    let mut socket = udp(server).await;
    loop {
        pause.tick().await;
        // Nobody listens yet: what comes back is an error.
        if socket
            .send(&question(1, qname, RecordType::A))
            .await
            .is_err()
        {
            socket = udp(server).await;
            continue;
        }
        let mut reply = [0; 4096];
        let received =
            tokio::time::timeout(Duration::from_millis(200), socket.recv(&mut reply)).await;
        let Ok(Ok(size)) = received else { continue };
        if right(&data(&Message::from_vec(&reply[..size]).unwrap())) {
            return;
        }
    }
}

/// What a process has used, in seconds: `utime` and `stime` of proc_pid_stat(5), in ticks of 10 ms.
fn cpu_seconds(server: &Server) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.0.id())).unwrap();
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap();
    (ticks(11) + ticks(12)) / 100.0
}

/// A line of proc_pid_status(5), in MB.
fn memory(server: &Server, line: &str) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.0.id())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(line)).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0 / 1e6
}
