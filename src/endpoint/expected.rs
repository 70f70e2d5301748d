//! Pods that are to be there: those of a StatefulSet, whose names are known before they are.

use crate::name::ServiceKey;

/// A StatefulSet, as far as names are expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// Its governing Service (`spec.serviceName`).
    pub service: ServiceKey,
    /// Its name, in lower case: its Pods are called `<set>-<ordinal>`.
    pub set: Box<str>,
    /// The first ordinal (`spec.ordinals.start`).
    pub start: u32,
    /// How many Pods it is to have.
    pub replicas: u32,
}

impl Expected {
    /// Whether it is to have a Pod of this name, in lower case.
    #[must_use]
    pub fn has(&self, pod: &[u8]) -> bool {
        let ordinal = pod
            .strip_prefix(self.set.as_bytes())
            .and_then(|rest| rest.strip_prefix(b"-"))
            .and_then(|digits| std::str::from_utf8(digits).ok());
        // A number is written in one way only.
        let plain = |digits: &&str| *digits == "0" || !digits.starts_with(['0', '+']);
        let ordinal: Option<u32> = ordinal.filter(plain).and_then(|digits| digits.parse().ok());
        let past = ordinal.and_then(|ordinal| ordinal.checked_sub(self.start));
        past.is_some_and(|past| past < self.replicas)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ordinals_from_start_on_are_expected_and_no_other_name() {
        let set = Expected {
            service: ServiceKey::new(b"default", b"redis"),
            set: "redis".into(),
            start: 9,
            replicas: 2,
        };
        for (pod, expected) in [
            ("redis-9", true),
            ("redis-10", true),
            ("redis-8", false),
            ("redis-11", false),
            ("redis-09", false),
            ("redis-+9", false),
            ("redis-", false),
            ("redis", false),
            ("redis-9-0", false),
            ("other-9", false),
            ("redis-99999999999", false),
        ] {
            assert_eq!(set.has(pod.as_bytes()), expected, "{pod}");
        }
    }
}
