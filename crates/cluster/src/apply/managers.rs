//! `managedFields`: each manager with the fields that are its own, and when it last wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::fields;
use super::set::Set;

/// What a manager did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Apply,
    Update,
}

impl Operation {
    fn name(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// Who wrote, how and through what: one entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Manager {
    pub(crate) name: String,
    pub(super) operation: Operation,
    /// Of an update; an applier is the same whatever version it applies.
    pub(super) api_version: String,
    pub(crate) subresource: String,
}

/// What a manager has.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    pub(super) set: Set,
    pub(super) api_version: String,
    /// RFC 3339.
    pub(super) time: Option<String>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Managed(pub(super) BTreeMap<Manager, Owned>);

/// How many managers that update an object may have; those that wrote longest ago are put together.
const MAX_UPDATERS: usize = 10;

/// Who has what the oldest managers had.
const OLDEST: &str = "ancient-changes";

impl Managed {
    /// Reads `managedFields`; `None`: they are none.
    pub(crate) fn read(entries: &Value) -> Option<Self> {
        let mut all = BTreeMap::new();
        for entry in entries.as_array().into_iter().flatten() {
            let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
            let operation = match text("operation").as_str() {
                "Apply" => Operation::Apply,
                "Update" => Operation::Update,
                _ => return None,
            };
            let api_version = text("apiVersion");
            if api_version.is_empty() || text("fieldsType") != "FieldsV1" {
                return None;
            }
            let manager = Manager {
                name: text("manager"),
                operation,
                api_version: match operation {
                    Operation::Apply => String::new(),
                    Operation::Update => api_version.clone(),
                },
                subresource: text("subresource"),
            };
            let set = match entry.get("fieldsV1") {
                None => Set::default(),
                Some(Value::String(text)) => fields::from_json(&serde_json::from_str(text).ok()?)?,
                Some(set) => fields::from_json(set)?,
            };
            let owned = Owned {
                set,
                api_version,
                time: entry["time"].as_str().map(str::to_owned),
            };
            all.insert(manager, owned);
        }
        Some(Self(all))
    }

    /// As `managedFields` has them: appliers first, then by time and name. Null: there is none. Each set is a text, as it is
    /// kept: half of an object would be owners else, copied with each change. [`shown`] reads them.
    pub(crate) fn write(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        let mut entries: Vec<_> = self.0.iter().collect();
        entries.sort_by_key(|(manager, owned)| {
            let names = (&manager.name, &owned.api_version, &manager.subresource);
            (manager.operation, &owned.time, names)
        });
        entries.into_iter().map(entry).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts the oldest updaters together where there are too many.
    pub(super) fn cap(&mut self) {
        let updaters = self.0.iter();
        let updaters = updaters.filter(|(manager, _)| manager.operation == Operation::Update);
        if updaters.clone().count() <= MAX_UPDATERS {
            return;
        }
        let mut updaters: Vec<_> = updaters
            .map(|(manager, owned)| (owned.time.clone(), manager.clone()))
            .collect();
        let mut many = updaters.len();
        updaters.sort();
        let mut first_of: BTreeMap<String, Manager> = BTreeMap::new();
        for (_, manager) in updaters {
            if many <= MAX_UPDATERS {
                return;
            }
            let version = manager.api_version.clone();
            let Some(first) = first_of.get(&version).cloned() else {
                first_of.insert(version, manager);
                continue;
            };
            let bucket = Manager {
                name: OLDEST.into(),
                operation: Operation::Update,
                api_version: version,
                subresource: String::new(),
            };
            if !self.0.contains_key(&bucket)
                && let Some(owned) = self.0.remove(&first)
            {
                self.0.insert(bucket.clone(), owned);
            }
            if let Some(owned) = self.0.remove(&manager)
                && let Some(oldest) = self.0.get_mut(&bucket)
            {
                oldest.set = std::mem::take(&mut oldest.set).union(owned.set);
                oldest.time = owned.time;
                many -= 1;
            }
        }
    }
}

/// An object with its owners as the API shows them.
pub(crate) fn shown(object: Arc<Value>) -> Arc<Value> {
    let kept = |entry: &Value| entry["fieldsV1"].is_string();
    let entries = object["metadata"]["managedFields"].as_array();
    if !entries.is_some_and(|entries| entries.iter().any(kept)) {
        return object;
    }
    let mut shown = Arc::unwrap_or_clone(object);
    let entries = shown["metadata"]["managedFields"].as_array_mut();
    for entry in entries.into_iter().flatten() {
        if let Some(text) = entry["fieldsV1"].as_str() {
            entry["fieldsV1"] = serde_json::from_str(text).unwrap_or_default();
        }
    }
    Arc::new(shown)
}

fn entry((manager, owned): (&Manager, &Owned)) -> Value {
    let mut entry = json!({
        "manager": manager.name, "operation": manager.operation.name(), "apiVersion": owned.api_version,
    });
    if let Some(time) = &owned.time {
        entry["time"] = time.as_str().into();
    }
    entry["fieldsType"] = "FieldsV1".into();
    entry["fieldsV1"] = fields::to_json(&owned.set).to_string().into();
    if !manager.subresource.is_empty() {
        entry["subresource"] = manager.subresource.as_str().into();
    }
    entry
}
