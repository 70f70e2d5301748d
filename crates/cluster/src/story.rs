//! What happens in the cluster, as lines for a person: Pods and claims.

use headless_objects::object::is_ready;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch::Receiver;

use super::objects::Change;
use super::shared::Shared;
use super::{idle, kinds};

/// The lines, as they come.
pub struct Story {
    shared: Arc<Shared>,
    changed: Receiver<u64>,
    seen: u64,
}

impl Story {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            changed: shared.changed.subscribe(),
            seen: 0,
        }
    }

    /// The next lines; `None` when the cluster has ended.
    pub async fn next(&mut self) -> Option<Vec<String>> {
        loop {
            self.changed.borrow_and_update();
            let mut lines = Vec::new();
            {
                let state = self.shared.read();
                for change in state.objects.since(self.seen).into_iter().flatten() {
                    lines.extend(tell(change));
                }
                self.seen = state.objects.revision();
            }
            if !lines.is_empty() {
                return Some(lines);
            }
            self.changed.changed().await.ok()?;
        }
    }
}

fn tell(change: &Change) -> Option<String> {
    let at = format!("{}/{}", change.key.ns, change.key.name);
    let (old, new) = (change.old.as_deref(), &change.new);
    match change.key.kind {
        kinds::POD if change.deleted => Some(format!("pod   {at} is gone")),
        kinds::POD if is_ready(new) && !old.is_some_and(is_ready) => {
            let ip = new["status"]["podIP"].as_str().unwrap_or_default();
            Some(format!("pod   {at} is ready at {ip}"))
        }
        kinds::PERSISTENT_VOLUME_CLAIM if is_bound(new) && !old.is_some_and(is_bound) => {
            let size = new["status"]["capacity"]["storage"].as_str();
            let size = size.unwrap_or_default();
            Some(format!("claim {at} is bound, {size}"))
        }
        kind if old.is_none() && !change.deleted => {
            let said = idle::said(kind.info())?;
            Some(format!("kept  {at}: {said}"))
        }
        _ => None,
    }
}

fn is_bound(claim: &Value) -> bool {
    claim["status"]["phase"] == "Bound"
}
