//! What Go's decoder refuses: a value of another type than its field's. After this every field that is there has its type.

use serde_json::Value;

use super::field::Mistyped;
use super::kind::Kind;
use super::schema;
use super::status::ApiStatus;

/// The type of every object's metadata.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Refuses an object that has a field of another type than its kind says; takes out the fields that it does not know, and
/// gives their paths.
pub(super) fn check(kind: &Kind, object: &mut Value) -> Result<Vec<String>, ApiStatus> {
    if !object.is_object() {
        return Err(ApiStatus::bad_request("the body is not an object"));
    }
    mistyped(kind, object).map_err(|mistyped| ApiStatus::unreadable(kind, &mistyped.problem))
}

/// The same, with the field.
pub(super) fn mistyped(kind: &Kind, object: &mut Value) -> Result<Vec<String>, Mistyped> {
    if kind.of.is_empty() {
        custom(object)
    } else {
        schema::check(kind.of, object)
    }
}

/// Of an object of a custom kind only the metadata have known types.
fn custom(object: &mut Value) -> Result<Vec<String>, Mistyped> {
    if !object.is_object() {
        return Err(Mistyped {
            field: String::new(),
            problem: "it is not an object".into(),
        });
    }
    match object.get_mut("metadata") {
        Some(metadata) if !metadata.is_null() => {
            schema::check(METADATA, metadata).map_err(|mistyped| Mistyped {
                field: format!("metadata.{}", mistyped.field),
                ..mistyped
            })
        }
        Some(_) | None => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::KindId;
    use serde_json::json;

    fn checked(kind: &str, mut object: Value) -> Result<Vec<String>, String> {
        let kind = KindId::named(kind).info();
        check(kind, &mut object).map_err(|status| format!("{} {}", status.code, status.message))
    }

    #[test]
    fn what_is_no_object_of_its_kind_is_refused() {
        for (kind, object, wanted) in [
            (
                "StatefulSet",
                json!({"spec": {"updateStrategy": "RollingUpdate"}}),
                "400 StatefulSet in version \"v1\" cannot be handled as a StatefulSet: json: cannot unmarshal string into Go struct field \
                 StatefulSetSpec.spec.updateStrategy of type v1.StatefulSetUpdateStrategy",
            ),
            (
                "ServiceImport",
                json!({"metadata": {"labels": 5}}),
                "400 ServiceImport in version \"v1alpha1\" cannot be handled as a ServiceImport: json: cannot unmarshal number into Go \
                 struct field ObjectMeta.labels of type map[string]string",
            ),
            ("ConfigMap", json!([]), "400 the body is not an object"),
        ] {
            assert_eq!(checked(kind, object), Err(wanted.into()), "{kind}");
        }
        let any = json!({"metadata": {"name": "a"}, "spec": {"anything": [1]}});
        assert_eq!(checked("ServiceImport", any), Ok(Vec::new()));
    }
}
