//! What a set gives to all that it makes.

use serde_json::{Value, json};

/// The ordinal in a Pod's name: `<set>-<ordinal>`, in the one spelling that has no leading zeros.
#[must_use]
pub fn ordinal_of(set: &str, pod: &str) -> Option<i64> {
    let digits = pod.strip_prefix(set)?.strip_prefix('-')?;
    let ordinal: u32 = digits.parse().ok().filter(|n| i32::try_from(*n).is_ok())?;
    (ordinal.to_string() == digits).then_some(ordinal.into())
}

/// The set as the controller of what it makes.
pub(super) fn owner(set: &Value) -> Value {
    let meta = &set["metadata"];
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "name": meta["name"], "uid": meta["uid"],
        "controller": true, "blockOwnerDeletion": true,
    })
}
