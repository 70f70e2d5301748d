//! What an `admin` tells beside names.

use tokio::sync::watch;

use crate::admin::Answers;

/// What an `admin` tells of the cluster that a sandbox has.
#[derive(Clone)]
pub struct Beside {
    /// The paths that have answers.
    pub paths: &'static [&'static str],
    /// Those.
    pub answers: Answers,
    /// Counts what changes of it.
    pub changed: watch::Receiver<u64>,
}
