//! Objects as they arrive, one by one: an object that cannot be read costs only itself, never its list or watch.

use kube::Resource;
use kube::api::ObjectMeta;
use kube::core::DynamicResourceScope;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// An object, or what is known of one that cannot be read.
#[derive(Clone, Debug)]
pub(super) enum Readable<K> {
    Object(K),
    Not(Box<Unreadable>),
}

/// An object that cannot be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Unreadable {
    /// Name, namespace, `resourceVersion` and labels, as far as they can be read themselves.
    pub metadata: ObjectMeta,
    /// The field that cannot be read, such as `spec.ports[0].port`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

/// What the JSON of an unreadable object begins with, where another encoding was turned into JSON.
const MARK: &str = r#"{"unreadable":"#;

impl Unreadable {
    /// The JSON that is read as this.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let (problem, field) = (Value::from(&*self.problem), Value::from(&*self.field));
        let meta = serde_json::json!({
            "name": self.metadata.name, "namespace": self.metadata.namespace, "resourceVersion": self.metadata.resource_version, "labels": self.metadata.labels,
        });
        format!(r#"{MARK}{problem},"field":{field},"metadata":{meta}}}"#).into_bytes()
    }

    fn read(text: &str, field: &str, problem: &str) -> Self {
        /// The rest may be nested too deep to be kept.
        #[derive(Deserialize)]
        struct Head {
            metadata: Value,
        }
        let head = serde_json::from_str::<Head>(text).ok();
        let meta = head.map_or(Value::Null, |head| head.metadata);
        let text = |field: &str| meta[field].as_str().map(str::to_owned);
        let label =
            |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        let labels = meta["labels"].as_object();
        let labels = labels.map(|labels| labels.iter().filter_map(label).collect());
        Self {
            metadata: ObjectMeta {
                name: text("name"),
                namespace: text("namespace"),
                resource_version: text("resourceVersion"),
                labels,
                ..ObjectMeta::default()
            },
            field: field.into(),
            problem: problem.into(),
        }
    }
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Readable<K> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(from)?;
        let text = raw.get();
        if text.starts_with(MARK) {
            #[derive(Deserialize)]
            struct Marked {
                unreadable: String,
                field: String,
            }
            let marked: Marked = serde_json::from_str(text).map_err(serde::de::Error::custom)?;
            let unreadable = Unreadable::read(text, &marked.field, &marked.unreadable);
            return Ok(Self::Not(Box::new(unreadable)));
        }
        if let Ok(object) = serde_json::from_str(text) {
            return Ok(Self::Object(object));
        }
        // The text is read once more, to learn which field is wrong.
        let mut json = serde_json::Deserializer::from_str(text);
        match serde_path_to_error::deserialize(&mut json) {
            Ok(object) => Ok(Self::Object(object)),
            Err(error) => {
                let problem = error.inner().to_string();
                let problem = problem.split(" at line ").next().unwrap_or_default();
                let field = error.path().to_string();
                let unreadable = Unreadable::read(text, &field, problem);
                Ok(Self::Not(Box::new(unreadable)))
            }
        }
    }
}

impl<K: Resource> Resource for Readable<K> {
    type DynamicType = K::DynamicType;
    /// Whether one namespace or all are watched is decided when a watch begins.
    type Scope = DynamicResourceScope;

    fn kind(dt: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::kind(dt)
    }

    fn group(dt: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::group(dt)
    }

    fn version(dt: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::version(dt)
    }

    fn plural(dt: &K::DynamicType) -> std::borrow::Cow<'_, str> {
        K::plural(dt)
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Object(object) => object.meta(),
            Self::Not(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Object(object) => object.meta_mut(),
            Self::Not(unreadable) => &mut unreadable.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Service;

    fn unreadable(json: &str) -> (String, String, String) {
        match serde_json::from_str::<Readable<Service>>(json).unwrap() {
            Readable::Object(object) => panic!("it is readable: {object:?}"),
            Readable::Not(it) => (it.metadata.name.unwrap_or_default(), it.field, it.problem),
        }
    }

    fn words(name: &str, field: &str, problem: &str) -> (String, String, String) {
        (name.into(), field.into(), problem.into())
    }

    #[test]
    fn an_object_that_cannot_be_read_is_known_by_its_name_its_field_and_the_reason() {
        assert_eq!(
            unreadable(
                r#"{"metadata":{"name":"web","namespace":"ns"},"spec":{"ports":[{"port":"80"}]}}"#
            ),
            words(
                "web",
                "spec.ports[0].port",
                "invalid type: string \"80\", expected i32"
            )
        );
        assert_eq!(
            unreadable(r#"{"spec":5,"metadata":{"name":"web","labels":7}}"#),
            words(
                "web",
                "spec",
                "invalid type: integer `5`, expected ServiceSpec"
            )
        );
        let problem = unreadable("null").2;
        assert_eq!(problem, "invalid type: null, expected Service");
    }

    #[test]
    fn what_another_encoding_could_not_say_arrives_as_it_was_said() {
        let said = Unreadable {
            metadata: ObjectMeta {
                name: Some("web".into()),
                namespace: Some("ns".into()),
                resource_version: Some("7".into()),
                labels: Some([("app".into(), "web".into())].into()),
                ..ObjectMeta::default()
            },
            field: "spec.externalName".into(),
            problem: "not \"UTF-8\"".into(),
        };
        let json = String::from_utf8(said.to_json()).unwrap();
        match serde_json::from_str::<Readable<Service>>(&json).unwrap() {
            Readable::Not(read) => assert_eq!(*read, said),
            Readable::Object(object) => panic!("it is readable: {object:?}"),
        }
    }

    #[test]
    fn of_a_list_only_the_one_that_cannot_be_read_is_lost() {
        let list = r#"{"kind":"ServiceList","metadata":{"resourceVersion":"9"},"items":[
            {"metadata":{"name":"a"}}, null, {"metadata":{"name":"b"},"spec":[]}, {"metadata":{"name":"c"}}]}"#;
        let list: kube::core::ObjectList<Readable<Service>> = serde_json::from_str(list).unwrap();
        let read: Vec<_> = list
            .items
            .iter()
            .map(|item| {
                (
                    matches!(item, Readable::Object(_)),
                    item.meta().name.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            read,
            [
                (true, Some("a")),
                (false, None),
                (false, Some("b")),
                (true, Some("c"))
            ]
        );
    }
}
