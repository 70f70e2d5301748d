//! Whose an object is: what a selector fits and nobody controls is taken over, what it fits no longer is let go.

use headless_objects::object::{add_finalizer, array, controller, is_ending, uid};
use headless_objects::selector::Selector;
use serde_json::Value;

use super::{Action, JOB, reference};
use crate::kinds::KindId;
use crate::objects::{Key, Objects};
use crate::state::Part;

/// Holds a Pod until its Job has counted it.
pub(super) const TRACKING: &str = "batch.kubernetes.io/job-tracking";

/// What an owner controls of a kind.
pub(super) struct Claimed<'a> {
    pub(super) mine: Vec<(&'a Key, &'a Value)>,
    /// What has to be done before `mine` is whole.
    pub(super) actions: Vec<Action>,
}

/// Looks through the objects of a kind in the owner's namespace (Kubernetes' `ControllerRefManager`).
pub(super) fn claim<'a>(
    objects: &'a Objects,
    kind: KindId,
    (key, owner): (&'a Key, &Value),
    selector: &Selector,
) -> Claimed<'a> {
    let mut claimed = Claimed {
        mine: Vec::new(),
        actions: Vec::new(),
    };
    for (at, object) in objects.list(kind, Some(&key.ns)) {
        let labels = &object["metadata"]["labels"];
        let fits = || selector.matches(|key| labels[key].as_str());
        match controller(object) {
            Some(of) if of["uid"] != uid(owner) => {}
            Some(_) if is_ending(owner) || fits() => claimed.mine.push((at, object)),
            Some(_) => claimed.actions.push(let_go(at, object, uid(owner))),
            None if is_ending(owner) || is_ending(object) || !fits() => {}
            None => claimed.actions.push(take_over(at, object, (key, owner))),
        }
    }
    claimed
}

fn take_over(at: &Key, object: &Value, (key, owner): (&Key, &Value)) -> Action {
    let mut taken = object.clone();
    if key.kind == JOB {
        add_finalizer(&mut taken, TRACKING);
    }
    let mut owners: Vec<_> = array(&object["metadata"]["ownerReferences"])
        .cloned()
        .collect();
    owners.push(reference(owner));
    taken["metadata"]["ownerReferences"] = owners.into();
    Action::Update(at.clone(), Part::Main, taken)
}

fn let_go(at: &Key, object: &Value, owner: &str) -> Action {
    let mut left = object.clone();
    let others = array(&object["metadata"]["ownerReferences"]).filter(|o| o["uid"] != owner);
    left["metadata"]["ownerReferences"] = others.cloned().collect();
    Action::Update(at.clone(), Part::Main, left)
}
