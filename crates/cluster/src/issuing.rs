//! Tokens of service accounts, by request (`kubectl create token`).

use headless_objects::rfc3339::timestamp;
use http::{Response, StatusCode};
use jiff::SignedDuration;
use serde_json::json;

use super::call::{Body, Call, json as reply};
use super::field::Errors;
use super::objects::Key;
use super::schema;
use super::shared::Shared;
use super::status::ApiStatus;

const REQUEST: &str = "io.k8s.api.authentication.v1.TokenRequest";

/// Seconds: what a request may ask for at least, and at most.
const LIFE: std::ops::RangeInclusive<i64> = 600..=1 << 32;

/// How long a token lives where the request does not say, in seconds.
const HOUR: i64 = 3600;

/// Gives a token of a service account.
pub(super) fn issue(shared: &Shared, key: &Key, call: &Call) -> Result<Response<Body>, ApiStatus> {
    call.is_object("TokenRequest")?;
    let mut request = call.object()?;
    schema::check(REQUEST, &mut request).map_err(|mistyped| {
        ApiStatus::bad_request(format!(
            "TokenRequest in version \"v1\" cannot be handled as a TokenRequest: {}",
            mistyped.problem
        ))
    })?;
    shared.read().get(key)?;
    let spec = &mut request["spec"];
    let life = spec["expirationSeconds"].as_i64().unwrap_or(HOUR);
    let mut errors = Errors::default();
    if life < *LIFE.start() {
        let why = "may not specify a duration less than 10 minutes";
        errors.invalid("spec.expirationSeconds", &life.into(), why);
    }
    if life > *LIFE.end() {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.invalid("spec.expirationSeconds", &life.into(), why);
    }
    if let Some(error) = errors.0.first() {
        return Err(ApiStatus::invalid_token_request(error));
    }
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = json!(["https://kubernetes.default.svc.cluster.local"]);
    }
    let ends = shared.now().saturating_add(SignedDuration::from_secs(life));
    let ends = ends.unwrap_or(jiff::Timestamp::MAX);
    let user = format!("system:serviceaccount:{}:{}", key.ns, key.name);
    let made = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {"name": key.name, "namespace": key.ns, "creationTimestamp": timestamp(shared.now())},
        "spec": {"audiences": spec["audiences"], "expirationSeconds": life, "boundObjectRef": spec["boundObjectRef"]},
        "status": {"token": shared.tokens.until(&user, ends), "expirationTimestamp": timestamp(ends)},
    });
    Ok(reply(StatusCode::CREATED, &made))
}
