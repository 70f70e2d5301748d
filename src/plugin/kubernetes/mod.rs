//! draft
mod compose;
pub use compose::{Outcome, compose, positive};
