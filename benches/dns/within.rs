//! What an answer costs in the server itself, without a socket: from a packet in memory to a reply in memory.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use headless_dns::apiserver::ApiServer;
use headless_dns::listen::interface_addresses;
use headless_dns::message::question::{Query, Question, RecordType, Route};
use headless_dns::message::read_plain;
use headless_dns::name::Name;
use headless_dns::plugin::{Express, Router};
use headless_dns::serve::files::Files;
use headless_dns::serve::{Ambient, Kept, Program, Setup};
use tokio_util::sync::CancellationToken;

use crate::servers::KUBEADM;
use crate::world::Api;

/// How often the mix is gone through; the fastest time counts.
const TIMES: usize = 20;

/// Nanoseconds per query over the mix, and over the questions of each kind.
pub(crate) fn nanoseconds(api: &Api, mix: &[Vec<u8>]) -> (f64, BTreeMap<String, f64>) {
    let (runtime, router) = server(api);
    let mut express = Express::new(&router);
    let client = std::net::SocketAddr::from(([127, 0, 0, 1], 5353));
    let (route, mut query) = (
        Route::from(client),
        Query::plain(Question::new(Name::root(), RecordType::A), client),
    );
    let mut out = Vec::with_capacity(4096);
    let mut answer = |packet: &[u8]| {
        out.clear();
        let is_answered =
            read_plain(&mut query, packet, route) && express.answer(&query, 7, &mut out);
        black_box(&out);
        (is_answered, out.get(3).map_or(0, |flags| flags & 15))
    };
    let mut kinds: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
    for packet in mix {
        let (is_answered, rcode) = answer(packet);
        assert!(is_answered, "{packet:?}");
        kinds.entry(kind(packet, rcode)).or_default().push(packet);
    }
    let mut times = |packets: &[&[u8]]| {
        // One behind the other: a packet that was received is in the processor's cache.
        let all = packets.concat();
        let run = |_| {
            let start = Instant::now();
            let mut rest = &all[..];
            for packet in packets {
                let (packet, left) = rest.split_at(packet.len());
                rest = left;
                answer(packet);
            }
            start.elapsed().as_secs_f64() * 1e9 / packets.len() as f64
        };
        (0..TIMES).map(run).fold(f64::MAX, f64::min)
    };
    let whole = times(&mix.iter().map(Vec::as_slice).collect::<Vec<_>>());
    let each = kinds
        .iter()
        .map(|(kind, packets)| (kind.clone(), times(packets)));
    let each = each.collect();
    runtime.shutdown_background();
    (whole, each)
}

/// What answers with kubeadm's Corefile, when it has all names.
fn server(api: &Api) -> (tokio::runtime::Runtime, Arc<Router>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let program = runtime.block_on(Program::bind(Setup {
        name: "Corefile",
        text: &KUBEADM.replace("PORT", "0"),
        source: &Files,
        port: 0,
        interfaces: interface_addresses().unwrap(),
        api: Ambient::Server(ApiServer::Kubeconfig {
            file: api.kubeconfig.clone(),
            context: None,
        }),
        threads: Some(1),
        previous: Kept::default(),
    }));
    let program = program.unwrap();
    let (router, started) = (program.routers().remove(0), program.started());
    runtime.spawn(program.run(CancellationToken::new()));
    runtime.block_on(started.cancelled());
    (runtime, router)
}

/// What is asked, and how it is answered.
fn kind(packet: &[u8], rcode: u8) -> String {
    let mut query = Query::plain(
        Question::new(Name::root(), RecordType::A),
        ([127, 0, 0, 1], 1).into(),
    );
    let route = query.route;
    read_plain(&mut query, packet, route);
    format!(
        "{} {} {rcode}",
        query.question.qname.len(),
        query.question.qtype
    )
}
