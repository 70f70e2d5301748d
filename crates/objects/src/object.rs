//! What is asked of objects everywhere.

use serde_json::Value;

/// The label of an EndpointSlice that names its Service (`discovery.k8s.io/v1` `LabelServiceName`).
pub const SERVICE_NAME: &str = "kubernetes.io/service-name";

/// The characters that a label's value may have.
pub const MAX_LABEL_VALUE: usize = 63;

/// The object's name; empty where it has none.
#[must_use]
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The object's namespace; empty where it has none.
#[must_use]
pub fn ns(object: &Value) -> &str {
    object["metadata"]["namespace"].as_str().unwrap_or_default()
}

/// The object's UID; empty where it has none.
#[must_use]
pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().unwrap_or_default()
}

/// The items of a list; none of what is no list.
pub fn array(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The value where it is an object, else an empty object, so that fields can be set in it.
#[must_use]
pub fn fields(value: &Value) -> Value {
    value.as_object().cloned().unwrap_or_default().into()
}

/// Has a finalizer hold the object, where none of this name does.
pub fn add_finalizer(object: &mut Value, finalizer: &str) {
    let finalizers = &mut object["metadata"]["finalizers"];
    if !array(finalizers).any(|present| present == finalizer) {
        let mut all = finalizers.as_array().cloned().unwrap_or_default();
        all.push(finalizer.into());
        *finalizers = all.into();
    }
}

/// Whether the object is being deleted.
#[must_use]
pub fn is_ending(object: &Value) -> bool {
    object["metadata"]["deletionTimestamp"].is_string()
}

/// The condition of this type, where the status has it.
#[must_use]
pub fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = object["status"]["conditions"].as_array()?;
    conditions
        .iter()
        .find(|condition| condition["type"] == kind)
}

/// The owner that controls an object.
#[must_use]
pub fn controller(object: &Value) -> Option<&Value> {
    array(&object["metadata"]["ownerReferences"]).find(|owner| owner["controller"] == true)
}

/// Whether the condition `Ready` is true.
#[must_use]
pub fn is_ready(object: &Value) -> bool {
    condition(object, "Ready").is_some_and(|ready| ready["status"] == "True")
}

/// Whether a Pod has ended for good.
#[must_use]
pub fn has_ended(pod: &Value) -> bool {
    matches!(
        pod["status"]["phase"].as_str(),
        Some("Failed" | "Succeeded")
    )
}

/// The statuses of a Pod's containers, those of init containers first, those of ephemeral ones last.
pub fn container_statuses(pod: &Value) -> impl Iterator<Item = &Value> {
    let lists = [
        "initContainerStatuses",
        "containerStatuses",
        "ephemeralContainerStatuses",
    ];
    lists
        .into_iter()
        .flat_map(|list| array(&pod["status"][list]))
}
