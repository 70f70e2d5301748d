//! Why a Pod does not fit a node, and what would help.

/// Why a Pod does not fit a node.
pub(super) struct Misfit {
    pub(super) why: Vec<String>,
    pub(super) kind: Kind,
}

/// What would help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only another Pod or another node.
    Unsuited,
    /// Less on the node.
    Full,
    /// A node that the Pod need not share.
    Crowded,
}
