//! Questions that are answered at once, counted and not.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use headless_dns::corefile;
use headless_dns::message::question::{Query, Question, RecordType, Route};
use headless_dns::message::read_plain;
use headless_dns::metrics::Top;
use headless_dns::name::Name;
use headless_dns::plugin::{Chain, Cluster, Express, Parts, Router, Socket, read_blocks};
use headless_dns::serve::files::Files;
use headless_dns::store::{Resource, Store};
use headless_dns::zone::Zone;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::measured;
use crate::support::build::event;
use crate::support::dns::question;

/// Questions in a run, each for any of the names, as one of so many clients.
const QUESTIONS: usize = 200_000;
const CLIENTS: u32 = 3_000;

/// Of so many names, a tenth of which do not exist.
pub(crate) fn row(names: usize) {
    let chain = chain(names);
    let random = &mut StdRng::seed_from_u64(1);
    let packets: Vec<(Vec<u8>, SocketAddr)> = (0..QUESTIONS)
        .map(|_| {
            let (n, client) = (
                random.random_range(0..names),
                random.random_range(0..CLIENTS),
            );
            let pod = if n % 10 == 0 { 9 } else { n % 10 };
            let name = format!("redis-{pod}.redis-{}.default.svc.cluster.local.", n / 10);
            let client = std::net::Ipv4Addr::from_bits(0x0a00_0000 + client);
            (question(7, &name, RecordType::A), (client, 5353).into())
        })
        .collect();
    let top = Arc::new(Top::default());
    let [without, with] = [None, Some(top)].map(|top| {
        let socket = Socket {
            top,
            ..Socket::default()
        };
        let blocks = vec![(Name::root(), Arc::clone(&chain).into())];
        let mut express = Express::new(&Router::of(socket, blocks, false));
        let root = Question::new(Name::root(), RecordType::A);
        let mut query = Query::plain(root, SocketAddr::from(([127, 0, 0, 1], 1)));
        let mut out = Vec::with_capacity(4096);
        measured(QUESTIONS, || {
            for (packet, client) in &packets {
                out.clear();
                let route = Route::from(*client);
                let at_once =
                    read_plain(&mut query, packet, route) && express.answer(&query, 7, &mut out);
                assert!(black_box(at_once));
            }
        })
    });
    println!(
        "| a question for one of {names} names | {:.0} ns | {:.0} ns | {} | {} | {:.1} |",
        without.0,
        with.0,
        without.1,
        with.1,
        Top::OCTETS as f64 / 1e6
    );
}

/// `kubernetes` over Services of nine Pods.
fn chain(names: usize) -> Chain {
    let zone = Arc::new(Zone::default());
    let mut store = Store::new(Arc::clone(&zone), [Resource::Services, Resource::Slices]);
    store.handle(1, event("apply namespace default").unwrap());
    for service in 0..names / 10 {
        let pods: Vec<String> = (0..9)
            .map(|pod| format!("redis-{pod}=10.1.0.{pod}"))
            .collect();
        let (service, pods) = (format!("redis-{service}"), pods.join(" "));
        for line in [
            format!("apply service default/{service} headless"),
            format!("apply slice default/{service}-x of {service} {pods}"),
        ] {
            store.handle(1, event(&line).unwrap());
        }
    }
    for kind in ["services", "slices"] {
        store.handle(1, event(&format!("synced {kind}")).unwrap());
    }
    let text = ".:53 {\n kubernetes cluster.local\n}\n";
    let blocks = corefile::parse("Corefile", text, &Files).unwrap();
    let mut blocks = read_blocks(&blocks, &Files).unwrap();
    let block = blocks.remove(0);
    let view = Arc::new(block.kubernetes.unwrap().view);
    let parts = Parts {
        cluster: Some(Cluster { zone, view }),
        ..Parts::default()
    };
    let links = block.links.iter();
    links.map(|(_, link)| link.build(&parts).unwrap()).collect()
}
