//! An object against the types of its kind, as Go's decoder reads it: what has another type is refused in its words, what no type
//! has is named and left out, and what is null or empty is as if it were not there.

use headless_objects::quantity;
use serde_json::{Map, Value};

use super::scalar::{self, Misread, given, go, zero};
use super::{Field, SCHEMA, Shape};
use crate::field::Mistyped;

/// Reads an object of this type. Gives the paths of fields that no type has, which are left out.
///
/// # Errors
/// The first field of another type, or a text that its type does not read.
pub(crate) fn check(of: &'static str, object: &mut Value) -> Result<Vec<String>, Mistyped> {
    let mut reader = Reader::default();
    reader.walk(&Shape::Struct(of), object)?;
    match reader.mistyped {
        Some(mistyped) => Err(mistyped),
        None => Ok(reader.unknown),
    }
}

/// A step of the way to a value.
enum Step {
    Field(&'static str),
    Key(String),
    Index(usize),
}

#[derive(Default)]
struct Reader {
    way: Vec<Step>,
    /// The types around the value; Go names the last.
    types: Vec<&'static str>,
    unknown: Vec<String>,
    /// The first; Go reads on, as a text that cannot be read goes before it.
    mistyped: Option<Mistyped>,
}

impl Reader {
    fn walk(&mut self, shape: &Shape, value: &mut Value) -> Result<(), Mistyped> {
        match (shape, &mut *value) {
            (Shape::Struct(of), Value::Object(fields)) => return self.fields(of, fields),
            (Shape::List(of), Value::Array(items)) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.within(Step::Index(at), of, item)?;
                }
                return Ok(());
            }
            (Shape::Map(of), Value::Object(entries)) => {
                for (key, value) in entries {
                    self.within(Step::Key(key.clone()), of, value)?;
                    // What is counted by resources is kept in thousandths.
                    let amount = value.as_str().filter(|_| **of == Shape::Quantity);
                    if let Some(amount) = amount.and_then(quantity::in_thousandths) {
                        *value = amount.into();
                    }
                }
                return Ok(());
            }
            _ => {}
        }
        match scalar::read(shape, value) {
            Ok(()) => Ok(()),
            Err(Misread::Type(called)) => {
                self.is_no(shape, &called);
                Ok(())
            }
            Err(Misread::Text(words)) => Err(self.problem(words)),
        }
    }

    /// A value in a list or map: null is what Go has where nothing is said.
    fn within(&mut self, step: Step, shape: &Shape, value: &mut Value) -> Result<(), Mistyped> {
        if value.is_null() {
            *value = zero(shape);
        }
        if value.is_null() {
            return Ok(());
        }
        self.way.push(step);
        let outcome = self.walk(shape, value);
        self.way.pop();
        outcome
    }

    fn fields(
        &mut self,
        of: &'static str,
        fields: &mut Map<String, Value>,
    ) -> Result<(), Mistyped> {
        let known = SCHEMA.fields(of);
        let field = |name: &str| known.iter().find(|field| field.name == name);
        self.types.push(of);
        for (name, value) in fields.iter_mut() {
            match field(name) {
                Some(_) if value.is_null() => {}
                Some(field) => {
                    self.way.push(Step::Field(field.name));
                    self.walk(&field.shape, value)?;
                    self.way.pop();
                }
                None => {
                    self.way.push(Step::Key(name.clone()));
                    self.unknown.push(self.path());
                    self.way.pop();
                }
            }
        }
        self.types.pop();
        fields.retain(|name, value| field(name).is_some_and(|field| says(field, value)));
        for field in known {
            if let Some(default) = field.default.filter(|_| !fields.contains_key(field.name)) {
                fields.insert(field.name.to_owned(), given(&field.shape, default));
            }
        }
        Ok(())
    }

    /// The value is called so and is none of this shape.
    fn is_no(&mut self, shape: &Shape, called: &str) {
        if self.mistyped.is_some() {
            return;
        }
        let names = self.way.iter().filter_map(|step| match step {
            Step::Field(name) => Some(*name),
            Step::Key(_) | Step::Index(_) => None,
        });
        let names: Vec<_> = names.collect();
        let around = self.types.last().copied().unwrap_or_default();
        let around = around.rsplit('.').next().unwrap_or_default();
        let words = format!(
            "json: cannot unmarshal {called} into Go struct field {around}.{} of type {}",
            names.join("."),
            go(shape)
        );
        self.mistyped = Some(self.problem(words));
    }

    fn problem(&self, problem: String) -> Mistyped {
        Mistyped {
            field: self.path(),
            problem,
        }
    }

    /// The way, as errors of the API have it: `spec.ports[0].port`.
    fn path(&self) -> String {
        let mut path = String::new();
        for step in &self.way {
            match step {
                Step::Index(at) => path += &format!("[{at}]"),
                Step::Field(name) => dotted(&mut path, name),
                Step::Key(name) => dotted(&mut path, name),
            }
        }
        path
    }
}

fn dotted(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    *path += name;
}

/// Whether a field's value says something: for Go what is empty is as if it were not given, unless the field is a pointer.
fn says(field: &Field, value: &Value) -> bool {
    let empty = match value {
        Value::Null => return false,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(entries) => matches!(field.shape, Shape::Map(_)) && entries.is_empty(),
        Value::Bool(holds) => !holds,
        Value::Number(number) => number.as_f64() == Some(0.0),
    };
    !empty || field.pointer || field.shown
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const POD: &str = "io.k8s.api.core.v1.Pod";

    fn checked(of: &'static str, mut object: Value) -> Result<(Value, Vec<String>), String> {
        match check(of, &mut object) {
            Ok(unknown) => Ok((object, unknown)),
            Err(Mistyped { field, problem }) => Err(format!("{field}: {problem}")),
        }
    }

    #[test]
    fn another_type_is_refused_in_go_s_words() {
        let container =
            |field: &str, value: Value| json!({"spec": {"containers": [{field: value}]}});
        let go = "json: cannot unmarshal";
        for (object, wanted) in [
            (json!({"spec": 5}), format!("spec: {go} number into Go struct field Pod.spec of type v1.PodSpec")),
            (
                container("env", json!([{"name": "A", "value": 1}])),
                format!("spec.containers[0].env[0].value: {go} number into Go struct field EnvVar.spec.containers.env.value of type string"),
            ),
            (
                container("command", json!("sh -c x")),
                format!("spec.containers[0].command: {go} string into Go struct field Container.spec.containers.command of type []string"),
            ),
            (
                json!({"spec": {"terminationGracePeriodSeconds": 1.5}}),
                format!("spec.terminationGracePeriodSeconds: {go} number 1.5 into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64"),
            ),
            (
                json!({"metadata": {"labels": {"a": true}}}),
                format!("metadata.labels.a: {go} bool into Go struct field ObjectMeta.metadata.labels of type string"),
            ),
            (
                container("resources", json!({"limits": {"memory": "1GB"}})),
                "spec.containers[0].resources.limits.memory: quantities must match the regular expression \
                 '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'".into(),
            ),
            (
                container("readinessProbe", json!({"httpGet": {"port": []}})),
                format!("spec.containers[0].readinessProbe.httpGet.port: {go} array into Go value of type int32"),
            ),
        ] {
            assert_eq!(checked(POD, object), Err(wanted));
        }
        let secret = json!({"data": {"a": "not base64"}});
        let wanted = "data.a: illegal base64 data at input byte 3";
        assert_eq!(
            checked("io.k8s.api.core.v1.Secret", secret),
            Err(wanted.into())
        );
    }

    #[test]
    fn what_is_not_known_is_named_and_what_says_nothing_is_left_out() {
        let object = json!({
            "kind": "Pod", "wrong": 1, "status": null,
            "metadata": {"name": "a", "labels": {}, "annotations": {"a": null}},
            "spec": {
                "restartPolicy": "", "nodeName": "", "tolerations": [], "activeDeadlineSeconds": 0, "priority": null, "hostPID": false,
                "containers": [{"name": "a", "enviroment": [], "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}, "ports": null}],
                "volumes": [{"name": "v", "emptyDir": {}}, null],
            },
        });
        let wanted = json!({
            "kind": "Pod",
            "metadata": {"name": "a", "annotations": {"a": ""}},
            "spec": {
                "activeDeadlineSeconds": 0,
                "containers": [{"name": "a", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}],
                "volumes": [{"name": "v", "emptyDir": {}}, {}],
            },
        });
        let unknown = ["wrong", "spec.containers[0].enviroment"];
        let unknown = unknown.map(str::to_owned).to_vec();
        assert_eq!(checked(POD, object), Ok((wanted, unknown)));
    }
}
