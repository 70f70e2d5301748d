//! Who makes a request, for `managedFields`, and the verb `apply` (`application/apply-patch+yaml`).

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::call::Call;
use super::field::{Errors, Problem};
use super::objects::Key;
use super::request::Target;
use super::shared::Shared;
use super::state::{Author, Config, Part};
use super::status::ApiStatus;
use super::{schema, yaml};

/// The media type of an apply.
const APPLY: &str = "application/apply-patch+yaml";

/// How long a field manager's name may be.
const LONGEST: usize = 128;

/// Whether the request is an apply.
pub(super) fn is_one(call: &Call) -> bool {
    call.content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        == APPLY
}

/// Who makes a request: its `fieldManager`, or its `User-Agent` up to the version. `options`: what errors call the verb's
/// parameters.
///
/// # Errors
/// A name that is too long or cannot be printed, `force` without an apply.
pub(super) fn author(target: &Target, call: &Call, options: &str) -> Result<Author, ApiStatus> {
    let given = call.parameters.text("fieldManager");
    let mut errors = Errors::default();
    if is_one(call) && given.is_empty() {
        errors.required("fieldManager", "is required for apply patch");
    }
    if !is_one(call) && options == "PatchOptions" && !call.parameters.text("force").is_empty() {
        let why = "may not be specified for non-apply patch".to_owned();
        errors.add("force", Problem::Forbidden(why));
    }
    if given.len() > LONGEST {
        errors.add("fieldManager", Problem::TooLong(LONGEST));
    }
    for (at, odd) in given.char_indices().filter(|(_, c)| c.is_control()) {
        let why = format!(
            "invalid character U+{:04X} (at position {at})",
            u32::from(odd)
        );
        errors.invalid("fieldManager", &given.into(), &why);
    }
    ApiStatus::check_options(options, &errors)?;
    let manager = match given {
        "" => agent(&call.agent),
        given => given.to_owned(),
    };
    let subresources = target.kind.info().subresources.iter();
    let mut named = subresources.filter(|name| target.subresource.as_deref() == Some(**name));
    let subresource = named.next().copied().unwrap_or_default();
    let author = Author::new(manager, call.now).through(target.kind, subresource);
    Ok(author.asking(call.user.info(), &call.dialogue))
}

/// Who deletes.
pub(super) fn deleting(target: &Target, call: &Call) -> Author {
    let author = Author::new(agent(&call.agent), call.now).through(target.kind, "");
    author.asking(call.user.info(), &call.dialogue)
}

/// A client's name without its version.
fn agent(agent: &str) -> String {
    let name = agent.split('/').next().unwrap_or_default().chars();
    let mut printed = String::new();
    for letter in name.filter(|c| !c.is_control()) {
        if printed.len() + letter.len_utf8() > LONGEST {
            break;
        }
        printed.push(letter);
    }
    printed
}

/// A request that sets `managedFields` to an empty list forgets all of them, as one with an empty entry does.
pub(super) fn keep_reset(object: &mut Value) {
    if let Some(entries) = object.pointer_mut("/metadata/managedFields")
        && entries.as_array().is_some_and(Vec::is_empty)
    {
        *entries = json!([{}]);
    }
}

/// Applies the body. Gives the object, and the code: 201 where it is new.
pub(super) fn apply(
    shared: &Shared,
    target: &Target,
    part: Part,
    call: &Call,
) -> Result<(Arc<Value>, StatusCode), ApiStatus> {
    let dry_run = call.parameters.dry_run("PatchOptions")?;
    let author = author(target, call, "PatchOptions")?;
    let kind = target.kind.info();
    let object = config((&kind.api_version(), kind.kind), target, call)?;
    let config = Config {
        object,
        force: call.parameters.flag("force"),
        dry_run,
    };
    let key = target.key();
    let applied = shared.write_by(Some(author), |state| state.apply((&key, part), &config))?;
    let (object, is_new) = applied;
    let code = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok((object, code))
}

/// The configuration that is applied. `wanted`: its `apiVersion` and its `kind`.
///
/// # Errors
/// What cannot be read, is of another kind, or of another object.
pub(super) fn config(
    wanted: (&str, &str),
    target: &Target,
    call: &Call,
) -> Result<Value, ApiStatus> {
    let unreadable =
        |problem: String| ApiStatus::bad_request(format!("error decoding patch: {problem}"));
    let text = std::str::from_utf8(&call.body).map_err(|error| unreadable(error.to_string()))?;
    let config = yaml::read(text).map_err(|error| unreadable(error.to_string()))?;
    if let (Some(twice), "Strict") = (&config.twice, call.parameters.text("fieldValidation")) {
        let (line, twice) = (twice.line, twice.to_string());
        let key = twice.rsplit(": ").next().unwrap_or_default();
        return Err(ApiStatus::bad_request(format!(
            "error strict decoding patch: error converting YAML to JSON: yaml: unmarshal errors:\n  line {line}: key {key:?} already set \
             in map"
        )));
    }
    let config = config.value;
    if !config.is_object() {
        let called = schema::called(&config);
        return Err(unreadable(format!(
            "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {called} into Go value of type map[string]interface {{}}"
        )));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (api_version, of) = (text(&config["apiVersion"]), text(&config["kind"]));
    if (api_version.as_str(), of.as_str()) != wanted {
        let version = match api_version.split_once('/') {
            Some(_) => api_version,
            None => format!("/{api_version}"),
        };
        return Err(ApiStatus::bad_request(format!(
            "invalid object type: {version}, Kind={of}"
        )));
    }
    if !config["metadata"]["managedFields"].is_null() {
        return Err(ApiStatus::bad_request("metadata.managedFields must be nil"));
    }
    is_named(&config, &target.key())?;
    Ok(config)
}

/// Refuses an object that says other names than those of the URL, or none.
pub(super) fn is_named(object: &Value, key: &Key) -> Result<(), ApiStatus> {
    let meta = &object["metadata"];
    let given = |field: &str| meta[field].as_str().filter(|given| !given.is_empty());
    if given("namespace").is_some_and(|ns| ns != key.ns) {
        return Err(ApiStatus::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    match given("name") {
        Some(name) if name == key.name => Ok(()),
        Some(name) => Err(ApiStatus::bad_request(format!(
            "the name of the object ({name}) does not match the name on the URL ({})",
            key.name
        ))),
        None => Err(ApiStatus::bad_request(format!(
            "the name of the object ({} based on URL) was undeterminable: name must be provided",
            key.name
        ))),
    }
}
