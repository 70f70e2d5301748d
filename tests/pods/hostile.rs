//! Pods that mean harm, and ends without warning.

use std::io::{BufRead, BufReader};

use super::flow::Test;
use super::sandbox::Sandbox;

pub(crate) const TESTS: &[Test] = &[
    ("a_pod_that_means_harm_is_bounded_and_others_answer", harm),
    (
        "nothing_is_left_where_the_program_is_killed_under_load_ten_times",
        killed,
    ),
];

/// Each line says what came of a try; then it forks until it may not, and writes logs without end.
const HARM: &str = r#"
try() { "$@" >/dev/null 2>&1 && echo "could $*" || echo "refused $1"; }
try mount -t tmpfs none /mnt
try unshare -r true
try sh -c 'echo 1 > /proc/sys/kernel/panic'
try sh -c 'echo 1 > /sys/kernel/mm/ksm/run'
try sh -c 'echo b > /proc/sysrq-trigger'
try dd if=/dev/zero of=/root/fill bs=1M count=1000
rm -f /root/fill
{ kill -9 1; kill -9 -1; } 2>/dev/null; echo lives
exec perl -e '$| = 1; while (defined(my $pid = fork)) { if (!$pid) { sleep 1000; exit } $n++ } print $n < 1024 ? "bounded\n" : "$n\n"; print "x" x 1000, "\n" while 1'
"#;

fn harm(sandbox: Sandbox) {
    let run = [
        "run",
        "hostile",
        "--image=busybox",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        HARM,
    ];
    sandbox.kubectl(&run);
    let mut logs =
        sandbox.kubectl_child(&[], &["logs", "-f", "hostile", "--pod-running-timeout=30s"]);
    let lines = BufReader::new(logs.stdout.take().unwrap()).lines();
    let said: Vec<_> = lines
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("xxx"))
        .collect();
    let wanted = [
        "refused mount",
        "refused unshare",
        "refused sh",
        "refused sh",
        "refused sh",
        "refused dd",
        "lives",
        "bounded",
    ];
    assert_eq!(said, wanted);
    // It floods its log and has all the processes that it may have.
    for pod in ["redis-0", "redis-2"] {
        let ping = [
            "exec",
            pod,
            "--",
            "redis-cli",
            "-h",
            "redis-1.redis",
            "ping",
        ];
        assert_eq!(sandbox.kubectl(&ping), "PONG\n");
    }
    logs.kill().unwrap();
    logs.wait().unwrap();
    sandbox.kubectl(&["delete", "pod", "hostile", "--grace-period=0", "--force"]);
    let gone = sandbox.kubectl(&["get", "pods", "-o", "name"]);
    assert!(!gone.contains("hostile"), "{gone}");
}

fn killed(mut sandbox: Sandbox) {
    for _ in 0..10 {
        let folder = sandbox.path("");
        let mark = format!("--env=TMPDIR={}", folder.trim_end_matches('/'));
        sandbox.kubectl(&[
            "run",
            "load",
            "--image=busybox",
            &mark,
            "--",
            "sh",
            "-c",
            "while :; do sleep 0.01; done",
        ]);
        sandbox.kubectl(&["scale", "statefulset", "redis", "--replicas=6"]);
        sandbox.kubectl(&["delete", "pod", "redis-0", "redis-1", "--wait=false"]);
        sandbox.kill();
        sandbox = sandbox.again();
    }
}
