//! The names that a resolver makes of one that is not complete (resolv.conf(5): `search`, `ndots`).

use super::{Name, NoName, absolute};

/// A resolver's search list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchList {
    /// The domains, in order.
    pub domains: Vec<Name>,
    /// A name with so many dots is asked for as it is before it is searched for.
    pub ndots: usize,
}

impl Default for SearchList {
    fn default() -> Self {
        Self {
            domains: Vec::new(),
            ndots: 1,
        }
    }
}

impl SearchList {
    /// The names that glibc asks for until one has an answer; with a final dot a name is complete. What would be too long
    /// is left out.
    ///
    /// # Errors
    /// Text that is no name.
    pub fn names(&self, text: &str) -> Result<Vec<Name>, NoName> {
        let name = absolute(text)?;
        if text.ends_with('.') {
            return Ok(vec![name]);
        }
        let dots = usize::from(name.num_labels()).saturating_sub(1);
        let below = |domain: &Name| {
            let labels = name.iter().chain(domain.iter());
            Name::from_labels(labels).ok()
        };
        let mut names: Vec<Name> = self.domains.iter().filter_map(below).collect();
        let at = if dots >= self.ndots { 0 } else { names.len() };
        names.insert(at, name);
        Ok(names)
    }

    /// Whether a name stands below one of the domains already, so that whoever writes it means it as it is; all names stand
    /// below the root.
    #[must_use]
    pub fn holds(&self, name: &Name) -> bool {
        let mut domains = self.domains.iter().filter(|domain| !domain.is_root());
        domains.any(|domain| domain.zone_of(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_few_dots_is_searched_for_first_and_one_with_a_final_dot_never() {
        let domains = ["default.svc.cluster.local", "cluster.local"];
        let search = SearchList {
            domains: domains.map(|domain| absolute(domain).unwrap()).to_vec(),
            ndots: 3,
        };
        for (text, wanted) in [
            ("redis.", &["redis."][..]),
            (
                "redis-0.redis",
                &[
                    "redis-0.redis.default.svc.cluster.local.",
                    "redis-0.redis.cluster.local.",
                    "redis-0.redis.",
                ],
            ),
            (
                "a.b.c.test",
                &[
                    "a.b.c.test.",
                    "a.b.c.test.default.svc.cluster.local.",
                    "a.b.c.test.cluster.local.",
                ],
            ),
        ] {
            let names = search.names(text).unwrap();
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            assert_eq!(names, wanted, "{text}");
        }
        let long = [
            "x".repeat(60),
            "y".repeat(60),
            "z".repeat(60),
            "w".repeat(60),
        ]
        .join(".");
        assert_eq!(search.names(&long).unwrap().len(), 1);
        assert_eq!(search.names("a..b"), Err(NoName::EmptyLabel));
        assert!(search.holds(&absolute("redis.default.svc.Cluster.local").unwrap()));
        assert!(!search.holds(&absolute("redis.default").unwrap()));
        // Some resolvers' lists end in the root.
        let root = SearchList {
            domains: vec![Name::root()],
            ndots: 5,
        };
        assert!(!root.holds(&absolute("redis").unwrap()));
    }
}
