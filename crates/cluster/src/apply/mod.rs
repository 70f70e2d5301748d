//! Server-side apply: who owns which fields of an object, and what an apply makes of it (KEP-555). Pure; the rules are those of
//! structured-merge-diff, held against a real API server by recorded cases (`cases.txt`).
//!
//! ```text
//! element, set    a step of a way to a field; fields as a tree of steps
//! fields          a set as `fieldsV1` has it
//! site           what the schema says of the site that a value stands in
//! check           whether a value fits its site
//! compare         what one object has and another has not
//! merge, prune    an object with what is applied; without what is no longer applied
//! managers        `managedFields`: each manager with its set
//! update          an update, an apply: new owners
//! ```

mod check;
mod compare;
mod conflict;
mod element;
mod fields;
mod managers;
mod merge;
mod prune;
mod set;
mod site;
mod update;

#[cfg(test)]
mod tests;

pub(crate) use conflict::{Conflict, message};
pub(crate) use managers::{Managed, shown};
pub(crate) use set::Set;
pub(crate) use site::Site;
pub(crate) use update::{
    Applied, Failed, KUBECTL, Request, applied, changes, keep_last_applied, updated,
};
