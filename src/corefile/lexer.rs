//! Text to tokens: words and quoted strings, each with its place.

use std::ops::Range;
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
    let file = Arc::new(File { name: name.into(), text: text.into() });
    let mut tokens = Vec::new();
    let mut chars = text.char_indices().peekable();
    let mut line = 1;
    while let Some((start, c)) = chars.next() {
        let begun = line;
        match c {
            '\n' => line += 1,
            c if c.is_whitespace() => {}
            '#' => while chars.next_if(|(_, c)| *c != '\n').is_some() {},
            '"' => {
                let mut word = String::new();
                let end = loop {
                    match chars.next() {
                        None => return Err(CorefileError::new(&file, start..start + 1, "this quote is never closed", "a closing `\"`")),
                        Some((end, '"')) => break end + 1,
                        Some((_, '\\')) if chars.peek().is_some_and(|(_, c)| *c == '"') => {
                            chars.next();
                            word.push('"');
                        }
                        Some((_, c)) => {
                            line += usize::from(c == '\n');
                            word.push(c);
                        }
                    }
                };
                tokens.push(Token { text: word, file: Arc::clone(&file), at: start..end, line: begun, quoted: true });
            }
            c => {
                let mut word = String::from(c);
                let mut end = start + c.len_utf8();
                while let Some((at, c)) = chars.next_if(|(_, c)| !c.is_whitespace() && *c != '#') {
                    word.push(c);
                    end = at + c.len_utf8();
                }
                tokens.push(Token { text: word, file: Arc::clone(&file), at: start..end, line: begun, quoted: false });
            }
        }
    }
    Ok(tokens)
}
