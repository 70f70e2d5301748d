//! What people type first.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::sandbox::Sandbox;

/// A sentence, and what shows it.
pub(crate) type Test = (&'static str, fn(Sandbox));

pub(crate) const TESTS: &[Test] = &[
    (
        "redis_keeps_its_data_and_its_name_through_the_end_of_its_pod",
        redis,
    ),
    (
        "the_address_of_a_service_leads_to_pods_that_are_ready",
        service,
    ),
    ("exec_carries_streams_and_exit_codes", exec),
    ("logs_are_what_the_program_wrote", logs),
    ("an_image_that_nobody_named_is_said_with_what_to_add", image),
    (
        "variables_and_volumes_come_from_the_cluster_s_objects",
        objects,
    ),
    ("volumes_have_the_group_that_a_pod_asks_for", group),
    (
        "volumes_follow_their_objects_but_for_parts_of_them",
        followed,
    ),
    (
        "init_containers_run_first_and_what_fails_is_started_again",
        init,
    ),
    (
        "probes_say_when_a_container_is_ready_and_when_it_is_to_end",
        probes,
    ),
    (
        "an_ephemeral_container_looks_around_in_a_pod_that_is_there",
        debug,
    ),
    (
        "a_shell_in_the_node_s_network_finds_pods_by_their_names",
        shell,
    ),
    ("nothing_is_left_where_the_program_is_killed", killed),
];

fn debug(sandbox: Sandbox) {
    let debug = [
        "debug",
        "-i",
        "redis-0",
        "--image=busybox",
        "-c",
        "look",
        "--",
    ];
    let said = sandbox.kubectl_with(&[&debug[..], &["sh"]].concat(), "hostname; exit 3\n");
    assert!(said.stdout.starts_with(b"redis-0\n"), "{said:?}");
    let target = [&debug[..], &["sh"]].concat().join("\n");
    let target = target.replace("-c\nlook", "-c\nbeside\n--target=redis");
    let target: Vec<&str> = target.lines().collect();
    let said = sandbox.kubectl_with(&target, "cat /proc/1/comm; exit\n");
    assert!(said.stdout.ends_with(b"redis-server\n"), "{said:?}");
    let status = "jsonpath={.status.phase} {.status.ephemeralContainerStatuses[0].state.terminated.exitCode}";
    sandbox.kubectl_until(&["get", "pod", "redis-0", "-o", status], |text| {
        text == "Running 3"
    });
}

fn shell(sandbox: Sandbox) {
    let said = sandbox.shell(&["getent", "ahostsv4", "redis-1.redis"]);
    let ip = sandbox.kubectl(&["get", "pod", "redis-1", "-o", "jsonpath={.status.podIP}"]);
    assert_eq!(said.split_whitespace().next(), Some(ip.as_str()), "{said}");
    let said = sandbox.shell(&["redis-cli", "-h", "redis-1.redis", "ping"]);
    assert_eq!(said, "PONG\n");
}

fn redis(sandbox: Sandbox) {
    let cli = |pod: &str, words: &[&str]| {
        sandbox.kubectl(&[&["exec", pod, "--", "redis-cli"], words].concat())
    };
    assert_eq!(cli("redis-0", &["set", "greeting", "hello"]), "OK\n");
    assert_eq!(cli("redis-0", &["get", "greeting"]), "hello\n");
    // By its name, from another Pod.
    assert_eq!(
        cli("redis-2", &["-h", "redis-0.redis", "get", "greeting"]),
        "hello\n"
    );
    let lookup = |name: &str| {
        let run = [
            "run",
            "-i",
            "--rm",
            "--image",
            "busybox:1.28.4",
            "dns-test",
            "--restart=Never",
            "--",
        ];
        sandbox.kubectl(&[&run[..], &["nslookup", name]].concat())
    };
    let ip = |pod: &str| sandbox.kubectl(&["get", "pod", pod, "-o", "jsonpath={.status.podIP}"]);
    let named = |pod: &str| {
        format!(
            "Address 1: {} {pod}.redis.default.svc.cluster.local\n",
            ip(pod)
        )
    };
    let said = lookup("redis-1.redis");
    assert!(said.contains(&named("redis-1")), "{said}");
    let before = ip("redis-0");
    sandbox.kubectl(&["delete", "pod", "redis-0"]);
    let ready = "jsonpath={.status.conditions[?(@.type=='Ready')].status}";
    sandbox.kubectl_until(&["get", "pod", "redis-0", "-o", ready], |ready| {
        ready == "True"
    });
    assert_ne!(ip("redis-0"), before);
    let said = lookup("redis-0.redis");
    assert!(said.contains(&named("redis-0")), "{said}");
    sandbox.kubectl_until(
        &["exec", "redis-0", "--", "redis-cli", "get", "greeting"],
        |text| text == "hello\n",
    );
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: any}
spec: {selector: {app: redis}, ports: [{port: 7000, targetPort: 6379}]}
";

fn service(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], SERVICE);
    assert!(applied.status.success(), "{applied:?}");
    let ask = |words: &[&str]| {
        let cli = [
            "exec",
            "redis-0",
            "--",
            "redis-cli",
            "-h",
            "any",
            "-p",
            "7000",
        ];
        sandbox.kubectl_until(&[&cli[..], words].concat(), |text| !text.is_empty())
    };
    assert_eq!(ask(&["ping"]), "PONG\n");
    let mut published = TcpStream::connect(sandbox.published).unwrap();
    published.write_all(b"PING\r\nQUIT\r\n").unwrap();
    let mut answer = String::new();
    published.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "+PONG\r\n+OK\r\n");
    // Each in its turn.
    let id = |_| {
        let said = ask(&["info", "server"]);
        let line = said.lines().find(|line| line.starts_with("run_id:"));
        line.unwrap().to_owned()
    };
    let ids: std::collections::BTreeSet<_> = (0..3).map(id).collect();
    assert_eq!(ids.len(), 3);
}

fn exec(sandbox: Sandbox) {
    let run = |script: &str, input: &str| {
        let arguments = ["exec", "-i", "redis-0", "--", "sh", "-c", script];
        let output = sandbox.kubectl_with(&arguments, input);
        let text = |octets: Vec<u8>| String::from_utf8(octets).unwrap();
        (
            text(output.stdout),
            text(output.stderr),
            output.status.code(),
        )
    };
    let wanted = "command terminated with exit code 7\n";
    assert_eq!(
        run("echo out; echo err >&2; exit 7", ""),
        ("out\n".into(), format!("err\n{wanted}"), Some(7))
    );
    let (out, _, code) = run("cat; echo end", "through\n");
    assert_eq!((out.as_str(), code), ("through\nend\n", Some(0)));
    let (out, ..) = run("hostname; hostname -i; cat /proc/1/comm", "");
    let ip = sandbox.kubectl(&["get", "pod", "redis-0", "-o", "jsonpath={.status.podIP}"]);
    assert!(out.starts_with("redis-0\n") && out.contains(&ip), "{out}");
    assert!(out.ends_with("redis-server\n"), "{out}");
    let (_, err, code) = run("", "");
    assert_eq!((err.as_str(), code), ("", Some(0)));
}

fn logs(sandbox: Sandbox) {
    let script = "for i in 1 2 3; do echo line $i; done; sleep 1000";
    sandbox.kubectl(&["run", "teller", "--image=busybox", "--", "sh", "-c", script]);
    let all = "line 1\nline 2\nline 3\n";
    sandbox.kubectl_until(&["logs", "teller"], |text| text == all);
    assert_eq!(sandbox.kubectl(&["logs", "teller", "--tail=1"]), "line 3\n");
    assert_eq!(sandbox.kubectl(&["logs", "teller", "--since=1h"]), all);
    let stamped = sandbox.kubectl(&["logs", "teller", "--timestamps", "--tail=1"]);
    let (time, line) = stamped.split_once(' ').unwrap();
    assert!(
        time.parse::<jiff::Timestamp>().is_ok() && line == "line 3\n",
        "{stamped}"
    );
    let previous = sandbox.kubectl_with(&["logs", "-p", "teller"], "");
    let said = String::from_utf8(previous.stderr).unwrap();
    assert!(
        said.contains("previous terminated container \"teller\" in pod \"teller\" not found"),
        "{said}"
    );
    // Followed to the end of one that ends.
    let script = "for i in 1 2 3; do echo $i; sleep 0.05; done";
    sandbox.kubectl(&[
        "run",
        "short",
        "--image=busybox",
        "--restart=Never",
        "--",
        "sh",
        "-c",
        script,
    ]);
    let followed = sandbox.kubectl_until(&["logs", "-f", "short"], |text| !text.is_empty());
    assert_eq!(followed, "1\n2\n3\n");
}

fn image(sandbox: Sandbox) {
    sandbox.kubectl(&["run", "web", "--image=nginx:1.27"]);
    let waiting = "jsonpath={.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}";
    let said = sandbox.kubectl_until(&["get", "pod", "web", "-o", waiting], |text| {
        text.starts_with("ImagePull")
    });
    assert_eq!(
        said,
        "ImagePullBackOff: Back-off pulling image \"nginx:1.27\": no registry is asked; say which program of this machine stands for it, or where its files are: \
         --image nginx:1.27=PROGRAM"
    );
}

const OBJECTS: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, app.conf: "color = blue\n"}
---
apiVersion: v1
kind: Secret
metadata: {name: secret}
stringData: {password: hidden}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  restartPolicy: Never
  containers:
    - name: reader
      image: busybox
      command: [sh, -c]
      args: ["echo $COLOR $(GREETING) $PASSWORD $POD_IP $KUBERNETES_SERVICE_HOST; cat /etc/app/app.conf /one/pw; cp /one/pw /shared/x && ls /shared; id -u"]
      env:
        - {name: COLOR, valueFrom: {configMapKeyRef: {name: settings, key: color}}}
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: GREETING, value: "hello-$(NAME)"}
        - {name: PASSWORD, valueFrom: {secretKeyRef: {name: secret, key: password}}}
        - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
      volumeMounts:
        - {name: settings, mountPath: /etc/app}
        - {name: secret, mountPath: /one}
        - {name: shared, mountPath: /shared}
  volumes:
    - {name: settings, configMap: {name: settings}}
    - {name: secret, secret: {secretName: secret, items: [{key: password, path: pw, mode: 0400}]}}
    - {name: shared, emptyDir: {}}
"#;

fn objects(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], OBJECTS);
    assert!(applied.status.success(), "{applied:?}");
    sandbox.kubectl_until(
        &["get", "pod", "reader", "-o", "jsonpath={.status.phase}"],
        |p| p == "Succeeded",
    );
    let ip = sandbox.kubectl(&["get", "pod", "reader", "-o", "jsonpath={.status.podIP}"]);
    let wanted = format!("blue hello-reader hidden {ip} 10.96.0.1\ncolor = blue\nhiddenx\n0\n");
    assert_eq!(sandbox.kubectl(&["logs", "reader"]), wanted);
}

const FOLLOWED: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue, shape: round}
---
apiVersion: v1
kind: Pod
metadata: {name: reader, labels: {color: blue}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: reader
      image: busybox
      command: [sh, -c, "while sleep 1; do :; done"]
      volumeMounts:
        - {name: settings, mountPath: /all}
        - {name: settings, mountPath: /part/color, subPath: color}
        - {name: me, mountPath: /me}
  volumes:
    - {name: settings, configMap: {name: settings}}
    - {name: me, downwardAPI: {items: [{path: color, fieldRef: {fieldPath: "metadata.labels['color']"}}]}}
"#;

fn followed(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], FOLLOWED);
    assert!(applied.status.success(), "{applied:?}");
    let look =
        "cd /all; echo $(ls) $(for at in color ../part/color ../me/color; do cat $at; echo; done)";
    let look = ["exec", "reader", "--", "sh", "-c", look];
    sandbox.kubectl_until(&look, |said| said == "color shape blue blue blue\n");
    let data = r#"{"data": {"color": "red", "shape": null, "size": "small"}}"#;
    sandbox.kubectl(&["patch", "configmap", "settings", "--type=merge", "-p", data]);
    // What is mounted of a part stays.
    sandbox.kubectl_until(&look, |said| said == "color size red blue blue\n");
    sandbox.kubectl(&["label", "--overwrite", "pod", "reader", "color=green"]);
    sandbox.kubectl_until(&look, |said| said == "color size red blue green\n");
    let link = ["exec", "reader", "--", "readlink", "/all/color"];
    assert_eq!(sandbox.kubectl(&link), "..data/color\n");
}

const GROUP: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {color: blue}
---
apiVersion: v1
kind: Pod
metadata: {name: grouped}
spec:
  restartPolicy: Never
  securityContext: {runAsUser: 1000, runAsGroup: 1000, fsGroup: 2000, supplementalGroups: [3000]}
  containers:
    - name: grouped
      image: busybox
      command: [sh, -c]
      args: ["id -G; touch /shared/x; stat -c %g /shared /shared/x; stat -L -c '%g %a' /etc/app/color; cat /etc/app/color"]
      volumeMounts:
        - {name: settings, mountPath: /etc/app}
        - {name: shared, mountPath: /shared}
  volumes:
    - {name: settings, configMap: {name: settings, defaultMode: 0400}}
    - {name: shared, emptyDir: {}}
"#;

fn group(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], GROUP);
    assert!(applied.status.success(), "{applied:?}");
    let phase = ["get", "pod", "grouped", "-o", "jsonpath={.status.phase}"];
    sandbox.kubectl_until(&phase, |phase| phase == "Succeeded");
    let wanted = if sandbox.has_ids() {
        "1000 2000 3000\n2000\n2000\n2000 440\nblue"
    } else {
        // One id is all that there is.
        "1000\n1000\n1000\n1000 400\nblue"
    };
    assert_eq!(sandbox.kubectl(&["logs", "grouped"]), wanted);
}

const INIT: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: staged}
spec:
  initContainers:
    - {name: one, image: busybox, command: [sh, -c, "echo one >> /work/order"], volumeMounts: [{name: work, mountPath: /work}]}
    - {name: two, image: busybox, command: [sh, -c, "echo two >> /work/order"], volumeMounts: [{name: work, mountPath: /work}]}
  containers:
    - name: main
      image: busybox
      command: [sh, -c, "echo main >> /work/order; cat /work/order; test -e /work/again && exec sleep 1000; touch /work/again; exit 3"]
      volumeMounts: [{name: work, mountPath: /work}]
  volumes:
    - {name: work, emptyDir: {}}
"#;

fn init(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], INIT);
    assert!(applied.status.success(), "{applied:?}");
    let state = "jsonpath={.status.phase} {.status.containerStatuses[0].restartCount} {.status.containerStatuses[0].lastState.terminated.exitCode}";
    sandbox.kubectl_until(&["get", "pod", "staged", "-o", state], |text| {
        text == "Running 1 3"
    });
    assert_eq!(
        sandbox.kubectl(&["logs", "-p", "staged", "-c", "main"]),
        "one\ntwo\nmain\n"
    );
    sandbox.kubectl_until(&["logs", "staged", "-c", "main"], |text| {
        text == "one\ntwo\nmain\nmain\n"
    });
    assert_eq!(sandbox.kubectl(&["logs", "staged", "-c", "one"]), "");
    // Its sleep is pid 1 there, which takes no notice of SIGTERM: no grace is waited for.
    sandbox.kubectl(&["delete", "pod", "staged", "--grace-period=0", "--force"]);
}

const PROBES: &str = r#"
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: web
      image: busybox
      command: [/usr/bin/python3, -m, http.server, "8080"]
      workingDir: /srv
      ports: [{name: web, containerPort: 8080}]
      startupProbe: {tcpSocket: {port: web}, periodSeconds: 1, failureThreshold: 30}
      readinessProbe: {httpGet: {path: /ready, port: web}, periodSeconds: 1, failureThreshold: 1}
      livenessProbe: {exec: {command: [sh, -c, "! test -e /srv/ill"]}, periodSeconds: 1, failureThreshold: 1}
"#;

fn probes(sandbox: Sandbox) {
    let applied = sandbox.kubectl_with(&["apply", "-f", "-"], PROBES);
    assert!(applied.status.success(), "{applied:?}");
    let state = "jsonpath={.status.containerStatuses[0].started} {.status.containerStatuses[0].ready} {.status.containerStatuses[0].restartCount}";
    let until = |wanted: &str| {
        sandbox.kubectl_until(&["get", "pod", "probed", "-o", state], |text| {
            text == wanted
        })
    };
    until("true false 0");
    sandbox.kubectl(&["exec", "probed", "--", "touch", "/srv/ready"]);
    until("true true 0");
    sandbox.kubectl(&["exec", "probed", "--", "rm", "/srv/ready"]);
    until("true false 0");
    sandbox.kubectl(&["exec", "probed", "--", "touch", "/srv/ill"]);
    until("true false 1");
}

fn killed(mut sandbox: Sandbox) {
    assert!(
        sandbox.told.iter().any(|line| line.starts_with("run ")),
        "{:?}",
        sandbox.told
    );
    sandbox.kill();
}
