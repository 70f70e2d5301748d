//! CPU per query over TCP: connections that have many questions under way (RFC 7766 section 6.2.1.1).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::load::pin;
use crate::servers::Server;

const CONNECTIONS: usize = 20;

/// Questions under way on one connection, and in one write.
const DEPTH: usize = 200;
const BATCH: usize = 50;

const WINDOW: Duration = Duration::from_secs(1);

/// Microseconds of CPU for each answered query.
pub(crate) fn saturate(server: &Server, mix: &[Vec<u8>]) -> f64 {
    pin();
    let batches: Vec<Vec<u8>> = mix.chunks_exact(BATCH).map(framed).collect();
    let mut batches = batches.iter().cycle();
    let connection = |_| Connection::new(server);
    let mut connections: Vec<Connection> = (0..CONNECTIONS).map(connection).collect();
    let (before, start, mut answered) = (server.cpu(), Instant::now(), 0);
    while start.elapsed() < WINDOW {
        for connection in &mut connections {
            while connection.waiting + BATCH <= DEPTH && connection.left.is_empty() {
                connection.left = batches.next().unwrap().clone();
                connection.waiting += BATCH;
                connection.write();
            }
            connection.write();
        }
        let fds = connections.iter().map(|connection| {
            let write = if connection.left.is_empty() {
                PollFlags::empty()
            } else {
                PollFlags::POLLOUT
            };
            PollFd::new(connection.stream.as_fd(), PollFlags::POLLIN | write)
        });
        poll(&mut fds.collect::<Vec<_>>(), PollTimeout::from(200_u8)).unwrap();
        answered += connections.iter_mut().map(Connection::read).sum::<usize>();
    }
    server.cpu().since(before).total / answered as f64 * 1e6
}

/// Questions, each with its length before it.
fn framed(questions: &[Vec<u8>]) -> Vec<u8> {
    let framed = |question: &Vec<u8>| {
        let length = u16::try_from(question.len()).unwrap().to_be_bytes();
        [&length[..], question].concat()
    };
    questions.iter().flat_map(framed).collect()
}

struct Connection {
    stream: TcpStream,
    /// Questions that are not answered yet.
    waiting: usize,
    /// Octets that are still to be written.
    left: Vec<u8>,
    /// Octets that were read, the last frame not whole.
    read: Vec<u8>,
}

impl Connection {
    fn new(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_nonblocking(true).unwrap();
        Self {
            stream,
            waiting: 0,
            left: Vec::new(),
            read: Vec::new(),
        }
    }

    fn write(&mut self) {
        while !self.left.is_empty() {
            match self.stream.write(&self.left) {
                Ok(written) => drop(self.left.drain(..written)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// How many answers came.
    fn read(&mut self) -> usize {
        let mut room = [0; 1 << 16];
        loop {
            match self.stream.read(&mut room) {
                Ok(0) => panic!("the server has closed a connection"),
                Ok(size) => self.read.extend_from_slice(&room[..size]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("{error}"),
            }
        }
        let (mut at, mut count) = (0, 0);
        while let Some([high, low, rest @ ..]) = self.read.get(at..)
            && rest.len() >= usize::from(u16::from_be_bytes([*high, *low]))
        {
            at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
            count += 1;
        }
        self.read.drain(..at);
        self.waiting -= count;
        count
    }
}
