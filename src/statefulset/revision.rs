//! ControllerRevisions: the templates a set has had, under names that are hashes of them.

use headless_objects::hash;
use headless_objects::object::{fields, name};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Action;
use super::set::owner;
use headless_objects::podspec;

const HASH: &str = "controller.kubernetes.io/hash";

/// The revision that Pods are to have, the one they come from, and what makes the list so.
pub(super) struct Revisions {
    pub(super) update: Value,
    pub(super) current: Value,
    /// How many names were taken by other templates, ever.
    pub(super) collisions: i64,
    pub(super) actions: Vec<Action>,
}

/// Finds or makes the set's revisions. `present`: the set's own; `all`: those whose names could be in the way too.
pub(super) fn revisions(set: &Value, present: &[Arc<Value>], all: &[Arc<Value>]) -> Revisions {
    let mut sorted: Vec<&Value> = present.iter().map(|r| &**r).collect();
    sorted.sort_by_key(|r| {
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        (
            number(r),
            text(&r["metadata"]["creationTimestamp"]),
            text(&r["metadata"]["name"]),
        )
    });
    let newest = sorted.last().map_or(0, |r| number(r));
    let data = data(&set["spec"]["template"]);
    let mut collisions = set["status"]["collisionCount"].as_i64().unwrap_or_default();
    let mut actions = Vec::new();
    let equal = sorted.iter().rev().find(|r| canonical(&r["data"]) == data);
    // A template that only an older API server wrote in another way is no change.
    let meant = |r: &&&Value| normalized(template(r)) == normalized(&set["spec"]["template"]);
    let update = match equal.or_else(|| sorted.last().filter(meant)) {
        Some(same) if number(same) == newest => Value::clone(same),
        Some(older) => {
            let mut raised = Value::clone(older);
            raised["revision"] = (newest + 1).into();
            actions.push(Action::RaiseRevision {
                name: name(older).to_owned(),
                revision: newest + 1,
            });
            raised
        }
        None => loop {
            let new = make(set, &data, (newest + 1, collisions));
            let taken = all.iter().find(|r| name(r) == name(&new));
            match taken {
                None => {
                    actions.push(Action::CreateRevision(new.clone()));
                    break new;
                }
                Some(same) if canonical(&same["data"]) == data => break Value::clone(same),
                Some(_) => collisions += 1,
            }
        },
    };
    let named = set["status"]["currentRevision"].as_str();
    let current = sorted
        .iter()
        .find(|r| r["metadata"]["name"].as_str() == named && named.is_some());
    let current = current.map_or_else(|| update.clone(), |r| Value::clone(r));
    Revisions {
        update,
        current,
        collisions,
        actions,
    }
}

/// The oldest revisions that no Pod and no status names, beyond the limit.
pub(super) fn beyond(present: &[Arc<Value>], live: &[&str], limit: usize) -> Vec<Action> {
    let mut idle: Vec<&Value> = present
        .iter()
        .map(|r| &**r)
        .filter(|r| !live.contains(&name(r)))
        .collect();
    idle.sort_by_key(|r| number(r));
    let gone = idle.len().saturating_sub(limit);
    idle[..gone]
        .iter()
        .map(|r| Action::DeleteRevision {
            name: name(r).to_owned(),
            uid: r["metadata"]["uid"].as_str().unwrap_or_default().to_owned(),
        })
        .collect()
}

/// The template that a revision holds.
pub(super) fn template(revision: &Value) -> &Value {
    &revision["data"]["spec"]["template"]
}

fn number(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or_default()
}

/// A strategic merge patch that puts this template back: what a revision stores.
fn data(template: &Value) -> Value {
    let mut template = canonical(&fields(template));
    template["$patch"] = "replace".into();
    canonical(&json!({"spec": {"template": template}}))
}

fn make(set: &Value, data: &Value, (revision, collisions): (i64, i64)) -> Value {
    let hash = hash(data, collisions);
    let mut labels = set["spec"]["template"]["metadata"]["labels"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    labels.insert(HASH.into(), hash.as_str().into());
    // Names may have 253 characters, hashes ten of them.
    let prefix: String = name(set).chars().take(223).collect();
    json!({
        "apiVersion": "apps/v1", "kind": "ControllerRevision",
        "metadata": {
            "name": format!("{prefix}-{hash}"), "namespace": set["metadata"]["namespace"], "labels": labels,
            "annotations": set["metadata"]["annotations"].as_object().cloned().unwrap_or_default(),
            "ownerReferences": [owner(set)],
        },
        "data": data, "revision": revision,
    })
}

/// The template with its defaults and without what says nothing: equal for templates that mean the same.
fn normalized(template: &Value) -> Value {
    let mut template = fields(template);
    if let Some(fields) = template.as_object_mut() {
        fields.remove("$patch");
    }
    podspec::fill(&mut template["spec"]);
    strip(&template)
}

fn strip(value: &Value) -> Value {
    let says = |v: &Value| match v {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    };
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().map(|(k, v)| (k.clone(), strip(v)));
            Value::Object(kept.filter(|(_, v)| says(v)).collect())
        }
        Value::Array(items) => items.iter().map(strip).collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

/// The value with its keys sorted and nulls left out, as the API server writes it.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut sorted: Vec<_> = fields.iter().filter(|(_, v)| !v.is_null()).collect();
            sorted.sort_by_key(|(key, _)| *key);
            Value::Object(
                sorted
                    .into_iter()
                    .map(|(k, v)| (k.clone(), canonical(v)))
                    .collect::<Map<_, _>>(),
            )
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s74_the_hashes_of_a_real_controller_come_out_again() {
        let text = include_str!("../../tests/fixtures/statefulset-1.36.3.json");
        let fixture: Value = serde_json::from_str(text).unwrap();
        let revisions = fixture["controllerRevisions"].as_array().unwrap();
        for revision in revisions {
            let wanted = revision["metadata"]["labels"][HASH].as_str().unwrap();
            assert_eq!(
                hash(&canonical(&revision["data"]), 0),
                wanted,
                "{}",
                name(revision)
            );
        }
        assert_eq!(revisions.len(), 9);
        for set in fixture["setsAsCreated"].as_array().unwrap() {
            let update = super::revisions(set, &[], &[]).update;
            assert_eq!(update["metadata"]["name"], set["status"]["updateRevision"]);
            let made = revisions.iter().find(|r| name(r) == name(&update)).unwrap();
            assert_eq!(
                (&update["data"], &update["metadata"]["labels"]),
                (&made["data"], &made["metadata"]["labels"])
            );
        }
    }
}
