//! The parts of an object, which are written by paths of their own.

use serde_json::Value;

/// Which part of an object an update changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// All but the status.
    Main,
    /// The status alone.
    Status,
    /// A Pod's ephemeral containers alone.
    Debugging,
}

/// Fields of an object's metadata that are the server's.
const SERVER_OWNED: &[&str] = &[
    "uid",
    "creationTimestamp",
    "resourceVersion",
    "generation",
    "namespace",
    "name",
    "generateName",
];

impl Part {
    /// The object that an update of this part with `new` leaves: what the server owns comes from `old`.
    pub(super) fn of(
        self,
        mut new: Value,
        old: &Value,
        (has_status, is_custom): (bool, bool),
    ) -> Value {
        match self {
            Self::Status => {
                let mut object = old.clone();
                object["status"] = new["status"].take();
                // As the strategies of built-in kinds have it; of custom ones the status alone is taken.
                if !is_custom {
                    take_over(&mut object["metadata"], &new["metadata"], "annotations");
                }
                return object;
            }
            Self::Debugging => {
                let mut object = old.clone();
                object["spec"]["ephemeralContainers"] = new["spec"]["ephemeralContainers"].take();
                return object;
            }
            Self::Main => {}
        }
        new["apiVersion"] = old["apiVersion"].clone();
        new["kind"] = old["kind"].clone();
        for field in SERVER_OWNED {
            take_over(&mut new["metadata"], &old["metadata"], field);
        }
        let (meta, before) = (&mut new["metadata"], &old["metadata"]);
        if before["deletionTimestamp"].is_string() {
            take_over(meta, before, "deletionTimestamp");
        }
        if meta["deletionGracePeriodSeconds"].is_null() {
            take_over(meta, before, "deletionGracePeriodSeconds");
        }
        if has_status {
            take_over(&mut new, old, "status");
        }
        new
    }
}

/// Gives `new` the field that `old` has, or takes it away where it has none.
fn take_over(new: &mut Value, old: &Value, field: &str) {
    if old[field].is_null() {
        new.as_object_mut().map(|o| o.remove(field));
    } else {
        new[field] = old[field].clone();
    }
}
