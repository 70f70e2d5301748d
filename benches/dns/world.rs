//! The cluster that is asked about, and what is asked: 1,000 Services of 3, 10 and 50 endpoints, in 50 namespaces.

use std::path::PathBuf;

use headless_cluster::Cluster;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

const SERVICES: usize = 1000;
const NAMESPACES: usize = 50;

/// Endpoints of a slice, as Kubernetes' own controller fills them.
pub(crate) const SLICE: usize = 100;

/// Questions in the mix.
const QUESTIONS: usize = 100_000;

/// A Service: its name, its namespace, and its endpoints' names with their addresses.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) ns: String,
    pub(crate) endpoints: Vec<(String, [u8; 4])>,
}

impl Service {
    fn object(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": self.name, "namespace": self.ns, "resourceVersion": "1"},
            "spec": {"clusterIP": "None", "clusterIPs": ["None"], "type": "ClusterIP", "ports": ports()},
        })
    }
}

fn ports() -> Value {
    json!([{"name": "http", "port": 80, "protocol": "TCP"}])
}

/// Every Service.
pub(crate) struct World {
    pub(crate) services: Vec<Service>,
}

/// What the embedded API is reached by; the file goes with it.
pub(crate) struct Api {
    pub(crate) kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
    _cluster: Cluster,
}

impl World {
    pub(crate) fn new() -> Self {
        let size = |i: usize| match i % 10 {
            0 => 3,
            9 => 50,
            _ => 10,
        };
        Self::of((0..SERVICES).map(size))
    }

    /// Services of so many endpoints each.
    pub(crate) fn of(sizes: impl IntoIterator<Item = usize>) -> Self {
        let mut number: u32 = 0;
        let service = |(i, size): (usize, usize)| {
            let name = format!("svc-{i}");
            let endpoints = (0..size).map(|n| {
                number += 1;
                let [_, a, b, c] = number.to_be_bytes();
                (format!("{name}-{n}"), [10, 128 + a, b, c])
            });
            let endpoints = endpoints.collect();
            Service {
                ns: format!("ns-{}", i % NAMESPACES),
                name,
                endpoints,
            }
        };
        Self {
            services: sizes.into_iter().enumerate().map(service).collect(),
        }
    }

    /// The objects of a real cluster that say so.
    pub(crate) fn objects(&self) -> Vec<Value> {
        let namespaces = (0..NAMESPACES).map(|i| {
            json!({
                "apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": format!("ns-{i}"), "resourceVersion": "1"},
            })
        });
        let services = self.services.iter().enumerate().flat_map(|(i, service)| {
            let slices = service.endpoints.len().div_ceil(SLICE);
            let slices = (0..slices).map(move |n| self.slice(i, n));
            std::iter::once(service.object()).chain(slices)
        });
        namespaces.chain(services).collect()
    }

    /// Slice `n` of Service `i`.
    pub(crate) fn slice(&self, i: usize, n: usize) -> Value {
        let service = &self.services[i];
        let endpoints: Vec<Value> = service.endpoints[n * SLICE..]
            .iter()
            .take(SLICE)
            .map(|(name, [a, b, c, d])| {
                json!({
                    "addresses": [format!("{a}.{b}.{c}.{d}")], "hostname": name, "conditions": {"ready": true},
                })
            })
            .collect();
        json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": format!("{}-{n}", service.name), "namespace": service.ns, "resourceVersion": "1",
                "labels": {"kubernetes.io/service-name": service.name},
            },
            "endpoints": endpoints, "ports": ports(),
        })
    }

    /// Serves the objects as a Kubernetes API.
    pub(crate) fn serve(&self) -> Api {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let mut cluster = Cluster::holding(&self.objects());
        let (_, kubeconfig) = runtime
            .block_on(cluster.listen("127.0.0.1:0".parse().unwrap()))
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kubeconfig");
        std::fs::write(&path, kubeconfig.to_string()).unwrap();
        Api {
            kubeconfig: path,
            _folder: folder,
            _runtime: runtime,
            _cluster: cluster,
        }
    }

    /// Service A 30 %, service AAAA 20 %, Pod A 12 %, Pod AAAA 8 %, SRV 5 %, PTR 3 %, misses of the search path 22 %; with EDNS.
    pub(crate) fn mix(&self) -> Vec<Vec<u8>> {
        let random = &mut StdRng::seed_from_u64(1);
        (0..QUESTIONS)
            .map(|_| {
                let service = self.services.choose(random).unwrap();
                let (pod, [a, b, c, d]) = service.endpoints.choose(random).unwrap();
                let zone = format!("{}.svc.cluster.local.", service.ns);
                let own = format!("{}.{zone}", service.name);
                let percent = random.random_range(0..100);
                let family = [RecordType::A, RecordType::AAAA][random.random_range(0..2)];
                let (qname, qtype) = match percent {
                    0..30 => (own, RecordType::A),
                    30..50 => (own, RecordType::AAAA),
                    50..62 => (format!("{pod}.{own}"), RecordType::A),
                    62..70 => (format!("{pod}.{own}"), RecordType::AAAA),
                    70..75 => (format!("_http._tcp.{own}"), RecordType::SRV),
                    75..78 => (format!("{d}.{c}.{b}.{a}.in-addr.arpa."), RecordType::PTR),
                    78..86 => (format!("example.com.{zone}"), family),
                    86..93 => ("example.com.svc.cluster.local.".to_owned(), family),
                    _ => ("example.com.cluster.local.".to_owned(), family),
                };
                question(&qname, qtype)
            })
            .collect()
    }
}

/// A question with EDNS, as bytes; its id is 0.
pub(crate) fn question(qname: &str, qtype: RecordType) -> Vec<u8> {
    let mut message = Message::new(0, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(Name::from_ascii(qname).unwrap(), qtype));
    let mut edns = Edns::new();
    edns.set_max_payload(1232);
    message.edns = Some(edns);
    message.to_vec().unwrap()
}
