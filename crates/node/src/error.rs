//! What can go wrong with a node.

use std::io;

/// Why a node, a Pod or a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// This machine does not let the node be.
    #[error("Pods cannot run here: {step}: {source}; {rule}")]
    Forbidden {
        /// What was tried.
        step: String,
        /// What the system said.
        source: io::Error,
        /// Which rule forbids it, and how to allow it.
        rule: String,
    },
    /// The node's own program or folder cannot be used.
    #[error("the node cannot be started: {step}: {source}")]
    Start {
        /// What was tried.
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// A request that could not be met.
    #[error("{step}: {source}")]
    Failed {
        /// What was tried.
        step: String,
        /// What the system said.
        source: io::Error,
    },
    /// The node has ended, or was ended.
    #[error("the node has ended")]
    Gone,
}
