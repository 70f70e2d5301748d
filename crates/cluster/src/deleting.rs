//! What a delete asks for: in its body, else in its query.

use headless_objects::object::array;
use serde_json::{Value, json};

use super::call::Call;
use super::request::Parameters;
use super::schema;
use super::state::{DeleteOptions, Propagation};
use super::status::ApiStatus;
use super::validate::{invalid, not_supported};

const TYPE: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// The options of a delete.
///
/// # Errors
/// Options that cannot be read, or are none.
pub(super) fn options(call: &Call) -> Result<DeleteOptions, ApiStatus> {
    if call.body.is_empty() {
        return read(&of_query(&call.parameters)?);
    }
    if let Some(problem) = call.shapeless() {
        return Err(ApiStatus::bad_request(format!(
            "couldn't get version/kind; json parse error: {problem}"
        )));
    }
    let mut given = call.object()?;
    let kind = given["kind"].as_str().unwrap_or_default();
    if !["", "DeleteOptions"].contains(&kind) {
        let version = given["apiVersion"].as_str().unwrap_or("v1");
        return Err(ApiStatus::bad_request(format!(
            "no kind {kind:?} is registered for version {version:?} in scheme \"pkg/runtime/scheme.go:111\""
        )));
    }
    schema::check(TYPE, &mut given).map_err(|mistyped| ApiStatus::bad_request(mistyped.problem))?;
    read(&given)
}

fn of_query(parameters: &Parameters) -> Result<Value, ApiStatus> {
    let text = |name: &str| Some(parameters.text(name)).filter(|text| !text.is_empty());
    let orphans = text("orphanDependents").map(|_| parameters.flag("orphanDependents"));
    let dry_run: Vec<_> = text("dryRun").into_iter().collect();
    Ok(json!({
        "gracePeriodSeconds": parameters.number("gracePeriodSeconds")?,
        "propagationPolicy": text("propagationPolicy"), "orphanDependents": orphans, "dryRun": dry_run,
    }))
}

/// The options that a `DeleteOptions` holds, where it is of that type.
///
/// # Errors
/// What Kubernetes does not know.
pub(super) fn read(given: &Value) -> Result<DeleteOptions, ApiStatus> {
    let refused = |error| Err(ApiStatus::invalid_option("DeleteOptions", &error));
    let policy = given["propagationPolicy"].as_str();
    let propagation = match (policy, &given["orphanDependents"]) {
        (Some(policy), Value::Bool(_)) => {
            let why = "orphanDependents and deletionPropagation cannot be both set";
            return refused(invalid("propagationPolicy".into(), policy.into(), why));
        }
        (Some("Orphan"), _) | (None, Value::Bool(true)) => Propagation::Orphan,
        (Some("Foreground"), _) => Propagation::Foreground,
        (Some("Background") | None, _) => Propagation::Background,
        (Some(other), _) => {
            let allowed = &["Foreground", "Background", "Orphan", "nil"];
            return refused(not_supported("propagationPolicy", other.into(), allowed));
        }
    };
    let runs = || array(&given["dryRun"]);
    if runs().any(|run| run != "All") {
        return refused(not_supported("dryRun", given["dryRun"].clone(), &["All"]));
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(DeleteOptions {
        grace: given["gracePeriodSeconds"].as_i64(),
        uid: text(&given["preconditions"]["uid"]),
        revision: text(&given["preconditions"]["resourceVersion"]),
        propagation,
        dry_run: runs().next().is_some(),
    })
}
