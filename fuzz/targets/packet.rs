//! Any packet: the short way and the chain of plugins say the same, and what they say is a message.
#![no_main]

use std::cell::RefCell;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use headless_cluster::{Cluster, Delays};
use headless_dns::listen::respond;
use headless_dns::message::question::{Query, Question, RecordType, Route, Transport};
use headless_dns::message::read_plain;
use headless_dns::name::Name;
use headless_dns::plugin::{Express, Router};
use headless_dns::serve::files::Files;
use headless_dns::serve::{Ambient, Kept, Program, Resources, Setup};
use libfuzzer_sys::fuzz_target;
use tokio_util::sync::CancellationToken;

const COREFILE: &str = ".:0 {
    bind 127.0.0.1
    errors
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       ttl 30
    }
    k8s_external ext.test
    cache 30
}
";

const OBJECTS: &str = "
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {clusterIP: None, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-1, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 80, protocol: TCP}]
endpoints: [{addresses: [10.0.0.1], hostname: web-0}, {addresses: [10.0.0.2]}]
---
apiVersion: v1
kind: Service
metadata: {name: far}
spec: {type: ExternalName, externalName: web.default.svc.cluster.local}
";

/// What answers; it runs as long as the process.
static ROUTER: LazyLock<Arc<Router>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let router = runtime.block_on(async {
        let cluster = Cluster::start(Delays::default());
        cluster.apply("objects", OBJECTS).unwrap();
        let program = Program::bind(Setup {
            name: "Corefile",
            text: COREFILE,
            source: &Files,
            port: 0,
            interfaces: Vec::new(),
            api: Ambient::Client(cluster.client()),
            namespaces: Vec::new(),
            resources: Resources::default(),
            previous: Kept::default(),
            beside: None,
        });
        let program = program.await.unwrap();
        let (router, started) = (program.routers().remove(0), program.started());
        tokio::spawn(program.run(CancellationToken::new()));
        started.cancelled().await;
        std::mem::forget(cluster);
        router
    });
    std::mem::forget(runtime);
    router
});

thread_local! {
    static LANE: RefCell<(Express, Query)> = RefCell::new((
        Express::new(&ROUTER),
        Query::plain(Question::new(Name::root(), RecordType::A), client()),
    ));
}

fn client() -> SocketAddr {
    ([127, 0, 0, 1], 5353).into()
}

fuzz_target!(|packet: &[u8]| {
    let route = Route::from(client());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut chain = runtime.block_on(respond(&ROUTER, packet, Transport::Udp, route));
    let chain = if chain.is_empty() {
        Vec::new()
    } else {
        chain.remove(0)
    };
    LANE.with_borrow_mut(|(express, query)| {
        let mut short = Vec::new();
        if read_plain(query, packet, route) && express.answer(query, 0, &mut short) {
            assert_eq!(short, chain);
        }
    });
    if !chain.is_empty() {
        assert_eq!(chain[..2], packet[..2]);
        assert!(chain[2] & 0x80 != 0);
    }
});
