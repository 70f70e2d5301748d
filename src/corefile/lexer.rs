//! Text to tokens: words and quoted strings, each with its place.

use std::iter::Peekable;
use std::ops::Range;
use std::str::CharIndices;
use std::sync::Arc;

use super::error::{CorefileError, File};

/// A word, or a quoted string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// What it says; after the environment was filled in.
    pub text: String,
    pub(super) file: Arc<File>,
    pub(super) at: Range<usize>,
    pub(super) line: usize,
    quoted: bool,
}

impl Token {
    /// An error at this token.
    #[must_use]
    pub fn error(&self, problem: impl Into<String>, expected: impl Into<String>) -> CorefileError {
        CorefileError::new(&self.file, self.at.clone(), problem, expected)
    }

    /// Whether `other` stands on the same line of the same file.
    pub(super) fn same_line(&self, other: &Self) -> bool {
        self.line == other.line && Arc::ptr_eq(&self.file, &other.file)
    }

    /// Whether it is this punctuation: a quoted `{` is text.
    pub(super) fn is(&self, sign: &str) -> bool {
        !self.quoted && self.text == sign
    }

    /// Its file, and where it stands there: line and column, both from 1.
    #[must_use]
    pub fn place(&self) -> (&str, (usize, usize)) {
        (&self.file.name, self.file.position(self.at.start))
    }

    /// The name of the file it is in.
    pub(super) fn file_name(&self) -> &str {
        &self.file.name
    }
}

/// Splits `text` into tokens.
///
/// A `#` outside quotes starts a comment, even inside a word; in quotes `\"` is a quote and any other backslash is itself.
pub(super) fn lex(name: &str, text: &str) -> Result<Vec<Token>, CorefileError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file = Arc::new(File {
        name: name.into(),
        text: text.into(),
    });
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut line = 1;
    while let Some((start, c)) = chars.next() {
        let (text, end, quoted) = match c {
            '\n' => {
                line += 1;
                continue;
            }
            c if c.is_whitespace() => continue,
            '#' => {
                while chars.next_if(|(_, c)| *c != '\n').is_some() {}
                continue;
            }
            '"' => {
                let Some((word, end)) = quoted_word(&mut chars) else {
                    let problem = "this quote is never closed";
                    return Err(CorefileError::new(
                        &file,
                        start..start + 1,
                        problem,
                        "a closing `\"`",
                    ));
                };
                (word, end, true)
            }
            c => {
                let (word, end) = plain_word(&mut chars, (start, c));
                (word, end, false)
            }
        };
        // What stands behind a text of several lines stands on the line where that began.
        tokens.push(Token {
            text,
            file: Arc::clone(&file),
            at: start..end,
            line,
            quoted,
        });
    }
    Ok(tokens)
}

/// The text up to the closing quote, and where that ends; `None` where there is none.
fn quoted_word(chars: &mut Peekable<CharIndices<'_>>) -> Option<(String, usize)> {
    let mut word = String::new();
    loop {
        match chars.next()? {
            (end, '"') => return Some((word, end + 1)),
            (_, '\\') if chars.peek().is_some_and(|(_, c)| *c == '"') => {
                chars.next();
                word.push('"');
            }
            (_, c) => word.push(c),
        }
    }
}

fn plain_word(
    chars: &mut Peekable<CharIndices<'_>>,
    (start, first): (usize, char),
) -> (String, usize) {
    let mut word = String::from(first);
    while let Some((_, c)) = chars.next_if(|(_, c)| !c.is_whitespace() && *c != '#') {
        word.push(c);
    }
    let end = start + word.len();
    (word, end)
}
