//! The conformance corpus: objects, question, whole reply. CoreDNS 1.14.7 gives every reply, but where a case says `ours`.

use std::collections::BTreeMap;

use headless_dns::answer::ZoneReply;
use headless_dns::message::question::{Question, RecordType};
use headless_dns::message::record::Record;
use headless_dns::message::reply::{Composed, ResponseCode};
use headless_dns::name::{Origins, absolute};
use headless_dns::store::{Event, Resource, Store};
use headless_dns::watch::wire::{self, Reading, Wire, object_of};
use headless_dns::zone::{Answer, PodMode, Shown, View, Zone};
use headless_objects::selector::Selector;
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

/// `[owner, ttl, type, rdata]`.
pub type Row = (String, u32, String, String);

#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    pub id: String,
    pub world: String,
    pub config: BTreeMap<String, Value>,
    pub qname: String,
    pub qtype: String,
    #[serde(flatten)]
    pub expect: Expect,
    pub order_matters: bool,
    pub ours: Option<Ours>,
    #[serde(default)]
    pub transport: Option<String>,
    pub ixfr_serial: Option<String>,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct Expect {
    pub rcode: String,
    pub aa: bool,
    #[serde(default)]
    pub tc: bool,
    pub answer: Vec<Row>,
    pub authority: Vec<Row>,
    pub additional: Vec<Row>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Ours {
    pub quirk: u32,
    #[serde(flatten)]
    pub expect: Expect,
}

impl Case {
    /// The reply this project gives.
    pub fn wanted(&self) -> Expect {
        let mut expect = self
            .ours
            .as_ref()
            .map_or_else(|| self.expect.clone(), |ours| ours.expect.clone());
        expect.sort(self.order_matters);
        expect
    }

    pub fn list(&self, key: &str) -> Vec<String> {
        let items = self
            .config
            .get(key)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        items
            .iter()
            .map(|v| v.as_str().unwrap().to_owned())
            .collect()
    }

    pub fn flag(&self, key: &str) -> bool {
        self.config
            .get(key)
            .and_then(Value::as_bool)
            .unwrap_or(false)
    }

    fn selector(&self, key: &str) -> Selector {
        Selector::parse(self.config.get(key).and_then(Value::as_str).unwrap_or("")).unwrap()
    }

    /// Whether the zone and its stanza's options alone decide the reply.
    pub fn needs_only_the_zone(&self) -> bool {
        let more = [
            "upstream",
            "transfer",
            "autopath",
            "k8s_external",
            "client_ip",
            "host_search",
        ];
        !more.iter().any(|key| self.config.contains_key(*key))
            && self.qtype != "AXFR"
            && self.qtype != "IXFR"
    }

    pub fn view(&self) -> View {
        let names = |key| {
            self.list(key)
                .iter()
                .map(|z| absolute(z).unwrap())
                .collect::<Vec<_>>()
        };
        let zones = if self.config.contains_key("zones") {
            names("zones")
        } else {
            vec![absolute("cluster.local").unwrap()]
        };
        View {
            origins: zones.into(),
            multicluster: names("multicluster"),
            namespaces: self
                .list("namespaces")
                .iter()
                .map(|n| n.as_str().into())
                .collect(),
            pods: match self.config.get("pods").and_then(Value::as_str) {
                Some("insecure") => PodMode::Insecure,
                Some("verified") => PodMode::Verified,
                _ => PodMode::Disabled,
            },
            ttl: self
                .config
                .get("ttl")
                .map_or(5, |t| u32::try_from(t.as_u64().unwrap()).unwrap()),
            ignore_empty_service: self.flag("ignore_empty_service"),
            zonal: self.flag("zonal"),
            local_addresses: self
                .list("local_ips")
                .iter()
                .map(|ip| ip.parse().unwrap())
                .collect(),
        }
    }

    /// The world's objects, as the watches of this stanza would deliver them.
    pub fn zone(&self) -> Arc<Zone> {
        let zone = Arc::new(Zone::default());
        let mut watches = vec![Resource::Namespaces, Resource::Services];
        if !self.flag("noendpoints") {
            watches.push(Resource::Slices);
        }
        if self.config.get("pods").and_then(Value::as_str) == Some("verified") {
            watches.push(Resource::Pods);
        }
        if self.config.contains_key("multicluster") {
            watches.extend([Resource::Imports, Resource::ImportSlices]);
        }
        let mut store = Store::new(Arc::clone(&zone), watches.iter().copied());
        for event in self.events(&watches) {
            store.handle(1_700_000_000, event);
        }
        let late = if self.world == "empty" {
            watches.clone()
        } else {
            vec![Resource::Slices]
        };
        let unsynced = self.config.get("synced") == Some(&Value::Bool(false));
        for watched in watches
            .into_iter()
            .filter(|w| !(unsynced && late.contains(w)))
        {
            store.handle(1_700_000_000, Event::Synced(watched.into()));
        }
        zone
    }

    fn events(&self, watches: &[Resource]) -> Vec<Event> {
        let reading = Reading {
            endpoint_pod_names: self.flag("endpoint_pod_names"),
            zonal: self.flag("zonal"),
            pod_labels: false,
        };
        let path = format!(
            "{}/tests/corpus/objects-{}.json",
            env!("CARGO_MANIFEST_DIR"),
            self.world
        );
        let objects: Vec<Value> =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let mut events = Vec::new();
        let unsynced = self.config.get("synced") == Some(&Value::Bool(false));
        for object in &objects {
            let label = |key: &str| object["metadata"]["labels"][key].as_str();
            let slice = object["kind"] == "EndpointSlice";
            let candidates: &[(Resource, &str)] = match object["kind"].as_str().unwrap() {
                "Namespace" => &[(Resource::Namespaces, "namespace_labels")],
                "Service" => &[(Resource::Services, "labels")],
                "Pod" => &[(Resource::Pods, "labels")],
                "ServiceImport" => &[(Resource::Imports, "namespace_labels")],
                _ => &[
                    (Resource::Slices, "labels"),
                    (Resource::ImportSlices, "labels"),
                ],
            };
            for (watched, selector) in candidates {
                let held = unsynced && slice;
                let import = label("multicluster.kubernetes.io/service-name").is_some();
                let other = slice && (*watched == Resource::ImportSlices) != import;
                if held
                    || other
                    || !watches.contains(watched)
                    || !self.selector(selector).matches(label)
                {
                    continue;
                }
                events.extend(fact(*watched, object, reading));
            }
        }
        events
    }
}

/// What the watch makes of an object.
pub fn fact(watched: Resource, object: &Value, reading: Reading) -> Option<Event> {
    fn of<T: Wire + kube::Resource<DynamicType = ()> + for<'de> Deserialize<'de>>(
        watched: Resource,
        object: &Value,
        reading: Reading,
    ) -> Option<Event> {
        let object: T = serde_json::from_value(object.clone()).unwrap();
        let fact = object.fact(watched.scope(), reading)?;
        Some(Event::Apply(object_of(object.meta()), fact))
    }
    match watched {
        Resource::Namespaces => of::<wire::Namespace>(watched, object, reading),
        Resource::Services => of::<wire::Service>(watched, object, reading),
        Resource::Slices | Resource::ImportSlices => {
            of::<wire::EndpointSlice>(watched, object, reading)
        }
        Resource::Pods => {
            let phase = object["status"]["phase"].as_str().unwrap_or("");
            let shown = !["Succeeded", "Failed", "Unknown"].contains(&phase);
            shown
                .then(|| of::<wire::Pod>(watched, object, reading))
                .flatten()
        }
        Resource::Sets => of::<wire::StatefulSet>(watched, object, reading),
        Resource::Imports => of::<wire::ServiceImport>(watched, object, reading),
    }
}

impl Expect {
    pub fn sort(&mut self, keep_order: bool) {
        if !keep_order {
            self.answer.sort();
        }
        self.authority.sort();
        self.additional.sort();
    }

    pub fn of(reply: &Composed, keep_order: bool) -> Self {
        let rows = |records: &[Record]| records.iter().map(row).collect();
        let mut expect = Self {
            rcode: rcode_text(reply.rcode),
            aa: reply.authoritative,
            tc: reply.truncated,
            answer: rows(&reply.answer),
            authority: rows(&reply.authority),
            additional: rows(&reply.additional),
        };
        expect.sort(keep_order);
        expect
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "a foreign enum: the corpus has no other"
)]
pub fn rcode_text(rcode: ResponseCode) -> String {
    match rcode {
        ResponseCode::NoError => "NOERROR",
        ResponseCode::NXDomain => "NXDOMAIN",
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::FormErr => "FORMERR",
        ResponseCode::NotImp => "NOTIMP",
        other => panic!("{other}"),
    }
    .to_owned()
}

/// The response code of this name.
pub fn rcode_of(name: &str) -> ResponseCode {
    let all = [
        ResponseCode::NoError,
        ResponseCode::NXDomain,
        ResponseCode::ServFail,
        ResponseCode::Refused,
    ];
    all.into_iter()
        .find(|rcode| rcode_text(*rcode) == name)
        .unwrap()
}

/// The strings of a list.
pub fn strings(list: &Value) -> Vec<String> {
    let items = list.as_array().into_iter().flatten();
    items.map(|v| v.as_str().unwrap().to_owned()).collect()
}

/// A record as the corpus writes it: escapes and the serial are normalised.
pub fn row(record: &Record) -> Row {
    let kind = record.record_type();
    let mut data = record.data.to_string();
    if kind == RecordType::SOA {
        let mut fields: Vec<&str> = data.split(' ').collect();
        fields[2] = "SERIAL";
        data = fields.join(" ");
    }
    if kind == RecordType::TXT && !data.starts_with('"') {
        data = format!("\"{data}\"");
    }
    (record.name.to_ascii(), record.ttl, kind.to_string(), data)
}

/// The cases.
pub fn cases() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/public.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// Asks the zone, and what follows it in the case's chain.
pub fn ask(case: &Case) -> Expect {
    let (view, zone) = (case.view(), case.zone());
    let qtype: RecordType = case.qtype.parse().unwrap();
    let question = Question::new(absolute(&case.qname).unwrap(), qtype);
    let shown = Shown::from(view);
    let Some(asked) = shown.place(&question.qname, qtype) else {
        return next(case);
    };
    let zones: Vec<_> = case
        .list("fallthrough")
        .iter()
        .map(|z| absolute(z).unwrap())
        .collect();
    let falls = Origins::from(zones).cover(&question.qname);
    let reply = match zone.lookup(&asked) {
        Answer::Denied(denied) if denied.is_absent() && falls => return next(case),
        Answer::Unanswerable(_) => Composed::empty(ResponseCode::ServFail),
        // Nothing is asked elsewhere here: an alias that leads out of the zone stays alone.
        answer @ (Answer::Found(_) | Answer::Leads { .. } | Answer::Denied(_)) => {
            ZoneReply::new(answer, &shown, &zone).compose(&asked)
        }
    };
    Expect::of(&reply, case.order_matters)
}

fn next(case: &Case) -> Expect {
    match case.config.get("next") {
        Some(Value::String(rcode)) => empty(rcode),
        Some(reply) => {
            let mut expect = empty(reply["rcode"].as_str().unwrap());
            expect.aa = reply["aa"].as_bool().unwrap_or(false);
            expect.answer = serde_json::from_value(reply["answer"].clone()).unwrap_or_default();
            expect
        }
        None => empty("SERVFAIL"),
    }
}

fn empty(rcode: &str) -> Expect {
    Expect {
        rcode: rcode.into(),
        aa: false,
        tc: false,
        answer: vec![],
        authority: vec![],
        additional: vec![],
    }
}
