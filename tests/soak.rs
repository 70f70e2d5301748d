//! A server that is asked all the while names change, and while its API server goes and comes: no question is lost, no answer
//! is wrong, and neither memory nor descriptors grow. `SECONDS=1800 cargo test --release --test soak -- --nocapture` is the
//! long form.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test, over time"
)]

mod support;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use headless_cluster::{Cluster, Delays};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use support::dns::{data, question};
use support::proxy::{Line, Proxy};

/// How long it takes, in seconds.
const SECONDS: u64 = 12;

/// Names, each of an endpoint that changes its address.
const NAMES: usize = 20;

/// Changes and questions a second.
const CHANGES: u32 = 50;
const QUESTIONS: u32 = 5_000;

/// The API server goes so often, in the long form; and for how long.
const OUTAGES: Duration = Duration::from_secs(60);
const OUTAGE: Duration = Duration::from_secs(4);

/// How long an address may be answered after it has changed: where the API server is there, and where it was away.
const LATE: Duration = Duration::from_secs(2);

/// Room for questions that wait for answers.
const WAITING: usize = 512;

/// What was true, and when.
struct Truth {
    /// Of each name its addresses, each with the time from which on it was the one.
    addresses: Vec<VecDeque<(Instant, Ipv4Addr)>>,
    /// Since when the API server is there.
    up: Option<Instant>,
}

impl Truth {
    /// Whether this address may be answered to a question of that time.
    fn allows(&self, name: usize, address: IpAddr, asked: Instant) -> bool {
        let known = &self.addresses[name];
        let Some(at) = known.iter().position(|(_, known)| *known == address) else {
            return false;
        };
        // One that was replaced long ago may be answered only if the server could not know that.
        let replaced = known.get(at + 1).map(|(since, _)| *since);
        let knew = replaced.zip(self.up).map(|(replaced, up)| replaced.max(up));
        knew.is_none_or(|knew| asked < knew + LATE)
    }
}

fn slice(addresses: &[Ipv4Addr]) -> String {
    let endpoints = addresses.iter().enumerate();
    let endpoints = endpoints.map(|(i, ip)| format!("{{addresses: [{ip}], hostname: s-{i}}}"));
    let endpoints: Vec<String> = endpoints.collect();
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: s-1, labels: {{kubernetes.io/service-name: s}}}}\n\
         addressType: IPv4\nports: []\nendpoints: [{}]\n",
        endpoints.join(", ")
    )
}

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {clusterIP: None}\n";

struct Server {
    child: Child,
    port: u16,
    /// Of its metrics.
    metrics: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
    }
}

impl Server {
    /// On ports that were free a moment ago; somebody else may take them: then others are tried.
    fn start(folder: &Path, kubeconfig: &Path) -> Self {
        let corefile = folder.join("Corefile");
        loop {
            let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
            let [port, metrics] = free.map(|free| free.local_addr().unwrap().port());
            let text = format!(
                ".:{port} {{\n bind 127.0.0.1\n errors\n kubernetes cluster.local\n prometheus 127.0.0.1:{metrics}\n loadbalance\n}}\n"
            );
            std::fs::write(&corefile, text).unwrap();
            let mut child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
                .args(["serve", "--log", "headless_dns::listen=debug", "--conf"])
                .arg(&corefile)
                .arg("--kubeconfig")
                .arg(kubeconfig)
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            if stdout.read_line(&mut String::new()).unwrap() > 0 {
                return Self {
                    child,
                    port,
                    metrics,
                };
            }
            child.wait().unwrap();
        }
    }

    /// Resident memory in KiB, and open files.
    fn holds(&self) -> (u64, usize) {
        let proc = format!("/proc/{}", self.child.id());
        let status = std::fs::read_to_string(format!("{proc}/status")).unwrap();
        let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = rss.unwrap().trim().trim_end_matches(" kB").parse().unwrap();
        let files = std::fs::read_dir(format!("{proc}/fd")).unwrap().count();
        (kib, files)
    }

    /// How many questions it has dropped because they had waited for longer than clients wait: it got no processor.
    fn overdue(&self) -> u64 {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.metrics)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let line = "headless_dns_shed_total{what=\"overdue_question\"} ";
        let count = text.lines().find_map(|have| have.strip_prefix(line));
        count.unwrap().parse().unwrap()
    }
}

/// What came of the questions.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    answered: u64,
    lost: u64,
    wrong: Vec<String>,
}

/// Asks at its pace until `end`.
fn ask(port: u16, truth: &Mutex<Truth>, end: Instant) -> Outcome {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    // All that may wait fits: what this side has no room for would count as lost.
    socket2::SockRef::from(&socket)
        .set_recv_buffer_size(4 << 20)
        .unwrap();
    socket
        .set_read_timeout(Some(Duration::from_micros(500)))
        .unwrap();
    let mut waiting: VecDeque<(u16, usize, Instant)> = VecDeque::new();
    let (start, mut sent, mut outcome) = (Instant::now(), 0_u32, Outcome::default());
    let mut reply = [0; 512];
    while Instant::now() < end || !waiting.is_empty() {
        let due = start.elapsed().as_secs_f64() * f64::from(QUESTIONS);
        while f64::from(sent) < due && waiting.len() < WAITING && Instant::now() < end {
            let (id, name) = (u16::try_from(sent & 0xffff).unwrap(), sent as usize % NAMES);
            let qname = format!("s-{name}.s.default.svc.cluster.local.");
            waiting.push_back((id, name, Instant::now()));
            socket.send(&question(id, &qname, RecordType::A)).unwrap();
            sent += 1;
        }
        if let Ok(size) = socket.recv(&mut reply) {
            let message = Message::from_vec(&reply[..size]).unwrap();
            let id = message.metadata.id;
            let Some(at) = waiting.iter().position(|(known, ..)| *known == id) else {
                continue;
            };
            let (_, name, asked) = waiting.remove(at).unwrap();
            outcome.answered += 1;
            let said = data(&message);
            let address = match (message.metadata.response_code, &said[..]) {
                (ResponseCode::NoError, [address]) => address.parse().ok(),
                _ => None,
            };
            let allows = |address| truth.lock().unwrap().allows(name, address, asked);
            if !address.is_some_and(allows) {
                let code = message.metadata.response_code;
                outcome.wrong.push(format!("s-{name}: {code} {said:?}"));
            }
        }
        while waiting
            .front()
            .is_some_and(|(.., asked)| asked.elapsed() > Duration::from_secs(5))
        {
            waiting.pop_front();
            outcome.lost += 1;
        }
    }
    outcome
}

/// Changes addresses and cuts the line until `end`.
async fn change(cluster: &Cluster, proxy: &Proxy, truth: &Mutex<Truth>, end: Instant) {
    let every = OUTAGES.min(end.duration_since(Instant::now()) / 2);
    let mut addresses: Vec<Ipv4Addr> = truth
        .lock()
        .unwrap()
        .addresses
        .iter()
        .map(|known| known[0].1)
        .collect();
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / CHANGES);
    let (mut changes, mut outage) = (0_u32, Instant::now() + every / 2);
    while Instant::now() < end {
        ticks.tick().await;
        changes += 1;
        let name = changes as usize % NAMES;
        addresses[name] = Ipv4Addr::from_bits(0x0a00_0000 + changes + 1000);
        {
            // It is true from the moment at which somebody may know of it.
            let known = &mut truth.lock().unwrap().addresses[name];
            known.push_back((Instant::now(), addresses[name]));
            // What was true before the longest outage is forgotten.
            while known.len() > 64 {
                known.pop_front();
            }
        }
        cluster.apply("slice", &slice(&addresses)).unwrap();
        let up = truth.lock().unwrap().up;
        if up.is_some() && Instant::now() > outage {
            truth.lock().unwrap().up = None;
            proxy.set(Line::Cut);
            outage = Instant::now() + OUTAGE.min(every / 2);
        } else if up.is_none() && Instant::now() > outage {
            proxy.set(Line::Up);
            truth.lock().unwrap().up = Some(Instant::now());
            outage = Instant::now() + every;
        }
    }
}

#[test]
fn nothing_is_lost_or_wrong_or_grows() {
    let seconds = std::env::var("SECONDS").map_or(SECONDS, |text| text.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = runtime.block_on(async { Cluster::start(Delays::default()) });
    let first = [Ipv4Addr::new(10, 0, 0, 1); NAMES];
    cluster.apply("service", SERVICE).unwrap();
    cluster.apply("slice", &slice(&first)).unwrap();
    let (api, mut kubeconfig) = runtime
        .block_on(cluster.listen("127.0.0.1:0".parse().unwrap()))
        .unwrap();
    let proxy = runtime.block_on(Proxy::start(api));
    kubeconfig["clusters"][0]["cluster"]["server"] = format!("https://{}", proxy.address).into();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let server = Server::start(folder.path(), &file);
    let now = Instant::now();
    let truth = Mutex::new(Truth {
        addresses: vec![VecDeque::from([(now, first[0])]); NAMES],
        up: Some(now),
    });
    let end = now + Duration::from_secs(seconds);
    let mut holds = Vec::new();
    let outcome = std::thread::scope(|scope| {
        let asked = scope.spawn(|| ask(server.port, &truth, end));
        scope.spawn(|| runtime.block_on(change(&cluster, &proxy, &truth, end)));
        while !asked.is_finished() {
            std::thread::sleep(Duration::from_secs(1));
            holds.push(server.holds());
        }
        asked.join().unwrap()
    });
    // The first third fills what is kept, buffers and pools.
    let (third, last) = (holds[holds.len() / 3], holds[holds.len() - 1]);
    support::report(&format!(
        "{seconds} s: {} answered, {} lost, {} wrong; after a third {} KiB and {} files, at the end {} KiB and {}",
        outcome.answered,
        outcome.lost,
        outcome.wrong.len(),
        third.0,
        third.1,
        last.0,
        last.1
    ));
    // What it says it has dropped, on a machine that stood still, is not lost unsaid.
    assert_eq!(
        (outcome.lost, outcome.wrong),
        (server.overdue(), Vec::new())
    );
    assert!(outcome.answered > seconds * u64::from(QUESTIONS) / 2);
    assert!(
        last.0 <= third.0 + 4096 && last.1 <= third.1 + 8,
        "{holds:?}"
    );
}
