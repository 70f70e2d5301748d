//! CPU per answered query over UDP, saturated, one core: ours beside an echo that does no DNS and a plain hickory-server
//! over the same names; CoreDNS, NSD and Knot where they are given or installed. Then what changes cost, and how soon they
//! are answered. `cargo bench --bench dns -- [--rounds N] [--coredns PATH] [--nsd PATH] [--knot PATH] [--server NAME=PATH]...`;
//! with 0 rounds only what an answer takes in process, and what changes cost.
//!
//! The servers stay up together; rounds are interleaved; a server has core 0 to itself, the generator core 1. Absolute
//! figures belong to the machine: ratios within one run are what counts.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a bench"
)]

mod frames;
mod load;
mod paced;
mod pipelined;
mod report;
mod servers;
mod updates;
mod within;
mod world;
mod zones;

use std::path::Path;
use std::time::Duration;

use report::Round;
use servers::Server;
use within::Within;
use world::World;

/// The core that servers run on, and the one that the generator runs on.
const CORES: [usize; 2] = [0, 1];

/// How long a server is measured in one round.
const WINDOW: Duration = Duration::from_secs(2);

/// Questions a second, where their latency is measured.
const PACES: [u32; 2] = [20_000, 50_000];

/// Ours.
const OURS: &str = env!("CARGO_BIN_EXE_headless-dns");

/// What the command line says.
struct Options {
    rounds: usize,
    /// Further binaries of ours, each with a name.
    others: Vec<(String, String)>,
    coredns: Option<String>,
    nsd: String,
    knot: String,
}

impl Options {
    fn read(mut arguments: Vec<String>) -> Self {
        let mut options = Self {
            rounds: 5,
            others: Vec::new(),
            coredns: None,
            nsd: "/usr/sbin/nsd".into(),
            knot: "/usr/sbin/knotd".into(),
        };
        while !arguments.is_empty() {
            let option = arguments.remove(0);
            assert!(!arguments.is_empty(), "{option} wants a value");
            let value = arguments.remove(0);
            match option.as_str() {
                "--rounds" => options.rounds = value.parse().expect("a number of rounds"),
                "--coredns" => options.coredns = Some(value),
                "--nsd" => options.nsd = value,
                "--knot" => options.knot = value,
                "--server" => {
                    let (name, path) = value.split_once('=').expect("--server NAME=PATH");
                    options.others.push((name.to_owned(), path.to_owned()));
                }
                other => panic!(
                    "unknown argument {other:?}: expected --rounds N, --coredns PATH, --nsd PATH, --knot PATH, --server NAME=PATH"
                ),
            }
        }
        options
    }
}

fn main() {
    let arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let arguments: Vec<String> = arguments.collect();
    let role = arguments
        .first()
        .and_then(|first| first.strip_prefix("--as="));
    if let Some(role) = role {
        return servers::run(role);
    }
    let options = Options::read(arguments);
    let world = World::new();
    let api = world.serve();
    let mix = world.mix();
    in_process(&api, &mix);
    if options.rounds == 0 {
        return updates::run(OURS);
    }
    let servers = servers(&options, &world, &api);
    for server in &servers {
        load::check(server, &world);
    }
    let mut rounds = vec![Vec::new(); servers.len()];
    for _ in 0..options.rounds {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            rounds.push(Round {
                udp: load::saturate(server, &mix),
                paced: PACES.map(|pace| paced::latencies(server, &mix, pace)),
                tcp: (!server.echo).then(|| pipelined::saturate(server, &mix)),
                memory: server.memory(),
            });
        }
    }
    report::table(&servers, &rounds);
    drop(servers);
    two_cores(&api, &world, &mix);
    updates::run(OURS);
}

/// What an answer takes in process.
fn in_process(api: &world::Api, mix: &[Vec<u8>]) {
    let mut within = Within::new(&api.kubeconfig);
    let kinds = within.kinds(mix);
    let all: Vec<&[u8]> = mix.iter().map(Vec::as_slice).collect();
    let all = within.nanoseconds(&all);
    println!("in process: {all:.0} ns/query; by labels, type and response code:");
    for (kind, nanoseconds) in kinds {
        println!("  {kind}: {nanoseconds:.0} ns");
    }
}

/// For information: what two threads answer on the two cores that they share with the generator.
fn two_cores(api: &world::Api, world: &World, mix: &[Vec<u8>]) {
    for cores in [&CORES[..1], &CORES] {
        let what = (OURS, servers::KUBEADM, api.kubeconfig.as_path());
        let server = Server::ours_on(cores, "ours", what);
        load::check(&server, world);
        let figures = load::saturate(&server, mix);
        println!(
            "{} cores: {:.0} qps, {:.2} µs CPU per query",
            cores.len(),
            figures.qps,
            figures.cpu
        );
    }
}

/// All servers: an echo, hickory-server, ours, and those of others that there are.
fn servers(options: &Options, world: &World, api: &world::Api) -> Vec<Server> {
    let mut servers = vec![Server::echo(), Server::hickory()];
    servers.extend(ours(&options.others, api));
    servers.extend(options.coredns.iter().flat_map(|path| {
        [
            ("kubeadm's", servers::KUBEADM),
            ("kubernetes", servers::ALONE),
        ]
        .map(|(what, text)| {
            Server::coredns(&format!("CoreDNS, {what}"), path, text, &api.kubeconfig)
        })
    }));
    let zone_servers: [(_, _, fn(&_, _) -> _); 2] = [
        ("NSD", &options.nsd, zones::nsd),
        ("Knot", &options.knot, zones::knot),
    ];
    for (name, path, configuration) in zone_servers {
        if Path::new(path).exists() {
            servers.push(Server::of_zones(name, path, world, configuration));
        }
    }
    servers
}

/// Ours and the `others`, each with each Corefile.
fn ours(others: &[(String, String)], api: &world::Api) -> Vec<Server> {
    let own = ("headless-dns".to_owned(), OURS.to_owned());
    let corefiles = [
        ("kubeadm's", servers::KUBEADM),
        ("kubernetes", servers::ALONE),
        ("rewrite", servers::REWRITE),
    ];
    let all = std::iter::once(&own).chain(others);
    let each = |(name, path): &(String, String)| {
        let server =
            |(what, text)| Server::ours(&format!("{name}, {what}"), path, text, &api.kubeconfig);
        corefiles.map(server)
    };
    all.flat_map(each).collect()
}
