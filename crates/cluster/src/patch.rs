//! Patches: RFC 6902, RFC 7396, and Kubernetes' strategic merge.

use std::borrow::Cow;
use std::collections::BTreeMap;

use json_patch::jsonptr::{Pointer, PointerBuf};
use json_patch::{AddOperation, PatchOperation};
use serde_json::{Map, Value};

use super::schema::{self, Field, SCHEMA};
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

    /// How the API server's errors show a patch that leaves an object which cannot be read: a strategic one as Go prints it,
    /// of the others what they leave.
    pub(super) fn shown(self, patch: &Value, patched: &Value) -> String {
        match self {
            Self::Strategic => printed(patch),
            Self::Json | Self::Merge => patched.to_string(),
        }
    }

    /// Applies `patch` to `object`, which is of the type `of`.
    ///
    /// # Errors
    /// A patch that cannot be applied.
    pub(super) fn apply(
        self,
        object: &mut Value,
        patch: &Value,
        of: &str,
    ) -> Result<(), ApiStatus> {
        match self {
            Self::Json => operate(object, &operations(patch)?),
            Self::Merge if patch.is_null() => Err(ApiStatus::bad_request("Invalid JSON Patch")),
            Self::Merge => {
                let problem = of_another_shape(patch, "map[string]interface {}");
                if let Some(problem) = problem {
                    return Err(undecodable(&problem));
                }
                json_patch::merge(object, patch);
                Ok(())
            }
            Self::Strategic => match of_another_shape(patch, "map[string]interface {}") {
                _ if patch.is_null() => Ok(()),
                Some(problem) => Err(ApiStatus::bad_request(problem)),
                None => strategic(object, patch, of),
            },
        }
    }
}

/// What Go says of a value that is no object.
fn of_another_shape(value: &Value, wanted: &str) -> Option<String> {
    let called = schema::called(value);
    let problem = || format!("json: cannot unmarshal {called} into Go value of type {wanted}");
    (!value.is_object()).then(problem)
}

fn undecodable(problem: &str) -> ApiStatus {
    ApiStatus::bad_request(format!("error decoding patch: {problem}"))
}

/// The operations of a JSON patch. One that is none is found only when it is performed.
fn operations(patch: &Value) -> Result<Vec<PatchOperation>, ApiStatus> {
    const OPERATION: &str = "handlers.jsonPatchOp";
    let operations: &[Value] = patch.as_array().map_or(&[], |operations| operations);
    if !patch.is_array() && !patch.is_null() {
        let called = schema::called(patch);
        let list = format!("json: cannot unmarshal {called} into Go value of type []{OPERATION}");
        return Err(undecodable(&list));
    }
    let mut odd = operations
        .iter()
        .filter(|operation| !operation.is_null())
        .filter_map(|operation| of_another_shape(operation, OPERATION));
    if let Some(problem) = odd.next() {
        return Err(undecodable(&problem));
    }
    let mut operations = operations.to_vec();
    for operation in operations.iter_mut().filter_map(Value::as_object_mut) {
        // Without a value it is null.
        operation.entry("value").or_insert(Value::Null);
    }
    serde_json::from_value(operations.into()).map_err(|_| ApiStatus::unprocessable())
}

/// A value as Go's `%+v` prints it.
pub(super) fn printed(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".into(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => {
            let items: Vec<_> = items.iter().map(printed).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Object(fields) => {
            let sorted: BTreeMap<_, _> = fields.iter().collect();
            let fields = sorted.into_iter();
            let fields: Vec<_> = fields.map(|(k, v)| format!("{k}:{}", printed(v))).collect();
            format!("map[{}]", fields.join(" "))
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
        let Some(operation) = lenient(object, operation) else {
            continue;
        };
        // The API server keeps to itself which operation failed.
        json_patch::patch(object, std::slice::from_ref(&*operation))
            .map_err(|_| ApiStatus::unprocessable())?;
    }
    Ok(())
}

/// What the API server's library (evanphx/json-patch 4) makes of an operation on a member that is not there: one that is to
/// be replaced is added, and read it is null. `None`: there is nothing to do.
fn lenient<'o>(object: &Value, operation: &'o PatchOperation) -> Option<Cow<'o, PatchOperation>> {
    let is_missing = |path: &Pointer| {
        let parent = path.parent().map(|parent| object.pointer(parent.as_str()));
        let parent = parent.flatten().and_then(Value::as_object);
        let member = path.back().map(|token| token.decoded().into_owned());
        parent
            .zip(member)
            .is_some_and(|(parent, member)| !parent.contains_key(&member))
    };
    let add = |path: &PointerBuf, value: &Value| {
        let (path, value) = (path.clone(), value.clone());
        Some(Cow::Owned(PatchOperation::Add(AddOperation {
            path,
            value,
        })))
    };
    match operation {
        PatchOperation::Replace(replace) if is_missing(&replace.path) => {
            add(&replace.path, &replace.value)
        }
        PatchOperation::Copy(copy) if is_missing(&copy.from) => add(&copy.path, &Value::Null),
        PatchOperation::Test(test) if test.value.is_null() && is_missing(&test.path) => None,
        PatchOperation::Add(_)
        | PatchOperation::Remove(_)
        | PatchOperation::Replace(_)
        | PatchOperation::Move(_)
        | PatchOperation::Copy(_)
        | PatchOperation::Test(_) => Some(Cow::Borrowed(operation)),
    }
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

/// Keys of a patch that say how to apply it: they are no fields of the object.
const DIRECTIVES: &[&str] = &["$patch", "$retainKeys"];

/// Merges a patch into an object of the type `of`; lists are merged as the schema says (`x-kubernetes-patch-strategy`).
///
/// # Errors
/// A directive that is none, an item without what its list is merged by.
fn strategic(object: &mut Value, patch: &Value, of: &str) -> Result<(), ApiStatus> {
    let Some(fields) = patch.as_object() else {
        *object = patch.clone();
        return Ok(());
    };
    match directive(patch)? {
        Some("replace") => {
            *object = without_directives(fields);
            return Ok(());
        }
        Some("delete") => {
            *object = Value::Object(Map::new());
            return Ok(());
        }
        _ => {}
    }
    let patch = fields;
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    let Some(target) = object.as_object_mut() else {
        return Ok(());
    };
    if let Some(keep) = patch.get("$retainKeys").and_then(Value::as_array) {
        target.retain(|key, _| keep.iter().any(|k| k == key.as_str()));
    }
    for (key, value) in patch {
        if DIRECTIVES.contains(&key.as_str()) || of_list(target, patch, (key, value), of)? {
            continue;
        }
        let field = member(of, key);
        let inside = field.map_or("", |field| field.shape.of());
        match value {
            Value::Null => drop(target.remove(key)),
            Value::Object(_) if value["$patch"] == "delete" => drop(target.remove(key)),
            Value::Object(_) => strategic(
                target.entry(key.clone()).or_insert(Value::Null),
                value,
                inside,
            )?,
            Value::Array(items) => {
                let order = patch.get(&format!("$setElementOrder/{key}"));
                let order = order.and_then(Value::as_array).unwrap_or(items);
                let list = target
                    .entry(key.clone())
                    .or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, (items, order), field)?;
            }
            Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                drop(target.insert(key.clone(), value.clone()))
            }
        }
    }
    Ok(())
}

/// Does what a key of a patch says of a list; whether it says such a thing.
fn of_list(
    target: &mut Map<String, Value>,
    patch: &Map<String, Value>,
    (key, value): (&str, &Value),
    of: &str,
) -> Result<bool, ApiStatus> {
    let said = value.as_array().map_or(&[][..], |v| v);
    if let Some(list) = key.strip_prefix("$setElementOrder/") {
        // Beside the list's own patch it is looked at there.
        if !patch.contains_key(list)
            && let Some(items) = target.get_mut(list)
        {
            merge_list(items, (&[], said), member(of, list))?;
        }
        return Ok(true);
    }
    let Some(list) = key.strip_prefix("$deleteFromPrimitiveList/") else {
        return Ok(false);
    };
    if let Some(items) = target.get_mut(list).and_then(Value::as_array_mut) {
        items.retain(|item| !said.contains(item));
    }
    Ok(true)
}

/// A field of a type.
fn member(of: &str, name: &str) -> Option<&'static Field> {
    SCHEMA.fields(of).iter().find(|field| field.name == name)
}

/// What a map of a patch says of itself.
fn directive(patch: &Value) -> Result<Option<&str>, ApiStatus> {
    let said = &patch["$patch"];
    match said.as_str() {
        Some("delete" | "merge" | "replace") => Ok(said.as_str()),
        None if said.is_null() => Ok(None),
        _ => {
            let (said, patch) = (printed(said), printed(patch));
            let why = format!("unknown patch type: {said} in map: {patch}");
            Err(ApiStatus::unknown(why))
        }
    }
}

/// Merges a list; `order`: the items that the patch names, in the order that they are to have.
fn merge_list(
    target: &mut Value,
    (patch, order): (&[Value], &[Value]),
    field: Option<&Field>,
) -> Result<(), ApiStatus> {
    let merge_key = field.and_then(|field| field.merge);
    let inside = field.map_or("", |field| field.shape.of());
    let Some(items) = target.as_array_mut() else {
        *target = Value::Array(patch.to_vec());
        return Ok(());
    };
    // A list of plain values is merged as a set.
    if merge_key == Some("") {
        let before = items.clone();
        for item in patch {
            if !items.contains(item) {
                items.push(item.clone());
            }
        }
        *items = arrange(std::mem::take(items), &before, order, "");
        return Ok(());
    }
    let Some(merge_key) = merge_key.filter(|_| patch.iter().all(Value::is_object)) else {
        *items = patch.to_vec();
        return Ok(());
    };
    if patch.iter().any(|item| item["$patch"] == "replace") {
        items.clear();
    }
    let before = items.clone();
    for item in patch {
        let said = directive(item)?;
        if item[merge_key].is_null() && said != Some("replace") {
            let item = printed(item);
            let why = format!("map: {item} does not contain declared merge key: {merge_key}");
            return Err(ApiStatus::unknown(why));
        }
        let at = items
            .iter()
            .position(|old| old[merge_key] == item[merge_key]);
        match (said, at) {
            (Some("replace"), _) if item[merge_key].is_null() => {}
            (Some("delete"), _) => items.retain(|old| old[merge_key] != item[merge_key]),
            (_, Some(at)) => strategic(&mut items[at], item, inside)?,
            (_, None) => {
                let mut new = Value::Null;
                strategic(&mut new, item, inside)?;
                items.push(new);
            }
        }
    }
    *items = arrange(std::mem::take(items), &before, order, merge_key);
    Ok(())
}

/// What tells an item of a list from the others; without a key the item itself.
fn identity<'i>(item: &'i Value, merge_key: &str) -> &'i Value {
    if merge_key.is_empty() {
        item
    } else {
        &item[merge_key]
    }
}

/// Puts merged items in order. Items that `order` names keep its order, the others keep theirs from before. Of a named
/// item and another that were both there before, the earlier one comes first; if either is new, the named one does.
fn arrange(merged: Vec<Value>, before: &[Value], order: &[Value], merge_key: &str) -> Vec<Value> {
    let place = |list: &[Value], item: &Value| {
        let wanted = identity(item, merge_key);
        list.iter()
            .position(|other| identity(other, merge_key) == wanted)
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

    fn patched(of: &str, mut object: Value, patch: Value) -> Value {
        let of = format!("io.k8s.api.{of}");
        PatchType::Strategic
            .apply(&mut object, &patch, &of)
            .unwrap();
        object
    }

    #[test]
    fn containers_are_merged_by_name_and_other_lists_replaced() {
        let pod = json!({"spec": {"containers": [{"name": "a", "image": "a:1", "args": ["x"]}, {"name": "b", "image": "b:1"}]}});
        let patch = json!({"spec": {"containers": [{"name": "a", "image": "a:2", "args": ["y", "z"]}, {"name": "c", "image": "c:1"}]}});
        let wanted = json!({"spec": {"containers": [
            {"name": "a", "image": "a:2", "args": ["y", "z"]}, {"name": "c", "image": "c:1"}, {"name": "b", "image": "b:1"}]}});
        assert_eq!(patched("core.v1.Pod", pod, patch), wanted);
    }

    #[test]
    fn directives_delete_replace_and_keep() {
        let object = json!({
            "metadata": {"finalizers": ["f", "g"]},
            "spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 2}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": {
                "containers": [{"name": "c", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}],
            }}},
        });
        let patch = json!({
            "metadata": {"$deleteFromPrimitiveList/finalizers": ["f"], "finalizers": ["h"]},
            "spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}, "template": {
                "metadata": {"$patch": "replace", "name": "x"},
                "spec": {"containers": [{"name": "c", "env": [{"name": "A", "$patch": "delete"}], "$setElementOrder/env": [{"name": "B"}]}]},
            }},
        });
        let wanted = json!({
            "metadata": {"finalizers": ["h", "g"]},
            "spec": {"strategy": {"type": "Recreate"}, "template": {"metadata": {"name": "x"}, "spec": {
                "containers": [{"name": "c", "env": [{"name": "B", "value": "2"}]}],
            }}},
        });
        assert_eq!(patched("apps.v1.Deployment", object, patch), wanted);
    }

    #[test]
    fn a_json_patch_builds_nothing_that_no_request_could_say() {
        let apply = |operations: Vec<Value>| {
            let mut object = json!({"data": {"q": {}}, "list": ["x"]});
            let outcome = PatchType::Json.apply(&mut object, &operations.into(), "");
            outcome.map_err(|status| (status.code, status.message))
        };
        let copy = |from: &str, path: &str| json!({"op": "copy", "from": from, "path": path});
        let deep = (0..14).map(|n| copy("/data", &format!("/data{}", "/q".repeat(1 << n))));
        let why = "Request entity too large: a JSON patch may nest an object 127 levels deep";
        assert_eq!(apply(deep.collect()), Err((413, why.into())));
        let added = (1..200)
            .map(|n| json!({"op": "add", "path": format!("/data{}", "/a".repeat(n)), "value": {}}));
        assert_eq!(apply(added.collect()), Err((413, why.into())));
        let doubled: Vec<_> = (0..40).map(|_| copy("/list", "/list/-")).collect();
        let (code, why) = apply(doubled).unwrap_err();
        assert_eq!(code, 413, "{why}");
        let many = vec![json!({"op": "test", "path": "/list/0", "value": "x"}); 10_001];
        let why = "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001";
        assert_eq!(apply(many), Err((413, why.into())));
        assert_eq!(apply(vec![copy("/list", "/data/q/list")]), Ok(()));
    }

    #[test]
    fn a_json_patch_takes_a_member_that_is_not_there_for_null() {
        let apply = |operation: Value| {
            let mut object = json!({"spec": {"a": 1, "list": []}});
            let outcome = PatchType::Json.apply(&mut object, &json!([operation]), "");
            outcome
                .map(|()| object["spec"].clone())
                .map_err(|status| status.code)
        };
        let with = |more: Value| {
            let mut spec = json!({"a": 1, "list": []});
            let spec_fields = spec.as_object_mut().unwrap();
            spec_fields.extend(more.as_object().unwrap().clone());
            Ok(spec)
        };
        for (operation, wanted) in [
            (
                json!({"op": "replace", "path": "/spec/b", "value": 2}),
                with(json!({"b": 2})),
            ),
            (
                json!({"op": "test", "path": "/spec/b", "value": null}),
                with(json!({})),
            ),
            (
                json!({"op": "test", "path": "/spec/b", "value": 1}),
                Err(422),
            ),
            (
                json!({"op": "copy", "from": "/spec/b", "path": "/spec/c"}),
                with(json!({"c": null})),
            ),
            (
                json!({"op": "add", "path": "/spec/b"}),
                with(json!({"b": null})),
            ),
            (json!({"op": "remove", "path": "/spec/b"}), Err(422)),
            (
                json!({"op": "replace", "path": "/spec/list/0", "value": 1}),
                Err(422),
            ),
            (
                json!({"op": "replace", "path": "/none/b", "value": 1}),
                Err(422),
            ),
            (Value::Null, Err(422)),
        ] {
            assert_eq!(apply(operation.clone()), wanted, "{operation}");
        }
    }

    #[test]
    fn an_order_alone_puts_a_list_in_order() {
        let pod = json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}});
        let patch =
            json!({"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}});
        let wanted = json!({"spec": {"containers": [{"name": "b"}, {"name": "a"}]}});
        assert_eq!(patched("core.v1.Pod", pod, patch), wanted);
    }

    #[test]
    fn a_list_is_merged_by_the_key_of_its_place() {
        let labels = json!({"metadata": {"labels": {"a": "1", "b": "2"}}});
        let patch = json!({"metadata": {"labels": {"a": null}}});
        assert_eq!(
            patched("core.v1.Pod", labels, patch),
            json!({"metadata": {"labels": {"b": "2"}}})
        );
        let ports = |ports: Value| json!({"spec": {"ports": ports}});
        let service = ports(
            json!([{"port": 81, "protocol": "TCP"}, {"port": 81, "protocol": "UDP"}, {"port": 80, "name": "http"}]),
        );
        let patch = ports(json!([{"port": 81, "$patch": "delete"}, {"port": 80, "name": "web"}]));
        assert_eq!(
            patched("core.v1.Service", service, patch),
            ports(json!([{"port": 80, "name": "web"}]))
        );
        let ports = |ports: Value| json!({"spec": {"containers": [{"name": "a", "ports": ports}]}});
        let pod = ports(json!([{"containerPort": 1, "name": "x"}]));
        let patch = ports(json!([{"containerPort": 2, "name": "y"}]));
        let both = json!([{"containerPort": 2, "name": "y"}, {"containerPort": 1, "name": "x"}]);
        assert_eq!(patched("core.v1.Pod", pod, patch), ports(both));
        // Tolerations have no key: the patch's are all that is left.
        let tolerations = |key: &str| json!({"spec": {"tolerations": [{"key": key}]}});
        let (before, patch) = (tolerations("a"), tolerations("b"));
        assert_eq!(patched("core.v1.Pod", before, patch), tolerations("b"));
    }
}
