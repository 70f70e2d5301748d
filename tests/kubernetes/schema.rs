//! `crates/cluster/src/schema.txt`, made from what a real API server says of its kinds (discovery and OpenAPI v3), and
//! from what only its Go types say. Facts only: no descriptions. `UPDATE_SCHEMA=1` writes it.

use std::collections::{BTreeMap, BTreeSet};

use futures::FutureExt;
use serde_json::Value;

use crate::support::control_plane::{ControlPlane, Options, Programs};
use crate::{Needs, Test};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "the_schema_of_the_embedded_cluster_is_that_of_kube_apiserver",
    needs: Needs::ApiServer,
    run: |p| compare(p).boxed_local(),
}];

const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/crates/cluster/src/schema/schema.txt"
);

/// The groups that the embedded cluster serves.
const GROUPS: &[&str] = &[
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
];

/// Types of what is sent with requests and is no object of a kind.
const BODIES: [&str; 5] = [
    "io.k8s.api.authentication.v1.TokenRequest",
    "io.k8s.api.autoscaling.v1.Scale",
    "io.k8s.api.core.v1.Binding",
    "io.k8s.api.policy.v1.Eviction",
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
];

const HEAD: &str = "\
# What Kubernetes says of its kinds and types, by discovery, OpenAPI v3 and its Go types. Made by
# `UPDATE_SCHEMA=1 cargo test --test kubernetes the_schema`; src/schema/mod.rs says how it is read.
";

async fn compare(programs: Programs) {
    let plane = ControlPlane::start(&programs, Options::default()).await;
    let get = |path: &str| -> Value {
        let output = plane.kubectl(&["get", "--raw", path]);
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let mut schemas = BTreeMap::new();
    let mut kinds = Vec::new();
    for (group, version) in versions(&get) {
        let path = if group.is_empty() {
            format!("api/{version}")
        } else {
            format!("apis/{group}/{version}")
        };
        let document = get(&format!("/openapi/v3/{path}"));
        let all = document["components"]["schemas"].as_object().unwrap();
        schemas.extend(all.iter().map(|(name, s)| (name.clone(), s.clone())));
        kinds.extend(kinds_of(
            &group,
            &version,
            &get(&format!("/{path}")),
            &schemas,
        ));
    }
    let text = render(&kinds, &schemas, &fields(&programs));
    #[expect(
        clippy::disallowed_methods,
        reason = "where the tests are told of the environment"
    )]
    if std::env::var("UPDATE_SCHEMA").is_ok() {
        std::fs::write(FILE, &text).unwrap();
    }
    assert!(
        std::fs::read_to_string(FILE).unwrap_or_default() == text,
        "schema.txt is not up to date: UPDATE_SCHEMA=1"
    );
}

/// Each group with each of its versions.
fn versions(get: &impl Fn(&str) -> Value) -> Vec<(String, String)> {
    let groups = get("/apis");
    let mut all = vec![(String::new(), "v1".to_owned())];
    for group in groups["groups"].as_array().unwrap() {
        for version in group["versions"].as_array().unwrap() {
            all.push((text(&group["name"]), text(&version["version"])));
        }
    }
    all.retain(|(group, _)| GROUPS.contains(&group.as_str()));
    all.sort();
    all
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list(value: &Value) -> Vec<&str> {
    let items = value.as_array().into_iter().flatten();
    items.filter_map(Value::as_str).collect()
}

/// A kind's line, and its type.
struct Kind {
    line: String,
    of: String,
}

fn kinds_of(
    group: &str,
    version: &str,
    resources: &Value,
    schemas: &BTreeMap<String, Value>,
) -> Vec<Kind> {
    let resources = resources["resources"].as_array().unwrap();
    let mut kinds = Vec::new();
    for resource in resources {
        let (plural, kind) = (text(&resource["name"]), text(&resource["kind"]));
        if plural.contains('/') {
            continue;
        }
        let of = type_of(group, version, &kind, schemas);
        let api_version = format!("{group}/{version}");
        let scope = if resource["namespaced"] == true {
            "namespaced"
        } else {
            "cluster"
        };
        let mut line = format!(
            "kind {} {kind} {plural} {scope} type={of}",
            api_version.trim_start_matches('/')
        );
        let subresources = resources.iter().filter_map(|other| {
            let name = other["name"].as_str()?;
            name.strip_prefix(&plural)?.strip_prefix('/')
        });
        for (what, words) in [
            ("short", list(&resource["shortNames"])),
            ("categories", list(&resource["categories"])),
            ("sub", subresources.collect()),
            ("verbs", list(&resource["verbs"])),
        ] {
            if !words.is_empty() {
                line += &format!(" {what}={}", words.join(","));
            }
        }
        kinds.push(Kind { line, of });
    }
    kinds
}

/// The type of a kind's objects.
fn type_of(group: &str, version: &str, kind: &str, schemas: &BTreeMap<String, Value>) -> String {
    let is =
        |gvk: &Value| gvk["group"] == group && gvk["version"] == version && gvk["kind"] == kind;
    let mut found = schemas.iter().filter(|(name, schema)| {
        let gvks = schema["x-kubernetes-group-version-kind"].as_array();
        name.ends_with(&format!(".{kind}")) && gvks.is_some_and(|gvks| gvks.iter().any(is))
    });
    found.next().map(|(name, _)| name.clone()).unwrap()
}

/// What Go's types say of their fields beside: by type and field the number in protobuf and marks.
fn fields(programs: &Programs) -> BTreeMap<(String, String), String> {
    let output = programs.command("fields").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let read = |line: &str| {
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (of, field, number, marks) = (word(), word(), word(), word());
        let marks = if marks.is_empty() {
            marks
        } else {
            format!(" {marks}")
        };
        ((of, field), format!(" number={number}{marks}"))
    };
    lines.lines().map(read).collect()
}

fn render(
    kinds: &[Kind],
    schemas: &BTreeMap<String, Value>,
    numbers: &BTreeMap<(String, String), String>,
) -> String {
    let mut out = HEAD.to_owned();
    for kind in kinds {
        out += &format!("{}\n", kind.line);
    }
    let (mut seen, mut left) = (BTreeSet::new(), Vec::new());
    left.extend(kinds.iter().map(|kind| kind.of.clone()));
    left.extend(BODIES.map(str::to_owned));
    while let Some(name) = left.pop() {
        if seen.insert(name.clone()) {
            left.extend(named_in(&schemas[&name]));
        }
    }
    for name in seen {
        let schema = &schemas[&name];
        let Some(fields) = schema["properties"].as_object() else {
            continue;
        };
        let atomic = schema["x-kubernetes-map-type"] == "atomic";
        out += &format!("{name}{}\n", if atomic { " atomic" } else { "" });
        let required = list(&schema["required"]);
        for (field, schema) in fields {
            let needed = required.contains(&field.as_str());
            out += &format!(" {field}{}", if needed { "! " } else { " " });
            out += &described(schema, schemas);
            let number = numbers.get(&(name.clone(), field.clone()));
            out += number.map_or("", |number| number);
            out.push('\n');
        }
    }
    out
}

/// The types that a schema names.
fn named_in(schema: &Value) -> Vec<String> {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(reference) if key == "$ref" => vec![short(reference)],
                _ => named_in(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(named_in).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

fn short(reference: &str) -> String {
    reference.rsplit('/').next().unwrap().to_owned()
}

/// A field's type and marks.
fn described(schema: &Value, schemas: &BTreeMap<String, Value>) -> String {
    let mut words = vec![shape(schema, schemas)];
    let values = [&schema["enum"], &schema["items"]["enum"]];
    let values: Vec<_> = values.into_iter().flat_map(list).collect();
    if !values.is_empty() {
        words.push(format!("values={}", values.join(",")));
    }
    // An empty text, an empty object and 0 are what Go has where nothing is said.
    let default = &schema["default"];
    if let Some(text) = default.as_str().filter(|text| !text.is_empty()) {
        words.push(format!("default={text}"));
    } else if default.is_number() && *default != 0 {
        words.push(format!("default={default}"));
    }
    let keys = list(&schema["x-kubernetes-list-map-keys"]);
    match schema["x-kubernetes-list-type"].as_str() {
        Some("map") => words.push(format!("map={}", keys.join(","))),
        Some(other) => words.push(other.to_owned()),
        None => {}
    }
    if schema["x-kubernetes-map-type"] == "atomic" {
        words.push("atomic".into());
    }
    let strategy = text(&schema["x-kubernetes-patch-strategy"]);
    if strategy.contains("retainKeys") {
        words.push("retain".into());
    }
    if strategy.contains("merge") {
        words.push(format!(
            "merge={}",
            text(&schema["x-kubernetes-patch-merge-key"])
        ));
    }
    words.join(" ")
}

fn shape(schema: &Value, schemas: &BTreeMap<String, Value>) -> String {
    if let Some(reference) = schema["$ref"]
        .as_str()
        .or_else(|| schema["allOf"][0]["$ref"].as_str())
    {
        let name = short(reference);
        return match name.rsplit('.').next().unwrap() {
            "Quantity" => "quantity".into(),
            "IntOrString" => "int-or-string".into(),
            "Time" => "time".into(),
            "MicroTime" => "micro-time".into(),
            _ if schemas[&name]["properties"].is_object() => name,
            _ if schemas[&name]["type"] == "string" => "string".into(),
            _ => "any".into(),
        };
    }
    let format = schema["format"].as_str();
    match (schema["type"].as_str(), format) {
        (Some("string"), Some("byte")) => "bytes".into(),
        (Some("string"), _) => "string".into(),
        (Some("integer"), format) => format.unwrap_or("int64").into(),
        (Some("number"), _) => "double".into(),
        (Some("boolean"), _) => "boolean".into(),
        (Some("array"), _) => format!("[{}]", shape(&schema["items"], schemas)),
        (Some("object"), _) if schema["additionalProperties"].is_object() => {
            format!("{{{}}}", shape(&schema["additionalProperties"], schemas))
        }
        _ => "any".into(),
    }
}
