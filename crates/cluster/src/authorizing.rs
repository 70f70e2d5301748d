//! Who a request is made for, and whether they may make it.

use http::{HeaderMap, Method, Request, Uri, header};
use serde_json::json;

use super::objects::Key;
use super::plane::Authorization;
use super::rbac::{self, Attributes, Decision, Subject, What};
use super::request::{Parameters, Target, parts};
use super::shared::Shared;
use super::state::State;
use super::status::ApiStatus;
use super::user::{Spoken, User};

/// What everybody is told whom nobody asks for roles.
const EVERYBODY: &str = "everybody may do everything in this cluster";

/// Subresources of Pods that are connections: who opens one by GET has to be allowed to create it, too.
const CONNECTIONS: [&str; 3] = ["attach", "exec", "portforward"];

/// Whether somebody may do something.
pub(super) fn decide(state: &State, subject: &Subject, asked: &Attributes) -> Decision {
    match state.plane().authorization {
        Authorization::Everybody => Decision {
            allowed: true,
            reason: EVERYBODY.to_owned(),
        },
        Authorization::Roles => rbac::decide(&state.objects, subject, asked),
    }
}

/// The user whom a request is made for: the one who makes it, or the one whom they speak for (`Impersonate-User` and its kin).
///
/// # Errors
/// 403 for one who may not speak for them, 500 for a request that names groups without a user, as kube-apiserver has it, and 403
/// where the user may not make the request.
pub(super) fn admitted<B>(
    shared: &Shared,
    user: User,
    request: &Request<B>,
) -> Result<User, ApiStatus> {
    let (uri, headers) = (request.uri(), request.headers());
    let user = speaking(shared, user, (uri, headers))?;
    check(shared, &user, (request.method(), uri, headers))?;
    Ok(user)
}

fn speaking(
    shared: &Shared,
    user: User,
    (uri, headers): (&Uri, &HeaderMap),
) -> Result<User, ApiStatus> {
    let spoken = Spoken::of(headers);
    let asked = spoken.asked();
    if asked.is_empty() {
        return Ok(user);
    }
    let Some(other) = spoken.user() else {
        let asked: Vec<_> = asked.iter().map(|one| one.go()).collect();
        let why = format!(
            "Internal Server Error: {:?}: requested [{}] without impersonating a user",
            uri.path(),
            asked.join(" ")
        );
        return Err(ApiStatus::unknown(why));
    };
    let state = shared.read();
    for one in &asked {
        let asked = Attributes {
            verb: "impersonate".into(),
            what: What::Object {
                group: one.group.to_owned(),
                resource: one.resource.to_owned(),
                subresource: one.key.clone(),
                ns: one.ns.clone(),
                name: one.name.clone(),
            },
        };
        let decision = decide(&state, &user.subject(), &asked);
        if !decision.allowed {
            return Err(asked.forbidden(user.name(), &decision.reason));
        }
    }
    Ok(other)
}

/// Refuses a request that its user may not make.
fn check(
    shared: &Shared,
    user: &User,
    (method, uri, headers): (&Method, &Uri, &HeaderMap),
) -> Result<(), ApiStatus> {
    let subject = user.subject();
    let state = shared.read();
    if state.plane().authorization == Authorization::Everybody || subject.is_master() {
        return Ok(());
    }
    let parameters = Parameters::parse(uri.query().unwrap_or_default());
    let query = (parameters.flag("watch"), parameters.text("fieldSelector"));
    let asked = Attributes::of(method, uri.path(), query);
    let more = match &asked.what {
        What::Object { subresource, .. } if CONNECTIONS.contains(&subresource.as_str()) => true,
        What::Path(_) | What::Object { .. } => makes(&state, method, uri, headers),
    };
    let more = more.then(|| asked.but("create"));
    for asked in [Some(asked), more].into_iter().flatten() {
        let decision = decide(&state, &subject, &asked);
        if !decision.allowed {
            return Err(asked.forbidden(&subject.name, &decision.reason));
        }
    }
    Ok(())
}

/// Whether a request is an apply of an object that is not there, and so makes it.
fn makes(state: &State, method: &Method, uri: &Uri, headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let is_apply = media_type.is_some_and(|of| of.starts_with("application/apply-patch+"));
    if *method != Method::PATCH || !is_apply {
        return false;
    }
    let target = Target::parse(&parts(uri.path()));
    target.is_some_and(|target| {
        let key: Key = target.key();
        target.subresource.is_none() && state.objects.get(&key).is_none()
    })
}

/// What an access review's `spec` asks for; `None`: nothing, or both of what it may be.
pub(super) fn asked(spec: &serde_json::Value) -> Option<Attributes> {
    let text =
        |field: &str, of: &serde_json::Value| of[field].as_str().unwrap_or_default().to_owned();
    let (object, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
    let (of, what) = match (object.is_object(), path.is_object()) {
        (true, false) => {
            let what = What::Object {
                group: text("group", object),
                resource: text("resource", object),
                subresource: text("subresource", object),
                ns: text("namespace", object),
                name: text("name", object),
            };
            (object, what)
        }
        (false, true) => (path, What::Path(text("path", path))),
        (true, true) | (false, false) => return None,
    };
    Some(Attributes {
        verb: text("verb", of),
        what,
    })
}

/// The rules that somebody holds in a namespace, as `SelfSubjectRulesReview` has them.
pub(super) fn rules(state: &State, subject: &Subject, ns: &str) -> serde_json::Value {
    if state.plane().authorization == Authorization::Everybody {
        let everything = json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]});
        return json!({
            "resourceRules": [everything], "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}], "incomplete": false,
        });
    }
    let held = rbac::held(&state.objects, subject, ns);
    let rules = held.roles.iter().flat_map(|(_, role)| {
        let rules = role["rules"].as_array().into_iter().flatten();
        rules.cloned()
    });
    let (mut objects, mut paths) = (Vec::new(), Vec::new());
    for rule in rules {
        if rule["nonResourceURLs"].is_array() {
            paths.push(json!({"verbs": rule["verbs"], "nonResourceURLs": rule["nonResourceURLs"]}));
        }
        if rule["resources"].is_array() {
            objects.push(rule);
        }
    }
    let mut answer =
        json!({"resourceRules": objects, "nonResourceRules": paths, "incomplete": false});
    if !held.errors.is_empty() {
        answer["evaluationError"] = held.errors.join(", ").into();
    }
    answer
}
