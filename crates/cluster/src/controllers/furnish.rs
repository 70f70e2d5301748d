//! What every namespace has is made again where it was deleted.

use super::{Action, Step};
use crate::accounts;
use crate::kinds;
use headless_objects::object::is_ending;

pub(super) fn step(step: &Step<'_>) -> Vec<Action> {
    let gone = step.changes.iter().filter(|c| c.deleted);
    let gone = gone.filter(|c| accounts::is_one(&c.key));
    let of_active = gone.filter(|change| {
        let namespace = step.objects.named(kinds::NAMESPACE, "", &change.key.ns);
        namespace.is_some_and(|ns| !is_ending(ns))
    });
    of_active
        .map(|change| Action::Furnish(change.key.ns.clone()))
        .collect()
}
