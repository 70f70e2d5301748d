//! Every change of a name that follows a Pod, as a line for a person.

use std::collections::BTreeMap;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::store::{Change, NameChange};

/// The lines, as names change.
pub(super) struct Names {
    changes: Receiver<Change>,
    /// Where each name led last; it stays when the name leads nowhere for a while.
    last: BTreeMap<String, String>,
}

impl Names {
    pub(super) fn new(changes: Receiver<Change>) -> Self {
        Self {
            changes,
            last: BTreeMap::new(),
        }
    }

    /// The lines of the next change; `None` when the watches have ended.
    pub(super) async fn next(&mut self) -> Option<Vec<String>> {
        match self.changes.recv().await {
            Ok(change) => {
                let names = change.names();
                let hostnames = names.iter().filter(|name| name.hostname);
                Some(hostnames.map(|name| self.line(name)).collect())
            }
            Err(RecvError::Lagged(missed)) => Some(vec![format!(
                "name  {missed} changes came too fast to be told"
            )]),
            Err(RecvError::Closed) => None,
        }
    }

    fn line(&mut self, change: &NameChange) -> String {
        let name = change.name.strip_suffix(".svc").unwrap_or(&change.name);
        if change.after.is_empty() {
            return format!("name  {name}  {} → none", change.before.join(" "));
        }
        let address = change.after.join(" ");
        let last = self.last.insert(name.to_owned(), address.clone());
        match last.filter(|last| *last != address) {
            Some(last) => format!("name  {name}  {last} → {address}"),
            None => format!("name  {name}  → {address}"),
        }
    }
}
