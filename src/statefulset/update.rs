//! Which Pods make way for the update revision, and when.

use super::member::Member;
use super::spec::{Spec, Update};

/// The Pods to delete now, from the highest ordinal down, so that no more are unavailable than the budget allows.
///
/// Kubernetes 1.37, KEP-961: what is missing or unavailable counts against the budget wherever it is, also below the
/// partition; in a Parallel set a Pod that is old and unavailable goes without costing anything.
pub(super) fn replaced<'a>(
    spec: &Spec<'_>,
    members: &'a [Member<'a>],
    update: &str,
) -> Vec<&'a Member<'a>> {
    let slots = || members.iter().filter(|m| spec.holds(m.ordinal));
    let available = slots().filter(|m| !m.unavailable()).count();
    let unavailable = spec.replicas - i64::try_from(available).unwrap_or(i64::MAX);
    let left = usize::try_from(spec.budget() - unavailable).unwrap_or(0);
    let old = || {
        let touched = slots().rev().filter(|m| m.ordinal >= spec.first_updated());
        touched.filter(|m| m.revision != update && !m.terminating)
    };
    if spec.ordered {
        return old().take(left).collect();
    }
    let broken = old().filter(|m| !m.available);
    broken
        .chain(old().filter(|m| m.available).take(left))
        .collect()
}

/// What the strategy Recreate does about Pods of another revision, in range or not (KEP-3541).
pub(super) enum Recreate<'a> {
    /// There are none.
    Done,
    /// There are some: these are to be deleted, the others are being deleted already.
    Wait(Vec<&'a Member<'a>>),
}

pub(super) fn recreate<'a>(
    spec: &Spec<'_>,
    members: &'a [Member<'a>],
    update: &str,
) -> Recreate<'a> {
    let old: Vec<_> = members.iter().filter(|m| m.revision != update).collect();
    if spec.update != Update::Recreate || old.is_empty() {
        return Recreate::Done;
    }
    Recreate::Wait(old.into_iter().filter(|m| !m.terminating).collect())
}
