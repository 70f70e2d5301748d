//! `admin`: each request of docs/admin.md, and `history`, against a server whose names change.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use headless_cluster::{Cluster, Delays};
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
    stop: CancellationToken,
    server: JoinHandle<anyhow::Result<()>>,
    reconciler: JoinHandle<()>,
}

impl World {
    /// With the set of three, which is up.
    async fn start(directive: &str) -> Self {
        let cluster = Cluster::start(Delays::default());
        let text =
            format!(".:0 {{\n bind 127.0.0.1\n kubernetes cluster.local\n {directive}\n}}\n");
        let program = Program::bind(setup(&text, Ambient::Client(cluster.client()))).await;
        let program = program.unwrap();
        let admin = program.probes().unwrap()[0];
        let zone = program.zones().remove(0);
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
            stop,
            server,
        };
        world.cluster.apply("redis.yaml", REDIS).unwrap();
        world
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.with(path, "").await
    }

    /// The status and the answer of a request with a line more.
    async fn with(&self, path: &str, line: &str) -> (u16, Value) {
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
    let redis = json!({"service": "redis.default", "endpoints": 3, "ready": 3});
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
        ("/why?name=a.test", "a.test. is in no zone of this server"),
        (
            "/why?name=cluster.local&type=X",
            "type: a type such as A was expected",
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
        assert_eq!(world.with("/names", line).await.0, status, "{line}");
    }
    std::fs::remove_file(path).unwrap();
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_tells_a_name_s_history() {
    let world = World::start("admin 127.0.0.1:0").await;
    world.get(&format!("/wait?name={REDIS_1}")).await;
    let told = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
        command.args([
            "--log",
            "off",
            "history",
            "--server",
            &world.admin.to_string(),
        ]);
        let output = command.args(arguments).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
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
    let wanted = format!("{}: a.test. is in no zone of this server\n", world.admin);
    assert_eq!((code, said), (Some(1), wanted));
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
    for timeout in ["0s", "50ms"] {
        let wanted = (Some(1), says.clone(), missing.clone());
        assert_eq!(waited(&[&other, "--timeout", timeout]), wanted);
    }
    let (code, _, missing) = waited(&["a.test", "--timeout", "0s"]);
    let wanted = format!(
        "missing: a.test: {}: a.test. is in no zone of this server\n",
        world.admin
    );
    assert_eq!((code, missing), (Some(3), wanted));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_three_hundred_clients_that_wait_none_is_lost_when_the_name_comes() {
    let world = Arc::new(World::start("admin 127.0.0.1:0").await);
    let late = "late.default.svc.cluster.local";
    let waiting: Vec<_> = (0..300)
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
