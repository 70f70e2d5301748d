//! What happens in the cluster, as lines for a person: Pods, claims, and every change of a name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::watch::Receiver;

use super::objects::Change;
use super::server::Shared;

/// The lines, as they come.
pub struct Story {
    shared: Arc<Shared>,
    changed: Receiver<u64>,
    seen: u64,
    names: Names,
}

/// Names of endpoints with the address each had last, and whether it has it still.
#[derive(Debug, Default)]
struct Names(BTreeMap<String, (String, bool)>);

impl Story {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self {
            shared: Arc::clone(shared),
            changed: shared.changed.subscribe(),
            seen: 0,
            names: Names::default(),
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
                    lines.extend(self.names.tell(change));
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

impl Names {
    fn tell(&mut self, change: &Change) -> Vec<String> {
        let at = format!("{}/{}", change.key.ns, change.key.name);
        let old = change.old.as_deref();
        match change.key.kind.info().kind {
            "Pod" if change.deleted => vec![format!("pod   {at} is gone")],
            "Pod" if is_ready(&change.new) && !old.is_some_and(is_ready) => {
                vec![format!(
                    "pod   {at} is ready at {}",
                    change.new["status"]["podIP"].as_str().unwrap_or_default()
                )]
            }
            "PersistentVolumeClaim"
                if change.new["status"]["phase"] == "Bound"
                    && old.is_none_or(|o| o["status"]["phase"] != "Bound") =>
            {
                let size = change.new["status"]["capacity"]["storage"]
                    .as_str()
                    .unwrap_or_default()
                    .to_owned();
                vec![format!("claim {at} is bound, {size}")]
            }
            "EndpointSlice" => self.slice(change),
            _ => Vec::new(),
        }
    }

    /// The names that a change of a slice changes.
    fn slice(&mut self, change: &Change) -> Vec<String> {
        let before = change
            .old
            .as_deref()
            .map(|old| endpoints(old, &change.key.ns))
            .unwrap_or_default();
        let after = if change.deleted {
            BTreeMap::new()
        } else {
            endpoints(&change.new, &change.key.ns)
        };
        let mut lines = Vec::new();
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            if let Some((address, present)) = self.0.get_mut(name) {
                *present = false;
                lines.push(format!("name  {name}  {address} → none"));
            }
        }
        for (name, address) in after {
            let line = match self.0.get(&name) {
                Some((last, true)) if *last == address => continue,
                Some((last, _)) if *last != address => format!("name  {name}  {last} → {address}"),
                Some(_) | None => format!("name  {name}  → {address}"),
            };
            lines.push(line);
            self.0.insert(name, (address, true));
        }
        lines
    }
}

fn is_ready(pod: &Value) -> bool {
    let conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    conditions
        .into_iter()
        .any(|c| c["type"] == "Ready" && c["status"] == "True")
}

/// `<hostname>.<service>.<namespace>` to address, for ready endpoints with a hostname.
fn endpoints(slice: &Value, ns: &str) -> BTreeMap<String, String> {
    let service = slice["metadata"]["labels"]["kubernetes.io/service-name"]
        .as_str()
        .unwrap_or_default();
    let all = slice["endpoints"].as_array().into_iter().flatten();
    let named = all
        .filter(|e| e["conditions"]["ready"] != false)
        .filter_map(|e| {
            let name = format!("{}.{service}.{ns}", e["hostname"].as_str()?);
            Some((name, e["addresses"][0].as_str()?.to_owned()))
        });
    named.collect()
}
