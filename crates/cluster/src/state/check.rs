//! An object is checked before it is written.

use ahash::AHashSet;
use serde_json::Value;

use super::Part;
use crate::field::Errors;
use crate::kind::Kind;
use crate::status::ApiStatus;
use crate::validate;

/// Checks an object; of an update of the status alone, the status. `rules`: the kind whose rules those of the request are.
///
/// # Errors
/// 422 with what is wrong, each once.
pub(super) fn check(
    (info, rules): (&Kind, &Kind),
    object: &Value,
    old: Option<&Value>,
    part: Part,
) -> Result<(), ApiStatus> {
    let mut errors = Errors::default();
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    if old.is_none() {
        validate::name(&object["metadata"], rules.does.names, &mut errors);
    }
    validate::metadata(rules, object, old, &mut errors);
    match (part, old, rules.does.validate) {
        (Part::Status, Some(old), _) => (rules.does.status)(object, old, &mut errors),
        (Part::Debugging, _, _) => validate::debugging(object, old, &mut errors),
        (Part::Status | Part::Main, _, Some(validate)) => validate(object, old, &mut errors),
        (Part::Status | Part::Main, _, None) => validate::required(rules.of, object, &mut errors),
    }
    // What is found twice is said once.
    let mut said = AHashSet::new();
    errors.0.retain(|error| said.insert(error.to_string()));
    if errors.0.is_empty() {
        Ok(())
    } else {
        Err(ApiStatus::invalid(info, name, &errors.0))
    }
}
