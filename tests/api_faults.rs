//! An API server that answers what no API server should, in virtual time: whatever it answers, and for however long, what
//! was true stays served, nothing that is there is denied, and what has changed meanwhile is known soon after its end.
//!
//! `SEEDS=100 cargo test --release --test api_faults` tries each kind a hundred times.
#![expect(clippy::unwrap_used, reason = "a test")]

mod support;

use std::time::Duration;

use headless_cluster::{Cluster, Delays};
use headless_dns::message::question::RecordType;
use headless_dns::watch::{Options, Watches};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt, SeedableRng};
use serde_json::{Value, json};
use support::api::{Asked, FakeApi, Fate, Odd, Then};
use support::zone::said;
use tokio::time::Instant;

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf;stream=watch";

/// How long it may take until what has changed is known, from the fault's end on.
const SOON: Duration = Duration::from_secs(1);

/// Where the server says that a second is to be waited.
const SECOND: Duration = Duration::from_secs(2);

/// Where requests hang that nobody ends: until a watch counts as dead, and half a second for the next.
const HUNG: Duration = Duration::from_secs(15);

/// Where the server says when to come again.
const TOLD: Duration = Duration::from_secs(31);

/// A kind of fault.
struct Kind {
    name: &'static str,
    fate: fn(&Asked, &mut SmallRng) -> Fate,
    soon: Duration,
}

fn odd(body: Vec<u8>, then: Then) -> Fate {
    typed(JSON, body, then)
}

fn typed(media_type: &'static str, body: Vec<u8>, then: Then) -> Fate {
    Fate::Reply(Odd {
        code: 200,
        media_type,
        header: None,
        body,
        then,
    })
}

fn event(kind: &str, object: &Value) -> Vec<u8> {
    format!("{}\n", json!({"type": kind, "object": object})).into_bytes()
}

/// A frame of a watch in protobuf: its length, and this.
fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&length[..], message].concat()
}

fn garbage(random: &mut SmallRng, length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    random.fill_bytes(&mut octets);
    octets
}

const fn kind(name: &'static str, soon: Duration, fate: fn(&Asked, &mut SmallRng) -> Fate) -> Kind {
    Kind { name, fate, soon }
}

const KINDS: [Kind; 38] = [
    kind("400", SOON, |_, _| Fate::Refuse(400)),
    kind("401", SOON, |_, _| Fate::Refuse(401)),
    kind("403", SOON, |_, _| Fate::Refuse(403)),
    kind("404", SOON, |_, _| Fate::Refuse(404)),
    kind("410", SOON, |_, _| Fate::Refuse(410)),
    kind("422", SOON, |_, _| Fate::Refuse(422)),
    kind("429, come again in a second", SECOND, |_, _| Fate::Busy),
    kind("429", SOON, |_, _| Fate::Refuse(429)),
    kind("429, come again in an hour", TOLD, |_, _| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 429, "details": {"retryAfterSeconds": 3600}});
        Fate::Reply(Odd {
            code: 429,
            media_type: JSON,
            header: Some(("retry-after", "3600")),
            body: status.to_string().into_bytes(),
            then: Then::Ends,
        })
    }),
    kind("500", SOON, |_, _| Fate::Refuse(500)),
    kind("503", SOON, |_, _| Fate::Refuse(503)),
    kind("504", SOON, |_, _| Fate::Refuse(504)),
    kind("a page", SOON, |_, _| {
        typed("text/html", b"<html>login</html>".to_vec(), Then::Ends)
    }),
    kind("a page that says 502", SOON, |_, _| {
        Fate::Reply(Odd {
            code: 502,
            media_type: "text/html",
            header: None,
            body: b"<html>bad gateway</html>".to_vec(),
            then: Then::Ends,
        })
    }),
    kind("nothing", SOON, |_, _| odd(Vec::new(), Then::Ends)),
    kind("garbage", SOON, |_, random| {
        odd(garbage(random, 300), Then::Ends)
    }),
    kind("null", SOON, |_, _| odd(b"null\n".to_vec(), Then::Ends)),
    kind("an array", SOON, |_, _| odd(b"[]\n".to_vec(), Then::Ends)),
    kind("elsewhere", SOON, |_, _| {
        Fate::Reply(Odd {
            code: 302,
            media_type: JSON,
            header: Some(("location", "/elsewhere")),
            body: Vec::new(),
            then: Then::Ends,
        })
    }),
    kind("a body cut short", SOON, |_, _| {
        odd(b"{\"type\":\"ADD".to_vec(), Then::Breaks)
    }),
    kind("an error in the stream", SOON, |_, _| {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 500, "reason": "InternalError", "message": "etcd"});
        odd(event("ERROR", &status), Then::Ends)
    }),
    kind("no connection", SOON, |_, _| Fate::Unreachable),
    kind("half a line", SOON, |_, _| {
        odd(
            b"{\"type\":\"ADDED\",\"object\":{\"metadata\":{\"name\":\"re".to_vec(),
            Then::Breaks,
        )
    }),
    kind("lines of no text", SOON, |_, _| {
        odd(b"\xff\xfe\0\0\n".repeat(3), Then::Ends)
    }),
    kind("an unknown event", SOON, |_, _| {
        odd(event("WEIRD", &json!({})), Then::Ends)
    }),
    kind("an event without object", SOON, |_, _| {
        odd(b"{\"type\":\"ADDED\"}\n".to_vec(), Then::Ends)
    }),
    kind("an event of null", SOON, |_, _| {
        odd(event("ADDED", &Value::Null), Then::Ends)
    }),
    kind("a line that is deep", SOON, |_, _| {
        odd([&b"[".repeat(100_000)[..], b"\n"].concat(), Then::Ends)
    }),
    kind("a line that is long", SOON, |_, _| {
        let begin = b"{\"type\":\"ADDED\",\"object\":{\"a\":\"";
        odd([&begin[..], &b"x".repeat(1 << 20)].concat(), Then::Breaks)
    }),
    kind("no answer", HUNG, |_, _| Fate::Never),
    kind("an answer that stops", HUNG, |_, _| {
        odd(b"{\"type\":\"BOOK".to_vec(), Then::Hangs)
    }),
    kind("protobuf that is garbage", SOON, |_, random| {
        typed(PROTOBUF, frame(&garbage(random, 40)), Then::Ends)
    }),
    kind("protobuf of 4 GB", SOON, |_, _| {
        typed(
            PROTOBUF,
            [&[0xff; 4][..], &[b'a'; 100]].concat(),
            Then::Ends,
        )
    }),
    kind("protobuf of 15 MB", HUNG, |_, _| {
        let length = (15_u32 << 20).to_be_bytes();
        typed(PROTOBUF, [&length[..], &[b'a'; 100]].concat(), Then::Hangs)
    }),
    kind("half a frame", SOON, |_, _| {
        typed(PROTOBUF, vec![0, 0, 0, 50, 0x0a], Then::Breaks)
    }),
    kind("frames of nothing", SOON, |_, _| {
        typed(PROTOBUF, vec![0; 200], Then::Ends)
    }),
    kind("an object that is no protobuf", SOON, |_, _| {
        typed(
            PROTOBUF,
            frame(b"\x0a\x05ADDED\x12\x05\x0a\x03abc"),
            Then::Ends,
        )
    }),
    kind("a list of garbage in protobuf", SOON, |_, random| {
        let body = [b"k8s\0", &garbage(random, 30)[..]].concat();
        typed("application/vnd.kubernetes.protobuf", body, Then::Ends)
    }),
];

const SERVICE: &str =
    "apiVersion: v1\nkind: Service\nmetadata: {name: redis}\nspec: {clusterIP: None}\n";

fn slice(address: &str) -> String {
    format!(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: redis-a, labels: {{kubernetes.io/service-name: redis}}}}\n\
         addressType: IPv4\nendpoints: [{{addresses: [{address}], hostname: redis-0, conditions: {{ready: true}}}}]\nports: []\n"
    )
}

/// One fault, of a length and with changes by the seed; `Err`: what went wrong.
async fn fault(kind: &Kind, seed: u64) -> Result<(), String> {
    let mut random = SmallRng::seed_from_u64(seed);
    let cluster = Cluster::start(Delays::default());
    cluster.apply("service", SERVICE).unwrap();
    cluster.apply("slice", &slice("10.0.0.1")).unwrap();
    let api = FakeApi::new(&cluster);
    let watches = Watches::start(&api.client(), &Options::default());
    watches.synced().await;
    let name = "redis-0.redis.default.svc.cluster.local";
    let answer = || said(&watches.zone, name, RecordType::A);
    let (fate, mut own) = (kind.fate, SmallRng::seed_from_u64(seed));
    api.rule(move |asked| fate(asked, &mut own));
    // Some watches break at once, others go on until their time is over.
    if random.random() {
        api.break_open();
    }
    let mut addresses = vec!["10.0.0.1".to_owned()];
    for second in 0..random.random_range(1..120) {
        if random.random_ratio(1, 8) {
            let address = format!("10.0.1.{second}");
            cluster.apply("slice", &slice(&address)).unwrap();
            addresses.push(address);
        }
        if random.random_ratio(1, 40) {
            cluster.compact();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let answer = answer();
        if !addresses.contains(&answer) {
            return Err(format!("after {second} s: {answer}"));
        }
    }
    api.all(Fate::Serve);
    let (ended, last) = (Instant::now(), addresses.pop());
    while Some(answer()) != last {
        if ended.elapsed() > kind.soon {
            return Err(format!(
                "{:?} after its end: {}, not {last:?}",
                kind.soon,
                answer()
            ));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the tests are told of the environment"
)]
fn seeds() -> u64 {
    std::env::var("SEEDS").map_or(3, |seeds| seeds.parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn whatever_an_api_server_answers_nothing_is_denied_and_its_return_is_noticed() {
    let mut wrong = Vec::new();
    for kind in &KINDS {
        for seed in 0..seeds() {
            if let Err(why) = fault(kind, seed).await {
                wrong.push(format!("{}, seed {seed}: {why}", kind.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
