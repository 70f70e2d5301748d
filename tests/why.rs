//! `why`: each cause with the objects that have it and the sentence that is said of it; and the program on a real cluster's
//! objects. To write what is said into the files anew: `UPDATE_DOCS=1 cargo test --test why`; then read it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;

use headless_dns::message::question::RecordType;
use headless_dns::name::absolute;
use headless_dns::sandbox::{Options, Sandbox};
use headless_dns::why::{Objects, Outcome, Question, explain};
use serde_json::{Value, json};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn read(path: &str) -> String {
    std::fs::read_to_string(PathBuf::from(ROOT).join(path)).unwrap()
}

/// A case as it stands in the file: what is done and asked, and what is said.
struct Case {
    steps: Vec<String>,
    said: Vec<String>,
}

impl Case {
    /// The words behind one word of its steps.
    fn told(&self, word: &str) -> Option<&str> {
        let mut lines = self.steps.iter();
        lines.find_map(|line| line.strip_prefix(word)?.strip_prefix(' '))
    }
}

/// The files of cases.
const FILES: [&str; 2] = ["tests/why/causes.txt", "tests/why/asked.txt"];

fn cases(file: &str) -> Vec<Case> {
    let text = read(file);
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines: Vec<&str> = lines.collect();
    let cases = lines.split(|line| line.is_empty());
    let is_said = |line: &&&str| {
        ["denial ", "says ", "mend ", "answer "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    cases
        .filter(|lines| !lines.is_empty())
        .map(|lines| {
            let (said, steps): (Vec<&&str>, Vec<&&str>) = lines.iter().partition(is_said);
            let own = |lines: Vec<&&str>| lines.iter().map(ToString::to_string).collect();
            Case {
                steps: own(steps),
                said: own(said),
            }
        })
        .collect()
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Some(fields) = patch.as_object() else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in fields {
        if value.is_null() {
            target.as_object_mut().unwrap().remove(key);
        } else {
            merge(&mut target[key], value);
        }
    }
}

fn is_it(object: &Value, kind: &str, key: &str) -> bool {
    let (ns, name) = key.split_once('/').unwrap();
    let meta = &object["metadata"];
    object["kind"] == kind && meta["name"] == name && meta["namespace"].as_str().unwrap_or("") == ns
}

/// The cluster's objects as a case changes them.
fn changed(case: &Case) -> Vec<Value> {
    let mut all: Vec<Value> = serde_saphyr::from_str(&read("tests/why/cluster.yaml")).unwrap();
    for line in &case.steps {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["delete", kind, key] => {
                let before = all.len();
                all.retain(|object| !is_it(object, kind, key));
                assert_eq!(all.len() + 1, before, "{line}");
            }
            ["set", kind, key, patch] => {
                let object = all.iter_mut().find(|object| is_it(object, kind, key));
                merge(
                    object.expect(line),
                    &serde_json::from_str(patch).expect(line),
                );
            }
            ["add", ..] => all.push(serde_json::from_str(&line[4..]).expect(line)),
            ["asked" | "cause" | "why" | "type" | "from", ..] => {}
            _ => panic!("no such step: {line}"),
        }
    }
    all
}

fn sorted(all: Vec<Value>) -> Objects {
    let mut objects = Objects::default();
    for object in all {
        let of_kind = match object["kind"].as_str().unwrap() {
            "Namespace" => &mut objects.namespaces,
            "Service" => &mut objects.services,
            "Endpoints" => &mut objects.endpoints,
            "EndpointSlice" => &mut objects.slices,
            "Pod" => &mut objects.pods,
            "StatefulSet" => &mut objects.sets,
            other => panic!("no such kind: {other}"),
        };
        of_kind.push(object);
    }
    objects
}

/// The cause's key, and what is said.
fn said(case: &Case) -> (String, Vec<String>) {
    let all = changed(case);
    let from = case.told("from").map(|key| {
        let pod = all.iter().find(|object| is_it(object, "Pod", key));
        pod.unwrap().clone()
    });
    let objects = sorted(all);
    let domain = absolute("cluster.local").unwrap();
    let question = Question {
        text: case.told("why").unwrap(),
        qtype: case
            .told("type")
            .unwrap_or("A")
            .parse::<RecordType>()
            .unwrap(),
        from: from.as_ref(),
        domain: &domain,
    };
    let now = "2026-01-03T00:00:00Z".parse().unwrap();
    match explain(&objects, &question, now).outcome {
        Outcome::Answer(data) => ("none".into(), vec![format!("answer {}", data.join(", "))]),
        Outcome::Denied(cause) => (
            cause.key.into(),
            vec![
                format!("denial {}", cause.denial.code().unwrap_or("none")),
                format!("says {}", cause.says),
                format!("mend {}", cause.mend),
            ],
        ),
    }
}

#[test]
fn each_cause_is_found_and_says_its_sentence() {
    let mut wrong = Vec::new();
    for case in FILES.iter().flat_map(|file| cases(file)) {
        let (key, words) = said(&case);
        let wanted = case.told("cause").unwrap();
        if key != wanted || words != case.said {
            wrong.push(format!(
                "{:#?}\nis {key}: {words:#?}\nnot {wanted}: {:#?}",
                case.steps, case.said
            ));
        }
    }
    FILES.iter().for_each(|file| update(file));
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Writes what is said into a file of cases, where somebody asks for that.
fn update(file: &str) {
    #[expect(clippy::disallowed_methods, reason = "how the file is made anew")]
    if std::env::var("UPDATE_DOCS").is_err() {
        return;
    }
    let text = read(file);
    let head = text.lines().take_while(|line| line.starts_with('#'));
    let mut text = head.collect::<Vec<_>>().join("\n");
    for case in &cases(file) {
        let (_, words) = said(case);
        let lines = [&case.steps[..], &words].concat();
        write!(text, "\n\n{}", lines.join("\n")).unwrap();
    }
    std::fs::write(PathBuf::from(ROOT).join(file), text + "\n").unwrap();
}

/// The keys of the causes that the source has.
fn keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for file in std::fs::read_dir(PathBuf::from(ROOT).join("src/why")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        for behind in text.split("Cause::new(").skip(1) {
            let quoted = behind.trim_start().strip_prefix('"').unwrap();
            keys.insert(quoted.split('"').next().unwrap().to_owned());
        }
    }
    keys
}

#[test]
fn no_cause_is_without_a_case() {
    let cases = cases(FILES[0]);
    let tested = cases
        .iter()
        .map(|case| case.told("cause").unwrap().to_owned());
    let mut tested: BTreeSet<String> = tested.collect();
    tested.remove("none");
    assert_eq!(tested, keys());
    assert!(tested.len() >= 40, "{}", tested.len());
}

const HEAD: &str = "\
# Why a name is not there

`headless-dns why NAME` follows a name through the objects of a cluster, as its API server shows them, and says where the way ends. It
works on any cluster, whichever server answers its names there, and installs nothing: it lists Namespaces, Services, EndpointSlices, Pods,
StatefulSets and Endpoints, and reads nothing else.

```
headless-dns why NAME [--type TYPE] [--from POD|IP] [--kubeconfig PATH [--cluster-domain DOMAIN] | --server ADDR [--token FILE]] [--output text|json]
```

In the sandbox, seven seconds old:

```
$ headless-dns why redis-7.redis
redis-7.redis.default.svc.cluster.local. A
  tried too: redis-7.redis.svc.cluster.local. redis-7.redis.cluster.local. redis-7.redis.
  Namespace default (version 1, 7s) is there
  Service default/redis (version 13, 7s) is headless, selects app=redis
  EndpointSlice default/redis-wjkjc (version 70, 7s) 3 endpoints of IPv4, 3 ready
  StatefulSet default/redis (version 71, 7s) serviceName `redis`, 3 replicas
NXDOMAIN: the StatefulSet redis has 3 Pods, redis-0 to redis-2: redis-7 is none of them
mend: kubectl -n default scale statefulset redis --replicas=8
```

`--from` is the Pod that asks (`NAME`, `NAMESPACE/NAME` or its IP): its search list, `ndots` and dnsPolicy count. Without it the name is
looked up as a Pod of `default` would. The right to list Namespaces, StatefulSets and Endpoints is not needed, and without it less is said.
With `--server` a server of ours whose Corefile has [`admin`](admin.md) goes the way, by its own rights, and knows its domain.
It does not read the Corefile: what `rewrite`, `hosts` or `pods` make of a name is not told.
The last line but one begins with what the cluster's DNS says, `NXDOMAIN` or `NODATA`; with `no answer here` where it is not
asked, or asks others.

Exit codes: 0 the name has an answer; 1 it has none; 2 the command line is wrong; 3 the API server does not say enough,
or the server that is to ask it does not answer; 74 standard output cannot be written (of all commands). In JSON the cause has
a `key`, which stays, and a `denial`, which is null where the cluster's DNS is not asked.

These are all causes, made from `tests/why/causes.txt`, which has the objects of each (`UPDATE_DOCS=1 cargo test --test why`):

| key | what is said | what mends it |
|---|---|---|
";

const ASKED: &str = "
## What people have asked

Names from public threads, each with the objects that it shows or describes (`tests/why/asked.txt`):

| thread | name | what is said |
|---|---|---|
";

#[test]
fn the_documented_causes_are_those_of_the_cases() {
    let mut table = HEAD.to_owned();
    let mut seen = BTreeSet::new();
    for case in cases(FILES[0]) {
        let key = case.told("cause").unwrap();
        if let [_, says, mend] = &case.said[..]
            && seen.insert(key.to_owned())
        {
            let cell = |line: &str| line[5..].replace('|', "\\|");
            writeln!(table, "| `{key}` | {} | {} |", cell(says), cell(mend)).unwrap();
        }
    }
    table.push_str(ASKED);
    for case in cases(FILES[1]) {
        let url = case.told("asked").unwrap();
        let (_, thread) = url.split_once("github.com/").unwrap();
        let said = case.said.iter().find_map(|line| line.strip_prefix("says "));
        let (name, said) = (case.told("why").unwrap(), said.unwrap());
        writeln!(table, "| [{thread}]({url}) | `{name}` | {said} |").unwrap();
    }
    let path = PathBuf::from(ROOT).join("docs/why.md");
    #[expect(clippy::disallowed_methods, reason = "how the file is made anew")]
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(&path, &table).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap(),
        table,
        "run UPDATE_DOCS=1 cargo test --test why"
    );
}

/// Runs the program against a sandbox: its code and what it prints.
fn why(kubeconfig: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_headless-dns"))
        .args(["--log", "off", "why", "--kubeconfig", kubeconfig])
        .args(arguments)
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_explains_names_of_a_cluster_by_its_api() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    sandbox.ready().await.unwrap();
    let path = std::env::temp_dir().join(format!("headless-dns-why-{}", std::process::id()));
    std::fs::write(
        &path,
        serde_saphyr::to_string(sandbox.kubeconfig()).unwrap(),
    )
    .unwrap();
    let kubeconfig = path.to_str().unwrap();
    let (code, said) = why(kubeconfig, &["redis-1.redis", "--from", "redis-0"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.starts_with("redis-1.redis.default.svc.cluster.local. A\n"),
        "{said}"
    );
    assert!(said.ends_with("answer: 10.244.0.3\n"), "{said}");
    let (code, said) = why(kubeconfig, &["redis-7.redis", "--output", "json"]);
    let said: Value = serde_json::from_str(&said).expect(&said);
    assert_eq!(
        (code, &said["cause"]["key"]),
        (Some(1), &json!("ordinal-too-high"))
    );
    let kinds = said["steps"].as_array().unwrap().iter();
    let kinds: Vec<&str> = kinds
        .map(|step| step["object"]["kind"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["Namespace", "Service", "EndpointSlice", "StatefulSet"]
    );
    let (code, said) = why(kubeconfig, &["3.0.244.10.in-addr.arpa", "--type", "ptr"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.ends_with("answer: PTR redis-1.redis.default.svc.cluster.local\n"),
        "{said}"
    );
    let (code, said) = why(kubeconfig, &["redis", "--from", "nobody"]);
    assert_eq!((code, said.as_str()), (Some(3), "there is no Pod nobody\n"));
    let missing = why("/nonexistent", &["redis"]);
    assert_eq!(missing.0, Some(3), "{}", missing.1);
    std::fs::remove_file(path).unwrap();
    sandbox.stop().await.unwrap();
}
