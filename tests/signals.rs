//! Signals: what ends the program ends it in order, and nothing else ends it.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Starts the program, and waits for the first line on its standard output.
fn start(arguments: &[&str]) -> Child {
    let mut child = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .args(arguments)
        .args(["--log", "off"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    assert!(stdout.read_line(&mut String::new()).unwrap() > 0);
    child
}

/// Sends the signals one by one; how the program has ended.
fn end(mut child: Child, signals: &[Signal]) -> ExitStatus {
    for signal in signals {
        kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), *signal).unwrap();
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
