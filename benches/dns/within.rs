//! What an answer costs in the server itself, without a socket: from a packet in memory to a reply in memory.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use headless_dns::apiserver::ApiServer;
use headless_dns::listen::interface_addresses;
use headless_dns::message::question::{Query, Question, RecordType};
use headless_dns::message::read_plain;
use headless_dns::name::Name;
use headless_dns::plugin::Express;
use headless_dns::serve::files::Files;
use headless_dns::serve::{Ambient, Kept, Program, Resources, Setup};
use tokio_util::sync::CancellationToken;

use crate::servers::KUBEADM;

/// How often the mix is gone through; the fastest time counts.
const TIMES: usize = 20;

/// A server without sockets.
pub(crate) struct Within {
    express: Express,
    query: Query,
    out: Vec<u8>,
    _runtime: tokio::runtime::Runtime,
}

impl Within {
    /// What answers with kubeadm's Corefile, when it has all names.
    pub(crate) fn new(kubeconfig: &Path) -> Self {
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
                file: kubeconfig.to_owned(),
                context: None,
            }),
            namespaces: Vec::new(),
            resources: Resources {
                threads: Some(1),
                memory: None,
            },
            previous: Kept::default(),
            beside: None,
        }));
        let program = program.unwrap();
        let (router, started) = (program.routers().remove(0), program.started());
        runtime.spawn(program.run(CancellationToken::new()));
        runtime.block_on(started.cancelled());
        Self {
            express: Express::new(&router),
            query: plain(),
            out: Vec::with_capacity(4096),
            _runtime: runtime,
        }
    }

    /// Whether it was answered at once, and with which response code.
    fn answer(&mut self, packet: &[u8]) -> (bool, u8) {
        let (query, out) = (&mut self.query, &mut self.out);
        out.clear();
        let route = query.route;
        let is_answered = read_plain(query, packet, route) && self.express.answer(query, 7, out);
        black_box(&out);
        (is_answered, out.get(3).map_or(0, |flags| flags & 15))
    }

    /// Nanoseconds per query.
    pub(crate) fn nanoseconds(&mut self, packets: &[&[u8]]) -> f64 {
        // One behind the other: a packet that was received is in the processor's cache.
        let all = packets.concat();
        let mut run = |_| {
            let start = Instant::now();
            let mut rest = &all[..];
            for packet in packets {
                let (packet, left) = rest.split_at(packet.len());
                rest = left;
                self.answer(packet);
            }
            start.elapsed().as_secs_f64() * 1e9 / packets.len() as f64
        };
        (0..TIMES).map(&mut run).fold(f64::MAX, f64::min)
    }

    /// The same for the questions of each kind.
    pub(crate) fn kinds(&mut self, mix: &[Vec<u8>]) -> BTreeMap<String, f64> {
        let mut kinds: BTreeMap<String, Vec<&[u8]>> = BTreeMap::new();
        for packet in mix {
            let (is_answered, rcode) = self.answer(packet);
            assert!(is_answered, "{packet:?}");
            kinds.entry(kind(packet, rcode)).or_default().push(packet);
        }
        let each = kinds.into_iter();
        each.map(|(kind, packets)| (kind, self.nanoseconds(&packets)))
            .collect()
    }
}

fn plain() -> Query {
    let client = std::net::SocketAddr::from(([127, 0, 0, 1], 5353));
    Query::plain(Question::new(Name::root(), RecordType::A), client)
}

/// What is asked, and how it is answered.
fn kind(packet: &[u8], rcode: u8) -> String {
    let mut query = plain();
    let route = query.route;
    read_plain(&mut query, packet, route);
    format!(
        "{} {} {rcode}",
        query.question.qname.len(),
        query.question.qtype
    )
}
