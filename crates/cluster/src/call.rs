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

    /// The body as an object; null where there is none.
    pub(super) fn optional_object(&self) -> Result<Value, ApiStatus> {
        if self.body.is_empty() {
            Ok(Value::Null)
        } else {
            self.object()
        }
    }

    /// Whether a table is asked for.
    pub(super) fn wants_table(&self) -> bool {
        self.wants("as=Table")
    }

    /// Whether the metadata of objects are asked for alone.
    pub(super) fn wants_metadata(&self) -> bool {
        self.wants("as=PartialObjectMetadata")
    }

    /// What is liked best counts.
    fn wants(&self, form: &str) -> bool {
        let mut liked = self.accept.split(',');
        liked.next().is_some_and(|first| first.contains(form))
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
