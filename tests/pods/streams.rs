//! Streams that carry more than a program's output: files, ports, and what older clients speak.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use super::flow::Test;
use super::sandbox::Sandbox;

pub(crate) const TESTS: &[Test] = &[
    (
        "clients_that_speak_spdy_run_programs_like_all_others",
        older,
    ),
    ("ports_of_a_pod_are_reached_from_outside", ports),
    ("files_are_copied_into_a_pod_and_out_of_it", copies),
];

/// What has kubectl speak as its versions before 1.30 and 1.31 do.
const OLDER: &[(&str, &str)] = &[
    ("KUBECTL_REMOTE_COMMAND_WEBSOCKETS", "false"),
    ("KUBECTL_PORT_FORWARD_WEBSOCKETS", "false"),
];

fn older(sandbox: Sandbox) {
    let script = "cat; echo err >&2; exit 7";
    let exec = ["exec", "-i", "redis-0", "--", "sh", "-c", script];
    // More than any buffer on the way holds.
    let much = "0123456789abcde\n".repeat(1 << 16);
    let output = sandbox.kubectl_as(OLDER, &exec, &much);
    assert!(output.stdout == much.as_bytes(), "{}", output.stdout.len());
    let err = String::from_utf8(output.stderr).unwrap();
    let wanted = "err\ncommand terminated with exit code 7\n";
    assert_eq!((err.as_str(), output.status.code()), (wanted, Some(7)));
}

fn ports(sandbox: Sandbox) {
    for environment in [&[], OLDER] {
        let mut forwarding =
            sandbox.kubectl_child(environment, &["port-forward", "redis-0", ":6379"]);
        let mut lines = BufReader::new(forwarding.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.strip_prefix("Forwarding from ").unwrap();
        let (address, _) = address.split_once(' ').unwrap();
        // One connection for each command; redis closes it after the last.
        let ask = |words: &[&str]| {
            let sizes = words
                .iter()
                .map(|word| format!("${}\r\n{word}\r\n", word.len()));
            let command = sizes.collect::<String>();
            let command = format!("*{}\r\n{command}QUIT\r\n", words.len());
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(command.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        assert_eq!(ask(&["PING"]), "+PONG\r\n+OK\r\n");
        let long = "x".repeat(1 << 20);
        assert_eq!(ask(&["SET", "long", &long]), "+OK\r\n+OK\r\n");
        let whole = format!("${}\r\n{long}\r\n+OK\r\n", long.len());
        assert!(ask(&["GET", "long"]) == whole);
        forwarding.kill().unwrap();
        forwarding.wait().unwrap();
    }
    let mut refused = sandbox.kubectl_child(&[], &["port-forward", "redis-0", ":1"]);
    let mut lines = BufReader::new(refused.stdout.take().unwrap()).lines();
    let line = lines.next().unwrap().unwrap();
    let address = line.split_whitespace().nth(2).unwrap();
    let mut answer = String::new();
    let mut stream = TcpStream::connect(address).unwrap();
    // It is closed, or reset.
    let _closed = stream.read_to_string(&mut answer);
    assert_eq!(answer, "");
    let mut said = BufReader::new(refused.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("an error occurred forwarding") {
        line.clear();
        assert_ne!(said.read_line(&mut line).unwrap(), 0);
    }
    assert!(line.contains("Connection refused"), "{line}");
    refused.kill().unwrap();
    refused.wait().unwrap();
}

fn copies(sandbox: Sandbox) {
    let (there, back) = (sandbox.path("there"), sandbox.path("back"));
    let much: Vec<u8> = (0..3_000_000_u32)
        .map(|i| i.to_le_bytes()[i as usize % 3])
        .collect();
    std::fs::write(&there, &much).unwrap();
    if nix::unistd::geteuid().is_root() {
        // Of somebody whom the container may not know.
        std::os::unix::fs::chown(&there, Some(1234), Some(1234)).unwrap();
    }
    sandbox.kubectl(&["cp", &there, "redis-0:/tmp/there"]);
    sandbox.kubectl(&["cp", "redis-0:/tmp/there", &back]);
    assert!(std::fs::read(&back).unwrap() == much);
}
