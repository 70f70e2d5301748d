//! The StatefulSet algorithm: what is observed in, what is to be done out. Pure; `now` is an argument.
//!
//! Objects stay raw JSON: a typed struct would drop fields it does not know, and so change revisions.

mod identity;
mod ownership;
mod plan;
mod revision;
mod spec;
mod status;

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub use identity::{claims_of, ordinal_of};
pub use plan::plan;

/// What the API server has of one set.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// The set.
    pub set: Arc<Value>,
    /// Pods of the namespace that the set controls, or that nobody does.
    pub pods: Vec<Arc<Value>>,
    /// Names of the claims of the namespace that are there, with whether each is on its way out.
    pub claims: Vec<(String, bool)>,
    /// ControllerRevisions of the namespace that the set controls, or that nobody does.
    pub revisions: Vec<Arc<Value>>,
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
    /// Create a claim for a Pod of this name.
    CreateClaim {
        /// The claim.
        claim: Value,
        /// The Pod it is for.
        pod: String,
    },
    /// Create a Pod.
    CreatePod(Value),
    /// Create a ControllerRevision.
    CreateRevision(Value),
    /// Delete this incarnation of a Pod.
    DeletePod {
        /// The Pod.
        name: String,
        /// Its incarnation: the delete must not hit another.
        uid: String,
    },
    /// Delete a revision that nobody needs.
    DeleteRevision(String),
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

/// What to do now, and when to look again.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// In this order; where one fails the rest waits for the next plan.
    pub actions: Vec<Action>,
    /// The set's status.
    pub status: Value,
    /// The next time at which something changes by itself.
    pub wake: Option<Timestamp>,
    /// Why nothing can go on, where that is no matter of waiting.
    pub blocked: Option<String>,
}

#[cfg(test)]
mod tests;
