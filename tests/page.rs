//! What the page is made of: its files, and what changes as it comes. Chromium looks at it in tests/page/run.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod support;

use std::net::SocketAddr;

use headless_dns::sandbox::{Options, Sandbox};
use serde_json::{Value, json};
use support::sandbox::sandbox;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

async fn request(admin: SocketAddr, path: &str, host: &str) -> TcpStream {
    let mut stream = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// The head and the body of an answer.
async fn get(admin: SocketAddr, path: &str, host: &str) -> (String, String) {
    let mut answer = String::new();
    let mut stream = request(admin, path, host).await;
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_ascii_lowercase(), body.to_owned())
}

async fn told(admin: SocketAddr, path: &str) -> Value {
    let (_, body) = get(admin, path, "localhost").await;
    serde_json::from_str(&body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_s_files_may_lead_nowhere_and_a_browser_that_was_led_here_gets_none() {
    let (sandbox, admin) = sandbox().await;
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/page.js", "text/javascript; charset=utf-8"),
        ("/kit.js", "text/javascript; charset=utf-8"),
        ("/cluster.js", "text/javascript; charset=utf-8"),
        ("/page.css", "text/css; charset=utf-8"),
        ("/page.svg", "image/svg+xml"),
        ("/names", "application/json"),
    ] {
        let (head, _) = get(admin, path, "localhost:8054").await;
        assert!(head.starts_with("http/1.1 200"), "{path} {head}");
        let policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        for line in [
            format!("content-type: {kind}"),
            format!("content-security-policy: {policy}"),
            "x-content-type-options: nosniff".to_owned(),
        ] {
            assert!(head.lines().any(|own| own == line), "{path} {line} {head}");
        }
        let (head, body) = get(admin, path, "rebind.example.com:8054").await;
        assert!(head.starts_with("http/1.1 403"), "{path} {head}");
        let policy = format!("content-security-policy: {policy}");
        assert!(head.lines().any(|own| own == policy), "{path} {head}");
        let why = json!({"error": "the Host is somebody's name: ask by address, or as localhost"});
        assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), why);
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn services_are_found_by_a_part_of_their_name_and_their_names_are_told() {
    let (sandbox, admin) = sandbox().await;
    let all = told(admin, "/names").await;
    assert_eq!(all["total"], 2, "{all}");
    let redis = json!({"service": "redis.default", "kind": "headless", "endpoints": 3, "ready": 3});
    let found = told(admin, "/names?find=EDIS").await;
    assert_eq!(found, json!({"synced": true, "total": 1, "names": [redis]}));
    let first = told(admin, "/names?limit=1").await;
    assert_eq!(
        (&first["total"], first["names"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
    let service = told(admin, "/service?service=redis.default&limit=2").await;
    let line = |name: &str, addresses: &[&str]| {
        let name = format!("{name}.default.svc.cluster.local");
        json!({"name": name, "addresses": addresses, "ready": true})
    };
    let all = ["10.244.0.2", "10.244.0.3", "10.244.0.4"];
    let names = [line("redis", &all), line("redis-0.redis", &all[..1])];
    let wanted =
        json!({"service": "redis.default", "kind": "headless", "total": 4, "names": names});
    assert_eq!(service, json!({"services": [wanted]}));
    let both = told(
        admin,
        "/service?service=nobody.default&service=redis.default&limit=2",
    )
    .await;
    let nobody =
        json!({"service": "nobody.default", "error": "there is no Service nobody.default"});
    assert_eq!(both, json!({"services": [nobody, wanted]}));
    let expected = json!({"error": "service: a Service such as redis.default was expected"});
    assert_eq!(told(admin, "/service?service=redis").await, expected);
    let many = "service=redis.default&".repeat(65);
    let expected = json!({"error": "service: 64 at most were expected"});
    assert_eq!(told(admin, &format!("/service?{many}")).await, expected);
    let idle = "apiVersion: v1\nkind: Service\nmetadata: {name: idle}\nspec: {clusterIP: None}\n";
    sandbox.cluster().apply("idle", idle).unwrap();
    // The server has it a moment later.
    let idle = loop {
        let told = told(admin, "/service?service=idle.default").await["services"][0].take();
        if told["error"].is_null() {
            break told;
        }
    };
    let line = json!({"name": "idle.default.svc.cluster.local", "addresses": [], "ready": false});
    assert_eq!(idle["names"], json!([line]));
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_asked_for_its_names_and_explained() {
    let (sandbox, admin) = sandbox().await;
    let walk = told(admin, "/walk?name=10.244.0.3").await;
    let name = "3.0.244.10.in-addr.arpa.";
    assert_eq!(
        (&walk["name"], &walk["type"]),
        (&json!(name), &json!("PTR"))
    );
    let answer = "redis-1.redis.default.svc.cluster.local";
    assert_eq!(walk["answer"], json!([format!("PTR {answer}")]), "{walk}");
    let why = told(admin, "/why?name=10.244.0.3").await;
    assert_eq!(why["answer"][0]["data"], format!("{answer}."), "{why}");
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_changed_is_told_at_first_and_what_changes_as_it_comes() {
    let (sandbox, admin) = sandbox().await;
    let mut stream = BufReader::new(request(admin, "/changes", "localhost").await);
    let mut next = async || loop {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "it ends");
        if let Some(data) = line.strip_prefix("data: ") {
            return serde_json::from_str::<Value>(data).unwrap();
        }
    };
    let first = next().await;
    assert!(first["begins"].is_string(), "{first}");
    let about = |message: &Value, name: &str, key: &str| {
        let events = message["events"].as_array().unwrap().clone();
        let names = events
            .iter()
            .flat_map(|event| event["names"].as_array().unwrap().clone());
        names
            .filter(|own| own["name"] == name)
            .flat_map(|own| own[key].as_array().unwrap().clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        about(&first, "redis-1.redis.default.svc", "added"),
        [json!("10.244.0.3")]
    );
    let service = "apiVersion: v1\nkind: Service\nmetadata: {name: late}\nspec: {clusterIP: 10.96.0.77, ports: [{port: 80}]}\n";
    sandbox.cluster().apply("late.yaml", service).unwrap();
    loop {
        let message = next().await;
        assert_eq!(message["begins"], Value::Null);
        if about(&message, "late.default.svc", "added") == [json!("10.96.0.77")] {
            assert_eq!(message["services"], 3, "{message}");
            break;
        }
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_tells_of_its_pods_their_logs_and_who_selects_them() {
    let (sandbox, admin) = sandbox().await;
    let cluster = told(admin, "/cluster").await;
    let pods = cluster["pods"]["items"].as_array().unwrap();
    let names: Vec<&Value> = pods.iter().map(|pod| &pod["name"]).collect();
    assert_eq!(
        names,
        ["default/redis-0", "default/redis-1", "default/redis-2"]
    );
    assert_eq!(
        (&pods[1]["ip"], &pods[1]["ready"]),
        (&json!("10.244.0.3"), &json!(true))
    );
    let container = json!({"name": "redis", "image": "redis:6.2", "state": "running", "reason": null, "restarts": 0});
    assert_eq!(pods[1]["containers"], json!([container]));
    let claims = cluster["claims"]["items"].as_array().unwrap();
    let claim = json!({
        "name": "default/redis-data-redis-1", "phase": "Bound", "size": "2Gi", "volume": claims[1]["volume"],
        "pods": ["default/redis-1"],
    });
    assert_eq!(claims[1], claim);
    assert_eq!(
        cluster["graph"]["lines"],
        json!([[[0, 0], [0, 1], [0, 2]], [[0, 0], [1, 0], [2, 0]]])
    );
    assert_eq!(cluster["nodes"]["total"], 1);
    assert!(
        cluster["events"]["total"].as_u64().unwrap() > 3,
        "{cluster}"
    );
    let log = told(admin, "/log?pod=default/redis-1&container=redis").await;
    assert!(!log["text"].as_str().unwrap().is_empty(), "{log}");
    for (path, why) in [
        (
            "/log?pod=redis-1&container=redis",
            "pod: a Pod such as default/redis-0 was expected",
        ),
        (
            "/log?pod=default/../x&container=redis",
            "pod: a Pod such as default/redis-0 was expected",
        ),
        ("/log?pod=default/redis-1", "container: a name was expected"),
    ] {
        assert_eq!(told(admin, path).await, json!({"error": why}), "{path}");
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sandbox_that_is_not_asked_for_it_has_no_page() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    assert_eq!(sandbox.admin(), None);
    sandbox.stop().await.unwrap();
}
