//! Tokens of service accounts, by request (`kubectl create token`).

use std::sync::Arc;

use headless_objects::object::{name, ns, uid};
use headless_objects::rfc3339::timestamp;
use http::{Response, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::bearers::{self, AUDIENCE, Grant};
use super::call::{Body, Call, json as reply};
use super::field::Errors;
use super::objects::{Key, Objects};
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
    let account = Arc::clone(shared.read().get(key)?);
    named(&account, &request["metadata"])?;
    let spec = &mut request["spec"];
    let life = life(spec)?;
    if spec["audiences"].as_array().is_none_or(Vec::is_empty) {
        spec["audiences"] = json!([AUDIENCE]);
    }
    let now = shared.now();
    let ends = now.saturating_add(SignedDuration::from_secs(life));
    let ends = ends.unwrap_or(jiff::Timestamp::MAX);
    let state = shared.read();
    let bound = bound(&state.objects, &account, &spec["boundObjectRef"])?;
    let grant = Grant {
        account: &account,
        bound: bound.map(|(kind, object)| (kind, &**object)),
        audiences: &spec["audiences"],
        begins: now,
        life,
    };
    let token = grant.token(&state.objects, &shared.tokens);
    let made = json!({
        "kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1",
        "metadata": {
            "name": key.name, "namespace": key.ns, "uid": account["metadata"]["uid"], "creationTimestamp": timestamp(now),
        },
        "spec": {"audiences": spec["audiences"], "expirationSeconds": life, "boundObjectRef": spec["boundObjectRef"]},
        "status": {"token": token, "expirationTimestamp": timestamp(ends)},
    });
    Ok(reply(StatusCode::CREATED, &made))
}

/// For how many seconds a token is asked for.
fn life(spec: &Value) -> Result<i64, ApiStatus> {
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
        return Err(ApiStatus::invalid_token_request("", error));
    }
    Ok(life)
}

/// Refuses a request that names another ServiceAccount than its path.
fn named(account: &Value, asked: &Value) -> Result<(), ApiStatus> {
    for field in ["name", "namespace"] {
        let given = asked[field].as_str().filter(|given| !given.is_empty());
        if let Some(given) = given.filter(|given| account["metadata"][field] != **given) {
            let mut errors = Errors::default();
            let why = format!("must match the service account {field} if specified");
            errors.invalid(format!("metadata.{field}"), &given.into(), &why);
            return Err(ApiStatus::invalid_token_request(
                name(account),
                &errors.0[0],
            ));
        }
    }
    let given = asked["uid"].as_str().filter(|given| !given.is_empty());
    match given.filter(|given| *given != uid(account)) {
        Some(given) => {
            let why = format!(
                "the UID in the token request ({given}) does not match the UID of the service account ({})",
                uid(account)
            );
            Err(ApiStatus::conflict_of(
                ("TokenRequest", "authentication.k8s.io"),
                name(account),
                &why,
            ))
        }
        None => Ok(()),
    }
}

/// The object that a token is to be bound to, with its kind.
fn bound<'a>(
    objects: &'a Objects,
    account: &Value,
    asked: &'a Value,
) -> Result<Option<(&'a str, &'a Arc<Value>)>, ApiStatus> {
    if !asked.is_object() {
        return Ok(None);
    }
    let text = |field: &str| asked[field].as_str().unwrap_or_default();
    let (version, called) = (text("apiVersion"), text("kind"));
    let kind = bearers::bindable(called).filter(|_| !version.contains('/'));
    let Some(kind) = kind else {
        let (group, version) = version.split_once('/').unwrap_or(("", version));
        return Err(ApiStatus::bad_request(format!(
            "cannot bind token to object of type {group}/{version}, Kind={called}"
        )));
    };
    let space = if kind.info().namespaced {
        ns(account)
    } else {
        ""
    };
    let object = objects.named(kind, space, text("name"));
    let object = object.ok_or_else(|| ApiStatus::not_found(kind.info(), text("name")))?;
    if called == "Pod" && object["spec"]["serviceAccountName"] != name(account) {
        return Err(ApiStatus::bad_request(format!(
            "cannot bind token for serviceaccount {:?} to pod running with different serviceaccount name.",
            name(account)
        )));
    }
    let given = text("uid");
    if !given.is_empty() && given != uid(object) {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(ApiStatus::conflict_of((called, ""), text("name"), &why));
    }
    Ok(Some((called, object)))
}
