//! Who a Pod of a set is: name, labels, hostname, volumes.

use serde_json::{Map, Value, json};

use super::claims;

/// The Pod's own name, as a label.
pub(super) const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";

/// The ordinal, as a label (KEP-4017).
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The revision, as a label.
pub(super) const REVISION: &str = "controller-revision-hash";

/// The ordinal in a Pod's name: `<set>-<ordinal>`, in the one spelling that has no leading zeros.
#[must_use]
pub fn ordinal_of(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    let ordinal: u32 = digits.parse().ok().filter(|n| i32::try_from(*n).is_ok())?;
    (ordinal.to_string() == digits).then_some(ordinal.into())
}

/// An object's name; empty where it has none.
#[must_use]
pub fn name_of(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// The Pod of this ordinal, from a revision's template.
pub(super) fn pod(set: &Value, template: &Value, revision: &str, ordinal: i64) -> Value {
    let name = format!("{}-{ordinal}", name_of(set));
    let mut spec = template["spec"].clone();
    spec["hostname"] = name.as_str().into();
    // The set's, also where that is none and the template has one.
    let service = set["spec"]["serviceName"].as_str().unwrap_or_default();
    spec["subdomain"] = service.into();
    if service.is_empty() {
        spec.as_object_mut()
            .map(|spec| spec.shift_remove("subdomain"));
    }
    let volumes = volumes(set, &template["spec"]["volumes"], &name);
    if !volumes.is_empty() {
        spec["volumes"] = volumes.into();
    }
    let mut meta = json!({
        "name": name, "namespace": set["metadata"]["namespace"],
        "generateName": format!("{}-", name_of(set)),
        "labels": labels(&template["metadata"]["labels"], &name, ordinal, revision),
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

/// The set as the controller of what it makes.
pub(super) fn owner(set: &Value) -> Value {
    let meta = &set["metadata"];
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}

/// The Pod's volumes: a claim for each claim template, which replaces a volume of that name.
fn volumes(set: &Value, template: &Value, pod: &str) -> Vec<Value> {
    let mut all: Vec<Value> = claims::names(set, pod)
        .map(|(volume, claim)| json!({"name": volume, "persistentVolumeClaim": {"claimName": claim}}))
        .collect();
    let others = template.as_array().into_iter().flatten();
    let others: Vec<_> = others
        .filter(|volume| !all.iter().any(|claim| claim["name"] == volume["name"]))
        .cloned()
        .collect();
    all.extend(others);
    all
}
