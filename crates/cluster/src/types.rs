//! What Go's decoder refuses: a value of another type than its field's. After this every field that is there has its type.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::field::Mistyped;
use super::kind::Kind;
use super::status::ApiStatus;

/// Reads an object as a `T`.
///
/// # Errors
/// The first field that is of another type.
pub fn check_as<T: DeserializeOwned>(object: &Value) -> Result<(), Mistyped> {
    match serde_path_to_error::deserialize::<_, T>(object) {
        Ok(_) => Ok(()),
        Err(error) => Err(Mistyped {
            field: error.path().to_string(),
            problem: error.inner().to_string(),
        }),
    }
}

/// An object of a custom kind: only its metadata have known types.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is read to see whether it can be")]
pub struct Custom {
    #[serde(default)]
    metadata: ObjectMeta,
}

/// Refuses an object that has a field of another type than its kind says.
pub(super) fn check(kind: &Kind, object: &mut Value) -> Result<(), ApiStatus> {
    if !object.is_object() {
        return Err(ApiStatus::bad_request("the body is not an object"));
    }
    quantities(object);
    (kind.types)(object)
        .map_err(|Mistyped { field, problem }| ApiStatus::mistyped(kind, &field, &problem))
}

/// Maps from resources to quantities.
const RESOURCES: &[&str] = &[
    "allocatable",
    "allocatedResources",
    "capacity",
    "hard",
    "limits",
    "overhead",
    "requests",
    "used",
];

/// Single quantities.
const QUANTITIES: &[&str] = &["divisor", "sizeLimit"];

/// Writes quantities that are numbers as text, which is what they are read as again (`resource.Quantity`).
fn quantities(value: &mut Value) {
    let text = |value: &mut Value| {
        if value.is_number() {
            *value = value.to_string().into();
        }
    };
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if QUANTITIES.contains(&name.as_str()) {
                    text(field);
                } else if let (true, Some(resources)) =
                    (RESOURCES.contains(&name.as_str()), field.as_object_mut())
                {
                    resources.values_mut().for_each(text);
                } else {
                    quantities(field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(quantities),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindId;
    use serde_json::json;

    fn checked(kind: &str, mut object: Value) -> Result<Value, String> {
        let kind = KindId::named(kind).info();
        match check(kind, &mut object) {
            Ok(()) => Ok(object),
            Err(status) => Err(format!("{} {}", status.code, status.message)),
        }
    }

    #[test]
    fn a_field_of_another_type_is_refused_by_its_name() {
        for (kind, object, wanted) in [
            (
                "StatefulSet",
                json!({"spec": {"updateStrategy": "RollingUpdate"}}),
                "400 StatefulSet in version \"v1\" cannot be handled as a StatefulSet: spec.updateStrategy: \
                 invalid type: string \"RollingUpdate\", expected StatefulSetUpdateStrategy",
            ),
            (
                "Pod",
                json!({"status": "x"}),
                "400 Pod in version \"v1\" cannot be handled as a Pod: status: invalid type: string \"x\", expected PodStatus",
            ),
            (
                "Pod",
                json!({"spec": {"containers": [{"name": "a", "env": [{"name": "A", "value": 5}]}]}}),
                "400 Pod in version \"v1\" cannot be handled as a Pod: spec.containers[0].env[0].value: \
                 invalid type: integer `5`, expected a string",
            ),
            (
                "ServiceImport",
                json!({"metadata": {"labels": 5}}),
                "400 ServiceImport in version \"v1alpha1\" cannot be handled as a ServiceImport: metadata.labels: \
                 invalid type: integer `5`, expected a map",
            ),
            ("ConfigMap", json!([]), "400 the body is not an object"),
        ] {
            assert_eq!(checked(kind, object), Err(wanted.into()), "{kind}");
        }
    }

    #[test]
    fn what_may_be_null_or_a_number_is_taken() {
        let pod = json!({
            "metadata": {"creationTimestamp": null, "labels": null},
            "spec": {"containers": [{"name": "a", "resources": {"requests": {"cpu": 1, "memory": "1Gi"}}, "ports": null}]},
            "status": null,
        });
        let mut wanted = pod.clone();
        wanted["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1".into();
        assert_eq!(checked("Pod", pod), Ok(wanted));
    }
}
