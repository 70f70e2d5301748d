//! Objects in Kubernetes' protobuf, as typed clients send them: read by the schema's numbers of fields.

use base64::Engine as _;
use bytes::Bytes;
use headless_objects::envelope;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::kind::KindId;
use super::schema::{Field, SCHEMA, Shape};
use super::status::ApiStatus;

/// Types of what is sent with requests and is no object of a kind.
const BODIES: &[(&str, &str)] = &[
    ("Binding", "io.k8s.api.core.v1.Binding"),
    (
        "DeleteOptions",
        "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    ),
    ("Eviction", "io.k8s.api.policy.v1.Eviction"),
    ("Scale", "io.k8s.api.autoscaling.v1.Scale"),
    ("TokenRequest", "io.k8s.api.authentication.v1.TokenRequest"),
];

/// How deep messages may stand in each other: custom schemas nest the deepest.
const DEEPEST: u8 = 64;

/// Reads an object.
///
/// # Errors
/// 415 for a kind that the schema does not have; 400 for bytes that are no protobuf, or not of this kind.
pub(super) fn decode(body: &Bytes) -> Result<Value, ApiStatus> {
    let broken = || ApiStatus::bad_request("the body is no Kubernetes protobuf");
    let Some(Ok(envelope)) = envelope::open(body) else {
        return Err(broken());
    };
    let meta = envelope.type_meta.unwrap_or_default();
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
    let mut object = json!({"apiVersion": text(&meta.api_version)?, "kind": text(&meta.kind)?});
    let kind = object["kind"].as_str().unwrap_or_default();
    let body = BODIES.iter().find(|(name, _)| *name == kind);
    let of = KindId::of_object(&object).map(|kind| kind.info().of);
    let Some(of) = of.or_else(|| body.map(|(_, of)| *of)) else {
        return Err(ApiStatus::unsupported_media_type(format!(
            "{kind} is not read as protobuf here: use `kubectl create -f` or `apply -f`"
        )));
    };
    let mut fields = Map::new();
    message(&envelope.raw, (of, ""), 0, &mut fields).ok_or_else(broken)?;
    if let Some(object) = object.as_object_mut() {
        object.extend(fields);
    }
    Ok(object)
}

/// What a field holds on the wire.
#[derive(Clone, Copy)]
enum Wire<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, by number.
fn fields(mut bytes: &[u8]) -> Option<Vec<(u64, Wire<'_>)>> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let value = match tag & 7 {
            0 => Wire::Number(varint(&mut bytes)?),
            1 => Wire::Number(u64::from_le_bytes(bytes.split_off(..8)?.try_into().ok()?)),
            2 => {
                let size = usize::try_from(varint(&mut bytes)?).ok()?;
                Wire::Bytes(bytes.split_off(..size)?)
            }
            5 => Wire::Number(u32::from_le_bytes(bytes.split_off(..4)?.try_into().ok()?).into()),
            _ => return None,
        };
        all.push((tag >> 3, value));
    }
    Some(all)
}

/// A message of a type, as JSON has it; `within`: the numbers of the messages around it that JSON does not show.
fn message(
    bytes: &[u8],
    (of, within): (&str, &str),
    depth: u8,
    object: &mut Map<String, Value>,
) -> Option<()> {
    let known = SCHEMA.fields(of);
    for (number, wire) in fields(bytes)? {
        let number = format!("{within}{number}");
        let field = known.iter().find(|field| field.number == Some(&number));
        let Some(Field { name, shape, .. }) = field else {
            let inside = format!("{number}.");
            let hidden = |field: &Field| field.number.is_some_and(|n| n.starts_with(&inside));
            // Or a newer client's field, which this server does not know.
            if let Wire::Bytes(bytes) = wire
                && known.iter().any(hidden)
            {
                message(bytes, (of, &inside), depth, object)?;
            }
            continue;
        };
        match shape {
            Shape::List(item) => {
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.extend(items(item, wire, depth)?);
            }
            Shape::Map(item) => {
                let (key, value) = entry(item, wire, depth)?;
                let map = object.entry(*name).or_insert_with(|| json!({}));
                map.as_object_mut()?.insert(key, value);
            }
            Shape::String
            | Shape::Bytes
            | Shape::Int32
            | Shape::Int64
            | Shape::Double
            | Shape::Boolean
            | Shape::Quantity
            | Shape::IntOrString
            | Shape::Time
            | Shape::MicroTime
            | Shape::Any
            | Shape::Struct(_) => {
                object.insert((*name).to_owned(), value(shape, wire, depth)?);
            }
        }
    }
    Some(())
}

/// An item of a list, or all of them where numbers are packed.
fn items(item: &Shape, wire: Wire<'_>, depth: u8) -> Option<Vec<Value>> {
    match (item, wire) {
        (Shape::Int32 | Shape::Int64, Wire::Bytes(mut packed)) => {
            let mut all = Vec::new();
            while !packed.is_empty() {
                all.push(varint(&mut packed)?.cast_signed().into());
            }
            Some(all)
        }
        _ => Some(vec![value(item, wire, depth)?]),
    }
}

/// A map's entry: a message of key and value.
fn entry(item: &Shape, wire: Wire<'_>, depth: u8) -> Option<(String, Value)> {
    let Wire::Bytes(bytes) = wire else {
        return None;
    };
    let (mut key, mut of_key) = (String::new(), super::schema::zero(item));
    for (number, wire) in fields(bytes)? {
        match (number, wire, item) {
            (1, Wire::Bytes(text), _) => key = std::str::from_utf8(text).ok()?.to_owned(),
            // A list in a map is a message around it (`ExtraValue`).
            (2, Wire::Bytes(list), Shape::List(item)) => {
                let mut all = Vec::new();
                for (_, wire) in fields(list)? {
                    all.extend(items(item, wire, depth)?);
                }
                of_key = all.into();
            }
            (2, wire, item) => of_key = value(item, wire, depth)?,
            _ => {}
        }
    }
    Some((key, of_key))
}

fn value(shape: &Shape, wire: Wire<'_>, depth: u8) -> Option<Value> {
    let text = |bytes: &[u8]| Some(Value::from(std::str::from_utf8(bytes).ok()?));
    Some(match (shape, wire) {
        (Shape::Boolean, Wire::Number(number)) => (number != 0).into(),
        (Shape::Int32 | Shape::Int64, Wire::Number(number)) => number.cast_signed().into(),
        (Shape::Double, Wire::Number(number)) => f64::from_bits(number).into(),
        (Shape::String, Wire::Bytes(bytes)) => text(bytes)?,
        (Shape::Bytes, Wire::Bytes(bytes)) => {
            let standard = base64::engine::general_purpose::STANDARD;
            standard.encode(bytes).into()
        }
        (Shape::Quantity, Wire::Bytes(bytes)) => text(inner(bytes, 1)?)?,
        (Shape::Any, Wire::Bytes(bytes)) => any(bytes)?,
        (Shape::IntOrString, Wire::Bytes(bytes)) => int_or_string(bytes)?,
        (Shape::Time, Wire::Bytes(bytes)) => time(bytes, 0)?,
        (Shape::MicroTime, Wire::Bytes(bytes)) => time(bytes, 6)?,
        (Shape::Struct(of), Wire::Bytes(bytes)) if depth < DEEPEST => {
            let mut object = Map::new();
            message(bytes, (of, ""), depth + 1, &mut object)?;
            object.into()
        }
        _ => return None,
    })
}

/// The bytes of a field; empty where the message has it not.
fn inner(bytes: &[u8], number: u64) -> Option<&[u8]> {
    let all = fields(bytes)?;
    let found = all.into_iter().find_map(|(n, wire)| match wire {
        Wire::Bytes(bytes) if n == number => Some(bytes),
        Wire::Bytes(_) | Wire::Number(_) => None,
    });
    Some(found.unwrap_or_default())
}

/// JSON in a message around it (`RawExtension`, `JSON`, `FieldsV1`).
fn any(bytes: &[u8]) -> Option<Value> {
    match inner(bytes, 1)? {
        [] => Some(Value::Null),
        raw => serde_json::from_slice(raw).ok(),
    }
}

/// `IntOrString`: type, number, text.
fn int_or_string(bytes: &[u8]) -> Option<Value> {
    let (mut is_text, mut number, mut text) = (false, 0, "");
    for field in fields(bytes)? {
        match field {
            (1, Wire::Number(kind)) => is_text = kind == 1,
            (2, Wire::Number(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = std::str::from_utf8(value).ok()?,
            _ => {}
        }
    }
    Some(if is_text { text.into() } else { number.into() })
}

/// Seconds and nanoseconds, with so many digits of the second's parts; null where both are 0, which is Go's zero time.
fn time(bytes: &[u8], digits: usize) -> Option<Value> {
    let (mut seconds, mut nanoseconds) = (0, 0);
    for field in fields(bytes)? {
        match field {
            (1, Wire::Number(value)) => seconds = value.cast_signed(),
            (2, Wire::Number(value)) => nanoseconds = value.cast_signed(),
            _ => {}
        }
    }
    if bytes.is_empty() {
        return Some(Value::Null);
    }
    let time = Timestamp::new(seconds, i32::try_from(nanoseconds).ok()?).ok()?;
    Some(format!("{time:.digits$}").into())
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.split_off_first()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use headless_objects::envelope::MAGIC;

    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(content.len()).unwrap()],
            content,
        ]
        .concat()
    }

    fn envelope(kind: &str, raw: &[u8]) -> Bytes {
        let kind = [field(1, b"v1"), field(2, kind.as_bytes())].concat();
        [MAGIC, &field(1, &kind), &field(2, raw)].concat().into()
    }

    #[test]
    fn a_namespace_as_kubectl_posts_it_is_read() {
        let label = [field(1, b"a"), field(2, b"b")].concat();
        let meta = [field(1, b"team"), field(2, b""), field(11, &label)].concat();
        let body = envelope("Namespace", &field(1, &meta));
        // Empty texts are written too; who reads the object against its types leaves them out.
        let meta = json!({"name": "team", "generateName": "", "labels": {"a": "b"}});
        let wanted = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": meta});
        assert_eq!(decode(&body), Ok(wanted));
    }

    #[test]
    fn numbers_times_quantities_and_lists_are_read_by_their_shapes() {
        let time = field(2, &[8, 0x80, 0x94, 0xeb, 0xdc, 3]);
        let port = [&[24, 80][..], &field(4, &[8, 1, 26, 1, b'x'])].concat();
        let body = |spec: &[u8]| [field(1, &field(8, &time[2..])), field(2, spec)].concat();
        let wanted = json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"creationTimestamp": "2001-09-09T01:46:40Z"},
            "spec": {"ports": [{"port": 80, "targetPort": "x"}]},
        });
        assert_eq!(
            decode(&envelope("Service", &body(&field(1, &port)))),
            Ok(wanted)
        );
        // A number where the type is text.
        let decoded = decode(&envelope("Service", &body(&[32, 1])));
        assert_eq!(decoded.unwrap_err().code, 400);
    }

    #[test]
    fn what_json_does_not_show_is_read_through() {
        // A volume's source is a message in its field 2, a Secret field 6 there.
        let secret = field(6, &field(1, b"keys"));
        let volume = [field(1, b"v"), field(2, &secret)].concat();
        let wanted = json!({
            "apiVersion": "v1", "kind": "Pod", "spec": {"volumes": [{"name": "v", "secret": {"secretName": "keys"}}]},
        });
        let body = field(2, &field(1, &volume));
        assert_eq!(decode(&envelope("Pod", &body)), Ok(wanted));
    }

    #[test]
    fn bytes_that_are_cut_and_kinds_that_are_not_known_are_refused() {
        let body = envelope("Namespace", &field(1, &field(1, b"team")));
        assert_eq!(
            decode(&body.slice(..body.len() - 20)).unwrap_err().code,
            400
        );
        assert_eq!(decode(&envelope("Nothing", b"")).unwrap_err().code, 415);
        assert_eq!(decode(&Bytes::from_static(b"{}")).unwrap_err().code, 400);
    }
}
