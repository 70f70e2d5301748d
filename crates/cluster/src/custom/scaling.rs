//! Where objects of a custom kind have what their `Scale` tells (`subresources.scale` of a CustomResourceDefinition).

use serde_json::Value;

/// Paths of fields, each as the names that lead there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Paths {
    /// `specReplicasPath`.
    pub(crate) wanted: Path,
    /// `statusReplicasPath`.
    pub(crate) present: Path,
    /// `labelSelectorPath`.
    pub(crate) selector: Option<Path>,
}

/// The names that lead to a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path(Vec<String>);

impl Paths {
    /// Those of a version of a definition; `None`: its objects cannot be scaled.
    pub(super) fn of(version: &Value) -> Option<Self> {
        let scale = &version["subresources"]["scale"];
        Some(Self {
            wanted: Path::read(&scale["specReplicasPath"])?,
            present: Path::read(&scale["statusReplicasPath"])?,
            selector: Path::read(&scale["labelSelectorPath"]),
        })
    }
}

impl Path {
    /// Reads `.a.b`.
    fn read(text: &Value) -> Option<Self> {
        let path = text.as_str()?.strip_prefix('.')?;
        Some(Self(path.split('.').map(str::to_owned).collect()))
    }

    /// What stands there; null: nothing.
    pub(crate) fn get<'o>(&self, object: &'o Value) -> &'o Value {
        self.0
            .iter()
            .fold(object, |value, name| &value[name.as_str()])
    }

    /// Puts a value there, where that is in an object.
    pub(crate) fn set(&self, object: &mut Value, value: Value) {
        let place = self.0.iter().try_fold(object, |object, name| {
            if !object.is_object() && !object.is_null() {
                return None;
            }
            Some(&mut object[name.as_str()])
        });
        if let Some(place) = place {
            *place = value;
        }
    }

    /// The names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// As a definition has it.
    pub(crate) fn text(&self) -> String {
        format!(".{}", self.0.join("."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_path_leads_to_a_field_that_may_not_be_there_yet() {
        let path = Path::read(&json!(".spec.size.max")).unwrap();
        let mut object = json!({"spec": {}});
        assert_eq!(path.get(&object), &Value::Null);
        path.set(&mut object, json!(3));
        assert_eq!(object, json!({"spec": {"size": {"max": 3}}}));
        assert_eq!(
            (path.get(&object), path.text()),
            (&json!(3), ".spec.size.max".into())
        );
        let mut odd = json!({"spec": 1});
        path.set(&mut odd, json!(3));
        assert_eq!(odd, json!({"spec": 1}));
        assert_eq!(Path::read(&json!("spec")), None);
    }
}
