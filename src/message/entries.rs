//! The entries of a zone file: words up to the end of a line, or further where brackets are open (RFC 1035 section 5.1).

use super::rdata::Word;

/// An entry of a zone file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line that it begins on, from 1.
    pub line: usize,
    /// A blank stands before its first word: the owner is the one before.
    pub is_indented: bool,
    /// At least one.
    pub words: Vec<Word>,
}

/// What is wrong, and on which line.
pub type Wrong = (usize, String);

/// Goes through the entries of a text; after an error there are no more.
pub struct Entries<'t> {
    rest: &'t str,
    line: usize,
    /// The lines of the brackets that are open.
    open: Vec<usize>,
}

impl<'t> Entries<'t> {
    /// Those of a zone file's text.
    #[must_use]
    pub fn new(text: &'t str) -> Self {
        Self {
            rest: text,
            line: 1,
            open: Vec::new(),
        }
    }

    fn wrong(&self, problem: &str) -> Wrong {
        (self.line, problem.to_owned())
    }

    /// Takes so many octets.
    fn take(&mut self, octets: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(octets);
        self.rest = rest;
        taken
    }

    fn entry(&mut self) -> Result<Option<Entry>, Wrong> {
        let mut entry = self.begin();
        let mut is_glued = false;
        while let Some(c) = self.rest.chars().next() {
            let mut is_word = false;
            match c {
                '\n' => {
                    self.take(1);
                    self.line += 1;
                    if self.open.is_empty() {
                        if !entry.words.is_empty() {
                            return Ok(Some(entry));
                        }
                        entry = self.begin();
                    }
                }
                ';' => {
                    let end = self.rest.find('\n').unwrap_or(self.rest.len());
                    self.take(end);
                }
                '(' => {
                    self.take(1);
                    self.open.push(self.line);
                }
                ')' => {
                    self.take(1);
                    let opened = self.open.pop();
                    opened.ok_or_else(|| self.wrong("a `)` closes nothing"))?;
                }
                c if c.is_whitespace() => {
                    self.take(c.len_utf8());
                }
                _ => {
                    let mut word = self.word(c == '"')?;
                    word.is_glued = is_glued;
                    entry.words.push(word);
                    is_word = true;
                }
            }
            is_glued = is_word;
        }
        if let Some(line) = self.open.first() {
            return Err((*line, "a `(` is not closed".into()));
        }
        Ok(Some(entry).filter(|entry| !entry.words.is_empty()))
    }

    fn begin(&self) -> Entry {
        Entry {
            line: self.line,
            is_indented: self.rest.starts_with([' ', '\t']),
            words: Vec::new(),
        }
    }

    fn word(&mut self, is_quoted: bool) -> Result<Word, Wrong> {
        self.take(usize::from(is_quoted));
        let mut is_escaped = false;
        let ends = |c: char| {
            let ends = c == '\n'
                || !is_escaped
                    && match is_quoted {
                        true => c == '"',
                        false => c.is_whitespace() || matches!(c, ';' | '"' | '(' | ')'),
                    };
            is_escaped = !is_escaped && c == '\\';
            ends
        };
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let text = self.take(end).to_owned();
        if is_quoted && !self.rest.starts_with('"') {
            return Err(self.wrong("a quotation mark is missing"));
        }
        self.take(usize::from(is_quoted));
        Ok(Word {
            text,
            is_quoted,
            is_glued: false,
        })
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Wrong>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = self.entry();
        if entry.is_err() {
            (self.rest, self.open) = ("", Vec::new());
        }
        entry.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each entry as its line, `>` where it is indented, and its words with `|` between them.
    fn shown(text: &str) -> Result<Vec<String>, Wrong> {
        let shown = |entry: Entry| {
            let mut words = String::new();
            for word in entry.words {
                words += if word.is_glued { "~" } else { "|" };
                words += &word.text;
            }
            let indented = if entry.is_indented { ">" } else { "" };
            format!("{}{indented}{words}", entry.line)
        };
        Entries::new(text).map(|entry| entry.map(shown)).collect()
    }

    #[test]
    fn an_entry_is_a_line_or_more_where_brackets_are_open() {
        let text = "a b ; c\n\n  ; nothing\n x \"y ; z\"(1\n 2 ; two\n)3\nq\\;r \\\"s\\ t";
        assert_eq!(
            shown(text).unwrap(),
            ["1|a|b", "4>|x|y ; z|1|2|3", r#"7|q\;r|\"s\ t"#]
        );
        assert_eq!(
            shown("k=\"v\"w\r\nz").unwrap(),
            ["1|k=~v~w", "2|z"],
            "words without a blank between them"
        );
        assert_eq!(shown(" ;\n\t\n").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_not_closed_is_an_error_with_its_line() {
        for (text, line, problem) in [
            ("a\nb (\nc\n", 2, "a `(` is not closed"),
            ("a (\n)\nb\n (\n(\n) c\nd", 4, "a `(` is not closed"),
            ("a )", 1, "a `)` closes nothing"),
            ("a\n\"b\nc\"", 2, "a quotation mark is missing"),
            ("\"a\\\"", 1, "a quotation mark is missing"),
        ] {
            assert_eq!(shown(text), Err((line, problem.to_owned())), "{text}");
        }
    }
}
