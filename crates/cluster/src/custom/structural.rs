//! Objects by a structural schema: what it does not know is taken out, what it has a default for is filled in.

use serde_json::{Map, Value};

/// What every object has.
const EVERYWHERE: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes out the fields that the schema does not have; gives their paths.
pub(crate) fn prune(schema: &Value, object: &mut Value) -> Vec<String> {
    let mut unknown = Vec::new();
    if schema.is_object() {
        walk(schema, object, (String::new(), true), &mut unknown);
    }
    unknown
}

fn walk(
    schema: &Value,
    value: &mut Value,
    (path, whole): (String, bool),
    unknown: &mut Vec<String>,
) {
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                let path = format!("{path}[{at}]");
                walk(&schema["items"], item, (path, false), unknown);
            }
        }
        Value::Object(fields) => {
            let whole = whole || schema["x-kubernetes-embedded-resource"] == true;
            let keeps = schema["x-kubernetes-preserve-unknown-fields"] == true;
            let mut gone = Vec::new();
            for (name, value) in fields.iter_mut() {
                if whole && EVERYWHERE.contains(&&**name) {
                    continue;
                }
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}.{name}")
                };
                match below(schema, name) {
                    Some(Value::Bool(true)) => {}
                    Some(schema) => walk(schema, value, (path, false), unknown),
                    None if keeps => {}
                    None => {
                        unknown.push(path);
                        gone.push(name.clone());
                    }
                }
            }
            fields.retain(|name, _| !gone.contains(name));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The schema of a field.
pub(super) fn below<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    let additional = schema.get("additionalProperties");
    let additional = additional.filter(|schema| schema.is_object() || **schema == true);
    schema["properties"].get(name).or(additional)
}

/// Fills in the defaults of fields that are not given; null where null may not be is not given.
pub(crate) fn fill(schema: &Value, object: &mut Value) {
    match object {
        Value::Object(fields) => {
            for (name, below) in schema["properties"].as_object().into_iter().flatten() {
                default(below, name, fields);
            }
            let is_known = |name: &String| below(schema, name).filter(|schema| schema.is_object());
            fields.retain(|name, value| {
                let may_be_null = is_known(name).is_none_or(|schema| schema["nullable"] == true);
                !value.is_null() || may_be_null
            });
            for (name, value) in fields.iter_mut() {
                if let Some(schema) = is_known(name) {
                    fill(schema, value);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                fill(&schema["items"], item);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn default(schema: &Value, name: &str, fields: &mut Map<String, Value>) {
    let Some(default) = schema.get("default") else {
        return;
    };
    let given = fields.get(name);
    let is_given = given.is_some_and(|value| !value.is_null() || schema["nullable"] == true);
    if !is_given {
        fields.insert(name.to_owned(), default.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {
            "spec": {"type": "object", "default": {}, "properties": {
                "size": {"type": "integer", "default": 1},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}}},
                "map": {"type": "object", "additionalProperties": {"type": "string"}},
                "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {"known": {"type": "object"}}},
            }},
        }})
    }

    #[test]
    fn what_the_schema_does_not_know_is_taken_out_and_named() {
        let mut object = json!({
            "apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"}, "more": 1,
            "spec": {"sise": 1, "list": [{"a": "1", "b": "2"}], "map": {"x": "y"}, "free": {"any": [1], "known": {"less": 1}}},
        });
        let unknown = prune(&schema(), &mut object);
        assert_eq!(
            unknown,
            [
                "more",
                "spec.sise",
                "spec.list[0].b",
                "spec.free.known.less"
            ]
        );
        let wanted = json!({
            "apiVersion": "a/v1", "kind": "K", "metadata": {"name": "n"},
            "spec": {"list": [{"a": "1"}], "map": {"x": "y"}, "free": {"any": [1], "known": {}}},
        });
        assert_eq!(object, wanted);
    }

    #[test]
    fn what_is_not_given_gets_its_default() {
        let mut object = json!({"metadata": {}});
        fill(&schema(), &mut object);
        assert_eq!(object, json!({"metadata": {}, "spec": {"size": 1}}));
        let mut object = json!({"spec": {"size": null, "list": [{}]}});
        fill(&schema(), &mut object);
        assert_eq!(object, json!({"spec": {"size": 1, "list": [{"a": "x"}]}}));
    }
}
