//! How soon a change is answered, what changes cost those who ask meanwhile, and what a name of a large set costs.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use hickory_proto::rr::RecordType;

use crate::frames::{Frames, frame};
use crate::load::{self, pin};
use crate::pipelined;
use crate::report::{median, percentile};
use crate::servers::{ALONE, KUBEADM, Server};
use crate::within::Within;
use crate::world::{World, question};

/// Sizes of the set in which an endpoint changes its address.
const SIZES: [usize; 4] = [1, 100, 1_000, 10_000];

/// Changes for each size; their frames come at rest, one after the other is answered.
const CHANGES: u8 = 250;

/// Rounds, each with all sizes.
const ROUNDS: u8 = 4;

/// Between two changes, in which the server sleeps.
const REST: Duration = Duration::from_millis(2);

/// Changes a second under load.
const PACE: u32 = 1_000;

pub(crate) fn run(binary: &str) {
    answered(binary);
    under_load(binary);
    large_set(binary);
    for size in [10, 10_000] {
        let world = World::of([size]);
        let frames = Frames::serve(&world);
        let questions: Vec<Vec<u8>> = (0..size).map(|n| pod_question(&world, n)).collect();
        let questions: Vec<&[u8]> = questions.iter().map(Vec::as_slice).collect();
        let took = Within::new(&frames.kubeconfig).nanoseconds(&questions);
        println!("a Pod's name in a set of {size}: {took:.0} ns in process");
    }
}

/// From the first octet of a frame that leaves to the answer that says so.
fn answered(binary: &str) {
    println!("| endpoints | from frame to answer, µs: p50 | p99 |\n|---|---|---|");
    let mut sets: Vec<Set> = SIZES.iter().map(|size| Set::new(*size, binary)).collect();
    let mut times = vec![Vec::new(); sets.len()];
    pin();
    for round in 0..ROUNDS {
        for (set, times) in sets.iter_mut().zip(&mut times) {
            times.extend((0..CHANGES).map(|i| set.change([10, 1 + round, 0, i])));
        }
    }
    for (size, times) in SIZES.iter().zip(times) {
        let [p50, p99] = [0.5, 0.99].map(|share| percentile(&times, share));
        println!("| {size} | {p50:.0} | {p99:.0} |");
    }
}

/// The question for the address of the first Service's Pod `n`.
fn pod_question(world: &World, n: usize) -> Vec<u8> {
    let service = &world.services[0];
    let (pod, own) = (
        &service.endpoints[n].0,
        format!("{}.{}", service.name, service.ns),
    );
    question(&format!("{pod}.{own}.svc.cluster.local."), RecordType::A)
}

/// One headless Service, and the server that answers for it.
struct Set {
    world: World,
    frames: Frames,
    _server: Server,
    socket: UdpSocket,
    question: Vec<u8>,
}

impl Set {
    fn new(size: usize, binary: &str) -> Self {
        let world = World::of([size]);
        let frames = Frames::serve(&world);
        let server = Server::ours("ours", binary, KUBEADM, &frames.kubeconfig);
        load::wait_for(&server, &world);
        Self {
            question: pod_question(&world, 0),
            world,
            frames,
            socket: server.connect(),
            _server: server,
        }
    }

    /// Microseconds until the first endpoint's name has its new address.
    fn change(&mut self, address: [u8; 4]) -> f64 {
        std::thread::sleep(REST);
        self.world.services[0].endpoints[0].1 = address;
        let frame = frame("MODIFIED", &self.world.slice(0, 0));
        let start = Instant::now();
        self.frames.send(&frame);
        let mut reply = [0; 1500];
        loop {
            self.socket.send(&self.question).unwrap();
            // Asked again as soon as it is answered; a reply takes some 30 µs.
            let size = loop {
                if let Ok(size) = self.socket.recv(&mut reply) {
                    break size;
                }
            };
            // The address is followed by the OPT record, of 11 octets.
            if reply[..size - 11].ends_with(&address) {
                return start.elapsed().as_secs_f64() * 1e6;
            }
        }
    }
}

/// What questions for all of a large set cost: what fits of it is sent.
fn large_set(binary: &str) {
    let world = World::of([10_000]);
    let frames = Frames::serve(&world);
    let server = Server::ours("ours", binary, ALONE, &frames.kubeconfig);
    load::wait_for(&server, &world);
    let service = &world.services[0];
    let own = format!("{}.{}.svc.cluster.local.", service.name, service.ns);
    for qtype in [RecordType::A, RecordType::SRV] {
        let mix = vec![question(&own, qtype); 50];
        let udp = load::saturate(&server, &mix).cpu;
        let tcp = pipelined::saturate(&server, &mix);
        println!("{qtype} of a set of 10000: {udp:.1} µs CPU over UDP, {tcp:.0} over TCP");
    }
}

/// CPU per query with changes and without them, in turns.
fn under_load(binary: &str) {
    let mut world = World::new();
    let frames = Frames::serve(&world);
    // Without upstreams, which would be asked for the old addresses.
    let server = Server::ours("ours", binary, ALONE, &frames.kubeconfig);
    load::check(&server, &world);
    let mix = world.mix();
    let mut ratios = Vec::new();
    for round in 0..5_u8 {
        let still = load::saturate(&server, &mix);
        let changing = std::thread::scope(|scope| {
            let load = scope.spawn(|| load::saturate(&server, &mix));
            let start = Instant::now();
            let mut sent = 0_u32;
            while !load.is_finished() {
                let due = start.elapsed().as_secs_f64() * f64::from(PACE);
                while f64::from(sent) < due {
                    let [_, _, high, low] = sent.to_be_bytes();
                    let i = sent as usize * 7 % world.services.len();
                    world.services[i].endpoints[0].1 = [10, 200 + round, high, low];
                    frames.send(&frame("MODIFIED", &world.slice(i, 0)));
                    sent += 1;
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            load.join().unwrap()
        });
        ratios.push(changing.cpu / still.cpu);
    }
    println!(
        "{PACE} changes a second: CPU per query × {:.2}",
        median(ratios)
    );
}
