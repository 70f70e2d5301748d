//! A request, read, and the replies there are.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use headless_objects::envelope::MEDIA_TYPE;
use http::{Method, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use jiff::Timestamp;
use serde_json::Value;

use super::protobuf;
use super::request::Parameters;
use super::status::ApiStatus;
use super::user::User;
use super::webhooks::Dialogue;
use super::yaml;

/// A reply's body: whole, or a watch's stream.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// A request, read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) parameters: Parameters,
    pub(super) accept: String,
    pub(super) content_type: String,
    /// What the client calls itself (`User-Agent`).
    pub(super) agent: String,
    /// Who makes it.
    pub(super) user: User,
    /// When it has come.
    pub(super) now: Timestamp,
    /// What it asks webhooks.
    pub(super) dialogue: Arc<Dialogue>,
    pub(super) body: Bytes,
}

impl Call {
    /// The body as an object.
    pub(super) fn object(&self) -> Result<Value, ApiStatus> {
        if self.content_type.starts_with(MEDIA_TYPE) {
            return protobuf::decode(&self.body);
        }
        // kubectl sends JSON; a person with curl may send YAML.
        if self.content_type.contains("yaml") {
            let text = std::str::from_utf8(&self.body)
                .map_err(|_| ApiStatus::bad_request("the body is not UTF-8"))?;
            let read = yaml::read(text).map_err(|error| {
                ApiStatus::bad_request(format!("the body is no YAML object: {error}"))
            });
            return read.map(|yaml| yaml.value);
        }
        serde_json::from_slice(&self.body)
            .map_err(|error| ApiStatus::bad_request(format!("the body is no JSON object: {error}")))
    }

    /// Refuses a body that says it is of no media type of ours.
    pub(super) fn check_media_type(&self) -> Result<(), ApiStatus> {
        let given = self.content_type.split(';').next().unwrap_or_default();
        if given.is_empty() || MEDIA_TYPES.contains(&given.trim()) {
            return Ok(());
        }
        Err(ApiStatus::unsupported_media_type(format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            MEDIA_TYPES.join(", ")
        )))
    }

    /// Refuses a request that takes no answer of ours.
    pub(super) fn check_accepted(&self) -> Result<(), ApiStatus> {
        let has = |wanted: fn(&str) -> bool| self.accept.split(',').any(wanted);
        let known = MEDIA_TYPES.join(", ");
        if self.accept.is_empty() || has(|clause| form(clause).is_some()) {
            Ok(())
        } else if has(is_media_type) {
            Err(ApiStatus::not_acceptable(
                &format!("only the following media types are accepted: {known}"),
                Value::Null,
            ))
        } else {
            let message = format!("406: Not Acceptable\n\nAvailable representations: {known}");
            Err(ApiStatus::not_acceptable(&message, serde_json::json!({})))
        }
    }

    /// Whether a table is asked for.
    pub(super) fn wants_table(&self) -> bool {
        self.form() == Some(Form::Table)
    }

    /// Whether the metadata of objects are asked for alone.
    pub(super) fn wants_metadata(&self) -> bool {
        self.form() == Some(Form::Metadata)
    }

    /// What is liked best of what there is counts.
    fn form(&self) -> Option<Form> {
        self.accept.split(',').find_map(form)
    }
}

/// Media types of objects.
const MEDIA_TYPES: [&str; 3] = ["application/json", "application/yaml", MEDIA_TYPE];

/// How an object is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Whole,
    Table,
    Metadata,
}

fn is_media_type(clause: &str) -> bool {
    let name = clause.split(';').next().unwrap_or_default().trim();
    ["*/*", "application/*"].contains(&name) || MEDIA_TYPES.contains(&name)
}

/// The form that a clause of `Accept` asks for; `None`: one that there is not.
fn form(clause: &str) -> Option<Form> {
    let parameter = |name: &str| {
        let mut parameters = clause.split(';').skip(1);
        parameters.find_map(|parameter| parameter.trim().strip_prefix(name))
    };
    let of = (parameter("g="), parameter("v="));
    let is_meta = matches!(of, (Some("meta.k8s.io"), Some("v1" | "v1beta1")));
    match parameter("as=") {
        _ if !is_media_type(clause) => None,
        None => Some(Form::Whole),
        Some("Table") if is_meta => Some(Form::Table),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") if is_meta => {
            Some(Form::Metadata)
        }
        Some(_) => None,
    }
}

/// An object's metadata alone (`PartialObjectMetadata`).
pub(super) fn metadata(object: &Value) -> Value {
    serde_json::json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"],
    })
}

/// A reply of one JSON document.
pub(super) fn json(code: StatusCode, document: &Value) -> Response<Body> {
    reply(code, "application/json", Bytes::from(document.to_string()))
}

/// An error.
pub(super) fn failure(status: &ApiStatus) -> Response<Body> {
    json(
        StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
        &status.object(),
    )
}

pub(super) fn reply(code: StatusCode, media_type: &'static str, body: Bytes) -> Response<Body> {
    stream(code, media_type, Full::new(body).boxed_unsync())
}

/// A reply with this body.
pub(super) fn stream(code: StatusCode, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = code;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        http::HeaderValue::from_static(media_type),
    );
    response
}
