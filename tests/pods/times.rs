//! How long things take: medians, printed. `cargo test --test pods -- --ignored --nocapture times` runs this.

use std::future::Future;

use headless_dns::pods::Images;
use headless_dns::sandbox::{Options, REDIS, Runtime, Sandbox};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::sandbox::REDIS as IMAGE;
use super::support::report;

/// How often each is done.
const TIMES: usize = 20;

/// Pods that are started together.
const MANY: usize = 100;

/// Prints them.
pub(crate) fn times() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        report(&format!(
            "medians of {TIMES}; a program that is not optimized"
        ));
        say("a Pod pretends to run", first(None).await);
        say(
            "a Pod's program is started",
            first(Some("sleep 1000")).await,
        );
        say(
            "a Pod's program has written its first line and ended",
            first(Some("echo hi")).await,
        );
        say("three redis are Ready, from the manifest on", redis().await);
        let (time, memory) = many().await;
        say("100 Pods run", time);
        report(&format!(
            "memory of the kernel for one of {MANY} Pods: {memory} KiB"
        ));
    });
}

/// A time in microseconds.
fn say(what: &str, mut times: Vec<u128>) {
    times.sort_unstable();
    let [least, median] = [times[0], times[times.len() / 2]].map(|time| {
        let (whole, rest) = (time / 1000, time % 1000 / 100);
        format!("{whole}.{rest}")
    });
    report(&format!("{what}: {median} ms, at best {least}"));
}

async fn sandbox(runs: bool) -> Sandbox {
    let images = Images::new(vec![IMAGE.parse().unwrap()], "/usr/bin:/bin").unwrap();
    let runtime = Runtime {
        data: None,
        program: env!("CARGO_BIN_EXE_headless-dns").into(),
        images,
        published: Vec::new(),
        socks: None,
    };
    let options = Options {
        manifests: Vec::new(),
        run: runs.then_some(runtime),
        ..Options::default()
    };
    Sandbox::start(options).await.unwrap()
}

fn pod(name: &str, script: &str) -> Value {
    let container = json!({"name": "main", "image": "busybox", "command": ["sh", "-c", script]});
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0, "containers": [container]},
    })
}

/// From the creation of a Pod until it runs, or where its program ends until it has.
async fn first(script: Option<&str>) -> Vec<u128> {
    let sandbox = sandbox(script.is_some()).await;
    let phase = match script {
        Some(script) if script.starts_with("echo") => "Succeeded",
        Some(_) | None => "Running",
    };
    let mut times = Vec::new();
    for at in 0..TIMES {
        let pod = pod(&format!("pod-{at}"), script.unwrap_or("true"));
        times.push(timed(applied(&sandbox, &[pod], phase)).await);
    }
    sandbox.stop().await.unwrap();
    times
}

async fn redis() -> Vec<u128> {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let sandbox = sandbox(true).await;
        let ready = async {
            let objects = sandbox.cluster().apply("redis", REDIS).unwrap();
            let set = objects
                .iter()
                .find(|object| object["kind"] == "StatefulSet");
            let is_ready = |set: Value| set["status"]["readyReplicas"] == 3;
            let look = |cluster: &headless_cluster::Cluster| cluster.present(set.unwrap());
            sandbox
                .cluster()
                .wait_until(|cluster| look(cluster).is_some_and(is_ready))
                .await;
        };
        times.push(timed(ready).await);
        sandbox.stop().await.unwrap();
    }
    times
}

/// With the kernel's memory for one Pod, in KiB.
async fn many() -> (Vec<u128>, u64) {
    let (mut times, mut memory) = (Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let sandbox = sandbox(true).await;
        let pods = (0..MANY).map(|at| pod(&format!("pod-{at}"), "exec sleep 1000"));
        let pods: Vec<_> = pods.collect();
        let before = kernel();
        times.push(timed(applied(&sandbox, &pods, "Running")).await);
        memory.push(kernel().saturating_sub(before) / MANY as u64);
        sandbox.stop().await.unwrap();
    }
    memory.sort_unstable();
    (times, memory[TIMES / 2])
}

/// Creates Pods, and waits until all are in that phase.
async fn applied(sandbox: &Sandbox, pods: &[Value], phase: &str) {
    for pod in pods {
        sandbox.cluster().apply("pod", &pod.to_string()).unwrap();
    }
    let is_there = |cluster: &headless_cluster::Cluster, pod: &Value| {
        let present = cluster.present(pod);
        present.is_some_and(|pod| pod["status"]["phase"] == phase)
    };
    let cluster = sandbox.cluster();
    cluster
        .wait_until(|cluster| pods.iter().all(|pod| is_there(cluster, pod)))
        .await;
}

async fn timed(work: impl Future<Output = ()>) -> u128 {
    let begun = Instant::now();
    work.await;
    begun.elapsed().as_micros()
}

/// What the kernel holds and cannot give back, in KiB.
fn kernel() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = text.lines().find(|line| line.starts_with("SUnreclaim:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}
