//! Patches: RFC 6902, RFC 7396, and Kubernetes' strategic merge.

use serde_json::{Map, Value};

use super::status::ApiStatus;

/// The kinds of patch, by media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchType {
    /// `application/json-patch+json` (RFC 6902).
    Json,
    /// `application/merge-patch+json` (RFC 7396).
    Merge,
    /// `application/strategic-merge-patch+json`.
    Strategic,
}

impl PatchType {
    /// By the request's media type.
    ///
    /// # Errors
    /// 415, naming those that are taken.
    pub(super) fn of(media_type: &str) -> Result<Self, ApiStatus> {
        match media_type.split(';').next().unwrap_or_default().trim() {
            "application/json-patch+json" => Ok(Self::Json),
            "application/merge-patch+json" => Ok(Self::Merge),
            "application/strategic-merge-patch+json" => Ok(Self::Strategic),
            other => Err(ApiStatus::unsupported_media_type(format!(
                "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, \
                 application/merge-patch+json, application/strategic-merge-patch+json; got {other:?}"
            ))),
        }
    }

    /// Applies `patch` to `object`.
    ///
    /// # Errors
    /// A patch that cannot be applied.
    pub(super) fn apply(self, object: &mut Value, patch: &Value) -> Result<(), ApiStatus> {
        match self {
            Self::Json => {
                let patch: json_patch::Patch =
                    serde_json::from_value(patch.clone()).map_err(|error| {
                        ApiStatus::bad_request(format!("not a JSON patch: {error}"))
                    })?;
                // The API server keeps to itself which operation failed.
                json_patch::patch(object, &patch).map_err(|_| ApiStatus::unprocessable())
            }
            Self::Merge => {
                json_patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic => {
                strategic(object, patch, "");
                Ok(())
            }
        }
    }
}

/// Lists whose items are merged by a key instead of replaced (`x-kubernetes-patch-merge-key`), by the list's name.
///
/// A name that means different lists in different places names its parent as well.
const MERGE_KEYS: &[(&str, &str)] = &[
    ("containers", "name"),
    ("initContainers", "name"),
    ("ephemeralContainers", "name"),
    ("env", "name"),
    ("volumes", "name"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
    ("resourceClaims", "name"),
    ("podIPs", "ip"),
    ("ownerReferences", "uid"),
    ("conditions", "type"),
    ("secrets", "name"),
    ("container.ports", "containerPort"),
    ("ports", "port"),
    ("addresses", "type"),
];

/// Lists of plain values that are merged as sets (`x-kubernetes-patch-strategy: merge`).
const MERGED_SETS: &[&str] = &["finalizers"];

/// Fields that are replaced whole (`x-kubernetes-patch-strategy: retainKeys` or atomic maps).
const DIRECTIVES: &[&str] = &["$patch", "$retainKeys"];

fn strategic(object: &mut Value, patch: &Value, parent: &str) {
    let Some(patch) = patch.as_object() else {
        *object = patch.clone();
        return;
    };
    if patch.get("$patch").is_some_and(|p| p == "replace") {
        *object = without_directives(patch);
        return;
    }
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(target) = object.as_object_mut() else {
        return;
    };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| keep.iter().any(|k| k == key.as_str()));
    }
    for (key, value) in patch {
        if DIRECTIVES.contains(&key.as_str()) || key.starts_with("$setElementOrder/") {
            continue;
        }
        if let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = value.as_array().map_or(&[][..], |v| v);
            if let Some(items) = target.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        match value {
            Value::Null => drop(target.remove(key)),
            Value::Object(_) if value["$patch"] == "delete" => drop(target.remove(key)),
            Value::Object(_) => {
                strategic(target.entry(key.clone()).or_insert(Value::Null), value, key)
            }
            Value::Array(items) => {
                let order = patch.get(&format!("$setElementOrder/{key}"));
                let order = order.and_then(Value::as_array).unwrap_or(items);
                let list = target
                    .entry(key.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, (items, order), key, parent);
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                drop(target.insert(key.clone(), value.clone()))
            }
        }
    }
}

/// Merges a list; `order`: how the items that the patch names stand.
fn merge_list(target: &mut Value, (patch, order): (&[Value], &[Value]), name: &str, parent: &str) {
    let scoped = if name == "ports" && ["containers", "initContainers"].contains(&parent) {
        "container.ports"
    } else {
        name
    };
    let merge_key = MERGE_KEYS
        .iter()
        .find(|(list, _)| *list == scoped)
        .map(|(_, key)| *key);
    let Some(items) = target.as_array_mut() else {
        *target = Value::Array(patch.to_vec());
        return;
    };
    if MERGED_SETS.contains(&name) {
        for item in patch {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        return;
    }
    let Some(merge_key) = merge_key.filter(|_| patch.iter().all(Value::is_object)) else {
        *items = patch.to_vec();
        return;
    };
    if patch.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    let before = items.clone();
    for item in patch {
        let at = items
            .iter()
            .position(|old| old[merge_key] == item[merge_key]);
        match (item["$patch"].as_str(), at) {
            (Some("replace"), _) if item[merge_key].is_null() => {}
            (Some("delete"), Some(at)) => drop(items.remove(at)),
            (Some("delete"), None) => {}
            (_, Some(at)) => strategic(&mut items[at], item, name),
            (_, None) => {
                let mut new = Value::Null;
                strategic(&mut new, item, name);
                items.push(new);
            }
        }
    }
    *items = arrange(std::mem::take(items), &before, order, merge_key);
}

/// Puts merged items in order: those of the patch as it has them, the others as they were, and where both were there
/// before as they stood to each other. What is new comes before what the patch does not name.
fn arrange(merged: Vec<Value>, before: &[Value], order: &[Value], merge_key: &str) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        list.iter()
            .position(|other| other[merge_key] == item[merge_key])
    };
    let (mut named, others): (Vec<_>, Vec<_>) = merged
        .into_iter()
        .partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    let mut arranged = Vec::new();
    while let Some(other) = others.peek() {
        let earlier = |item: &Value| match (place(before, other), place(before, item)) {
            (Some(other), Some(item)) => item < other,
            (None, _) | (_, None) => true,
        };
        let next = named.next_if(earlier).or_else(|| others.next());
        arranged.extend(next);
    }
    arranged.extend(named);
    arranged
}

fn without_directives(patch: &Map<String, Value>) -> Value {
    let kept = patch
        .iter()
        .filter(|(key, _)| !DIRECTIVES.contains(&key.as_str()));
    Value::Object(kept.map(|(k, v)| (k.clone(), v.clone())).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patched(mut object: Value, patch: Value) -> Value {
        PatchType::Strategic.apply(&mut object, &patch).unwrap();
        object
    }

    #[test]
    fn containers_are_merged_by_name_and_other_lists_replaced() {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "image": "a:2", "args": ["y", "z"]}, {"name": "c", "image": "c:1"}]}});
        let wanted = json!({"spec": {"containers": [
            {"name": "a", "image": "a:2", "args": ["y", "z"]}, {"name": "c", "image": "c:1"}, {"name": "b", "image": "b:1"}]}});
        assert_eq!(patched(pod, patch), wanted);
    }

    #[test]
    fn directives_delete_replace_and_keep() {
        let object = json!({"a": {"x": 1, "y": 2}, "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "finalizers": ["f", "g"]});
        let patch = json!({
            "a": {"$retainKeys": ["y"], "y": 3},
            "env": [{"name": "A", "$patch": "delete"}],
            "$deleteFromPrimitiveList/finalizers": ["f"],
            "finalizers": ["h"],
            "$setElementOrder/env": [{"name": "B"}],
        });
        assert_eq!(
            patched(object, patch),
            json!({"a": {"y": 3}, "env": [{"name": "B", "value": "2"}], "finalizers": ["g", "h"]})
        );
        let template = json!({"spec": {"template": {"a": 1, "b": 2}}});
        let whole = json!({"spec": {"template": {"$patch": "replace", "c": 3}}});
        assert_eq!(
            patched(template, whole),
            json!({"spec": {"template": {"c": 3}}})
        );
    }

    #[test]
    fn null_removes_and_ports_have_the_key_of_their_place() {
        assert_eq!(
            patched(json!({"a": 1, "b": 2}), json!({"a": null})),
            json!({"b": 2})
        );
        let service = json!({"spec": {"ports": [{"port": 80, "name": "http"}]}});
        assert_eq!(
            patched(
                service,
                json!({"spec": {"ports": [{"port": 80, "name": "web"}]}})
            ),
            json!({"spec": {"ports": [{"port": 80, "name": "web"}]}})
        );
        let pod =
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 1, "name": "x"}]}]});
        let patch =
            json!({"containers": [{"name": "a", "ports": [{"containerPort": 2, "name": "y"}]}]});
        assert_eq!(
            patched(pod, patch)["containers"][0]["ports"]
                .as_array()
                .unwrap()
                .len(),
            2
        );
    }
}
