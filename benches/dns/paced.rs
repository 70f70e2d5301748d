//! How long an answer takes where questions come at a pace that the server can follow: an open loop that never sleeps.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use crate::load::pin;
use crate::report::percentile;
use crate::servers::Server;

const SOCKETS: usize = 4;

/// How long a pace is held.
const WINDOW: Duration = Duration::from_secs(1);

/// The median and the 99th percentile, in µs, at so many questions a second.
pub(crate) fn latencies(server: &Server, mix: &[Vec<u8>], pace: u32) -> [f64; 2] {
    pin();
    let flow = |_| Flow::new(server);
    let mut flows: Vec<Flow> = (0..SOCKETS).map(flow).collect();
    let (start, mut sent) = (Instant::now(), 0);
    let mut times = Vec::new();
    while start.elapsed() < WINDOW {
        let due = start.elapsed().as_secs_f64() * f64::from(pace);
        if (sent as f64) < due {
            flows[sent % SOCKETS].send(&mix[sent % mix.len()]);
            sent += 1;
        }
        for flow in &mut flows {
            times.extend(flow.receive());
        }
    }
    [0.5, 0.99].map(|share| percentile(&times, share))
}

struct Flow {
    socket: UdpSocket,
    next: u16,
    /// When the question of each id was sent.
    sent: Vec<Instant>,
}

impl Flow {
    fn new(server: &Server) -> Self {
        Self {
            socket: server.connect(),
            next: 0,
            sent: vec![Instant::now(); usize::from(u16::MAX) + 1],
        }
    }

    fn send(&mut self, question: &[u8]) {
        let mut packet = question.to_vec();
        packet[..2].copy_from_slice(&self.next.to_be_bytes());
        self.sent[usize::from(self.next)] = Instant::now();
        self.next = self.next.wrapping_add(1);
        self.socket.send(&packet).unwrap();
    }

    /// How long the next answer took, where there is one, in µs.
    fn receive(&self) -> Option<f64> {
        let mut reply = [0; 1500];
        self.socket.recv(&mut reply).ok()?;
        let id = u16::from_be_bytes([reply[0], reply[1]]);
        Some(self.sent[usize::from(id)].elapsed().as_secs_f64() * 1e6)
    }
}
