//! Objects as no API server should send them: each costs itself only, in a streaming list and in a plain one, and what
//! cannot be read is named once.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::sync::Arc;
use std::time::Duration;

use headless_cluster::Cluster;
use headless_dns::message::question::RecordType;
use headless_dns::metrics::Metrics;
use headless_dns::watch::{Options, Watches};
use serde_json::{Value, json};
use support::api::{Asked, FakeApi, Fate};
use support::logs::Logs;
use support::zone::said;

const OBJECTS: &str = include_str!("bad_objects/objects.txt");

/// An object called so, with these fields; those of its metadata are added.
fn object(kind: &str, name: &str, fields: &Value) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "namespace": "default", "resourceVersion": "1"}});
    if kind == "EndpointSlice" {
        object["apiVersion"] = "discovery.k8s.io/v1".into();
        object["metadata"]["labels"] = json!({"kubernetes.io/service-name": name});
        object["addressType"] = "IPv4".into();
        object["endpoints"] = json!([{"addresses": ["10.9.0.1"], "hostname": "h"}]);
    }
    if kind == "Namespace" {
        object["metadata"] = json!({"name": name, "resourceVersion": "1"});
    }
    for (field, value) in fields.as_object().unwrap() {
        if field == "metadata" {
            let added = value.as_object().unwrap().clone();
            object["metadata"].as_object_mut().unwrap().extend(added);
        } else {
            object[field] = value.clone();
        }
    }
    object
}

/// Each odd object, and what is said of it.
fn objects() -> impl Iterator<Item = (Value, Option<String>)> {
    let lines = OBJECTS.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let (given, said) = line
            .split_once(" => ")
            .map_or((line, None), |(given, said)| (given, Some(said)));
        let (kind, fields) = given.split_once(' ').unwrap();
        let said = said.map(|said| {
            let (field, why) = said.split_once(": ").unwrap();
            format!("WARN an object cannot be read and is left out: {why} kind={kind} ns=default name=bad field={field}")
        });
        let fields = serde_json::from_str(&unfolded(fields)).unwrap();
        (object(kind, "bad", &fields), said)
    })
}

/// `<x*300>` is x three hundred times.
fn unfolded(text: &str) -> String {
    let Some((before, rest)) = text.split_once('<') else {
        return text.to_owned();
    };
    let (run, behind) = rest.split_once('>').unwrap();
    let (part, count) = run.rsplit_once('*').unwrap();
    let run = part.repeat(count.parse().unwrap());
    format!("{before}{run}{}", unfolded(behind))
}

fn address(watches: &Watches, name: &str) -> String {
    let name = format!("{name}.default.svc.cluster.local");
    said(&watches.zone, &name, RecordType::A)
}

/// A headless Service with one endpoint, `h`.
fn good(name: &str) -> [Value; 2] {
    [
        object("Service", name, &json!({"spec": {"clusterIP": "None"}})),
        object("EndpointSlice", name, &json!({})),
    ]
}

#[tokio::test(start_paused = true)]
async fn one_bad_object_hides_no_other_and_is_named_once() {
    let mut count = 0;
    for (streaming, live) in [(true, false), (false, false), (true, true), (false, true)] {
        for (bad, said) in objects() {
            count += 1;
            let what = format!(
                "streaming {streaming}, live {live}: {:.300}",
                bad.to_string()
            );
            let mut there = vec![object("Namespace", "default", &json!({}))];
            there.extend((!live).then(|| bad.clone()));
            there.extend(good("good"));
            let cluster = Cluster::holding(&there);
            let api = FakeApi::ruled(&cluster, move |asked: &Asked| {
                if asked.is_streaming_list() && !streaming {
                    Fate::Refuse(400)
                } else {
                    Fate::Serve
                }
            });
            let logs = Logs::keep();
            let options = Options {
                pods: true,
                ..Options::default()
            };
            let watches = Watches::start(&api.client(), &options);
            let synced = tokio::time::timeout(Duration::from_secs(1), watches.synced()).await;
            assert!(synced.is_ok(), "{what} {:?}", logs.lines());
            if live {
                cluster.put(&bad);
                good("later").iter().for_each(|object| cluster.put(object));
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert_eq!(address(&watches, "h.later"), "10.9.0.1", "{what}");
            }
            assert_eq!(address(&watches, "h.good"), "10.9.0.1", "{what}");
            // Another list does not say it again.
            cluster.compact();
            tokio::time::sleep(Duration::from_secs(60)).await;
            let lines = logs.lines();
            assert_eq!(lines, Vec::from_iter(said), "{what}");
        }
    }
    assert!(count >= 4 * 93, "{count}");
}

#[tokio::test(start_paused = true)]
async fn bytes_that_are_not_utf_8_in_json_cost_no_other_object() {
    let cluster = Cluster::holding(&[
        object("Namespace", "default", &json!({})),
        object("EndpointSlice", "good", &json!({})),
    ]);
    let list = [
        &br#"{"kind":"ServiceList","metadata":{"resourceVersion":"9"},"items":["#[..],
        br#"{"metadata":{"name":"bad","namespace":"default","annotations":{"a":""#,
        b"\xff\xfe",
        br#""}},"spec":{"clusterIP":"None"}},"#,
        br#"{"metadata":{"name":"good","namespace":"default"},"spec":{"clusterIP":"None"}}]}"#,
    ]
    .concat();
    let api = FakeApi::ruled(&cluster, move |asked| {
        if asked.is_streaming_list() {
            Fate::Refuse(400)
        } else if asked.path == "/api/v1/services" && !asked.is_watch() {
            Fate::Body(list.clone())
        } else {
            Fate::Serve
        }
    });
    let logs = Logs::keep();
    let watches = Watches::start(&api.client(), &Options::default());
    watches.synced().await;
    assert_eq!(address(&watches, "h.good"), "10.9.0.1");
    assert_eq!(logs.lines(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_counted_and_the_names_it_may_have_are_not_denied() {
    let slice =
        json!({"metadata": {"labels": {"kubernetes.io/service-name": "good"}}, "endpoints": 5});
    let cluster = Cluster::holding(&[
        object("Namespace", "default", &json!({})),
        object("Service", "good", &json!({"spec": {"clusterIP": "None"}})),
        object("EndpointSlice", "good", &json!({})),
        object("EndpointSlice", "bad", &slice),
    ]);
    let api = FakeApi::ruled(&cluster, |_| Fate::Serve);
    let metrics = Arc::new(Metrics::default());
    let options = Options {
        metrics: Some(Arc::clone(&metrics)),
        ..Options::default()
    };
    let watches = Watches::start(&api.client(), &options);
    watches.synced().await;
    assert_eq!(address(&watches, "h.good"), "10.9.0.1");
    let unreadable = "SERVFAIL an object of service good.default cannot be read";
    assert_eq!(address(&watches, "other.good"), unreadable);
    let text = metrics.text();
    let counted = text
        .lines()
        .filter(|line| line.starts_with("headless_dns_unreadable"));
    assert_eq!(
        Vec::from_iter(counted),
        ["headless_dns_unreadable_objects_total{kind=\"slices\"} 1"]
    );
}
