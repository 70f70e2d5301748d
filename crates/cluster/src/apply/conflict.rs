//! Fields that others own and an apply would change.

use super::element::{Element, shown};
use super::managers::{Manager, Operation};
use super::set::Set;

/// A field, and whose it is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Conflict {
    pub(super) manager: Manager,
    pub(super) way: Vec<Element>,
}

impl Conflict {
    /// A cause of the error: its message, and the field.
    pub(crate) fn cause(&self) -> (String, String) {
        let message = format!("conflict with {}", told(&self.manager));
        (message, shown(&self.way))
    }
}

/// Each field of each manager.
pub(super) fn all(of: &[(Manager, Set)]) -> Vec<Conflict> {
    let each = of.iter().flat_map(|(manager, set)| {
        let ways = set.ways().into_iter();
        ways.map(|way| Conflict {
            manager: manager.clone(),
            way,
        })
    });
    each.collect()
}

/// The error's message.
pub(crate) fn message(conflicts: &[Conflict]) -> String {
    if let [one] = conflicts {
        let (with, field) = one.cause();
        return format!("Apply failed with 1 conflict: {with}: {field}");
    }
    let mut lines = Vec::new();
    let mut last = None;
    for conflict in conflicts {
        if last != Some(&conflict.manager) {
            lines.push(format!("conflicts with {}:", told(&conflict.manager)));
            last = Some(&conflict.manager);
        }
        lines.push(format!("- {}", shown(&conflict.way)));
    }
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        lines.join("\n")
    )
}

fn told(manager: &Manager) -> String {
    let mut told = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        told += &format!(" with subresource {:?}", manager.subresource);
    }
    if manager.operation == Operation::Update {
        told += &format!(" using {}", manager.api_version);
    }
    told
}
