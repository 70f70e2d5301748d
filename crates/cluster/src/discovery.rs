//! What the API has: versions, groups, resources, and an OpenAPI document that is enough for kubectl.

use serde_json::{Value, json};

use super::kinds::{KINDS, Kind};

/// The Kubernetes release this cluster behaves like.
pub(super) const VERSION: (&str, &str, &str) = ("1", "37", "v1.37.2");

/// The document at a path that is not of an object; `None`: there is none.
#[must_use]
pub(super) fn document(path: &[&str]) -> Option<Value> {
    match path {
        ["version"] => Some(
            json!({"major": VERSION.0, "minor": VERSION.1, "gitVersion": VERSION.2, "platform": "linux/amd64"}),
        ),
        ["api"] => Some(
            json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        ),
        ["apis"] => Some(
            json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups().iter().map(group).collect::<Vec<_>>()}),
        ),
        ["apis", name] => groups().iter().find(|(g, _)| g == name).map(|g| {
            let mut group = group(g);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }),
        ["api", "v1"] => Some(resources("", "v1")),
        ["apis", group, version] if groups().iter().any(|(g, v)| g == group && v == version) => {
            Some(resources(group, version))
        }
        ["openapi", "v3"] => {
            let paths = groups()
                .into_iter()
                .map(|(g, v)| format!("apis/{g}/{v}"))
                .chain(["api/v1".to_owned()]);
            let paths: serde_json::Map<_, _> = paths
                .map(|p| {
                    (
                        p.clone(),
                        json!({"serverRelativeURL": format!("/openapi/v3/{p}?hash=1")}),
                    )
                })
                .collect();
            Some(json!({"paths": paths}))
        }
        ["openapi", "v3", "api", "v1"] => Some(openapi("", "v1")),
        ["openapi", "v3", "apis", group, version] => Some(openapi(group, version)),
        ["healthz" | "livez" | "readyz", ..] => Some(Value::String("ok".into())),
        _ => None,
    }
}

/// Whether the path is below a group and version that is served.
pub(super) fn serves(path: &[&str]) -> bool {
    match path {
        ["api", "v1", ..] => true,
        ["apis", group, version, ..] => groups().contains(&(group, version)),
        _ => false,
    }
}

fn groups() -> Vec<(&'static str, &'static str)> {
    let mut groups: Vec<_> = KINDS
        .iter()
        .filter(|k| !k.group.is_empty())
        .map(|k| (k.group, k.version))
        .collect();
    groups.dedup();
    groups
}

fn group((name, version): &(&str, &str)) -> Value {
    let version = json!({"groupVersion": format!("{name}/{version}"), "version": version});
    json!({"name": name, "versions": [version], "preferredVersion": version})
}

fn kinds_of<'a>(group: &'a str, version: &'a str) -> impl Iterator<Item = &'static Kind> + use<'a> {
    KINDS
        .iter()
        .filter(move |k| k.group == group && k.version == version)
}

fn resources(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for kind in kinds_of(group, version) {
        let mut entry = json!({
            "name": kind.plural, "singularName": kind.kind.to_lowercase(), "namespaced": kind.namespaced, "kind": kind.kind,
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"], "shortNames": kind.short,
        });
        // What `kubectl get all` means.
        if matches!(kind.kind, "Pod" | "Service" | "StatefulSet") {
            entry["categories"] = json!(["all"]);
        }
        list.push(entry);
        for sub in kind.subresources {
            let mut entry = json!({
                "name": format!("{}/{sub}", kind.plural), "singularName": "", "namespaced": kind.namespaced, "kind": kind.kind,
                "verbs": ["get", "patch", "update"],
            });
            if *sub == "scale" {
                entry["group"] = "autoscaling".into();
                entry["version"] = "v1".into();
                entry["kind"] = "Scale".into();
            }
            list.push(entry);
        }
    }
    let group_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": list})
}

/// Paths with the marks by which kubectl knows what it may send; no schemas: nothing is checked at the client.
fn openapi(group: &str, version: &str) -> Value {
    let mut paths = serde_json::Map::new();
    let parameter = json!({"name": "fieldValidation", "in": "query", "schema": {"type": "string", "uniqueItems": true}});
    for kind in kinds_of(group, version) {
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
    json!({"openapi": "3.0.0", "info": {"title": "headless-dns", "version": VERSION.2}, "paths": paths, "components": {"schemas": {}}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_from_the_root() {
        let mut found = 0;
        for path in [
            vec!["api", "v1"],
            vec!["apis", "apps", "v1"],
            vec!["apis", "coordination.k8s.io", "v1"],
            vec!["apis", "discovery.k8s.io", "v1"],
            vec!["apis", "multicluster.x-k8s.io", "v1alpha1"],
            vec!["apis", "storage.k8s.io", "v1"],
        ] {
            let list = document(&path).unwrap();
            found += list["resources"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|r| !r["name"].as_str().unwrap().contains('/'))
                .count();
        }
        assert_eq!(found, KINDS.len());
        assert_eq!(
            document(&["apis"]).unwrap()["groups"]
                .as_array()
                .unwrap()
                .len(),
            5
        );
        assert!(document(&["apis", "batch", "v1"]).is_none());
    }
}
