//! Kinds that are asked, not kept: who somebody is, and what they may do.

use headless_objects::object::array;
use serde_json::{Value, json};

use super::authorizing;
use super::bearers::{AUDIENCE, Shown};
use super::field::Errors;
use super::kind::Kind;
use super::rbac::Subject;
use super::shared::Shared;
use super::status::ApiStatus;
use super::user::User;

/// Whether objects of this kind are questions.
pub(super) fn is_one(kind: &Kind) -> bool {
    kind.verbs == ["create"]
}

/// The question with its answer. `ns`: that of its path; empty for none.
///
/// # Errors
/// A question that asks for nothing, and what this cluster cannot do.
pub(super) fn answer(
    shared: &Shared,
    (kind, ns): (&Kind, &str),
    user: &User,
    mut object: Value,
) -> Result<Value, ApiStatus> {
    let spec = &object["spec"];
    let status = match kind.kind {
        "SelfSubjectAccessReview" => access(shared, kind, &user.subject(), spec)?,
        "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            let subject = Subject::of(&spec["user"], &spec["groups"]);
            if kind.namespaced && spec["resourceAttributes"]["namespace"] != ns {
                let mut errors = Errors::default();
                let given = &spec["resourceAttributes"]["namespace"];
                let what = format!("must match metadata.namespace: {ns}");
                errors.invalid("spec.resourceAttributes.namespace", given, &what);
                return Err(ApiStatus::invalid(kind, "", &errors.0));
            }
            access(shared, kind, &subject, spec)?
        }
        "SelfSubjectRulesReview" => {
            let ns = spec["namespace"].as_str().unwrap_or_default();
            if ns.is_empty() {
                let why = "no namespace on request";
                return Err(ApiStatus::bad_request(why));
            }
            authorizing::rules(&shared.read(), &user.subject(), ns)
        }
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => review(shared, spec)?,
        other => {
            return Err(ApiStatus::not_served(format!(
                "{other} is not served: create the object that it is about"
            )));
        }
    };
    object["kind"] = kind.kind.into();
    object["apiVersion"] = kind.api_version().into();
    object["status"] = status;
    Ok(object)
}

/// Whom a token stands for.
fn review(shared: &Shared, spec: &Value) -> Result<Value, ApiStatus> {
    let token = spec["token"].as_str().filter(|token| !token.is_empty());
    let why = "token is required for TokenReview in authentication";
    let token = token.ok_or_else(|| ApiStatus::bad_request(why))?;
    let mut audiences: Vec<_> = array(&spec["audiences"])
        .filter_map(Value::as_str)
        .collect();
    if audiences.is_empty() {
        audiences.push(AUDIENCE);
    }
    let now = shared.now();
    let state = shared.read();
    let shown = Shown {
        now,
        objects: &state.objects,
        tokens: &shared.tokens,
        audiences: &audiences,
    };
    Ok(match shown.user(token) {
        Ok((user, audiences)) => {
            json!({"authenticated": true, "user": user.info(), "audiences": audiences})
        }
        Err(why) => json!({"user": {}, "error": why}),
    })
}

/// Whether somebody may do what a review asks for.
fn access(
    shared: &Shared,
    kind: &Kind,
    subject: &Subject,
    spec: &Value,
) -> Result<Value, ApiStatus> {
    let mut errors = Errors::default();
    let asked = authorizing::asked(spec);
    if asked.is_none() {
        let (what, value) = match spec["nonResourceAttributes"].is_object() {
            true => (
                "cannot be specified in combination with resourceAttributes",
                spec["nonResourceAttributes"].clone(),
            ),
            false => (
                "exactly one of nonResourceAttributes or resourceAttributes must be specified",
                Value::Null,
            ),
        };
        let field = if value.is_null() {
            "spec.resourceAttributes"
        } else {
            "spec.nonResourceAttributes"
        };
        errors.invalid(field, &value, what);
    }
    if subject.name.is_empty() && subject.groups.is_empty() {
        let what = "at least one of user or group must be specified";
        errors.invalid("spec.user", &"".into(), what);
    }
    match asked.filter(|_| errors.0.is_empty()) {
        None => Err(ApiStatus::invalid(kind, "", &errors.0)),
        Some(asked) => {
            let decision = authorizing::decide(&shared.read(), subject, &asked);
            let mut status = json!({"allowed": decision.allowed});
            if !decision.reason.is_empty() {
                status["reason"] = decision.reason.into();
            }
            Ok(status)
        }
    }
}
