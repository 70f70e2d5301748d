//! Kinds that are asked, not kept: who somebody is, and what they may do. Here everybody is an administrator.

use serde_json::{Value, json};

use super::kind::Kind;
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
pub(super) fn answer(kind: &Kind, user: &User, mut object: Value) -> Result<Value, ApiStatus> {
    let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
    let status = match kind.kind {
        "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview" => {
            json!({"allowed": true, "reason": "everybody may do everything in this cluster"})
        }
        "SelfSubjectRulesReview" => json!({
            "resourceRules": [everything], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
        }),
        "SelfSubjectReview" => json!({"userInfo": user.info()}),
        "TokenReview" => json!({"error": "this cluster issues no tokens", "user": {}}),
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
