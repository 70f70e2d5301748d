//! The file of `weighted`: names, and below each its addresses with their weights.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU8;

use ahash::RandomState;

use crate::message::record::Record;
use crate::name::{Qname, absolute};

/// Of each name in lower case, the weights of its addresses.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Weights(HashMap<Qname, HashMap<IpAddr, NonZeroU8, RandomState>, RandomState>);

impl Weights {
    /// Reads a file's text.
    ///
    /// # Errors
    /// The first line that is wrong, and what was expected of it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let (mut weights, mut last) = (Self::default(), None);
        for (i, line) in text.lines().enumerate() {
            let wrong = |expected: &str| Err(format!("line {}: '{line}' is not {expected}", i + 1));
            let words: Vec<_> = line.split_whitespace().collect();
            match (&words[..], &last) {
                ([], _) => {}
                ([comment, ..], _) if comment.starts_with('#') => {}
                ([name], _) => match absolute(name) {
                    Ok(name) if words[0].parse::<IpAddr>().is_err() => {
                        let name = Qname::from(&name).to_lowercase();
                        weights.0.entry(name.clone()).or_default();
                        last = Some(name);
                    }
                    Ok(_) | Err(_) => return wrong("a name, or an address with its weight"),
                },
                ([address, weight], Some(name)) => match (address.parse(), number(weight)) {
                    (Ok(address), Some(weight)) => {
                        let of_name = weights.0.entry(name.clone()).or_default();
                        // The first of several counts.
                        of_name.entry(address).or_insert(weight);
                    }
                    (Ok(_), None) => return wrong("an address with a weight from 1 to 255"),
                    (Err(_), _) => return wrong("an address with its weight"),
                },
                ([_, _], None) => return wrong("below a name"),
                ([_, _, _, ..], _) => return wrong("a name, or an address with its weight"),
            }
        }
        Ok(weights)
    }

    /// The weight of a record's address: 1 where the file has none.
    pub(super) fn of(&self, record: &Record, address: IpAddr) -> u32 {
        let name = Qname::from(&record.name).to_lowercase();
        let weight = self.0.get(&name).and_then(|of_name| of_name.get(&address));
        weight.map_or(1, |weight| weight.get().into())
    }
}

/// Digits alone.
fn number(text: &str) -> Option<NonZeroU8> {
    let digits = text.bytes().all(|octet| octet.is_ascii_digit());
    digits.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::record::address;

    #[test]
    fn names_have_addresses_with_weights() {
        let text = "# all\n\nWeb.test\n10.0.0.1 3\nfd00::1 255\n10.0.0.1 9\nother.test.\n";
        let weights = Weights::read(text).unwrap();
        let weight = |name: &str, ip: &str| {
            let ip = ip.parse().unwrap();
            weights.of(&address(absolute(name).unwrap(), 5, ip), ip)
        };
        assert_eq!(weight("web.TEST", "10.0.0.1"), 3);
        assert_eq!(weight("web.test", "fd00::1"), 255);
        assert_eq!(weight("web.test", "10.0.0.2"), 1);
        assert_eq!(weight("other.test", "10.0.0.1"), 1);
    }

    #[test]
    fn a_line_that_is_wrong_is_said() {
        let name = "a name, or an address with its weight";
        for (text, wanted) in [
            ("10.0.0.1", format!("line 1: '10.0.0.1' is not {name}")),
            (
                "10.0.0.1 1",
                "line 1: '10.0.0.1 1' is not below a name".to_owned(),
            ),
            (
                "a.test\n10.0.0.1 300",
                "line 2: '10.0.0.1 300' is not an address with a weight from 1 to 255".to_owned(),
            ),
            (
                "a.test\nx 3",
                "line 2: 'x 3' is not an address with its weight".to_owned(),
            ),
            (
                "a.test\n10.0.0.1 +4",
                "line 2: '10.0.0.1 +4' is not an address with a weight from 1 to 255".to_owned(),
            ),
            ("a b c", format!("line 1: 'a b c' is not {name}")),
        ] {
            assert_eq!(Weights::read(text), Err(wanted));
        }
    }
}
