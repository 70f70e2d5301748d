//! The objects of a cluster, as its API server shows them.

use jiff::Timestamp;
use serde_json::Value;

pub(super) use headless_objects::object::{array, is_ending, name, ns};

/// Of each kind those that a name may have to do with, as JSON.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// v1 Namespace.
    pub namespaces: Vec<Value>,
    /// v1 Service.
    pub services: Vec<Value>,
    /// v1 Endpoints, which are only read where no slice is there.
    pub endpoints: Vec<Value>,
    /// discovery.k8s.io/v1 EndpointSlice.
    pub slices: Vec<Value>,
    /// v1 Pod.
    pub pods: Vec<Value>,
    /// apps/v1 StatefulSet.
    pub sets: Vec<Value>,
}

/// A step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The object that says so; `None`: that something is not there, or what no object says.
    pub object: Option<Seen>,
    /// What is so.
    pub says: String,
}

/// An object as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Its kind.
    pub kind: &'static str,
    /// Namespace and name; the name alone of what is in no namespace.
    pub name: String,
    /// Its `resourceVersion`.
    pub version: String,
    /// Its age in seconds; `None` where it does not say.
    pub age: Option<i64>,
}

impl Seen {
    pub(super) fn new(kind: &'static str, object: &Value, now: Timestamp) -> Self {
        let meta = &object["metadata"];
        let made: Option<Timestamp> = text(&meta["creationTimestamp"]).parse().ok();
        let name = text(&meta["name"]);
        Self {
            kind,
            name: match text(&meta["namespace"]) {
                "" => name.to_owned(),
                ns => format!("{ns}/{name}"),
            },
            version: text(&meta["resourceVersion"]).to_owned(),
            age: made.map(|made| now.as_second() - made.as_second()),
        }
    }
}

/// A field as text; empty where it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Those of a namespace; names compare without case.
pub(super) fn within<'o>(all: &'o [Value], space: &str) -> impl Iterator<Item = &'o Value> {
    all.iter()
        .filter(move |object| ns(object).eq_ignore_ascii_case(space))
}

/// The one of this name in a namespace.
pub(super) fn one<'o>(all: &'o [Value], space: &str, called: &str) -> Option<&'o Value> {
    within(all, space).find(|object| name(object).eq_ignore_ascii_case(called))
}

/// Names as people list them, at most eight.
pub(super) fn listed<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    names.dedup();
    let more = names.len().saturating_sub(8);
    names.truncate(8);
    let listed = names.join(", ");
    match more {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// The name that somebody meant who wrote `written`: one that differs by one letter, or by two that have changed places.
pub(super) fn similar<'n>(written: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let mut near: Vec<&str> = names.filter(|name| is_near(written, name)).collect();
    near.sort_unstable();
    near.first().copied()
}

fn is_near(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() < 3 || a == b {
        return false;
    }
    let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[same..], &b[same..]);
    match (a, b) {
        ([x, y, a @ ..], [u, v, b @ ..]) if x == v && y == u && a == b => true,
        ([_, rest @ ..], b) if rest == b => true,
        (a, [_, rest @ ..]) if rest == a => true,
        ([_, a @ ..], [_, b @ ..]) => a == b,
        _ => false,
    }
}
