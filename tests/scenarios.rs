//! Scenario files: what the watches deliver, what is asked, what is answered. One test runs each file of `tests/scenarios`.
//!
//! ```text
//! at SECONDS                                   what the clock says from here on
//! apply namespace NS
//! apply service NS/NAME headless|ADDRESS[,ADDRESS]|external:NAME [PORT:NUMBER/PROTOCOL]...
//! apply slice NS/NAME of SERVICE [HOST=ADDRESS[!notready]]...
//! delete namespace|service|slice KEY
//! reset namespaces|services|slices             a full list begins
//! synced namespaces|services|slices            it is complete
//! query NAME TYPE                              below `cluster.local.`, unless the name ends in a dot
//! expect RDATA | RDATA ...                     the whole answer, sorted; or `NODATA reason` / `NXDOMAIN reason` / `SERVFAIL reason`
//! ```
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::net::IpAddr;
use std::sync::Arc;

use headless_dns::endpoint::{Address, Conditions, Endpoint, Kind, Port, Service, Slice};
use headless_dns::name::ServiceKey;
use headless_dns::store::{Event, Fact, ObjectKey, Store, Watched};
use headless_dns::zone::Zone;
use support::zone::said;

struct World {
    now: u32,
    zone: Arc<Zone>,
    store: Store,
    last: String,
}

impl World {
    fn new() -> Self {
        let zone = Arc::new(Zone::default());
        let watches = [Watched::Namespaces, Watched::Services, Watched::Slices];
        let store = Store::new(Arc::clone(&zone), &watches);
        Self {
            now: 1,
            zone,
            store,
            last: String::new(),
        }
    }

    fn step(&mut self, line: &str) -> Result<(), String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["at", seconds] => self.now = seconds.parse().map_err(|e| format!("{e}"))?,
            ["apply", "namespace", name] => self.handle(Event::Apply(
                Watched::Namespaces,
                key(name),
                Fact::Namespace,
            )),
            ["apply", "service", name, kind, ref ports @ ..] => {
                let fact = Fact::Service(Service {
                    key: service_key(name),
                    kind: parse_kind(kind),
                    external: Box::new([]),
                    ports: parse_ports(ports),
                });
                self.handle(Event::Apply(Watched::Services, key(name), fact));
            }
            ["apply", "slice", name, "of", service, ref endpoints @ ..] => {
                let ns = name.split('/').next().unwrap();
                let fact = Fact::Slice(
                    Some(service_key(&format!("{ns}/{service}"))),
                    parse_slice(endpoints),
                );
                self.handle(Event::Apply(Watched::Slices, key(name), fact));
            }
            ["delete", kind, name] => {
                self.handle(Event::Delete(watched(&format!("{kind}s"))?, key(name)))
            }
            ["reset", kind] => self.handle(Event::Reset(watched(kind)?)),
            ["synced", kind] => self.handle(Event::Synced(watched(kind)?)),
            ["query", name, qtype] => self.last = self.ask(name, qtype),
            ["expect", ..] => {
                let wanted = line.trim_start().strip_prefix("expect").unwrap().trim();
                if self.last != wanted {
                    return Err(format!("expected {wanted:?}, got {:?}", self.last));
                }
            }
            _ => return Err(format!("no such step: {line}")),
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) {
        self.store.handle(self.now, event);
    }

    fn ask(&self, name: &str, qtype: &str) -> String {
        let name = if name.ends_with('.') {
            name.to_owned()
        } else {
            format!("{name}.svc.cluster.local.")
        };
        said(&self.zone, &name, qtype.parse().unwrap())
    }
}

fn watched(kind: &str) -> Result<Watched, String> {
    match kind {
        "namespaces" => Ok(Watched::Namespaces),
        "services" => Ok(Watched::Services),
        "slices" => Ok(Watched::Slices),
        _ => Err(format!("no such kind: {kind}")),
    }
}

fn key(name: &str) -> ObjectKey {
    let (ns, name) = name.split_once('/').unwrap_or(("", name));
    ObjectKey {
        ns: ns.into(),
        name: name.into(),
    }
}

fn service_key(name: &str) -> ServiceKey {
    let (ns, name) = name.split_once('/').unwrap();
    ServiceKey::new(ns.as_bytes(), name.as_bytes())
}

fn parse_kind(kind: &str) -> Kind {
    match kind.split_once(':') {
        Some(("external", name)) => Kind::ExternalName(name.into()),
        _ if kind == "headless" => Kind::Headless,
        _ => Kind::ClusterIp(kind.split(',').map(|ip| ip.parse().unwrap()).collect()),
    }
}

fn parse_ports(ports: &[&str]) -> Box<[Port]> {
    let port = |text: &&str| {
        let (name, rest) = text.split_once(':').unwrap();
        let (number, protocol) = rest.split_once('/').unwrap();
        Port {
            name: name.into(),
            protocol: protocol.into(),
            number: Some(number.parse().unwrap()),
        }
    };
    let none = Port {
        name: "".into(),
        protocol: "".into(),
        number: None,
    };
    if ports.is_empty() {
        Box::new([none])
    } else {
        ports.iter().map(port).collect()
    }
}

fn parse_slice(endpoints: &[&str]) -> Slice {
    let endpoints: Vec<_> = endpoints
        .iter()
        .map(|text| {
            let (host, rest) = text.split_once('=').unwrap();
            let (ip, ready) = rest
                .strip_suffix("!notready")
                .map_or((rest, true), |ip| (ip, false));
            let address = Address::Ip(ip.parse::<IpAddr>().unwrap());
            let label = (!host.is_empty()).then_some(host);
            Endpoint {
                address,
                label,
                zone: "",
                conditions: Conditions {
                    ready,
                    terminating: false,
                },
            }
        })
        .collect();
    Slice::new("", parse_ports(&["redis:6379/TCP"]), &endpoints)
}

#[test]
fn every_scenario_file_holds() {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/scenarios");
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 6, "only {} files", files.len());
    let mut failed = Vec::new();
    for file in files {
        let (mut world, mut expects) = (World::new(), 0);
        for (number, line) in std::fs::read_to_string(&file).unwrap().lines().enumerate() {
            let line = line.split('#').next().unwrap().trim();
            if line.is_empty() {
                continue;
            }
            expects += usize::from(line.starts_with("expect"));
            if let Err(why) = world.step(line) {
                failed.push(format!("{}:{}: {why}", file.display(), number + 1));
            }
        }
        assert!(expects > 0, "{} expects nothing", file.display());
    }
    assert!(failed.is_empty(), "\n{}", failed.join("\n"));
}
