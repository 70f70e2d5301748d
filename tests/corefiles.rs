//! The Corefiles that Kubernetes distributions run with: each loads as it is, and answers what its users ask.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

#[path = "corefiles/scrape.rs"]
mod scrape;
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use headless_cluster::{Cluster, Delays};
use headless_dns::message::text;
use headless_dns::serve::{Ambient, Program, Setup};
use hickory_proto::op::{Message, MessageType, ResponseCode};
use hickory_proto::rr::{Name, Record, RecordType};
use support::dns::{ask, question, receive, send};
use support::names::setup;
use support::upstream::{Over, upstream};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corefiles");

/// The servers outside, by the address that Corefiles know them by: where they are here.
type Outside = BTreeMap<String, SocketAddr>;

/// A name for which every server outside fails.
const BROKEN: &str = "broken.example.";

/// Starts the servers of `upstreams.txt`.
async fn outside() -> Outside {
    let text = fs::read_to_string(format!("{FOLDER}/upstreams.txt")).unwrap();
    let mut records: BTreeMap<&str, Vec<Record>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (addresses, owner) = (words.next().unwrap(), words.next().unwrap());
        let data: Vec<_> = words.collect();
        let record = text::record(&format!("{owner} 60 IN {}", data.join(" "))).unwrap();
        for address in addresses.split(',') {
            records.entry(address).or_default().push(record.clone());
        }
    }
    let mut servers = Outside::new();
    for (address, records) in records {
        let (address, only_tcp) = match address.strip_prefix("tcp:") {
            Some(address) => (address, true),
            None => (address, false),
        };
        let says = move |packet: &[u8], over| {
            (over == Over::Tcp || !only_tcp).then(|| reply(packet, &records))
        };
        servers.insert(address.to_owned(), upstream(says).await);
    }
    servers
}

/// What a server that has these records says: a name that it has not does not exist.
fn reply(packet: &[u8], records: &[Record]) -> Vec<u8> {
    let mut message = Message::from_vec(packet).unwrap();
    let query = message.queries[0].clone();
    let own: Vec<_> = records
        .iter()
        .filter(|record| record.name == *query.name())
        .collect();
    let below = |record: &Record| query.name().zone_of(&record.name);
    message.metadata.message_type = MessageType::Response;
    message.metadata.recursion_available = true;
    message.metadata.response_code = match () {
        () if *query.name() == Name::from_ascii(BROKEN).unwrap() => ResponseCode::ServFail,
        () if records.iter().any(below) => ResponseCode::NoError,
        () => ResponseCode::NXDomain,
    };
    let fits = own
        .into_iter()
        .filter(|record| record.record_type() == query.query_type());
    message.answers = fits.cloned().collect();
    message.to_vec().unwrap()
}

/// A file of the user's, with what differs here: where upstreams are, ports, addresses of this machine, folders.
fn here(text: &str, outside: &Outside, folder: &Path) -> String {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let end = if line.ends_with('{') { " {" } else { "" };
        match first {
            "forward" => {
                let known = |word: &str| outside.get(word).map(ToString::to_string);
                let server = |word: &str| match word {
                    "/etc/resolv.conf" => outside["node"].to_string(),
                    word => known(word).unwrap_or_else(|| word.to_owned()),
                };
                let words: Vec<_> = line.split_whitespace().map(server).collect();
                words.join(" ")
            }
            "health" | "ready" | "prometheus" => format!("{first} 127.0.0.1:0{end}"),
            "bind" => "bind 127.0.0.1".to_owned(),
            "hosts" => line.replace(" /etc/", &format!(" {}/etc/", folder.display())),
            "import" => line.replace(" /etc/", &format!(" {}/etc/", folder.display())),
            _ if is_key(first) => unported(line),
            _ => line.to_owned(),
        }
    };
    text.lines().map(|text| line(text) + "\n").collect()
}

fn is_key(word: &str) -> bool {
    let port = word.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
    port.is_some_and(|port| port.is_ok())
}

/// Keys on any port that is free.
fn unported(line: &str) -> String {
    let key = |word: &str| match word.rsplit_once(':') {
        Some((zone, _)) => format!("{zone}:0"),
        None => word.to_owned(),
    };
    let words: Vec<_> = line.split_whitespace().map(key).collect();
    words.join(" ")
}

/// Copies a folder, with what differs here.
fn copy(from: &Path, to: &Path, outside: &Outside, root: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target, outside, root);
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        let is_corefile = ["server", "override"]
            .map(Some)
            .contains(&target.extension().and_then(|extension| extension.to_str()));
        let text = if is_corefile {
            here(&text, outside, root)
        } else {
            text
        };
        fs::write(target, text).unwrap();
    }
}

/// What is asked, and what is to be said: the code, and each record's owner and data, in order.
#[derive(Debug, PartialEq)]
struct Said(ResponseCode, Vec<String>);

fn said(message: &Message) -> Said {
    let row = |record: &Record| format!("{} {}", record.name.to_lowercase(), record.data);
    let mut rows: Vec<_> = message.answers.iter().map(row).collect();
    rows.sort();
    Said(message.metadata.response_code, rows)
}

/// A line of a file of questions.
fn read(line: &str) -> (&str, RecordType, Said) {
    let (asked, wanted) = line.split_once(" => ").unwrap();
    let (qname, qtype) = asked.split_once(' ').unwrap();
    let (rcode, data) = wanted.split_once(' ').unwrap_or((wanted, ""));
    let (data, owner) = data.split_once(" of ").unwrap_or((data, qname));
    let owner = Name::from_ascii(owner).unwrap().to_lowercase();
    let rcode = match rcode {
        "NOERROR" => ResponseCode::NoError,
        "NXDOMAIN" => ResponseCode::NXDomain,
        "SERVFAIL" => ResponseCode::ServFail,
        other => panic!("{other} is no code that these files use"),
    };
    // A text has no quotes in a reply.
    let data = data.split(", ").filter(|data| !data.is_empty());
    let mut rows: Vec<_> = data
        .map(|data| format!("{owner} {}", data.trim_matches('"')))
        .collect();
    rows.sort();
    (qname, qtype.parse().unwrap(), Said(rcode, rows))
}

/// Serves a Corefile over the cluster of `objects.yaml`, and asks its questions.
async fn ask_all(corefile: &Path, outside: &Outside) {
    let folder = tempfile::tempdir().unwrap();
    let files = corefile.with_extension("files");
    if files.exists() {
        copy(&files, folder.path(), outside, folder.path());
    }
    let text = here(
        &fs::read_to_string(corefile).unwrap(),
        outside,
        folder.path(),
    );
    let cluster = Cluster::start(Delays::default());
    let objects = fs::read_to_string(format!("{FOLDER}/objects.yaml")).unwrap();
    cluster.apply("objects.yaml", &objects).unwrap();
    let name = folder.path().join("Corefile");
    let setup = Setup {
        name: name.to_str().unwrap(),
        ..setup(&text, Ambient::Client(cluster.client()))
    };
    let program = Program::bind(setup).await;
    let program = program.unwrap_or_else(|error| panic!("{}: {error}", corefile.display()));
    let server = program.addresses()[0];
    let task = tokio::spawn(program.run(CancellationToken::new()));
    let questions = fs::read_to_string(corefile.with_extension("questions")).unwrap();
    for line in questions.lines().filter(|line| !line.starts_with('#')) {
        let (qname, qtype, wanted) = read(line);
        // The second time from a cache, where there is one.
        for over in ["udp", "tcp", "udp again"] {
            let reply = if over == "tcp" {
                let mut stream = TcpStream::connect(server).await.unwrap();
                send(&mut stream, &question(1, qname, qtype)).await;
                receive(&mut stream).await.unwrap()
            } else {
                ask(server, qname, qtype).await
            };
            assert_eq!(
                said(&reply),
                wanted,
                "{}: {line} ({over})",
                corefile.display()
            );
        }
    }
    task.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_corefiles_of_distributions_load_and_answer() {
    let outside = outside().await;
    let mut corefiles: Vec<PathBuf> = fs::read_dir(FOLDER)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "Corefile")
        })
        .collect();
    corefiles.sort();
    assert_eq!(corefiles.len(), 17);
    for corefile in &corefiles {
        ask_all(corefile, &outside).await;
    }
}
