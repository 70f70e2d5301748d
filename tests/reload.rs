//! A server whose Corefile changes while it is asked: every query is answered, by the old file or by the new one, and its
//! probe says all the while that it is ready.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod support;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::dns::{data, question};

const NAME: &str = "h.test.";

/// How many questions wait for their answers at a time: enough for many thousand a second.
const TOGETHER: u16 = 16;

/// A server on ports that were free a moment ago, and its file.
struct Server {
    child: Child,
    ports: Ports,
    corefile: PathBuf,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
    _folder: tempfile::TempDir,
}

/// Where it answers questions, and where its probe.
#[derive(Clone, Copy)]
struct Ports {
    dns: u16,
    ready: u16,
}

impl Ports {
    fn free() -> Self {
        let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [dns, ready] = free.map(|free| free.local_addr().unwrap().port());
        Self { dns, ready }
    }
}

/// A file that gives the name this address.
fn text(Ports { dns, ready }: Ports, last: usize) -> String {
    format!(
        ".:{dns} {{\n bind 127.0.0.1\n ready 127.0.0.1:{ready}\n hosts {{\n  10.0.0.{last} h.test\n }}\n}}\n"
    )
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let corefile = folder.path().join("Corefile");
        // Somebody else may take a port before the server does: then others are tried.
        loop {
            let ports = Ports::free();
            std::fs::write(&corefile, text(ports, 1)).unwrap();
            let mut child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
                .args(["serve", "-conf", corefile.to_str().unwrap()])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            let log = BufReader::new(child.stderr.take().unwrap()).lines();
            if stdout.read_line(&mut String::new()).unwrap() > 0 {
                return Self {
                    child,
                    ports,
                    corefile,
                    log,
                    _folder: folder,
                };
            }
            child.wait().unwrap();
        }
    }

    /// Writes the file, has it read, and waits for what is said of it.
    fn change(&mut self, text: &str, said: &str) {
        std::fs::write(&self.corefile, text).unwrap();
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGUSR1).unwrap();
        let found = self.log.any(|line| line.unwrap().contains(said));
        assert!(found, "{said}");
    }

    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

/// A test that fails leaves no server behind.
impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
    }
}

fn address(reply: &[u8]) -> String {
    let reply = Message::from_vec(reply).unwrap();
    assert_eq!(reply.metadata.response_code, ResponseCode::NoError);
    data(&reply).remove(0)
}

fn over_udp(socket: &UdpSocket) -> String {
    socket.send(&question(1, NAME, RecordType::A)).unwrap();
    let mut reply = [0; 512];
    let size = socket.recv(&mut reply).unwrap();
    address(&reply[..size])
}

fn over_tcp(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let asked = question(1, NAME, RecordType::A);
    let length = u16::try_from(asked.len()).unwrap();
    stream.write_all(&length.to_be_bytes()).unwrap();
    stream.write_all(&asked).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    address(&reply)
}

/// Asks several questions at once; each has to be answered.
fn together(socket: &UdpSocket) {
    let mut waiting: BTreeSet<u16> = (0..TOGETHER).collect();
    for id in &waiting {
        socket.send(&question(*id, NAME, RecordType::A)).unwrap();
    }
    let mut reply = [0; 512];
    while !waiting.is_empty() {
        let size = socket.recv(&mut reply).unwrap();
        assert!(address(&reply[..size]).starts_with("10.0.0."));
        assert!(waiting.remove(&u16::from_be_bytes([reply[0], reply[1]])));
    }
}

/// What the probe says.
fn readiness(port: u16) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let request = "GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.lines().next().unwrap_or_default().to_owned()
}

/// Does it again and again on a thread of its own, until `ended`; how often that was.
fn again(ended: &Arc<AtomicBool>, it: impl Fn() + Send + 'static) -> JoinHandle<u64> {
    let ended = Arc::clone(ended);
    std::thread::spawn(move || {
        let mut times = 0;
        while !ended.load(Ordering::Relaxed) {
            it();
            times += 1;
        }
        times
    })
}

#[test]
fn a_corefile_that_changes_costs_no_query_and_a_wrong_one_changes_nothing() {
    let changes: usize = option_env!("CHANGES").map_or(30, |changes| changes.parse().unwrap());
    let mut server = Server::start();
    let ports = server.ports;
    let socket = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", ports.dns)).unwrap();
        let patience = Duration::from_secs(20);
        socket.set_read_timeout(Some(patience)).unwrap();
        socket
    };
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let in_use = Ports {
        dns: taken.local_addr().unwrap().port(),
        ..ports
    };
    #[expect(clippy::disallowed_methods, reason = "for the line at the end")]
    let (ended, start) = (Arc::default(), Instant::now());
    let asking = {
        let socket = socket();
        again(&ended, move || together(&socket))
    };
    let connecting = again(&ended, move || {
        assert!(over_tcp(ports.dns).starts_with("10.0.0."));
    });
    let probing = again(&ended, move || {
        assert_eq!(readiness(ports.ready), "HTTP/1.1 200 OK");
    });
    let socket = socket();
    for change in 0..changes {
        let last = change % 200 + 2;
        server.change(&text(ports, last), "the Corefile has been read again");
        assert_eq!(over_udp(&socket), format!("10.0.0.{last}"));
        assert_eq!(over_tcp(ports.dns), format!("10.0.0.{last}"));
        let wrong = if change % 2 == 0 {
            text(ports, 1).replace("hosts", "nonsense")
        } else {
            text(in_use, 1)
        };
        server.change(&wrong, "the old one stays");
        assert_eq!(over_udp(&socket), format!("10.0.0.{last}"));
    }
    let took = start.elapsed();
    ended.store(true, Ordering::Relaxed);
    let [asked, connections, probes] = [asking, connecting, probing].map(|it| it.join().unwrap());
    assert!(asked > 0 && connections > 0 && probes > 0);
    let asked = asked * u64::from(TOGETHER);
    println!(
        "{} changes in {took:?}: {asked} questions over UDP, {connections} over TCP, {probes} probes",
        2 * changes
    );
    server.stop();
}
