//! Name compression (RFC 1035 section 4.1.4): a name ends in a pointer to where its end stands already.
//!
//! Most names end as the question's does, and that is seen without a search. Where other names may be pointed at is kept
//! in a table by hash: pointers reach 16 KiB, so there are some hundred of them at the most.

use smallvec::SmallVec;

use crate::name::{MAX_NAME, Qname};

/// Where the names of a message stand, for names that come after.
#[derive(Debug)]
pub struct Offsets {
    /// For each remainder of a hash the last place that has it, and one more; 0: there is none.
    last: [u16; TABLE],
    places: Vec<Place>,
    /// Where to look first: addresses follow the names that they belong to in the same order.
    next: usize,
}

/// Remainders by which names are told apart.
const TABLE: usize = 1024;

impl Default for Offsets {
    fn default() -> Self {
        Self {
            last: [0; TABLE],
            places: Vec::new(),
            next: 0,
        }
    }
}

/// Where a name stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    /// The place before this one with the same remainder, as in [`Offsets::last`].
    before: u16,
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
pub(super) const POINTER: u8 = 0xc0;

/// A pointer to a name that begins so many octets from the message's start; `None`: it does not reach there.
pub(super) fn pointer_to(at: usize) -> Option<[u8; 2]> {
    let at = u16::try_from(at)
        .ok()
        .filter(|at| usize::from(*at) < REACH)?;
    Some((at | u16::from(POINTER) << 8).to_be_bytes())
}

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

    /// The hashes of this name's ends that begin at label `from` or behind it, one for each.
    fn hashes(&self, from: usize) -> SmallVec<[u32; 16]> {
        let mut state = self.rest as u64;
        let mut hashes = SmallVec::new();
        for label in self.labels.iter().skip(from).rev() {
            state = (state ^ summary(label)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            // The upper half depends on all octets.
            hashes.push(u32::try_from(state >> 32).unwrap_or_default());
        }
        hashes.reverse();
        hashes
    }
}

/// Tells most labels apart by their ends, which is where the names of Pods differ.
fn summary(label: &[u8]) -> u64 {
    match (label.first_chunk::<8>(), label.last_chunk::<8>()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first).rotate_left(29) ^ u64::from_le_bytes(*last)
        }
        _ => label
            .iter()
            .fold(1, |sum, octet| sum << 8 | u64::from(*octet)),
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
        self.next = 0;
    }

    /// How many places are known.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Forgets all but the first so many.
    pub(super) fn truncate(&mut self, len: usize) {
        for place in self.places.drain(len..).rev() {
            self.last[place.hash as usize % TABLE] = place.before;
        }
    }

    /// Writes a name at the end of `out`, in which the message begins at `start`; how many octets shorter that is than the
    /// name. What it has in common with others begins after so many `distinct` labels.
    pub(super) fn compressed(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        (name, distinct): (&Ending<'_>, usize),
        question: &Qname,
    ) -> usize {
        let saved = |labels: &[&[u8]]| {
            let labels = labels.iter().map(|label| label.len() + 1);
            let rest = question.typed().len() - question.offset(name.rest);
            labels.sum::<usize>() + rest - POINTER_LEN
        };
        if self.is_at(self.next, &out[start..], (name.labels, name.rest)) {
            write_pointer(out, self.places[self.next].at);
            self.next += 1;
            return saved(name.labels);
        }
        for label in name.labels.iter().take(distinct) {
            write_label(out, label);
        }
        for (i, hash) in (distinct..).zip(name.hashes(distinct)) {
            let rest = (&name.labels[i..], name.rest);
            if let Some(found) = self.find(hash, &out[start..], rest) {
                write_pointer(out, self.places[found].at);
                self.next = found + 1;
                return saved(&name.labels[i..]);
            }
            self.label(out, start, hash, (name, i));
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
        for (i, hash) in name.hashes(0).into_iter().enumerate() {
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
            let last = &mut self.last[hash as usize % TABLE];
            self.places.push(Place {
                hash,
                before: *last,
                at,
                labels: few(name.labels.len() - i),
                rest: few(name.rest),
            });
            // Each stands at another octet below `REACH`.
            *last = u16::try_from(self.places.len()).unwrap_or_default();
        }
        write_label(out, label);
    }

    /// Which place these labels stand at, with the question's name from a label on behind them.
    fn find(&self, hash: u32, message: &[u8], name: (&[&[u8]], usize)) -> Option<usize> {
        let mut next = self.last[hash as usize % TABLE];
        while let Some(i) = usize::from(next).checked_sub(1) {
            let place = &self.places[i];
            if place.hash == hash && self.is_at(i, message, name) {
                return Some(i);
            }
            next = place.before;
        }
        None
    }

    /// Whether they stand at this place.
    fn is_at(&self, i: usize, message: &[u8], (labels, rest): (&[&[u8]], usize)) -> bool {
        self.places.get(i).is_some_and(|place| {
            (usize::from(place.labels), usize::from(place.rest)) == (labels.len(), rest)
                && begins(message, usize::from(place.at), labels)
        })
    }
}

pub(super) fn write_label(out: &mut Vec<u8>, label: &[u8]) {
    // A label has at most 63 octets (`Ending::is_name`); those of a zone's own names are short.
    out.push(u8::try_from(label.len()).unwrap_or_default());
    out.extend_from_slice(label);
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
