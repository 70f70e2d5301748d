//! Which questions a block takes, of those for its zones.

use std::fmt;
use std::sync::Arc;

use super::Parts;
use crate::message::question::Query;

/// What the file says of that.
pub trait Condition: fmt::Debug + Send + Sync {
    /// What metrics and metadata call the block.
    fn name(&self) -> Arc<str>;

    /// What decides. `parts`: of the block.
    fn filter(&self, parts: &Parts) -> Arc<dyn Filter>;
}

/// What decides about a question.
pub trait Filter: Send + Sync {
    /// Whether the block takes this one.
    fn admits(&self, query: &Query) -> bool;
}
