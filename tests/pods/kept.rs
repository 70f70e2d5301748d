//! What is kept: by claims, and by those who follow each other.

use super::flow::Test;
use super::sandbox::Sandbox;

pub(crate) const TESTS: &[Test] = &[
    (
        "what_claims_keep_is_there_in_the_next_sandbox_and_gone_with_the_claim",
        data,
    ),
    ("mariadb_replicates_from_pod_to_pod_by_name", mariadb),
];

fn data(sandbox: Sandbox) {
    let folder = sandbox.path("data");
    let data = ["--data", &folder];
    let cli = |sandbox: &Sandbox, words: &[&str]| {
        sandbox.kubectl(&[&["exec", "redis-1", "--", "redis-cli"], words].concat())
    };
    let first = sandbox.with(&data);
    assert_eq!(cli(&first, &["set", "greeting", "hello"]), "OK\n");
    assert_eq!(cli(&first, &["save"]), "OK\n");
    drop(first);
    let second = sandbox.with(&data);
    assert_eq!(cli(&second, &["get", "greeting"]), "hello\n");
    second.kubectl(&["scale", "statefulset", "redis", "--replicas=1"]);
    let list = ["get", "pods", "-o", "name"];
    second.kubectl_until(&list, |pods| pods == "pod/redis-0\n");
    second.kubectl(&["delete", "pvc", "redis-data-redis-1"]);
    second.kubectl(&["scale", "statefulset", "redis", "--replicas=2"]);
    let get = ["exec", "redis-1", "--", "redis-cli", "get", "greeting"];
    second.kubectl_until(&get, |text| text == "\n");
}

fn mariadb(sandbox: Sandbox) {
    let manifest = sandbox.path("mariadb.yaml");
    std::fs::write(&manifest, include_str!("../../config/mariadb.yaml")).unwrap();
    let sandbox = sandbox.with(&["--image", "mariadb=mariadbd", &manifest]);
    let sql = |pod: &'static str, text: &'static str| {
        let words = ["-c", "mariadb", "--", "mariadb", "--host=127.0.0.1", "-Ne"];
        [&["exec", pod], &words[..], &[text]].concat()
    };
    let said = sandbox.kubectl(&sql("mariadb-1", "SELECT @@server_id, @@read_only"));
    assert_eq!(said, "101\t1\n");
    let made = "CREATE DATABASE shop; CREATE TABLE shop.t (n INT); INSERT INTO shop.t VALUES (1)";
    sandbox.kubectl(&sql("mariadb-0", made));
    let read = sql("mariadb-1", "SELECT n FROM shop.t");
    sandbox.kubectl_until(&read, |rows| rows == "1\n");
    // The first one goes, and comes back with its rows; the other finds it by its name.
    sandbox.kubectl(&["delete", "pod", "mariadb-0"]);
    let more = sql("mariadb-0", "INSERT INTO shop.t VALUES (2); SELECT 3");
    sandbox.kubectl_until(&more, |said| said == "3\n");
    sandbox.kubectl_until(&read, |rows| rows == "1\n2\n");
}
