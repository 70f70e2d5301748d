//! What kubeadm's Corefile shows to Prometheus: CoreDNS's families, types and labels, and all that alerts and dashboards ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use headless_cluster::{Cluster, Delays};
use headless_dns::apiserver::ApiServer;
use headless_dns::serve::{Ambient, Program};
use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::RecordType;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;

use super::support::dns::{ask, exchange, question, udp};
use super::support::names::{eventually, setup};
use super::{BROKEN, FOLDER, here, outside};

/// A slice that a controller wrote when it saw the change that it is about.
const SLICE: &str = "\
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-late
  namespace: default
  labels: {kubernetes.io/service-name: web}
  annotations: {endpoints.kubernetes.io/last-change-trigger-time: '2026-01-01T00:00:00Z'}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [10.1.2.3], conditions: {ready: true}}]
";

/// Families that only this server has.
const OURS: [&str; 4] = [
    "headless_dns_api_away",
    "headless_dns_denied_total",
    "headless_dns_shed_total",
    "process_threads",
];

/// A page of metrics.
struct Page {
    /// The type of each family.
    types: BTreeMap<String, String>,
    /// Each sample's name and labels.
    samples: Vec<(String, BTreeMap<String, String>)>,
}

impl Page {
    fn read(text: &str) -> Self {
        let (mut types, mut samples) = (BTreeMap::new(), Vec::new());
        for line in text.lines() {
            if let Some(said) = line.strip_prefix("# TYPE ") {
                let (name, kind) = said.split_once(' ').unwrap();
                types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#') {
                let series = line.rsplit_once(' ').unwrap().0;
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                let labels = labels.trim_end_matches('}').split("\",");
                let label = |label: &str| {
                    let (name, value) = label.split_once("=\"")?;
                    Some((name.to_owned(), value.trim_end_matches('"').to_owned()))
                };
                samples.push((name.to_owned(), labels.filter_map(label).collect()));
            }
        }
        Self { types, samples }
    }

    /// A line for each family: its type, its name, its labels.
    fn families(&self) -> BTreeSet<String> {
        let mut families: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (name, labels) in &self.samples {
            let parts = ["_bucket", "_sum", "_count"].iter();
            let mut whole = parts.filter_map(|part| name.strip_suffix(part));
            let of_histogram = whole.find(|name| self.types.contains_key(*name));
            let family = families.entry(of_histogram.unwrap_or(name)).or_default();
            family.extend(
                labels
                    .keys()
                    .map(String::as_str)
                    .filter(|name| *name != "le"),
            );
        }
        let line = |(name, labels): (&str, BTreeSet<&str>)| {
            let words = [self.types[name].as_str(), name].into_iter().chain(labels);
            words.collect::<Vec<_>>().join(" ")
        };
        let known = families
            .into_iter()
            .filter(|(name, _)| !OURS.contains(name));
        known.map(line).collect()
    }

    /// Whether there is a series of this name with these labels, each a name or `NAME=VALUE`.
    fn has(&self, series: &str, wanted: &[&str]) -> bool {
        let has_label =
            |labels: &BTreeMap<String, String>, wanted: &str| match wanted.split_once('=') {
                Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
                None => labels.contains_key(wanted),
            };
        let mut named = self.samples.iter().filter(|(name, _)| name == series);
        named.any(|(_, labels)| wanted.iter().all(|wanted| has_label(labels, wanted)))
    }
}

async fn page(metrics: SocketAddr) -> String {
    let mut stream = TcpStream::connect(metrics).await.unwrap();
    let request = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    let (_, body) = reply.split_once("\r\n\r\n").unwrap();
    body.to_owned()
}

fn lines(file: &str) -> Vec<String> {
    let text = std::fs::read_to_string(format!("{FOLDER}/{file}")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// Asks the server things that make each of its counters count.
async fn use_all(server: SocketAddr) {
    // From the zone, denied, from outside, and that from the cache.
    for qname in [
        "web.default.svc.cluster.local.",
        "wbe.default.svc.cluster.local.",
        "upstream.example.",
        "upstream.example.",
    ] {
        ask(server, qname, RecordType::A).await;
    }
    // The upstream's socket is there already.
    ask(server, "upstream.example.", RecordType::AAAA).await;
    ask(server, BROKEN, RecordType::A).await;
    let mut message = Message::from_vec(&question(1, "upstream.example.", RecordType::A)).unwrap();
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true);
    message.set_edns(edns);
    exchange(&udp(server).await, &message.to_vec().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kubeadm_s_corefile_shows_what_coredns_shows_and_what_dashboards_ask_for() {
    let folder = tempfile::tempdir().unwrap();
    let corefile = std::fs::read_to_string(format!("{FOLDER}/kubeadm.Corefile")).unwrap();
    let text = here(&corefile, &outside().await, folder.path());
    let mut cluster = Cluster::start(Delays::default());
    let objects = std::fs::read_to_string(format!("{FOLDER}/objects.yaml")).unwrap();
    cluster.apply("objects.yaml", &objects).unwrap();
    let (_, kubeconfig) = cluster
        .listen("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let file = folder.path().join("kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let api = ApiServer::Kubeconfig {
        file,
        context: None,
    };
    let program = Program::bind(setup(&text, Ambient::Server(api)))
        .await
        .unwrap();
    // Ready, metrics, health.
    let (server, metrics) = (program.addresses()[0], program.probes().unwrap()[1]);
    let task = tokio::spawn(program.run(CancellationToken::new()));
    use_all(server).await;
    cluster.apply("slice.yaml", SLICE).unwrap();
    let shown = eventually("the latency of a change", async || {
        let text = page(metrics).await;
        text.contains("coredns_kubernetes_dns_programming_duration_seconds_count")
            .then_some(text)
    });
    let page = Page::read(&shown.await);
    assert_eq!(page.families(), lines("scrape.txt").into_iter().collect());
    let pages = [page, of_a_dead_upstream(&cluster).await];
    for query in lines("queries.txt") {
        let words: Vec<_> = query.split(' ').collect();
        let mut pages = pages.iter();
        assert!(pages.any(|page| page.has(words[1], &words[2..])), "{query}");
    }
    for (expression, series, labels) in asked_by_our_dashboard() {
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let mut pages = pages.iter();
        assert!(pages.any(|page| page.has(&series, &labels)), "{expression}");
    }
    task.abort();
}

/// Each expression of `deploy/`'s dashboard: the series it asks for, and the labels that it sums by.
fn asked_by_our_dashboard() -> Vec<(String, String, Vec<String>)> {
    let text = std::fs::read_to_string("deploy/monitoring/dashboard.json").unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let read = |target: &Value| {
        let expression = target["expr"].as_str().unwrap();
        let series = expression.split_once('{').unwrap().0;
        let series = series.rsplit(['(', ' ']).next().unwrap();
        let labels = expression.split_once(" by (").map_or("", |(_, by)| by);
        let labels = labels.split_once(')').map_or("", |(labels, _)| labels);
        let labels = labels.split(", ").filter(|label| !label.is_empty());
        (
            expression.to_owned(),
            series.to_owned(),
            labels.map(str::to_owned).collect(),
        )
    };
    targets.map(read).collect()
}

/// What is shown where nobody answers outside.
async fn of_a_dead_upstream(cluster: &Cluster) -> Page {
    // A port that is taken, and on which nobody listens.
    let taken = TcpSocket::new_v4().unwrap();
    taken.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let dead = taken.local_addr().unwrap();
    let text = format!(
        ".:0 {{\n bind 127.0.0.1\n prometheus 127.0.0.1:0\n pending\n kubernetes cluster.local\n forward . {dead} {{\n force_tcp\n }}\n}}"
    );
    let api = Ambient::Client(cluster.client());
    let program = Program::bind(setup(&text, api)).await.unwrap();
    let (server, metrics) = (program.addresses()[0], program.probes().unwrap()[0]);
    let task = tokio::spawn(program.run(CancellationToken::new()));
    ask(server, BROKEN, RecordType::A).await;
    let shown = eventually("a health check that fails", async || {
        let text = page(metrics).await;
        let name = "coredns_proxy_healthcheck_failures_total{";
        text.contains(name).then_some(text)
    });
    let page = Page::read(&shown.await);
    task.abort();
    page
}
