//! The few objects that kubectl's `create` posts as protobuf and never as JSON, read with a table of their fields.

use bytes::Bytes;
use headless_objects::envelope;
use serde_json::{Map, Value, json};

use super::status::ApiStatus;

/// What a field holds.
#[derive(Clone, Copy)]
enum Type {
    Bool,
    /// Shown as base64, as JSON has bytes.
    Bytes,
    Int,
    Message(&'static [Field]),
    Text,
    /// `IntOrString`.
    IntOrText,
    Map(&'static Self),
    List(&'static Self),
}

/// Number, JSON name, type.
type Field = (u64, &'static str, Type);

const TEXTS: Type = Type::List(&Type::Text);
const LABELS: Type = Type::Map(&Type::Text);

const METADATA: &[Field] = &[
    (1, "name", Type::Text),
    (2, "generateName", Type::Text),
    (3, "namespace", Type::Text),
    (11, "labels", LABELS),
    (12, "annotations", LABELS),
    (14, "finalizers", TEXTS),
];

const META: Type = Type::Message(METADATA);

const NAMESPACE: &[Field] = &[
    (1, "metadata", META),
    (2, "spec", Type::Message(&[(1, "finalizers", TEXTS)])),
];

const CONFIG_MAP: &[Field] = &[
    (1, "metadata", META),
    (2, "data", LABELS),
    (3, "binaryData", Type::Map(&Type::Bytes)),
    (4, "immutable", Type::Bool),
];

const SECRET: &[Field] = &[
    (1, "metadata", META),
    (2, "data", Type::Map(&Type::Bytes)),
    (3, "type", Type::Text),
    (4, "stringData", LABELS),
    (5, "immutable", Type::Bool),
];

const SERVICE_ACCOUNT: &[Field] = &[
    (1, "metadata", META),
    (4, "automountServiceAccountToken", Type::Bool),
];

const PORT: &[Field] = &[
    (1, "name", Type::Text),
    (2, "protocol", Type::Text),
    (3, "port", Type::Int),
    (4, "targetPort", Type::IntOrText),
    (5, "nodePort", Type::Int),
];

const SERVICE: &[Field] = &[
    (1, "metadata", META),
    (
        2,
        "spec",
        Type::Message(&[
            (1, "ports", Type::List(&Type::Message(PORT))),
            (2, "selector", LABELS),
            (3, "clusterIP", Type::Text),
            (4, "type", Type::Text),
            (5, "externalIPs", TEXTS),
            (7, "sessionAffinity", Type::Text),
            (10, "externalName", Type::Text),
            (13, "publishNotReadyAddresses", Type::Bool),
        ]),
    ),
];

const DELETE_OPTIONS: &[Field] = &[
    (1, "gracePeriodSeconds", Type::Int),
    (
        2,
        "preconditions",
        Type::Message(&[(1, "uid", Type::Text), (2, "resourceVersion", Type::Text)]),
    ),
    (3, "orphanDependents", Type::Bool),
    (4, "propagationPolicy", Type::Text),
    (5, "dryRun", TEXTS),
];

/// `kubectl auth can-i`.
const SELF_SUBJECT_ACCESS_REVIEW: &[Field] = &[
    (1, "metadata", META),
    (
        2,
        "spec",
        Type::Message(&[
            (
                1,
                "resourceAttributes",
                Type::Message(&[
                    (1, "namespace", Type::Text),
                    (2, "verb", Type::Text),
                    (3, "group", Type::Text),
                    (4, "version", Type::Text),
                    (5, "resource", Type::Text),
                    (6, "subresource", Type::Text),
                    (7, "name", Type::Text),
                ]),
            ),
            (
                2,
                "nonResourceAttributes",
                Type::Message(&[(1, "path", Type::Text), (2, "verb", Type::Text)]),
            ),
        ]),
    ),
];

/// `kubectl auth can-i --list`.
const SELF_SUBJECT_RULES_REVIEW: &[Field] = &[
    (1, "metadata", META),
    (2, "spec", Type::Message(&[(1, "namespace", Type::Text)])),
];

const KINDS: &[(&str, &[Field])] = &[
    ("ConfigMap", CONFIG_MAP),
    ("DeleteOptions", DELETE_OPTIONS),
    ("Namespace", NAMESPACE),
    ("Secret", SECRET),
    ("SelfSubjectAccessReview", SELF_SUBJECT_ACCESS_REVIEW),
    ("SelfSubjectReview", &[(1, "metadata", META)]),
    ("SelfSubjectRulesReview", SELF_SUBJECT_RULES_REVIEW),
    ("Service", SERVICE),
    ("ServiceAccount", SERVICE_ACCOUNT),
];

/// Reads an object.
///
/// # Errors
/// 415 for a kind that is not in the table, with the way round; 400 for bytes that are no protobuf.
pub(super) fn decode(body: &Bytes) -> Result<Value, ApiStatus> {
    let broken = || ApiStatus::bad_request("the body is no Kubernetes protobuf");
    let Some(Ok(envelope)) = envelope::open(body) else {
        return Err(broken());
    };
    let meta = envelope.type_meta.unwrap_or_default();
    let text = |bytes: &Bytes| String::from_utf8(bytes.to_vec()).map_err(|_| broken());
    let (api_version, kind) = (text(&meta.api_version)?, text(&meta.kind)?);
    let Some((_, fields)) = KINDS.iter().find(|(name, _)| *name == kind) else {
        return Err(ApiStatus::unsupported_media_type(format!(
            "{kind} is not read as protobuf here: use `kubectl create -f` or `apply -f`"
        )));
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind});
    if let (Some(object), Some(Value::Object(fields))) =
        (object.as_object_mut(), message(&envelope.raw, fields))
    {
        object.extend(fields);
    }
    Ok(object)
}

fn message(mut bytes: &[u8], fields: &[Field]) -> Option<Value> {
    let mut object = Map::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes)?;
        let (number, wire) = (tag >> 3, tag & 7);
        let (mut whole, mut part) = (0, &[][..]);
        match wire {
            0 => whole = varint(&mut bytes)?,
            1 => drop(bytes.split_off(..8)?),
            2 => {
                part = {
                    let size = usize::try_from(varint(&mut bytes)?).ok()?;
                    bytes.split_off(..size)?
                }
            }
            5 => drop(bytes.split_off(..4)?),
            _ => return None,
        }
        let Some((_, name, kind)) = fields.iter().find(|(n, ..)| *n == number) else {
            continue;
        };
        match kind {
            Type::List(item) => {
                let list = object.entry(*name).or_insert_with(|| json!([]));
                list.as_array_mut()?.push(value(item, whole, part)?);
            }
            Type::Map(item) => {
                let key = message(part, &[(1, "key", Type::Text)])?["key"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                let one = message(part, &[(2, "value", **item)])?;
                let map = object.entry(*name).or_insert_with(|| json!({}));
                map.as_object_mut()?
                    .insert(key, one.get("value").cloned().unwrap_or_else(|| "".into()));
            }
            Type::Text if part.is_empty() => {} // proto2 writes empty strings; JSON leaves them out
            Type::Int if whole == 0 && *name != "gracePeriodSeconds" => {}
            Type::Bool if whole == 0 && *name == "publishNotReadyAddresses" => {}
            Type::Bool
            | Type::Bytes
            | Type::Int
            | Type::Message(_)
            | Type::Text
            | Type::IntOrText => {
                object.insert((*name).to_owned(), value(kind, whole, part)?);
            }
        }
    }
    Some(Value::Object(object))
}

fn value(kind: &Type, whole: u64, part: &[u8]) -> Option<Value> {
    Some(match kind {
        Type::Bool => (whole != 0).into(),
        Type::Bytes => {
            use base64::Engine as _;
            base64::engine::general_purpose::STANDARD
                .encode(part)
                .into()
        }
        Type::Int => whole.cast_signed().into(),
        Type::Message(fields) => message(part, fields)?,
        Type::Text => std::str::from_utf8(part).ok()?.into(),
        Type::IntOrText => {
            let either = message(
                part,
                &[
                    (1, "type", Type::Int),
                    (2, "int", Type::Int),
                    (3, "text", Type::Text),
                ],
            )?;
            if either["type"] == 1 {
                either["text"].clone()
            } else {
                either["int"].clone()
            }
        }
        Type::Map(_) | Type::List(_) => return None,
    })
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
        let wanted = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team", "labels": {"a": "b"}}});
        assert_eq!(decode(&body), Ok(wanted));
    }

    #[test]
    fn bytes_that_are_cut_and_kinds_that_are_not_known_are_refused() {
        let body = envelope("Namespace", &field(1, &field(1, b"team")));
        assert_eq!(
            decode(&body.slice(..body.len() - 20)).unwrap_err().code,
            400
        );
        assert_eq!(decode(&envelope("Deployment", b"")).unwrap_err().code, 415);
        assert_eq!(decode(&Bytes::from_static(b"{}")).unwrap_err().code, 400);
    }
}
