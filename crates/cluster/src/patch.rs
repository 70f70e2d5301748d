//! Patches: RFC 6902, RFC 7396, and Kubernetes' strategic merge.

use json_patch::PatchOperation;
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
                operate(object, &patch)
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

/// Operations of one JSON patch: the API server's limit.
const MAX_OPERATIONS: usize = 10_000;

/// Octets that the copies of one JSON patch may add: the API server's limit.
const MAX_COPIED: usize = 3 << 20;

/// Levels of an object: what a request's own JSON may have. Operations can build what no request could say.
const MAX_DEPTH: usize = 127;

/// Performs a JSON patch within the limits.
fn operate(object: &mut Value, patch: &[PatchOperation]) -> Result<(), ApiStatus> {
    if patch.len() > MAX_OPERATIONS {
        return Err(ApiStatus::too_large(format!(
            "The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {}",
            patch.len()
        )));
    }
    let mut copied = 0;
    for operation in patch {
        let (path, value) = match operation {
            PatchOperation::Add(add) => (&add.path, Some(&add.value)),
            PatchOperation::Replace(replace) => (&replace.path, Some(&replace.value)),
            PatchOperation::Copy(copy) => {
                let value = object.pointer(copy.from.as_str());
                copied += value.map_or(0, |value| value.to_string().len());
                (&copy.path, value)
            }
            PatchOperation::Move(moved) => (&moved.path, object.pointer(moved.from.as_str())),
            PatchOperation::Remove(remove) => (&remove.path, None),
            PatchOperation::Test(test) => (&test.path, None),
        };
        if copied > MAX_COPIED {
            return Err(ApiStatus::too_large(format!(
                "Unable to complete the copy, the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
            )));
        }
        if path.tokens().count() + value.map_or(0, depth) > MAX_DEPTH {
            return Err(ApiStatus::too_large(format!(
                "a JSON patch may nest an object {MAX_DEPTH} levels deep"
            )));
        }
        // The API server keeps to itself which operation failed.
        json_patch::patch(object, std::slice::from_ref(operation))
            .map_err(|_| ApiStatus::unprocessable())?;
    }
    Ok(())
}

/// How many levels a value has; a plain one has none.
fn depth(value: &Value) -> usize {
    let below = |values: &mut dyn Iterator<Item = &Value>| 1 + values.map(depth).max().unwrap_or(0);
    match value {
        Value::Array(items) => below(&mut items.iter()),
        Value::Object(fields) => below(&mut fields.values()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// Lists whose items are merged by a key instead of replaced (`x-kubernetes-patch-merge-key`), by the list's name.
///
/// A name that occurs in two places with different keys has its parent in front: `container.ports`.
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

/// Keys of a patch that say how to apply it: they are no fields of the object.
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

/// Merges a list; `order`: the items that the patch names, in the order that they are to have.
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

/// Puts merged items in order. Items that `order` names keep its order, the others keep theirs from before. Of a named
/// item and another that were both there before, the earlier one comes first; if either is new, the named one does.
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
    fn a_json_patch_builds_nothing_that_no_request_could_say() {
        let apply = |operations: Vec<Value>| {
            let mut object = json!({"data": {"q": {}}, "list": ["x"]});
            let outcome = PatchType::Json.apply(&mut object, &operations.into());
            outcome.map_err(|status| (status.code, status.message))
        };
        let copy = |from: &str, path: &str| json!({"op": "copy", "from": from, "path": path});
        let deep = (0..14).map(|n| copy("/data", &format!("/data{}", "/q".repeat(1 << n))));
        let why = "a JSON patch may nest an object 127 levels deep";
        assert_eq!(apply(deep.collect()), Err((413, why.into())));
        let added = (1..200)
            .map(|n| json!({"op": "add", "path": format!("/data{}", "/a".repeat(n)), "value": {}}));
        assert_eq!(apply(added.collect()), Err((413, why.into())));
        let doubled: Vec<_> = (0..40).map(|_| copy("/list", "/list/-")).collect();
        let (code, why) = apply(doubled).unwrap_err();
        assert_eq!(code, 413, "{why}");
        let many = vec![json!({"op": "test", "path": "/list/0", "value": "x"}); 10_001];
        let why = "The allowed maximum operations in a JSON patch is 10000, got 10001";
        assert_eq!(apply(many), Err((413, why.into())));
        assert_eq!(apply(vec![copy("/list", "/data/q/list")]), Ok(()));
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
