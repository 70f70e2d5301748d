//! A set of fields as `fieldsV1` of `managedFields` has it: an object of objects, `.` for what holds more.

use serde_json::{Map, Value, json};

use super::element::Element;
use super::set::Set;

/// What stands for a field that holds more.
const SELF: &str = ".";

/// The set as JSON.
pub(super) fn to_json(set: &Set) -> Value {
    Value::Object(contents(set, false))
}

fn contents(set: &Set, itself: bool) -> Map<String, Value> {
    let mut fields = Map::new();
    if itself {
        fields.insert(SELF.into(), json!({}));
    }
    let mut steps: Vec<&Element> = set.members.iter().chain(set.children.keys()).collect();
    steps.sort();
    steps.dedup();
    for step in steps {
        let below = match set.child(step) {
            Some(child) => contents(child, set.members.contains(step)),
            None if set.members.contains(step) => Map::new(),
            None => continue,
        };
        fields.insert(step.key(), Value::Object(below));
    }
    fields
}

/// The set that JSON tells of; `None`: it is no set.
pub(super) fn from_json(fields: &Value) -> Option<Set> {
    let mut set = Set::default();
    for (key, below) in fields.as_object()? {
        if key == SELF {
            continue;
        }
        let step = Element::read(key)?;
        let below_of = below.as_object()?;
        if below_of.is_empty() || below_of.contains_key(SELF) {
            set.members.insert(step.clone());
        }
        let child = from_json(below)?;
        if !child.is_empty() {
            set.children.insert(step, child);
        }
    }
    Some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_read_as_it_is_written() {
        let fields = json!({
            "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
            "f:spec": {
                "f:containers": {"k:{\"name\":\"a\"}": {".": {}, "f:image": {}, "f:ports": {
                    ".": {}, "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {".": {}, "f:containerPort": {}},
                }}},
                "f:finalizers": {"v:\"kubernetes\"": {}},
            },
        });
        let set = from_json(&fields).unwrap();
        assert_eq!(to_json(&set), fields);
        assert_eq!(set.ways().len(), 8);
        assert_eq!(from_json(&json!({"spec": {}})), None);
        assert_eq!(from_json(&json!({"f:spec": 1})), None);
    }
}
