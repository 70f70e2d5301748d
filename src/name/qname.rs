//! A question's name, split into labels for look-ups.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::IpAddr;

use smallvec::SmallVec;

use super::{MAX_LABEL, MAX_NAME, Name, Octets, SHORT, join, reverse_address, wire};

/// The most labels that a name has, with the root's (RFC 1035 section 2.3.4).
const MAX_LABELS: usize = 128;

/// A name as it is written in a message, without compression: its labels as typed, and in lower case beside them. Names
/// that differ in case only are equal (RFC 4343).
#[derive(Clone)]
pub struct Qname {
    /// Lengths and labels, and the root's octet.
    typed: Octets,
    /// The same in lower case.
    lower: Octets,
    /// Where each label's length stands, and last the root's octet.
    starts: SmallVec<[u8; 16]>,
}

impl Qname {
    /// Reads the name that `wire` begins with; `None` where that is none, or is compressed.
    #[must_use]
    pub fn read(wire: &[u8]) -> Option<Self> {
        let mut name = Self {
            typed: Octets::new(),
            lower: Octets::new(),
            starts: SmallVec::new(),
        };
        name.read_again(wire).then_some(name)
    }

    /// The same into this name, which is none where `wire` does not begin with one (`false`).
    pub fn read_again(&mut self, wire: &[u8]) -> bool {
        let (mut starts, mut labels, mut at) = ([0; MAX_LABELS], 0, 0);
        // Lengths are below any letter, so that what follows may change the case of all octets.
        loop {
            let (Some(place), Some(length)) = (starts.get_mut(labels), wire.get(at)) else {
                return false;
            };
            let length = usize::from(*length);
            *place = u8::try_from(at).unwrap_or(u8::MAX);
            labels += 1;
            at += 1 + length;
            if length > MAX_LABEL || at > MAX_NAME {
                return false;
            }
            if length == 0 {
                break;
            }
        }
        let Some(typed) = wire.get(..at) else {
            return false;
        };
        self.starts = SmallVec::from_slice(&starts[..labels]);
        let mut short = [0; SHORT];
        if let Some(place) = short.get_mut(..at) {
            // Nearly every name: whole arrays are copied and changed at once.
            place.copy_from_slice(typed);
            self.typed = Octets::from_buf_and_len(short, at);
            short.make_ascii_lowercase();
            self.lower = Octets::from_buf_and_len(short, at);
        } else {
            self.typed = Octets::from_slice(typed);
            self.lower = Octets::from_slice(typed);
            self.lower.make_ascii_lowercase();
        }
        true
    }

    /// How many labels it has, without the root's.
    #[must_use]
    pub fn len(&self) -> usize {
        self.starts.len() - 1
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// As it is written.
    #[must_use]
    pub fn typed(&self) -> &[u8] {
        &self.typed
    }

    /// Where label `i` begins in [`Qname::typed`]; for the number of labels, where the root's octet stands.
    #[must_use]
    pub fn offset(&self, i: usize) -> usize {
        usize::from(self.starts[i])
    }

    /// Label `i`, the leftmost first, as typed.
    #[must_use]
    pub fn label(&self, i: usize) -> &[u8] {
        &self.typed[self.offset(i) + 1..self.offset(i + 1)]
    }

    /// Label `i` in lower case.
    #[must_use]
    pub fn lower(&self, i: usize) -> &[u8] {
        &self.lower[self.offset(i) + 1..self.offset(i + 1)]
    }

    /// The labels from `from` up to `to` as they are written, in lower case.
    #[must_use]
    pub fn lower_wire(&self, from: usize, to: usize) -> &[u8] {
        &self.lower[self.offset(from)..self.offset(to)]
    }

    /// Labels as typed, the leftmost first.
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &[u8]> + ExactSizeIterator {
        (0..self.len()).map(|i| self.label(i))
    }

    /// Whether there is a label `i` and it is this word, in any case; `word` is lower case.
    #[must_use]
    pub fn is(&self, i: usize, word: &[u8]) -> bool {
        i < self.len() && self.lower(i) == word
    }

    /// The same name in lower case.
    #[must_use]
    pub fn to_lowercase(&self) -> Self {
        Self {
            typed: self.lower.clone(),
            ..self.clone()
        }
    }

    /// The same name, for records; `from`: without so many labels at its left.
    #[must_use]
    pub fn to_name(&self, from: usize) -> Name {
        let labels: SmallVec<[&[u8]; 16]> = self.labels().skip(from).collect();
        // What was read as a name is one.
        join(&labels, &Name::root()).unwrap_or_default()
    }

    /// The address that it stands for as a reverse name (RFC 1035 section 3.5, RFC 3596 section 2.5).
    #[must_use]
    pub fn reverse_address(&self) -> Option<IpAddr> {
        let left = self.len().checked_sub(2)?;
        let v6 = match (self.lower(left), self.lower(left + 1)) {
            (b"in-addr", b"arpa") => false,
            (b"ip6", b"arpa") => true,
            _ => return None,
        };
        reverse_address((0..left).map(|i| self.label(i)), v6)
    }
}

impl From<&Name> for Qname {
    fn from(name: &Name) -> Self {
        let typed = wire(name);
        // A `Name` has no more octets than a name may have, and no longer labels.
        Self::read(&typed).unwrap_or_default()
    }
}

impl From<Name> for Qname {
    fn from(name: Name) -> Self {
        Self::from(&name)
    }
}

/// The root.
impl Default for Qname {
    fn default() -> Self {
        let root = Octets::from_slice(&[0]);
        Self {
            typed: root.clone(),
            lower: root,
            starts: SmallVec::from_slice(&[0]),
        }
    }
}

impl PartialEq for Qname {
    fn eq(&self, other: &Self) -> bool {
        self.lower == other.lower
    }
}

impl Eq for Qname {}

impl Hash for Qname {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.lower.hash(state);
    }
}

/// As typed, with escapes where a label needs them (RFC 4343 section 2.1).
/// With its final dot; octets that are no plain text as `\\DDD` (RFC 1035 section 5.1).
impl fmt::Display for Qname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str(".");
        }
        for label in self.labels() {
            for octet in label {
                match octet {
                    b'.' | b' ' | b'\'' | b'@' | b';' | b'(' | b')' | b'"' | b'\\' => {
                        write!(f, "\\{}", char::from(*octet))?;
                    }
                    b'!'..=b'~' => write!(f, "{}", char::from(*octet))?,
                    _ => write!(f, "\\{octet:03}")?,
                }
            }
            f.write_str(".")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Qname {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_read_up_to_its_root_and_gives_its_parts() {
        let wire = b"\x03Web\x02NS\x03svc\x00rest";
        let name = Qname::read(wire).unwrap();
        assert_eq!((name.len(), name.typed()), (3, &wire[..12]));
        assert_eq!(
            name.labels().collect::<Vec<_>>(),
            [&b"Web"[..], b"NS", b"svc"]
        );
        assert_eq!((name.lower(0), name.lower(1)), (&b"web"[..], &b"ns"[..]));
        assert_eq!(name.lower_wire(0, 2), b"\x03web\x02ns");
        assert_eq!((name.offset(1), name.offset(3)), (4, 11));
        assert!(name.is(1, b"ns") && !name.is(0, b"ns") && !name.is(3, b"ns"));
        let root = Qname::read(b"\x00").unwrap();
        assert_eq!((root.is_empty(), root.typed()), (true, &b"\x00"[..]));
        assert_eq!(root, Qname::default());
    }

    #[test]
    fn case_is_kept_and_makes_no_difference() {
        let [typed, lower] = [&b"\x03Web\x00"[..], b"\x03web\x00"].map(|w| Qname::read(w).unwrap());
        assert_eq!(typed, lower);
        assert_eq!([&typed, &lower].map(ToString::to_string), ["Web.", "web."]);
        assert_eq!(typed.to_lowercase().typed(), lower.typed());
        assert_eq!(Qname::from(typed.to_name(0)).typed(), typed.typed());
    }

    #[test]
    fn what_is_no_name_is_none() {
        let long_label = [&[64][..], &[b'a'; 64], &[0]].concat();
        let longest = [
            &[&[63][..], &[b'a'; 63]].concat().repeat(3)[..],
            &[61],
            &[b'a'; 61],
            &[0],
        ]
        .concat();
        let too_long = [
            &[&[63][..], &[b'a'; 63]].concat().repeat(3)[..],
            &[62],
            &[b'a'; 62],
            &[0],
        ]
        .concat();
        assert_eq!(longest.len(), MAX_NAME);
        assert!(Qname::read(&longest).is_some());
        for wire in [
            &b""[..],
            b"\x03we",
            b"\x03web",
            b"\xc0\x0c",
            &long_label,
            &too_long,
        ] {
            assert!(Qname::read(wire).is_none(), "{wire:?}");
        }
        let most = [1, b'a'].repeat(127);
        assert_eq!(Qname::read(&[&most[..], &[0]].concat()).unwrap().len(), 127);
    }
}
