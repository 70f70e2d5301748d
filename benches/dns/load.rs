//! The generator: a closed loop over many sockets that saturates one server core.
//!
//! Sixteen questions of one length leave in one system call (UDP_SEGMENT), or the generator would be the slower one.

use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::RecordType;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessage, MsgFlags, MultiHeaders, SockaddrIn, recvmmsg, sendmsg};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::servers::Server;
use crate::world::{World, question};
use crate::{CORES, WINDOW};

const SOCKETS: usize = 20;

/// Questions in one system call.
const BATCH: usize = 16;

/// Batches under way on one socket.
const DEPTH: usize = 2;

/// How long a socket waits for replies before it counts them as lost.
const LOST: Duration = Duration::from_millis(200);

/// What is measured of one server in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    /// Answered queries a second.
    pub(crate) qps: f64,
    /// CPU time per answered query, in µs: all, and in user space.
    pub(crate) cpu: f64,
    pub(crate) user: f64,
    /// Octets of an answer.
    pub(crate) size: f64,
    /// Of the questions sent, those not answered.
    pub(crate) lost: f64,
}

/// Questions of one length.
type Lengths = BTreeMap<usize, Vec<Vec<u8>>>;

/// Asks as fast as the server answers.
pub(crate) fn saturate(server: &Server, mix: &[Vec<u8>]) -> Figures {
    pin();
    let mut lengths = Lengths::new();
    for question in mix {
        lengths
            .entry(question.len())
            .or_default()
            .push(question.clone());
    }
    let weights: Vec<&Vec<Vec<u8>>> = mix.iter().map(|q| &lengths[&q.len()]).collect();
    let random = &mut StdRng::seed_from_u64(2);
    let mut sockets: Vec<Flow> = (0..SOCKETS).map(|_| Flow::new(server)).collect();
    let before = server.cpu();
    let start = Instant::now();
    let (mut sent, mut answered, mut octets) = (0_u64, 0_u64, 0_u64);
    let mut buffers = Buffers::new();
    while start.elapsed() < WINDOW {
        for flow in &mut sockets {
            while flow.waiting + BATCH <= BATCH * DEPTH {
                flow.send(weights[random.random_range(0..weights.len())], random);
                sent += BATCH as u64;
            }
        }
        wait(&sockets);
        for flow in &mut sockets {
            let (count, size) = flow.receive(&mut buffers);
            answered += count;
            octets += size;
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    let used = server.cpu().since(before);
    let waiting: usize = sockets.iter().map(|flow| flow.waiting).sum();
    let n = answered as f64;
    Figures {
        qps: n / seconds,
        cpu: used.total / n * 1e6,
        user: used.user() / n * 1e6,
        size: octets as f64 / n,
        lost: (sent as f64 - n - waiting as f64) / sent as f64,
    }
}

/// A client with a port of its own.
struct Flow {
    socket: UdpSocket,
    /// Questions that are not answered yet.
    waiting: usize,
    since: Instant,
    out: Vec<u8>,
}

impl Flow {
    fn new(server: &Server) -> Self {
        Self {
            socket: server.connect(),
            waiting: 0,
            since: Instant::now(),
            out: Vec::new(),
        }
    }

    /// Sends a batch of these questions, which have one length.
    fn send(&mut self, questions: &[Vec<u8>], random: &mut StdRng) {
        self.out.clear();
        for _ in 0..BATCH {
            let at = self.out.len();
            self.out
                .extend_from_slice(questions.choose(random).unwrap());
            self.out[at..at + 2].copy_from_slice(&random.random::<[u8; 2]>());
        }
        let size = u16::try_from(self.out.len() / BATCH).unwrap();
        let control = [ControlMessage::UdpGsoSegments(&size)];
        let slices = [IoSlice::new(&self.out)];
        let fd = self.socket.as_raw_fd();
        if sendmsg::<SockaddrIn>(fd, &slices, &control, MsgFlags::empty(), None).is_ok() {
            self.waiting += BATCH;
            self.since = Instant::now();
        }
    }

    /// The replies at hand: how many, and their octets.
    fn receive(&mut self, buffers: &mut Buffers) -> (u64, u64) {
        let (mut count, mut size) = (0, 0);
        for length in buffers.read(&self.socket) {
            count += 1;
            size += length;
        }
        self.waiting = self.waiting.saturating_sub(usize::try_from(count).unwrap());
        if count > 0 {
            self.since = Instant::now();
        } else if self.waiting > 0 && self.since.elapsed() > LOST {
            self.waiting = 0;
        }
        (count, size)
    }
}

/// Room for the replies of one system call.
struct Buffers {
    data: Vec<[u8; 1500]>,
    headers: MultiHeaders<SockaddrIn>,
}

impl Buffers {
    fn new() -> Self {
        let room = BATCH * DEPTH;
        Self {
            data: vec![[0; 1500]; room],
            headers: MultiHeaders::preallocate(room, None),
        }
    }

    /// The lengths of the replies that a socket has.
    fn read(&mut self, socket: &UdpSocket) -> Vec<u64> {
        let mut slices: Vec<[IoSliceMut<'_>; 1]> = self
            .data
            .iter_mut()
            .map(|buffer| [IoSliceMut::new(buffer)])
            .collect();
        let received = recvmmsg(
            socket.as_raw_fd(),
            &mut self.headers,
            slices.iter_mut(),
            MsgFlags::MSG_DONTWAIT,
            None,
        );
        let received = received.into_iter().flatten();
        received.map(|message| message.bytes as u64).collect()
    }
}

fn wait(flows: &[Flow]) {
    use std::os::fd::AsFd;
    let mut fds: Vec<PollFd<'_>> = flows
        .iter()
        .map(|flow| PollFd::new(flow.socket.as_fd(), PollFlags::POLLIN))
        .collect();
    poll(&mut fds, PollTimeout::try_from(LOST).unwrap()).unwrap();
}

/// The generator's own core.
pub(crate) fn pin() {
    let mut set = nix::sched::CpuSet::new();
    set.set(CORES[1]).unwrap();
    nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &set).unwrap();
}

/// Asks until there is an answer.
fn ask(server: &Server, qname: &str, qtype: RecordType) -> Message {
    let mut reply = [0; 1500];
    // A late reply to the question before is none to this one.
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(server.address).unwrap();
    socket.set_read_timeout(Some(LOST)).unwrap();
    loop {
        socket.send(&question(qname, qtype)).unwrap();
        if let Ok(size) = socket.recv(&mut reply) {
            return Message::from_vec(&reply[..size]).unwrap();
        }
    }
}

/// Waits until a server has the last name.
pub(crate) fn wait_for(server: &Server, world: &World) {
    let last = world.services.last().unwrap();
    let pod = &last.endpoints.last().unwrap().0;
    let name = format!("{pod}.{}.{}.svc.cluster.local.", last.name, last.ns);
    let answers = || ask(server, &name, RecordType::A).answers.len();
    while answers() != 1 {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a server answers, and sees that it answers right: a fast wrong answer is worth nothing.
pub(crate) fn check(server: &Server, world: &World) {
    if server.echo {
        ask(server, ".", RecordType::NS);
        return;
    }
    wait_for(server, world);
    let ask = |qname: &str, qtype| ask(server, qname, qtype);
    let last = world.services.last().unwrap();
    let own = format!("{}.{}.svc.cluster.local.", last.name, last.ns);
    let pod = format!("{}.{own}", last.endpoints[0].0);
    let [a, b, c, d] = last.endpoints[0].1;
    for (qname, qtype, rcode, answers) in [
        (
            own.clone(),
            RecordType::A,
            ResponseCode::NoError,
            last.endpoints.len(),
        ),
        (own.clone(), RecordType::AAAA, ResponseCode::NoError, 0),
        (pod, RecordType::AAAA, ResponseCode::NoError, 0),
        (
            format!("{d}.{c}.{b}.{a}.in-addr.arpa."),
            RecordType::PTR,
            ResponseCode::NoError,
            1,
        ),
        (
            "example.com.svc.cluster.local.".into(),
            RecordType::A,
            ResponseCode::NXDomain,
            0,
        ),
    ] {
        let reply = ask(&qname, qtype);
        assert_eq!(
            (reply.metadata.response_code, reply.answers.len()),
            (rcode, answers),
            "{} at {qname} {qtype}",
            server.name
        );
    }
    // A set that fits: some servers cut larger ones to nothing.
    let small = &world.services[0];
    let port = format!("_http._tcp.{}.{}.svc.cluster.local.", small.name, small.ns);
    let reply = ask(&port, RecordType::SRV);
    assert_eq!(reply.answers.len(), small.endpoints.len());
}
