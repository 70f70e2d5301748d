//! Tables of custom kinds: `additionalPrinterColumns`, whose cells are found by simple JSONPath.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Served;
use crate::table::since;

/// The table of some objects.
pub(crate) fn table(served: &Served, objects: &[Value], now: Timestamp, include: &str) -> Value {
    let age = json!([{"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]);
    let columns = served.columns.as_array().filter(|all| !all.is_empty());
    let columns = columns.or(age.as_array()).map_or(&[][..], |all| all);
    let heading = |column: &Value| {
        let text = |field: &str| column[field].as_str().unwrap_or_default();
        json!({
            "name": column["name"], "type": column["type"], "format": text("format"), "description": text("description"),
            "priority": column["priority"].as_i64().unwrap_or_default(),
        })
    };
    let name = json!({"name": "Name", "type": "string", "format": "name", "description": "", "priority": 0});
    let headings: Vec<_> = std::iter::once(name)
        .chain(columns.iter().map(heading))
        .collect();
    let row = |object: &Value| {
        let cells = columns.iter().map(|column| cell(column, object, now));
        let cells = std::iter::once(object["metadata"]["name"].clone()).chain(cells);
        let shown = match include {
            "None" => Value::Null,
            "Object" => object.clone(),
            _ => {
                json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
            }
        };
        json!({"cells": cells.collect::<Vec<_>>(), "object": shown})
    };
    let rows: Vec<_> = objects.iter().map(row).collect();
    json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": headings, "rows": rows})
}

fn cell(column: &Value, object: &Value, now: Timestamp) -> Value {
    let path = column["jsonPath"].as_str().unwrap_or_default();
    let found = find(path, object);
    match (found.as_slice(), column["type"].as_str()) {
        ([], _) => Value::Null,
        ([time, ..], Some("date")) => since(time, now),
        ([Value::String(text)], Some("string")) => text.as_str().into(),
        ([one], Some("string")) => one.to_string().into(),
        ([one, ..], _) => Value::clone(one),
    }
}

/// The values at a path: `.a.b`, `[0]`, `[*]`, `['a.b']` and `[?(@.a=="b")]`.
fn find<'a>(path: &str, object: &'a Value) -> Vec<&'a Value> {
    let mut found = vec![object];
    let mut rest = path.trim_start_matches('$');
    while !rest.is_empty() {
        let (step, after) = split(rest);
        found = found
            .into_iter()
            .flat_map(|value| below(step, value))
            .collect();
        rest = after;
    }
    found
}

/// The first step of a path, and what is left.
fn split(path: &str) -> (&str, &str) {
    if let Some(inside) = path.strip_prefix('[') {
        let end = inside.find(']').unwrap_or(inside.len());
        return (&inside[..end], inside.get(end + 1..).unwrap_or_default());
    }
    let name = path.trim_start_matches('.');
    name.split_at(name.find(['.', '[']).unwrap_or(name.len()))
}

fn below<'a>(step: &str, value: &'a Value) -> Vec<&'a Value> {
    if step == "*" {
        return match value {
            Value::Array(items) => items.iter().collect(),
            Value::Object(fields) => fields.values().collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
        };
    }
    if let Some(condition) = step.strip_prefix("?(@.").and_then(|c| c.strip_suffix(')')) {
        let (path, wanted) = condition.split_once("==").unwrap_or((condition, ""));
        let wanted = wanted.trim().trim_matches(['"', '\'']);
        let items = value.as_array().into_iter().flatten();
        let fits = |item: &&Value| item[path.trim()].as_str() == Some(wanted);
        return items.filter(fits).collect();
    }
    let step = step.trim_matches(['"', '\'']);
    let item = value
        .get(step)
        .or_else(|| value.get(step.parse::<usize>().ok()?));
    item.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_found_by_their_paths() {
        let object = json!({
            "spec": {"size": 3, "a.b": "x", "list": [{"n": "1"}, {"n": "2"}]},
            "status": {"conditions": [{"type": "Ready", "status": "True"}]},
        });
        for (path, wanted) in [
            (".spec.size", vec![json!(3)]),
            (".spec['a.b']", vec![json!("x")]),
            (".spec.list[1].n", vec![json!("2")]),
            (".spec.list[*].n", vec![json!("1"), json!("2")]),
            (
                ".status.conditions[?(@.type==\"Ready\")].status",
                vec![json!("True")],
            ),
            (".status.none", vec![]),
        ] {
            let found: Vec<_> = find(path, &object).into_iter().cloned().collect();
            assert_eq!(found, wanted, "{path}");
        }
    }
}
