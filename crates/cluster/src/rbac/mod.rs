//! What somebody may do by roles and their bindings (rbac.authorization.k8s.io). Pure; the words are Kubernetes'.
//!
//! ```text
//! attributes   what a request does: a verb, and an object or a path
//! rules        whether a rule allows that; which rules cover others
//! held         the rules that somebody holds, by which binding
//! grants       nobody gives away by a role or a binding what they may not do
//! aggregated   the rules of roles that are made of others
//! ```

mod aggregated;
mod attributes;
mod grants;
mod held;
mod rules;

pub(crate) use aggregated::{CLUSTER_ROLE, aggregated};
pub(crate) use attributes::{Attributes, What};
pub(crate) use grants::{GROUP, granted};
pub(crate) use held::{Decision, Subject, decide, held};

use serde_json::Value;

/// The roles and bindings that there are from the start.
pub(crate) fn bootstrap() -> impl Iterator<Item = Value> {
    let lines = include_str!("bootstrap.txt").lines();
    let lines = lines.filter(|line| !line.starts_with('#'));
    lines.map(|line| serde_json::from_str(line).expect("each line is an object"))
}
