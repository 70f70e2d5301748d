//! `wait` as a person or an init container starts it, against a cluster whose names come and go.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader, Lines};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use headless_dns::goal::Goal;
use headless_dns::sandbox::{Options, REDIS, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SET: &str = "redis.default.svc.cluster.local";
const REDIS_0: &str = "redis-0.redis.default.svc.cluster.local";

fn wait(server: SocketAddr, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_headless-dns"));
    command
        .args(["--log", "off", "wait", "--server", &server.to_string()])
        .args(arguments);
    command
}

/// Exit code, standard output and standard error.
fn looked(server: SocketAddr, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = wait(server, arguments);
    let output = command.args(["--timeout", "0s"]).output().unwrap();
    let Output {
        status,
        stdout,
        stderr,
    } = output;
    let text = |octets| String::from_utf8(octets).unwrap();
    (status.code(), text(stdout), text(stderr))
}

/// One that goes on, and the lines that it prints.
fn begun(server: SocketAddr, arguments: &[&str]) -> (Child, Lines<BufReader<ChildStdout>>) {
    let mut command = wait(server, arguments);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

async fn empty() -> Sandbox {
    let options = Options {
        manifests: Vec::new(),
        ..Options::default()
    };
    Sandbox::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_what_is_missing_and_ends_well_when_the_name_is_there() {
    let sandbox = empty().await;
    let (mut child, mut lines) = begun(sandbox.dns(), &[REDIS_0]);
    let first = lines.next().unwrap().unwrap();
    assert_eq!(
        first,
        format!("{REDIS_0}  NXDOMAIN (no service redis.default)")
    );
    sandbox.cluster().apply("redis.yaml", REDIS).unwrap();
    let last = lines.map(Result::unwrap).last();
    assert_eq!(last, Some(format!("{REDIS_0}  10.244.0.2")));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_goal_ends_it_with_its_code() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.ready().await.unwrap();
    let dns = sandbox.dns();
    let all = "10.244.0.2 10.244.0.3 10.244.0.4";
    let srv = format!("_redis._tcp.{SET}");
    for (goal, name, code, said) in [
        ("address", REDIS_0, 0, "10.244.0.2"),
        ("count=3", SET, 0, all),
        ("count=4", SET, 1, &format!("3 of 4 addresses: {all}")),
        ("address=10.244.0.3", SET, 0, all),
        ("address=10.0.0.1", SET, 1, &format!("{all}, not 10.0.0.1")),
        ("gone", REDIS_0, 1, "still 10.244.0.2"),
        ("gone", &format!("redis-7.{SET}"), 0, "gone"),
        (
            "srv",
            SET,
            0,
            &format!("redis-0.{SET}.:6379 redis-1.{SET}.:6379 redis-2.{SET}.:6379"),
        ),
        (
            "srv",
            &srv.replace("_redis.", "_http."),
            1,
            "NXDOMAIN (no such port of redis.default)",
        ),
    ] {
        let missing = match code {
            0 => String::new(),
            _ => format!("missing: {name}: {said}\n"),
        };
        let wanted = (Some(code), format!("{name}  {said}\n"), missing);
        let arguments = [name, &format!("--for={goal}")];
        assert_eq!(looked(dns, &arguments), wanted, "{goal}");
    }
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn one_name_of_several_that_is_missing_is_the_one_that_is_told_when_the_time_is_up() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.ready().await.unwrap();
    let other = format!("redis-7.{SET}");
    let mut command = wait(sandbox.dns(), &[REDIS_0, &other, "--timeout", "50ms"]);
    let output = command.output().unwrap();
    let said = format!("missing: {other}: NXDOMAIN (no such endpoint of redis.default)\n");
    assert_eq!(
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap()
        ),
        (Some(1), said)
    );
    sandbox.stop().await.unwrap();
}

#[test]
fn a_server_that_does_not_answer_has_a_code_of_its_own() {
    // Nobody answers datagrams there, and nobody else can.
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, said) = looked(port.local_addr().unwrap(), &["a.test."]);
    assert_eq!(code, Some(3));
    assert!(said.starts_with("missing: a.test.: no reply: "), "{said}");
    assert!(said.contains("connection refused"), "{said}");
}

#[test]
fn a_wrong_command_line_has_a_code_of_its_own() {
    let server = "127.0.0.1:9".parse().unwrap();
    for (arguments, expected) in [
        (&["a..b"][..], "a label is empty"),
        (
            &["a.test", "--for=count=0"],
            "a number from 1 on was expected",
        ),
        (&["a.test", "--for=soon"], "count=N"),
        (&["a.test", "--timeout", "5"], "a duration such as 5s"),
        (&[], "required"),
    ] {
        let output = wait(server, arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected), "{said}");
    }
}

#[tokio::test]
async fn a_program_s_tests_wait_for_names_as_a_pod_writes_them() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox
        .wait(&["redis-0.redis", "redis-2.redis.default"], Goal::Address)
        .await
        .unwrap();
    sandbox
        .wait(&["redis.default.svc"], Goal::Count(3))
        .await
        .unwrap();
    sandbox.wait(&["redis-3.redis"], Goal::Gone).await.unwrap();
    assert!(sandbox.wait(&["a..b"], Goal::Address).await.is_err());
    sandbox.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_answered_once_and_goes_is_not_one_that_nobody_has_heard() {
    let sandbox = empty().await;
    let (mut child, mut lines) = begun(sandbox.dns(), &[REDIS_0]);
    let first = lines.next().unwrap().unwrap();
    assert!(first.contains("NXDOMAIN"), "{first}");
    sandbox.stop().await.unwrap();
    let gone = lines.next().unwrap().unwrap();
    assert!(gone.contains("no reply: "), "{gone}");
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
}
