//! A step of the way to a field of an object: a field's name, or what an item of a list is known by.

use std::fmt;

use serde_json::Value;

/// A step. The order is that of `fieldsV1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Element {
    /// A field, or a key of a map.
    Field(String),
    /// An item of a list, by the values of its key fields, sorted by name.
    Keys(Vec<(String, Scalar)>),
    /// An item of a set.
    Item(Scalar),
    /// An item by its site.
    Index(usize),
}

/// A plain value that an item is known by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scalar {
    Int(i64),
    Text(String),
    Bool(bool),
    /// A fraction, as JSON.
    Other(String),
}

impl Scalar {
    /// `None`: null, a list or an object.
    pub(super) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(holds) => Some(Self::Bool(*holds)),
            Value::String(text) => Some(Self::Text(text.clone())),
            Value::Number(number) => Some(match number.as_i64() {
                Some(whole) => Self::Int(whole),
                None => Self::Other(number.to_string()),
            }),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// As `fieldsV1` has it: JSON, with what a browser could read as markup escaped, as Go does.
    fn json(&self) -> String {
        match self {
            Self::Int(whole) => whole.to_string(),
            Self::Bool(holds) => holds.to_string(),
            Self::Other(json) => json.clone(),
            Self::Text(text) => {
                let quoted = Value::from(text.as_str()).to_string();
                let quoted = quoted.replace('<', "\\u003c").replace('>', "\\u003e");
                quoted.replace('&', "\\u0026")
            }
        }
    }
}

/// As error messages have it.
impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(whole) => write!(f, "{whole}"),
            Self::Bool(holds) => write!(f, "{holds}"),
            Self::Other(json) => f.write_str(json),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// As error messages have it: `.spec`, `[name="a"]`, `[="a"]`, `[0]`.
impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Keys(keys) => {
                let keys = keys.iter().map(|(name, value)| format!("{name}={value}"));
                write!(f, "[{}]", keys.collect::<Vec<_>>().join(","))
            }
            Self::Item(value) => write!(f, "[={value}]"),
            Self::Index(at) => write!(f, "[{at}]"),
        }
    }
}

/// A way, as error messages have it.
pub(super) fn shown(way: &[Element]) -> String {
    way.iter().map(ToString::to_string).collect()
}

impl Element {
    /// As a key of `fieldsV1`.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Keys(keys) => {
                let field = |(name, value): &(String, Scalar)| {
                    format!("{}:{}", Value::from(name.as_str()), value.json())
                };
                let fields: Vec<_> = keys.iter().map(field).collect();
                format!("k:{{{}}}", fields.join(","))
            }
            Self::Item(value) => format!("v:{}", value.json()),
            Self::Index(at) => format!("i:{at}"),
        }
    }

    /// Reads a key of `fieldsV1`; `None`: it is none.
    pub(super) fn read(key: &str) -> Option<Self> {
        let (how, what) = key.split_once(':')?;
        match how {
            "f" => Some(Self::Field(what.to_owned())),
            "v" => Some(Self::Item(Scalar::of(&serde_json::from_str(what).ok()?)?)),
            "i" => Some(Self::Index(what.parse().ok()?)),
            "k" => {
                let fields: serde_json::Map<String, Value> = serde_json::from_str(what).ok()?;
                let keys = fields.iter();
                let keys = keys.map(|(name, value)| Some((name.clone(), Scalar::of(value)?)));
                let mut keys = keys.collect::<Option<Vec<_>>>()?;
                keys.sort();
                Some(Self::Keys(keys))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_fields_is_read_as_it_is_written() {
        for key in [
            "f:spec",
            r#"k:{"containerPort":80,"protocol":"TCP"}"#,
            r#"v:"a\u003cb""#,
            "v:true",
            "v:1.5",
            "i:3",
        ] {
            let element = Element::read(key);
            assert_eq!(element.map(|e| e.key()).as_deref(), Some(key));
        }
        for none in ["spec", "x:1", "k:[]", "v:null", "i:a"] {
            assert_eq!(Element::read(none), None, "{none}");
        }
    }
}
