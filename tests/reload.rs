//! A server whose Corefile changes while it is asked: every query is answered, by the old file or by the new one.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::dns::{data, question};

const NAME: &str = "h.test.";

/// A server on a port that was free a moment ago, and its file.
struct Server {
    child: Child,
    port: u16,
    corefile: PathBuf,
    log: std::io::Lines<BufReader<std::process::ChildStderr>>,
    _folder: tempfile::TempDir,
}

/// A file that gives the name this address.
fn text(port: u16, last: usize) -> String {
    format!(".:{port} {{\n bind 127.0.0.1\n hosts {{\n  10.0.0.{last} h.test\n }}\n}}\n")
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let corefile = folder.path().join("Corefile");
        // Somebody else may take the port before the server does: then another is tried.
        loop {
            let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            std::fs::write(&corefile, text(port, 1)).unwrap();
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
                    port,
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

#[test]
fn a_corefile_that_changes_costs_no_query_and_a_wrong_one_changes_nothing() {
    let changes: usize = option_env!("CHANGES").map_or(30, |changes| changes.parse().unwrap());
    let mut server = Server::start();
    let port = server.port;
    let socket = || {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        socket
    };
    let ended = Arc::new(AtomicBool::new(false));
    let ask = |ask: Box<dyn Fn() -> String + Send>| {
        let ended = Arc::clone(&ended);
        std::thread::spawn(move || {
            let mut asked = 0_u64;
            while !ended.load(Ordering::Relaxed) {
                assert!(ask().starts_with("10.0.0."));
                asked += 1;
            }
            asked
        })
    };
    let asking = [
        ask(Box::new({
            let socket = socket();
            move || over_udp(&socket)
        })),
        ask(Box::new(move || over_tcp(port))),
    ];
    let socket = socket();
    for change in 0..changes {
        let last = change % 200 + 2;
        server.change(&text(port, last), "the Corefile has been read again");
        assert_eq!(over_udp(&socket), format!("10.0.0.{last}"));
        assert_eq!(over_tcp(port), format!("10.0.0.{last}"));
        let wrong = if change % 2 == 0 {
            text(port, 1).replace("hosts", "nonsense")
        } else {
            text(port, 1).replace("127.0.0.1", "192.0.2.1")
        };
        server.change(&wrong, "the old one stays");
        assert_eq!(over_udp(&socket), format!("10.0.0.{last}"));
    }
    ended.store(true, Ordering::Relaxed);
    for asking in asking {
        assert!(asking.join().unwrap() > 0);
    }
    server.stop();
}
