//! `ConversionReview`: objects of a custom kind, as its definition's webhook is sent them, and what it makes of them.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::custom::{self, Converter};
use crate::definitions::text;
use crate::schema::untyped;

const GROUP: &str = "apiextensions.k8s.io";

/// Objects that are to be converted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conversion {
    pub(crate) converter: Converter,
    /// The `apiVersion` that is asked for.
    pub(crate) desired: String,
    /// The schema of that version.
    pub(crate) schema: Arc<Value>,
    /// One at least.
    pub(crate) objects: Vec<Arc<Value>>,
}

impl Conversion {
    /// The review that is sent.
    pub(crate) fn sent(&self, uid: &str) -> Value {
        let objects: Vec<&Value> = self.objects.iter().map(|object| &**object).collect();
        json!({
            "kind": "ConversionReview", "apiVersion": format!("{GROUP}/{}", self.converter.version),
            "request": {"uid": uid, "desiredAPIVersion": self.desired, "objects": objects},
        })
    }

    /// Why there are no objects, where there is no answer either. The words here and below are kube-apiserver's
    /// (`webhook_converter.go`).
    pub(crate) fn failed(&self, why: &str) -> String {
        format!("{} failed: {why}", self.named())
    }

    fn named(&self) -> String {
        let first = &self.objects[0];
        let (version, kind) = (text(first, "apiVersion"), text(first, "kind"));
        format!("conversion webhook for {version}, Kind={kind}")
    }

    /// The objects of an answer.
    ///
    /// # Errors
    /// An answer that is none, or to something else.
    pub(crate) fn read(&self, uid: &str, review: &Value) -> Result<Vec<Arc<Value>>, String> {
        let converted = self
            .response(uid, review)
            .map_err(|why| self.failed(&why))?;
        if converted.len() != self.objects.len() {
            let (got, wanted) = (converted.len(), self.objects.len());
            return Err(format!(
                "{} returned {got} objects, expected {wanted}",
                self.named()
            ));
        }
        let pairs = self.objects.iter().zip(converted);
        pairs
            .map(|(object, converted)| self.checked(object, converted.clone()))
            .collect()
    }

    fn response<'a>(&self, uid: &str, review: &'a Value) -> Result<&'a [Value], String> {
        let is_v1 = self.converter.version == "v1";
        let wanted = format!("{GROUP}/{}", self.converter.version);
        let (version, kind) = (text(review, "apiVersion"), text(review, "kind"));
        if is_v1 && (version != wanted || kind != "ConversionReview") {
            let slash = if version.contains('/') { "" } else { "/" };
            return Err(format!(
                "expected webhook response of {wanted}, Kind=ConversionReview, got {slash}{version}, Kind={kind}"
            ));
        }
        let response = &review["response"];
        if !response.is_object() {
            return Err("no response provided".into());
        }
        if is_v1 && response["uid"] != uid {
            let got = text(response, "uid");
            return Err(format!("expected response.uid={uid:?}, got {got:?}"));
        }
        let (status, message) = (
            text(&response["result"], "status"),
            text(&response["result"], "message"),
        );
        match (status, message) {
            ("Success", _) => {}
            (_, "") => {
                return Err(format!(
                    "response.result.status was '{status}', not 'Success'"
                ));
            }
            (_, message) => return Err(message.to_owned()),
        }
        let objects = response["convertedObjects"].as_array();
        Ok(objects.map_or(&[], |objects| objects))
    }

    /// A converted object with the metadata of the one that was sent, but for labels and annotations.
    fn checked(&self, sent: &Value, mut converted: Value) -> Result<Arc<Value>, String> {
        let named = self.named();
        let (version, kind) = (text(&converted, "apiVersion"), text(&converted, "kind"));
        if kind.is_empty() {
            return Err(format!("Object 'Kind' is missing in '{converted}'"));
        }
        let invalid = |what: &str, wanted: &str, got: &str| {
            format!(
                "{named} returned invalid object at index 0: invalid {what} (expected {wanted}, received {got})"
            )
        };
        if version != self.desired {
            return Err(invalid("groupVersion", &self.desired, version));
        }
        if kind != text(sent, "kind") {
            return Err(invalid("kind", text(sent, "kind"), kind));
        }
        for (what, field) in [("name", "name"), ("namespace", "namespace"), ("UID", "uid")] {
            let (wanted, got) = (
                text(&sent["metadata"], field),
                text(&converted["metadata"], field),
            );
            if wanted != got {
                return Err(format!(
                    "{named} returned invalid object: must have the same {what}: {wanted} != {got}"
                ));
            }
        }
        let meta = restored(&sent["metadata"], &converted["metadata"])
            .map_err(|why| format!("{named} returned invalid metadata: {why}"))?;
        converted["metadata"] = meta;
        custom::prune(&self.schema, &mut converted);
        Ok(Arc::new(converted))
    }
}

/// The metadata that were sent, with the labels and annotations that have come back.
fn restored(sent: &Value, converted: &Value) -> Result<Value, String> {
    let Some(converted) = converted.as_object() else {
        return Err(if converted.is_null() {
            "missing metadata in converted object".into()
        } else {
            let of = untyped(converted);
            format!("invalid metadata of type {of} in converted object")
        });
    };
    let mut meta = sent.as_object().cloned().unwrap_or_default();
    for field in ["labels", "annotations"] {
        match converted.get(field) {
            None | Some(Value::Null) => {
                meta.shift_remove(field);
            }
            Some(Value::Object(words)) => {
                only_texts(field, words)?;
                meta.insert(field.into(), words.clone().into());
            }
            Some(other) => {
                let of = untyped(other);
                return Err(format!(
                    "invalid metadata.{field} of type {of} in converted object"
                ));
            }
        }
    }
    Ok(meta.into())
}

fn only_texts(field: &str, words: &Map<String, Value>) -> Result<(), String> {
    let mut odd = words.iter().filter(|(_, value)| !value.is_string());
    match odd.next() {
        Some((key, value)) => Err(format!(
            "metadata.{field}[{key}] must be a string, but is {} in converted object",
            untyped(value)
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conversion() -> Conversion {
        let meta = json!({"name": "a", "uid": "1", "resourceVersion": "7", "labels": {"a": "b"}});
        let object =
            json!({"apiVersion": "x.io/v1", "kind": "W", "metadata": meta, "spec": {"size": 1}});
        let schema = json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {"width": {"type": "integer"}}}}});
        Conversion {
            converter: Converter {
                client: Value::Null,
                version: "v1",
            },
            desired: "x.io/v2".into(),
            schema: Arc::new(schema),
            objects: vec![Arc::new(object)],
        }
    }

    fn review(more: Value, objects: Value) -> Value {
        let mut response =
            json!({"uid": "u", "result": {"status": "Success"}, "convertedObjects": objects});
        json_patch::merge(&mut response, &more);
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "ConversionReview", "response": response})
    }

    fn v2(meta: Value) -> Value {
        json!({"apiVersion": "x.io/v2", "kind": "W", "metadata": meta, "spec": {"width": 1, "odd": 2}})
    }

    #[test]
    fn a_converted_object_keeps_its_metadata_but_for_labels_and_annotations_and_has_what_the_schema_has()
     {
        let meta =
            json!({"name": "a", "uid": "1", "resourceVersion": "9", "annotations": {"c": "d"}});
        let read = conversion().read("u", &review(json!({}), json!([v2(meta)])));
        let meta =
            json!({"name": "a", "uid": "1", "resourceVersion": "7", "annotations": {"c": "d"}});
        let wanted =
            json!({"apiVersion": "x.io/v2", "kind": "W", "metadata": meta, "spec": {"width": 1}});
        assert_eq!(read, Ok(vec![Arc::new(wanted)]));
    }

    #[test]
    fn an_answer_that_is_none_is_refused_in_the_api_server_s_words() {
        let named = "conversion webhook for x.io/v1, Kind=W";
        let good = json!({"name": "a", "uid": "1"});
        let with = |more: Value| {
            let mut object = v2(good.clone());
            json_patch::merge(&mut object, &more);
            json!([object])
        };
        for (more, objects, why) in [
            (
                json!({"uid": "x"}),
                json!([]),
                " failed: expected response.uid=\"u\", got \"x\"",
            ),
            (
                json!({"result": {"status": "Failed", "message": "no"}}),
                json!([]),
                " failed: no",
            ),
            (
                json!({"result": {"status": "Failed"}}),
                json!([]),
                " failed: response.result.status was 'Failed', not 'Success'",
            ),
            (json!({}), json!([]), " returned 0 objects, expected 1"),
            (
                json!({}),
                with(json!({"apiVersion": "x.io/v3"})),
                " returned invalid object at index 0: invalid groupVersion (expected x.io/v2, received x.io/v3)",
            ),
            (
                json!({}),
                with(json!({"metadata": {"name": "b"}})),
                " returned invalid object: must have the same name: a != b",
            ),
            (
                json!({}),
                with(json!({"metadata": {"labels": {"a": 1}}})),
                " returned invalid metadata: metadata.labels[a] must be a string, but is int64 in converted object",
            ),
        ] {
            let read = conversion().read("u", &review(more, objects));
            assert_eq!(read, Err(format!("{named}{why}")));
        }
        let other = json!({"apiVersion": "v1", "kind": "Pod"});
        let why = " failed: expected webhook response of apiextensions.k8s.io/v1, Kind=ConversionReview, got /v1, Kind=Pod";
        assert_eq!(conversion().read("u", &other), Err(format!("{named}{why}")));
    }
}
