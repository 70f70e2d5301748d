//! What the schema says of the site that a value stands in: how its fields and items are told apart.

use serde_json::{Value, json};

use super::element::{Element, Scalar};
use crate::schema::{Field, Merged, SCHEMA, Shape, given, show, zero};

/// A site.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Site<'a> {
    /// Of a built-in type; `merged`: what the field around says.
    Typed {
        shape: &'a Shape,
        merged: &'a Merged,
    },
    /// Of a custom kind, by its schema; `root`: it is a whole object.
    Custom { schema: &'a Value, root: bool },
    /// Of a type that nobody tells: objects are granular, lists are atomic.
    Deduced,
    /// The type has no such field.
    Unknown,
}

/// What a value of a site is to the owners of its parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Form<'a> {
    /// It is owned as a whole.
    Leaf,
    /// Each field is owned by itself.
    Fields,
    /// Each item is owned by itself; the fields that it is known by, none for a set.
    Items(Vec<&'a str>),
}

impl<'a> Site<'a> {
    /// The site of a whole object of a built-in type.
    pub(crate) fn root(shape: &'a Shape) -> Self {
        Self::Typed {
            shape,
            merged: &Merged::Granular,
        }
    }

    /// The site of a whole object of a custom kind.
    pub(crate) fn custom(schema: &'a Value) -> Self {
        Self::Custom { schema, root: true }
    }

    /// An object of this type that says nothing, as Go shows it.
    pub(crate) fn empty(self) -> Value {
        let mut empty = json!({});
        if let Self::Typed {
            shape: Shape::Struct(of),
            ..
        } = self
        {
            show(of, &mut empty);
        }
        empty
    }

    /// What `value` is here; a value of no fitting type is a leaf.
    pub(super) fn form(self, value: &Value) -> Form<'a> {
        match (self, value) {
            (Self::Typed { shape, merged }, _) => typed(shape, merged),
            (Self::Custom { schema, .. }, _) => custom(schema, value),
            (Self::Deduced, Value::Object(_)) => Form::Fields,
            (Self::Deduced | Self::Unknown, _) => Form::Leaf,
        }
    }

    /// The site below.
    pub(super) fn below(self, step: &Element) -> Self {
        match (self, step) {
            (
                Self::Typed {
                    shape: Shape::Struct(of),
                    ..
                },
                Element::Field(name),
            ) => match field(of, name) {
                Some(field) => Site::Typed {
                    shape: &field.shape,
                    merged: &field.merged,
                },
                None => Self::Unknown,
            },
            (
                Self::Typed {
                    shape: Shape::Map(of) | Shape::List(of),
                    ..
                },
                _,
            ) => Site::Typed {
                shape: of,
                merged: &Merged::Granular,
            },
            (Self::Custom { root: true, .. }, Element::Field(name)) if name == "metadata" => {
                Site::root(&METADATA)
            }
            (Self::Custom { schema, root }, _) => below(schema, root, step),
            (
                Self::Typed {
                    shape: Shape::Any, ..
                }
                | Self::Deduced,
                _,
            ) => Self::Deduced,
            (Self::Typed { .. } | Self::Unknown, _) => Self::Unknown,
        }
    }

    /// Whether the type here has a field of this name; a map's keys are no such fields.
    pub(super) fn names(self, name: &str) -> bool {
        match self {
            Self::Typed {
                shape: Shape::Struct(of),
                ..
            } => field(of, name).is_some(),
            Self::Custom { schema, root } => {
                let is_everywhere = ["apiVersion", "kind", "metadata"].contains(&name);
                schema["properties"].get(name).is_some() || (root && is_everywhere)
            }
            Self::Typed { .. } | Self::Deduced | Self::Unknown => false,
        }
    }

    /// What an item of this list is known by.
    ///
    /// # Errors
    /// An item that has nothing of it, in structured-merge-diff's words.
    pub(super) fn item(self, keys: &[&str], item: &Value) -> Result<Element, String> {
        if keys.is_empty() {
            return match Scalar::of(item) {
                Some(value) => Ok(Element::Item(value)),
                None if item.is_null() => Err(
                    "associative list without keys has an element that's an explicit null".into(),
                ),
                None if item.is_object() => {
                    Err("associative list without keys has an element that's a map type".into())
                }
                None => Err("not supported: associative list with lists as elements".into()),
            };
        }
        if item.is_null() {
            return Err("associative list with keys may not have a null element".into());
        }
        if !item.is_object() {
            return Err("associative list with keys may not have non-map elements".into());
        }
        let key = |name: &&str| {
            let value = Scalar::of(&item[*name]).or_else(|| self.default_of(name))?;
            Some(((*name).to_owned(), value))
        };
        let mut known: Vec<_> = keys.iter().filter_map(key).collect();
        if known.is_empty() {
            let keys: Vec<_> = keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key \
                 fields)",
                keys.join(" ")
            ));
        }
        known.sort();
        Ok(Element::Keys(known))
    }

    /// What stands for a key field of an item that does not have it.
    fn default_of(self, name: &str) -> Option<Scalar> {
        if let Self::Custom { schema, .. } = self {
            return Scalar::of(&schema["items"]["properties"][name]["default"]);
        }
        let Self::Typed {
            shape: Shape::List(of),
            ..
        } = self
        else {
            return None;
        };
        let field = field(of.of(), name)?;
        match field.default {
            Some(default) => Scalar::of(&given(&field.shape, default)),
            // What Go shows whatever its value has its zero value as default.
            None if field.shown && !field.pointer => Scalar::of(&zero(&field.shape)),
            None => None,
        }
    }
}

/// The type of every object's metadata.
static METADATA: Shape = Shape::Struct("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta");

/// What a value of a custom kind is, by the marks of its schema.
fn custom<'a>(schema: &'a Value, value: &Value) -> Form<'a> {
    let is_atomic = |mark: &str| schema[mark] == "atomic";
    match schema["type"].as_str() {
        Some("object") if is_atomic("x-kubernetes-map-type") => Form::Leaf,
        Some("object") => Form::Fields,
        Some("array") => match schema["x-kubernetes-list-type"].as_str() {
            Some("set") => Form::Items(Vec::new()),
            Some("map") => {
                let keys = schema["x-kubernetes-list-map-keys"].as_array();
                let keys = keys.into_iter().flatten().filter_map(Value::as_str);
                Form::Items(keys.collect())
            }
            _ => Form::Leaf,
        },
        None if value.is_object() => Form::Fields,
        _ => Form::Leaf,
    }
}

/// The site below one of a custom kind.
fn below<'a>(schema: &'a Value, root: bool, step: &Element) -> Site<'a> {
    let site = |schema| Site::Custom {
        schema,
        root: false,
    };
    let Element::Field(name) = step else {
        return site(&schema["items"]);
    };
    let additional = &schema["additionalProperties"];
    let is_free = schema["x-kubernetes-preserve-unknown-fields"] == true || *additional == true;
    match schema["properties"].get(name) {
        Some(schema) => site(schema),
        None if additional.is_object() => site(additional),
        None if is_free || (root && ["apiVersion", "kind"].contains(&&**name)) => Site::Deduced,
        None => Site::Unknown,
    }
}

fn field(of: &str, name: &str) -> Option<&'static Field> {
    SCHEMA.fields(of).iter().find(|field| field.name == name)
}

fn typed<'a>(shape: &'a Shape, merged: &'a Merged) -> Form<'a> {
    match (shape, merged) {
        (Shape::Struct(_) | Shape::Map(_), Merged::Atomic) => Form::Leaf,
        (Shape::Struct(of), _) if SCHEMA.is_atomic(of) => Form::Leaf,
        (Shape::Struct(_) | Shape::Map(_), _) => Form::Fields,
        (Shape::List(_), Merged::Set) => Form::Items(Vec::new()),
        (Shape::List(_), Merged::Keys(keys)) => Form::Items(keys.clone()),
        (
            Shape::List(_)
            | Shape::String
            | Shape::Bytes
            | Shape::Int32
            | Shape::Int64
            | Shape::Double
            | Shape::Boolean
            | Shape::Quantity
            | Shape::IntOrString
            | Shape::Time
            | Shape::MicroTime
            | Shape::Any,
            _,
        ) => Form::Leaf,
    }
}
