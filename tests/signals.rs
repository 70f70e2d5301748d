//! Signals: what ends the program ends it in order, and nothing else ends it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};

/// Starts the program, and waits for the first line on its standard output. Tests that run under `nohup` ignore SIGHUP, and
/// their children would.
fn start(arguments: &[&str]) -> Child {
    let mut child = Command::new("env")
        .args(["--default-signal=HUP", env!("CARGO_BIN_EXE_headless-dns")])
        .args(arguments)
        .args(["--log", "off"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    first_line(&mut child);
    child
}

/// Waits for the first line on the standard output.
fn first_line(child: &mut Child) {
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    assert!(stdout.read_line(&mut String::new()).unwrap() > 0);
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap())
}

/// Sends the signals one by one; how the program has ended.
fn end(mut child: Child, signals: &[Signal]) -> ExitStatus {
    for signal in signals {
        kill(pid(&child), *signal).unwrap();
    }
    child.wait().unwrap()
}

#[test]
fn a_server_ends_when_it_is_told_to_and_not_when_its_terminal_goes_or_a_reload_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let corefile = folder.path().join("Corefile");
    std::fs::write(&corefile, ".:0 {\n bind 127.0.0.1\n errors\n}\n").unwrap();
    let server = || start(&["serve", "-conf", corefile.to_str().unwrap()]);
    for last in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGQUIT] {
        let signals = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, last];
        let status = end(server(), &signals);
        assert_eq!((status.code(), status.signal()), (Some(0), None), "{last}");
    }
}

#[test]
fn a_sandbox_tidies_up_whatever_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let path = kubeconfig.to_str().unwrap();
    for signal in [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGQUIT,
    ] {
        let sandbox = start(&["sandbox", "--dns", "127.0.0.1:0", "--kubeconfig", path]);
        assert!(Path::new(path).exists());
        let status = end(sandbox, &[signal]);
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "{signal}"
        );
        assert!(!Path::new(path).exists(), "{signal}");
    }
}

#[test]
fn what_a_sandbox_that_was_killed_has_left_is_in_nobody_s_way() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    let path = kubeconfig.to_str().unwrap();
    let sandbox = || start(&["sandbox", "--dns", "127.0.0.1:0", "--kubeconfig", path]);
    let killed = end(sandbox(), &[Signal::SIGKILL]);
    assert_eq!((killed.signal(), kubeconfig.exists()), (Some(9), true));
    let first = sandbox();
    // That of one that runs stays.
    let arguments = ["sandbox", "--dns", "127.0.0.1:0", "--kubeconfig", path];
    let second = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .args(arguments)
        .output()
        .unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(said.contains("give --kubeconfig another path"), "{said}");
    let ended = end(first, &[Signal::SIGTERM]);
    assert_eq!((ended.code(), kubeconfig.exists()), (Some(0), false));
}

/// What a start waits for may never come.
#[test]
fn a_start_that_hangs_ends_when_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let fifo = path("fifo");
    mkfifo(fifo.as_str(), Mode::S_IRWXU).unwrap();
    // The plugin says that it runs, and waits for a writer that never comes.
    let begun = path("begun");
    mkfifo(begun.as_str(), Mode::S_IRWXU).unwrap();
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters: [{{name: a, cluster: {{server: 'http://127.0.0.1:1'}}}}]\n\
         contexts: [{{name: a, context: {{cluster: a, user: a}}}}]\nusers:\n- name: a\n  user:\n    exec:\n      \
         apiVersion: client.authentication.k8s.io/v1\n      interactiveMode: Never\n      command: sh\n      \
         args: [-c, 'echo > {begun}; exec cat {fifo}']\n"
    );
    std::fs::write(path("kubeconfig"), kubeconfig).unwrap();
    std::fs::write(path("Corefile"), ".:0 {\n bind 127.0.0.1\n kubernetes\n}\n").unwrap();
    let plugin = path("kubeconfig");
    let corefile = path("Corefile");
    // A plugin outlives its program, and ends with these.
    let mut held = Vec::new();
    for (arguments, runs_plugin) in [
        (vec!["serve", "-conf", &fifo], false),
        (vec!["sandbox", "--dns", "127.0.0.1:0", &fifo], false),
        (
            vec!["serve", "-conf", &corefile, "-kubeconfig", &plugin],
            true,
        ),
        (vec!["reconcile", "--kubeconfig", &plugin], true),
    ] {
        let child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
            .args(&arguments)
            .spawn()
            .unwrap();
        // Each of these waits until the other end is there: then the start hangs for certain.
        if runs_plugin {
            std::fs::read(&begun).unwrap();
        } else {
            held.push(File::options().write(true).open(&fifo).unwrap());
        }
        let status = end(child, &[Signal::SIGTERM]);
        assert_eq!(
            (status.code(), status.signal()),
            (Some(0), None),
            "{arguments:?}"
        );
    }
}

#[test]
fn a_sandbox_that_was_started_to_survive_its_terminal_does() {
    let mut sandbox = Command::new("nohup")
        .arg(env!("CARGO_BIN_EXE_headless-dns"))
        .args(["sandbox", "--dns", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    first_line(&mut sandbox);
    kill(pid(&sandbox), Signal::SIGHUP).unwrap();
    let mut said = BufReader::new(sandbox.stderr.take().unwrap()).lines();
    let ignored = said.find(|line| line.as_ref().unwrap().contains("SIGHUP is ignored"));
    assert!(ignored.is_some());
    let status = end(sandbox, &[Signal::SIGTERM]);
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
