//! The StatefulSet algorithm: what is observed in, what is to be done out. Pure; `now` is an argument.
//!
//! Objects stay raw JSON: a typed struct would drop fields it does not know, and so change revisions.

mod claims;
mod conditions;
mod failures;
mod identity;
mod member;
mod ownership;
mod plan;
mod revision;
mod set;
mod spec;
mod status;
mod update;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub use claims::is_claim_of;
pub use failures::Failures;
pub use ownership::is_kept_by_another;
pub use plan::{HEAL, MAX_BATCH, plan};
pub use set::ordinal_of;

/// What the API server has of one set.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The set.
    pub set: Arc<Value>,
    /// Pods of the namespace that the set controls, or that nobody does.
    pub pods: Vec<Arc<Value>>,
    /// Claims of the namespace that have the name of one of the set's.
    pub claims: Vec<Arc<Value>>,
    /// ControllerRevisions of the namespace that the set controls, that nobody does, or that have a name which one of the
    /// set's could have.
    pub revisions: Vec<Arc<Value>>,
    /// How often its Pods have ended in a row.
    pub failures: Failures,
}

/// One thing to do. Each is safe to do again.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Take a Pod that nobody controls, if the set is still there.
    AdoptPod {
        /// The Pod.
        name: String,
        /// The merge patch that does it.
        patch: Value,
    },
    /// Take a ControllerRevision that nobody controls, if the set is still there.
    AdoptRevision {
        /// The revision.
        name: String,
        /// The merge patch that does it.
        patch: Value,
    },
    /// Create a claim for a Pod of this name that is there.
    CreateClaim {
        /// The claim.
        claim: Value,
        /// The Pod it is for.
        pod: String,
    },
    /// Create a Pod, and before it what it cannot be without.
    CreatePod {
        /// The Pod.
        pod: Value,
        /// The claims it lacks.
        claims: Vec<Value>,
    },
    /// Create a ControllerRevision.
    CreateRevision(Value),
    /// Delete this incarnation of a Pod.
    DeletePod {
        /// The Pod.
        name: String,
        /// Its incarnation: the delete must not hit another.
        uid: String,
    },
    /// Delete this incarnation of a revision, which nobody needs.
    DeleteRevision {
        /// The revision.
        name: String,
        /// Its incarnation.
        uid: String,
    },
    /// Change who owns a claim.
    OwnClaim {
        /// The claim.
        name: String,
        /// The merge patch that does it.
        patch: Value,
    },
    /// Give an older revision, which is wanted again, the highest number.
    RaiseRevision {
        /// The revision.
        name: String,
        /// Its new number.
        revision: i64,
    },
    /// Let a Pod go that the selector does not match any more.
    ReleasePod {
        /// The Pod.
        name: String,
        /// The merge patch that does it.
        patch: Value,
    },
    /// Put back the labels by which a Pod is known.
    RepairPod {
        /// The Pod.
        name: String,
        /// The labels to set.
        labels: Value,
    },
}

/// What a person must know of a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// One word, as Events have it.
    pub reason: &'static str,
    /// What is the matter.
    pub message: String,
}

/// What to do now, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In this order; where one fails the rest waits for the next plan.
    pub actions: Vec<Action>,
    /// Neighbours of the same kind may be done at the same time.
    pub parallel: bool,
    /// The set's status.
    pub status: Value,
    /// The next time at which something changes by itself.
    pub wake: Option<Timestamp>,
    /// What is the matter now: to be said once, as long as it lasts.
    pub warnings: Vec<Warning>,
}

#[cfg(test)]
mod tests;
