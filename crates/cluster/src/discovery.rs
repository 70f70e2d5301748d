//! What the API has: versions, groups, resources, and the types of its kinds as OpenAPI.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::custom::Customs;
use super::kinds::{Kind, KindId};
use super::schema::{Field, SCHEMA, Shape};

/// The Kubernetes release this cluster behaves like.
pub(super) const VERSION: (&str, &str, &str) = ("1", "37", GIT_VERSION);

/// The version of Kubernetes that the embedded cluster is like.
pub const GIT_VERSION: &str = "v1.37.2";

/// An OpenAPI v2 document without types, in protobuf: clients that ask for one check nothing by it. Its one field is `swagger`.
pub(super) const SWAGGER_PROTOBUF: &[u8] = b"\x0a\x032.0";

/// Where fields are explained: this API tells their types only.
const EXPLAINED: &str =
    "What the fields mean: https://kubernetes.io/docs/reference/kubernetes-api/";

/// The document at a path that is not of an object; `None`: there is none.
#[must_use]
pub(super) fn document(path: &[&str], customs: &Customs) -> Option<Value> {
    match path {
        [] => Some(json!({"paths": roots(customs)})),
        ["version"] => Some(version()),
        ["api"] => Some(
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] => Some(
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups(customs).iter().map(|name| group(name, customs)).collect::<Vec<_>>()}),
        ),
        ["apis", name] => groups(customs).contains(name).then(|| {
            let mut group = group(name, customs);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }),
        ["api", "v1"] => Some(resources("", "v1", customs)),
        ["apis", group, version] if versions(group, customs).contains(version) => {
            Some(resources(group, version, customs))
        }
        ["openapi", "v2"] => Some(swagger(customs)),
        ["openapi", "v3"] => {
            let paths = roots(customs).into_iter().filter_map(|path| {
                let path = path.trim_start_matches('/');
                let of_version = path == "api/v1" || path.matches('/').count() == 2;
                let url =
                    json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", VERSION.2)});
                of_version.then(|| (path.to_owned(), url))
            });
            Some(json!({"paths": paths.collect::<Map<_, _>>()}))
        }
        ["openapi", "v3", "api", "v1"] => Some(openapi("", "v1", customs)),
        ["openapi", "v3", "apis", group, version] if versions(group, customs).contains(version) => {
            Some(openapi(group, version, customs))
        }
        ["healthz" | "livez" | "readyz", ..] => Some(Value::String("ok".into())),
        _ => None,
    }
}

fn version() -> Value {
    json!({
        "major": VERSION.0, "minor": VERSION.1, "emulationMajor": VERSION.0, "emulationMinor": VERSION.1,
        "minCompatibilityMajor": VERSION.0, "minCompatibilityMinor": "36", "gitVersion": VERSION.2,
        "gitCommit": "", "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "rustc",
        "platform": "linux/amd64",
    })
}

/// Every path that another is found from.
fn roots(customs: &Customs) -> Vec<String> {
    let mut roots = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for group in groups(customs) {
        roots.push(format!("/apis/{group}"));
        let of_version = |version| format!("/apis/{group}/{version}");
        roots.extend(versions(group, customs).into_iter().map(of_version));
    }
    for path in [
        "/healthz",
        "/livez",
        "/openapi/v2",
        "/openapi/v3",
        "/readyz",
        "/version",
    ] {
        roots.push(path.into());
    }
    roots
}

/// Whether the path is below a group and version that is served.
pub(super) fn serves(path: &[&str], customs: &Customs) -> bool {
    match path {
        ["api", "v1", ..] => true,
        ["apis", group, version, ..] => versions(group, customs).contains(version),
        _ => false,
    }
}

/// The kinds of this cluster.
fn kinds(customs: &Customs) -> impl Iterator<Item = &'static Kind> {
    KindId::all()
        .filter(|kind| customs.has(*kind))
        .map(KindId::info)
}

fn groups(customs: &Customs) -> BTreeSet<&'static str> {
    let groups = kinds(customs).map(|kind| kind.group);
    groups.filter(|group| !group.is_empty()).collect()
}

/// The versions of a group, the preferred first.
fn versions(group: &str, customs: &Customs) -> Vec<&'static str> {
    let of = kinds(customs).filter(|kind| kind.group == group);
    let versions: BTreeSet<_> = of.map(|kind| (rank(kind.version), kind.version)).collect();
    let versions = versions.into_iter().rev();
    versions.map(|(_, version)| version).collect()
}

/// How far a version has come: `v2` before `v1` before `v1beta2` before `v1alpha1` (Kubernetes' order of versions).
fn rank(version: &str) -> (bool, u8, u32, u32) {
    let digits = version.strip_prefix('v').unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit());
    let (major, rest) = digits.split_at(end.unwrap_or(digits.len()));
    let name = rest.trim_end_matches(|c: char| c.is_ascii_digit());
    let minor = rest.strip_prefix(name).unwrap_or_default();
    let number = |text: &str| text.parse::<u32>().unwrap_or_default();
    let stage = match name {
        "" => 2,
        "beta" => 1,
        _ => 0,
    };
    (!major.is_empty(), stage, number(major), number(minor))
}

fn group(name: &str, customs: &Customs) -> Value {
    let version =
        |version| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let versions: Vec<_> = versions(name, customs).into_iter().map(version).collect();
    json!({"name": name, "versions": versions, "preferredVersion": versions[0]})
}

fn kinds_of<'a>(
    group: &'a str,
    version: &'a str,
    customs: &'a Customs,
) -> impl Iterator<Item = &'static Kind> + use<'a> {
    kinds(customs).filter(move |k| k.group == group && k.version == version)
}

fn resources(group: &str, version: &str, customs: &Customs) -> Value {
    let mut list = Vec::new();
    for kind in kinds_of(group, version, customs) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": kind.verbs,
        });
        for (field, words) in [
            ("shortNames", &kind.short),
            ("categories", &kind.categories),
        ] {
            if !words.is_empty() {
                entry[field] = json!(words);
            }
        }
        match customs
            .all()
            .find(|served| std::ptr::eq(served.kind.info(), kind))
        {
            Some(served) => {
                entry["singularName"] = served.singular.as_str().into();
                for (field, words) in [
                    ("shortNames", &served.short),
                    ("categories", &served.categories),
                ] {
                    if !words.is_empty() {
                        entry[field] = json!(words);
                    }
                }
                list.push(entry);
                let scales = served.scale.is_some();
                for (name, is_served) in [("status", served.status), ("scale", scales)] {
                    list.extend(is_served.then(|| subresource(kind, name)));
                }
            }
            None => {
                list.push(entry);
                list.extend(kind.subresources.iter().map(|sub| subresource(kind, sub)));
            }
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

/// A subresource, whose kind may be one of its own.
fn subresource(kind: &Kind, name: &str) -> Value {
    let proxy = format!("{}ProxyOptions", kind.kind);
    let (group, version, of, verbs): (_, _, &str, &[&str]) = match name {
        "scale" => ("autoscaling", "v1", "Scale", &["get", "patch", "update"]),
        "eviction" => ("policy", "v1", "Eviction", &["create"]),
        "token" => ("authentication.k8s.io", "v1", "TokenRequest", &["create"]),
        "binding" => ("", "", "Binding", &["create"]),
        "attach" => ("", "", "PodAttachOptions", &["create", "get"]),
        "exec" => ("", "", "PodExecOptions", &["create", "get"]),
        "portforward" => ("", "", "PodPortForwardOptions", &["create", "get"]),
        "proxy" => (
            "",
            "",
            &proxy,
            &["create", "delete", "get", "patch", "update"],
        ),
        "log" => ("", "", kind.kind, &["get"]),
        "finalize" => ("", "", kind.kind, &["update"]),
        _ => ("", "", kind.kind, &["get", "patch", "update"]),
    };
    let mut entry = json!({
        "name": format!("{}/{name}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": of, "verbs": verbs,
    });
    if !version.is_empty() {
        entry["group"] = group.into();
        entry["version"] = version.into();
    }
    entry
}

/// The kinds of a group and version: paths with the marks by which kubectl knows what it may send, and types.
fn openapi(group: &str, version: &str, customs: &Customs) -> Value {
    let mut paths = Map::new();
    let parameter = json!({"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    for kind in kinds_of(group, version, customs) {
        let root = if group.is_empty() {
            format!("/api/{version}")
        } else {
            format!("/apis/{group}/{version}")
        };
        let scope = if kind.namespaced {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        let operation = |action: &str| {
            json!({
                "x-kubernetes-action": action, "parameters": [parameter],
                "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": kind.kind},
                "responses": {"200": {"description": "OK"}},
            })
        };
        paths.insert(
            format!("{root}{scope}/{}", kind.plural),
            json!({"get": operation("list"), "post": operation("post")}),
        );
        let one = json!({"get": operation("get"), "put": operation("put"), "patch": operation("patch"), "delete": operation("delete")});
        paths.insert(format!("{root}{scope}/{}/{{name}}", kind.plural), one);
    }
    let mut types = types(kinds_of(group, version, customs), "#/components/schemas/");
    let here = |kind: &Kind| kind.group == group && kind.version == version;
    types.extend(custom_types(customs, here));
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION.2}, "paths": paths, "components": {"schemas": types},
    })
}

/// All kinds' types, for clients that read OpenAPI v2.
fn swagger(customs: &Customs) -> Value {
    let mut types = types(kinds(customs), "#/definitions/");
    types.extend(custom_types(customs, |_| true));
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": VERSION.2}, "paths": {}, "definitions": types,
    })
}

/// The types of kinds that definitions make, by names as the API server gives them: the group's parts from the last on.
fn custom_types(
    customs: &Customs,
    which: impl Fn(&Kind) -> bool,
) -> impl Iterator<Item = (String, Value)> {
    let which = customs
        .all()
        .filter(move |served| which(served.kind.info()));
    which.map(|served| {
        let kind = served.kind.info();
        let mut group: Vec<_> = kind.group.split('.').collect();
        group.reverse();
        let mut of = Value::clone(&served.schema);
        if !of.is_object() {
            of = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        }
        for (field, shape) in [
            ("apiVersion", "string"),
            ("kind", "string"),
            ("metadata", "object"),
        ] {
            of["properties"][field] = json!({"type": shape});
        }
        of["x-kubernetes-group-version-kind"] =
            json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
        let name = format!("{}.{}.{}", group.join("."), kind.version, kind.kind);
        (name, of)
    })
}

/// The types of these kinds, with those that they name.
fn types(kinds: impl Iterator<Item = &'static Kind>, at: &str) -> Map<String, Value> {
    let (mut types, mut left) = (Map::new(), Vec::new());
    for kind in kinds.filter(|kind| !kind.of.is_empty()) {
        let mut of = described(kind.of, at, &mut left);
        of["description"] = EXPLAINED.into();
        of["x-kubernetes-group-version-kind"] =
            json!([{"group": kind.group, "version": kind.version, "kind": kind.kind}]);
        types.insert(kind.of.into(), of);
    }
    while let Some(name) = left.pop() {
        if !types.contains_key(name) {
            let of = described(name, at, &mut left);
            types.insert(name.into(), of);
        }
    }
    types
}

/// A type; the types that it names are added to `left`.
fn described(name: &str, at: &str, left: &mut Vec<&'static str>) -> Value {
    let fields = SCHEMA.fields(name);
    let describe = |field: &Field, left: &mut Vec<&'static str>| {
        let mut of = of_shape(&field.shape, at, left);
        if !field.values.is_empty() && field.shape == Shape::String {
            of["enum"] = json!(field.values);
        }
        (field.name.to_owned(), of)
    };
    let properties: Map<_, _> = fields.iter().map(|field| describe(field, left)).collect();
    let required = fields.iter().filter(|field| field.required);
    let required: Vec<_> = required.map(|field| field.name).collect();
    let mut of = json!({"type": "object", "properties": properties});
    if !required.is_empty() {
        of["required"] = json!(required);
    }
    of
}

fn of_shape(shape: &Shape, at: &str, left: &mut Vec<&'static str>) -> Value {
    match shape {
        Shape::String | Shape::Quantity => json!({"type": "string"}),
        Shape::Bytes => json!({"type": "string", "format": "byte"}),
        Shape::Time | Shape::MicroTime => json!({"type": "string", "format": "date-time"}),
        Shape::Int32 => json!({"type": "integer", "format": "int32"}),
        Shape::Int64 => json!({"type": "integer", "format": "int64"}),
        Shape::Double => json!({"type": "number", "format": "double"}),
        Shape::Boolean => json!({"type": "boolean"}),
        Shape::IntOrString => json!({"type": "string", "format": "int-or-string"}),
        Shape::Any => json!({"type": "object"}),
        Shape::Struct(name) => {
            left.push(name);
            json!({"$ref": format!("{at}{name}")})
        }
        Shape::List(of) => json!({"type": "array", "items": of_shape(of, at, left)}),
        Shape::Map(of) => json!({"type": "object", "additionalProperties": of_shape(of, at, left)}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_from_the_root() {
        let none = Customs::default();
        let root = document(&[], &none).unwrap();
        let paths = root["paths"].as_array().unwrap().iter();
        let mut found = 0;
        for path in paths.filter_map(Value::as_str) {
            let path: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
            let list = document(&path, &none).unwrap();
            let resources = list["resources"].as_array().into_iter().flatten();
            let is_kind = |resource: &&Value| !resource["name"].as_str().unwrap().contains('/');
            found += resources.filter(is_kind).count();
        }
        let own = KindId::all().filter(|kind| !kind.is_defined());
        assert_eq!(found, own.count());
        let groups = document(&["apis"], &none).unwrap();
        let autoscaling = &groups["groups"].as_array().unwrap()[5];
        assert_eq!(
            autoscaling["preferredVersion"],
            json!({"groupVersion": "autoscaling/v2", "version": "v2"})
        );
        assert!(document(&["apis", "batch", "v2"], &none).is_none());
    }

    #[test]
    fn every_type_that_openapi_names_is_in_the_document() {
        fn names(value: &Value, found: &mut BTreeSet<String>) {
            match value {
                Value::Object(fields) => {
                    let name = fields.get("$ref").and_then(Value::as_str);
                    found.extend(name.map(|name| name.rsplit('/').next().unwrap().to_owned()));
                    fields.values().for_each(|field| names(field, found));
                }
                Value::Array(items) => items.iter().for_each(|item| names(item, found)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let v3 = document(
            &["openapi", "v3", "apis", "apps", "v1"],
            &Customs::default(),
        )
        .unwrap();
        let v2 = document(&["openapi", "v2"], &Customs::default()).unwrap();
        for types in [&v3["components"]["schemas"], &v2["definitions"]] {
            let mut named = BTreeSet::new();
            names(types, &mut named);
            assert!(named.contains("io.k8s.api.core.v1.Container"));
            let missing: Vec<_> = named.iter().filter(|name| types[*name].is_null()).collect();
            assert_eq!(missing, [""; 0]);
        }
    }
}
