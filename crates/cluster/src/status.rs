//! Errors as the API sends them: a `Status` with code, reason and details.

use serde_json::{Value, json};

use super::field::{Errors, FieldError};
use super::kind::Kind;

/// An error reply.
#[derive(Clone, Debug, PartialEq)]
pub struct ApiStatus {
    /// HTTP code.
    pub code: u16,
    /// `NotFound`, `Conflict`, …
    pub reason: &'static str,
    /// For a person.
    pub message: String,
    /// `details`, or null.
    pub details: Value,
}

/// The reasons that Kubernetes has (`StatusReason`); of a webhook's others nothing is shown.
const REASONS: [&str; 17] = [
    "AlreadyExists",
    "BadRequest",
    "Conflict",
    "Expired",
    "Forbidden",
    "Gone",
    "InternalError",
    "Invalid",
    "MethodNotAllowed",
    "NotAcceptable",
    "NotFound",
    "RequestEntityTooLarge",
    "ServiceUnavailable",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "UnsupportedMediaType",
];

impl ApiStatus {
    fn of(code: u16, reason: &'static str, message: String, details: Value) -> Self {
        Self {
            code,
            reason,
            message,
            details,
        }
    }

    /// What a webhook refuses a write with.
    pub(crate) fn of_webhook(code: u16, reason: &str, message: String, details: Value) -> Self {
        let known = REASONS.iter().find(|known| **known == reason);
        Self {
            code,
            reason: known.copied().unwrap_or_default(),
            message,
            details,
        }
    }

    /// 500 for what is wrong behind the API.
    pub(crate) fn internal(why: &str) -> Self {
        let message = format!("Internal error occurred: {why}");
        let details = json!({"causes": [{"message": why}]});
        Self::of(500, "InternalError", message, details)
    }

    /// 400.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::of(400, "BadRequest", message.into(), Value::Null)
    }

    /// 404 for an object.
    #[must_use]
    pub fn not_found(kind: &Kind, name: &str) -> Self {
        Self::of(
            404,
            "NotFound",
            format!("{} \"{name}\" not found", kind.resource()),
            details(kind, name),
        )
    }

    /// 404 for a path.
    #[must_use]
    pub fn no_such_path() -> Self {
        Self::of(
            404,
            "NotFound",
            "the server could not find the requested resource".into(),
            json!({}),
        )
    }

    /// 405, with what is not served here.
    pub fn not_served(message: impl Into<String>) -> Self {
        Self::of(405, "MethodNotAllowed", message.into(), json!({}))
    }

    /// 406, with the details that are shown.
    pub(super) fn not_acceptable(message: &str, details: Value) -> Self {
        Self::of(406, "NotAcceptable", message.to_owned(), details)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::of(401, "Unauthorized", "Unauthorized".into(), Value::Null)
    }

    /// 403.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::of(403, "Forbidden", message.into(), Value::Null)
    }

    /// 403 with these details.
    pub(crate) fn forbidden_of(message: String, details: Value) -> Self {
        Self::of(403, "Forbidden", message, details)
    }

    /// 403 for an object, or a collection where the name is empty. `of`: its group and its plural.
    pub(crate) fn forbidden_object(of: (&str, &str), name: &str, why: &str) -> Self {
        let (whole, details) = named(of, name);
        let what = if name.is_empty() {
            whole
        } else {
            format!("{whole} {name:?}")
        };
        Self::forbidden_of(format!("{what} is forbidden: {why}"), details)
    }

    /// 404 for an object of this group and plural.
    pub(crate) fn not_found_of(of: (&str, &str), name: &str) -> Self {
        let (whole, details) = named(of, name);
        Self::of(
            404,
            "NotFound",
            format!("{whole} {name:?} not found"),
            details,
        )
    }

    /// 409 for a name that is taken.
    #[must_use]
    pub fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::of(
            409,
            "AlreadyExists",
            format!("{} \"{name}\" already exists", kind.resource()),
            details(kind, name),
        )
    }

    /// 409 for a precondition that does not hold.
    #[must_use]
    pub fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            kind.resource()
        );
        Self::of(409, "Conflict", message, details(kind, name))
    }

    /// The same of an object that is called by its kind, and by the kind's group where that has one.
    #[must_use]
    pub fn conflict_of((kind, group): (&str, &str), name: &str, why: &str) -> Self {
        let mut details = json!({"name": name, "kind": kind});
        let mut called = kind.to_owned();
        if !group.is_empty() {
            details["group"] = group.into();
            called = format!("{kind}.{group}");
        }
        let message = format!("Operation cannot be fulfilled on {called} \"{name}\": {why}");
        Self::of(409, "Conflict", message, details)
    }

    /// 409 for an object of another UID than the delete is for.
    #[must_use]
    pub fn other_uid(kind: &Kind, name: &str, asked: &str, present: &Value) -> Self {
        Self::other(
            kind,
            name,
            "UID",
            (asked, present),
            "deleted and then recreated",
        )
    }

    /// 409 for an object of another revision than the delete is for.
    #[must_use]
    pub fn other_revision(kind: &Kind, name: &str, asked: &str, present: &Value) -> Self {
        Self::other(kind, name, "ResourceVersion", (asked, present), "modified")
    }

    fn other(
        kind: &Kind,
        name: &str,
        what: &str,
        (asked, present): (&str, &Value),
        maybe: &str,
    ) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": the {what} in the precondition ({asked}) does not match the {what} in \
             record ({}). The object might have been {maybe}",
            kind.kind,
            present.as_str().unwrap_or_default()
        );
        let details = json!({"name": name, "kind": kind.kind});
        Self::of(409, "Conflict", message, details)
    }

    /// 429 for an eviction that a disruption budget does not allow now.
    #[must_use]
    pub fn too_many_evictions(why: String) -> Self {
        let message = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = json!({"reason": "DisruptionBudget", "message": why});
        let details = json!({"causes": [cause], "retryAfterSeconds": 10});
        Self::of(429, "TooManyRequests", message.into(), details)
    }

    /// 504 for what has taken too long.
    pub(crate) fn timed_out(why: &str) -> Self {
        Self::of(504, "Timeout", format!("Timeout: {why}"), Value::Null)
    }

    /// 504 for a revision that is not there yet.
    #[must_use]
    pub fn too_new(asked: u64, current: u64) -> Self {
        let cause =
            json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        let details = json!({"causes": [cause], "retryAfterSeconds": 1});
        Self::of(504, "Timeout", message, details)
    }

    /// 409 for fields that others own; each cause is a message and a field.
    pub(crate) fn apply_conflict(
        message: String,
        causes: impl Iterator<Item = (String, String)>,
    ) -> Self {
        let cause = |(message, field)| json!({"reason": "FieldManagerConflict", "message": message, "field": field});
        let causes: Vec<_> = causes.map(cause).collect();
        Self::of(409, "Conflict", message, json!({"causes": causes}))
    }

    /// 500 for what the API server has no reason for.
    pub(crate) fn unknown(message: impl Into<String>) -> Self {
        Self::of(500, "", message.into(), Value::Null)
    }

    /// 410 for a revision that is gone.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::of(410, "Expired", message.into(), Value::Null)
    }

    /// 410 for the rest of a list whose first page is forgotten.
    pub(crate) fn expired_list(message: &str, more: String) -> Self {
        // `object` shows it where lists have theirs.
        Self::of(410, "Expired", message.into(), json!({"continue": more}))
    }

    /// 415.
    pub fn unsupported_media_type(message: impl Into<String>) -> Self {
        Self::of(415, "UnsupportedMediaType", message.into(), Value::Null)
    }

    /// 422 with the fields that are wrong.
    #[must_use]
    pub fn invalid(kind: &Kind, name: &str, errors: &[FieldError]) -> Self {
        let errors = errors.iter();
        let causes = errors.map(|e| (e.field.clone(), e.reason(), e.message()));
        Self::invalid_fields(kind, name, causes.collect())
    }

    /// The same; each cause is a field, a reason and a message.
    pub(crate) fn invalid_fields(
        kind: &Kind,
        name: &str,
        causes: Vec<(String, &'static str, String)>,
    ) -> Self {
        let list = causes.iter();
        let list: Vec<_> = list
            .map(|(field, _, message)| format!("{field}: {message}"))
            .collect();
        let all = if list.len() == 1 {
            list[0].clone()
        } else {
            format!("[{}]", list.join(", "))
        };
        let causes: Vec<_> = causes
            .into_iter()
            .map(|(field, reason, message)| json!({"reason": reason, "message": message, "field": field}))
            .collect();
        let mut details =
            json!({"name": name, "group": kind.group, "kind": kind.kind, "causes": causes});
        // What is empty is left out.
        if let Some(details) = details.as_object_mut() {
            details.retain(|_, value| value != "");
        }
        Self::of(
            422,
            "Invalid",
            format!("{}{} \"{name}\" is invalid: {all}", kind.kind, suffix(kind)),
            details,
        )
    }

    /// 400 for an object that cannot be read as one of its kind.
    #[must_use]
    pub fn unreadable(kind: &Kind, problem: &str) -> Self {
        let name = kind.kind;
        Self::bad_request(format!(
            "{name} in version {:?} cannot be handled as a {name}: {problem}",
            kind.version
        ))
    }

    /// 422 for a patch after which an object cannot be read; of no kind, as the API server says it.
    #[must_use]
    pub fn invalid_patch(shown: &str, problem: &str) -> Self {
        let what = format!("Invalid value: {shown:?}: {problem}");
        let cause = json!({"reason": "FieldValueInvalid", "message": what, "field": "patch"});
        let message = format!(" \"\" is invalid: patch: {what}");
        Self::of(422, "Invalid", message, json!({"causes": [cause]}))
    }

    /// 413.
    pub fn too_large(message: impl Into<String>) -> Self {
        let message = format!("Request entity too large: {}", message.into());
        Self::of(413, "RequestEntityTooLarge", message, Value::Null)
    }

    /// 500 for a request that this server broke at.
    #[must_use]
    pub fn broken() -> Self {
        let message = "this server broke at the request; what it was is in its log";
        Self::of(500, "InternalError", message.into(), Value::Null)
    }

    /// 422 for an option of the request, such as a `CreateOptions`' `dryRun`.
    #[must_use]
    pub fn invalid_option(options: &str, error: &FieldError) -> Self {
        Self::invalid_asked((options, "meta.k8s.io"), "", error)
    }

    /// 422 for a token that cannot be asked for.
    #[must_use]
    pub fn invalid_token_request(name: &str, error: &FieldError) -> Self {
        Self::invalid_asked(("TokenRequest", "authentication.k8s.io"), name, error)
    }

    /// Refuses a `Scale` of fewer replicas than none.
    ///
    /// # Errors
    /// 422.
    pub(crate) fn check_scale(name: &str, scale: &Value) -> Result<(), Self> {
        let replicas = &scale["spec"]["replicas"];
        if replicas.as_i64().is_none_or(|replicas| replicas >= 0) {
            return Ok(());
        }
        let mut errors = Errors::default();
        let what = "must be greater than or equal to 0";
        errors.invalid("spec.replicas", replicas, what);
        let of = ("Scale", "autoscaling");
        Err(Self::invalid_asked(of, name, &errors.0[0]))
    }

    fn invalid_asked((kind, group): (&str, &str), name: &str, error: &FieldError) -> Self {
        let cause =
            json!({"reason": error.reason(), "message": error.message(), "field": error.field});
        let mut details = json!({"group": group, "kind": kind, "causes": [cause]});
        if !name.is_empty() {
            details["name"] = name.into();
        }
        let message = format!("{kind}.{group} \"{name}\" is invalid: {error}");
        Self::of(422, "Invalid", message, details)
    }

    /// The first error there is of a request's options.
    ///
    /// # Errors
    /// That one.
    pub(crate) fn check_options(options: &str, errors: &Errors) -> Result<(), Self> {
        match errors.0.first() {
            Some(error) => Err(Self::invalid_option(options, error)),
            None => Ok(()),
        }
    }

    /// 422 for a patch that is well formed and cannot be applied.
    #[must_use]
    pub fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::of(422, "Invalid", message.into(), json!({}))
    }

    /// The object that is sent.
    #[must_use]
    pub fn object(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if self.reason.is_empty() {
            status.as_object_mut().map(|s| s.shift_remove("reason"));
        }
        if self.details["continue"].is_string() {
            status["metadata"]["continue"] = self.details["continue"].clone();
        } else if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        status
    }
}

/// `plural.group`, and the details of an error about an object.
fn named((group, plural): (&str, &str), name: &str) -> (String, Value) {
    let whole = if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    };
    let mut details = json!({"name": name, "group": group, "kind": plural});
    if let Some(details) = details.as_object_mut() {
        details.retain(|_, value| value != "");
    }
    (whole, details)
}

fn suffix(kind: &Kind) -> String {
    if kind.group.is_empty() {
        String::new()
    } else {
        format!(".{}", kind.group)
    }
}

fn details(kind: &Kind, name: &str) -> Value {
    let mut details = json!({"name": name, "group": kind.group, "kind": kind.plural});
    if kind.group.is_empty() {
        details.as_object_mut().map(|d| d.remove("group"));
    }
    details
}
