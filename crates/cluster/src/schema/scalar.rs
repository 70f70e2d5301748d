//! Single values as Go reads and names them.

use base64::Engine as _;
use serde_json::{Map, Value};

use headless_objects::quantity;

use super::Shape;

/// Why a value is none of its shape.
pub(super) enum Misread {
    /// It is of another type, which Go calls so.
    Type(String),
    /// Its text cannot be read, in the words of who read it.
    Text(String),
}

/// Reads a value of a shape that has no others inside. A quantity becomes text in the form that it is shown in.
pub(super) fn read(shape: &Shape, value: &mut Value) -> Result<(), Misread> {
    match (shape, &*value) {
        (Shape::Any, _)
        | (Shape::String, Value::String(_))
        | (Shape::Boolean, Value::Bool(_))
        | (Shape::Double, Value::Number(_))
        | (Shape::IntOrString, Value::String(_) | Value::Number(_)) => Ok(()),
        (Shape::Quantity, _) => quantity(value),
        (Shape::Time | Shape::MicroTime, Value::String(text)) => {
            if text.is_empty() || text.parse::<jiff::Timestamp>().is_ok() {
                return Ok(());
            }
            let words = format!("parsing time {text:?}: it is no time of RFC 3339");
            Err(Misread::Text(words))
        }
        (Shape::Bytes, Value::String(text)) => {
            let standard = base64::engine::general_purpose::STANDARD;
            let at = first_bad(text);
            let words = || Misread::Text(format!("illegal base64 data at input byte {at}"));
            standard.decode(text).map(drop).map_err(|_| words())
        }
        (Shape::Int32 | Shape::Int64, Value::Number(number)) => {
            let whole = number.as_i64();
            let is_short = *shape == Shape::Int32;
            let fits = whole.is_some_and(|n| !is_short || i32::try_from(n).is_ok());
            if fits {
                Ok(())
            } else {
                Err(Misread::Type(format!("number {number}")))
            }
        }
        (Shape::IntOrString, _) => {
            let called = called(value);
            let words = format!("json: cannot unmarshal {called} into Go value of type int32");
            Err(Misread::Text(words))
        }
        (
            Shape::Struct(_)
            | Shape::List(_)
            | Shape::Map(_)
            | Shape::String
            | Shape::Bytes
            | Shape::Int32
            | Shape::Int64
            | Shape::Double
            | Shape::Boolean
            | Shape::Time
            | Shape::MicroTime,
            _,
        ) => Err(Misread::Type(called(value).to_owned())),
    }
}

fn quantity(value: &mut Value) -> Result<(), Misread> {
    let text = match &*value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
    };
    let Some(shown) = quantity::canonical(&text) else {
        let rule = "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
        let words = format!("quantities must match the regular expression {rule}");
        return Err(Misread::Text(words));
    };
    *value = shown.into();
    Ok(())
}

/// A default, as a value of its shape.
pub(crate) fn given(shape: &Shape, text: &str) -> Value {
    match (shape, text.parse::<i64>()) {
        (Shape::Int32 | Shape::Int64, Ok(number)) => number.into(),
        _ => text.into(),
    }
}

/// Go's zero value.
pub(crate) fn zero(shape: &Shape) -> Value {
    match shape {
        Shape::String | Shape::Bytes => "".into(),
        Shape::Int32 | Shape::Int64 | Shape::Double | Shape::IntOrString => 0.into(),
        Shape::Boolean => false.into(),
        Shape::Quantity => "0".into(),
        Shape::Struct(_) => Map::new().into(),
        Shape::List(_) => Vec::<Value>::new().into(),
        Shape::Map(_) => Map::new().into(),
        Shape::Time | Shape::MicroTime | Shape::Any => Value::Null,
    }
}

/// What Go calls a JSON value.
pub(crate) fn called(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// What Go calls the type of a value that it has read without a type to read it into.
pub(crate) fn untyped(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(number) if number.is_f64() => "float64",
        Value::Number(_) => "int64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// What Go calls the type of a shape.
pub(super) fn go(shape: &Shape) -> String {
    match shape {
        Shape::String | Shape::Time | Shape::MicroTime => "string".into(),
        Shape::Bytes => "[]uint8".into(),
        Shape::Int32 => "int32".into(),
        Shape::Int64 => "int64".into(),
        Shape::Double => "float64".into(),
        Shape::Boolean => "bool".into(),
        Shape::Quantity => "resource.Quantity".into(),
        Shape::IntOrString => "intstr.IntOrString".into(),
        Shape::Any => "interface {}".into(),
        Shape::Struct(name) => {
            let mut parts = name.rsplit('.');
            let (name, package) = (parts.next().unwrap_or_default(), parts.next());
            format!("{}.{name}", package.unwrap_or_default())
        }
        Shape::List(of) => format!("[]{}", go(of)),
        Shape::Map(of) if **of == Shape::Quantity => "v1.ResourceList".into(),
        Shape::Map(of) => format!("map[string]{}", go(of)),
    }
}

/// Where Go's decoder of base64 stops.
fn first_bad(text: &str) -> usize {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'+' || b == b'/';
    let end = text.trim_end_matches('=').len();
    text.bytes()
        .position(|b| !good(b))
        .filter(|at| *at < end)
        .unwrap_or(text.len() / 4 * 4)
}
