//! The zones that a stanza or a server block serves.

use super::{Name, Octets, Qname, is_reverse, wire};

/// A name that a stanza or a server block serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// As configured.
    pub name: Name,
    /// How many labels it has.
    pub labels: usize,
    /// It is one of the reverse trees, or below one.
    pub reverse: bool,
    /// As it is written, in lower case.
    wire: Octets,
}

impl Origin {
    /// Whether the name is in it.
    #[must_use]
    pub fn covers(&self, qname: &Qname) -> bool {
        let Some(left) = qname.len().checked_sub(self.labels) else {
            return false;
        };
        // The root's octet, which ends both names, is left out on both sides.
        qname.lower_wire(left, qname.len()) == &self.wire[..self.wire.len() - 1]
    }
}

impl From<Name> for Origin {
    fn from(name: Name) -> Self {
        Self {
            // `num_labels` leaves a `*` out.
            labels: name.iter().count(),
            reverse: is_reverse(&name),
            wire: wire(&name.to_lowercase()),
            name,
        }
    }
}

/// All of them, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins(Vec<Origin>);

impl From<Vec<Name>> for Origins {
    fn from(names: Vec<Name>) -> Self {
        Self(names.into_iter().map(Origin::from).collect())
    }
}

impl Extend<Name> for Origins {
    fn extend<I: IntoIterator<Item = Name>>(&mut self, names: I) {
        self.0.extend(names.into_iter().map(Origin::from));
    }
}

impl Origins {
    /// The longest that the name is in, and how many labels of the name are left of it.
    #[must_use]
    pub fn of(&self, qname: &Qname) -> Option<(&Origin, usize)> {
        let covering = self.0.iter().filter(|origin| origin.covers(qname));
        let longest = covering.max_by_key(|origin| origin.labels)?;
        Some((longest, qname.len() - longest.labels))
    }

    /// Whether the name is in one of them.
    #[must_use]
    pub fn cover(&self, qname: &Qname) -> bool {
        self.0.iter().any(|origin| origin.covers(qname))
    }

    /// In the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Origin> {
        self.0.iter()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::absolute;

    #[test]
    fn the_longest_zone_wins_in_any_case_and_only_whole_labels_count() {
        let names = ["example.org", "a.Example.org", "in-addr.arpa"].map(|n| absolute(n).unwrap());
        let origins = Origins::from(names.to_vec());
        let of = |name: &str| {
            let name = Qname::from(absolute(name).unwrap());
            origins
                .of(&name)
                .map(|(origin, left)| (origin.name.to_string(), left))
        };
        assert_eq!(of("x.A.EXAMPLE.org"), Some(("a.Example.org.".into(), 1)));
        assert_eq!(of("b.example.org"), Some(("example.org.".into(), 1)));
        assert_eq!(of("Example.org"), Some(("example.org.".into(), 0)));
        assert_eq!(
            [of("anexample.org"), of("org"), of(".")],
            [None, None, None]
        );
        assert!(Origins::from(vec![Name::root()]).cover(&Qname::default()));
    }
}
