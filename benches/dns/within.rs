//! What an answer costs in the server itself, without a socket: from a packet in memory to a reply in memory.

use std::hint::black_box;
use std::time::Instant;

use headless_dns::apiserver::ApiServer;
use headless_dns::listen::interface_addresses;
use headless_dns::message::question::{Query, Question, RecordType, Route};
use headless_dns::message::read_plain;
use headless_dns::name::Name;
use headless_dns::plugin::Express;
use headless_dns::serve::files::Files;
use headless_dns::serve::{Ambient, Kept, Program, Setup};
use tokio_util::sync::CancellationToken;

use crate::servers::KUBEADM;
use crate::world::Api;

/// How often the mix is gone through; the fastest time counts.
const TIMES: usize = 20;

/// Nanoseconds per query over the mix, and how many of the questions were answered so.
pub(crate) fn nanoseconds(api: &Api, mix: &[Vec<u8>]) -> (f64, f64) {
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
    let mut express = Express::new(&router);
    let client = std::net::SocketAddr::from(([127, 0, 0, 1], 5353));
    let (route, mut query) = (
        Route::from(client),
        Query::plain(Question::new(Name::root(), RecordType::A), client),
    );
    let mut out = Vec::with_capacity(4096);
    let (mut best, mut answered) = (f64::MAX, 0);
    for _ in 0..TIMES {
        answered = 0;
        let start = Instant::now();
        for packet in mix {
            out.clear();
            if read_plain(&mut query, packet, route) && express.answer(&query, 7, &mut out) {
                answered += 1;
            }
            black_box(&out);
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / mix.len() as f64);
    }
    runtime.shutdown_background();
    (best, f64::from(answered) / mix.len() as f64)
}
