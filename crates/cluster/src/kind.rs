//! What is known of a kind of object.

use jiff::Timestamp;
use serde_json::Value;

use super::field::Errors;

/// A column of kubectl's: its heading, whether only `-o wide` shows it, and its cell.
pub type Column = (&'static str, bool, fn(&Value, Timestamp) -> Value);

/// A kind of object.
pub struct Kind {
    /// API group; empty for the core.
    pub group: &'static str,
    /// API version.
    pub version: &'static str,
    /// The kind's name.
    pub kind: &'static str,
    /// The name in paths.
    pub plural: &'static str,
    /// Names that kubectl takes as well.
    pub short: Vec<&'static str>,
    /// What kubectl calls several kinds by, such as `all`.
    pub categories: Vec<&'static str>,
    /// Whether objects are in a namespace.
    pub namespaced: bool,
    /// `status`, `scale` and the like.
    pub subresources: Vec<&'static str>,
    /// What may be done with its objects.
    pub verbs: Vec<&'static str>,
    /// The type of its objects; empty: only their metadata have known types.
    pub of: &'static str,
    /// What this cluster does with it.
    pub does: Behaviour,
}

/// What differs between kinds beside what discovery and OpenAPI say.
#[derive(Clone, Copy)]
pub struct Behaviour {
    /// API group; empty for the core.
    pub group: &'static str,
    /// The kind's name.
    pub kind: &'static str,
    /// Whether `metadata.generation` counts changes of the spec.
    pub generation: bool,
    /// How names may look.
    pub names: Names,
    /// What field selectors may name beside `metadata.name` and `metadata.namespace`.
    pub fields: &'static [&'static str],
    /// Fills in what the API server fills in.
    pub defaults: fn(&mut Value),
    /// Checks an object; the old one is given on update. Without it the required fields of its type have to be there.
    pub validate: Option<fn(&Value, Option<&Value>, &mut Errors)>,
    /// Checks a status that is written by itself; the old object is given.
    pub status: fn(&Value, &Value, &mut Errors),
    /// Whether a delete is answered with the object that is gone (`ReturnDeletedObject` of the API server's storages).
    pub returned: bool,
    /// The column NAME comes last, and with `-o wide` only: such objects are known by what they are about.
    pub name_is_last: bool,
    /// kubectl's columns beside NAME.
    pub columns: &'static [Column],
}

/// How names of a kind may look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// A DNS label (RFC 1123).
    Label,
    /// Labels joined with dots.
    Subdomain,
    /// A part of a path: roles have colons in their names.
    Path,
}

/// A kind of this cluster: its place in the table of [`kinds`](super::kinds).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KindId(pub(super) usize);

impl Kind {
    /// Whether it is that of the table.
    #[must_use]
    pub fn is(&self, kind: KindId) -> bool {
        std::ptr::eq(self, kind.info())
    }

    /// Whether a real cluster has it only by a CustomResourceDefinition.
    #[must_use]
    pub fn custom(&self) -> bool {
        self.of.is_empty()
    }

    /// `v1`, or `group/version`.
    #[must_use]
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.into()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural`, or `plural.group`, as error messages have it.
    #[must_use]
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.into()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }
}
