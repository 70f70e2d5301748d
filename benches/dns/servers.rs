//! The servers, each a process of its own on one core.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Metadata, ResponseCode};
use hickory_proto::rr::rdata::{A, PTR, SOA, SRV};
use hickory_proto::rr::{LowerName, Name, RData, Record, RecordType};
use hickory_server::net::runtime::Time;
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::MessageResponseBuilder;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::World;
use crate::{CORES, zones};

/// A server that runs; it ends where this is dropped.
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    /// It does no DNS.
    pub(crate) echo: bool,
    child: Child,
    _folder: Option<tempfile::TempDir>,
}

impl Drop for Server {
    fn drop(&mut self) {
        // NSD ends its children only where it is told; the others need not be asked.
        let pids = tree(self.child.id());
        for pid in pids {
            let pid = Pid::from_raw(pid.try_into().unwrap());
            let _gone = kill(pid, Signal::SIGKILL);
        }
        self.child.wait().unwrap();
    }
}

/// A process and those that it has made, and so on.
fn tree(pid: u32) -> Vec<u32> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let children =
        tasks.filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    let children: Vec<u32> = children
        .flat_map(|line| {
            line.split_whitespace()
                .map(|pid| pid.parse().unwrap())
                .collect::<Vec<_>>()
        })
        .collect();
    let below = children.into_iter().flat_map(tree);
    std::iter::once(pid).chain(below).collect()
}

/// CPU time of a process.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cpu {
    /// In seconds.
    pub(crate) total: f64,
    /// In ticks.
    user: f64,
    kernel: f64,
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            total: self.total - before.total,
            user: self.user - before.user,
            kernel: self.kernel - before.kernel,
        }
    }

    /// The part in user space, in seconds.
    pub(crate) fn user(self) -> f64 {
        self.total * self.user / (self.user + self.kernel).max(1.0)
    }
}

/// kubeadm's Corefile but for its ports.
pub(crate) const KUBEADM: &str = ".:PORT {
    bind 127.0.0.1
    errors
    health 127.0.0.1:0 {
       lameduck 5s
    }
    ready 127.0.0.1:0
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus 127.0.0.1:0
    forward . 192.0.2.1 {
       max_concurrent 1000
    }
    cache 30 {
       disable success cluster.local
       disable denial cluster.local
    }
    loop
    reload
    loadbalance
}
";

/// `kubernetes` alone.
pub(crate) const ALONE: &str = ".:PORT {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       ttl 30
    }
}
";

/// A block that has to see each question.
pub(crate) const REWRITE: &str = ".:PORT {
    bind 127.0.0.1
    errors
    rewrite name never.example.org other.example.org
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       ttl 30
    }
}
";

impl Server {
    /// What a socket costs here: each datagram is sent back.
    pub(crate) fn echo() -> Self {
        let mut echo = Self::ourselves("echo, no DNS", "echo");
        echo.echo = true;
        echo
    }

    /// hickory-server with a map of records.
    pub(crate) fn hickory() -> Self {
        Self::ourselves("hickory-server", "hickory")
    }

    /// This program in another role, which says its address.
    fn ourselves(name: &str, role: &str) -> Self {
        let program = std::env::current_exe().unwrap();
        let mut child = pinned(&program.display().to_string())
            .arg(format!("--as={role}"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        Self {
            name: name.into(),
            address: line.trim().parse().unwrap(),
            echo: false,
            child,
            _folder: None,
        }
    }

    /// NSD, or Knot, with zone files of the same names; `configuration` makes its own.
    pub(crate) fn of_zones(
        name: &str,
        path: &str,
        world: &World,
        configuration: fn(&Path, u16) -> String,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        zones::write(world, folder.path());
        let file = folder.path().join("configuration");
        std::fs::write(&file, configuration(folder.path(), port)).unwrap();
        let mut command = pinned(path);
        if path.ends_with("nsd") {
            command.arg("-d");
        }
        let child = command
            .arg("-c")
            .arg(&file)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self::started(name, child, (port, folder))
    }

    /// CoreDNS, with this Corefile.
    pub(crate) fn coredns(name: &str, path: &str, corefile: &str, kubeconfig: &Path) -> Self {
        let kubeconfig = format!("ttl 30\n       kubeconfig {}", kubeconfig.display());
        let corefile = corefile.replace("ttl 30", &kubeconfig);
        Self::of_corefile(name, pinned(path), &corefile)
    }

    /// `serve` of a binary of ours, with this Corefile.
    pub(crate) fn ours(name: &str, path: &str, corefile: &str, kubeconfig: &Path) -> Self {
        Self::ours_on(&CORES[..1], name, (path, corefile, kubeconfig))
    }

    /// The same on these cores.
    pub(crate) fn ours_on(
        cores: &[usize],
        name: &str,
        (path, corefile, kubeconfig): (&str, &str, &Path),
    ) -> Self {
        let mut command = pinned_to(cores, path);
        command.arg("serve").arg("--kubeconfig").arg(kubeconfig);
        Self::of_corefile(name, command, corefile)
    }

    fn of_corefile(name: &str, mut command: Command, corefile: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let text = corefile.replace("PORT", &port.to_string());
        let corefile = folder.path().join("Corefile");
        std::fs::write(&corefile, text).unwrap();
        let child = command
            .arg("-conf")
            .arg(&corefile)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Self::started(name, child, (port, folder))
    }

    /// A server that was started on this port, with its files.
    fn started(name: &str, child: Child, (port, folder): (u16, tempfile::TempDir)) -> Self {
        Self {
            name: name.into(),
            address: ([127, 0, 0, 1], port).into(),
            echo: false,
            child,
            _folder: Some(folder),
        }
    }

    /// The CPU time that it has used: all by the scheduler's own count (schedstat, exact), its parts by the clock's ticks
    /// (proc_pid_stat(5), fields 14 and 15).
    pub(crate) fn cpu(&self) -> Cpu {
        let each = tree(self.child.id()).into_iter().map(Cpu::of);
        let none = Cpu {
            total: 0.0,
            user: 0.0,
            kernel: 0.0,
        };
        each.fold(none, |sum, one| Cpu {
            total: sum.total + one.total,
            user: sum.user + one.user,
            kernel: sum.kernel + one.kernel,
        })
    }

    /// A socket that asks it, and does not wait.
    pub(crate) fn connect(&self) -> UdpSocket {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(self.address).unwrap();
        socket.set_nonblocking(true).unwrap();
        socket
    }

    /// Its memory, what is shared counted in parts (PSS, proc_pid_smaps(5)), in MB.
    pub(crate) fn memory(&self) -> f64 {
        let each = tree(self.child.id()).into_iter().map(|pid| {
            let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
            let line = rollup
                .lines()
                .find(|line| line.starts_with("Pss:"))
                .unwrap();
            let kb = line.split_whitespace().nth(1).unwrap();
            kb.parse::<f64>().unwrap() / 1000.0
        });
        each.sum()
    }
}

impl Cpu {
    /// That of one process.
    fn of(pid: u32) -> Self {
        let proc = format!("/proc/{pid}");
        let stat = std::fs::read_to_string(format!("{proc}/stat")).unwrap();
        let fields: Vec<&str> = stat
            .rsplit(')')
            .next()
            .unwrap()
            .split_whitespace()
            .collect();
        let ticks = |field: usize| fields[field].parse::<f64>().unwrap();
        let tasks = std::fs::read_dir(format!("{proc}/task")).unwrap();
        let nanoseconds = tasks.map(|task| {
            let stat = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
            stat.split(' ').next().unwrap().parse::<f64>().unwrap()
        });
        Self {
            total: nanoseconds.sum::<f64>() / 1e9,
            user: ticks(11),
            kernel: ticks(12),
        }
    }
}

/// A command whose process stays on the servers' core.
fn pinned(program: &str) -> Command {
    pinned_to(&CORES[..1], program)
}

/// The same on these cores.
fn pinned_to(cores: &[usize], program: &str) -> Command {
    let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
    let mut command = Command::new("taskset");
    command.args(["-c", &cores.join(","), program]);
    command
}

/// A port that nobody had just now.
fn free_port() -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.local_addr().unwrap().port()
}

/// One of the roles of this program.
pub(crate) fn run(role: &str) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    match role {
        "echo" => echo(),
        "hickory" => runtime.block_on(hickory()),
        other => panic!("unknown role {other}"),
    }
}

fn echo() {
    use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
    use std::io::{IoSlice, IoSliceMut};
    use std::os::fd::AsRawFd;
    const BATCH: usize = 32;
    /// As many octets as an answer of the mix has.
    const ANSWER: usize = 200;
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    println!("{}", socket.local_addr().unwrap());
    let mut data = vec![[0_u8; 512]; BATCH];
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    let mut replies = MultiHeaders::<SockaddrStorage>::preallocate(BATCH, None);
    loop {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = data
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut headers,
            slices.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        );
        let peers: Vec<Option<SockaddrStorage>> =
            received.unwrap().map(|message| message.address).collect();
        for buffer in &mut data {
            buffer[2] |= 0x80;
        }
        let out: Vec<[IoSlice<'_>; 1]> = data[..peers.len()]
            .iter()
            .map(|buffer| [IoSlice::new(&buffer[..ANSWER])])
            .collect();
        let sent = sendmmsg(
            socket.as_raw_fd(),
            &mut replies,
            &out,
            &peers,
            [],
            MsgFlags::empty(),
        );
        sent.unwrap();
    }
}

/// The names as records, as one keeps them who has only hickory-server.
struct Records {
    records: HashMap<(LowerName, RecordType), Vec<Record>>,
    names: std::collections::HashSet<LowerName>,
    soa: Record,
}

impl Records {
    fn new(world: &World) -> Self {
        let name = |text: String| Name::from_ascii(text).unwrap();
        let apex = name("cluster.local.".into());
        let soa = SOA::new(
            name("ns.dns.cluster.local.".into()),
            name("hostmaster.cluster.local.".into()),
            1,
            7200,
            1800,
            86_400,
            30,
        );
        let mut all = Self {
            records: HashMap::new(),
            names: std::collections::HashSet::new(),
            soa: Record::from_rdata(apex, 30, RData::SOA(soa)),
        };
        for service in &world.services {
            let own = name(format!(
                "{}.{}.svc.cluster.local.",
                service.name, service.ns
            ));
            let port = name(format!("_http._tcp.{own}"));
            for (pod, [a, b, c, d]) in &service.endpoints {
                let pod = name(format!("{pod}.{own}"));
                let address = || RData::A(A([*a, *b, *c, *d].into()));
                all.add(&own, address());
                all.add(&pod, address());
                let weight = u16::try_from(100 / service.endpoints.len()).unwrap().max(1);
                all.add(&port, RData::SRV(SRV::new(0, weight, 80, pod.clone())));
                let reverse = name(format!("{d}.{c}.{b}.{a}.in-addr.arpa."));
                all.add(&reverse, RData::PTR(PTR(pod)));
            }
        }
        all
    }

    fn add(&mut self, owner: &Name, data: RData) {
        let record = Record::from_rdata(owner.clone(), 30, data);
        let key = LowerName::from(owner);
        self.names.insert(key.clone());
        let set = self.records.entry((key, record.record_type()));
        set.or_default().push(record);
    }
}

struct Handler(Arc<Records>);

#[async_trait::async_trait]
impl RequestHandler for Handler {
    async fn handle_request<R: ResponseHandler, T: Time>(
        &self,
        request: &Request,
        mut response: R,
    ) -> ResponseInfo {
        let asked = request.request_info().unwrap().query;
        let key = (asked.name().clone(), asked.query_type());
        let found = self
            .0
            .records
            .get(&key)
            .map(Vec::as_slice)
            .unwrap_or_default();
        let exists = self.0.names.contains(asked.name());
        let mut metadata = Metadata::response_from_request(&request.metadata);
        metadata.authoritative = true;
        if !exists {
            metadata.response_code = ResponseCode::NXDomain;
        }
        let glue: Vec<&Record> = found
            .iter()
            .filter_map(|record| {
                let RData::SRV(srv) = &record.data else {
                    return None;
                };
                let key = (LowerName::from(&srv.target), RecordType::A);
                self.0.records.get(&key)
            })
            .flatten()
            .collect();
        let soa = found.is_empty().then_some(&self.0.soa);
        let builder = MessageResponseBuilder::new(&request.queries, request.edns.as_ref());
        let built = builder.build(metadata, found, soa, [], glue);
        response.send_response(built).await.unwrap()
    }
}

async fn hickory() {
    let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let listener = tokio::net::TcpListener::bind(address).await.unwrap();
    println!("{address}");
    let records = Arc::new(Records::new(&World::new()));
    let mut server = hickory_server::Server::new(Handler(records));
    server.register_socket(socket);
    server.register_listener(listener, Duration::from_secs(60), 4096);
    server.block_until_done().await.unwrap();
}
