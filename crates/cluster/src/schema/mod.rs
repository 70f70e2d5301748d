//! What Kubernetes says of its kinds and their types. The table is made from a real API server's discovery and OpenAPI.
//!
//! `schema.txt` has a line for each kind, then each type with its fields, indented by one space:
//!
//! ```text
//! kind GROUP/VERSION KIND PLURAL namespaced|cluster type=TYPE [short=…] [categories=…] [sub=…] verbs=…
//! TYPE [atomic]
//!  FIELD[!] SHAPE [values=…] [default=…] [atomic|set|map=KEYS] [retain] [merge=KEY] [number=N] [pointer] [shown]
//! ```
//!
//! `!`: the field is required. A shape is `string`, `bytes` (base64), `int32`, `int64`, `double`, `boolean`, `quantity`,
//! `int-or-string`, `time`, `micro-time`, `any`, a type's name, `[SHAPE]` for a list or `{SHAPE}` for a map. `values`: those that it
//! may have. `default`: what stands for a value that is not given. `atomic`, `set`, `map`: how server-side apply merges;
//! `merge`: how a strategic merge patch does, where it does not replace. `number`: that of the protobuf field. `pointer`: Go tells a
//! zero value from none. `shown`: the field is there whatever its value.

mod decode;
mod duplicates;
mod scalar;
mod show;

use std::collections::HashMap;
use std::sync::LazyLock;

pub(crate) use decode::check;
pub(crate) use duplicates::object;
pub(crate) use scalar::{called, given, untyped, zero};
pub(crate) use show::show;

/// A kind, as discovery tells of it.
pub(super) struct KindRow {
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    pub(super) kind: &'static str,
    pub(super) plural: &'static str,
    pub(super) namespaced: bool,
    pub(super) short: Vec<&'static str>,
    pub(super) categories: Vec<&'static str>,
    pub(super) subresources: Vec<&'static str>,
    pub(super) verbs: Vec<&'static str>,
    /// The type of its objects.
    pub(super) of: &'static str,
}

/// A type with fields.
pub(super) struct Type {
    /// Whole, such as `io.k8s.api.core.v1.PodSpec`.
    pub(super) name: &'static str,
    /// Whether its objects are owned as a whole in server-side apply.
    atomic: bool,
    pub(super) fields: Vec<Field>,
}

/// A field of a type.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) shape: Shape,
    pub(super) required: bool,
    pub(super) values: Vec<&'static str>,
    pub(super) default: Option<&'static str>,
    /// What the items of a list are merged by in a strategic merge patch; empty: they are plain values.
    pub(super) merge: Option<&'static str>,
    /// How server-side apply merges it.
    pub(super) merged: Merged,
    /// The number of the protobuf field; `2.1` is field 1 in the message of field 2, which JSON does not show.
    pub(super) number: Option<&'static str>,
    /// Whether a zero value is another thing than none.
    pub(super) pointer: bool,
    /// Whether the field is there whatever its value.
    pub(super) shown: bool,
}

/// How server-side apply merges a field (`x-kubernetes-list-type`, `x-kubernetes-map-type`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    /// An object: field by field.
    Granular,
    /// As a whole.
    Atomic,
    /// A list of plain values, each once.
    Set,
    /// A list of objects that are known by these fields.
    Keys(Vec<&'static str>),
}

impl Merged {
    /// A list without a type of its own is merged as a strategic merge patch does.
    fn read(words: &[&'static str], is_list: bool) -> Self {
        let keys = listed(words, "map");
        if words.contains(&"atomic") {
            Self::Atomic
        } else if words.contains(&"set") {
            Self::Set
        } else if !keys.is_empty() {
            Self::Keys(keys)
        } else if !is_list {
            Self::Granular
        } else {
            match marked(words, "merge") {
                Some("") => Self::Set,
                Some(key) => Self::Keys(vec![key]),
                None => Self::Atomic,
            }
        }
    }
}

/// What a value may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    String,
    /// Base64.
    Bytes,
    Int32,
    Int64,
    Double,
    Boolean,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    Any,
    Struct(&'static str),
    List(Box<Self>),
    Map(Box<Self>),
}

/// The table.
pub(super) struct Schema {
    pub(super) kinds: Vec<KindRow>,
    types: HashMap<&'static str, Type>,
}

/// The only one.
pub(super) static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::read(include_str!("schema.txt")));

impl Schema {
    /// The fields of a type; none of one that has no name here.
    pub(super) fn fields(&self, of: &str) -> &[Field] {
        self.types.get(of).map_or(&[], |of| &of.fields)
    }

    /// Whether objects of a type are owned as a whole in server-side apply.
    pub(super) fn is_atomic(&self, of: &str) -> bool {
        self.types.get(of).is_some_and(|of| of.atomic)
    }

    fn read(text: &'static str) -> Self {
        let mut kinds = Vec::new();
        let mut types: Vec<Type> = Vec::new();
        for line in text.lines() {
            if let Some(kind) = line.strip_prefix("kind ") {
                kinds.push(KindRow::read(kind));
            } else if let Some(field) = line.strip_prefix(' ') {
                let last = types.last_mut().expect("a field follows its type");
                last.fields.push(Field::read(field));
            } else if !line.starts_with('#') {
                let (name, marks) = line.split_once(' ').unwrap_or((line, ""));
                types.push(Type {
                    name,
                    atomic: marks == "atomic",
                    fields: Vec::new(),
                });
            }
        }
        let types = types.into_iter().map(|of| (of.name, of)).collect();
        Self { kinds, types }
    }
}

/// The words behind `NAME=` in a line.
fn marked(words: &[&'static str], name: &str) -> Option<&'static str> {
    words
        .iter()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn listed(words: &[&'static str], name: &str) -> Vec<&'static str> {
    marked(words, name).map_or_else(Vec::new, |list| list.split(',').collect())
}

impl KindRow {
    fn read(line: &'static str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let (group, version) = words[0].split_once('/').unwrap_or(("", words[0]));
        Self {
            group,
            version,
            kind: words[1],
            plural: words[2],
            namespaced: words[3] == "namespaced",
            short: listed(&words, "short"),
            categories: listed(&words, "categories"),
            subresources: listed(&words, "sub"),
            verbs: listed(&words, "verbs"),
            of: marked(&words, "type").unwrap_or_default(),
        }
    }
}

impl Field {
    fn read(line: &'static str) -> Self {
        let words: Vec<_> = line.split(' ').collect();
        let name = words[0];
        let shape = Shape::read(words[1]);
        Self {
            name: name.trim_end_matches('!'),
            required: name.ends_with('!'),
            merged: Merged::read(&words, matches!(shape, Shape::List(_))),
            shape,
            values: listed(&words, "values"),
            default: marked(&words, "default"),
            merge: marked(&words, "merge"),
            number: marked(&words, "number"),
            pointer: words.contains(&"pointer"),
            shown: words.contains(&"shown"),
        }
    }
}

impl Shape {
    /// The type that it is of, or its items; empty where that has no fields.
    pub(super) fn of(&self) -> &'static str {
        match self {
            Self::Struct(name) => name,
            Self::List(of) | Self::Map(of) => of.of(),
            Self::String
            | Self::Bytes
            | Self::Int32
            | Self::Int64
            | Self::Double
            | Self::Boolean
            | Self::Quantity
            | Self::IntOrString
            | Self::Time
            | Self::MicroTime
            | Self::Any => "",
        }
    }

    fn read(word: &'static str) -> Self {
        let within = |open, close| word.strip_prefix(open)?.strip_suffix(close);
        if let Some(item) = within('[', ']') {
            return Self::List(Box::new(Self::read(item)));
        }
        if let Some(value) = within('{', '}') {
            return Self::Map(Box::new(Self::read(value)));
        }
        match word {
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "int32" => Self::Int32,
            "int64" => Self::Int64,
            "double" => Self::Double,
            "boolean" => Self::Boolean,
            "quantity" => Self::Quantity,
            "int-or-string" => Self::IntOrString,
            "time" => Self::Time,
            "micro-time" => Self::MicroTime,
            "any" => Self::Any,
            name => Self::Struct(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_type_that_a_field_or_a_kind_names_is_there() {
        let fields = SCHEMA.types.values().flat_map(|of| &of.fields);
        let kinds = SCHEMA.kinds.iter().map(|row| row.of);
        let of = fields.map(|field| field.shape.of());
        let all = of.filter(|of| !of.is_empty()).chain(kinds);
        let missing: Vec<_> = all.filter(|of| !SCHEMA.types.contains_key(of)).collect();
        assert_eq!(missing, [""; 0]);
    }

    #[test]
    fn a_line_is_read_with_its_marks() {
        let ports = SCHEMA.fields("io.k8s.api.core.v1.ServiceSpec");
        let ports = ports.iter().find(|field| field.name == "ports").unwrap();
        let port = "io.k8s.api.core.v1.ServicePort";
        assert_eq!(ports.shape, Shape::List(Box::new(Shape::Struct(port))));
        assert_eq!((ports.required, ports.merge), (false, Some("port")));
        let fields = SCHEMA.fields(port);
        let protocol = fields.iter().find(|field| field.name == "protocol");
        let protocol = protocol.unwrap();
        assert_eq!(protocol.values, ["SCTP", "TCP", "UDP"]);
        assert_eq!(protocol.default, Some("TCP"));
        let port = fields.iter().find(|field| field.name == "port").unwrap();
        assert!(port.required);
        let sets = SCHEMA.kinds.iter().find(|row| row.kind == "StatefulSet");
        let sets = sets.unwrap();
        assert_eq!((sets.group, sets.version), ("apps", "v1"));
        assert_eq!(sets.subresources, ["scale", "status"]);
        assert_eq!((&sets.short[..], sets.verbs.len()), (&["sts"][..], 8));
    }
}
