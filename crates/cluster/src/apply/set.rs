//! Fields as a tree. A field's owner does not own what is around it, nor, where it is no leaf, what is in it.

use std::collections::{BTreeMap, BTreeSet};

use super::element::Element;
use super::site::Site;

/// A set of ways to fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Set {
    pub(super) members: BTreeSet<Element>,
    pub(super) children: BTreeMap<Element, Self>,
}

impl Set {
    /// The set of these fields, each with the names on the way to it.
    pub(crate) fn of(ways: &[&[&str]]) -> Self {
        let mut set = Self::default();
        for way in ways {
            let way = way.iter().map(|name| Element::Field((*name).to_owned()));
            set.insert(&way.collect::<Vec<_>>());
        }
        set
    }

    pub(super) fn insert(&mut self, way: &[Element]) {
        match way {
            // Nobody owns the whole object.
            [] => {}
            [last] => drop(self.members.insert(last.clone())),
            [first, rest @ ..] => match self.children.get_mut(first) {
                Some(child) => child.insert(rest),
                None => {
                    let child = self.children.entry(first.clone()).or_default();
                    child.insert(rest);
                }
            },
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    pub(super) fn has(&self, way: &[Element]) -> bool {
        match way {
            [] => true,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.child(first).is_some_and(|child| child.has(rest)),
        }
    }

    /// What is below a step, where there is something.
    pub(super) fn child(&self, step: &Element) -> Option<&Self> {
        self.children.get(step).filter(|child| !child.is_empty())
    }

    pub(super) fn union(mut self, other: Self) -> Self {
        self.members.extend(other.members);
        for (step, child) in other.children {
            let mine = self.children.entry(step).or_default();
            *mine = std::mem::take(mine).union(child);
        }
        self
    }

    pub(super) fn intersection(&self, other: &Self) -> Self {
        let children = self.children.iter();
        Self {
            members: &self.members & &other.members,
            children: children
                .filter_map(|(step, child)| {
                    let both = child.intersection(other.children.get(step)?);
                    (!both.is_empty()).then(|| (step.clone(), both))
                })
                .collect(),
        }
    }

    /// Without the fields of `other`; what is below them stays.
    pub(super) fn difference(mut self, other: &Self) -> Self {
        for gone in &other.members {
            self.members.remove(gone);
        }
        self.children.retain(|step, child| {
            if let Some(gone) = other.children.get(step) {
                *child = std::mem::take(child).difference(gone);
            }
            !child.is_empty()
        });
        self
    }

    /// Without the fields of `other` and what is below them.
    pub(super) fn without(mut self, other: &Self) -> Self {
        for gone in &other.members {
            self.members.remove(gone);
            self.children.remove(gone);
        }
        self.children.retain(|step, child| {
            if let Some(gone) = other.children.get(step) {
                *child = std::mem::take(child).without(gone);
            }
            !child.is_empty()
        });
        self
    }

    /// With the fields that types name on the way to what is owned: they go where all in them goes.
    pub(super) fn with_named_fields(&self, site: Site<'_>) -> Self {
        let mut set = self.clone();
        for (step, child) in &mut set.children {
            if let Element::Field(name) = step
                && site.names(name)
            {
                set.members.insert(step.clone());
            }
            *child = child.with_named_fields(site.below(step));
        }
        set
    }

    /// Each way, in order.
    pub(super) fn ways(&self) -> Vec<Vec<Element>> {
        let members = self.members.iter().map(|step| vec![step.clone()]);
        let below = self.children.iter().flat_map(|(step, child)| {
            let ways = child.ways().into_iter();
            ways.map(|way| [vec![step.clone()], way].concat())
        });
        members.chain(below).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_joined_and_parted() {
        let a = Set::of(&[&["spec"], &["spec", "replicas"], &["spec", "paused"]]);
        let b = Set::of(&[&["spec", "replicas"], &["status"]]);
        assert_eq!(a.intersection(&b), Set::of(&[&["spec", "replicas"]]));
        assert_eq!(
            a.clone().difference(&b),
            Set::of(&[&["spec"], &["spec", "paused"]])
        );
        let all: &[&[&str]] = &[
            &["spec"],
            &["spec", "paused"],
            &["spec", "replicas"],
            &["status"],
        ];
        assert_eq!(a.clone().union(b), Set::of(all));
        assert_eq!(a.clone().without(&Set::of(&[&["spec"]])), Set::default());
        let parent = Set::of(&[&["spec"]]);
        let below = Set::of(&[&["spec", "paused"], &["spec", "replicas"]]);
        assert_eq!(a.clone().difference(&parent), below);
        assert!(a.clone().difference(&a).is_empty());
    }
}
