//! What plugins say of a query for other plugins to read (CoreDNS: `plugin/metadata`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// Values by label. A label is a plugin's name, a slash, and what the value is: `forward/upstream`.
#[derive(Debug, Default)]
pub struct Metadata(Mutex<BTreeMap<String, String>>);

impl Metadata {
    /// Sets a value; the last one counts.
    pub fn set(&self, label: impl Into<String>, value: impl Into<String>) {
        let mut values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(label.into(), value.into());
    }

    /// Every value.
    #[must_use]
    pub fn all(&self) -> BTreeMap<String, String> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.clone()
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, label: &str) -> Option<String> {
        let values = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        values.get(label).cloned()
    }
}
