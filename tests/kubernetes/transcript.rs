//! The embedded cluster against a real one: the same calls, the same answers, but for those that are listed with a
//! reason. `UPDATE_DOCS=1` writes the list.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use futures::{FutureExt, StreamExt};
use headless_cluster::{Cluster, Delays};
use headless_dns::api::{self, Client};
use headless_dns::apiserver::ApiServer;
use headless_dns::reconciler;
use http::{Method, Request};
use kube::client::Body;
use regex::Regex;
use serde_json::Value;

use crate::support::control_plane::{ControlPlane, Options, Programs, kubectl};
use crate::support::kubelet::TestKubelet;
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "the_embedded_cluster_answers_as_a_real_one_does",
    needs: Needs::Controllers,
    run: |p| compare(p).boxed_local(),
}];

/// How long an answer may take: a watch without end has none.
const PATIENCE: Duration = Duration::from_secs(5);

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kubernetes/transcript");
const DOC: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/embedded-cluster.md");

/// A call of the script.
#[derive(Debug)]
struct Call {
    section: String,
    line: String,
    /// Why the answers differ, where they do.
    reason: Option<String>,
}

fn calls() -> Vec<Call> {
    let script = std::fs::read_to_string(Path::new(FOLDER).join("calls.txt")).unwrap();
    let (mut calls, mut section, mut reason) = (Vec::new(), String::new(), None);
    for line in script.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            section = title.to_owned();
        } else if let Some(why) = line.strip_prefix("! ") {
            reason = Some(why.to_owned());
        } else if !line.is_empty() && !line.starts_with('#') {
            calls.push(Call {
                section: section.clone(),
                line: line.to_owned(),
                reason: reason.take(),
            });
        }
    }
    calls
}

/// What is asked of each kind, by an object of it: that object and wrong ones, what there is of it and what is not.
fn of_each_kind() -> Vec<Call> {
    let bodies = std::fs::read_to_string(Path::new(FOLDER).join("bodies.txt")).unwrap();
    let namespace = Call {
        section: "Each kind".into(),
        line: "kubectl create namespace kinds".into(),
        reason: None,
    };
    let (mut calls, mut reasons) = (vec![namespace], BTreeMap::new());
    for line in bodies.lines().filter(|line| !line.starts_with('#')) {
        if let Some(reason) = line.strip_prefix("! ") {
            let (number, why) = reason.split_once(' ').unwrap();
            reasons.insert(number.parse::<usize>().unwrap(), why.to_owned());
            continue;
        }
        calls.extend(
            of_kind(line)
                .into_iter()
                .zip(1..)
                .map(|(call, number)| Call {
                    reason: reasons.remove(&number),
                    ..call
                }),
        );
        assert_eq!(reasons, BTreeMap::new(), "{line} has not so many calls");
    }
    calls
}

fn of_kind(line: &str) -> Vec<Call> {
    let mut words = line.splitn(3, ' ');
    let [how, path, body] = std::array::from_fn(|_| words.next().unwrap());
    let object: Value = serde_json::from_str(body).unwrap();
    let name = object["metadata"]["name"].as_str().unwrap();
    let changed = |change: fn(&mut Value)| {
        let mut changed = object.clone();
        change(&mut changed);
        changed.to_string()
    };
    let misspelt = changed(|o| o["sepc"] = 1.into());
    let mistyped = changed(|o| o["metadata"]["labels"] = 5.into());
    let misnamed = changed(|o| o["metadata"]["name"] = "no name".into());
    let mut lines = vec![
        format!("POST /{path}?dryRun=All {body}"),
        format!("POST /{path}?dryRun=All&fieldValidation=Strict {misspelt}"),
        format!("POST /{path}?dryRun=All {mistyped}"),
        format!("POST /{path}?dryRun=All {misnamed}"),
        format!("GET /{path}/missing"),
        format!("PATCH merge /{path}/missing {{}}"),
        format!("DELETE /{path}/missing"),
        format!("GET /{path}?limit=1&labelSelector=none"),
        format!("GET /{path}?fieldSelector=spec.none%3Da"),
    ];
    if how == "kept" {
        let plural = path.rsplit('/').next().unwrap();
        let group = path.split('/').nth(1).filter(|group| *group != "v1");
        let of = group.map_or_else(|| plural.to_owned(), |group| format!("{plural}.{group}"));
        lines.extend([
            format!("POST /{path} {body}"),
            format!("POST /{path} {body}"),
            format!("GET /{path}/{name}"),
            format!("kubectl get {of} {name} -n kinds"),
            format!("kubectl get {of} {name} -n kinds -o wide"),
            format!("PATCH merge /{path}/{name} {{\"metadata\":{{\"labels\":{{\"a\":\"b\"}}}}}}"),
            format!("kubectl label {of} {name} -n kinds a=c --overwrite"),
            format!("DELETE /{path}/{name}"),
        ]);
    }
    let call = |line| Call {
        section: "Each kind".into(),
        line,
        reason: None,
    };
    lines.into_iter().map(call).collect()
}

/// Whom the calls go to.
struct Asked<'a> {
    programs: &'a Programs,
    kubeconfig: &'a Path,
    client: Client,
}

impl Asked<'_> {
    async fn answer(&self, line: &str) -> String {
        let answer = tokio::time::timeout(PATIENCE, self.call(line)).await;
        answer.unwrap_or_else(|_| format!("no answer within {PATIENCE:?}"))
    }

    async fn call(&self, line: &str) -> String {
        let (verb, rest) = line.split_once(' ').unwrap();
        match verb {
            "kubectl" => self.kubectl(rest),
            "WATCH" => {
                let (events, path) = rest.split_once(' ').unwrap();
                self.watch(events.parse().unwrap(), path).await
            }
            "PATCH" => {
                let (kind, rest) = rest.split_once(' ').unwrap();
                let media_type = match kind {
                    "json" => "application/json-patch+json",
                    "merge" => "application/merge-patch+json",
                    "strategic" => "application/strategic-merge-patch+json",
                    "apply" => "application/apply-patch+yaml",
                    other => other,
                };
                self.request(Method::PATCH, media_type, rest).await
            }
            method => {
                let method = method.parse().unwrap();
                self.request(method, "application/json", rest).await
            }
        }
    }

    fn kubectl(&self, arguments: &str) -> String {
        let arguments: Vec<_> = arguments
            .split(' ')
            .map(|argument| match argument.strip_suffix(".yaml") {
                Some(name) => format!("{FOLDER}/{name}.yaml"),
                None => argument.to_owned(),
            })
            .collect();
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let output = kubectl(self.programs, self.kubeconfig, &arguments);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let code = output.status.code().unwrap();
        normal_text(&format!(
            "exit {code}\n{}{}",
            text(&output.stdout),
            text(&output.stderr)
        ))
    }

    async fn send(&self, method: Method, media_type: &str, rest: &str) -> http::Response<Body> {
        let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, media_type)
            .body(Body::from(body.as_bytes().to_vec()));
        self.client.send(request.unwrap()).await.unwrap()
    }

    async fn request(&self, method: Method, media_type: &str, rest: &str) -> String {
        let response = self.send(method, media_type, rest).await;
        let code = response.status().as_u16();
        let body = response.into_body().collect_bytes().await.unwrap();
        let shown = match serde_json::from_slice::<Value>(&body) {
            Ok(value) => serde_json::to_string_pretty(&normal(value)).unwrap(),
            Err(_) => String::from_utf8(body.to_vec()).unwrap(),
        };
        normal_text(&format!("{code}\n{shown}"))
    }

    async fn watch(&self, events: usize, path: &str) -> String {
        let response = self.send(Method::GET, "application/json", path).await;
        let mut body = http_body_util::BodyStream::new(response.into_body());
        let mut text = Vec::new();
        while text.iter().filter(|byte| **byte == b'\n').count() < events {
            let Some(frame) = body.next().await else {
                break;
            };
            text.extend(frame.unwrap().into_data().unwrap());
        }
        let lines = text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty());
        let lines: Vec<_> = lines
            .map(|line| {
                serde_json::to_string_pretty(&normal(serde_json::from_slice(line).unwrap()))
            })
            .collect::<Result<_, _>>()
            .unwrap();
        normal_text(&lines.join("\n"))
    }
}

/// A document with its fields in order, and without what is new each time.
fn normal(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields
                .into_iter()
                .filter(|(key, _)| key != "managedFields")
                .map(|(key, value)| {
                    let new = ["resourceVersion", "continue", "startTime"].contains(&key.as_str())
                        || key == "uid"
                        || key.ends_with("Timestamp")
                        || key.ends_with("Time")
                        || key.ends_with("At");
                    let is_new = new && value.as_str().is_some_and(|text| !text.is_empty());
                    let value = if is_new {
                        format!("<{key}>").into()
                    } else {
                        in_order(&key, normal(value))
                    };
                    (key, value)
                })
                .collect();
            fields.sort_by(|(a, _), (b, _)| a.cmp(b));
            Value::Object(fields.into_iter().collect())
        }
        Value::Array(items) => items.into_iter().map(normal).collect(),
        Value::String(text) => match serde_json::from_str::<Value>(&text) {
            // What kubectl applied last, as text.
            Ok(inner @ Value::Object(_)) => normal(inner).to_string().into(),
            Ok(_) | Err(_) => text.into(),
        },
        plain @ (Value::Null | Value::Bool(_) | Value::Number(_)) => plain,
    }
}

/// Conditions are a set: who comes first, a kubelet or a scheduler, says its own first.
fn in_order(key: &str, mut value: Value) -> Value {
    if let Some(conditions) = value.as_array_mut().filter(|_| key == "conditions") {
        conditions.sort_by_key(|condition| condition["type"].to_string());
    }
    value
}

/// Text without what is new each time, and with one space where columns stand apart.
fn normal_text(text: &str) -> String {
    static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        [
            (
                "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
                "<uid>",
            ),
            (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "<time>"),
            (r"\b10\.(96|244)\.\d+\.\d+", "<ip>"),
            (r"\bfd00:10:[0-9a-f:]+", "<ip>"),
            (
                r"kubernetes\.io/host-path|headless-dns/embedded",
                "<provisioner>",
            ),
            (r"\bmade-[a-z0-9]{5}\b", "made-<random>"),
            (
                r"\bkube-api-access-[a-z0-9]{5}\b",
                "kube-api-access-<random>",
            ),
            (r"\b(peers|web)-[a-z0-9]{5}\b", "$1-<random>"),
            (r"(?m) +(\d+[ms])+( *\(.*ago\))?$", " <age>"),
            (r" (\d+[ms])+ ", " <age> "),
            // Whether there is something left to wait for is a matter of time.
            (r"(?m)^Waiting for \d+ pods to be ready\.\.\.\n", ""),
            (
                r"resourceVersion: \d+",
                "resourceVersion: <resourceVersion>",
            ),
            (" {2,}", " "),
            ("(?m) +$", ""),
        ]
        .map(|(pattern, with)| (Regex::new(pattern).unwrap(), with))
        .into()
    });
    RULES
        .iter()
        .fold(text.trim_end().to_owned(), |text, (rule, with)| {
            rule.replace_all(&text, *with).into_owned()
        })
}

async fn compare(programs: Programs) {
    let options = Options {
        controllers: Some("*"),
        accounts: true,
        ..Options::default()
    };
    let plane = ControlPlane::start(&programs, options).await;
    let _kubelet = TestKubelet::start(&plane.client, Delays::default()).await;
    let mut cluster = Cluster::start(Delays::default());
    let (_, kubeconfig) = cluster.listen(([127, 0, 0, 1], 0).into()).await.unwrap();
    tokio::spawn(reconciler::run(cluster.client(), cluster.clock()));
    let file = plane.path("embedded.kubeconfig");
    std::fs::write(&file, kubeconfig.to_string()).unwrap();
    let embedded = ApiServer::Kubeconfig {
        file: file.clone(),
        context: None,
    };
    let embedded = Asked {
        programs: &programs,
        kubeconfig: &file,
        client: api::connect(&embedded, None).await.unwrap(),
    };
    let real = Asked {
        programs: &programs,
        kubeconfig: &plane.kubeconfig(),
        client: plane.client.clone(),
    };
    let mut calls = calls();
    calls.extend(of_each_kind());
    let (mut listed, mut wrong) = (Vec::new(), Vec::new());
    for call in &calls {
        let (theirs, ours) = (
            real.answer(&call.line).await,
            embedded.answer(&call.line).await,
        );
        match (&call.reason, theirs == ours) {
            (None, true) => {}
            (Some(reason), false) => listed.push((call, reason, difference(&theirs, &ours))),
            (None, false) => wrong.push(format!("{}\n{}", call.line, difference(&theirs, &ours))),
            (Some(_), true) => wrong.push(format!("{}: listed, and answered alike", call.line)),
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {} calls:\n\n{}",
        wrong.len(),
        calls.len(),
        wrong.join("\n\n")
    );
    check_doc(&document(calls.len(), &listed));
}

/// The lines that only one of the two has: `-` the real cluster, `+` the embedded one.
fn difference(theirs: &str, ours: &str) -> String {
    let (theirs, ours): (Vec<_>, Vec<_>) = (theirs.lines().collect(), ours.lines().collect());
    let without = |mut lines: Vec<&str>, other: &[&str]| {
        for line in other {
            if let Some(at) = lines.iter().position(|l| l == line) {
                lines.remove(at);
            }
        }
        lines.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let removed = without(theirs.clone(), &ours)
        .into_iter()
        .map(|l| format!("- {l}"));
    let added = without(ours.clone(), &theirs)
        .into_iter()
        .map(|l| format!("+ {l}"));
    removed.chain(added).collect::<Vec<_>>().join("\n")
}

fn document(calls: usize, listed: &[(&Call, &String, String)]) -> String {
    let mut text = format!(
        "# The embedded cluster and a real one\n\n\
         Made by `UPDATE_DOCS=1 cargo test --test kubernetes embedded` from `tests/kubernetes/transcript/`: {calls} calls of\n\
         kubectl and of the raw API, asked of kube-apiserver and kube-controller-manager 1.37.2 and of the embedded cluster. After times,\n\
         UIDs, revisions, addresses and `managedFields` are taken out, {} are answered alike, and these {} are not\n\
         (`-` the real cluster, `+` the embedded one):\n",
        calls - listed.len(),
        listed.len()
    );
    for (call, reason, difference) in listed {
        text += &format!(
            "\n## {}: `{}`\n\n{reason}\n\n```diff\n{difference}\n```\n",
            call.section, call.line
        );
    }
    text
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the tests are told of the environment"
)]
fn check_doc(text: &str) {
    if std::env::var("UPDATE_DOCS").is_ok() {
        std::fs::write(DOC, text).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(DOC).unwrap_or_default(),
        text,
        "docs/embedded-cluster.md is not up to date: UPDATE_DOCS=1"
    );
}
