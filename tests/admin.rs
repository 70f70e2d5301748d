//! `admin`: each request of docs/admin.md, and `history`, against a server whose names change.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use headless_cluster::{Cluster, Delays};
use headless_dns::message::question::{Query, Question, RecordType};
use headless_dns::name::absolute;
use headless_dns::plugin::Router;
use headless_dns::reconciler;
use headless_dns::sandbox::REDIS;
use headless_dns::serve::{Ambient, Program};
use serde_json::{Value, json};
use support::names::{eventually, setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// A cluster, and a server with `admin`.
struct World {
    cluster: Cluster,
    admin: SocketAddr,
    router: Arc<Router>,
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    reconciler: JoinHandle<()>,
}

impl World {
    /// With the set of three, which is up.
    async fn start(directive: &str) -> Self {
        Self::with("pods disabled", directive).await
    }

    /// The same; `pods`: a line of `kubernetes`.
    async fn with(pods: &str, directive: &str) -> Self {
        Self::of(&format!(
            ".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local {{\n  {pods}\n }}\n {directive}\n}}\n"
        ))
        .await
    }

    /// With this Corefile, on a machine that has one address.
    async fn of(text: &str) -> Self {
        let cluster = Cluster::start(Delays::default());
        let mut setup = setup(text, Ambient::Client(cluster.client()));
        setup.interfaces = vec![("eth0".to_owned(), [192, 0, 2, 2].into())];
        let program = Program::bind(setup).await.unwrap();
        let admin = program.probes().unwrap()[0];
        let (zone, router) = (program.zones().remove(0), program.routers().remove(0));
        let stop = CancellationToken::new();
        let server = tokio::spawn(program.run(stop.clone()));
        eventually("the first lists", async || zone.synced().then_some(())).await;
        let run = reconciler::run(cluster.client(), cluster.clock());
        let world = Self {
            reconciler: tokio::spawn(async move {
                run.await;
            }),
            cluster,
            admin,
            router,
            stop,
            server,
        };
        world.cluster.apply("redis.yaml", REDIS).unwrap();
        world
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.with_line(path, "").await
    }

    /// Asks for the address of a name below `svc.cluster.local` some times, as a client of the cluster.
    async fn ask(&self, name: &str, last: u8, times: usize) {
        let name = absolute(&format!("{name}.cluster.local")).unwrap();
        let client = SocketAddr::from(([10, 244, 0, last], 5353));
        let query = Query::plain(Question::new(name, RecordType::A), client);
        for _ in 0..times {
            self.router.answer(&query).await;
        }
    }

    /// The status and the answer of a request with a line more.
    async fn with_line(&self, path: &str, line: &str) -> (u16, Value) {
        let mut stream = TcpStream::connect(self.admin).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{line}Connection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head[9..12].parse().unwrap(),
            serde_json::from_str(body).unwrap(),
        )
    }

    /// What the program says of this server: its code and what it prints.
    fn told(&self, command: &str, arguments: &[&str]) -> (Option<i32>, String) {
        let mut program = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        let server = self.admin.to_string();
        program.args(["--log", "off", command, "--server", &server]);
        let output = program.args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    async fn stop(self) {
        self.reconciler.abort();
        self.stop.cancel();
        self.server.await.unwrap().unwrap();
    }
}

const REDIS_1: &str = "redis-1.redis.default.svc.cluster.local";

#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_waited_for_explained_listed_and_remembered() {
    let world = World::start("admin 127.0.0.1:0").await;
    let met = |says: &str| json!({"name": format!("{REDIS_1}."), "met": true, "says": says});
    let wait = world
        .get(&format!("/wait?name={REDIS_1}&timeout=60s"))
        .await;
    assert_eq!(wait, (200, met("10.244.0.3")));
    let set = "redis.default.svc.cluster.local";
    let (_, wait) = world.get(&format!("/wait?name={set}&for=count=3")).await;
    assert_eq!(wait["met"], true);
    let (_, names) = world.get("/names?ns=default").await;
    let redis = json!({"service": "redis.default", "kind": "headless", "endpoints": 3, "ready": 3});
    assert!(
        names["names"].as_array().unwrap().contains(&redis),
        "{names}"
    );
    let other = REDIS_1.replace("redis-1", "redis-7");
    let (_, why) = world.get(&format!("/why?name={other}&type=aaaa")).await;
    let wanted = json!({
        "name": format!("{other}."), "type": "AAAA", "rcode": "NXDOMAIN", "answer": [],
        "why": "no such endpoint of redis.default",
    });
    assert_eq!(why, wanted);
    let (_, wait) = world.get(&format!("/wait?name={other}&timeout=1ms")).await;
    let says = "NXDOMAIN (no such endpoint of redis.default)";
    assert_eq!((&wait["met"], &wait["says"]), (&json!(false), &json!(says)));
    let (_, history) = world.get(&format!("/history?name={REDIS_1}")).await;
    assert_eq!(history["now"], json!(["10.244.0.3"]));
    let changes = history["changes"].as_array().unwrap();
    let last = changes.last().unwrap();
    assert_eq!(
        (&last["added"], &last["removed"], &last["kind"]),
        (&json!(["10.244.0.3"]), &json!([]), &json!("slices"))
    );
    let begins = history["begins"].as_str().unwrap();
    let (_, then) = world
        .get(&format!("/history?name={REDIS_1}&at={begins}"))
        .await;
    assert_eq!(then["answer"], json!([]));
    let (_, then) = world
        .get(&format!("/history?name={REDIS_1}&at=2020-01-01T00:00:00Z"))
        .await;
    assert_eq!(then["answer"], Value::Null);
    let (_, events) = world.get("/events").await;
    let events = events["events"].as_array().unwrap();
    assert!(
        events.iter().any(|event| event["at"] == last["at"]),
        "{events:?}"
    );
    world.stop().await;
}

#[test]
fn a_block_without_names_has_none_to_tell() {
    let path = std::env::temp_dir().join(format!("headless-dns-alone-{}", std::process::id()));
    std::fs::write(&path, ".:0 {\n whoami\n admin\n}\n").unwrap();
    for command in ["check", "serve"] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        let output = program
            .args(["--log", "off", command, "-conf"])
            .arg(&path)
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        let problem = "error: `admin` needs `kubernetes` in the same server block\n";
        assert!(said.starts_with(problem), "{said}");
    }
    std::fs::remove_file(path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_said() {
    let world = World::start("admin 127.0.0.1:0").await;
    for (path, why) in [
        ("/why", "name: a name was expected"),
        ("/why?name=a..b", "name: a label is empty"),
        (
            "/why?name=a.test",
            "a.test. is in no zone of this server: a name is written whole here, and ends in cluster.local.",
        ),
        (
            "/why?name=cluster.local&type=X",
            "type: a type such as A was expected",
        ),
        ("/walk", "name: a name was expected"),
        (
            "/walk?name=redis&type=X",
            "type: a type such as A was expected",
        ),
        (
            "/top?by=pod",
            "by: name, client, negative or search was expected",
        ),
        (
            "/top?limit=0",
            "limit: a number from 1 to 1000 was expected",
        ),
        (
            "/wait?name=cluster.local&timeout=5",
            "timeout: a duration such as 60s was expected",
        ),
        (
            "/events?since=soon",
            "since: a time such as 2026-01-01T00:00:00Z was expected",
        ),
    ] {
        assert_eq!(
            world.get(path).await,
            (400, json!({"error": why})),
            "{path}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_token_gets_nothing_where_there_is_one() {
    let path = std::env::temp_dir().join(format!("headless-dns-token-{}", std::process::id()));
    std::fs::write(&path, "secret\n").unwrap();
    let world = World::start(&format!("admin :0 {{\n  token {}\n }}", path.display())).await;
    for (line, status) in [
        ("", 401),
        ("Authorization: Bearer secre\r\n", 401),
        ("Authorization: Bearer Secret\r\n", 401),
        ("Authorization: Bearer secrets\r\n", 401),
        ("Authorization: Bearer secret\r\n", 200),
    ] {
        assert_eq!(world.with_line("/names", line).await.0, status, "{line}");
    }
    std::fs::remove_file(path).unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_tells_a_name_s_history() {
    let world = World::start("admin 127.0.0.1:0").await;
    world.get(&format!("/wait?name={REDIS_1}")).await;
    let told = |arguments: &[&str]| world.told("history", arguments);
    let (code, said) = told(&[REDIS_1]);
    assert_eq!(code, Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with("  the history begins"), "{said}");
    assert!(
        lines[1].contains("  +10.244.0.3  (slices default/redis-"),
        "{said}"
    );
    assert_eq!(*lines.last().unwrap(), "now  10.244.0.3");
    let (_, said) = told(&[REDIS_1, "--at", "100h"]);
    assert!(
        said.contains("  not known: the history begins at "),
        "{said}"
    );
    let (code, said) = told(&["a.test"]);
    let ends = "a name is written whole here, and ends in cluster.local.";
    let wanted = format!(
        "{}: a.test. is in no zone of this server: {ends}\n",
        world.admin
    );
    assert_eq!((code, said), (Some(1), wanted));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_found_by_the_names_and_addresses_of_its_endpoints() {
    let world = World::start("admin 127.0.0.1:0").await;
    let set = "redis.default.svc.cluster.local";
    world.get(&format!("/wait?name={set}&for=count=3")).await;
    let redis = json!({"service": "redis.default", "kind": "headless", "endpoints": 3, "ready": 3});
    let parts = [
        "edis-1",
        &format!("{REDIS_1}."),
        "is-1.redis.default.s",
        "10.244.0.3",
    ];
    for find in parts {
        let (_, names) = world.get(&format!("/names?find={find}")).await;
        assert_eq!(
            (&names["total"], &names["names"][0]),
            (&json!(1), &redis),
            "{find}"
        );
    }
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_waits_by_a_long_poll() {
    let world = World::start("admin 127.0.0.1:0").await;
    let waited = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        command.args(["--log", "off", "wait", "--admin", &world.admin.to_string()]);
        let output = command.args(arguments).output().unwrap();
        let text = |octets| String::from_utf8(octets).unwrap();
        (
            output.status.code(),
            text(output.stdout),
            text(output.stderr),
        )
    };
    let (code, said, _) = waited(&[REDIS_1]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.ends_with(&format!("{REDIS_1}  10.244.0.3\n")),
        "{said}"
    );
    let other = REDIS_1.replace("redis-1", "redis-7");
    let says = format!("{other}  NXDOMAIN (no such endpoint of redis.default)\n");
    let missing = format!("missing: {}", says.replacen("  ", ": ", 1));
    for timeout in ["0s", "2s"] {
        let wanted = (Some(1), says.clone(), missing.clone());
        assert_eq!(waited(&[&other, "--timeout", timeout]), wanted);
    }
    // What it refuses now it refuses always.
    let refused = waited(&["a.test"]);
    let ends = "a name is written whole here, and ends in cluster.local.";
    let why = format!(
        "{}: a.test. is in no zone of this server: {ends}\n",
        world.admin
    );
    assert_eq!(refused, (Some(3), String::new(), why));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_s_own_name_has_the_address_that_it_answers_with() {
    let world = World::of(".:0 {\n kubernetes cluster.local\n admin 127.0.0.1:0\n}\n").await;
    let name = "ns.dns.cluster.local";
    let (_, why) = world.get(&format!("/why?name={name}")).await;
    assert_eq!(why["answer"][0]["data"], "192.0.2.2");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_is_answered_when_the_server_ends() {
    let world = World::start("admin 127.0.0.1:0").await;
    let name = "late.default.svc.cluster.local";
    let path = format!("/wait?name={name}");
    let mut waiting = TcpStream::connect(world.admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    waiting.write_all(request.as_bytes()).await.unwrap();
    // Whoever has connected and asked is answered in any case.
    world.stop.cancel();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).await.unwrap();
    assert!(answer.contains(r#""met":false"#), "{answer}");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_clients_that_wait_none_is_lost_when_the_name_comes() {
    let world = Arc::new(World::start("admin 127.0.0.1:0").await);
    let late = "late.default.svc.cluster.local";
    let waiting: Vec<_> = (0..1000)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.get(&format!("/wait?name={late}")).await })
        })
        .collect();
    let service =
        "apiVersion: v1\nkind: Service\nmetadata: {name: late}\nspec: {ports: [{port: 80}]}\n";
    world.cluster.apply("late.yaml", service).unwrap();
    for waiting in waiting {
        let (status, wait) = waiting.await.unwrap();
        assert_eq!((status, &wait["met"]), (200, &json!(true)), "{wait}");
    }
    let Ok(world) = Arc::try_unwrap(world) else {
        panic!("a client is left")
    };
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_what_is_counted_and_clients_are_named_by_their_pods() {
    let world = World::with("pods verified", "admin 127.0.0.1:0").await;
    world.get(&format!("/wait?name={REDIS_1}")).await;
    let pod = "10-244-0-3.default.pod.cluster.local";
    world.get(&format!("/wait?name={pod}")).await;
    world.ask("Redis-0.redis.default.svc", 3, 5).await;
    world.ask("redis-9.redis.default.svc", 3, 2).await;
    world.ask("redis-0.redis.default.svc", 200, 1).await;
    let (_, top) = world.get("/top?limit=1").await;
    let begins = top["begins"].as_str().unwrap();
    assert!(begins.parse::<jiff::Timestamp>().is_ok(), "{top}");
    let list = |by: &str, top: &Value| json!({"by": by, "begins": begins, "top": top});
    let named = |name: &str, count: u64| {
        let name = format!("{name}.redis.default.svc.cluster.local.");
        json!({"name": name, "count": count, "over": 0})
    };
    assert_eq!(top, list("name", &json!([named("redis-0", 6)])));
    let (_, top) = world.get("/top?by=negative").await;
    assert_eq!(top, list("negative", &json!([named("redis-9", 2)])));
    let client = |ip: &str, pods: &[&str], count: u64| json!({"client": ip, "pods": pods, "count": count, "over": 0});
    let clients = json!([
        client("10.244.0.3", &["default/redis-1"], 7),
        client("10.244.0.200", &[], 1)
    ]);
    let (_, top) = world.get("/top?by=client").await;
    assert_eq!(top, list("client", &clients));
    let (code, said) = world.told("top", &["--by", "client"]);
    let wanted = format!("since {begins}\n7  10.244.0.3 default/redis-1\n1  10.244.0.200\n");
    assert_eq!((code, said), (Some(0), wanted));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_of_search_lists_are_told_from_the_denied_with_what_fewer_ndots_would_change() {
    let world = World::start("admin 127.0.0.1:0").await;
    world.get(&format!("/wait?name={REDIS_1}")).await;
    for (name, times) in [
        // `redis-0.redis.default`, which the second suffix makes whole, from two namespaces.
        ("redis-0.redis.default.default.svc", 3),
        ("redis-0.redis.default.kube-system.svc", 1),
        ("redis-0.redis.default.svc", 4),
        // `redis.default`, with one dot.
        ("redis.default.default.svc", 3),
        // `www.example.com` and `example.com`, with every suffix.
        ("www.example.com.default.svc", 2),
        ("example.com.default.svc", 1),
        ("example.com.svc", 1),
        ("example.com", 1),
        // Whole names that are not there.
        ("redis-9.redis.default.svc", 9),
        ("_none._tcp.redis.default.svc", 9),
        ("nobody.default.svc", 9),
        // A namespace that is not there.
        ("a.b.c.nowhere.svc", 9),
    ] {
        world.ask(name, 3, times).await;
    }
    let (_, top) = world.get("/top?by=search").await;
    let line = |name: &str, namespaces: &[&str], count: u64, found: Option<&str>, ndots2: &str| {
        let leads_to = found.map(|name| format!("{name}.svc.cluster.local."));
        json!({
            "name": name, "namespaces": namespaces, "count": count, "over": 0, "leadsTo": leads_to,
            "ndots2": ndots2,
        })
    };
    let (redis_0, redis) = ("redis-0.redis.default", "redis.default");
    let both = ["default", "kube-system"];
    let wanted = json!([
        line(redis_0, &both, 4, Some(redis_0), "breaks"),
        line(redis, &both[..1], 3, Some(redis), "the same"),
        line("www.example.com", &both[..1], 2, None, "asked for at once"),
        line("example.com", &both[..1], 1, None, "the same"),
    ]);
    assert_eq!(top["top"], wanted);
    let (_, said) = world.told("top", &["--by", "search", "--limit", "1"]);
    let wanted = "4  redis-0.redis.default (from default, kube-system, is redis-0.redis.default.svc.cluster.local.; \
                  under ndots 2: breaks)\n";
    assert_eq!(said.split_once('\n').unwrap().1, wanted);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_walks_a_name_s_way_through_its_cluster_s_objects() {
    let world = World::start("admin 127.0.0.1:0").await;
    let set = "redis.default.svc.cluster.local";
    world.get(&format!("/wait?name={set}&for=count=3")).await;
    let (status, walk) = world.get("/walk?name=redis-7.redis").await;
    let cause = json!({
        "key": "ordinal-too-high", "denial": "NXDOMAIN",
        "says": "the StatefulSet redis has 3 Pods, redis-0 to redis-2: redis-7 is none of them",
        "mend": "kubectl -n default scale statefulset redis --replicas=8",
    });
    assert_eq!((status, &walk["cause"]), (200, &cause));
    let (_, walk) = world.get("/walk?name=redis-1.redis&from=redis-0").await;
    assert_eq!(walk["answer"], json!(["10.244.0.3"]));
    let no_pod = json!({"error": "there is no Pod nobody"});
    let nobody = world.get("/walk?name=redis&from=nobody").await;
    assert_eq!(nobody, (400, no_pod));
    let odd = json!({"error": "there is no Pod default?x=y"});
    let nobody = world.get("/walk?name=redis&from=default%3Fx%3Dy").await;
    assert_eq!(nobody, (400, odd));
    let (code, said) = world.told("why", &["redis-7.redis"]);
    assert_eq!(code, Some(1), "{said}");
    let name = "redis-7.redis.default.svc.cluster.local. A\n";
    assert!(said.starts_with(name), "{said}");
    assert!(
        said.contains("\n  StatefulSet default/redis (version "),
        "{said}"
    );
    let end = "\nmend: kubectl -n default scale statefulset redis --replicas=8\n";
    assert!(said.ends_with(end), "{said}");
    let (code, said) = world.told("why", &["redis-1.redis", "--from", "10.244.0.2"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("\nanswer: 10.244.0.3\n"), "{said}");
    let (code, said) = world.told("why", &["redis", "--from", "nobody"]);
    let wanted = format!("{}: there is no Pod nobody\n", world.admin);
    assert_eq!((code, said), (Some(3), wanted));
    world.stop().await;
}
