//! What Go shows of fields that are not given: their zero values, where the type does not leave them out.

use serde_json::{Map, Value};

use super::scalar::zero;
use super::{Field, SCHEMA, Shape};

/// Completes an object of a type.
pub(crate) fn show(of: &str, object: &mut Value) {
    if let Some(fields) = object.as_object_mut() {
        complete(of, fields);
    }
}

fn complete(of: &str, fields: &mut Map<String, Value>) {
    for field in SCHEMA.fields(of) {
        match fields.get_mut(field.name) {
            None => {
                if field.shown {
                    fields.insert(field.name.to_owned(), unset(field));
                }
            }
            // What is empty comes back from protobuf as nothing.
            Some(value) if field.shown && is_empty(value) => *value = unset(field),
            Some(value) => within(&field.shape, value),
        }
    }
}

/// Completes what stands in a field.
fn within(shape: &Shape, value: &mut Value) {
    match (shape, value) {
        (Shape::Struct(of), Value::Object(fields)) => complete(of, fields),
        (Shape::List(of), Value::Array(items)) => {
            items.iter_mut().for_each(|item| within(of, item))
        }
        (Shape::Map(of), Value::Object(entries)) => {
            entries.values_mut().for_each(|entry| within(of, entry))
        }
        _ => {}
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

fn unset(field: &Field) -> Value {
    match &field.shape {
        _ if field.pointer => Value::Null,
        Shape::List(_)
        | Shape::Map(_)
        | Shape::Time
        | Shape::MicroTime
        | Shape::Any
        | Shape::Bytes => Value::Null,
        Shape::Struct(of) => {
            let mut fields = Map::new();
            complete(of, &mut fields);
            fields.into()
        }
        shape @ (Shape::String
        | Shape::Int32
        | Shape::Int64
        | Shape::Double
        | Shape::Boolean
        | Shape::Quantity
        | Shape::IntOrString) => zero(shape),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_go_does_not_leave_out_is_there() {
        let mut set = json!({"metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "a"}]}}}});
        show("io.k8s.api.apps.v1.StatefulSet", &mut set);
        let wanted = json!({
            "metadata": {"name": "a"},
            "spec": {
                "selector": null, "serviceName": "", "updateStrategy": {},
                "template": {"metadata": {}, "spec": {"containers": [{"name": "a", "resources": {}}]}},
            },
            "status": {"replicas": 0, "availableReplicas": 0},
        });
        assert_eq!(set, wanted);
        let mut slice = json!({"metadata": {"name": "a"}, "addressType": "IPv4"});
        show("io.k8s.api.discovery.v1.EndpointSlice", &mut slice);
        let wanted = json!({"metadata": {"name": "a"}, "addressType": "IPv4", "endpoints": null, "ports": null});
        assert_eq!(slice, wanted);
    }
}
