//! Which Pods and revisions are the set's: its own, and those without a controller that fit.

use headless_objects::object::{controller, is_ending, name};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::set::{ordinal_of, owner};
use super::{Action, Observed};
use headless_objects::selector::Selector;

/// The field manager of Kubernetes' own controllers.
const UPSTREAM: &str = "kube-controller-manager";

/// Splits what was observed: the objects that the set controls, and the actions that adopt or release others.
///
/// While there are such actions, nothing else is planned: the next plan sees their outcome.
pub(super) fn claim(observed: &Observed) -> (Observed, Vec<Action>) {
    let set = &*observed.set;
    let selector = Selector::of(&set["spec"]["selector"]).filter(|s| !s.is_empty());
    let selects = |object: &Value| {
        let labels = &object["metadata"]["labels"];
        selector
            .as_ref()
            .is_some_and(|selector| selector.matches(|key| labels[key].as_str()))
    };
    let of = name(set);
    let is_member = |pod: &Value| ordinal_of(of, name(pod)).is_some();
    let mut actions = Vec::new();
    let (mut pods, mut revisions) = (Vec::new(), Vec::new());
    for pod in &observed.pods {
        match (owner_of(set, pod), selects(pod) && is_member(pod)) {
            (Owner::Us, false) if !is_ending(set) => actions.push(Action::ReleasePod {
                name: name(pod).to_owned(),
                patch: owners(pod, |owner| owner["uid"] != set["metadata"]["uid"], None),
            }),
            (Owner::Us, _) => pods.push(Arc::clone(pod)),
            (Owner::Nobody, true) if !is_ending(set) && !is_ending(pod) => {
                actions.push(Action::AdoptPod {
                    name: name(pod).to_owned(),
                    patch: owners(pod, |_| true, Some(owner(set))),
                })
            }
            (Owner::Nobody | Owner::Other, _) => {}
        }
    }
    for revision in &observed.revisions {
        match (owner_of(set, revision), selects(revision)) {
            (Owner::Us, _) => revisions.push(Arc::clone(revision)),
            (Owner::Nobody, true) if !is_ending(set) => actions.push(Action::AdoptRevision {
                name: name(revision).to_owned(),
                patch: owners(revision, |_| true, Some(owner(set))),
            }),
            (Owner::Nobody | Owner::Other, _) => {}
        }
    }
    let owned = Observed {
        set: Arc::clone(&observed.set),
        pods,
        claims: observed.claims.clone(),
        revisions,
        failures: observed.failures.clone(),
    };
    (owned, actions)
}

/// Whether another controller, Kubernetes' own, looks after a set: it has written the set's status, or made one of its
/// Pods, since we began. Two controllers would fight over the set.
///
/// The times of `managedFields` are whole seconds of the API server's clock: a write in the second in which we began does
/// not count, the next one does.
#[must_use]
pub fn is_kept_by_another(observed: &Observed, began: Timestamp) -> bool {
    let since = |entry: &Value| {
        let time = entry["time"]
            .as_str()
            .and_then(|time| time.parse::<Timestamp>().ok());
        entry["manager"] == UPSTREAM && time.is_some_and(|time| time > began)
    };
    let status = |entry: &Value| entry["subresource"] == "status" && since(entry);
    // Who makes a Pod owns fields of its spec; nobody else does.
    let made = |entry: &Value| entry["fieldsV1"]["f:spec"].is_object() && since(entry);
    let ours = |pod: &&Arc<Value>| matches!(owner_of(&observed.set, pod), Owner::Us);
    let mut pods = observed.pods.iter().filter(ours);
    writes(&observed.set).any(status) || pods.any(|pod| writes(pod).any(made))
}

fn writes(object: &Value) -> impl Iterator<Item = &Value> {
    let fields = object["metadata"]["managedFields"].as_array();
    fields.into_iter().flatten()
}

enum Owner {
    Us,
    Nobody,
    /// Also a set of our name that is gone.
    Other,
}

fn owner_of(set: &Value, object: &Value) -> Owner {
    match controller(object) {
        None => Owner::Nobody,
        Some(owner) if owner["uid"] == set["metadata"]["uid"] => Owner::Us,
        Some(_) => Owner::Other,
    }
}

/// The merge patch that sets the owners; it applies only to this incarnation, in the version that was seen.
fn owners(object: &Value, keep: impl Fn(&Value) -> bool, add: Option<Value>) -> Value {
    let meta = &object["metadata"];
    let present = meta["ownerReferences"].as_array().into_iter().flatten();
    let left = present.filter(|owner| keep(owner)).cloned();
    let all: Vec<Value> = left.chain(add).collect();
    json!({"metadata": {"uid": meta["uid"], "resourceVersion": meta["resourceVersion"], "ownerReferences": all}})
}
