//! Kinds that are asked, not kept: who somebody is, and what they may do. Here everybody is an administrator.

use headless_objects::object::array;
use serde_json::{Value, json};

use super::bearers::{AUDIENCE, Shown};
use super::kind::Kind;
use super::shared::Shared;
use super::status::ApiStatus;
use super::user::User;

/// Whether objects of this kind are questions.
pub(super) fn is_one(kind: &Kind) -> bool {
    kind.verbs == ["create"]
}

/// The question with its answer.
///
/// # Errors
/// What this cluster cannot do.
pub(super) fn answer(
    shared: &Shared,
    kind: &Kind,
    user: &User,
    mut object: Value,
) -> Result<Value, ApiStatus> {
    let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    let status = match kind.kind {
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            json!({"allowed": true, "reason": "everybody may do everything in this cluster"})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [everything], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
        }),
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => review(shared, &object["spec"])?,
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
