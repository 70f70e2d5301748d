//! The zone against a second, naive model, written from the specification: a list of every name with its records, made
//! anew for each cluster. Generated clusters, generated questions.
//!
//! `MODEL_CLUSTERS=10000 cargo test --release --test model` asks 10,000 clusters 100 questions each; without the variable
//! it is 300 clusters. A failure names its seed: `MODEL_SEED=… cargo test --test model` runs that one alone.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use headless_dns::answer::{Reply, ZoneReply, compose};
use headless_dns::endpoint::{Kind, Port, Service};
use headless_dns::message::question::{Query, Question, RecordType, Transport};
use headless_dns::message::rcode_name;
use headless_dns::message::record::Record;
use headless_dns::message::reply::Composed;
use headless_dns::name::{Name, Qname, ServiceKey, absolute};
use headless_dns::zone::{PodMode, Shown, View, Zone};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use support::clusters::{GenCluster, GenSlice, Host, generate, ns, pick, svc, zone};

const QUESTIONS: usize = 100;
const APEX: &str = "cluster.local.";

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

/// Enters a name; one without ways does not exist.
fn add(model: &mut Model, name: &str, ways: &[Way]) {
    if ways.is_empty() {
        return;
    }
    let records = model.entry(name.to_owned()).or_default();
    let weight = (100 / ways.len()).max(1);
    for (ip, port, target) in ways {
        records.insert((family(*ip), ip.to_string()));
        records.extend(port.map(|port| ("SRV".to_owned(), format!("0 {weight} {port} {target}"))));
    }
}

/// A label by which an endpoint is known.
fn host_label((host, ip, _): &Host) -> String {
    host.as_ref()
        .map_or_else(|| dashed(*ip), |h| h.to_lowercase())
}

/// The ways of these addresses over the ports that fit.
fn over(ports: &[Port], ips: &[IpAddr], target: &str, fits: &dyn Fn(&Port) -> bool) -> Vec<Way> {
    let ports = ports.iter().filter(|p| fits(p));
    ports
        .flat_map(|p| ips.iter().map(|ip| (*ip, p.number, target.to_owned())))
        .collect()
}

/// The ways to the ready endpoints, all or those of one label.
fn of_endpoints(
    owner: &str,
    slices: &[&GenSlice],
    label: Option<&str>,
    fits: &dyn Fn(&Port) -> bool,
) -> Vec<Way> {
    let mut ways = Vec::new();
    for slice in slices {
        for host in slice.hosts.iter().filter(|(.., ready)| *ready) {
            let name = host_label(host);
            if label.is_none_or(|label| label == name) {
                ways.extend(over(
                    &slice.ports,
                    &[host.1],
                    &format!("{name}.{owner}"),
                    fits,
                ));
            }
        }
    }
    ways
}

/// The model of a Service's own name and everything below it.
fn add_service(model: &mut Model, owner: &str, service: &Service, slices: &[&GenSlice]) {
    let here = |fits: &dyn Fn(&Port) -> bool| match &service.kind {
        Kind::ClusterIp(ips) => over(&service.ports, ips, owner, fits),
        Kind::Headless => of_endpoints(owner, slices, None, fits),
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
    add(model, owner, &here(&|_| true));
    let ports = service
        .ports
        .iter()
        .chain(slices.iter().flat_map(|s| &s.ports));
    for labels in ports.flat_map(port_labels).collect::<BTreeSet<_>>() {
        add(
            model,
            &format!("{labels}.{owner}"),
            &here(&|p| port_labels(p).contains(&labels)),
        );
    }
    let hosts = slices.iter().flat_map(|s| &s.hosts);
    for name in hosts.map(host_label).collect::<BTreeSet<_>>() {
        add(
            model,
            &format!("{name}.{owner}"),
            &of_endpoints(owner, slices, Some(&name), &|_| true),
        );
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
    let pod = lower.strip_suffix(&format!(".pod.{APEX}"));
    if let Some(found) = pod.and_then(|pod| ask_pod(cluster, pod, qtype)) {
        return found;
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
    let data = if qtype == RecordType::SRV {
        vec![format!("0 100 0 {address}.{ns_label}.pod.{APEX}")]
    } else if family(ip) == qtype.to_string() {
        vec![ip.to_string()]
    } else {
        vec![]
    };
    let rcode = if data.is_empty() { "NODATA" } else { "NOERROR" };
    Some((rcode.into(), data.into_iter().collect()))
}

fn ask_zone(
    zone: &Zone,
    shown: &Shown,
    qname: &Name,
    qtype: RecordType,
) -> (String, BTreeSet<String>) {
    let reply = compose(zone, shown, &Question::new(qname.clone(), qtype)).unwrap();
    let data = |r: &Record| {
        if r.record_type() == RecordType::SOA {
            String::new()
        } else {
            r.data.to_string()
        }
    };
    // Records of one RRset are distinct; the model's set would hide it.
    let all: Vec<String> = reply.answer.iter().map(data).collect();
    let set: BTreeSet<String> = all.iter().cloned().collect();
    assert_eq!(
        all.len(),
        set.len(),
        "{qname} {qtype}: a record comes twice"
    );
    let rcode = match rcode_name(reply.rcode) {
        noerror if noerror == "NOERROR" && set.is_empty() => "NODATA".into(),
        rcode => rcode,
    };
    (rcode, set)
}

/// The octets of a reply are those of its records: all of them over TCP, the first ones over UDP.
fn both_pens_write_the_same(zone: &Zone, shown: &Shown, question: &Question) {
    let client = "127.0.0.1:53".parse().unwrap();
    let composed = compose(zone, shown, question).unwrap();
    let all: Vec<&Record> = [&composed.answer, &composed.authority, &composed.additional]
        .into_iter()
        .flatten()
        .collect();
    for (transport, limit) in [(Transport::Tcp, usize::MAX), (Transport::Udp, 512)] {
        let query = Query {
            transport,
            ..Query::plain(question.clone(), client)
        };
        let asked = shown.place(&question.qname, question.qtype).unwrap();
        let reply = Reply::from(ZoneReply::new(zone.lookup(&asked), shown, zone));
        let wire = reply.encode(&query).into_first().unwrap();
        let read = Composed::read(&wire).unwrap();
        let written: Vec<&Record> = [&read.answer, &read.authority, &read.additional]
            .into_iter()
            .flatten()
            .collect();
        assert_eq!(written, all[..written.len()], "{question:?}");
        assert_eq!(read.truncated, written.len() < all.len(), "{question:?}");
        assert!(wire.len() <= limit, "{question:?}");
        assert_eq!(read.rcode, composed.rcode, "{question:?}");
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
    let shown = Shown::from(View {
        origins: zones.into(),
        pods,
        ..View::default()
    });
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
        if !shown.origins().cover(&Qname::from(&name)) {
            continue;
        }
        let (wanted, got) = (
            ask_model(&model, &cluster, &name.to_string(), qtype),
            ask_zone(&zone, &shown, &name, qtype),
        );
        positive += usize::from(!wanted.1.is_empty());
        both_pens_write_the_same(&zone, &shown, &Question::new(name.clone(), qtype));
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
    support::report(&format!(
        "{clusters} clusters, {QUESTIONS} questions each, {positive} with records, {} differences",
        differ.len()
    ));
    assert!(positive > 10, "the questions miss every name");
    let shown = differ.len().min(10);
    assert!(differ.is_empty(), "{}", differ[..shown].join("\n"));
}
