//! A value of an object, and where it stands there.

use headless_objects::quantity;
use serde_json::Value;

/// A value, and its path as errors of the API have it.
#[derive(Clone, Debug)]
pub(crate) struct Place<'a> {
    /// The value; null where there is none.
    pub(crate) value: &'a Value,
    /// Such as `spec.ports[0].port`.
    pub(crate) path: String,
}

impl<'a> Place<'a> {
    /// A value at this path.
    pub(crate) fn new(value: &'a Value, path: &str) -> Self {
        let path = path.to_owned();
        Self { value, path }
    }

    /// A field of it.
    pub(crate) fn of(&self, field: &str) -> Self {
        let path = if self.path.is_empty() {
            field.to_owned()
        } else {
            format!("{}.{field}", self.path)
        };
        let value = &self.value[field];
        Self { value, path }
    }

    /// The items of a list.
    pub(crate) fn items(&self) -> impl Iterator<Item = Self> + use<'a> {
        let (path, value) = (self.path.clone(), self.value);
        let items = value.as_array().into_iter().flatten().enumerate();
        items.map(move |(i, value)| Self {
            value,
            path: format!("{path}[{i}]"),
        })
    }

    /// The entries of a map in the order of their keys, each at its key.
    pub(crate) fn entries(&self) -> Vec<(&'a str, Self)> {
        let entries = self.value.as_object().into_iter().flatten();
        let mut entries: Vec<_> = entries.map(|(key, value)| (key.as_str(), value)).collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        let at = |(key, value): (&'a str, &'a Value)| (key, self.at(key, value));
        entries.into_iter().map(at).collect()
    }

    /// An entry of a map.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.at(key, &self.value[key])
    }

    fn at(&self, key: &str, value: &'a Value) -> Self {
        let path = format!("{}[{key}]", self.path);
        Self { value, path }
    }

    /// The same value, said to stand elsewhere.
    pub(crate) fn called(&self, path: String) -> Self {
        Self { path, ..*self }
    }

    /// Whether there is one.
    pub(crate) fn is_given(&self) -> bool {
        !self.value.is_null()
    }

    /// Whether there is none, or nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        match self.value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(fields) => fields.is_empty(),
            Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// Items of a list, or entries of a map.
    pub(crate) fn count(&self) -> usize {
        let entries = self.value.as_object().map_or(0, serde_json::Map::len);
        self.value.as_array().map_or(entries, Vec::len)
    }

    /// Its text; empty where there is none.
    pub(crate) fn text(&self) -> &'a str {
        self.value.as_str().unwrap_or_default()
    }

    /// As it is shown: none as an empty text.
    pub(crate) fn shown(&self) -> Value {
        if self.value.is_null() {
            return "".into();
        }
        self.value.clone()
    }

    /// Its number; 0 where there is none.
    pub(crate) fn number(&self) -> i64 {
        self.value.as_i64().unwrap_or_default()
    }

    /// The nanoparts of a quantity; 0 where there is none.
    pub(crate) fn nanos(&self) -> i128 {
        quantity::nanos(self.text()).unwrap_or_default()
    }

    /// Whether it is said, and true.
    pub(crate) fn holds(&self) -> bool {
        *self.value == true
    }
}

impl From<&Place<'_>> for String {
    fn from(place: &Place<'_>) -> Self {
        place.path.clone()
    }
}

impl From<Place<'_>> for String {
    fn from(place: Place<'_>) -> Self {
        place.path
    }
}
