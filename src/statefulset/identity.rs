//! Who a Pod of a set is: name, labels, hostname, volumes.

use headless_objects::object::{fields, name};
use serde_json::{Map, Value, json};

use super::claims;
use super::set::owner;

/// The Pod's own name, as a label.
pub(super) const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// The ordinal, as a label (KEP-4017).
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The revision, as a label.
pub(super) const REVISION: &str = "controller-revision-hash";

/// The Pod of this ordinal, from a revision's template.
pub(super) fn pod(set: &Value, template: &Value, revision: &str, ordinal: i64) -> Value {
    let pod = format!("{}-{ordinal}", name(set));
    let mut spec = fields(&template["spec"]);
    spec["hostname"] = pod.as_str().into();
    // The set's `serviceName`, also where that is empty and the template has a subdomain.
    let service = set["spec"]["serviceName"].as_str().unwrap_or_default();
    spec["subdomain"] = service.into();
    if service.is_empty() {
        spec.as_object_mut()
            .map(|spec| spec.shift_remove("subdomain"));
    }
    let volumes = claims::volumes(set, &template["spec"]["volumes"], &pod);
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    let mut meta = json!({
        "name": pod, "namespace": set["metadata"]["namespace"],
        "generateName": format!("{}-", name(set)),
        "labels": labels(&template["metadata"]["labels"], &pod, ordinal, revision),
        "ownerReferences": [owner(set)],
    });
    for field in ["annotations", "finalizers"] {
        if !template["metadata"][field].is_null() {
            meta[field] = template["metadata"][field].clone();
        }
    }
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
}

fn labels(template: &Value, name: &str, ordinal: i64, revision: &str) -> Map<String, Value> {
    let mut labels = template.as_object().cloned().unwrap_or_default();
    labels.insert(POD_NAME.into(), name.into());
    labels.insert(POD_INDEX.into(), ordinal.to_string().into());
    labels.insert(REVISION.into(), revision.into());
    labels
}

/// The labels to put back on a Pod that does not know its name any more.
pub(super) fn repair(name: &str, ordinal: i64) -> Value {
    json!({POD_NAME: name, POD_INDEX: ordinal.to_string()})
}
