//! The zone against a second, naive model, written from the specification: a list of every name with its records, made
//! anew for each cluster. Generated clusters, generated questions.
//!
//! `MODEL_CLUSTERS=10000 cargo test --release --test model` asks 10,000 clusters 100 questions each; without the variable
//! it is 300 clusters. A failure names its seed: `MODEL_SEED=… cargo test --test model` runs that one alone.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use headless_dns::endpoint::{Address, Conditions, Endpoint, Kind, Port, Service, Slice};
use headless_dns::name::{Name, ServiceKey, absolute};
use headless_dns::question::{Question, RecordType};
use headless_dns::store::{Event, Fact, ObjectKey, Store, Watched};
use headless_dns::zone::{Answer, PodMode, View, Zone};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

const QUESTIONS: usize = 100;
const APEX: &str = "cluster.local.";

/// An endpoint as the generator makes it: hostname, address, ready.
type Host = (Option<String>, IpAddr, bool);

#[derive(Debug)]
struct GenSlice {
    ns: usize,
    service: usize,
    ports: Vec<Port>,
    hosts: Vec<Host>,
}

#[derive(Debug)]
struct GenCluster {
    /// Namespaces that are there.
    namespaces: BTreeSet<usize>,
    services: Vec<(usize, usize, Service)>,
    slices: Vec<GenSlice>,
    pods: bool,
}

fn ns(i: usize) -> String {
    ["default", "prod", "svc", "x1"][i].into()
}

fn svc(i: usize) -> String {
    ["redis", "web", "pod", "a-b", "dns"][i].into()
}

fn pick<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from.choose(rng).unwrap().clone()
}

fn port(rng: &mut StdRng) -> Port {
    let name = pick(rng, &["", "http", "redis", "Metrics"]);
    let protocol = pick(rng, &["TCP", "UDP", "SCTP"]);
    let number = pick(rng, &[Some(80), Some(80), Some(6379), None]);
    Port {
        name: name.into(),
        protocol: protocol.into(),
        number,
    }
}

fn ports(rng: &mut StdRng) -> Vec<Port> {
    let n = rng.random_range(1..4);
    (0..n).map(|_| port(rng)).collect()
}

fn address(rng: &mut StdRng, v6: bool) -> IpAddr {
    let last = rng.random_range(0..12u8);
    if v6 {
        Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last.into()).into()
    } else {
        Ipv4Addr::new(10, 0, 0, last).into()
    }
}

fn generate(rng: &mut StdRng) -> GenCluster {
    let namespaces = (0..4).filter(|_| rng.random_bool(0.8)).collect();
    let mut services = Vec::new();
    for n in 0..4 {
        for s in 0..5 {
            if rng.random_bool(0.5) {
                let key = ServiceKey::new(ns(n).as_bytes(), svc(s).as_bytes());
                let kind = match rng.random_range(0..5) {
                    0 | 1 => Kind::Headless,
                    2 => Kind::ClusterIp(Box::new([address(rng, false), address(rng, true)])),
                    3 => Kind::ClusterIp(Box::new([Ipv4Addr::new(
                        10,
                        96,
                        u8::try_from(n).unwrap(),
                        u8::try_from(s).unwrap(),
                    )
                    .into()])),
                    _ => Kind::ExternalName(
                        pick(rng, &["example.com", "a.example.org.", "192.0.2.1"]).into(),
                    ),
                };
                services.push((
                    n,
                    s,
                    Service {
                        key,
                        kind,
                        external: Box::new([]),
                        ports: ports(rng).into(),
                    },
                ));
            }
        }
    }
    let mut slices = Vec::new();
    for _ in 0..rng.random_range(0..14) {
        let v6 = rng.random_bool(0.3);
        let host = |rng: &mut StdRng| {
            let label = pick(
                rng,
                &[None, None, Some("redis-0"), Some("redis-1"), Some("Web-0")],
            );
            (
                label.map(str::to_owned),
                address(rng, v6),
                rng.random_bool(0.75),
            )
        };
        let hosts = (0..rng.random_range(0..5)).map(|_| host(rng)).collect();
        slices.push(GenSlice {
            ns: rng.random_range(0..4),
            service: rng.random_range(0..5),
            ports: ports(rng),
            hosts,
        });
    }
    GenCluster {
        namespaces,
        services,
        slices,
        pods: rng.random_bool(0.5),
    }
}

/// The zone, fed in any order.
fn zone(cluster: &GenCluster, rng: &mut StdRng) -> Arc<Zone> {
    let mut events = Vec::new();
    let object = |ns: String, name: String| ObjectKey {
        ns: ns.into(),
        name: name.into(),
    };
    for n in &cluster.namespaces {
        events.push(Event::Apply(
            Watched::Namespaces,
            object(String::new(), ns(*n)),
            Fact::Namespace,
        ));
    }
    for (n, s, service) in &cluster.services {
        events.push(Event::Apply(
            Watched::Services,
            object(ns(*n), svc(*s)),
            Fact::Service(service.clone()),
        ));
    }
    for (i, slice) in cluster.slices.iter().enumerate() {
        let endpoint = |(label, ip, ready): &'_ Host| (label.clone(), *ip, *ready);
        let hosts: Vec<Host> = slice.hosts.iter().map(endpoint).collect();
        let endpoints: Vec<_> = hosts
            .iter()
            .map(|(label, ip, ready)| Endpoint {
                address: Address::Ip(*ip),
                label: label.as_deref(),
                zone: "",
                conditions: Conditions {
                    ready: *ready,
                    terminating: false,
                },
            })
            .collect();
        let of = ServiceKey::new(ns(slice.ns).as_bytes(), svc(slice.service).as_bytes());
        let fact = Fact::Slice(
            Some(of),
            Slice::new("", slice.ports.clone().into(), &endpoints),
        );
        events.push(Event::Apply(
            Watched::Slices,
            object(ns(slice.ns), format!("slice-{i}")),
            fact,
        ));
    }
    events.shuffle(rng);
    let zone = Arc::new(Zone::default());
    let watches = [Watched::Namespaces, Watched::Services, Watched::Slices];
    let mut store = Store::new(Arc::clone(&zone), &watches);
    events.extend(watches.map(Event::Synced));
    events.into_iter().for_each(|event| store.handle(1, event));
    zone
}

/// Every name, lower case, with its records: type and data. A name without records is an empty non-terminal.
type Model = BTreeMap<String, BTreeSet<(String, String)>>;

fn dashed(ip: IpAddr) -> String {
    let text = ip.to_string().replace(['.', ':'], "-");
    if text.ends_with('-') {
        text + "0"
    } else {
        text
    }
}

fn family(ip: IpAddr) -> String {
    if ip.is_ipv4() { "A" } else { "AAAA" }.into()
}

/// Labels by which a port is asked for: its own, with or without underscore, and the bare underscore for any.
fn port_labels(port: &Port) -> Vec<String> {
    let of = |text: &str| {
        let text = text.to_lowercase();
        let mut forms = vec!["_".to_owned()];
        if !text.is_empty() {
            forms.extend([text.clone(), format!("_{text}")]);
        }
        forms
    };
    let (names, protocols) = (of(&port.name), of(&port.protocol));
    names
        .iter()
        .flat_map(|n| protocols.iter().map(move |p| format!("{n}.{p}")))
        .collect()
}

/// One way to reach a Service: address, port, the name that SRV gives.
type Way = (IpAddr, Option<u16>, String);

fn add(model: &mut Model, name: &str, ways: &[Way]) {
    let records = model.entry(name.to_owned()).or_default();
    let weight = (100 / ways.len()).max(1);
    for (ip, port, target) in ways {
        records.insert((family(*ip), ip.to_string()));
        records.extend(port.map(|port| ("SRV".to_owned(), format!("0 {weight} {port} {target}"))));
    }
}

/// The model of a Service's own name and everything below it.
fn add_service(model: &mut Model, owner: &str, service: &Service, slices: &[&GenSlice]) {
    let own =
        |ports: &[Port], ips: &[IpAddr], target: &str, fits: &dyn Fn(&Port) -> bool| -> Vec<Way> {
            let ports = ports.iter().filter(|p| fits(p));
            ports
                .flat_map(|p| ips.iter().map(|ip| (*ip, p.number, target.to_owned())))
                .collect()
        };
    let of_endpoints = |label: Option<&str>, fits: &dyn Fn(&Port) -> bool| -> Vec<Way> {
        let mut ways = Vec::new();
        for slice in slices {
            for (host, ip, _) in slice.hosts.iter().filter(|(.., ready)| *ready) {
                let name = host
                    .as_ref()
                    .map_or_else(|| dashed(*ip), |h| h.to_lowercase());
                if label.is_none_or(|label| label == name) {
                    ways.extend(own(&slice.ports, &[*ip], &format!("{name}.{owner}"), fits));
                }
            }
        }
        ways
    };
    let here = |fits: &dyn Fn(&Port) -> bool| match &service.kind {
        Kind::ClusterIp(ips) => own(&service.ports, ips, owner, fits),
        Kind::Headless => of_endpoints(None, fits),
        Kind::ExternalName(_) => Vec::new(),
    };
    if let Kind::ExternalName(target) = &service.kind {
        if target.parse::<IpAddr>().is_err() {
            let target = format!("{}.", target.trim_end_matches('.'));
            model
                .entry(owner.to_owned())
                .or_default()
                .insert(("CNAME".into(), target));
        }
        return;
    }
    let all = here(&|_| true);
    if !all.is_empty() {
        add(model, owner, &all);
    }
    let ports: Vec<&Port> = service
        .ports
        .iter()
        .chain(slices.iter().flat_map(|s| &s.ports))
        .collect();
    for labels in ports
        .iter()
        .flat_map(|p| port_labels(p))
        .collect::<BTreeSet<_>>()
    {
        let ways = here(&|p| port_labels(p).contains(&labels));
        if !ways.is_empty() {
            add(model, &format!("{labels}.{owner}"), &ways);
        }
    }
    let hosts = slices.iter().flat_map(|s| &s.hosts);
    for name in hosts
        .map(|(host, ip, _)| {
            host.as_ref()
                .map_or_else(|| dashed(*ip), |h| h.to_lowercase())
        })
        .collect::<BTreeSet<_>>()
    {
        let ways = of_endpoints(Some(&name), &|_| true);
        if !ways.is_empty() {
            add(model, &format!("{name}.{owner}"), &ways);
        }
    }
}

fn model(cluster: &GenCluster) -> Model {
    let mut model = Model::new();
    let serial = "SOA";
    model
        .entry(APEX.into())
        .or_default()
        .insert((serial.into(), String::new()));
    model
        .entry(format!("dns-version.{APEX}"))
        .or_default()
        .insert(("TXT".into(), "1.1.0".into()));
    for node in ["svc", "pod", "ns.dns"] {
        model.entry(format!("{node}.{APEX}")).or_default();
    }
    for node in [
        "in-addr.arpa.",
        "svc.in-addr.arpa.",
        "pod.in-addr.arpa.",
        "ip6.arpa.",
        "svc.ip6.arpa.",
        "pod.ip6.arpa.",
    ] {
        model.entry(node.into()).or_default();
    }
    for zone in ["in-addr.arpa.", "ip6.arpa."] {
        model
            .entry(zone.into())
            .or_default()
            .insert((serial.into(), String::new()));
        model
            .entry(format!("dns-version.{zone}"))
            .or_default()
            .insert(("TXT".into(), "1.1.0".into()));
        model.entry(format!("ns.dns.{zone}")).or_default();
    }
    for n in &cluster.namespaces {
        model.entry(format!("{}.svc.{APEX}", ns(*n))).or_default();
        if cluster.pods {
            model.entry(format!("{}.pod.{APEX}", ns(*n))).or_default();
        }
    }
    let shown = cluster
        .services
        .iter()
        .filter(|(n, ..)| cluster.namespaces.contains(n));
    for (n, s, service) in shown {
        let owner = format!("{}.{}.svc.{APEX}", svc(*s), ns(*n));
        let slices: Vec<&GenSlice> = cluster
            .slices
            .iter()
            .filter(|x| (x.ns, x.service) == (*n, *s))
            .collect();
        add_service(&mut model, &owner, service, &slices);
    }
    add_reverse(&mut model, cluster);
    model
}

/// PTR: the Service of a cluster address, the first by key; else every endpoint name that resolves to the address.
fn add_reverse(model: &mut Model, cluster: &GenCluster) {
    let mut of_cluster_ip: BTreeMap<IpAddr, BTreeSet<(ServiceKey, String)>> = BTreeMap::new();
    for (n, s, service) in cluster
        .services
        .iter()
        .filter(|(n, ..)| cluster.namespaces.contains(n))
    {
        if let Kind::ClusterIp(ips) = &service.kind {
            for ip in ips {
                let name = format!("{}.{}.svc.{APEX}", svc(*s), ns(*n));
                of_cluster_ip
                    .entry(*ip)
                    .or_default()
                    .insert((service.key.clone(), name));
            }
        }
    }
    let mut of_endpoint: BTreeMap<IpAddr, BTreeSet<String>> = BTreeMap::new();
    for slice in &cluster.slices {
        for (host, ip, ready) in &slice.hosts {
            let label = host
                .as_ref()
                .map_or_else(|| dashed(*ip), |h| h.to_lowercase());
            let name = format!("{label}.{}.{}.svc.{APEX}", svc(slice.service), ns(slice.ns));
            let resolves = model
                .get(&name)
                .is_some_and(|records| records.contains(&(family(*ip), ip.to_string())));
            if *ready && resolves {
                of_endpoint.entry(*ip).or_default().insert(name);
            }
        }
    }
    for (ip, services) in &of_cluster_ip {
        of_endpoint.insert(*ip, BTreeSet::from([services.first().unwrap().1.clone()]));
    }
    for (ip, names) in of_endpoint {
        let records = model.entry(Name::from(ip).to_string()).or_default();
        records.extend(names.into_iter().map(|name| ("PTR".to_owned(), name)));
    }
}

/// What the model answers: rcode, and the data of the answer.
fn ask_model(
    model: &Model,
    cluster: &GenCluster,
    qname: &str,
    qtype: RecordType,
) -> (String, BTreeSet<String>) {
    let lower = qname.to_lowercase();
    let nodata = || ("NODATA".to_owned(), BTreeSet::new());
    if let Some(pod) = lower.strip_suffix(&format!(".pod.{APEX}")) {
        if let Some(found) = ask_pod(cluster, pod, qtype) {
            return found;
        }
    }
    let Some(records) = model.get(&lower) else {
        return ("NXDOMAIN".into(), BTreeSet::new());
    };
    let address = matches!(qtype, RecordType::A | RecordType::AAAA);
    let wanted = |kind: &str| kind == qtype.to_string() || address && kind == "CNAME";
    let data: BTreeSet<String> = records
        .iter()
        .filter(|(kind, _)| wanted(kind))
        .map(|(_, data)| data.clone())
        .collect();
    if data.is_empty() {
        nodata()
    } else {
        ("NOERROR".into(), data)
    }
}

/// Names of Pods (`pods insecure`): not a list, as every address has one.
fn ask_pod(
    cluster: &GenCluster,
    left: &str,
    qtype: RecordType,
) -> Option<(String, BTreeSet<String>)> {
    let labels: Vec<&str> = left.split('.').collect();
    let (ns_label, rest) = labels.split_last().unwrap();
    let (address, more) = rest.split_last()?;
    let nx = Some(("NXDOMAIN".to_owned(), BTreeSet::new()));
    let there = cluster.namespaces.iter().any(|n| ns(*n) == *ns_label);
    if !cluster.pods || !there || more.len() > 2 {
        return nx;
    }
    let v4 = address.matches('-').count() == 3 && !address.contains("--");
    let ip: Option<IpAddr> = if v4 {
        address.replace('-', ".").parse().ok()
    } else {
        address.replace('-', ":").parse().ok()
    };
    let Some(ip) = ip.filter(|ip| ip.is_ipv4() == v4) else {
        return nx;
    };
    let data = match qtype {
        RecordType::SRV => vec![format!("0 100 0 {address}.{ns_label}.pod.{APEX}")],
        RecordType::A | RecordType::AAAA if family(ip) == qtype.to_string() => vec![ip.to_string()],
        _ => vec![],
    };
    let rcode = if data.is_empty() { "NODATA" } else { "NOERROR" };
    Some((rcode.into(), data.into_iter().collect()))
}

fn ask_zone(
    zone: &Zone,
    view: &View,
    qname: &Name,
    qtype: RecordType,
) -> (String, BTreeSet<String>) {
    let none = BTreeSet::new();
    match zone.lookup(view, &Question::new(qname.clone(), qtype)) {
        Answer::Positive(records) | Answer::Alias { records, .. } => {
            let data = |r: &headless_dns::record::Record| {
                let text = r.data.to_string();
                if r.record_type() == RecordType::SOA {
                    String::new()
                } else {
                    text
                }
            };
            // Records of one RRset are distinct; the model's set would hide it.
            let all: Vec<String> = records.answer.iter().map(data).collect();
            let set: BTreeSet<String> = all.iter().cloned().collect();
            assert_eq!(
                all.len(),
                set.len(),
                "{qname} {qtype}: a record comes twice"
            );
            ("NOERROR".into(), set)
        }
        Answer::NoData(_) => ("NODATA".into(), none),
        Answer::NxDomain(_) => ("NXDOMAIN".into(), none),
        Answer::NotSynced(_) | Answer::Unanswerable(_) => ("SERVFAIL".into(), none),
        Answer::OutOfZone => ("OUTOFZONE".into(), none),
    }
}

/// A name to ask for: one of the model's, or near one, in any case.
fn question(rng: &mut StdRng, names: &[String]) -> String {
    let mut labels: Vec<String> = names
        .choose(rng)
        .unwrap()
        .split('.')
        .map(str::to_owned)
        .collect();
    let odd = [
        "x", "_", "_tcp", "redis-0", "10-0-0-1", "fd00--1", "1-2-3", "svc", "pod", "default",
        "_zone", "web", "0", "256",
    ];
    match rng.random_range(0..8) {
        0 => drop(labels.remove(0)),
        1 => labels.insert(0, pick(rng, &odd).to_owned()),
        2 => labels[0] = pick(rng, &odd).to_owned(),
        3 if labels.len() > 2 => labels[1] = pick(rng, &odd).to_owned(),
        _ => {}
    }
    let name = labels.join(".");
    let name: String = name
        .chars()
        .map(|c| {
            if rng.random_bool(0.1) {
                c.to_ascii_uppercase()
            } else {
                c
            }
        })
        .collect();
    if name.is_empty() || name == "." {
        APEX.into()
    } else {
        name
    }
}

/// The differences of one cluster, and how many of its questions had records.
fn run(seed: u64) -> (Vec<String>, usize) {
    let rng = &mut StdRng::seed_from_u64(seed);
    let cluster = generate(rng);
    let (zone, model) = (zone(&cluster, rng), model(&cluster));
    let zones = [APEX, "in-addr.arpa.", "ip6.arpa."]
        .map(|z| absolute(z).unwrap())
        .to_vec();
    let pods = if cluster.pods {
        PodMode::Insecure
    } else {
        PodMode::Disabled
    };
    let view = View {
        zones,
        pods,
        ..View::default()
    };
    let mut names: Vec<String> = model.keys().cloned().collect();
    names.extend(["10-0-0-1.default.pod", "x.y.fd00--1.prod.pod"].map(|n| format!("{n}.{APEX}")));
    let types = [
        "A", "A", "AAAA", "SRV", "SRV", "PTR", "CNAME", "TXT", "MX", "SOA", "HINFO", "ANY",
    ];
    let (mut differ, mut positive) = (Vec::new(), 0);
    for _ in 0..QUESTIONS {
        let qname = question(rng, &names);
        let (Ok(name), qtype) = (
            absolute(&qname),
            pick(rng, &types).parse::<RecordType>().unwrap(),
        ) else {
            continue;
        };
        if !view.zones.iter().any(|z| z.zone_of(&name)) {
            continue;
        }
        let (wanted, got) = (
            ask_model(&model, &cluster, &name.to_string(), qtype),
            ask_zone(&zone, &view, &name, qtype),
        );
        positive += usize::from(!wanted.1.is_empty());
        // The zone's case in a target is the question's.
        let lower = |(rcode, data): (String, BTreeSet<String>)| {
            (
                rcode,
                data.into_iter()
                    .map(|d| d.to_lowercase())
                    .collect::<BTreeSet<_>>(),
            )
        };
        if lower(wanted.clone()) != lower(got.clone()) {
            differ.push(format!(
                "seed {seed}: {name} {qtype}\n  model {wanted:?}\n  zone  {got:?}"
            ));
        }
    }
    (differ, positive)
}

#[test]
fn the_zone_answers_as_the_naive_model_does() {
    #[expect(clippy::disallowed_methods, reason = "how much to run")]
    let number = |name: &str| std::env::var(name).ok().map(|v| v.parse::<u64>().unwrap());
    let seeds = match number("MODEL_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MODEL_CLUSTERS").unwrap_or(300),
    };
    let clusters = seeds.end - seeds.start;
    let (mut differ, mut positive) = (Vec::new(), 0);
    for seed in seeds {
        let (more, answered) = run(seed);
        differ.extend(more);
        positive += answered;
    }
    println!(
        "{clusters} clusters, {QUESTIONS} questions each, {positive} with records, {} differences",
        differ.len()
    );
    assert!(positive > 10, "the questions miss every name");
    let shown = differ.len().min(10);
    assert!(differ.is_empty(), "{}", differ[..shown].join("\n"));
}
