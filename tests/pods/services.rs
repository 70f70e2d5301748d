//! Ports of other kinds, and what is done around a container's life.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::flow::Test;
use super::sandbox::Sandbox;

pub(crate) const TESTS: &[Test] = &[
    (
        "datagrams_and_node_ports_lead_to_a_service",
        datagrams_and_node_ports,
    ),
    ("hooks_run_after_a_start_and_before_an_end", hooks),
];

const ECHO: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: echo, labels: {app: echo}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: echo
      image: busybox
      command: [/usr/bin/python3, -c]
      args:
        - |
          import socket, threading
          udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(("", 7))
          tcp = socket.create_server(("", 7))
          def serve():
              while True:
                  s, _ = tcp.accept(); s.sendall(s.recv(99).upper()); s.close()
          threading.Thread(target=serve, daemon=True).start()
          while True:
              octets, who = udp.recvfrom(99); udp.sendto(octets.upper(), who)
      readinessProbe: {tcpSocket: {port: 7}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  type: NodePort
  selector: {app: echo}
  ports: [{name: udp, port: 7, protocol: UDP}, {name: tcp, port: 7}]
"#;

fn datagrams_and_node_ports(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], ECHO);
    assert!(applied.status.success(), "{applied:?}");
    let ask = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect((\"echo\", 7)); \
               s.send(b\"datagram\"); print(s.recv(99).decode())";
    let exec = ["exec", "redis-0", "--", "python3", "-c", ask];
    let said = sandbox.kubectl_until(&exec, |said| !said.is_empty());
    assert_eq!(said, "DATAGRAM\n");
    let port = "jsonpath={.spec.ports[?(@.name=='tcp')].nodePort}";
    let port = sandbox.kubectl(&["get", "service", "echo", "-o", port]);
    let mut stream = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    stream.write_all(b"node port").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "NODE PORT");
}

/// Each step is noted where another Pod keeps it.
const HOOKED: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: hooked}
spec:
  containers:
    - name: main
      image: busybox
      command: [sh, -c, "trap 'redis-cli -h redis-0.redis append steps term; exit 0' TERM; while :; do sleep 0.05; done"]
      lifecycle:
        postStart: {exec: {command: [redis-cli, -h, redis-0.redis, append, steps, start-]}}
        preStop: {exec: {command: [redis-cli, -h, redis-0.redis, append, steps, stop-]}}
"#;

fn hooks(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], HOOKED);
    assert!(applied.status.success(), "{applied:?}");
    let ready = "jsonpath={.status.containerStatuses[0].ready}";
    sandbox.kubectl_until(&["get", "pod", "hooked", "-o", ready], |ready| {
        ready == "true"
    });
    let steps = || sandbox.kubectl(&["exec", "redis-0", "--", "redis-cli", "get", "steps"]);
    assert_eq!(steps(), "start-\n");
    sandbox.kubectl(&["delete", "pod", "hooked"]);
    assert_eq!(steps(), "start-stop-term\n");
}
