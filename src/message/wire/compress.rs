//! Name compression (RFC 1035 section 4.1.4): a name ends in a pointer to where its end stands already.
//!
//! Most names end as the question's does, and that is seen without a search. Where other names may be pointed at is kept
//! by hash: pointers reach 16 KiB, so there are few hundred of them in any message, and going through them is quick.

use smallvec::SmallVec;

use crate::name::{MAX_NAME, Qname};

/// Where the names of a message stand, for names that come after.
#[derive(Debug, Default)]
pub struct Offsets {
    hashes: Vec<u32>,
    places: Vec<Place>,
}

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Octets from the message's start.
    at: u16,
    /// How many labels it has before it ends as the question does.
    labels: u8,
    /// From which of the question's labels on that is.
    rest: u8,
}

/// Octets from the message's start that a pointer reaches.
const REACH: usize = 1 << 14;

/// What a label's length begins with where a pointer stands instead.
const POINTER: u8 = 0xc0;

/// Labels, the leftmost first.
pub(super) type Labels<'a> = SmallVec<[&'a [u8]; 16]>;

/// A name that is to be written: labels, then the question's name from label `rest` on (its number of labels: the root).
pub(super) struct Ending<'a> {
    pub(super) labels: &'a [&'a [u8]],
    pub(super) rest: usize,
}

impl<'a> Ending<'a> {
    /// The same name with as many labels as possible taken from the question's.
    pub(super) fn of(mut labels: &'a [&'a [u8]], mut rest: usize, question: &Qname) -> Self {
        while rest > 0
            && let Some((last, others)) = labels.split_last()
            && *last == question.label(rest - 1)
        {
            labels = others;
            rest -= 1;
        }
        Self { labels, rest }
    }

    /// Octets of the whole name.
    pub(super) fn len(&self, question: &Qname) -> usize {
        let labels: usize = self.labels.iter().map(|label| label.len() + 1).sum();
        labels + question.typed().len() - question.offset(self.rest)
    }

    /// Whether a message can hold it (RFC 1035 section 2.3.4).
    pub(super) fn is_name(&self, question: &Qname) -> bool {
        let label = |label: &&[u8]| (1..=crate::name::MAX_LABEL).contains(&label.len());
        self.labels.iter().all(label) && self.len(question) <= MAX_NAME
    }

    /// The hashes of this name and of its ends, one for each label.
    fn hashes(&self) -> SmallVec<[u32; 16]> {
        let mut hash = u32::try_from(self.rest).unwrap_or_default();
        let mut hashes: SmallVec<[u32; 16]> = self
            .labels
            .iter()
            .rev()
            .map(|label| {
                hash = label.iter().fold(hash ^ 0x9e37_79b9, |hash, octet| {
                    (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193)
                });
                hash
            })
            .collect();
        hashes.reverse();
        hashes
    }
}

/// Octets of a pointer.
const POINTER_LEN: usize = 2;

/// Writes the question's name without so many labels at its left; how many octets shorter that is than the name.
pub(super) fn end_of_question(out: &mut Vec<u8>, skipped: usize, question: &Qname) -> usize {
    let offset = question.offset(skipped);
    if skipped == question.len() {
        out.push(0);
        return 0;
    }
    let place = super::HEADER + offset;
    write_pointer(out, u16::try_from(place).unwrap_or_default());
    question.typed().len() - offset - POINTER_LEN
}

impl Offsets {
    /// Forgets the message before.
    pub(super) fn clear(&mut self) {
        self.truncate(0);
    }

    /// How many places are known.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets all but the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        self.hashes.truncate(len);
        self.places.truncate(len);
    }

    /// Writes a name at the end of `out`, in which the message begins at `start`; how many octets shorter that is than the
    /// name.
    pub(super) fn compressed(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        name: &Ending<'_>,
        question: &Qname,
    ) -> usize {
        let hashes = name.hashes();
        for (i, hash) in hashes.iter().enumerate() {
            if let Some(place) = self.find(*hash, &out[start..], &name.labels[i..], name.rest) {
                write_pointer(out, place);
                let labels = name.labels[i..].iter().map(|label| label.len() + 1);
                let rest = question.typed().len() - question.offset(name.rest);
                return labels.sum::<usize>() + rest - POINTER_LEN;
            }
            self.label(out, start, *hash, (name, i));
        }
        end_of_question(out, name.rest, question)
    }

    /// Writes a name whole, for data in which pointers are not allowed (RFC 3597 section 4). It may be pointed at.
    pub(super) fn whole(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        name: &Ending<'_>,
        question: &Qname,
    ) {
        for (i, hash) in name.hashes().into_iter().enumerate() {
            self.label(out, start, hash, (name, i));
        }
        out.extend_from_slice(&question.typed()[question.offset(name.rest)..]);
    }

    /// Writes label `i` of a name, which begins another name.
    fn label(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        hash: u32,
        (name, i): (&Ending<'_>, usize),
    ) {
        let (at, label) = (out.len() - start, name.labels[i]);
        // A name has at most 127 labels (RFC 1035 section 2.3.4).
        let few = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
        if let (true, Ok(at)) = (at < REACH, u16::try_from(at)) {
            self.hashes.push(hash);
            self.places.push(Place {
                at,
                labels: few(name.labels.len() - i),
                rest: few(name.rest),
            });
        }
        // A label has at most 63 octets (`Ending::is_name`).
        out.push(u8::try_from(label.len()).unwrap_or_default());
        out.extend_from_slice(label);
    }

    /// Where these labels stand, with the question's name from `rest` on behind them.
    fn find(&self, hash: u32, message: &[u8], labels: &[&[u8]], rest: usize) -> Option<u16> {
        let known = self.hashes.iter().zip(&self.places);
        let alike = known.filter(|(known, _)| **known == hash);
        let mut alike = alike.map(|(_, place)| place).filter(|place| {
            (usize::from(place.labels), usize::from(place.rest)) == (labels.len(), rest)
        });
        let fits = |place: &&Place| begins(message, usize::from(place.at), labels);
        alike.find(fits).map(|place| place.at)
    }
}

fn write_pointer(out: &mut Vec<u8>, place: u16) {
    out.extend_from_slice(&(u16::from(POINTER) << 8 | place).to_be_bytes());
}

/// Whether the name at `at`, which has as many labels, begins with these. The message is ours: its pointers point back.
fn begins(message: &[u8], mut at: usize, labels: &[&[u8]]) -> bool {
    for label in labels {
        while message[at] & POINTER == POINTER {
            let low = message[at + 1];
            at = usize::from(u16::from_be_bytes([message[at] & !POINTER, low]));
        }
        let end = at + 1 + usize::from(message[at]);
        if message[at + 1..end] != **label {
            return false;
        }
        at = end;
    }
    true
}
