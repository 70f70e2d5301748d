//! The program beside readers who are slow, gone, or have no room: they cost lines, never an answer or the end.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader};
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use support::dns::question;

/// A sandbox, and where it answers.
struct Sandbox {
    child: Child,
    dns: String,
}

impl Sandbox {
    /// Starts it with this standard error and these arguments; the rest of its standard output has no reader.
    fn start(stderr: impl Into<Stdio>, arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
            .args(["sandbox", "--dns", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let dns = line.split_whitespace().nth(1).unwrap().to_owned();
        Self { child, dns }
    }

    /// Asks, until there is an answer: a name that is not there yet is denied.
    fn until_answered(&self, qname: &str) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(&self.dns).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        loop {
            socket.send(&question(1, qname, RecordType::A)).unwrap();
            let mut reply = [0; 512];
            let size = socket.recv(&mut reply).unwrap();
            let reply = Message::from_vec(&reply[..size]).unwrap();
            if reply.metadata.response_code == ResponseCode::NoError {
                return;
            }
        }
    }

    /// Ends it, which it does by itself.
    fn stop(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

const NAME: &str = "redis-2.redis.default.svc.cluster.local.";

/// Far more lines than a pipe holds, and than may wait.
fn ask_a_lot(sandbox: &Sandbox) {
    for _ in 0..2000 {
        sandbox.until_answered(NAME);
    }
}

#[test]
fn a_disk_that_is_full_costs_lines_only() {
    let sandbox = Sandbox::start(File::create("/dev/full").unwrap(), &["--log", "trace"]);
    ask_a_lot(&sandbox);
    sandbox.stop();
}

#[test]
fn a_reader_that_reads_nothing_costs_lines_only() {
    let (unread, stderr): (PipeReader, _) = std::io::pipe().unwrap();
    let sandbox = Sandbox::start(stderr, &["--log", "trace"]);
    ask_a_lot(&sandbox);
    sandbox.stop();
    drop(unread);
}

#[test]
fn readers_that_are_gone_cost_lines_only() {
    let (reader, stderr) = std::io::pipe().unwrap();
    drop(reader);
    // The story goes on when nobody listens any more.
    let sandbox = Sandbox::start(stderr, &["--log", "trace", "--start-delay", "20ms"]);
    ask_a_lot(&sandbox);
    sandbox.stop();
}
