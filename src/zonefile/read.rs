//! A zone file as records: directives, and what an entry takes from those before it (RFC 1035 section 5.1, RFC 2308
//! section 4).

use std::io;
use std::path::Path;

use super::generate;
use crate::message::entries::{Entries, Entry};
use crate::message::rdata::{Word, name, seconds};
use crate::message::record::Record;
use crate::message::text::{head, record_of};
use crate::name::Name;

/// Text that is no zone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct NotAZone {
    /// The file, as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub problem: String,
}

/// How many files may include each other: more than anybody has, and an end to one that includes itself.
const MAX_DEPTH: usize = 8;

/// How many records a zone may have: files that include each other, and ranges, make many of few lines.
const MOST: usize = 10_000_000;

/// Gives the text of a file that another includes.
pub type Included<'s> = &'s dyn Fn(&Path) -> io::Result<String>;

/// Reads the records of a file. `origin`: what names without a final dot end in, as long as the file says nothing else.
///
/// # Errors
/// What is wrong first, with its place.
pub fn read(
    file: &str,
    text: &str,
    origin: &Name,
    included: Included<'_>,
) -> Result<Vec<Record>, NotAZone> {
    let mut reader = Reader {
        included,
        records: Vec::new(),
        state: State {
            origin: origin.clone(),
            owner: None,
            default: None,
            last: None,
        },
    };
    reader.file(file, text, 0)?;
    Ok(reader.records)
}

struct Reader<'s> {
    included: Included<'s>,
    records: Vec<Record>,
    state: State,
}

/// What an entry takes from those before it.
#[derive(Clone)]
struct State {
    origin: Name,
    /// Of the record before.
    owner: Option<Name>,
    /// The TTL that `$TTL` says, in seconds.
    default: Option<u32>,
    /// The TTL of the last record that says one.
    last: Option<u32>,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, text: &str, depth: usize) -> Result<(), NotAZone> {
        let wrong = |line, problem| NotAZone {
            file: file.to_owned(),
            line,
            problem,
        };
        for entry in Entries::new(text) {
            let entry = entry.map_err(|(line, problem)| wrong(line, problem))?;
            let [first, rest @ ..] = &entry.words[..] else {
                continue;
            };
            if first.text.eq_ignore_ascii_case("$include") {
                let (named, text) = self
                    .include(file, rest, depth)
                    .map_err(|problem| wrong(entry.line, problem))?;
                // What the file says of origins, owners and TTLs is for the file (RFC 1035 section 5.1).
                let before = self.state.clone();
                if let Some(word) = rest.get(1) {
                    let new = name(&word.text, &before.origin);
                    self.state.origin = new.map_err(|problem| wrong(entry.line, problem))?;
                }
                self.file(&named, &text, depth + 1)?;
                self.state = before;
                continue;
            }
            let read = self.entry(&entry);
            read.map_err(|problem| wrong(entry.line, problem))?;
        }
        Ok(())
    }

    /// The name and the text of an included file.
    fn include(
        &self,
        file: &str,
        words: &[Word],
        depth: usize,
    ) -> Result<(String, String), String> {
        let [named, ..] = words else {
            return Err("`$INCLUDE` needs a file".into());
        };
        if depth >= MAX_DEPTH {
            return Err(format!("{MAX_DEPTH} files include each other at most"));
        }
        let folder = Path::new(file).parent().unwrap_or_else(|| Path::new(""));
        let path = folder.join(&named.text);
        let text = (self.included)(&path);
        let text = text.map_err(|error| format!("{}: {error}", path.display()))?;
        Ok((path.display().to_string(), text))
    }

    fn entry(&mut self, entry: &Entry) -> Result<(), String> {
        let [first, rest @ ..] = &entry.words[..] else {
            return Ok(());
        };
        if entry.is_indented {
            let before = self.state.owner.clone();
            let owner = before.ok_or("there is no name, nor one before")?;
            return self.record(owner, &entry.words);
        }
        match (first.text.to_ascii_lowercase().as_str(), rest) {
            ("$origin", [word]) => self.state.origin = name(&word.text, &self.state.origin)?,
            ("$ttl", [word]) => {
                let ttl = seconds(&word.text);
                self.state.default = Some(ttl.ok_or_else(|| format!("'{}' is no TTL", word.text))?);
            }
            ("$generate", [range, record @ ..]) => self.generate(&range.text, record)?,
            (directive, _) if directive.starts_with('$') => {
                let known = "$ORIGIN NAME, $TTL SECONDS, $INCLUDE FILE [ORIGIN] or $GENERATE RANGE";
                return Err(format!("'{}' is not {known}", first.text));
            }
            _ => {
                let owner = name(&first.text, &self.state.origin)?;
                return self.record(owner, rest);
            }
        }
        Ok(())
    }

    fn generate(&mut self, range: &str, words: &[Word]) -> Result<(), String> {
        for number in generate::numbers(range)? {
            let words = generate::with(words, number)?;
            let [owner, rest @ ..] = &words[..] else {
                return Err("`$GENERATE` needs a record".into());
            };
            let owner = name(&owner.text, &self.state.origin)?;
            self.record(owner, rest)?;
        }
        Ok(())
    }

    fn record(&mut self, owner: Name, words: &[Word]) -> Result<(), String> {
        self.state.owner = Some(owner.clone());
        let (own, ..) = head(words);
        let ttl = self.state.default.or(self.state.last);
        let record = record_of(owner, words, ttl, &self.state.origin)?;
        self.state.last = own.or(self.state.last);
        if self.records.len() == MOST {
            return Err(format!("a zone has {MOST} records at most"));
        }
        self.records.push(record);
        Ok(())
    }
}
