//! Objects as they come in a request: decoded against their kind's types, with what `fieldValidation` asks for.

use http::{HeaderValue, Method, Response};
use serde_json::Value;

use super::call::{Body, Call};
use super::custom::{self, Served};
use super::kind::Kind;
use super::status::ApiStatus;
use super::validate::not_supported;
use super::{applying, schema, types};

/// An object, and what is to be warned of.
pub(super) struct Received {
    pub(super) object: Value,
    pub(super) warnings: Vec<String>,
}

/// What becomes of fields that no type has, and of those that stand twice (KEP-2885).
#[derive(Clone, Copy)]
enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

impl FieldValidation {
    fn of(call: &Call) -> Result<Self, ApiStatus> {
        match call.parameters.text("fieldValidation") {
            "Ignore" => Ok(Self::Ignore),
            "" | "Warn" => Ok(Self::Warn),
            "Strict" => Ok(Self::Strict),
            other => {
                let options = match call.method {
                    Method::POST => "CreateOptions",
                    Method::PUT => "UpdateOptions",
                    _ => "PatchOptions",
                };
                let allowed = &["", "Ignore", "Strict", "Warn"];
                let error = not_supported("fieldValidation", other.into(), allowed);
                Err(ApiStatus::invalid_option(options, &error))
            }
        }
    }

    /// What is to be warned of.
    ///
    /// # Errors
    /// What is found, as the reason to refuse the object.
    fn judge(self, found: Vec<String>) -> Result<Vec<String>, String> {
        match self {
            Self::Strict if !found.is_empty() => Err(strict(&found)),
            Self::Warn => Ok(found),
            Self::Ignore | Self::Strict => Ok(Vec::new()),
        }
    }
}

/// The object of a create or an update.
pub(super) fn object(kind: &Kind, call: &Call) -> Result<Received, ApiStatus> {
    let validation = FieldValidation::of(call)?;
    call.is_object(kind.kind)?;
    let (mut object, twice) = call.object_with_duplicates()?;
    is_of(kind, &object)?;
    applying::keep_reset(&mut object);
    let unknown = types::check(kind, &mut object)?;
    let warnings = validation
        .judge(told(&twice, &unknown))
        .map_err(|problem| ApiStatus::unreadable(kind, &problem))?;
    Ok(Received { object, warnings })
}

/// An object as a patch has left it. `shown`: the patch, as the API server's errors show it.
pub(super) fn patched(
    kind: &Kind,
    call: &Call,
    (mut object, twice): (Value, Vec<String>),
    shown: impl Fn(&Value) -> String,
) -> Result<Received, ApiStatus> {
    let validation = FieldValidation::of(call)?;
    let patched = object.clone();
    applying::keep_reset(&mut object);
    let warnings = types::mistyped(kind, &mut object)
        .map_err(|mistyped| mistyped.problem)
        .and_then(|unknown| validation.judge(told(&twice, &unknown)))
        .map_err(|problem| ApiStatus::invalid_patch(&shown(&patched), &problem))?;
    Ok(Received { object, warnings })
}

/// Takes out of an object of a custom kind what its schema does not have.
pub(super) fn prune(
    kind: &Kind,
    call: &Call,
    served: Option<&Served>,
    received: &mut Received,
) -> Result<(), ApiStatus> {
    let Some(served) = served else {
        return Ok(());
    };
    let unknown = custom::prune(&served.schema, &mut received.object);
    let warnings = FieldValidation::of(call)?
        .judge(told(&[], &unknown))
        .map_err(|problem| ApiStatus::unreadable(kind, &problem))?;
    received.warnings.extend(warnings);
    Ok(())
}

/// What is wrong with an object of a manifest, with the field: kubectl asks for `Strict`.
pub(super) fn of_manifest(kind: &Kind, object: &mut Value) -> Result<(), (String, String)> {
    let unknown =
        types::mistyped(kind, object).map_err(|mistyped| (mistyped.field, mistyped.problem))?;
    match unknown.first() {
        Some(field) => Err((field.clone(), strict(&told(&[], &unknown)))),
        None => Ok(()),
    }
}

fn told(twice: &[String], unknown: &[String]) -> Vec<String> {
    let twice = twice
        .iter()
        .map(|path| format!("duplicate field \"{path}\""));
    let unknown = unknown
        .iter()
        .map(|path| format!("unknown field \"{path}\""));
    twice.chain(unknown).collect()
}

fn strict(found: &[String]) -> String {
    format!("strict decoding error: {}", found.join(", "))
}

/// Refuses an object whose kind is not the path's.
fn is_of(kind: &Kind, object: &Value) -> Result<(), ApiStatus> {
    let given = |field: &str, wanted: String| object[field].as_str().map_or(wanted, str::to_owned);
    let given_kind = given("kind", kind.kind.into());
    let api_version = given("apiVersion", kind.api_version());
    if given_kind == kind.kind && api_version == kind.api_version() {
        return Ok(());
    }
    if kind.custom() {
        return Err(is_of_custom(kind, object, (&api_version, &given_kind)));
    }
    let wanted = kind.kind;
    let group = if kind.group.is_empty() {
        "core"
    } else {
        kind.group
    };
    let group = group.split('.').next().unwrap_or_default();
    let version = api_version.rsplit('/').next().unwrap_or_default();
    Err(ApiStatus::bad_request(format!(
        "{given_kind} in version {api_version:?} cannot be handled as a {wanted}: converting ({version}.{given_kind}) to ({group}.{wanted}): \
         unknown conversion"
    )))
}

/// The same of a custom kind.
fn is_of_custom(kind: &Kind, object: &Value, (version, given): (&str, &str)) -> ApiStatus {
    if version != kind.api_version() {
        return ApiStatus::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({})",
            kind.api_version()
        ));
    }
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    let what = format!("Invalid value: {given:?}: must be {}", kind.kind);
    let cause = ("kind".to_owned(), "FieldValueInvalid", what);
    let mut status = ApiStatus::invalid_fields(kind, name, vec![cause]);
    status.message = status.message.replacen(kind.kind, given, 1);
    status.details["kind"] = given.into();
    status
}

/// Kinds whose updates say which revision they are of (`AllowUnconditionalUpdate` of their strategies).
const REVISED: [&str; 17] = [
    "APIService",
    "CSIDriver",
    "CSINode",
    "CSIStorageCapacity",
    "CustomResourceDefinition",
    "FlowSchema",
    "Lease",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "PodDisruptionBudget",
    "PriorityLevelConfiguration",
    "RuntimeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VolumeAttachment",
];

/// Refuses an update that has to say which revision it is of, and does not.
pub(super) fn has_revision(kind: &Kind, object: &Value) -> Result<(), ApiStatus> {
    let meta = &object["metadata"];
    let revision = meta["resourceVersion"].as_str().unwrap_or_default();
    let needs_one = kind.custom() || REVISED.contains(&kind.kind);
    if !needs_one || !["", "0"].contains(&revision) {
        return Ok(());
    }
    let what = "Invalid value: 0: must be specified for an update".to_owned();
    let cause = (
        "metadata.resourceVersion".to_owned(),
        "FieldValueInvalid",
        what,
    );
    let name = meta["name"].as_str().unwrap_or_default();
    let mut status = ApiStatus::invalid_fields(kind, name, vec![cause]);
    status.message = status.message.replacen(kind.kind, kind.plural, 1);
    status.details["kind"] = kind.plural.into();
    Err(status)
}

/// Puts warnings into a reply's headers (RFC 9111 had code 299 before it was taken out; clients of Kubernetes read it).
pub(super) fn warn(mut response: Response<Body>, warnings: &[String]) -> Response<Body> {
    for warning in warnings {
        let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append("warning", value);
        }
    }
    response
}

/// Octets of a body that errors show.
const SHOWN: usize = 30;

impl Call {
    /// Refuses a body of JSON that is no object, as the API server says it; of one that is not JSON, the reader says more.
    pub(super) fn is_object(&self, of: &str) -> Result<(), ApiStatus> {
        let Some(problem) = self.shapeless() else {
            return Ok(());
        };
        let shown = &self.body[..self.body.len().min(SHOWN)];
        let mut shown: String = shown.iter().map(|octet| format!("{octet:02x}")).collect();
        match self.body.len() {
            0 => shown.push_str("<empty>"),
            1..=SHOWN => {}
            _ => shown.push_str(" ..."),
        }
        Err(ApiStatus::bad_request(format!(
            "the object provided is unrecognized (must be of type {of}): couldn't get version/kind; json parse error: {problem} ({shown})"
        )))
    }

    /// What Go says of a body of JSON that is no object.
    pub(super) fn shapeless(&self) -> Option<String> {
        let is_json =
            !self.content_type.contains("protobuf") && !self.content_type.contains("yaml");
        if !is_json || self.body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        match schema::object(&self.body) {
            Ok((value, _)) if !value.is_object() => {
                let called = schema::called(&value);
                Some(format!(
                    "json: cannot unmarshal {called} into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; \
                     Kind string \"json:\\\"kind,omitempty\\\"\" }}"
                ))
            }
            _ if self.body.is_empty() => Some("unexpected end of JSON input".to_owned()),
            _ => None,
        }
    }

    /// The body as an object, and the paths of fields that stand in it more than once.
    pub(super) fn object_with_duplicates(&self) -> Result<(Value, Vec<String>), ApiStatus> {
        let is_json =
            !self.content_type.contains("protobuf") && !self.content_type.contains("yaml");
        if is_json {
            return schema::object(&self.body).map_err(|error| {
                ApiStatus::bad_request(format!("the body is no JSON object: {error}"))
            });
        }
        self.object().map(|object| (object, Vec::new()))
    }
}
